"""How much work something is: the same number on every machine, however busy that is."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeAlias

TraceFunction: TypeAlias = Callable[[FrameType, str, Any], Any]


def steps_of(work: Callable[[], object]) -> int:
    """Return how many lines of ours `work` runs: the same on every machine, however busy it is."""
    steps = 0

    def step(_frame: FrameType, event: str, _argument: object) -> TraceFunction:
        nonlocal steps
        steps += event == "line"
        return step

    before = sys.gettrace()
    sys.settrace(step)
    try:
        work()
    finally:
        sys.settrace(before)
    return steps
