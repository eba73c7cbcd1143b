"""An answer without end that comes line by line: each is handed on at once, without a task that waits for it."""

import asyncio
from collections.abc import Callable, Sequence

from swarmproxy.errors import EngineUnreachable
from swarmproxy.wire.answer import AnswerReader
from swarmproxy.wire.framing import Piece
from swarmproxy.wire.head import AnswerHead
from swarmproxy.wire.pool import EngineConnection, Pool
from swarmproxy.wire.whole import connect, with_head

LINE_LIMIT_BYTES = 4 * 1024 * 1024


class Lines(AnswerReader):
    """Reads one answer. `on_line` takes each line that is not empty; if it raises, the answer is given up.

    `on_bytes` hears that something came. Of an answer with a status of 400 and above the body is kept in `refusal`.

    When the answer has come to its end, `again` is asked for what to ask next on the same connection, if anything: the
    lines of that answer follow, and nobody who waits is woken, since there are thousands that end each few seconds.
    """

    __slots__ = (
        "_again",
        "_error",
        "_is_repeated",
        "_on_bytes",
        "_on_line",
        "_rest",
        "_timeout_s",
        "_waiter",
        "is_late",
        "is_over",
        "refusal",
    )

    def __init__(
        self,
        connection: EngineConnection,
        *,
        timeout_s: float,
        on_line: Callable[[bytes], None],
        on_bytes: Callable[[], None],
        again: Callable[[], str | None] = lambda: None,
    ) -> None:
        super().__init__(connection, method=b"GET", decode=True)
        self._again = again
        self._is_repeated = False
        self._on_line = on_line
        self._on_bytes = on_bytes
        self._timeout_s = timeout_s
        self._rest = b""
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.is_late = False
        self.is_over = False
        self.refusal = b""
        connection.expect(timeout_s)

    @property
    def status(self) -> int:
        """Return the status of the answer; 0 before its head is there."""
        return self.head.status if self.head is not None else 0

    @property
    def is_cut_between(self) -> bool:
        """Return whether the connection ended where a further answer should have begun: nothing of it is lost."""
        return self._error is not None and self._is_repeated and not self.began

    async def wait_for_head(self) -> None:
        """Return when the head is there; of a refusal, when all of it is. Raises EngineUnreachable."""
        while not self.is_over and (self.head is None or self.status >= 400):
            await self._wait()
        if self._error is not None and (self.head is None or self.status >= 400):
            raise self._error

    async def wait_for_end(self) -> None:
        """Return when the last answer came to its end or was given up. Raises what kept it from that."""
        while not self.is_over:
            await self._wait()
        if self._error is not None:
            raise self._error

    def end(self) -> None:
        """Give the rest up."""
        if not self.is_over:
            self.connection.abort()
            self._finish(None)

    # What the reader of the answer, and the connection, tell.

    def head_received(self, head: AnswerHead, *, followed: bool) -> None:  # noqa: ARG002
        """Wake who waits for it."""
        if head.status < 400:
            self.connection.expect_nothing()
            self._on_bytes()
            if not self._is_repeated:  # nobody waits for that of a further answer
                self._wake()

    def bytes_received(self, pieces: Sequence[Piece]) -> None:
        """Hand the lines on."""
        if self.status >= 400:
            self.refusal = (self.refusal + b"".join(pieces))[:LINE_LIMIT_BYTES]
            return
        self._on_bytes()
        *lines, self._rest = (self._rest + b"".join(pieces)).split(b"\n")
        try:
            for line in lines:
                if stripped := line.strip():
                    self._on_line(stripped)
        except Exception as error:  # noqa: BLE001 - whoever waits raises it
            self._give_up(error)
            return
        if len(self._rest) > LINE_LIMIT_BYTES:
            self._give_up(EngineUnreachable(f"engine {self.connection.address} sent a line without end"))

    def answer_ended(self, *, reusable: bool) -> None:
        """Ask what is to be asked next, or give the connection back."""
        if reusable and self.status < 400 and (target := self._again()) is not None:
            self.head, self._interim, self._rest, self._is_repeated = None, False, b"", True
            self.connection.expect(self._timeout_s)
            self.connection.transport.write(_request(target, self.connection.host_header))
            return
        if reusable:
            self.connection.release()
        else:
            self.connection.abort()
        self._finish(None)

    def answer_failed(self, error: EngineUnreachable) -> None:
        """Let whoever waits raise it."""
        self._finish(error)

    def overdue(self) -> None:
        """Give up: the head did not come."""
        self.is_late = True
        address = self.connection.address
        self._give_up(EngineUnreachable(f"engine {address} did not answer within {self._timeout_s:g} s"))

    def _give_up(self, error: Exception) -> None:
        self.connection.abort()
        self._finish(error)

    def _finish(self, error: Exception | None) -> None:
        if not self.is_over:
            self._error, self.is_over = error, True
        self._wake()

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


async def lines(
    pool: Pool,
    target: str,
    *,
    timeout_s: float,
    on_line: Callable[[bytes], None],
    on_bytes: Callable[[], None],
    again: Callable[[], str | None] = lambda: None,
) -> Lines:
    """Ask for `target` and return the answer once its head is there; `again` is as for `Lines`. The caller ends it.

    `timeout_s` counts until then. Raises EngineUnreachable.
    """

    async def begin(fresh: bool) -> Lines:
        connection = await connect(pool, timeout_s=timeout_s, fresh=fresh)
        answer = Lines(connection, timeout_s=timeout_s, on_line=on_line, on_bytes=on_bytes, again=again)
        connection.transport.write(_request(target, pool.host_header))
        return answer

    return await with_head(begin)


def _request(target: str, host_header: bytes) -> bytes:
    return b"GET %s HTTP/1.1\r\n%s\r\n" % (target.encode(), host_header)
