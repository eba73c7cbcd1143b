"""One event stream for each engine: nothing missed, nothing told twice, and what to read again."""

import asyncio
import enum
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from swarmproxy.engine.client import EngineClient, Moments, raise_if_refused
from swarmproxy.engine.settings import EngineSettings, jittered
from swarmproxy.engine.shared import Tally
from swarmproxy.errors import EngineUnreachable, SwarmError
from swarmproxy.model.event import Event
from swarmproxy.model.event import from_engine as read_event
from swarmproxy.wire.lines import Lines

log = logging.getLogger("swarmproxy.engine")

NANOSECONDS = 1_000_000_000
OVERLAP_NS = NANOSECONDS  # events can be sent a little out of the order of their times
REMEMBERED = 1024
STROKES = 32  # streams end at so many moments of a beat: engines that tell at once wake us once


class Effect(enum.Enum):
    """What has to be read again after an event."""

    NOTHING = enum.auto()
    CONTAINER = enum.auto()  # the one it is about
    GONE = enum.auto()  # nothing: the container is no more
    IMAGES = enum.auto()
    NETWORKS = enum.auto()
    ENDPOINT = enum.auto()  # the container it is about, and the networks: one of a swarm comes with its first container
    VOLUMES = enum.auto()
    SPECS = enum.auto()


_NOISE = frozenset(
    [
        "top",
        "resize",
        "export",
        "exec_create",
        "exec_start",
        "exec_die",
        "exec_detach",
        "attach",
        "detach",
        "extract-to-dir",
        "copy",
        "archive-path",
    ]
)
_ONE_NODE_DRIVERS = frozenset(("bridge", "host", "null", "none", "macvlan", "ipvlan"))

_OF_A_SWARM = "ingress"  # the network that comes when an engine joins a swarm: a worker tells no more of that


def effect_of(event: Event) -> tuple[Effect, str]:
    """Return what `event` makes us read again, and the ID of the container it is about.

    Source: classic Swarm 1.2, cluster/engine.go; actions with an argument (`exec_create: sh`) and a network's
    connect, which changes a container, are ours.
    """
    verb = event.action.partition(":")[0]
    match event.type:
        case "container":
            if verb in _NOISE:
                return Effect.NOTHING, ""
            if verb == "commit":
                return Effect.IMAGES, ""
            return (Effect.GONE if verb == "destroy" else Effect.CONTAINER), event.actor_id
        case "network" if verb in ("connect", "disconnect"):
            own = event.attributes.get("type", "bridge") in _ONE_NODE_DRIVERS
            return (Effect.CONTAINER if own else Effect.ENDPOINT), event.attributes.get("container", "")
        case "network" if verb in ("create", "destroy") and event.attributes.get("name") == _OF_A_SWARM:
            return Effect.SPECS, ""
        case "network":
            return Effect.NETWORKS, ""
        case "node" if verb != "update" or any(key.endswith(".new") for key in event.attributes):  # of a swarm
            return Effect.SPECS, ""
        case "volume" if verb not in ("mount", "unmount"):
            return Effect.VOLUMES, ""
        case "image":
            return Effect.IMAGES, ""
        case "plugin":  # brings and takes drivers
            return Effect.SPECS, ""
        case "daemon" if verb == "reload":
            return Effect.SPECS, ""
    return Effect.NOTHING, ""


@dataclass(frozen=True, slots=True)
class EngineClock:
    """An engine's clock, as it was read once."""

    lead_ns: int = 0  # ahead of our monotonic clock
    is_known: bool = False  # the engine told

    @classmethod
    def read(cls, moment_ns: int, at_ns: int) -> "EngineClock":
        """Return the clock that said `moment_ns` when our monotonic clock said `at_ns`; 0: it said nothing."""
        return cls(moment_ns - at_ns, is_known=True) if moment_ns else cls()

    def now_ns(self) -> int:
        """What it says now; 0 if it is not known."""
        return time.monotonic_ns() + self.lead_ns if self.is_known else 0


class Follower:
    """Follows the events of one engine, across broken streams.

    A stream is asked to end after a while, and followed by the next one on the same connection. So an engine that has
    nothing to tell says now and then that it is well, and costs no second connection and no question besides. One that
    ends streams at other moments is not asked for that, and pinged instead.

    Each stream is opened from the last moment seen, by the engine's own clock, with a little overlap; what
    comes twice is told once. The engine remembers only its latest events, and none across its own restart, so
    `on_gap` asks for a full reading after each reopening.
    """

    def __init__(
        self,
        address: str,
        client: EngineClient,
        settings: EngineSettings,
        *,
        clock: "EngineClock",
        skew_ns: Callable[[], int],
        on_event: Callable[[Event], None],
        on_break: Callable[[], None],
        on_gap: Callable[[], None],
        tally: Tally,
    ) -> None:
        self._address = address
        self._client = client
        self._settings = settings
        self.clock = clock
        self._latest_ns = clock.now_ns()  # of the engine's clock; 0: begin now
        self._skew_ns = skew_ns
        self._on_event = on_event
        self._on_break = on_break
        self._on_gap = on_gap
        self._tally = tally
        self._told: deque[tuple[int, int]] = deque(maxlen=REMEMBERED)  # (moment, hash) within the overlap
        self._told_set: set[tuple[int, int]] = set()
        self._stream: Lines | None = None
        self._opened_at = 0.0  # the first of the streams that follow each other, by the loop's clock; 0: none is open
        self._asked_at = 0.0  # the stream of now, likewise
        self._until_ns = 0  # when it ends, by the engine's clock; 0: never
        self._unreadable = 0  # lines of it
        self._beats = True  # streams are opened for a while only: that they end shows that the engine is well
        self._retry = asyncio.Event()
        self._has_gap = False  # since the last stream something may have been missed
        self.error = ""  # why the last stream ended
        self.opened = asyncio.Event()  # the first stream is open: what happens from now on will be told

    def restart(self) -> None:
        """Open a new stream now: the engine was away, and the old one may be dead without a word."""
        if self._stream is not None:
            self._stream.end()
        self._retry.set()

    def set_clock(self, clock: "EngineClock") -> None:
        """Take in what the engine's clock says now."""
        self.clock = clock
        self._beats = True

    async def run(self) -> None:
        """Follow until cancelled. A stream that ends is opened again, after a wait that grows while none lasts."""
        loop = asyncio.get_running_loop()
        settings = self._settings
        failed = 0
        while True:
            self._retry.clear()
            self._opened_at = 0.0
            self.error = "the engine ended it"
            try:
                while await self._follow():
                    failed = 0
            except SwarmError as error:
                self.error = str(error)
            except Exception as error:
                self.error = f"{type(error).__name__}: {error}"
                log.exception("error monitoring events", extra={"addr": self._address})
            if self._opened_at and loop.time() - self._opened_at > settings.reopen_max_s:
                failed = 0
            if self._retry.is_set():
                self.error = ""  # restart() ended it
            else:
                if not failed:
                    extra = {"addr": self._address, "error": self.error}
                    log.warning("error monitoring events, will restart", extra=extra)
                self._on_break()
            self._has_gap = self.opened.is_set()
            wait_s = min(settings.reopen_min_s * 2 ** min(failed, 16), settings.reopen_max_s)
            failed += 1
            try:
                async with asyncio.timeout(jittered(wait_s)):
                    await self._retry.wait()
            except TimeoutError:
                pass

    async def _follow(self) -> bool:
        """Read streams until one is not followed by the next; return whether that need be said to nobody.

        Raises SwarmError when one breaks.
        """
        stream = await self._client.events(self._tell, self._moments(), self._again)
        self._opened_at = asyncio.get_running_loop().time()
        try:
            self._stream = stream
            if self._has_gap:
                self._has_gap = False
                self._tally.gaps += 1
                self._on_gap()
            self.opened.set()
            await stream.wait_for_end()
            raise_if_refused(stream)
        except EngineUnreachable:
            if not stream.is_cut_between:
                raise
            return True
        finally:
            self._stream = None
            stream.end()
        return not self._retry.is_set() and self._has_ended_as_asked()

    def _moments(self) -> Moments:
        """Return from which moment on the next stream has to tell, and when it has to end."""
        beat_s = jittered(self._settings.beat_s, 0.1)
        beat_s -= (time.monotonic() + beat_s) % (self._settings.beat_s / STROKES)
        since_ns = max(self._latest_ns - OVERLAP_NS, 1) if self._told else self._latest_ns
        until_ns = self.clock.now_ns() + int(beat_s * NANOSECONDS) if self._beats and self.clock.is_known else 0
        if until_ns <= since_ns:
            until_ns = 0  # an engine refuses that: its clock was set back
        self._until_ns, self._asked_at, self._unreadable = until_ns, asyncio.get_running_loop().time(), 0
        return _seconds(since_ns), _seconds(until_ns)

    def _again(self) -> Moments | None:
        return self._moments() if self._has_ended_as_asked() else None

    def _has_ended_as_asked(self) -> bool:
        """Take note of the end of a stream; return whether it came at the moment that was asked for."""
        if not self._until_ns:
            return False
        if asyncio.get_running_loop().time() - self._asked_at < self._settings.beat_s / 2:
            self._beats = False  # its clock was set forward, or it does not wait: it may end each one at once
            return False
        self._latest_ns = max(self._latest_ns, self._until_ns - OVERLAP_NS)
        return True

    def _tell(self, line: bytes) -> None:
        try:
            event = read_event(line, skew_ns=self._skew_ns())
        except SwarmError as error:
            if not self._unreadable:
                log.warning("event cannot be read", extra={"addr": self._address, "error": str(error)})
            self._unreadable += 1
            return
        if self._is_new(event):
            self._tally.events += 1
            self._on_event(event)

    def _is_new(self, event: Event) -> bool:
        if not event.time_ns:
            return True
        moment_ns = event.time_ns - self._skew_ns()
        mark = (moment_ns, hash((event.type, event.action, event.actor_id)))
        if mark in self._told_set:
            return False
        if not event.is_of_swarm:  # whose time is by another clock
            self._latest_ns = max(self._latest_ns, moment_ns)
        if len(self._told) == REMEMBERED:
            self._told_set.discard(self._told.popleft())
        self._told.append(mark)
        self._told_set.add(mark)
        while self._told and self._told[0][0] < self._latest_ns - OVERLAP_NS:
            self._told_set.discard(self._told.popleft())
        return True


def _seconds(moment_ns: int) -> str:
    """Return a moment as Docker's parameters have it; empty for none."""
    return f"{moment_ns // NANOSECONDS}.{moment_ns % NANOSECONDS:09d}" if moment_ns else ""
