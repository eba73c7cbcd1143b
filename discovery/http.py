"""One connection to one HTTP server on asyncio's streams. httpx would load anyio, and trio where that is installed."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

import h11

from discovery.entry import Entry

_BLOCK_BYTES = 256 * 1024
_BOTH_DONE = {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    """By name, in small letters."""
    body: bytes


class HttpConnection:
    """Asks one thing after the other, and dials when it has to. Whoever asks sets the deadline."""

    def __init__(self, host: Entry, tls: ssl.SSLContext | None) -> None:
        """Open nothing yet."""
        self._host = host
        self._tls = tls
        self._protocol = h11.Connection(h11.CLIENT)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Return the answer. Raises OSError, and ConnectionError for what is no HTTP; the next call dials anew then."""
        fields = {"Host": str(self._host), "Content-Length": str(len(body)), **headers}
        request = h11.Request(method=method, target=target, headers=list(fields.items()))
        try:
            reader, writer = await self._open()
            written = (request, h11.Data(body), h11.EndOfMessage())
            writer.write(b"".join(self._protocol.send(event) or b"" for event in written))
            await writer.drain()
            answer = await self._read(reader)
        except h11.ProtocolError as error:
            self.close()
            raise ConnectionError(f"what comes back is no HTTP: {error}") from error
        except BaseException:
            self.close()
            raise
        left, _ = self._protocol.trailing_data
        if self._protocol.states == _BOTH_DONE and not left:
            self._protocol.start_next_cycle()
        else:
            self.close()
        return answer

    def close(self) -> None:
        """Hang up, without the goodbye of TLS, for whose answer somebody would have to wait."""
        if self._streams is not None:
            self._streams[1].transport.abort()
        self._streams = None

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return the connection: that of before, unless the server has closed it since."""
        if self._streams is not None and self._streams[0].at_eof():
            self.close()
        if self._streams is None:
            self._protocol = h11.Connection(h11.CLIENT)
            host, port = self._host.host, self._host.port
            self._streams = await asyncio.open_connection(host, port, ssl=self._tls, limit=_BLOCK_BYTES)
        return self._streams

    async def _read(self, reader: asyncio.StreamReader) -> Answer:
        head: h11.Response | None = None
        body = bytearray()
        while True:
            event = self._protocol.next_event()
            if event is h11.NEED_DATA:
                self._protocol.receive_data(await reader.read(_BLOCK_BYTES))
            elif isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
                return Answer(head.status_code, headers, bytes(body))
