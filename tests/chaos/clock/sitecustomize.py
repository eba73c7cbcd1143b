"""Python imports this by itself in a process whose clock libfaketime keeps: there time.sleep does not work.

Source: libfaketime 0.9.10, where clock_nanosleep until a moment of the monotonic clock fails with EINVAL.
"""

import select
import time


def sleep(seconds: float) -> None:
    """Return after so many seconds."""
    select.select((), (), (), seconds)


time.sleep = sleep  # type: ignore[assignment]
