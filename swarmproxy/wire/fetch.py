"""Requests of our own to an engine: whole answers, and streams in both directions."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from swarmproxy.errors import EngineUnreachable
from swarmproxy.wire.answer import AnswerReader
from swarmproxy.wire.framing import Piece
from swarmproxy.wire.head import AnswerHead
from swarmproxy.wire.pool import EngineConnection, Pool
from swarmproxy.wire.whole import MAX_BODY_BYTES, Reading, connect, deadline, with_head

Body = bytes | AsyncIterable[bytes]

_READ_AHEAD_BYTES = 256 * 1024
_CAN_BE_SENT_AGAIN = frozenset(("GET", "HEAD"))
_HAS_BODY_AS_A_RULE = frozenset(("POST", "PUT", "PATCH"))


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. Header names are lower-case; the values of a repeated one are joined by commas."""

    status: int
    headers: dict[str, str]
    body: bytes


class Streaming(AnswerReader):
    """An answer that is read as it comes; the engine is held back when nobody reads."""

    __slots__ = (
        "_blocks",
        "_ended",
        "_error",
        "_head_waiter",
        "_max_held",
        "_paused",
        "_read_waiter",
        "_size",
        "_write_waiter",
        "body_sent",
    )
    is_late = False  # whoever waits has a deadline of its own

    def __init__(self, connection: EngineConnection, method: str, *, max_held: int = _READ_AHEAD_BYTES) -> None:
        super().__init__(connection, method=method.encode(), decode=True)
        self._blocks: deque[bytes] = deque()
        self._size = 0
        self._max_held = max_held
        self._paused = False
        self._ended = False
        self._error: Exception | None = None
        self._head_waiter: asyncio.Future[None] | None = None
        self._read_waiter: asyncio.Future[None] | None = None
        self._write_waiter: asyncio.Future[None] | None = None
        self.body_sent = True

    @property
    def status(self) -> int:
        """Return the status of the answer."""
        return self.final_head().status

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers, names in lower case; the values of a repeated one are joined by commas."""
        return self.final_head().named()

    @property
    def is_over(self) -> bool:
        """Return whether the answer came to its end, good or bad."""
        return self._ended or self._error is not None

    def final_head(self) -> AnswerHead:
        """Return the parsed head."""
        if self.head is None:
            raise RuntimeError("the head has not come yet")
        return self.head

    async def wait_for_head(self) -> None:
        """Return when the head is there. Raises EngineUnreachable if it will not come."""
        if self.head is None and self._error is None:
            self._head_waiter = asyncio.get_running_loop().create_future()
            await self._head_waiter
        if self._error is not None:
            raise self._error

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        block = await self.read()
        if not block:
            raise StopAsyncIteration
        return block

    async def read(self, max_bytes: int = 0) -> bytes:
        """Return the next bytes of the body, at most `max_bytes` if given, b"" at the end.

        Raises EngineUnreachable if the answer was cut.
        """
        while not self._blocks:
            if self._error is not None:
                raise self._error
            if self._ended:
                return b""
            self._read_waiter = asyncio.get_running_loop().create_future()
            await self._read_waiter
        block = self._blocks.popleft()
        if 0 < max_bytes < len(block):
            self._blocks.appendleft(block[max_bytes:])
            block = block[:max_bytes]
        self._size -= len(block)
        if self._paused and self._size <= self._max_held // 2:
            self._paused = False
            if not self.is_over:
                self.connection.transport.resume_reading()
        return block

    async def send_body(self, body: AsyncIterable[bytes], *, chunked: bool) -> None:
        """Send the body while the answer is read. An error of `body` is raised by the reader."""
        transport = self.connection.transport
        try:
            async for block in body:
                if self.connection.write_paused and not self.is_over:
                    self._write_waiter = asyncio.get_running_loop().create_future()
                    await self._write_waiter
                if self.is_over:
                    return
                if block:
                    transport.writelines((b"%x\r\n" % len(block), block, b"\r\n") if chunked else (block,))
        except Exception as error:  # noqa: BLE001  whatever it is, the reader raises it
            self.connection.abort()
            self._finish(error)
            return
        if chunked and not self.is_over:
            transport.write(b"0\r\n\r\n")
        self.body_sent = True

    def end(self) -> None:
        """End the exchange; if it is not complete, then so is the connection."""
        if not self.is_over:
            self.connection.abort()
            self._ended = True

    # What the reader of the answer tells.

    def head_received(self, head: AnswerHead, *, followed: bool) -> None:  # noqa: ARG002
        """Wake who waits for the head."""
        _wake(self._head_waiter)

    def bytes_received(self, pieces: Sequence[Piece]) -> None:
        """Keep the payload until it is read."""
        for piece in pieces:
            self._blocks.append(piece if isinstance(piece, bytes) else bytes(piece))
            self._size += len(piece)
        if self._size > self._max_held and not self._paused:
            self._paused = True
            self.connection.transport.pause_reading()
        _wake(self._read_waiter)

    def answer_ended(self, *, reusable: bool) -> None:
        """Give the connection back, unless the engine answered before it had read everything."""
        if self._paused:
            self._paused = False
            self.connection.transport.resume_reading()
        if reusable and self.body_sent:
            self.connection.release()
        else:
            self.connection.abort()
        self._finish(None)

    def answer_failed(self, error: EngineUnreachable) -> None:
        """Let whoever waits raise it."""
        self._finish(error)

    def resume_writing(self) -> None:
        """Wake the sender of the body."""
        _wake(self._write_waiter)

    def _finish(self, error: Exception | None) -> None:
        if error is None:
            self._ended = True
        else:
            self._error = error
        for waiter in (self._head_waiter, self._read_waiter, self._write_waiter):
            _wake(waiter)


def _wake(waiter: "asyncio.Future[None] | None") -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


@asynccontextmanager
async def stream(
    pool: Pool,
    method: str,
    target: str,
    *,
    headers: Sequence[tuple[str, str]] = (),
    body: Body = b"",
    timeout_s: float | None,
) -> AsyncGenerator[Streaming, None]:
    """Return the engine's answer once its head is there; leaving the block ends the exchange.

    The body is sent while the answer is read; in chunks, unless it is bytes or `headers` has its length.
    `timeout_s` counts until the head. A GET or HEAD that meets a closed pooled connection is sent once more.
    Raises EngineUnreachable, also while reading.
    """
    if isinstance(body, bytes):
        answer = await _ask(pool, method, target, headers, body, timeout_s)
        try:
            yield answer
        finally:
            answer.end()
        return
    answer = await _begin(pool, method, target, headers, None, timeout_s=timeout_s)
    chunked = not any(name.lower() == "content-length" for name, _ in headers)
    try:
        async with asyncio.TaskGroup() as tasks:
            sender = tasks.create_task(answer.send_body(body, chunked=chunked), name=f"body to {pool.address}")
            try:
                async with deadline(pool, timeout_s):
                    await answer.wait_for_head()
                yield answer
            finally:
                answer.end()
                sender.cancel()
    except BaseExceptionGroup as group:  # the sender raises nothing, so this is what our caller or we raised
        raise group.exceptions[0] from group.exceptions[0].__cause__


async def fetch(
    pool: Pool,
    method: str,
    target: str,
    *,
    headers: Sequence[tuple[str, str]] = (),
    body: bytes = b"",
    timeout_s: float,
    max_body_bytes: int = MAX_BODY_BYTES,
) -> Answer:
    """Return the engine's answer, whatever its status.

    A GET or HEAD that meets a closed pooled connection is sent once more.
    Raises EngineUnreachable without a whole answer within `timeout_s`, or with a body over `max_body_bytes`.
    """
    request = request_bytes(pool, method, target, headers, body)
    repeatable = method in _CAN_BE_SENT_AGAIN
    loop = asyncio.get_running_loop()
    due = loop.time() + timeout_s
    fresh = False
    while True:
        connection = await connect(pool, timeout_s=due - loop.time(), fresh=fresh, only_once=not repeatable)
        reading = Reading(
            connection,
            1,
            timeout_s=due - loop.time(),
            to_head=method == "HEAD",
            max_body_bytes=max_body_bytes,
        )
        connection.transport.write(request)
        try:
            await reading.wait()
        finally:
            reading.end()
        if reading.answers:
            whole = reading.answers.popleft()
            return Answer(whole.head.status, whole.headers, whole.body)
        if reading.is_late:
            raise EngineUnreachable(f"engine {pool.address} did not answer within {timeout_s:g} s") from reading.error
        if fresh or not connection.reused or reading.is_amid_answer or not repeatable:
            raise reading.error or EngineUnreachable(f"engine {pool.address} ended its answer")
        fresh = True


async def _ask(
    pool: Pool,
    method: str,
    target: str,
    headers: Sequence[tuple[str, str]],
    body: bytes,
    timeout_s: float | None,
) -> Streaming:
    """Send a request with its whole body, twice if allowed; return the answer once its head is there."""
    async with deadline(pool, timeout_s):
        return await with_head(
            lambda fresh: _begin(pool, method, target, headers, body, fresh=fresh),
            repeatable=method in _CAN_BE_SENT_AGAIN,
        )


async def _begin(
    pool: Pool,
    method: str,
    target: str,
    headers: Sequence[tuple[str, str]],
    body: bytes | None,
    *,
    fresh: bool = False,
    timeout_s: float | None = None,
) -> Streaming:
    """Write the request to a connection; with `body` None the body follows."""
    only_once = method not in _CAN_BE_SENT_AGAIN
    connection = await connect(pool, timeout_s=timeout_s, fresh=fresh, only_once=only_once)
    answer = Streaming(connection, method)
    answer.body_sent = body is not None
    connection.transport.write(request_bytes(pool, method, target, headers, body))
    return answer


def request_bytes(
    pool: Pool, method: str, target: str, headers: Sequence[tuple[str, str]] = (), body: bytes | None = b""
) -> bytes:
    """Return the bytes of a request; with `body` None the body follows."""
    lines = [f"{method} {target} HTTP/1.1\r\n".encode(), pool.host_header]
    lines += [f"{name}: {value}\r\n".encode() for name, value in headers]
    if body is None:
        if not any(name.lower() == "content-length" for name, _ in headers):
            lines.append(b"Transfer-Encoding: chunked\r\n")
        body = b""
    elif body or method in _HAS_BODY_AS_A_RULE:
        lines.append(b"Content-Length: %d\r\n" % len(body))
    return b"".join((*lines, b"\r\n", body))
