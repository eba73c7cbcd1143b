"""One request of a client and its answer, as an ASGI application sees them."""

import asyncio
import itertools
import logging
import re
import secrets
import time
import urllib.parse
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from swarmproxy.wire.clients import peer_of
from swarmproxy.wire.framing import Piece
from swarmproxy.wire.head import RequestHead
from swarmproxy.wire.record import About
from swarmproxy.wire.status import error_answer, status_line

log = logging.getLogger("swarmproxy.wire")

Message = dict[str, Any]
Application = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]

Review = Callable[[int, bytes, bytes], Awaitable[tuple[int, bytes, bytes]]]  # status, header lines, body

READ_AHEAD_BYTES = 64 * 1024
_JOINED_BYTES = 16 * 1024  # below this, copying costs less than another write
_PROCESS = secrets.token_hex(3)
_numbers = itertools.count(1)
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")


class ClientConnection(asyncio.Protocol):
    """What an exchange needs of the client's connection. Implemented by `ServerProtocol`."""

    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop  # at hand, since asking for the running one is a system call in Python 3.11
    write_paused: bool  # the client does not keep up
    input_ended: bool  # the client sends no more: it is gone, or has ended its side on purpose
    stall_s: float  # so long may a peer take none of the bytes written to it
    known: object = None  # what the application has found out of the client, for the next request
    known_as: tuple[str, str] | None = None  # where the client is, and who, as those that keep account found it

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers that the server adds to each answer of its own."""
        raise NotImplementedError

    def stay_awake(self) -> None:
        """Expect the next bytes soon."""
        raise NotImplementedError

    def ask_application(self, exchange: "AsgiExchange") -> None:
        """Have the application answer a request that was not answered without it."""
        raise NotImplementedError

    def pause_reading(self) -> None:
        """Take no more from the client until `resume_reading`."""
        raise NotImplementedError

    def resume_reading(self) -> None:
        """Take from the client again."""
        raise NotImplementedError

    def exchange_ended(self, *, keep_alive: bool) -> None:
        """Go on with the next request, or close without losing the answer."""
        raise NotImplementedError

    def become_stream(self) -> tuple[bytes, bool]:
        """Leave HTTP for good; return what came behind the request, and whether the client ended."""
        raise NotImplementedError


class AsgiExchange:
    """A request, and the answer that an ASGI application gives to it."""

    __slots__ = (
        "_body",
        "_body_told",
        "_chunked",
        "_head",
        "_left",
        "_request_id",
        "_waiter",
        "_write_waiter",
        "about",
        "adapt",
        "answer_begun",
        "answer_ended",
        "asker",
        "begun_at",
        "body_complete",
        "body_read",
        "connection",
        "gone",
        "keep_alive",
        "moving",
        "received_bytes",
        "request",
        "review",
        "sent_bytes",
        "status",
        "wants_continue",
    )

    def __init__(self, connection: ClientConnection, request: RequestHead) -> None:
        self.connection = connection
        self.request = request
        self.keep_alive = request.keep_alive
        self.wants_continue = request.fields.expects_continue and request.http_1_1
        self.body_complete = not request.has_body  # received, not necessarily read
        self.body_read = False  # by the application, in part at least
        self.answer_begun = False
        self.answer_ended = False
        self.gone = False  # the client is
        self.moving = True  # something was sent to the client since somebody looked last
        self.begun_at = time.monotonic()  # not the loop's time, which counts in milliseconds
        self.status = 0  # until the answer begins
        self.received_bytes = 0  # of the body, and of the stream that the connection may become
        self.sent_bytes = 0  # likewise; of chunks that pass unchanged with what frames them
        self.about = About()
        self.asker: object = None  # as `ClientConnection.known`, of this request
        self.adapt: Callable[[int, bytes], bytes] | None = None  # what a whole answer becomes, by status and body
        self.review: Review | None = None  # likewise, by somebody who has to be waited for
        self._request_id = ""
        self._body = bytearray()
        self._body_told = False  # the application has read all of it
        self._head = b""  # of the answer, while it waits for the body
        self._chunked = False
        self._left = -1  # bytes to come of a counted answer
        self._waiter: asyncio.Future[None] | None = None
        self._write_waiter: asyncio.Future[None] | None = None

    @property
    def request_id(self) -> str:
        """Return what identifies this request in the log: short, unique in this process."""
        if not self._request_id:
            self._request_id = f"{_PROCESS}-{next(_numbers):x}"
        return self._request_id

    @property
    def peer(self) -> str:
        """Return what is the same for all connections of the client, and for no other's."""
        return peer_of(self.connection.transport)

    def scope(self, connection: Message) -> Message:
        """Return the ASGI scope, on top of what is the same for all requests of the connection."""
        request = self.request
        raw_path, _, query = request.target.partition(b"?")
        path = raw_path.decode("ascii")
        return {
            **connection,
            "http_version": "1.1" if request.http_1_1 else "1.0",
            "method": request.method.decode("ascii"),
            "path": connection["root_path"] + (urllib.parse.unquote(path) if "%" in path else path),
            "raw_path": raw_path,
            "query_string": query,
            "headers": list(request.fields.headers),
            "extensions": {"swarmproxy.exchange": self},
        }

    def count_received(self, size: int) -> None:
        """Note that so many bytes came from the client."""
        self.received_bytes += size

    def count_sent(self, size: int) -> None:
        """Note that so many bytes went to the client."""
        self.sent_bytes += size

    # What the connection tells.

    def body_received(self, pieces: Sequence[Piece], *, last: bool) -> None:
        """Keep the payload until it is asked for; the client waits while that is much."""
        for piece in pieces:
            self._body += piece
        self.body_complete = last
        if not last and len(self._body) > READ_AHEAD_BYTES:
            self.connection.pause_reading()
        self._wake()

    def client_lost(self) -> None:
        """Wake whoever waits for the client: it is gone."""
        self.gone = True
        self._wake()

    def client_paused(self) -> None:
        """Hold back the source of the answer."""

    def client_resumed(self) -> None:
        """Let the source of the answer go on."""
        self._wake()

    def end_stream(self) -> bool:
        """End a hijacked stream, if this is one, in good order; return whether it is."""
        return False

    def _wake(self) -> None:
        for waiter in (self._waiter, self._write_waiter):
            if waiter is not None and not waiter.done():
                waiter.set_result(None)

    # The ASGI side.

    async def run(self, app: Application, scope: Message, tasks: "set[asyncio.Task[None]]") -> None:
        """Let the application answer, and leave `tasks` then.

        Whatever the application does, the client is not left without an answer.
        """
        try:
            await app(scope, self.receive, self.send)
        except asyncio.CancelledError:
            if not self.answer_ended:
                self.connection.transport.abort()
            raise
        except Exception:
            fields = {"request_id": self.request_id, "method": scope["method"], "path": scope["path"]}
            log.exception("request failed", extra=fields)
            self._answer_for_crash()
        else:
            if not self.answer_ended and not self.gone:
                fields = {"request_id": self.request_id, "method": scope["method"], "path": scope["path"]}
                log.error("request left without an answer", extra=fields)
                self._answer_for_crash()
        finally:
            tasks.discard(cast("asyncio.Task[None]", asyncio.current_task(self.connection.loop)))

    def _answer_for_crash(self) -> None:
        if self.answer_ended or self.gone:
            return
        if self.answer_begun:
            self.connection.transport.abort()  # so that the client does not take it for the whole
            return
        message = f"internal error: see the log for request {self.request_id}"
        self.connection.transport.write(error_answer(500, message, request_id=self.request_id))
        self.answer_begun = True
        self.status = 500
        self.end_answer(keep_alive=False)

    def want_body(self) -> None:
        """Let the client send its body."""
        if self.wants_continue and not self.answer_begun:
            self.wants_continue = False
            if not self.body_complete and not self._body:
                self.connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.connection.resume_reading()

    async def receive(self) -> Message:
        """Return the next part of the body, or the news that the client is gone or has its answer."""
        if not self._body_told:
            self.want_body()
        while not self.gone and not self.answer_ended:
            if self._body or (self.body_complete and not self._body_told):
                self._body_told = self.body_complete
                self.body_read = True
                body = bytes(self._body)
                self._body.clear()
                return {"type": "http.request", "body": body, "more_body": not self.body_complete}
            self._waiter = self.connection.loop.create_future()
            await self._waiter
        return {"type": "http.disconnect"}

    async def answer(self, status: int, lines: bytes, body: bytes) -> None:
        """Give the whole answer at once, below ASGI: for those that are asked for so often that messages cost too much.

        `lines` are the headers as they are sent, each with its line end, without what tells the body's length.
        """
        if self.review is not None:
            status, lines, body = await self.review(status, lines, body)
        if self.connection.write_paused:
            await self._writable()
        self.answer_at_once(status, lines, body)

    def answer_at_once(self, status: int, lines: bytes, body: bytes) -> None:
        """Likewise, whether the client takes it or it has to be kept for a while: for small ones."""
        if self.gone:
            return
        if self.answer_begun:
            raise RuntimeError("the request is answered already")
        if self.adapt is not None:
            body = self.adapt(status, body)
        self.moving = self.answer_begun = True
        self.status = status
        if not self.body_complete:
            self.keep_alive = False
        parts = [status_line(status), lines, b"content-length: %d\r\n" % len(body)]
        parts += [b"%s: %s\r\n" % pair for pair in self.connection.default_headers]
        if status >= 500:
            parts.append(b"x-request-id: %s\r\n" % self.request_id.encode())
        parts.append(b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n")
        if self.request.method != b"HEAD":
            parts.append(body)
            self.sent_bytes += len(body)
        transport = self.connection.transport
        if len(body) <= _JOINED_BYTES:
            transport.write(b"".join(parts))
        else:
            transport.writelines(parts)
        self.end_answer(keep_alive=self.keep_alive)

    async def _writable(self) -> None:
        """Return when the client takes more, or is gone."""
        while self.connection.write_paused and not self.gone:
            self._write_waiter = self.connection.loop.create_future()
            await self._write_waiter

    async def send(self, message: Message) -> None:
        """Send the head, or a part of the body, as soon as the client takes it."""
        await self._writable()
        if self.gone:
            return
        self.moving = True
        if message["type"] == "http.response.start" and not self.answer_begun:
            self._send_head(message["status"], list(message.get("headers", ())))
        elif message["type"] == "http.response.body" and self.answer_begun and not self.answer_ended:
            self._send_body(message.get("body", b""), last=not message.get("more_body", False))
        else:
            raise RuntimeError(f"ASGI message {message['type']} is out of order")

    def push(self, body: bytes) -> bool:
        """Send a part of the body at once, without waiting; return whether the client takes it just now.

        Only between two messages of `send`.
        """
        if self.connection.write_paused or self.gone or self.answer_ended or not self.answer_begun:
            return False
        self.moving = True
        self._send_body(body, last=False)
        return True

    def _send_head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        lines = [status_line(status)]
        if status >= 500:
            headers.append((b"x-request-id", self.request_id.encode()))
        if not self.body_complete:
            self.keep_alive = False  # the rest of the body would be in the way of the next request
        for name, value in itertools.chain(self.connection.default_headers, headers):
            if _NAME.fullmatch(name) is None or _VALUE.fullmatch(value) is None:
                raise RuntimeError(f"invalid header {name!r}")
            lower = name.lower()
            if lower == b"content-length":
                self._left = int(value)
            elif lower in (b"connection", b"transfer-encoding"):
                if b"close" in value.lower():
                    self.keep_alive = False
                continue  # ours to say
            lines.append(b"%s: %s\r\n" % (name, value))
        if self.request.method == b"HEAD" or status in (204, 304):
            self._left = 0
        elif self._left < 0 and self.request.http_1_1:
            self._chunked = True
            lines.append(b"transfer-encoding: chunked\r\n")
        elif self._left < 0:
            self.keep_alive = False
        lines.append(b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n")
        self.answer_begun = True
        self.status = status
        self._head = b"".join(lines)
        # Most bodies follow in the same step: then one write is enough.
        self.connection.loop.call_soon(self._flush_head)

    def _flush_head(self) -> None:
        head, self._head = self._head, b""
        if head and not self.gone:
            self.connection.transport.write(head)

    def _send_body(self, body: bytes, *, last: bool) -> None:
        head, self._head = self._head, b""
        parts = [head] if head else []
        if self._chunked:
            if body:
                parts += (b"%x\r\n" % len(body), body, b"\r\n")
                self.sent_bytes += len(body)
            if last:
                parts.append(b"0\r\n\r\n")
        elif self.request.method != b"HEAD":
            if self._left >= 0:
                self._left -= len(body)
                if self._left < 0 or (last and self._left):
                    raise RuntimeError("the body is not as long as Content-Length says")
            if body:
                parts.append(body)
                self.sent_bytes += len(body)
        if parts:
            self.connection.transport.writelines(parts)
        if last:
            self.end_answer(keep_alive=self.keep_alive)

    def cut(self) -> None:
        """End the connection in the middle of the answer, so that nobody takes what has come for the whole."""
        self.answer_ended = True
        self.connection.transport.abort()

    def end_answer(self, *, keep_alive: bool) -> None:
        """Note that the client has its whole answer."""
        self.answer_ended = True
        self._wake()
        self.connection.exchange_ended(keep_alive=keep_alive)
