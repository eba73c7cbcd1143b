"""Waiting for what comes by itself."""

import time
from collections.abc import Callable

PATIENCE_S = 60.0  # a guard against hanging, never part of what a test says


def wait_until(condition: Callable[[], object], what: str, *, patience_s: float = PATIENCE_S) -> None:
    """Return when `condition()` is true. Raises AssertionError if it never is."""
    end = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.02)
