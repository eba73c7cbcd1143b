"""Run lint and all tests in groups, side by side: `python -m tests.run` (what `make test` calls).

The tests are shared out between processes; those with engines run in sandboxes, each with its own engines. What they
need from the network is fetched meanwhile; only the groups that need it wait for that.
Prints each group's report when it is done, then the closing line of each. Exits with 1 if any failed.

Up to `FEW` tests that fail in this crowd are run once more, when nothing else runs. If they pass then the run is green,
and its last lines name them: a machine that is late is no news, but such a test has to be mended.
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

from tests.hosts import sandbox
from tests.places import PLACES

REPOSITORY = Path(__file__).parents[1]
CACHE = REPOSITORY / ".cache"  # seen from the sandboxes, too
ENGINE_SHARES = 4
STORE_SHARES = 2
REST_SHARES = 3  # which mostly wait
FEW = 3
STUCK_S = 1200  # pytest then shows where a test is that takes so long; chaos takes half of it
PATIENCE_S = 3600.0  # a guard: whoever runs us may have a limit, after which nobody would learn what hangs
PYTEST = (
    sys.executable,
    "-m",
    "pytest",
    "-q",
    "-p",
    "no:cacheprovider",
    "--durations=5",
    "--durations-min=2",
    "-o",
    f"faulthandler_timeout={STUCK_S}",
)
IN_SANDBOX = (sys.executable, "-m", "tests.hosts.sandbox", "--")
ENDS_WITH_US = ("setpriv", "--pdeathsig", "TERM")


@dataclass(slots=True)
class Group:
    """One process and its report. It starts when the groups `after` have ended, in whatever way."""

    name: str
    command: Sequence[str]
    after: "Sequence[Group]" = ()
    failures: Path | None = None  # in which it writes the tests that fail, one in a line
    report: IO[bytes] = field(default_factory=tempfile.TemporaryFile)
    started_at: float = 0.0
    process: "subprocess.Popen[bytes] | None" = None
    took_s: float = 0.0

    def start(self) -> None:
        """Start it; its output goes to the report."""
        self.started_at = time.monotonic()
        failures = [f"--failures={self.failures}"] if self.failures is not None else []
        self.process = subprocess.Popen(
            [*ENDS_WITH_US, *self.command, *failures],
            stdin=subprocess.DEVNULL,
            stdout=self.report,
            stderr=subprocess.STDOUT,
            cwd=REPOSITORY,
        )

    def can_start(self) -> bool:
        """Say whether it has not started yet, and nothing is left to wait for."""
        return self.process is None and all(group.is_done() for group in self.after)

    def is_done(self) -> bool:
        """Say whether it has ended."""
        return self.process is not None and self.process.poll() is not None

    @property
    def code(self) -> int:
        """The exit status; not 0 while it runs."""
        return 1 if self.process is None or self.process.returncode is None else self.process.returncode

    def failed_tests(self) -> list[str] | None:
        """Return which tests failed; None if something else did, or it is not known."""
        if self.failures is None or self.code != 1 or not self.failures.exists():
            return None
        return sorted(set(self.failures.read_text().splitlines()))

    def text(self) -> str:
        """Return the report so far."""
        self.report.seek(0)
        return self.report.read().decode(errors="replace")

    def closing_line(self) -> str:
        """Return the last line that says something."""
        return next((line for line in reversed(self.text().splitlines()) if line.strip()), "no output")


def make_groups(claims: Path) -> list[Group]:
    """Return all groups, not started yet. In `claims` they say what they have taken."""
    fetched = Group("engines and stores of other releases", [sys.executable, "-m", "tests.hosts.suites"])
    base = Group("base of the image", [sys.executable, "-m", "tests.hosts.base_image"])
    groups = [Group("lint", ["make", "--no-print-directory", "lint"]), fetched, base]
    groups += [
        Group("chaos", [*IN_SANDBOX, *PYTEST, "-m", "chaos", *PLACES["chaos"]], after=[fetched])
    ]  # long, and mostly waits
    pytest = [*IN_SANDBOX, *PYTEST, "-m", "engines and not image", *PLACES["engines"]]
    pytest += [f"--share={make_directory(claims, 'engines')}"]
    groups += [Group(f"with engines {number}", pytest, after=[fetched]) for number in range(1, ENGINE_SHARES + 1)]
    pytest = [*PYTEST, "-m", "stores", *PLACES["stores"], f"--share={make_directory(claims, 'stores')}"]
    stores = [Group(f"with stores {number}", pytest, after=[fetched]) for number in range(1, STORE_SHARES + 1)]
    # Those with stores look at times to live, and have to be on time: what need not run beside them waits.
    image = Group("of the image", [*IN_SANDBOX, *PYTEST, "-m", "image", *PLACES["image"]], after=[base, *stores])
    pytest = [*PYTEST, "-m", "not engines and not image and not stores and not chaos"]
    pytest += [f"--share={make_directory(claims, 'rest')}"]
    rest = [Group(f"the rest {number}", pytest, after=stores) for number in range(1, REST_SHARES + 1)]
    groups += [*stores, image, *rest]
    for number, group in enumerate(groups):
        if "pytest" in group.command and group.name != "chaos":  # what chaos finds is no matter of the crowd
            group.failures = claims / f"failures-{number}"
    return groups


def make_directory(parent: Path, name: str) -> str:
    """Return a new directory in which those who share tests claim them."""
    path = parent / name
    path.mkdir()
    return str(path)


def main() -> int:
    """Return 0 if all groups passed."""
    sandbox.demand_root()
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="claims-") as claims:
        return run(make_groups(Path(claims)))


def run(groups: Sequence[Group], *, patience_s: float = PATIENCE_S) -> int:
    """Run all of `groups`; return 0 if they passed. After `patience_s` those that still run are ended."""

    def end(number: int, _frame: FrameType | None) -> None:
        end_all(groups)
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    print(f"running {', '.join(group.name for group in groups)} side by side", flush=True)
    waiting = list(groups)
    patient_until = time.monotonic() + patience_s
    while waiting:
        if late := time.monotonic() > patient_until:
            print(f"\nENDED after {patience_s:.0f} s: {', '.join(group.name for group in waiting)}", flush=True)
            end_all(groups)
        for group in [group for group in waiting if group.can_start() and not late]:
            group.start()
        for group in [group for group in waiting if group.is_done() or late]:
            waiting.remove(group)
            group.took_s = time.monotonic() - group.started_at if group.process is not None else 0.0
            print(f"\n===== {group.name}\n{group.text()}", flush=True)
        time.sleep(0.2)
    print("\n===== all groups")
    for group in groups:
        verdict = "passed" if group.code == 0 else f"FAILED ({group.code})"
        print(f"{group.name}: {verdict} in {group.took_s:.0f} s: {group.closing_line()}", flush=True)
    failed = [group for group in groups if group.code]
    return 0 if not failed or pass_alone(failed) else 1


def end_all(groups: Sequence[Group]) -> None:
    """End those that run."""
    running = [group.process for group in groups if group.process is not None]
    for process in running:
        process.terminate()
    for process in running:
        process.wait()


def pass_alone(failed: Sequence[Group]) -> bool:
    """Run the tests that failed once more, if they are few and nothing else failed; say whether they pass now."""
    told = [group.failed_tests() for group in failed]
    tests = [name for names in told for name in names or ()]
    if not tests or None in told or len(tests) > FEW:
        return False
    print(f"\n===== once more, alone: {', '.join(tests)}", flush=True)
    passed = subprocess.run([*PYTEST, *tests], stdin=subprocess.DEVNULL, cwd=REPOSITORY, check=False).returncode == 0
    print("\n".join(f"{'TO BE MENDED: passes only alone' if passed else 'FAILED twice'}: {name}" for name in tests))
    return passed


if __name__ == "__main__":
    sys.exit(main())
