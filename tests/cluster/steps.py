"""How much work something is: the same number on every machine, however busy that is."""

import gc
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, TypeAlias

import swarmproxy

TraceFunction: TypeAlias = Callable[[FrameType, str, Any], Any]
OURS = str(Path(swarmproxy.__file__).parent)


def steps_of(work: Callable[[], object]) -> int:
    """Return how many lines of ours `work` runs: the same on every machine, however busy it is."""
    steps = 0

    def step(frame: FrameType, event: str, _argument: object) -> TraceFunction | None:
        nonlocal steps
        if event == "call" and not frame.f_code.co_filename.startswith(OURS):
            return None
        steps += event == "line"
        return step

    before = sys.gettrace()
    gc.disable()  # what other tests have left would end in the middle, and be counted
    sys.settrace(step)
    try:
        work()
    finally:
        sys.settrace(before)
        gc.enable()
    return steps
