"""Where builds run: all that belongs to one build, or to one client of BuildKit, is on one engine.

Nothing in BuildKit's control connection (`/grpc`) says which sessions belong to it, and what flows there is not ours
to read. So it is the client that is tied to an engine: as long as one of its connections is open, and for a while
after. Two builds of one client at the same time share an engine, those of different clients do not have to.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from swarmproxy.cluster.reservations import Reservations
from swarmproxy.engine.engine import Engine, State
from swarmproxy.model.spec import ContainerSpec

KEPT_S = 60.0  # after the last connection: buildx opens and closes some before the one that lasts


@dataclass(frozen=True, slots=True)
class Key:
    """What a request is known by: the id of a `build`, the id of a `session`, or the `client` it comes from."""

    kind: str
    value: str


@dataclass(slots=True, eq=False)
class Place:
    """A build, or a client that builds, on its engine. It counts as a container there while it is open."""

    engine: Engine
    open: int = 0  # requests and streams in progress
    left_at: float = 0.0
    held: ExitStack = field(default_factory=ExitStack)


class Builds:
    """Which engine each build, session and client has, and which engines are being built on."""

    def __init__(self, reservations: Reservations, clock: Callable[[], float] = time.monotonic) -> None:
        self._reservations = reservations
        self._clock = clock
        self._places: dict[Key, Place] = {}
        self._open: dict[Place, None] = {}
        self._waiting: set[asyncio.Future[None]] = set()
        self._numbers = itertools.count(1)

    def engines(self) -> set[Engine]:
        """The engines that something is being built on."""
        return {place.engine for place in self._open}

    def find(self, *keys: Key, open_only: bool = False) -> Engine | None:
        """Return the engine of the first key that has one which answers; None if there is none."""
        place = self._find(keys, open_only=open_only)
        return place.engine if place is not None else None

    async def wait_for(self, known: Callable[[], object], *, timeout_s: float) -> None:
        """Return when `known()` is true, or after `timeout_s`. It is asked again whenever a key gets an engine."""
        try:
            async with asyncio.timeout(timeout_s):
                while not known():
                    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                    self._waiting.add(waiter)
                    try:
                        await waiter
                    finally:
                        self._waiting.discard(waiter)
        except TimeoutError:
            return

    @contextmanager
    def hold(self, keys: tuple[Key, ...], spec: ContainerSpec, choose: Callable[[], Engine]) -> Iterator[Engine]:
        """Give the engine of the first key that has one, or the one that `choose` returns; all `keys` have it then.

        `spec` counts there until the last block for the same place is left. Synchronous: from the choice to the
        reservation nobody else chooses.
        """
        self._forget_old()
        place = self._find(keys)
        if place is None:
            place = Place(choose())
        if not place.open:
            self._open[place] = None
            reservation = self._reservations.place(spec, place.engine, f"build {next(self._numbers)}")
            place.held.enter_context(reservation)
        place.open += 1
        self._places.update(dict.fromkeys(keys, place))
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
        try:
            yield place.engine
        finally:
            place.open -= 1
            if not place.open:
                del self._open[place]
                place.left_at = self._clock()
                place.held.close()

    def _find(self, keys: tuple[Key, ...], *, open_only: bool = False) -> Place | None:
        for key in keys:
            place = self._places.get(key)
            if place is not None and place.engine.state is State.HEALTHY and (place.open or not open_only):
                return place
        return None

    def _forget_old(self) -> None:
        before = self._clock() - KEPT_S
        for key in [key for key, place in self._places.items() if not place.open and place.left_at < before]:
            del self._places[key]
