"""Peers that do exactly what a test says: raw bytes over TCP or TLS, with half-closes and resets."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from typing import cast

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GUARD_S = 20.0  # no step takes so long, unless it hangs


class Peer:
    """One end of a connection. Reads count in bytes or go to the end; an end of input is b""."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        context: ssl.SSLContext | None = None,
        *,
        session: ssl.SSLSession | None = None,
    ) -> None:
        self.reader, self.writer = reader, writer
        self._plain = bytearray()
        self._ended = False
        self.clean_end = False  # by close_notify
        self.tls: ssl.SSLObject | None = None
        if context is not None:
            self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            server_side = context.protocol is ssl.PROTOCOL_TLS_SERVER
            self.tls = context.wrap_bio(
                self._incoming,
                self._outgoing,
                server_side=server_side,
                server_hostname=None if server_side else "localhost",
                session=session,
            )

    async def shake_hands(self) -> None:
        while self.tls is not None:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                data = await self.reader.read(65536)
                if not data:
                    raise ConnectionResetError("closed in the handshake") from None
                self._incoming.write(data)
            else:
                await self._flush()
                return

    async def _flush(self) -> None:
        if data := self._outgoing.read():
            self.writer.write(data)
            await self.writer.drain()

    async def send(self, data: bytes) -> None:
        if self.writer.is_closing():
            raise ConnectionResetError("closed")
        async with asyncio.timeout(GUARD_S):
            if self.tls is None:
                self.writer.write(data)
            else:
                self.tls.write(data)
                self.writer.write(self._outgoing.read())
            await self.writer.drain()

    async def end(self) -> None:
        """Half-close: FIN, or close_notify without FIN."""
        if self.tls is None:
            self.writer.write_eof()
            return
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        await self._flush()

    def fin(self) -> None:
        """Send a FIN, under TLS a bare one."""
        self.writer.write_eof()

    def reset(self) -> None:
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def close(self) -> None:
        self.writer.close()

    def stop_reading(self) -> None:
        """Leave in the kernel what comes from now on."""
        cast("asyncio.ReadTransport", self.writer.transport).pause_reading()

    async def some(self, count: int = 65536) -> bytes:
        """Return what comes next, b"" at the end."""
        async with asyncio.timeout(GUARD_S):
            if self.tls is None:
                if self._plain:
                    return self._take(count)
                return await self.reader.read(count)
            while not self._plain and not self._ended:
                try:
                    data = self.tls.read(65536)
                    self._plain += data
                    if not data:
                        self._ended = self.clean_end = True
                except ssl.SSLZeroReturnError:
                    self._ended = self.clean_end = True
                except ssl.SSLWantReadError:
                    data = await self.reader.read(262144)
                    self._ended = not data
                    self._incoming.write(data)
            return self._take(count)

    def _take(self, count: int) -> bytes:
        data = bytes(self._plain[:count])
        del self._plain[:count]
        return data

    async def exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            block = await self.some(count - len(data))
            if not block:
                raise EOFError(f"ended after {bytes(data)!r}")
            data += block
        return bytes(data)

    async def until(self, mark: bytes) -> bytes:
        """Return what comes up to `mark`, and that; what came behind it is read next."""
        data = bytearray()
        while mark not in data:
            block = await self.some()
            if not block:
                raise EOFError(f"ended after {bytes(data)!r}")
            data += block
        end = data.index(mark) + len(mark)
        self._plain[:0] = data[end:]
        return bytes(data[:end])

    async def head(self) -> bytes:
        return await self.until(b"\r\n\r\n")

    async def rest(self) -> bytes:
        """Return all until the end."""
        blocks = []
        while block := await self.some(262144):
            blocks.append(block)
        return b"".join(blocks)

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and decoded body of one framed answer."""
        head = (await self.head()).decode()
        lines = head.split("\r\n")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines[1:] if line)}
        status = int(lines[0].split()[1])
        if status == 100:
            return status, headers, b""
        if "content-length" in headers:
            return status, headers, await self.exactly(int(headers["content-length"]))
        if headers.get("transfer-encoding") == "chunked":
            return status, headers, await self.chunks()
        return status, headers, b"" if status in (204, 304) else await self.rest()

    async def chunks(self) -> bytes:
        body = bytearray()
        while size := int(await self.until(b"\r\n"), 16):
            body += await self.exactly(size)
            assert await self.exactly(2) == b"\r\n"
        assert await self.exactly(2) == b"\r\n"
        return bytes(body)

    async def request(self) -> tuple[bytes, bytes]:
        """Return head and decoded body of one request."""
        head = await self.head()
        lower = head.lower()
        if b"transfer-encoding: chunked" in lower:
            return head, await self.chunks()
        if b"content-length: " in lower:
            return head, await self.exactly(int(lower.partition(b"content-length: ")[2].split(b"\r\n")[0]))
        return head, b""


async def answer_ok(peer: Peer) -> None:
    """Answer each request with OK, until the connection ends."""
    while True:
        await peer.request()
        await peer.send(OK)


async def connect(
    port: int,
    context: ssl.SSLContext | None = None,
    *,
    session: ssl.SSLSession | None = None,
    buffer: int = 0,
    source: str = "127.0.0.1",
) -> Peer:
    sock = socket.socket()
    sock.bind((source, 0))
    if buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    peer = Peer(*await asyncio.open_connection(sock=sock, limit=2**20), context, session=session)
    await peer.shake_hands()
    return peer


class ScriptedEngine:
    """Runs `script` for each connection. What a script raises is raised by `check`."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self.context = context
        self.script: Callable[[Peer], Awaitable[None]] | None = None
        self.connections = 0
        self.errors: list[BaseException] = []
        self.peers: list[Peer] = []
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**20)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        peer = Peer(reader, writer, self.context)
        self.peers.append(peer)
        try:
            await peer.shake_hands()
            assert self.script is not None
            await self.script(peer)
        except (EOFError, ConnectionError, ssl.SSLError):
            pass
        except Exception as error:  # noqa: BLE001  raised by `stop`
            self.errors.append(error)
        finally:
            writer.close()

    async def stop(self) -> None:
        self._server.close()
        for peer in self.peers:
            peer.writer.transport.abort()
        await asyncio.sleep(0)
        if self.errors:
            raise self.errors[0]
