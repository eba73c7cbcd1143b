"""What is asked of the sockets themselves: keepalive, a real reset, bytes left behind by a failed write."""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Callable

KEEPALIVE_S = 30
_KEEPALIVE_PROBES = 4
_MAX_LEFT_OVER_BYTES = 1024 * 1024
_NO_LINGER = struct.pack("ii", 1, 0)
_RETRANSMITS = 2  # the byte of Linux' struct tcp_info that counts how often the same bytes were sent again in vain


def tune(transport: asyncio.BaseTransport) -> None:
    """Let TCP find a dead peer by itself, and send small writes at once."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    with contextlib.suppress(OSError):  # the peer may be gone already: its end is reported as for any other
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _KEEPALIVE_PROBES)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def reset(transport: asyncio.Transport) -> None:
    """End the connection with a reset, so that no peer can take what it has for the whole."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()


def is_unacknowledged(transport: asyncio.BaseTransport) -> bool:
    """Return whether TCP sends bytes again since the peer's host says nothing to them.

    One that takes no more bytes for now, or whose program hangs, acknowledges them.
    """
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    with contextlib.suppress(OSError):
        return bool(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RETRANSMITS + 1)[_RETRANSMITS])
    return False


def read_left_over(transport: asyncio.BaseTransport) -> bytes:
    """Return what a peer sent before it closed and nobody read yet.

    A write to a peer that has closed fails before the loop reads the peer's last words: the early answer to a
    request whose body it did not want. To be called from `connection_lost`, while the socket is still open.
    If the error there is BrokenPipeError, the peer's end of output came too: otherwise a reset is ECONNRESET.
    """
    sock = transport.get_extra_info("socket")
    blocks: list[bytes] = []
    left = _MAX_LEFT_OVER_BYTES
    with contextlib.suppress(OSError, ValueError):
        while sock is not None and left > 0 and (block := os.read(sock.fileno(), 65536)):
            blocks.append(block)
            left -= len(block)
    return b"".join(blocks)


class StallTimer:
    """Calls `stalled` when a peer took none of the bytes written to it for `limit_s`."""

    __slots__ = ("_buffered", "_handle", "_limit_s", "_stalled", "_transport")

    def __init__(self, transport: asyncio.Transport, limit_s: float, stalled: Callable[[], None]) -> None:
        self._transport = transport
        self._limit_s = limit_s
        self._stalled = stalled
        self._buffered = 0
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Watch from now on: to be called when the transport's buffer is full."""
        self.stop()
        self._buffered = self._transport.get_write_buffer_size()
        self._handle = asyncio.get_running_loop().call_later(self._limit_s, self._look)

    def stop(self) -> None:
        """Stop watching."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _look(self) -> None:
        if self._transport.get_write_buffer_size() < self._buffered:
            self.start()
        else:
            self._handle = None
            self._stalled()
