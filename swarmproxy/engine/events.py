"""One event stream for each engine: nothing missed, nothing told twice, and what to read again."""

import asyncio
import enum
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable

from swarmproxy.engine.client import EngineClient
from swarmproxy.engine.settings import EngineSettings, jittered
from swarmproxy.errors import SwarmError
from swarmproxy.model.event import Event
from swarmproxy.model.event import from_engine as read_event

log = logging.getLogger("swarmproxy.engine")

NANOSECONDS = 1_000_000_000
OVERLAP_NS = NANOSECONDS  # events can be sent a little out of the order of their times
REMEMBERED = 1024


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


class Follower:
    """Follows the events of one engine, across broken streams.

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
        clock_ns: int,
        skew_ns: Callable[[], int],
        on_event: Callable[[Event], None],
        on_break: Callable[[], None],
        on_gap: Callable[[], None],
    ) -> None:
        self._address = address
        self._client = client
        self._settings = settings
        self._latest_ns = clock_ns  # of the engine's clock; 0: begin now
        self._skew_ns = skew_ns
        self._on_event = on_event
        self._on_break = on_break
        self._on_gap = on_gap
        self._told: deque[tuple[int, int]] = deque(maxlen=REMEMBERED)  # (moment, hash) within the overlap
        self._told_set: set[tuple[int, int]] = set()
        self._reading: asyncio.Timeout | None = None
        self._opened_at = 0.0  # the stream of now, by the loop's clock; 0: none is open
        self._retry = asyncio.Event()
        self.error = ""  # why the last stream ended
        self.opened = asyncio.Event()  # the first stream is open: what happens from now on will be told

    def restart(self) -> None:
        """Open a new stream now: the engine was away, and the old one may be dead without a word."""
        if self._reading is not None and self._opened_at:
            self._reading.reschedule(asyncio.get_running_loop().time())
        self._retry.set()

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
                await self._follow()
            except SwarmError as error:
                self.error = str(error)
            except TimeoutError:
                self.error = ""  # restart() ended it
            except Exception as error:
                self.error = f"{type(error).__name__}: {error}"
                log.exception("error monitoring events", extra={"addr": self._address})
            if self._opened_at and loop.time() - self._opened_at > settings.reopen_max_s:
                failed = 0
            if self.error:
                if not failed:
                    extra = {"addr": self._address, "error": self.error}
                    log.warning("error monitoring events, will restart", extra=extra)
                self._on_break()
            wait_s = min(settings.reopen_min_s * 2 ** min(failed, 16), settings.reopen_max_s)
            failed += 1
            try:
                async with asyncio.timeout(jittered(wait_s)):
                    await self._retry.wait()
            except TimeoutError:
                pass

    async def _follow(self) -> None:
        """Read one stream until it ends. Raises SwarmError when it breaks, TimeoutError after `restart`."""
        since_ns = max(self._latest_ns - OVERLAP_NS, 1) if self._told else self._latest_ns
        since = f"{since_ns // NANOSECONDS}.{since_ns % NANOSECONDS:09d}" if since_ns else ""
        async with asyncio.timeout(None) as self._reading:
            try:
                async with self._client.events(since=since) as lines:
                    self._opened_at = asyncio.get_running_loop().time()
                    if self.opened.is_set():
                        self._on_gap()
                    self.opened.set()
                    await self._tell_all(lines)
            finally:
                self._reading = None

    async def _tell_all(self, lines: AsyncIterator[bytes]) -> None:
        unreadable = 0
        async for line in lines:
            try:
                event = read_event(line, skew_ns=self._skew_ns())
            except SwarmError as error:
                if not unreadable:
                    log.warning("event cannot be read", extra={"addr": self._address, "error": str(error)})
                unreadable += 1
                continue
            if self._is_new(event):
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
