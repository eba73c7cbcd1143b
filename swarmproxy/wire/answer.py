"""An engine's answer as it comes in: interim heads skipped, the head parsed, the body followed to its end."""

from collections.abc import Sequence

from swarmproxy.errors import EngineUnreachable, ProtocolViolation
from swarmproxy.wire.framing import Chunked, Counted, Piece, Scanner, UntilClose
from swarmproxy.wire.head import AnswerHead, parse_answer
from swarmproxy.wire.pool import EngineConnection, EngineSide

MAX_HEAD_BYTES = 1024 * 1024
_END_OF_HEAD = b"\r\n\r\n"
_NOTHING = Counted(0)


class AnswerReader(EngineSide):
    """Reads one answer from one connection. Subclasses say what becomes of it.

    The connection is ended before `answer_failed` is called; `answer_ended` gives it back, or keeps it while
    the request is still being sent: then `answer_failed` may follow.
    """

    __slots__ = ("_body", "_interim", "_partial", "_to_head", "connection", "decode", "head")

    def __init__(self, connection: EngineConnection, *, method: bytes, decode: bool) -> None:
        self.connection = connection
        self.head: AnswerHead | None = None
        self.decode = decode  # hand out the payload instead of the bytes with their framing
        self._to_head = method == b"HEAD"
        self._partial = b""
        self._interim = False
        self._body: Scanner | None = None
        connection.user = self

    @property
    def began(self) -> bool:
        """Return whether a byte of the answer came."""
        return self.head is not None or bool(self._partial) or self._interim

    # What subclasses do.

    def head_received(self, head: AnswerHead, *, followed: bool) -> None:
        """Take the final head (status 101 or from 200 on); if `followed`, bytes of the body come at once."""
        raise NotImplementedError

    def bytes_received(self, pieces: Sequence[Piece]) -> None:
        """Take bytes of the body: with their framing, or the payload only if `decode` is set."""
        raise NotImplementedError

    def answer_ended(self, *, reusable: bool) -> None:
        """Take the end of the whole answer; `reusable` says whether the engine keeps the connection."""
        raise NotImplementedError

    def answer_failed(self, error: EngineUnreachable) -> None:
        """Take the news that no more will come although the answer is not complete."""
        raise NotImplementedError

    def stream_received(self, data: bytes) -> None:
        """Take bytes behind a head that turned the connection into a raw stream (see `is_stream`)."""
        raise NotImplementedError

    def is_stream(self, head: AnswerHead) -> bool:
        """Return whether this head ends HTTP on the connection."""
        return head.status == 101

    # What the connection tells.

    def data_received(self, data: bytes) -> None:
        """Follow the answer."""
        try:
            if self._body is not None:
                self._read_body(data, 0)
            elif self.head is None:
                self._read_head(data)
            else:
                self._fail("sent bytes behind the end of its answer")
        except ProtocolViolation as violation:
            self._fail(f"sent an answer that is not HTTP/1.1: {violation}", violation)

    def _read_head(self, data: bytes) -> None:
        if self._partial:
            data = self._partial + data
            self._partial = b""
        while True:
            end = data.find(_END_OF_HEAD) + 4
            if end < 4:
                if len(data) > MAX_HEAD_BYTES:
                    raise ProtocolViolation("the head is too large")
                self._partial = data
                return
            head = parse_answer(data if end == len(data) else data[:end])
            if head.status >= 200 or head.status == 101:
                break
            self._interim = True
            data = data[end:]  # 100 Continue, 102 Processing: not for the client
        stream = self.is_stream(head)
        if head.status == 101 and not stream:
            raise ProtocolViolation("101 to a request that did not ask for it")
        self.head = head
        if stream:
            self._body = UntilClose()
            self.head_received(head, followed=False)
            if self.connection.user is self:
                self.stream_received(data[end:])
            return
        self._body = body = self._body_of(head)
        self.head_received(head, followed=body is not _NOTHING and end < len(data))
        if end < len(data) or body is _NOTHING:
            self._read_body(data, end)

    def _body_of(self, head: AnswerHead) -> Scanner:
        fields = head.fields
        if self._to_head or head.status in (204, 304) or fields.length == 0:
            return _NOTHING
        if fields.chunked:
            return Chunked()
        return Counted(fields.length) if fields.length > 0 else UntilClose()

    def _read_body(self, data: bytes, at: int) -> None:
        body, head = self._body, self.head
        if body is None or head is None or self.connection.user is not self:
            return
        pieces: list[Piece] | None = [] if self.decode else None
        end = body.scan(data, at, pieces)
        if pieces is None:
            last = len(data) if end < 0 else end
            if last > at:
                self.bytes_received((data if at == 0 and last == len(data) else memoryview(data)[at:last],))
        elif pieces:
            self.bytes_received(pieces)
        if end >= 0 and self.connection.user is self:
            self._body = None
            # Bytes behind an answer belong to no request: such a connection is not used again.
            self.answer_ended(reusable=head.keep_alive and end == len(data))

    def eof_received(self) -> bool:
        """Judge whether the answer may end here."""
        bare = bool(self.connection.transport.get_extra_info("bare_eof"))
        if self.head is not None and self._body is not None and self._body.may_end() and not bare:
            self._body = None
            self.answer_ended(reusable=False)
        else:
            self._fail("closed the connection before the answer was complete")
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Fail the exchange, unless it is over."""
        reason = f": {error}" if error is not None and str(error) else ""
        self._fail(f"closed the connection before the answer was complete{reason}", error)

    def _fail(self, what: str, cause: BaseException | None = None) -> None:
        failure = EngineUnreachable(f"engine {self.connection.address} {what}")
        failure.__cause__ = cause
        self._body = None
        self.connection.abort()
        self.answer_failed(failure)
