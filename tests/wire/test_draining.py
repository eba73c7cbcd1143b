"""What becomes of connections when the server stops, or the client does."""

import asyncio
import contextlib

from swarmproxy.wire.limits import Limits
from swarmproxy.wire.relay import RelayOptions
from tests.wire.conftest import Proxy, Start
from tests.wire.peers import GUARD_S, OK, Peer

GET = b"GET / HTTP/1.1\r\nHost: x\r\n"


async def test_draining(proxy: Proxy) -> None:
    """A stopping server closes idle connections, lets an answer end and says so, and ends silent streams."""
    asked, go = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        head, _ = await peer.request()
        if b"/logs" in head:
            await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
            await peer.rest()
        asked.set()
        await go.wait()
        await peer.send(OK)

    proxy.engine.script = script
    idle, waiting, logs = [await proxy.connect() for _ in range(3)]
    await logs.send(b"GET /logs HTTP/1.1\r\nHost: x\r\n\r\n")
    await logs.until(b"abc\r\n")
    await waiting.send(GET + b"\r\n")
    await asyncio.wait_for(asked.wait(), GUARD_S)
    proxy.server.should_exit = True
    assert await idle.rest() == b""
    assert await logs.rest() == b""
    go.set()
    assert (await waiting.answer())[1]["connection"] == "close"
    assert await waiting.rest() == b""


async def test_draining_ends_what_has_no_end(proxy: Proxy) -> None:
    """A stopping server does not wait for an endless answer, however much it has to say, and cuts it visibly."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while True:
                await peer.send(b"3\r\nabc\r\n")
                await asyncio.sleep(0.01)

    proxy.engine.script = script
    proxy.options = RelayOptions(endless=True)
    logs = await proxy.connect()
    await logs.send(b"GET /logs HTTP/1.1\r\nHost: x\r\n\r\n")
    await logs.until(b"abc\r\n")
    proxy.server.should_exit = True
    assert not (await logs.rest()).endswith(b"0\r\n\r\n")
    assert await proxy.result() == 200


async def test_half_closed_client_does_not_wait_for_ever(start: Start, mode: str) -> None:
    """A client that ended its side before the engine began to answer is taken for gone after a while."""
    proxy = await start(mode, limits=Limits(silence_s=0.01, patience_s=0.05))
    ended = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        with contextlib.suppress(ConnectionError):
            assert await peer.some() == b""
        ended.set()

    proxy.engine.script = script
    client = await proxy.connect()
    await client.send(b"GET /logs HTTP/1.1\r\nHost: x\r\n\r\n")
    await client.end()
    await asyncio.wait_for(ended.wait(), GUARD_S)
    assert await proxy.result() == 0
