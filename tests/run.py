"""Run all tests in groups, side by side: `python -m tests.run` (what `make test` calls).

The tests are shared out between processes; those with engines run in sandboxes, each with its own engines.
Prints each group's report when it is done, then the closing line of each. Exits with 1 if any failed.
"""

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO

from tests.hosts import base_image, sandbox, suites

SHARES = 2  # of the tests with engines, and of those with stores
PYTEST = (
    sys.executable,
    "-m",
    "pytest",
    "-q",
    "-p",
    "no:cacheprovider",
    "--durations=5",
    "--durations-min=2",
)
IN_SANDBOX = (sys.executable, "-m", "tests.hosts.sandbox", "--")
ENDS_WITH_US = ("setpriv", "--pdeathsig", "TERM")


@dataclass(slots=True)
class Group:
    """One pytest process and its report."""

    name: str
    command: Sequence[str]
    report: IO[bytes] = field(default_factory=tempfile.TemporaryFile)
    started_at: float = field(default_factory=time.monotonic)
    process: "subprocess.Popen[bytes] | None" = None
    took_s: float = 0.0

    def start(self) -> None:
        """Start it; its output goes to the report."""
        self.process = subprocess.Popen(
            [*ENDS_WITH_US, *self.command],
            stdin=subprocess.DEVNULL,
            stdout=self.report,
            stderr=subprocess.STDOUT,
            cwd=Path(__file__).parents[1],
        )

    def is_done(self) -> bool:
        """Say whether it has ended."""
        return self.process is not None and self.process.poll() is not None

    @property
    def code(self) -> int:
        """The exit status; not 0 while it runs."""
        return 1 if self.process is None or self.process.returncode is None else self.process.returncode

    def text(self) -> str:
        """Return the report so far."""
        self.report.seek(0)
        return self.report.read().decode(errors="replace")

    def closing_line(self) -> str:
        """Return pytest's last line."""
        return next((line for line in reversed(self.text().splitlines()) if line.strip()), "no output")


def make_groups() -> list[Group]:
    """Return all groups, not started yet."""
    groups = []
    for share in (f"{number}/{SHARES}" for number in range(1, SHARES + 1)):
        pytest = [*PYTEST, "--share", share]
        groups.append(Group(f"with engines {share}", [*IN_SANDBOX, *pytest, "-m", "engines or image"]))
        groups.append(Group(f"with stores {share}", [*pytest, "-m", "stores"]))
    groups.append(Group("the rest", [*PYTEST, "-m", "not engines and not image and not stores"]))
    return groups


def main() -> int:
    """Return 0 if all groups passed."""
    sandbox.demand_root()
    suites.main()
    base_image.main()
    groups = make_groups()

    def end(number: int, _frame: FrameType | None) -> None:
        for group in groups:
            if group.process is not None:
                group.process.terminate()
        for group in groups:
            if group.process is not None:
                group.process.wait()
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    print(f"running {', '.join(group.name for group in groups)} side by side", flush=True)
    for group in groups:
        group.start()
    waiting = list(groups)
    while waiting:
        for group in [group for group in waiting if group.is_done()]:
            waiting.remove(group)
            group.took_s = time.monotonic() - group.started_at
            print(f"\n===== {group.name}\n{group.text()}", flush=True)
        time.sleep(0.2)
    print("\n===== all groups")
    for group in groups:
        verdict = "passed" if group.code == 0 else f"FAILED ({group.code})"
        print(f"{group.name}: {verdict} in {group.took_s:.0f} s: {group.closing_line()}")
    return int(any(group.code for group in groups))


if __name__ == "__main__":
    sys.exit(main())
