"""Child processes that cannot outlive the benchmark, and what they cost."""

import contextlib
import ctypes
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1
RESET_PEAK = "5"  # written to /proc/PID/clear_refs, see proc(5)
STOP_DEADLINE_S = 5.0
libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent() -> None:
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Child:
    """A process in a group of its own. Its standard error, and its output unless `piped`, go to `log`."""

    def __init__(self, argv: Sequence[str | Path], log: Path, *, piped: bool = False) -> None:
        self.log = log
        self._file = log.open("ab")
        self.process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
            stdout=subprocess.PIPE if piped else self._file,
            stderr=self._file,
            start_new_session=True,
            # Only forks here, no threads: the one thing this is unsafe with.
            preexec_fn=_die_with_parent,
            text=True,
        )

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def read_line(self) -> str:
        """Return the next line of output. Raises RuntimeError when the process ended instead."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args!r} ended, see {self.log}")
        return line

    def write_line(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def stop(self) -> None:
        """End the whole group, politely first."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, number)
                self.process.wait(STOP_DEADLINE_S)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue
        for stream in (self.process.stdin, self.process.stdout, self._file):
            if stream is not None:
                stream.close()

    def family(self) -> Iterator[Path]:
        """Yield the /proc directories of the process and of all that descend from it."""
        waiting = [self.process.pid]
        while waiting:
            directory = Path("/proc", str(waiting.pop()))
            try:
                for task in (directory / "task").iterdir():
                    waiting += map(int, (task / "children").read_text().split())
            except OSError:
                continue  # it ended meanwhile
            yield directory

    def cpu_s(self) -> float:
        """Return the processor time that the family's threads have used."""
        spent = 0
        for directory in self.family():
            for task in (directory / "task").iterdir():
                spent += int((task / "schedstat").read_text().split()[0])
        return spent / 1e9

    def memory_kib(self) -> int:
        """Return the resident memory of the family now."""
        return sum(_status_kib(directory, "VmRSS:") for directory in self.family())

    def peak_memory_kib(self) -> int:
        """Return the most resident memory since `reset_peak`."""
        return sum(_status_kib(directory, "VmHWM:") for directory in self.family())

    def reset_peak(self) -> None:
        for directory in self.family():
            (directory / "clear_refs").write_text(RESET_PEAK)


def _status_kib(directory: Path, field: str) -> int:
    for line in (directory / "status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1])
    return 0


def free_port() -> int:
    """Return a port that nobody listens on just now, and that no connection of anybody takes by itself.

    The kernel gives out those from 32768 on: whoever restarts a server on one of them may find it taken.
    """
    while True:
        port = random.randrange(10_000, 32_768)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def wait_for_port(port: int, child: Child, deadline_s: float) -> None:
    """Return when somebody listens on `port`. Raises RuntimeError when `child` ended or the time is over."""
    until = time.monotonic() + deadline_s
    while time.monotonic() < until and child.alive:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"nobody listens on port {port}, see {child.log}")
