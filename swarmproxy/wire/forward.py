"""One attempt to have an engine answer a client's request: bytes both ways, framed as each side wants."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from swarmproxy.errors import EngineUnreachable
from swarmproxy.wire.answer import AnswerReader
from swarmproxy.wire.exchange import AsgiExchange
from swarmproxy.wire.framing import Piece
from swarmproxy.wire.head import AnswerHead, framing_line
from swarmproxy.wire.hijack import Side, Splice
from swarmproxy.wire.pool import EngineConnection
from swarmproxy.wire.sockets import StallTimer, reset

log = logging.getLogger("swarmproxy.wire")

STREAM_LINGER_S = 10.0
_RAW_STREAMS = frozenset((b"application/vnd.docker.raw-stream", b"application/vnd.docker.multiplexed-stream"))
_JOINED_BYTES = 16 * 1024  # below this, copying costs less than another write

OnEnd = Callable[[int, Exception | None], None]


@dataclass(frozen=True, slots=True)
class RelayOptions:
    """How to relay one request.

    `upgrade`: it may become a raw stream (101, or 200 with a raw-stream type).
    `takes_input`: whether the engine reads what the client says on that stream; see `hijack.Side`.
    `finish`: if the client goes, the engine's work goes on and its answer is thrown away; else it is ended.
    `endless`: it has no end of its own, and is ended at once when the server stops.
    `head_timeout_s`: from the end of the request until the engine's head.
    `body`: the whole body, if it was read already.
    `on_head`: called with the engine's status before anything goes to the client.
    `headers`: added to the client's answer, in the place of the engine's of the same name.
    `request_lines`: added to the request's head as they are.
    `holds`: whether an answer with this status is kept from the client, and raised as a Held with `held_bytes` at most.
    """

    upgrade: bool = False
    takes_input: bool = True
    finish: bool = False
    endless: bool = False
    head_timeout_s: float | None = None
    body: bytes | None = None
    on_head: Callable[[int], None] | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    request_lines: bytes = b""
    holds: Callable[[int], bool] | None = None
    held_bytes: int = 64 * 1024


class Forwarding(AnswerReader):
    """A request on one connection to an engine.

    `on_end` is called once, when it is over: with the status (0 if there is none because the client went away), or
    with what went wrong before anything was answered.
    """

    __slots__ = (
        "_answered",
        "_chunk_answer",
        "_chunk_request",
        "_client",
        "_discard",
        "_engine_paused",
        "_exchange",
        "_on_end",
        "_options",
        "_prefix",
        "_request_sent",
        "_reusable",
        "_settled",
        "_splice",
        "_stall",
        "is_late",
    )

    def __init__(
        self, exchange: AsgiExchange, connection: EngineConnection, options: RelayOptions, on_end: OnEnd
    ) -> None:
        super().__init__(connection, method=exchange.request.method, decode=False)
        self._on_end = on_end
        self.is_late = False  # it was given up, since the engine took too long
        self._settled = False
        self._exchange = exchange
        self._client = exchange.connection
        self._options = options
        self._request_sent = False
        self._chunk_request = False
        self._prefix = b""  # the client's head, while it waits for the first bytes of the body
        self._chunk_answer = False  # the engine's answer ends with the connection, the client's in chunks
        self._answered = False
        self._reusable = False
        self._discard = False  # the client is gone, the engine's work goes on
        self._engine_paused = False
        self._stall: StallTimer | None = None
        self._splice: Splice | None = None

    # Towards the engine.

    def send_head(self, target: bytes, body: bytes | None) -> None:
        """Send the request's head, and `body` if it is there; otherwise `send_body` follows."""
        request, fields = self._exchange.request, self._exchange.request.fields
        lines = [request.method, b" ", target, b" HTTP/1.1\r\n", self.connection.host_header, fields.lines]
        if self._options.request_lines:
            lines.append(self._options.request_lines)
        if self._options.upgrade and fields.upgrade:
            lines.append(b"Connection: Upgrade\r\nUpgrade: %s\r\n" % fields.upgrade)
        if body is not None:
            lines.append(b"Content-Length: %d\r\n\r\n" % len(body))
            lines.append(body)
        else:
            lines.append(framing_line(fields))
            lines.append(b"\r\n")
        self._chunk_request = fields.chunked
        self.connection.transport.write(b"".join(lines))
        if body is not None or not request.has_body:
            self._request_complete()

    def send_body(self, pieces: Sequence[Piece], *, last: bool) -> None:
        """Send a part of the body."""
        if self.connection.user is not self:
            return  # the engine is gone, and said what it had to say
        transport = self.connection.transport
        if self._chunk_request:
            size = sum(map(len, pieces))
            parts: list[Piece] = [b"%x\r\n" % size, *pieces, b"\r\n"] if size else []
            if last:
                parts.append(b"0\r\n\r\n")
            transport.writelines(parts)
        else:
            transport.writelines(pieces)
        if last:
            self._request_complete()

    def _request_complete(self) -> None:
        self._request_sent = True
        self._client.stay_awake()  # for the answer
        if self._answered:
            self._complete()
        elif self._options.head_timeout_s is not None and self.head is None:
            self.connection.expect(self._options.head_timeout_s)

    def overdue(self) -> None:
        """Give up an engine that does not answer."""
        self.is_late = True
        self._fail(f"did not answer within {self._options.head_timeout_s:g} s")

    def pause_writing(self) -> None:
        """Hold back the client's body; not for ever."""
        self._client.pause_reading()
        if self._stall is None:
            stall_s = self._client.stall_s
            self._stall = StallTimer(self.connection.transport, stall_s, self._give_up)
        self._stall.start()

    def resume_writing(self) -> None:
        """Let the client's body come."""
        if self._stall is not None:
            self._stall.stop()
        self._client.resume_reading()

    def _give_up(self) -> None:
        self._fail("does not read the request")

    # Towards the client.

    def is_stream(self, head: AnswerHead) -> bool:
        """Return whether the engine left HTTP, as the client wants."""
        if not self._options.upgrade:
            return False
        if head.status == 101:
            return bool(self._exchange.request.fields.upgrade)
        fields = head.fields
        framed = fields.chunked or fields.length >= 0
        return head.status == 200 and not framed and head.content_type in _RAW_STREAMS

    def head_received(self, head: AnswerHead, *, followed: bool) -> None:
        """Send the head on at once, or together with the first bytes of the body."""
        self._stop_timers()
        if self._options.on_head is not None:
            try:
                self._options.on_head(head.status)
            except Exception as error:  # noqa: BLE001  raised by `relay` to where it belongs
                self.connection.abort()
                self._settle(error)
                return
        if self._discard:
            return
        exchange = self._exchange
        exchange.answer_begun = True
        exchange.moving = True
        exchange.status = head.status
        if exchange.keep_alive and exchange.request.http_1_1 and self._passes_unchanged(head):
            prefix = head.whole
        else:
            prefix = self._write_head(head)
        if followed:
            self._prefix = prefix
        else:
            self._client.transport.write(prefix)

    def _passes_unchanged(self, head: AnswerHead) -> bool:
        if self._options.headers or self._options.upgrade or head.status == 204:
            return False
        return head.fields.length >= 0 or head.fields.chunked

    def _write_head(self, head: AnswerHead) -> bytes:
        """Return the client's head, and decide how its body ends."""
        exchange, fields = self._exchange, head.fields
        lines = [head.status_line]
        if self._options.headers:
            replaced = {name.lower() for name, _ in self._options.headers}
            lines += [b"%s: %s\r\n" % pair for pair in fields.end_to_end if pair[0].lower() not in replaced]
            lines += [b"%s: %s\r\n" % pair for pair in self._options.headers]
        else:
            lines.append(fields.lines)
        if self.is_stream(head):
            if head.status == 101:
                lines.append(b"Connection: Upgrade\r\nUpgrade: %s\r\n" % (fields.upgrade or b"tcp"))
            lines.append(b"\r\n")
            return b"".join(lines)
        if self._options.upgrade or not exchange.request.http_1_1:
            # What follows a request to upgrade may be meant for the stream: it is not read as a request.
            exchange.keep_alive = False
        if exchange.request.method == b"HEAD" or head.status in (204, 304):
            if head.status != 204 and (exchange.request.http_1_1 or not fields.chunked):
                lines.append(framing_line(fields))
        elif fields.length >= 0 or (fields.chunked and exchange.request.http_1_1):
            lines.append(framing_line(fields))
        elif exchange.request.http_1_1:
            self._chunk_answer = True
            lines.append(b"Transfer-Encoding: chunked\r\n")
        else:
            self.decode = fields.chunked
        lines.append(b"\r\n" if exchange.keep_alive else b"Connection: close\r\n\r\n")
        return b"".join(lines)

    def bytes_received(self, pieces: Sequence[Piece]) -> None:
        """Send a part of the body on."""
        if self._discard:
            return
        exchange = self._exchange
        exchange.moving = True
        for piece in pieces:
            exchange.sent_bytes += len(piece)
        transport = self._client.transport
        prefix, self._prefix = self._prefix, b""
        if self._chunk_answer:
            transport.writelines((prefix, b"%x\r\n" % sum(map(len, pieces)), *pieces, b"\r\n"))
        elif prefix:
            if len(pieces[0]) <= _JOINED_BYTES:
                transport.write(b"".join((prefix, *pieces)))
            else:
                transport.writelines((prefix, *pieces))
        else:
            transport.writelines(pieces)

    def answer_ended(self, *, reusable: bool) -> None:
        """End the client's answer. The engine may still be reading the request."""
        self._answered = True
        self._reusable = reusable and not self._options.upgrade
        if self._prefix:  # the body had no payload
            self._client.transport.write(self._prefix)
            self._prefix = b""
        if self._chunk_answer and not self._discard:
            self._client.transport.write(b"0\r\n\r\n")
        if self._engine_paused:
            self.client_resumed()
        if self._request_sent:
            self._complete()
        elif not reusable:
            self._fail("has answered before the request was complete")

    def _complete(self) -> None:
        self._stop_timers()
        if self._reusable and not self.connection.write_paused:
            self.connection.release()
        else:
            self.connection.close()
        self._settle(None)
        if not self._discard:
            self._exchange.end_answer(keep_alive=self._exchange.keep_alive)

    def answer_failed(self, error: EngineUnreachable) -> None:
        """Let `relay` raise while nothing is answered; afterwards cut the client's answer, visibly."""
        self._stop_timers()
        if self.head is None:
            self._settle(error)
            return
        self._settle(None)
        if self._answered:  # the engine did not want the rest of the body: its answer is whole
            self._exchange.end_answer(keep_alive=False)
            return
        fields = {"request_id": self._exchange.request_id, "engine": str(self.connection.address)}
        log.warning("answer cut", extra={**fields, "error": str(error)})
        if not self._discard:
            self._exchange.answer_ended = True
            transport = self._client.transport
            if self._exchange.request.http_1_1:
                transport.abort()
            else:
                reset(transport)  # there the end of the connection would look like the end of the answer

    # What the client's connection tells.

    def client_paused(self) -> None:
        """Hold back the engine."""
        if not self._engine_paused and self.connection.user is self:
            self._engine_paused = True
            self.connection.transport.pause_reading()

    def client_resumed(self) -> None:
        """Let the engine go on."""
        if self._engine_paused:
            self._engine_paused = False
            self.connection.transport.resume_reading()

    def client_lost(self) -> None:
        """End the engine's work, or let it finish for nobody."""
        if self._splice is not None or self._settled:
            return
        if self._options.finish and self._request_sent and not self._options.upgrade:
            self._discard = True
            self.client_resumed()
        else:
            self.cancel()

    def cancel(self) -> None:
        """End the engine's work."""
        if self._splice is not None:
            self._splice.end()
        elif self.connection.user is self:
            self.connection.abort()
        self._stop_timers()
        self._settle(None)

    def end_stream(self) -> bool:
        """End a stream that has no end of its own; return whether this is one."""
        if self._splice is not None:
            self._splice.end()
            return True
        if not self._options.endless:
            return False
        self._exchange.answer_ended = True
        self.cancel()
        self._client.transport.abort()  # so that the client does not take it for the whole
        return True

    # Hijacked.

    def stream_received(self, data: bytes) -> None:
        """Join the two connections. What the client sent early follows the request only now."""
        early, ended = self._client.become_stream()
        engine, client, exchange = self.connection, self._client, self._exchange
        if data:
            exchange.count_sent(len(data))
            client.transport.write(data)
        if early:
            exchange.count_received(len(early))
            engine.transport.write(early)
        engine.user = None
        self._splice = Splice(
            Side(
                client.transport,
                write_paused=client.write_paused,
                ended=ended,
                count=exchange.count_received,
                forget=client.connection_lost,
            ),
            Side(
                engine.transport,
                write_paused=engine.write_paused,
                ended=False,
                listens=self._options.takes_input,
                count=exchange.count_sent,
                forget=engine.connection_lost,
            ),
            linger_s=STREAM_LINGER_S,
            closed=self._stream_closed,
        )

    def _stream_closed(self, error: Exception | None) -> None:
        self._exchange.answer_ended = True
        if error is not None:
            fields = {"request_id": self._exchange.request_id, "engine": str(self.connection.address)}
            log.info("stream cut", extra={**fields, "error": str(error) or type(error).__name__})
        self._settle(None)

    def _settle(self, error: Exception | None) -> None:
        if not self._settled:
            self._settled = True
            self._on_end(self.head.status if self.head is not None else 0, error)

    def _stop_timers(self) -> None:
        self.connection.expect_nothing()
        if self._stall is not None:
            self._stall.stop()
