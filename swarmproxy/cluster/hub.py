"""The cluster's event stream: each event encoded once, and a bounded queue for each reader."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable

import msgspec

from swarmproxy.engine.engine import Engine
from swarmproxy.model.event import Event, EventQuery, Origin, dress

QUEUE_LIMIT = 10_000
REMEMBERED = 10_000  # events of a swarm
LATE_NS = 60 * 10**9  # how much later than another a manager may tell of something


Batch = list[tuple[Event, bytes]]


class Subscription:
    """One reader of the stream: what it asked for, and what it has not read yet.

    A reader that is too slow loses the oldest events, never its place in the stream, and is told how many it lost.
    `push`, if set, sends lines at once and says whether the reader took them. It is called only while the reader waits
    for the next batch and nothing is queued, so that nothing overtakes anything.
    """

    def __init__(self, query: EventQuery, *, limit: int = QUEUE_LIMIT) -> None:
        self.query = query
        self.push: Callable[[bytes], bool] | None = None
        self._limit = limit
        self._lines: deque[tuple[Event, bytes]] = deque()
        self._lost = 0
        self.lost_in_all = 0
        self._ready = asyncio.Event()
        self._waits = False
        self._closed = False

    def offer(self, event: Event, node: Origin, line: bytes) -> None:
        """Queue `line` if the reader asked for `event`."""
        if self._closed or not self.query.matches(event, node):
            return
        if len(self._lines) >= self._limit:
            self._lines.popleft()
            self._lost += 1
            self.lost_in_all += 1
        self._lines.append((event, line))
        self._ready.set()

    def offer_all(self, told: list[tuple[Event, Origin, bytes]], text: bytes) -> None:
        """Send or queue those of `told` that the reader asked for; `text` is all of their lines."""
        if self.push is not None and self._waits and not self._ready.is_set():
            if self.query.tests:
                text = b"".join([line for event, node, line in told if self.query.matches(event, node)])
            if not text or self.push(text):
                return
        for each in told:
            self.offer(*each)

    def close(self) -> None:
        """End the stream once what is queued has been read."""
        self._closed = True
        self._ready.set()

    async def batches(self) -> AsyncIterator[Batch]:
        """Yield what has come since the last read, until `close`."""
        while True:
            self._waits = True
            try:
                await self._ready.wait()
            finally:
                self._waits = False
            self._ready.clear()
            batch = list(self._lines)
            self._lines.clear()
            if self._lost and batch:
                batch.insert(0, _notice_of_loss(self._lost, batch[0][0].time_ns))
                self._lost = 0
            if batch:
                yield batch
            if self._closed and not self._lines:
                return


class Telling:
    """Which events have been told. All managers of a swarm tell of it, and a new one tells all that ever was."""

    def __init__(self) -> None:
        self._told: OrderedDict[tuple[int, str, str, str], None] = OrderedDict()
        self._newest_ns = 0

    def is_new(self, event: Event) -> bool:
        """Return whether `event` was not told yet, and take note that it is now."""
        if not event.is_of_swarm:
            return True
        mark = event.mark
        if mark in self._told or 0 < mark[0] < self._newest_ns - LATE_NS:
            return False
        self._newest_ns = max(self._newest_ns, mark[0])
        self._told[mark] = None
        if len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
        return True


class Hub:
    """Hands each event of each engine to all readers who asked for it.

    Events that come together are handed on together: to a thousand readers it is the writing that costs.
    """

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()
        self._fresh: list[tuple[Event, Origin, bytes]] = []  # not handed on yet
        self._lost = 0  # by readers that have gone

    @property
    def readers(self) -> int:
        """How many streams are open."""
        return len(self._subscriptions)

    @property
    def lost(self) -> int:
        """How many events readers did not get because they were too slow."""
        return self._lost + sum(each.lost_in_all for each in self._subscriptions)

    def subscribe(self, query: EventQuery) -> Subscription:
        """Open a stream of what happens from now on; the caller gives it back to `unsubscribe`."""
        self._hand_on()
        subscription = Subscription(query)
        self._subscriptions.add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Forget a stream."""
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)
            self._lost += subscription.lost_in_all

    def publish(self, event: Event, node: Origin) -> None:
        """Give `event` of `node` to every reader that wants it. Encodes it once, and not at all with no reader."""
        if not self._subscriptions:
            return
        if not self._fresh:
            asyncio.get_running_loop().call_soon(self._hand_on)
        self._fresh.append((event, node, dress(event, node)))

    def _hand_on(self) -> None:
        """Give all readers what has come since the last time."""
        told, self._fresh = self._fresh, []
        if told:
            text = b"".join([line for _, _, line in told])
            for subscription in self._subscriptions:
                subscription.offer_all(told, text)

    def close(self) -> None:
        """End all streams: the manager is going."""
        self._hand_on()
        for subscription in self._subscriptions:
            subscription.close()


def _notice_of_loss(lost: int, time_ns: int) -> tuple[Event, bytes]:
    """Return the event that tells a slow reader how many it did not get, dated as the first that it did."""
    line = msgspec.json.encode(
        {
            "Type": "swarm",
            "Action": "events_lost",
            "Actor": {"ID": "", "Attributes": {"lost": str(lost)}},
            "time": time_ns // 10**9,
            "timeNano": time_ns,
        }
    )
    return Event(type="swarm", action="events_lost", time_ns=time_ns, raw=line), line + b"\n"


def origin_of(engine: Engine) -> Origin:
    """How an event names its node."""
    facts = engine.facts
    return Origin(name=engine.name, id=engine.id, address=str(engine.address), ip=facts.ip if facts is not None else "")
