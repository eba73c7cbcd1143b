"""A loop that waits a moment before it falls asleep, because being woken costs more than the moment.

A forwarded request of one client puts this process to sleep twice: until the engine answers, and until the client asks
again. Each time the kernel has to wake an idle core, which takes longer than all that we do with the bytes. Under load
the loop never sleeps, and none of this happens.
"""

import asyncio
import time

AWAKE_S = 80e-6
"""An engine next door that answers from memory takes less. What takes longer is not worth the wait."""


class Wakeful:
    """Keeps one event loop turning for `awake_s` seconds behind the last call of `stay_awake`; 0: never."""

    __slots__ = ("_awake_s", "_loop", "_turning", "_until", "busy")

    def __init__(self, awake_s: float = AWAKE_S) -> None:
        self._awake_s = awake_s
        self.busy = 0  # requests that are being answered
        self._until = 0.0
        self._turning: asyncio.Handle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def is_turning(self) -> bool:
        """Whether the loop is kept awake just now."""
        return self._turning is not None

    def stay_awake(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look for input without sleep until the moment is over."""
        self._until = time.monotonic() + self._awake_s
        if self._turning is None and self._awake_s:
            self._loop = loop
            self._turning = loop.call_soon(self._turn)

    def _turn(self) -> None:
        if self._loop is None or time.monotonic() >= self._until:
            self._turning = None
        else:
            self._turning = self._loop.call_soon(self._turn)
