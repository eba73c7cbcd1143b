"""TLS whose two directions end independently, in both roles.

asyncio's own TLS ends a connection as a whole. A hijacked stream needs more: the client's close_notify is the
end of stdin while output flows on. So TLS runs here over memory buffers, on top of an ordinary transport.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Iterable
from typing import Any, cast

from swarmproxy.wire.sockets import read_left_over, tune

HANDSHAKE_TIMEOUT_S = 20.0
_RECORD_BYTES = 16384
_RECORDS_AT_ONCE = 4
_BLOCK_BYTES = _RECORD_BYTES * _RECORDS_AT_ONCE
_HTTP_BEGINS = (b"GET /", b"HEAD ", b"POST ", b"PUT /", b"OPTIO", b"DELET", b"PATCH")
_NOT_TLS = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"


class TlsTransport(asyncio.Transport):
    """What the protocol above TLS writes to. `write_eof` sends close_notify; the other direction stays."""

    __slots__ = ("_closing", "_ended", "_notify_due", "_object", "_outgoing", "_owner", "_raw")

    def __init__(
        self, owner: "TlsProtocol", raw: asyncio.Transport, obj: ssl.SSLObject, outgoing: ssl.MemoryBIO
    ) -> None:
        super().__init__()
        self._owner = owner
        self._raw = raw
        self._object = obj
        self._outgoing = outgoing
        self._ended = False  # nothing more is written
        self._notify_due = False
        self._closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send."""
        if self._ended or not data or self._raw.is_closing():
            return
        try:
            if len(data) <= _BLOCK_BYTES:
                self._object.write(data)  # all of it: memory takes any amount
                self._raw.write(self._outgoing.read())
                return
            view = memoryview(data)
            for at in range(0, len(data), _BLOCK_BYTES):
                self._object.write(view[at : at + _BLOCK_BYTES])
                self._raw.write(self._outgoing.read())
        except ssl.SSLError as error:
            self._owner.fail(error)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Encrypt and send; short pieces share a record."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """Return True."""
        return True

    def write_eof(self) -> None:
        """Send close_notify behind what was written; reading goes on."""
        if not self._ended:
            self._ended = True
            self._notify_due = True
            if not self._owner.reading:
                self.send_notify_if_due()

    def send_notify_if_due(self) -> None:
        """Send close_notify. Only when the incoming side is drained: OpenSSL would drop records it meets."""
        if not self._notify_due:
            return
        self._notify_due = False
        with contextlib.suppress(ssl.SSLError):  # SSLWantReadError: ours is sent, the peer's is still to come
            self._object.unwrap()
        if self._outgoing.pending and not self._raw.is_closing():
            self._raw.write(self._outgoing.read())

    def close(self) -> None:
        """Send what is buffered, then close_notify, then FIN."""
        if not self._closing:
            self._closing = True
            self.write_eof()
            self.send_notify_if_due()
            self._raw.close()

    def abort(self) -> None:
        """End the connection now, without close_notify."""
        self._closing = True
        self._raw.abort()

    def is_closing(self) -> bool:
        """Return whether `close` or `abort` was called, or the connection is lost."""
        return self._closing or self._raw.is_closing()

    def pause_reading(self) -> None:
        """Stop reading from the socket."""
        self._raw.pause_reading()

    def resume_reading(self) -> None:
        """Read from the socket again."""
        self._raw.resume_reading()

    def is_reading(self) -> bool:
        """Return whether the socket is read."""
        return self._raw.is_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the limits of the socket's buffer: nothing else is buffered."""
        self._raw.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Return the encrypted bytes not yet taken by the socket."""
        return self._raw.get_write_buffer_size()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Give the connection to another protocol."""
        self._owner.app = cast("asyncio.Protocol", protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol above."""
        return self._owner.app

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what TLS knows, or else the socket. `bare_eof`: the peer closed without close_notify."""
        if name == "ssl_object":
            return self._object
        if name == "sslcontext":
            return self._object.context
        if name == "peercert":
            return self._object.getpeercert()
        if name == "bare_eof":
            return self._owner.bare_eof
        return self._raw.get_extra_info(name, default)


class TlsProtocol(asyncio.Protocol):
    """Both roles: the handshake, and what comes from the peer. `app` is the protocol above."""

    def __init__(
        self,
        app: asyncio.Protocol,
        context: ssl.SSLContext,
        *,
        server_hostname: str | None = None,
        session: ssl.SSLSession | None = None,
        timeout_s: float = HANDSHAKE_TIMEOUT_S,
    ) -> None:
        self.app = app
        self.bare_eof = False
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=context.protocol is ssl.PROTOCOL_TLS_SERVER,
            server_hostname=server_hostname,
            session=session,
        )
        self._timeout_s = timeout_s
        self._deadline: asyncio.TimerHandle | None = None
        self._raw: asyncio.Transport = cast("asyncio.Transport", None)  # from `connection_made` on
        self._transport: TlsTransport | None = None  # once the handshake is done
        self.reading = False  # inside `_read`
        self._notified = False  # close_notify came
        self._ended = False  # the protocol above knows that the peer sends no more
        self._error: Exception | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock of the handshake."""
        self._raw = cast("asyncio.Transport", transport)
        tune(transport)
        self._deadline = asyncio.get_running_loop().call_later(self._timeout_s, self._expire)

    def _expire(self) -> None:
        self._error = TimeoutError("the TLS handshake takes too long")
        self._raw.abort()

    def data_received(self, data: bytes) -> None:
        """Decrypt and pass on."""
        if self._ended:
            return
        self._incoming.write(data)
        if self._transport is not None or self.shake_hands():
            self._read()

    def shake_hands(self) -> bool:
        """Go one step on; return whether the handshake is done."""
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except ssl.SSLError as error:
            self.fail(error)
            return False
        self._flush()
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self._transport = TlsTransport(self, self._raw, self._object, self._outgoing)
        self.app.connection_made(self._transport)
        return True

    def _read(self) -> None:
        """Decrypt what is here and pass it on, some records at a time: larger blocks cost more than they save.

        (glibc gives back the memory of large blocks at once, and each of their pages is then a fault.)
        """
        self.reading = True
        more = True
        while more and self._error is None and not self._ended:
            pieces, more = self._decrypt()
            if self._outgoing.pending:
                self._flush()
            if pieces:
                self.app.data_received(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        self.reading = False
        if self._error is not None:
            self.fail(self._error)
        elif self._notified:
            self._end()
        if self._transport is not None:
            self._transport.send_notify_if_due()

    def _decrypt(self) -> tuple[list[bytes], bool]:
        """Return the payload of the next records, and whether more may be there."""
        obj, incoming = self._object, self._incoming
        pieces: list[bytes] = []
        try:
            while len(pieces) < _RECORDS_AT_ONCE:
                piece = obj.read(_RECORD_BYTES)
                if not piece:
                    self._notified = True
                    return pieces, False
                pieces.append(piece)
                if not incoming.pending and not obj.pending():
                    return pieces, False
        except ssl.SSLWantReadError:
            return pieces, False
        except ssl.SSLZeroReturnError:
            self._notified = True
            return pieces, False
        except ssl.SSLError as error:
            self._error = error
            return pieces, False
        return pieces, True

    def _end(self) -> None:
        """Tell the protocol above that its peer sends no more."""
        if self._ended or self._transport is None:
            return
        self._ended = True
        if not self.app.eof_received():
            self._transport.close()

    def _flush(self) -> None:
        if self._outgoing.pending and not self._raw.is_closing():
            self._raw.write(self._outgoing.read())

    def fail(self, error: Exception) -> None:
        """End the connection because of `error`; an alert says so to the peer."""
        self._error = error
        self._flush()
        self._raw.close()

    def eof_received(self) -> bool:
        """Take a bare FIN for the end of input: whether it may be one is for the protocol above to judge."""
        if self._transport is None:
            self._error = ConnectionResetError("connection closed during the TLS handshake")
            return False
        if not self._ended:
            self.bare_eof = True
            self._end()
        return not self._transport.is_closing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the protocol above, after what the peer still had to say."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if exc is not None and self._transport is not None:
            if data := read_left_over(self._raw):
                self.data_received(data)
            if isinstance(exc, BrokenPipeError):
                self.eof_received()
        if self._transport is not None:
            self.app.connection_lost(self._error or exc)

    def pause_writing(self) -> None:
        """Pass on."""
        if self._transport is not None:
            self.app.pause_writing()

    def resume_writing(self) -> None:
        """Pass on."""
        if self._transport is not None:
            self.app.resume_writing()


class TlsServerProtocol(TlsProtocol):
    """The role of a listener."""

    def data_received(self, data: bytes) -> None:
        """Answer plain HTTP in words that a user can read."""
        if self._transport is None and self._is_plain_http(data):
            self._raw.write(_NOT_TLS)
            self._raw.close()
            return
        super().data_received(data)

    def _is_plain_http(self, data: bytes) -> bool:
        return not self._object.version() and data.startswith(_HTTP_BEGINS)


class TlsClientProtocol(TlsProtocol):
    """The role of a client. `established` is done when the handshake is, or fails with what went wrong."""

    def __init__(
        self,
        app: asyncio.Protocol,
        context: ssl.SSLContext,
        *,
        server_hostname: str | None = None,
        session: ssl.SSLSession | None = None,
        timeout_s: float = HANDSHAKE_TIMEOUT_S,
    ) -> None:
        super().__init__(app, context, server_hostname=server_hostname, session=session, timeout_s=timeout_s)
        self.established: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say hello."""
        super().connection_made(transport)
        self.shake_hands()

    def shake_hands(self) -> bool:
        """Go one step on; return whether the handshake is done."""
        done = super().shake_hands()
        if done and not self.established.done():
            self.established.set_result(None)
        return done

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the handshake, or tell the protocol above."""
        if not self.established.done():
            error = self._error or exc or ConnectionResetError("connection closed during the TLS handshake")
            self.established.set_exception(error)
        super().connection_lost(exc)
