"""Many waits on one timer of the event loop."""

import asyncio
from collections.abc import Callable

TICK_S = 0.25


class Wheel:
    """Calls back after about the time that was asked for: up to a tick later.

    Thousands of engines wait for something all the time, and nearly all of their waits end early. Here a wait costs an
    entry in a list.
    """

    __slots__ = ("_slots", "_tick_s", "_timer")

    def __init__(self, tick_s: float = TICK_S) -> None:
        self._tick_s = tick_s
        self._slots: dict[int, list[Callable[[], None]]] = {}  # by number of the tick
        self._timer: asyncio.TimerHandle | None = None

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> None:
        """Call `callback` in `delay_s`. It cannot be taken back, and must neither block nor raise."""
        loop = asyncio.get_running_loop()
        slot = int((loop.time() + delay_s) / self._tick_s) + 1
        self._slots.setdefault(slot, []).append(callback)
        if self._timer is None:
            self._timer = loop.call_later(self._tick_s, self._turn)

    def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        now = int(loop.time() / self._tick_s)
        self._timer = None
        for slot in sorted(each for each in self._slots if each <= now):
            for callback in self._slots.pop(slot):
                callback()
        if self._slots and self._timer is None:
            self._timer = loop.call_later(self._tick_s, self._turn)
