"""The hub's own time, which passes only while agents can reach it."""

import time
from collections.abc import Callable

LONGEST_STEP_S = 3.0


class UptimeClock:
    """Seconds for which the hub was at work, in this process and those before it.

    Entries live by this clock: while a hub is down or frozen nobody can renew one, so none may expire, or a restart
    would empty every cluster. The clock of the machine may jump as it likes.
    """

    def __init__(self, begin_s: float = 0.0, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._now_s = begin_s
        self._monotonic = monotonic
        self._looked_s = monotonic()

    def now(self) -> float:
        """Return the time. It has to be asked more often than every LONGEST_STEP_S: what is over counts as a halt."""
        looked_s = self._monotonic()
        self._now_s += min(looked_s - self._looked_s, LONGEST_STEP_S)
        self._looked_s = looked_s
        return self._now_s
