"""Documents whose commands are run: what stands in their blocks, and whether it is what is printed now."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

Run = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Step:
    """One command of a document, and what it says that it prints."""

    command: str
    output: str


def steps(block: str) -> list[Step]:
    """Return the steps of one block: `$ command`, and what follows until the next one."""
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    return [Step(command, output.strip("\n")) for command, _, output in (part.partition("\n") for part in parts)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Compares what is printed with what stands in a document."""

    reads: re.Pattern[str]  # commands that change nothing: they are run again until `patience_s` are over
    chance: Sequence[tuple[re.Pattern[str], str]]  # what differs from run to run, and what stands for it
    patience_s: float

    def without_chance(self, text: str) -> list[str]:
        """Return the lines of `text` without what differs from run to run, in an order of their own."""
        found = []
        for line in filter(str.strip, text.splitlines()):
            for pattern, word in self.chance:
                line = pattern.sub(word, line)
            found.append(line.strip())
        return sorted(found)

    def check(self, run: Run, step: Step) -> None:
        """Run `step`; what only reads is given time to come to what the document says. Fails if it does not."""
        end = time.monotonic() + self.patience_s
        while self.without_chance(printed := run(step.command)) != self.without_chance(step.output):
            if not self.reads.match(step.command) or time.monotonic() > end:
                pytest.fail(f"$ {step.command}\n{printed}\ninstead of\n{step.output}")
            time.sleep(0.3)
