"""Clients that cost as little as possible, so that what is measured is on the other side."""

import asyncio
import itertools
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import msgspec

from benchmarks.framing import BUFFER, VIEW, Chunked, Counted, Pump, parse_head

AGENT = "Docker-Client/28.2.2 (linux)"  # what `docker` sends, and no more
NO_BODY = frozenset({204, 304})


class LoadError(Exception):
    """The peer did not do what the job needs."""


def request(method: str, path: str, *headers: str, body: bytes = b"") -> bytes:
    """Return a whole request as the docker CLI writes it."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"User-Agent: {AGENT}", *headers]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    elif method == "POST":
        lines.append("Content-Length: 0")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def first_line(message: bytes) -> str:
    return message.partition(b"\r")[0].decode()


class Client(asyncio.BufferedProtocol):
    """One connection: one request at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.status = 0
        self.body: bytes = b""
        self.body_bytes = 0  # length of the last body
        self.keep = True  # whether bodies are wanted
        self.waiter: asyncio.Future[None] | None = None
        self.upgraded = False
        self._pending = b""
        self._body: Counted | Chunked | None = None
        self._known_head = b""
        self._known_length = 0  # -1: chunked

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.fail(exc or ConnectionResetError("the peer closed the connection"))

    def fail(self, error: Exception) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_exception(error)

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002
        return BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        if self.upgraded:
            self.bytes_came(bytes(VIEW[:nbytes]))
        elif self._body is not None:
            self._feed(self._body, BUFFER, 0, nbytes)
        else:
            data = self._pending + bytes(VIEW[:nbytes])
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._pending = data
                return
            self._pending = b""
            head = data[:end]
            if head != self._known_head:
                self._learn(head)
            self.head_came(data, end + 4)

    def _learn(self, head: bytes) -> None:
        """Read a head unlike the last one; equal heads, which are nearly all, are not read again."""
        parsed = parse_head(head)
        self._known_head = head
        self.status = int(parsed.first.split(" ", 2)[1])
        chunked = "transfer-encoding" in parsed.headers
        length = 0 if self.status in NO_BODY else int(parsed.headers.get("content-length", "0"))
        self._known_length = -1 if chunked else length

    def head_came(self, data: bytes, start: int) -> None:
        """Take note of a head; what follows it in `data` begins at `start`."""
        if self.status == 101:
            self.upgraded = True
            self.finished()
        elif len(data) - start == self._known_length:
            self.body = data[start:]
            self.body_bytes = self._known_length
            self.finished()
        else:
            chunked = self._known_length < 0
            self._body = Chunked(keep=self.keep) if chunked else Counted(self._known_length, keep=self.keep)
            self._feed(self._body, data, start, len(data))

    def _feed(self, body: Counted | Chunked, data: bytes | bytearray, start: int, end: int) -> None:
        if body.feed(data, start, end) != end:
            self.fail(LoadError("bytes behind the end of the answer"))
        elif body.done:
            self.body = bytes(body.kept or b"")
            self.body_bytes = body.total
            self._body = None
            self.finished()

    def bytes_came(self, data: bytes) -> None:
        """Take what an upgraded connection brings."""

    def finished(self) -> None:
        """Take note of a whole answer."""
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    async def call(self, message: bytes) -> bytes:
        """Send `message` and return the body of the answer. Raises LoadError on a status of 400 or more."""
        self.waiter = asyncio.get_running_loop().create_future()
        if message:
            self.transport.write(message)
        await self.waiter
        if self.status >= 400:
            said = self.body[:200].decode(errors="replace")
            raise LoadError(f"{first_line(message)}: {self.status} {said}")
        return self.body

    async def call_json(self, message: bytes) -> Any:
        """Send `message` and return the decoded body. Raises LoadError when it is not JSON, too."""
        body = await self.call(message)
        try:
            return msgspec.json.decode(body)
        except msgspec.DecodeError as error:
            raise LoadError(f"{first_line(message)}: not JSON: {body[:200]!r}") from error


class Repeater(Client):
    """Sends a request, or several by turns, as soon as it has an answer: from the callback, since a task costs more."""

    def __init__(self, message: bytes, *others: bytes) -> None:
        super().__init__()
        self.keep = False
        self.message = message
        self._messages = itertools.cycle((message, *others)) if others else itertools.repeat(message)
        self.latencies_ns: list[int] = []
        self._sent_ns = 0
        self._until_ns = 0

    async def run(self, seconds: float) -> None:
        """Repeat for `seconds`."""
        self.waiter = asyncio.get_running_loop().create_future()
        self.latencies_ns.clear()
        self._sent_ns = time.perf_counter_ns()
        self._until_ns = self._sent_ns + int(seconds * 1e9)
        self.transport.write(next(self._messages))
        await self.waiter

    def finished(self) -> None:
        if self.status >= 400:
            self.fail(LoadError(f"{first_line(self.message)}: status {self.status}"))
            return
        now = time.perf_counter_ns()
        self.latencies_ns.append(now - self._sent_ns)
        if now < self._until_ns:
            self._sent_ns = now
            self.transport.write(next(self._messages))
        else:
            super().finished()


class Echoer(Repeater):
    """Sends `message` through an upgraded connection and waits until as many bytes came back."""

    def __init__(self, message: bytes) -> None:
        super().__init__(message)
        self.keep = True
        self._missing = len(message)

    def finished(self) -> None:
        Client.finished(self)

    def bytes_came(self, data: bytes) -> None:
        self._missing -= len(data)
        if not self._missing:
            self._missing = len(self.message)
            super().finished()


class Follower(Client):
    """Is satisfied by the head of an answer, and stays connected."""

    def head_came(self, data: bytes, start: int) -> None:  # noqa: ARG002
        self.finished()


class Uploader(Client):
    """Sends a large body of zeros with flow control."""

    pump: Pump | None = None

    def pause_writing(self) -> None:
        if self.pump is not None:
            self.pump.pause()

    def resume_writing(self) -> None:
        if self.pump is not None:
            self.pump.resume()

    async def put(self, head: bytes, size_bytes: int, *, chunked: bool) -> None:
        """Send the head and the body, and wait for the answer."""
        self.transport.write(head)
        self.pump = Pump(self.transport, size_bytes, chunked=chunked)
        self.pump.run()
        await self.call(b"")


C = TypeVar("C", bound=Client)


@dataclass(frozen=True, slots=True)
class Peer:
    """Where to connect to."""

    port: int
    tls: ssl.SSLContext | None = None
    host: str = "127.0.0.1"

    async def connect(self, factory: Callable[[], C]) -> C:
        """Return a connected client. Raises OSError."""
        loop = asyncio.get_running_loop()
        name = "localhost" if self.tls else None
        _, client = await loop.create_connection(factory, self.host, self.port, ssl=self.tls, server_hostname=name)
        return client
