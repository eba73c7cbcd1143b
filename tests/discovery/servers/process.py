"""A server process that ends with the tests, and what every kind of store offers to them."""

import shutil
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from tests.waiting import nap

START_S = 60.0

AnyStore = TypeVar("AnyStore", bound="Store")


class ServerProcess:
    """One program, which is killed when the tests end, however they do. Its output is in `log`."""

    def __init__(self, command: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None) -> None:
        self._command = ["setpriv", "--pdeathsig", "KILL", *map(str, command)]
        self._log = log
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, unless it runs."""
        if not self.is_running():
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment
                )

    def is_running(self) -> bool:
        """Say whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """End it by SIGKILL, which also ends a frozen one."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Return when it has stopped where it stands, all its threads; its sockets stay open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        threads = Path(f"/proc/{self._process.pid}/task")
        while any(state_of(thread) not in ("T", "") for thread in threads.iterdir()):
            time.sleep(0.001)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def log_tail(self) -> str:
        """Return the end of its output."""
        return self._log.read_text(errors="replace")[-4000:] if self._log.exists() else ""


def state_of(thread: Path) -> str:
    """Return the state of a thread, by its directory in /proc, as one letter; empty if it is gone. Source: proc(5)."""
    try:
        return (thread / "stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


class Store(ABC):
    """One real store, and how our discovery reaches it. It runs before and after each test."""

    scheme: str
    """That of its discovery URLs."""
    address: str
    """Host and port, or several, as they stand in a URL."""
    options: Mapping[str, str]
    """What --discovery-opt has to say so that it works; {} for a plain one."""
    ttl_s: float
    """The shortest time to live that it takes, in whole seconds."""
    slack_s: float = 1.0
    """How much later than that it may let go."""
    _process: ServerProcess
    _data: Path

    def url(self, prefix: str) -> str:
        """Return the discovery URL of the cluster below `prefix`."""
        return f"{self.scheme}://{self.address}/{prefix}"

    @abstractmethod
    def start(self) -> None:
        """Start it, with the data it had, and wait until it answers."""

    def kill(self) -> None:
        """End it by SIGKILL; its data stay."""
        self._process.kill()

    def close(self) -> None:
        """End it for good."""
        self.kill()

    def wipe(self) -> None:
        """Forget all data; to be called while it is down."""
        shutil.rmtree(self._data)

    def freeze(self) -> None:
        """Let it hang with open connections."""
        self._process.freeze()

    def thaw(self) -> None:
        """Let it go on."""
        self._process.thaw()

    @abstractmethod
    def write(self, values: Mapping[str, str]) -> None:
        """Set each key (no leading slash) to its value for good, with its parents, as a foreign client would."""

    @abstractmethod
    def read(self, key: str) -> str | None:
        """Return the value of `key` (no leading slash), as a foreign client sees it; None if there is none."""

    @abstractmethod
    def remove(self, key: str) -> None:
        """Remove `key`, as a foreign client would."""


def serve(store: AnyStore) -> Iterator[AnyStore]:
    """Yield `store` while it runs."""
    try:
        store.start()
        yield store
    finally:
        store.close()


def wait_until(answers: Callable[[], bool], what: str, process: ServerProcess) -> None:
    """Return once `answers` does. Raises AssertionError with the server's log if it never does, or the server ends."""
    begun = time.monotonic()
    while not answers():
        assert process.is_running(), f"{what} ended:\n{process.log_tail()}"
        assert time.monotonic() < begun + START_S, f"{what} does not answer:\n{process.log_tail()}"
        nap(begun)
