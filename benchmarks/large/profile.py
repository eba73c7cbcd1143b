"""`python -m benchmarks.large.profile`: where the manager's processor time goes during one bench, as py-spy sees it."""

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

import click

from benchmarks.fleet.__main__ import take_all_descriptors
from benchmarks.large.benches import CREATES, REQUESTS, STREAMS, Scene
from benchmarks.large.stand import OUR_MANAGER, start_fleet, start_manager
from benchmarks.runner import BenchError, start_load, take_sample
from benchmarks.stand import StandError

RATE = 200  # samples a second
NOISE = (
    "runpy",
    "click/",
    "uvloop/",
    "asyncio/runners",
    "swarmproxy/cli/",
    "swarmproxy/__main__",
)  # always on the stack


def hottest(stacks: str, count: int) -> Iterator[str]:
    """Yield lines about the functions that were running, then about those that were on the stack. Shares in %."""
    running: Counter[str] = Counter()
    on_stack: Counter[str] = Counter()
    for line in stacks.splitlines():
        stack, _, number = line.rpartition(" ")
        frames = stack.split(";")
        running[frames[-1]] += int(number)
        on_stack.update(dict.fromkeys(frames, int(number)))
    total = running.total() or 1
    for title, found in (("running", running), ("on the stack", on_stack)):
        yield f"  {title}"
        shown = [each for each in found.most_common() if not any(noise in each[0] for noise in NOISE)]
        yield from (f"  {100 * number / total:5.1f} %  {frame}" for frame, number in shown[:count])


@contextmanager
def recording(pid: int, title: str, count: int) -> Iterator[None]:
    """Print where process `pid` spent its time in the block."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "stacks")
        options = ("--pid", str(pid), "--rate", str(RATE), "--format", "raw", "--output", str(path))
        spy = subprocess.Popen(
            (find_spy(), "record", "--duration", "600", *options), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            yield
        finally:
            spy.send_signal(signal.SIGINT)
            spy.wait()
        click.echo(title)
        click.echo("\n".join(hottest(path.read_text(), count)))


def find_spy() -> str:
    """Return where py-spy is. Raises StandError."""
    beside = Path(sys.executable).parent / "py-spy"
    if found := shutil.which("py-spy") or (str(beside) if beside.exists() else None):
        return found
    raise StandError("py-spy is missing: pip install py-spy")


@click.command()
@click.option("--engines", default=1000, show_default=True, help="How many.")
@click.option("--benches", default="*", show_default=True, help="Patterns of benches: create-*,info")
@click.option("--seconds", default=3.0, show_default=True, help="For how long each.")
@click.option("--lines", "count", default=15, show_default=True, help="How many functions to show.")
@click.option("--manager", default=OUR_MANAGER, metavar="CMD", help="The command line of the manager.")
def main(*, engines: int, benches: str, seconds: float, count: int, manager: str) -> None:
    """Print which functions of a manager cost most, bench by bench."""
    take_all_descriptors()
    patterns = benches.split(",")
    with tempfile.TemporaryDirectory(prefix="swarmproxy-profile-") as directory:
        logs = Path(directory)
        try:
            find_spy()
            with (
                start_fleet(engines, 30, logs) as fleet,
                start_load(logs, None, str(fleet.control_path)) as load,
                start_manager("manager", manager, fleet, logs / "manager.log") as ready,
            ):
                child = ready.target.child
                assert child is not None
                scene = Scene(engines=fleet.in_one_process, containers=30, seconds=seconds, readers=1000, burst=100_000)
                for bench in (*REQUESTS, *CREATES, *STREAMS):
                    if any(fnmatch(bench.key, pattern) for pattern in patterns):
                        with recording(child.process.pid, bench.key, count):
                            time.sleep(0.3)  # until it records
                            sample = take_sample(load, bench.make(scene), ready.target)
                        click.echo(f"  {sample['cpu_us']:,.0f} µs of CPU for each of {sample['operations']:,.0f}\n")
        except (StandError, BenchError) as error:
            raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
