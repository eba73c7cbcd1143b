"""What all engines of a manager have in common."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from swarmproxy.engine.wheel import Wheel
from swarmproxy.wire.idle import Idle

STARTS = 64  # engines that are read at once: more would take memory, not be faster
PATIENCE_S = 1.0
LOOK_S = 0.25


class Gate:
    """Lets a few in at a time. Who stays longer than `patience_s` does not count: it waits for its engine."""

    def __init__(self, places: int = STARTS, *, patience_s: float = PATIENCE_S) -> None:
        self._places = asyncio.Semaphore(places)
        self._patience_s = patience_s
        self._has_begun = False
        self._present = 0  # inside, or waiting for a place

    async def enter(self) -> "Place":
        """Return when there is a place. Whoever enters leaves, too."""
        self._has_begun = True
        self._present += 1
        try:
            await self._places.acquire()
        except BaseException:
            self._present -= 1
            raise
        return Place(self._let_in, self._patience_s)

    async def calm(self) -> None:
        """Return when some have come, and nobody is inside or waits any more; or a moment later."""
        while not self._has_begun or self._present:  # noqa: ASYNC110 - to be exact would cost each that leaves
            await asyncio.sleep(LOOK_S)

    def _let_in(self) -> None:
        self._present -= 1
        self._places.release()


class Place:
    """A place of a Gate."""

    __slots__ = ("_let_in", "_timer")

    def __init__(self, let_in: Callable[[], None], patience_s: float) -> None:
        self._let_in: Callable[[], None] | None = let_in
        self._timer = asyncio.get_running_loop().call_later(patience_s, self.leave)

    def leave(self) -> None:
        """Let the next one in; once is enough."""
        let_in, self._let_in = self._let_in, None
        if let_in is not None:
            self._timer.cancel()
            let_in()


@dataclass(slots=True)
class Tally:
    """What was counted of all engines, those that have left included."""

    events: int = 0  # that engines told of, each once
    gaps: int = 0  # event streams opened anew after some may have been missed: all was read again
    refreshes: int = 0
    failed_refreshes: int = 0


@dataclass(slots=True)
class Shared:
    """One for each manager."""

    wheel: Wheel = field(default_factory=Wheel)
    gate: Gate = field(default_factory=Gate)
    idle: Idle = field(default_factory=Idle)
    tally: Tally = field(default_factory=Tally)
