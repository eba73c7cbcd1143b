"""A forwarded request whose answer may be kept from the client: the caller looks at it, and may ask another engine."""

from collections.abc import Sequence

from swarmproxy.errors import EngineUnreachable
from swarmproxy.wire.exchange import AsgiExchange
from swarmproxy.wire.forward import Forwarding, OnEnd, RelayOptions
from swarmproxy.wire.framing import Piece
from swarmproxy.wire.head import AnswerHead
from swarmproxy.wire.pool import EngineConnection


class Held(Exception):
    """An answer of which nothing went to the client: it may still have any other."""

    def __init__(self, status: int, body: bytes, lines: bytes) -> None:
        super().__init__(f"the engine answered {status}")
        self.status = status
        self.body = body  # as much of it as `RelayOptions.held_bytes` says
        self.lines = lines  # the headers that pass on


class Holding(Forwarding):
    """As its base, but with an answer whose status `RelayOptions.holds` is true for, it ends with Held."""

    __slots__ = ("_held",)

    def __init__(
        self, exchange: AsgiExchange, connection: EngineConnection, options: RelayOptions, on_end: OnEnd
    ) -> None:
        super().__init__(exchange, connection, options, on_end)
        self._held: bytearray | None = None

    def head_received(self, head: AnswerHead, *, followed: bool) -> None:
        """Decide what becomes of the answer."""
        if self._options.holds is None or not self._options.holds(head.status):
            super().head_received(head, followed=followed)
            return
        self.connection.expect_nothing()
        self.decode = True
        self._held = bytearray()

    def bytes_received(self, pieces: Sequence[Piece]) -> None:
        """Keep a part of the body, or send it on."""
        if self._held is None:
            super().bytes_received(pieces)
            return
        for piece in pieces:
            self._held += piece[: self._options.held_bytes - len(self._held)]

    def answer_ended(self, *, reusable: bool) -> None:
        """Hand over what was kept."""
        if self._held is None or self.head is None:
            super().answer_ended(reusable=reusable)
            return
        if reusable and self._request_sent:
            self.connection.release()
        else:
            self.connection.close()
        self._stop_timers()
        self._settle(Held(self.head.status, bytes(self._held), self.head.fields.lines))

    def answer_failed(self, error: EngineUnreachable) -> None:
        """Fail without a word to the client if nothing went there."""
        if self._held is None:
            super().answer_failed(error)
            return
        self._stop_timers()
        self._settle(error)
