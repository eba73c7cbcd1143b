"""The connection to a store that speaks HTTP, against a scripted server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from discovery.entry import Entry
from discovery.http import HttpConnection

COUNTED = b"HTTP/1.1 200 OK\r\nX-Index: 7\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nno \r\n3\r\none\r\n0\r\n\r\n"
LAST = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
TWO = COUNTED + CHUNKED
WHOLE = (COUNTED, CHUNKED, TWO)


class Peer:
    """Gives one of `answers` after the other: None keeps silent, and after what is not the whole of one it hangs up."""

    def __init__(self, *answers: bytes | None) -> None:
        self.dialled = 0
        self.asked: list[bytes] = []
        self._answers = iter(answers)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.dialled += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.partition(b"Content-Length: ")[2].split()[0])
                self.asked.append(head.partition(b"\r\n")[0] + b" " + await reader.readexactly(length))
                answer = next(self._answers)
                if answer is None:
                    continue
                writer.write(answer)
                if answer not in WHOLE:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def connected(peer: Peer) -> AsyncIterator[HttpConnection]:
    """Yield a connection to `peer`."""
    async with await asyncio.start_server(peer.serve, "127.0.0.1") as server:
        connection = HttpConnection(Entry("127.0.0.1", server.sockets[0].getsockname()[1]), None)
        yield connection
        connection.close()
        await asyncio.sleep(0)


async def test_one_after_the_other() -> None:
    """Answers of all framings come whole over one connection, until one says that it is the last."""
    peer = Peer(COUNTED, CHUNKED, LAST, COUNTED)
    async with connected(peer) as http:
        found = [await http.ask("PUT", f"/{number}?x=1", {"X-Token": "t"}, b"body") for number in range(4)]
    assert [(one.status, one.body) for one in found] == [(200, b"ok"), (404, b"no one"), (200, b"ok"), (200, b"ok")]
    assert found[0].headers["x-index"] == "7"
    assert peer.asked == [f"PUT /{number}?x=1 HTTP/1.1 body".encode() for number in range(4)]
    assert peer.dialled == 2


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH\r\n\r\n", COUNTED[:30]])
async def test_broken(answer: bytes) -> None:
    """What is no answer, or half of one, is an error, and what comes next is dialled anew."""
    peer = Peer(answer, COUNTED)
    async with connected(peer) as http:
        with pytest.raises(ConnectionError):
            await http.ask("GET", "/a", {}, b"")
        assert (await http.ask("GET", "/b", {}, b"")).body == b"ok"


async def test_more_than_one() -> None:
    """What follows an answer unasked is not taken for the next one's."""
    peer = Peer(TWO, COUNTED)
    async with connected(peer) as http:
        assert [(await http.ask("GET", "/a", {}, b"")).status for _ in range(2)] == [200, 200]
    assert peer.dialled == 2


async def test_late() -> None:
    """An answer that nobody waits for any more is not taken for the next one's."""
    peer = Peer(None, COUNTED)
    async with connected(peer) as http:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await http.ask("GET", "/a", {}, b"")
        assert (await http.ask("GET", "/b", {}, b"")).body == b"ok"
    assert peer.dialled == 2
