"""Tests of benchmarks/processes.py and of what `python -m benchmarks` leaves behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.processes import Child, free_port, wait_for_port
from tests.program import Program
from tests.waiting import wait_until

DEADLINE_S = 120.0


def is_running(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def children_of(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def test_stop_ends_the_group(tmp_path: Path) -> None:
    """A stopped child takes its own children along, and says what it costs while it lives."""
    child = Child(("sh", "-c", "sleep 600 & echo $!; wait"), tmp_path / "log", piped=True)
    grandchild = int(child.read_line())
    child.reset_peak()
    assert child.peak_memory_kib() > 0
    assert child.memory_kib() > 0
    assert child.cpu_s() > 0
    assert len(list(child.family())) == 2
    child.stop()
    assert not child.alive
    wait_until(lambda: not is_running(grandchild), "its end")


def test_dies_with_its_parent(tmp_path: Path) -> None:
    """A child ends when the process that started it is killed."""
    program = (
        "import sys, time; from pathlib import Path; from benchmarks.processes import Child\n"
        "child = Child(('sleep', '600'), Path(sys.argv[1])); print(child.process.pid, flush=True); time.sleep(600)"
    )
    with Program((sys.executable, "-c", program, str(tmp_path / "log")), stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.kill()
    wait_until(lambda: not is_running(pid), "its end")


def test_a_dead_child_is_reported(tmp_path: Path) -> None:
    """Waiting for a port ends when the process that should open it has ended."""
    child = Child(("false",), tmp_path / "log")
    with pytest.raises(RuntimeError, match="nobody listens"):
        wait_for_port(free_port(), child, DEADLINE_S)
    child.stop()


def test_prints_a_table(tmp_path: Path) -> None:
    """A quick run prints the rows that were asked for, and writes all figures as JSON."""
    done = subprocess.run(
        (sys.executable, "-m", "benchmarks", "--quick", "--targets", "direct", "--rows", "ping-1?,export,tls-put",
         "--results", tmp_path),
        capture_output=True, text=True, timeout=DEADLINE_S * 4, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [line.split("|")[1].strip() for line in done.stdout.splitlines()[2:5]] == [
        "`/_ping`, 10 clients",
        "export",
        "TLS: `PUT archive`",
    ]
    assert '"mb_s"' in next(tmp_path.glob("*/figures.json")).read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    """An interrupted run ends all that it started."""
    command = (sys.executable, "-m", "benchmarks", "--targets", "direct", "--rows", "top-*", "--results", tmp_path)
    with Program(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        wait_until(lambda: len(children_of(run.pid)) >= 2, "children")  # engines and load generator
        started = children_of(run.pid)
        os.kill(run.pid, number)
        run.wait(DEADLINE_S)
    wait_until(lambda: not [pid for pid in started if is_running(pid)], "the kernel to end them")
