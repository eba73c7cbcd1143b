"""Waiting for what comes by itself."""

import time
from collections.abc import Callable

PATIENCE_S = 60.0  # a guard against hanging, never part of what a test says
NAP_MIN_S, NAP_MAX_S, NAP_SHARE = 0.02, 0.3, 0.1


def nap(since: float) -> None:
    """Sleep between two looks at what one waits for since `since` (of `time.monotonic`): a tenth of that time.

    Who looks all the time takes the processor from what they wait for, and from all other tests.
    """
    time.sleep(min(NAP_MAX_S, max(NAP_MIN_S, (time.monotonic() - since) * NAP_SHARE)))


def wait_until(condition: Callable[[], object], what: str, *, patience_s: float = PATIENCE_S) -> None:
    """Return when `condition()` is true. Raises AssertionError if it never is."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() < begun + patience_s, f"waited in vain for {what}"
        nap(begun)
