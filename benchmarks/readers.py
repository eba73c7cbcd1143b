"""Many readers of streams at the least cost: sockets and epoll, since a callback for each would be the limit."""

import select
import socket
import time
from collections.abc import Sequence

from benchmarks.client import LoadError

HEAD_END = b"\r\n\r\n"
READ_BYTES = 256 * 1024


class Lines:
    """Counts the lines of a chunked body, in whatever pieces it comes: a chunk's own lines end with CR LF."""

    def __init__(self) -> None:
        self.count = 0
        self._ends_with_cr = False

    def feed(self, data: bytes) -> None:
        self.count += data.count(b"\n") - data.count(b"\r\n")
        if self._ends_with_cr and data.startswith(b"\n"):
            self.count -= 1
        self._ends_with_cr = data.endswith(b"\r")


class Readers:
    """Streams that are open. `messages` ask for them, by turns. Raises LoadError, OSError."""

    def __init__(self, address: tuple[str, int], messages: Sequence[bytes], count: int, *, deadline_s: float) -> None:
        self._epoll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._lines: dict[int, Lines] = {}
        self._deadline_s = deadline_s
        try:
            for number in range(count):
                self._open(address, messages[number % len(messages)])
        except BaseException:
            self.close()
            raise

    def _open(self, address: tuple[str, int], message: bytes) -> None:
        sock = socket.create_connection(address, timeout=self._deadline_s)
        self._sockets[sock.fileno()] = sock
        sock.sendall(message)
        head = b""
        while HEAD_END not in head:
            if not (data := sock.recv(READ_BYTES)):
                raise LoadError("a stream ended before its head")
            head += data
        if b" 200 " not in head[:16]:
            raise LoadError(f"a stream was answered {head[:40]!r}")
        lines = self._lines[sock.fileno()] = Lines()
        lines.feed(head.partition(HEAD_END)[2])
        self._epoll.register(sock.fileno(), select.EPOLLIN)

    def wait(self, more: int, counts: dict[int, int]) -> list[int]:
        """Return when each reader had `more` lines than in `counts`, by `time.perf_counter_ns`.

        The time is that at which we are told that they can be read: reading the others first is not the sender's doing.
        """
        reached: dict[int, int] = {}
        until = time.monotonic() + self._deadline_s
        while len(reached) < len(self._sockets):
            found = self._epoll.poll(max(0.0, until - time.monotonic()), len(self._sockets))
            if not found:
                raise LoadError(f"{len(self._sockets) - len(reached)} readers did not get all lines in time")
            now_ns = time.perf_counter_ns()
            for number, _ in found:
                data = self._sockets[number].recv(READ_BYTES)
                if not data:
                    raise LoadError(f"a stream ended after {self._lines[number].count} lines")
                self._lines[number].feed(data)
                if number not in reached and self._lines[number].count >= counts[number] + more:
                    reached[number] = now_ns
        return list(reached.values())

    def counts(self) -> dict[int, int]:
        """Return how many lines each has had."""
        return {number: lines.count for number, lines in self._lines.items()}

    def close(self) -> None:
        for sock in self._sockets.values():
            sock.close()
        self._epoll.close()
