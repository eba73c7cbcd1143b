"""What is sent to an open page as it happens: events, cards that look different now, and the overview."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import msgspec

from swarmproxy.cluster.hub import Batch, Hub, Subscription
from swarmproxy.model.event import Event, EventQuery
from swarmproxy.model.times import format_rfc3339
from swarmproxy.page.audience import Audience
from swarmproxy.page.cards import Cards
from swarmproxy.page.node_view import Tone

TICK_S = 1.0
"""So often a page is told what has changed, if no event comes sooner."""

PACE_S = 0.4
"""The least time between two messages: what happens meanwhile is told together."""

QUIET_S = 15.0
"""After so long without news a message is sent that says nothing, or nobody would see that a reader has gone."""

AT_ONCE = 40  # events of one message: of more, the last ones, and how many were left out
CARDS_AT_ONCE = 60  # of one message: for more, a page reads all of them again, which are sent in pieces
REMEMBERED = 60
SHORT_ID_LENGTH = 12

_BAD = frozenset({"oom", "engine_disconnect", "events_lost"})
_GOOD = frozenset({"start", "engine_connect", "engine_reconnect", "unpause", "health_status"})
_UNTOLD = frozenset({"exec_create", "exec_start", "exec_die", "exec_detach"})
"""Health checks of every container: nobody could read anything else. Their argument is a command line."""


class _Node(msgspec.Struct, frozen=True):
    Name: str = ""


class _Line(msgspec.Struct, frozen=True):
    node: _Node = _Node()


_lines = msgspec.json.Decoder(_Line)


@dataclass(frozen=True, slots=True)
class Happened:
    """One event as the page shows it: never its argument, nor its attributes, which may hold what is secret."""

    event: Event
    node: str

    @property
    def at(self) -> str:
        """When it was, as programs read it."""
        return format_rfc3339(self.event.time_ns)

    @property
    def clock(self) -> str:
        """The time of day in UTC, for who reads without scripts."""
        return self.at[11:19]

    @property
    def type(self) -> str:
        """What it is about."""
        return self.event.type

    @property
    def action(self) -> str:
        """What was done."""
        return self.event.verb

    @property
    def subject(self) -> str:
        """What it was done to: by name, else by a short ID."""
        attributes = self.event.attributes
        text = "" if self.event.type == "swarm" else attributes.get("name", "") or self.event.actor_id
        text = text.removeprefix("sha256:")
        return text[:SHORT_ID_LENGTH] if len(text) == 64 else text

    @property
    def search(self) -> str:
        """What finds the container that it was done to; empty if it was none."""
        return f"id:{self.event.actor_id[:SHORT_ID_LENGTH]}" if self.event.type == "container" else ""

    @property
    def image(self) -> str:
        """The image of a container."""
        return self.event.attributes.get("image", "") if self.event.type == "container" else ""

    @property
    def tone(self) -> Tone:
        """How it is shown."""
        verb = self.event.verb
        failed = verb == "die" and self.event.attributes.get("exitCode", "0") != "0"
        if failed or verb in _BAD or self.event.action.endswith(": unhealthy"):
            return "bad"
        return "ok" if verb in _GOOD else "wait"


@dataclass(frozen=True, slots=True)
class Place:
    """Up to where a page has been told. It says so itself when its stream has broken."""

    run: str  # another one after each start of the manager
    revision: int
    gathering: int

    @classmethod
    def parse(cls, text: str) -> "Place | None":
        """Return the place that `text` names, if it does."""
        run, *numbers = text.split(".")
        if len(numbers) != 2 or not all(
            number.isascii() and number.isdigit() and len(number) < 16 for number in numbers
        ):
            return None
        return cls(run, int(numbers[0]), int(numbers[1]))

    def __str__(self) -> str:
        return f"{self.run}.{self.revision}.{self.gathering}"


class Feed:
    """The streams of all open pages. What they were told last is shown to who comes later."""

    def __init__(
        self,
        hub: Hub,
        cards: Cards,
        *,
        run: str,
        draw_events: Callable[[Sequence[Happened], int], str],
        draw_overview: Callable[[Audience], str],
    ) -> None:
        self._hub = hub
        self._cards = cards
        self._run = run
        self._draw_events = draw_events
        self._draw_overview = draw_overview
        self._recent: deque[Happened] = deque(maxlen=REMEMBERED)
        self._marks: deque[tuple[int, str, str, str]] = deque(maxlen=REMEMBERED)

    @property
    def place(self) -> Place:
        """Where a page is that was made now."""
        return Place(self._run, self._cards.revision, self._cards.gathering)

    def recent(self, audience: Audience) -> list[Happened]:
        """Return what was told last, the latest first."""
        return [each for each in reversed(self._recent) if audience.may_hear(each.event)]

    async def stream(self, audience: Audience, place: Place | None) -> AsyncIterator[str]:
        """Yield messages for a page that was told everything up to `place`, until the manager ends."""
        subscription = self._hub.subscribe(EventQuery(tests=(_is_told,)))
        clock = asyncio.get_running_loop().time
        told, overview, quiet_since = place, "", clock()
        try:
            yield "retry: 2000\n\n"
            while (batch := await _next(subscription, TICK_S)) is not None:
                await self._cards.look()
                messages = [*self._happened(batch, audience)]
                drawn = self._draw_overview(audience)
                if drawn != overview:
                    overview = drawn
                    messages.append(_message("overview", drawn))
                if audience.sees_nodes:
                    messages += self._changed(told)
                told = self.place
                if messages:
                    quiet_since = clock()
                    yield f"id: {told}\n" + "".join(messages)
                    await asyncio.sleep(PACE_S)
                elif clock() - quiet_since > QUIET_S:
                    quiet_since = clock()
                    yield ":\n\n"
        finally:
            self._hub.unsubscribe(subscription)

    def _happened(self, batch: Batch, audience: Audience) -> list[str]:
        told = [_happening(event, line) for event, line in batch]
        for each in told:
            if each.event.mark not in self._marks:  # of several pages the first tells it
                self._marks.append(each.event.mark)
                self._recent.append(each)
        heard = [each for each in told if audience.may_hear(each.event)]
        if not heard:
            return []
        return [_message("happened", self._draw_events(heard[: -AT_ONCE - 1 : -1], max(0, len(heard) - AT_ONCE)))]

    def _changed(self, told: Place | None) -> list[str]:
        now = self.place
        if told is None or (told.run, told.gathering) != (now.run, now.gathering):
            return [_message("gathered", "")]
        changed = self._cards.since(told.revision)
        if len(changed) > CARDS_AT_ONCE:
            return [_message("gathered", "")]
        return [_message("cards", json.dumps([[card.view.address, card.html] for card in changed]))] if changed else []


async def _next(subscription: Subscription, wait_s: float) -> Batch | None:
    """Return what comes next, nothing if that takes longer than `wait_s`, None at the end."""
    try:
        async with asyncio.timeout(wait_s), aclosing(subscription.batches()) as batches:  # type: ignore[type-var]
            return await anext(batches, None)
    except TimeoutError:
        return []


def _is_told(event: Event, _name: str, _id: str) -> bool:
    return event.verb not in _UNTOLD


def _happening(event: Event, line: bytes) -> Happened:
    return Happened(event, _lines.decode(line).node.Name)


def _message(kind: str, text: str) -> str:
    """Return a server-sent event. Source: HTML Living Standard, 9.2.6."""
    data = "".join([f"data: {each}\n" for each in text.splitlines()]) or "data:\n"
    return f"event: {kind}\n{data}\n"
