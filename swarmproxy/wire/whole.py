"""Whole answers: one, or several to requests that were sent together on one connection."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from swarmproxy.errors import EngineUnreachable, ProtocolViolation
from swarmproxy.wire.answer import MAX_HEAD_BYTES
from swarmproxy.wire.framing import Chunked, Counted, Piece, Scanner, UntilClose
from swarmproxy.wire.head import AnswerHead, parse_answer
from swarmproxy.wire.pool import EngineConnection, EngineSide, Pool

MAX_BODY_BYTES = 256 * 1024 * 1024
_END_OF_HEAD = b"\r\n\r\n"
_NOTHING = Counted(0)
AnyBegun = TypeVar("AnyBegun", bound="Begun")


@dataclass(frozen=True, slots=True)
class WholeAnswer:
    """An answer with its body, without the framing."""

    head: AnswerHead
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        """Names in lower case; the values of a repeated one are joined by commas."""
        return self.head.named()


class Reading(EngineSide):
    """Reads `expected` whole answers from one connection, which it gives back behind the last one.

    `timeout_s` is the time until the first answer is whole, and from one to the next.
    """

    __slots__ = (
        "_body",
        "_head",
        "_left",
        "_max_body_bytes",
        "_partial",
        "_pieces",
        "_size",
        "_timeout_s",
        "_to_head",
        "_waiter",
        "answers",
        "connection",
        "error",
        "is_late",
    )

    def __init__(
        self,
        connection: EngineConnection,
        expected: int,
        *,
        timeout_s: float,
        to_head: bool = False,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        self.connection = connection
        self.answers: deque[WholeAnswer] = deque()  # not taken yet
        self.error: EngineUnreachable | None = None  # why no more will come
        self.is_late = False  # because it took too long
        self._left = expected
        self._timeout_s = timeout_s
        self._to_head = to_head
        self._max_body_bytes = max_body_bytes
        self._partial = b""
        self._head: AnswerHead | None = None
        self._body: Scanner | None = None
        self._pieces: list[Piece] = []
        self._size = 0
        self._waiter: asyncio.Future[None] | None = None
        connection.user = self
        connection.expect(timeout_s)

    @property
    def is_amid_answer(self) -> bool:
        """Return whether a part of the next answer came."""
        return self._head is not None or bool(self._partial)

    async def wait(self) -> None:
        """Return when there is an answer to take, or none will come."""
        if not self.answers and self.error is None and self._left:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    def end(self) -> None:
        """Give up what has not come; then the connection is of no more use."""
        if self._left and self.error is None:
            self._left = 0
            self.connection.abort()

    # What the connection tells.

    def data_received(self, data: bytes) -> None:
        """Follow the answers."""
        try:
            at = 0
            while at < len(data):
                if not self._left:
                    self.connection.abort()  # bytes behind the last answer belong to no request
                    return
                if self._head is None:
                    if self._partial:
                        data, at, self._partial = self._partial + data[at:], 0, b""
                    at = self._read_head(data, at)
                    if at < 0:
                        return
                    if self._head is None:  # an interim one
                        continue
                at = self._read_body(data, at)
                if at < 0:
                    return
        except ProtocolViolation as violation:
            self._fail(f"sent an answer that is not HTTP/1.1: {violation}", violation)

    def _read_head(self, data: bytes, at: int) -> int:
        """Read a head; return where it ends, or -1."""
        end = data.find(_END_OF_HEAD, at) + 4
        if end < 4:
            if len(data) - at > MAX_HEAD_BYTES:
                raise ProtocolViolation("the head is too large")
            self._partial = data[at:]
            return -1
        head = parse_answer(data[at:end])
        if head.status < 200:
            if head.status == 101:
                raise ProtocolViolation("101 to a request that did not ask for it")
            return end
        self._head = head
        fields = head.fields
        if self._to_head or head.status in (204, 304) or fields.length == 0:
            self._body = _NOTHING
            if end == len(data):
                self._complete(is_last_byte=True)
        elif fields.length > 0:
            self._body = None if len(data) - end >= fields.length else Counted(fields.length)
        else:
            self._body = Chunked() if fields.chunked else UntilClose()
        return end

    def _read_body(self, data: bytes, at: int) -> int:
        """Read on in the body; return where it ends, or -1."""
        head = self._head
        assert head is not None  # noqa: S101
        if self._body is None:  # all of it is here, as a rule
            end = at + head.fields.length
            self._pieces.append(data[at:end])
            self._size = head.fields.length
        else:
            pieces: list[Piece] = []
            end = self._body.scan(data, at, pieces)
            self._pieces += pieces
            self._size += sum(map(len, pieces))
        if self._size > self._max_body_bytes:
            self._fail(f"sent more than {self._max_body_bytes} bytes")
            return -1
        if end >= 0:
            self._complete(is_last_byte=end == len(data))
        return end

    def _complete(self, *, is_last_byte: bool) -> None:
        """Hand the answer out."""
        head, pieces = self._head, self._pieces
        assert head is not None  # noqa: S101
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self.answers.append(WholeAnswer(head, bytes(body)))
        self._head, self._body, self._pieces, self._size = None, None, [], 0
        self._left -= 1
        if not self._left:
            if head.keep_alive and is_last_byte:
                self.connection.release()
            else:
                self.connection.abort()
        elif not head.keep_alive:
            self._fail("closed the connection behind an answer")
            return
        else:
            self.connection.expect(self._timeout_s)
        self._wake()

    def eof_received(self) -> bool:
        """Judge whether the answer may end here."""
        bare = bool(self.connection.transport.get_extra_info("bare_eof"))
        if self._head is not None and self._body is not None and self._body.may_end() and not bare:
            self._left = 1  # nothing can follow
            self._complete(is_last_byte=False)
        else:
            self._fail("closed the connection before the answer was complete")
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Fail, unless all is there."""
        reason = f": {error}" if error is not None and str(error) else ""
        self._fail(f"closed the connection before the answer was complete{reason}", error)

    def overdue(self) -> None:
        """Fail."""
        self.is_late = True
        self._fail(f"did not answer within {self._timeout_s:g} s", TimeoutError())

    def _fail(self, what: str, cause: BaseException | None = None) -> None:
        if self.error is None and self._left:
            self.error = EngineUnreachable(f"engine {self.connection.address} {what}")
            self.error.__cause__ = cause
        self.connection.abort()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Asking(Reading):
    """Reads one whole answer, and gives itself to `then` when that is there or will not come: nobody has to wait."""

    __slots__ = ("_then",)

    def __init__(self, connection: EngineConnection, then: "Callable[[Asking], None]", *, timeout_s: float) -> None:
        super().__init__(connection, 1, timeout_s=timeout_s)
        self._then: Callable[[Asking], None] | None = then

    def end(self) -> None:
        """Give up the answer: nobody wants it any more."""
        self._then = None
        super().end()

    def _wake(self) -> None:
        then, self._then = self._then, None
        if then is not None:
            then(self)


class Pipeline:
    """GETs sent together on one connection. Their answers come one by one, in the order of `targets`.

    Any server of HTTP/1.1 takes them so. One that ends the connection behind an answer is asked for the rest anew.
    `timeout_s` is the time for each answer, counted from the one before.
    Source: RFC 9112, section 9.3.2.
    """

    __slots__ = ("_at", "_pool", "_reading", "_sent_from", "_targets", "_timeout_s")

    def __init__(self, pool: Pool, targets: Sequence[str], *, timeout_s: float) -> None:
        self._pool = pool
        self._targets = targets
        self._timeout_s = timeout_s
        self._at = 0  # of the next answer to be taken
        self._sent_from = 0
        self._reading: Reading | None = None

    def close(self) -> None:
        """Give up the answers that were not taken."""
        if self._reading is not None:
            self._reading.end()

    def take(self) -> WholeAnswer | None:
        """Return the next answer if it is here already: most come many at once, and to wait for each costs as much."""
        if self._reading is None or not self._reading.answers:
            return None
        self._at += 1
        return self._reading.answers.popleft()

    async def next(self) -> WholeAnswer:
        """Return the next answer, whatever its status. Raises EngineUnreachable; then none follows."""
        fresh = False
        while True:
            reading = self._reading
            if reading is None:
                reading = self._reading = await self._send(fresh=fresh)
            if not reading.answers:
                await reading.wait()
            if (answer := self.take()) is not None:
                return answer
            self._reading = None
            has_moved = self._at > self._sent_from
            if (
                reading.is_late
                or reading.is_amid_answer
                or not (has_moved or (reading.connection.reused and not fresh))
            ):
                raise reading.error or EngineUnreachable(f"engine {self._pool.address} ended its answers")
            fresh = True

    async def _send(self, *, fresh: bool) -> Reading:
        connection = await connect(self._pool, timeout_s=self._timeout_s, fresh=fresh)
        self._sent_from = self._at
        rest = self._targets[self._at :]
        host = self._pool.host_header
        reading = Reading(connection, len(rest), timeout_s=self._timeout_s)
        connection.transport.write(b"".join([b"GET %s HTTP/1.1\r\n%s\r\n" % (each.encode(), host) for each in rest]))
        return reading


async def connect(
    pool: Pool, *, timeout_s: float | None, fresh: bool = False, only_once: bool = False
) -> EngineConnection:
    """Return a connection, a new one if `fresh` or none waits.

    `only_once`: for a request that cannot be sent again. Raises EngineUnreachable.
    """
    if not fresh and (connection := pool.take_idle(only_once=only_once)) is not None:
        return connection
    async with deadline(pool, timeout_s):
        return await pool.acquire(fresh=True)


@asynccontextmanager
async def deadline(pool: Pool, timeout_s: float | None) -> AsyncGenerator[None, None]:
    """Raise EngineUnreachable if the block takes longer than `timeout_s`."""
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except TimeoutError as error:
        raise EngineUnreachable(f"engine {pool.address} did not answer within {timeout_s:g} s") from error


class Begun(Protocol):
    """An answer that is being waited for."""

    connection: EngineConnection

    @property
    def began(self) -> bool:
        """Whether a byte of it came."""

    @property
    def is_late(self) -> bool:
        """Whether it was given up because it took too long."""

    async def wait_for_head(self) -> None:
        """Return when its head is there. Raises EngineUnreachable."""

    def end(self) -> None:
        """Give it up."""


async def with_head(begin: Callable[[bool], Awaitable[AnyBegun]], *, repeatable: bool = True) -> AnyBegun:
    """Return what `begin` has begun, once its head is there.

    If that meets a pooled connection which the engine closes at this moment, it is begun once more, if `repeatable`:
    `begin(True)` takes a new connection. Raises EngineUnreachable.
    """
    fresh = False
    while True:
        answer = await begin(fresh)
        try:
            await answer.wait_for_head()
        except EngineUnreachable:
            if fresh or not repeatable or not answer.connection.reused or answer.began or answer.is_late:
                raise
            fresh = True
        except BaseException:
            answer.end()
            raise
        else:
            return answer
