"""A hijacked connection: the bytes of two sockets, each direction until its own end.

The client's end of input (FIN, or close_notify under TLS) becomes the engine's, if that reads any, while output flows
on; the end of output ends the client's side. A side that is lost without having ended resets the other.
"""

import asyncio
from collections.abc import Callable

from swarmproxy.wire.sockets import read_left_over, reset


class Splice:
    """Joins two transports by taking the place of their protocols, until both are closed.

    `closed` is called once, with the error that cut the stream or None.
    """

    __slots__ = ("_check", "_client", "_closed", "_engine", "_error", "_linger_s", "_loop")

    def __init__(
        self,
        client: "Side",
        engine: "Side",
        *,
        linger_s: float,
        closed: Callable[[Exception | None], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._client = client
        self._engine = engine
        self._linger_s = linger_s
        self._closed = closed
        self._check: asyncio.TimerHandle | None = None
        self._error: Exception | None = None
        client.join(self, engine)
        engine.join(self, client)
        if client.ended:
            self.side_ended(client)

    def side_ended(self, side: "Side") -> None:
        """Pass on the end of one direction; close both once both have ended."""
        peer = side.peer
        if peer.ended:
            self.end()
            return
        if peer.listens and not peer.transport.is_closing():
            peer.transport.write_eof()
        if side is self._engine:
            # The engine is done. Most clients close now; one that sends on may do so, a silent one may not
            # keep the connections for ever.
            self._client.moving = False
            self._check = self._loop.call_later(self._linger_s, self._end_if_silent)

    def _end_if_silent(self) -> None:
        if self._client.moving:
            self._client.moving = False
            self._check = self._loop.call_later(self._linger_s, self._end_if_silent)
        else:
            self.end()

    def end(self) -> None:
        """Close both sides behind what was written to them; cut what is not taken in time."""
        for side in (self._client, self._engine):
            if not side.lost:
                side.ended = True
                side.transport.close()
        if self._check is not None:
            self._check.cancel()
        self._check = self._loop.call_later(self._linger_s, self._cut)

    def _cut(self) -> None:
        for side in (self._client, self._engine):
            if not side.lost:
                side.transport.abort()

    def side_lost(self, side: "Side", error: Exception | None) -> None:
        """End the other side as this one ended: in order, or by a reset."""
        peer = side.peer
        if peer.lost:
            if self._check is not None:
                self._check.cancel()
            self._closed(self._error)
        elif side.ended:
            self.end()
        else:
            self._error = error or ConnectionAbortedError("the connection was ended")
            reset(peer.transport)


class Side(asyncio.Protocol):
    """One end of a splice: what it receives goes to the other, as fast as that takes it.

    Who does not listen is not told that the other end says no more. Under TLS that is a record, and an engine that
    leaves one unread resets the connection when it closes it: output that was still on its way would be lost.
    """

    __slots__ = (
        "_count",
        "_forget",
        "_splice",
        "_write",
        "ended",
        "listens",
        "lost",
        "moving",
        "peer",
        "transport",
        "write_paused",
    )

    peer: "Side"
    _splice: Splice
    _write: Callable[[bytes], None]

    def __init__(
        self,
        transport: asyncio.Transport,
        *,
        write_paused: bool,
        ended: bool,
        listens: bool = True,
        count: Callable[[int], None],
        forget: Callable[[Exception | None], None],
    ) -> None:
        self.transport = transport
        self.write_paused = write_paused
        self.ended = ended  # sends no more
        self.listens = listens
        self.lost = False
        self.moving = True  # sent something since somebody looked last
        self._count = count
        self._forget = forget

    def join(self, splice: Splice, peer: "Side") -> None:
        """Start passing on to `peer`."""
        self.peer = peer
        self._splice = splice
        self._write = peer.transport.write
        self.transport.set_protocol(self)
        if peer.write_paused:
            self.transport.pause_reading()
        elif not self.ended:
            self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Pass on."""
        self.moving = True
        self._count(len(data))
        self._write(data)

    def eof_received(self) -> bool:
        """Pass on the end; the other direction stays open."""
        if not self.ended:
            self.ended = True
            self._splice.side_ended(self)
        return True

    def pause_writing(self) -> None:
        """Hold back the other side."""
        if not self.peer.lost:
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        """Let the other side go on."""
        if not (self.peer.lost or self.peer.ended):
            self.peer.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the former owner and the splice, after what the peer still had to say."""
        if exc is not None and not self.ended and self.transport.get_extra_info("sslcontext") is None:
            if (data := read_left_over(self.transport)) and not self.peer.lost:
                self._count(len(data))
                self._write(data)
            self.ended = isinstance(exc, BrokenPipeError)
        self.lost = True
        self._forget(exc)
        self._splice.side_lost(self, exc)
