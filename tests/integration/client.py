"""One docker client at one endpoint of a manager: with pipes, in the background, and in a real terminal."""

import contextlib
import fcntl
import os
import re
import selectors
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.clients import Cli, Done
from tests.hosts.certificates import Pair
from tests.hosts.engine import Engine
from tests.hosts.manager import Manager
from tests.program import Program
from tests.waiting import PATIENCE_S

DETACH_KEYS = b"\x10\x11"  # ctrl-p ctrl-q


@dataclass(frozen=True, slots=True, kw_only=True)
class Docker:
    """A docker client that is told one endpoint of `manager`, and the `engines` behind it."""

    cli: Cli
    manager: Manager
    engines: list[Engine]
    host: str
    tls: Pair | None = None

    def __call__(
        self, *arguments: str, stdin: bytes | str = b"", check: bool = True, timeout_s: float = PATIENCE_S
    ) -> Done:
        """Return what the client does with `arguments`; see `Cli.run`."""
        return self.cli.run(self.host, *arguments, stdin=stdin, tls=self.tls, check=check, timeout_s=timeout_s)

    def refused(self, *arguments: str, stdin: bytes | str = b"") -> str:
        """Return what the client complains of. Raises AssertionError if it does not."""
        done = self(*arguments, stdin=stdin, check=False)
        assert done.code != 0, str(done)
        return done.stderr

    def start(self, name: str, *options: str, command: tuple[str, ...] = ("sleep", "1d")) -> str:
        """Start a container in the background and return its id."""
        return self("run", "-d", "--name", name, *options, "busybox", *command).stdout.strip()

    def inspect(self, what: str, template: str) -> str:
        """Return what `docker inspect --format` says of one object."""
        return self("inspect", "--format", template, what).stdout.strip()

    def ps(self, *options: str, column: str = "{{.Names}}") -> list[str]:
        """Return one column of `docker ps`."""
        return self("ps", "--format", column, *options).lines

    @contextmanager
    def background(self, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
        """Run the client with pipes for the length of the block, after which it is killed."""
        process = self.cli.spawn(self.host, *arguments, tls=self.tls)
        try:
            yield process
        finally:
            process.kill()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
            process.wait()

    @contextmanager
    def terminal(self, *arguments: str, rows: int = 30, columns: int = 100) -> Iterator["Terminal"]:
        """Run the client in a terminal of its own for the length of the block, after which it is killed."""
        master, slave = os.openpty()
        set_size(slave, rows, columns)
        command = self.cli.command(self.host, *arguments, tls=self.tls)
        with Program[bytes](
            ["setsid", "--ctty", *command],  # the kernel signals a new size to the terminal's own processes
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**self.cli.environment, "TERM": "dumb"},
        ) as process:
            os.close(slave)
            try:
                yield Terminal(master, process)
            finally:
                process.kill()
                os.close(master)


class Terminal:
    """What a user has in front of them."""

    def __init__(self, master: int, process: "subprocess.Popen[bytes]") -> None:
        self._master = master
        self._process = process
        self.seen = ""

    def type(self, keys: str | bytes) -> None:
        """Press `keys`."""
        os.write(self._master, keys.encode() if isinstance(keys, str) else keys)

    def detach(self, keys: bytes = DETACH_KEYS) -> None:
        """Press the detach keys and wait for the client's end.

        They count only if they are read one by one, which a busy machine may not do, so they are pressed again.
        """
        for _ in range(10):
            for key in keys:
                self.type(bytes([key]))
                time.sleep(0.2)
            if self._is_over(time.monotonic() + 3.0):
                return
        raise AssertionError(f"the client does not detach: {self.seen!r}")

    def expect(self, pattern: str) -> "re.Match[str]":
        """Return the first match of `pattern` in what is shown from now on, or was not looked for yet.

        Raises AssertionError with what is shown instead.
        """
        end = time.monotonic() + PATIENCE_S
        while not (match := re.search(pattern, self.seen)):
            assert self._read(end), f"no {pattern!r} in {self.seen!r}"
        self.seen = self.seen[match.end() :]
        return match

    def resize(self, rows: int, columns: int) -> None:
        """Change the size of the window."""
        set_size(self._master, rows, columns)

    def wait(self) -> int:
        """Return the client's exit status."""
        assert self._is_over(time.monotonic() + PATIENCE_S), f"the client does not end: {self.seen!r}"
        return self._process.returncode

    def _is_over(self, end: float) -> bool:
        """Say whether the client ends before `end`."""
        while self._process.poll() is None:
            if time.monotonic() > end:
                return False
            self._read(end, at_most_s=0.05)
        return True

    def _read(self, end: float, *, at_most_s: float = PATIENCE_S) -> bool:
        """Say whether more was shown before `end`."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._master, selectors.EVENT_READ)
            if not selector.select(max(0.0, min(at_most_s, end - time.monotonic()))):
                return False
        try:
            data = os.read(self._master, 65536)
        except OSError:  # the client has closed its side
            return False
        self.seen += data.decode(errors="replace")
        return bool(data)


def set_size(terminal: int, rows: int, columns: int) -> None:
    """Set the size of a terminal."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
