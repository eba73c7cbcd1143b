"""What all engines of a manager have in common."""

import asyncio
from dataclasses import dataclass, field

from swarmproxy.engine.wheel import Wheel
from swarmproxy.wire.idle import Idle

STARTS = 64  # engines that are read at once: more would take memory, not be faster
PATIENCE_S = 1.0


class Gate:
    """Lets a few in at a time. Who stays longer than `patience_s` does not count: it waits for its engine."""

    def __init__(self, places: int = STARTS, *, patience_s: float = PATIENCE_S) -> None:
        self._places = asyncio.Semaphore(places)
        self._patience_s = patience_s

    async def enter(self) -> "Place":
        """Return when there is a place. Whoever enters leaves, too."""
        await self._places.acquire()
        return Place(self._places, self._patience_s)


class Place:
    """A place of a Gate."""

    __slots__ = ("_places", "_timer")

    def __init__(self, places: asyncio.Semaphore, patience_s: float) -> None:
        self._places: asyncio.Semaphore | None = places
        self._timer = asyncio.get_running_loop().call_later(patience_s, self.leave)

    def leave(self) -> None:
        """Let the next one in; once is enough."""
        places, self._places = self._places, None
        if places is not None:
            self._timer.cancel()
            places.release()


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
