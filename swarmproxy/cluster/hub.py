"""The cluster's event stream: each event encoded once, and a bounded queue for each reader."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator

import msgspec

from swarmproxy.engine.engine import Engine
from swarmproxy.model.event import Event, EventQuery, Origin, dress

QUEUE_LIMIT = 10_000
REMEMBERED = 10_000  # events of a swarm
LATE_NS = 60 * 10**9  # how much later than another a manager may tell of something


class Subscription:
    """One reader of the stream: what it asked for, and what it has not read yet.

    A reader that is too slow loses the oldest events, never its place in the stream, and is told how many it lost.
    """

    def __init__(self, query: EventQuery, *, limit: int = QUEUE_LIMIT) -> None:
        self.query = query
        self._limit = limit
        self._lines: deque[tuple[Event, bytes]] = deque()
        self._lost = 0
        self._ready = asyncio.Event()
        self._closed = False

    def offer(self, event: Event, node: Origin, line: bytes) -> None:
        """Queue `line` if the reader asked for `event`."""
        if self._closed or not self.query.matches(event, node):
            return
        if len(self._lines) >= self._limit:
            self._lines.popleft()
            self._lost += 1
        self._lines.append((event, line))
        self._ready.set()

    def close(self) -> None:
        """End the stream once what is queued has been read."""
        self._closed = True
        self._ready.set()

    async def batches(self) -> AsyncIterator[list[tuple[Event, bytes]]]:
        """Yield what has come since the last read, until `close`."""
        while True:
            await self._ready.wait()
            self._ready.clear()
            batch = list(self._lines)
            self._lines.clear()
            if self._lost and batch:
                batch.insert(0, _notice_of_loss(self._lost, batch[0][0].time_ns))
                self._lost = 0
            if batch:
                yield batch
            if self._closed:
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
    """Hands each event of each engine to all readers who asked for it."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()

    @property
    def readers(self) -> int:
        """How many streams are open."""
        return len(self._subscriptions)

    def subscribe(self, query: EventQuery) -> Subscription:
        """Open a stream; the caller gives it back to `unsubscribe`."""
        subscription = Subscription(query)
        self._subscriptions.add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Forget a stream."""
        self._subscriptions.discard(subscription)

    def publish(self, event: Event, node: Origin) -> None:
        """Give `event` of `node` to every reader that wants it. Encodes it once, and not at all with no reader."""
        if not self._subscriptions:
            return
        line = dress(event, node)
        for subscription in self._subscriptions:
            subscription.offer(event, node, line)

    def close(self) -> None:
        """End all streams: the manager is going."""
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
