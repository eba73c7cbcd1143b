"""Streams behind 101, or behind 200 with a raw-stream type."""

import asyncio
import contextlib
import hashlib
import logging
import os

import pytest

from swarmproxy.wire.relay import RelayOptions
from tests.wire.conftest import Proxy, Start
from tests.wire.peers import GUARD_S, Peer

ATTACH = b"POST /containers/c/attach?stream=1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
ATTACH += b"Content-Length: 0\r\n\r\n"
UPGRADED = (
    b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n"
    b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
)
RAW = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\n\r\n"


@pytest.fixture
async def hijack(start: Start, mode: str) -> Proxy:
    """A proxy that lets every request become a stream."""
    proxy = await start(mode)
    proxy.options = RelayOptions(upgrade=True)
    return proxy


async def echo(peer: Peer) -> None:
    """Upgrade, send back what comes, and end when the client ends."""
    head, _ = await peer.request()
    assert b"\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n" in head
    await peer.send(UPGRADED)
    while data := await peer.some(262144):
        await peer.send(data)
    await peer.end()
    assert await peer.some() == b""


async def test_both_directions_and_both_ends(hijack: Proxy) -> None:
    """What goes in comes out; the client's end of input reaches the engine, whose end reaches the client."""
    hijack.engine.script = echo
    client = await hijack.connect()
    await client.send(ATTACH)
    head = await client.head()
    assert head.startswith(b"HTTP/1.1 101 UPGRADED\r\n")
    assert b"\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n" in head
    for n in range(10):
        await client.send(b"line %d\n" % n)
        assert await client.until(b"\n") == b"line %d\n" % n
    await client.send(b"last")
    await client.end()
    assert await client.rest() == b"last"
    assert hijack.client_tls is None or client.clean_end
    assert await hijack.result() == 101


async def test_output_goes_on_after_the_end_of_input(hijack: Proxy) -> None:
    """`echo x | docker run -i c`: output that comes long after the client's end of input arrives."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(UPGRADED)
        assert await peer.rest() == b"input"
        for _ in range(3):
            await asyncio.sleep(0.3)
            await peer.send(b"late ")

    hijack.engine.script = script
    client = await hijack.connect()
    await client.send(ATTACH)
    await client.head()
    await client.send(b"input")
    await client.end()
    assert await client.rest() == b"late late late "


async def test_input_goes_on_after_the_end_of_output(hijack: Proxy) -> None:
    """The end of output ends the client's side only: input still arrives."""
    got: list[bytes] = []
    done = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(UPGRADED + b"bye")
        await peer.end()
        got.append(await peer.rest())
        done.set()

    hijack.engine.script = script
    client = await hijack.connect()
    await client.send(ATTACH)
    await client.head()
    assert await client.rest() == b"bye"
    await client.send(b"more ")
    await asyncio.sleep(0.05)
    await client.send(b"input")
    await client.end()
    await asyncio.wait_for(done.wait(), GUARD_S)
    assert got == [b"more input"]
    assert await hijack.result() == 101


async def test_hundred_megabytes_byte_for_byte(hijack: Proxy) -> None:
    """100 MB through a pipe and back, with both ends half-closed, are the same bytes."""
    hijack.engine.script = echo
    client = await hijack.connect()
    await client.send(ATTACH)
    await client.head()
    block = os.urandom(1024 * 1024)
    sent, got = hashlib.sha256(), hashlib.sha256()

    async def write() -> None:
        for n in range(100):
            piece = block[n:] + block[:n]
            sent.update(piece)
            await client.send(piece)
        await client.end()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(write(), name="write")
        while data := await client.some(262144):
            got.update(data)
    assert got.digest() == sent.digest()


async def test_early_bytes_wait_for_the_engine(hijack: Proxy) -> None:
    """Bytes with the head or before the 101 belong to the stream, and reach the engine only behind its 101."""
    early: list[bytes] = []

    async def script(peer: Peer) -> None:
        await peer.request()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.3):
                early.append(await peer.some())
        await peer.send(UPGRADED + b"leading ")
        await peer.send(await peer.rest())

    hijack.engine.script = script
    client = await hijack.connect()
    await client.send(ATTACH + b"GET / HTTP/1.1\r\n\r\n")
    await asyncio.sleep(0.05)
    await client.send(b"more")
    await client.end()
    await client.head()
    assert await client.rest() == b"leading GET / HTTP/1.1\r\n\r\nmore"
    assert early == []


async def test_many_early_bytes_are_bounded(hijack: Proxy) -> None:
    """A client that sends 20 MB before the 101 is held back, and all of it arrives."""
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await go.wait()
        await peer.send(UPGRADED)
        await peer.send(b"%d" % len(await peer.rest()))

    hijack.engine.script = script
    client = await hijack.connect()
    await client.send(ATTACH)
    sent = 0

    async def write() -> None:
        nonlocal sent
        for _ in range(20):
            await client.send(bytes(1024 * 1024))
            sent += 1
        await client.end()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(write(), name="write")
        await asyncio.sleep(0.5)
        assert sent < 20
        go.set()
        await client.head()
        assert await client.rest() == b"%d" % (20 * 1024 * 1024)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("upgrade", [True, False])
@pytest.mark.parametrize("split", [False, True])
async def test_exec_start(proxy: Proxy, chunked: bool, upgrade: bool, split: bool) -> None:
    """The JSON body goes ahead of stdin on the same connection: counted or chunked, with Upgrade or without."""
    proxy.options = RelayOptions(upgrade=True)
    body = b'{"Detach":false,"Tty":true}'

    async def script(peer: Peer) -> None:
        head, got = await peer.request()
        assert got == body
        assert (b"Upgrade: tcp" in head) is upgrade
        await peer.send(UPGRADED if upgrade else RAW)
        await peer.send(await peer.rest())

    proxy.engine.script = script
    client = await proxy.connect()
    head = b"POST /exec/e/start HTTP/1.1\r\nHost: x\r\n"
    if upgrade:
        head += b"Upgrade: tcp\r\nConnection: Upgrade\r\n"
    if chunked:
        head += b"Transfer-Encoding: chunked\r\n\r\n"
        parts = [head, b"5\r\n" + body[:5] + b"\r\n%x\r\n" % (len(body) - 5), body[5:], b"\r\n0\r\n\r\n", b"stdin"]
    else:
        parts = [head, b"Content-Length: %d\r\n\r\n" % len(body), body[:9], body[9:], b"stdin"]
    for part in parts if split else [b"".join(parts)]:
        await client.send(part)
        await asyncio.sleep(0.01)
    await client.end()
    answer = await client.head()
    assert answer.startswith(b"HTTP/1.1 101" if upgrade else b"HTTP/1.1 200")
    assert await client.rest() == b"stdin"


async def test_detached_exec_is_an_ordinary_request(proxy: Proxy) -> None:
    """Without `upgrade` nothing is hijacked, whatever the client's headers say, and the connection goes on."""

    async def script(peer: Peer) -> None:
        while True:
            head, _ = await peer.request()
            assert b"upgrade" not in head.lower()
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    proxy.engine.script = script
    client = await proxy.connect()
    request = b"POST /exec/e/start HTTP/1.1\r\nHost: x\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n"
    request += b'Content-Length: 15\r\n\r\n{"Detach":true}'
    await client.send(request * 3)
    for _ in range(3):
        assert (await client.answer())[0] == 200
    assert proxy.engine.connections == 1


@pytest.mark.parametrize("status", [400, 404, 409])
async def test_error_before_the_switch(hijack: Proxy, status: int) -> None:
    """An error passes as an ordinary answer; early bytes are not taken for a request; both connections end."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b'HTTP/1.1 %d No\r\nContent-Length: 15\r\n\r\n{"message":"x"}' % status)
        assert await peer.rest() == b""

    hijack.engine.script = script
    client = await hijack.connect()
    await client.send(ATTACH + b"GET /evil HTTP/1.1\r\nHost: x\r\n\r\n")
    got, headers, body = await client.answer()
    assert (got, headers["connection"], body) == (status, "close", b'{"message":"x"}')
    assert await client.rest() == b""
    assert await hijack.result() == status
    assert hijack.pool.busy == 0


async def test_websocket_is_opaque(hijack: Proxy) -> None:
    """A websocket is switched by the engine; its key passes and its frames are bytes."""

    async def script(peer: Peer) -> None:
        head, _ = await peer.request()
        assert b"\r\nSec-WebSocket-Key: abc\r\n" in head
        assert b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" in head
        await peer.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: xyz\r\n\r\n\x81\x02hi"
        )
        await peer.send(await peer.exactly(4))

    hijack.engine.script = script
    client = await hijack.connect()
    await client.send(
        b"GET /containers/c/attach/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
        b"Sec-WebSocket-Key: abc\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    head = await client.head()
    assert b"Upgrade: websocket\r\n" in head
    assert b"Sec-WebSocket-Accept: xyz\r\n" in head
    assert await client.exactly(4) == b"\x81\x02hi"
    await client.send(b"\x88\x00\x00\xff")
    assert await client.rest() == b"\x88\x00\x00\xff"


async def test_reset_of_the_client_resets_the_engine(hijack: Proxy) -> None:
    """A client that is reset, not ended, takes the engine's connection with it."""
    reset = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(UPGRADED)
        try:
            await peer.rest()
        except ConnectionResetError:
            reset.set()

    hijack.engine.script = script
    client = await hijack.connect()
    await client.send(ATTACH)
    await client.head()
    client.reset()
    await asyncio.wait_for(reset.wait(), GUARD_S)
    assert await hijack.result() == 101


async def test_reset_of_the_engine_resets_the_client(hijack: Proxy, caplog: pytest.LogCaptureFixture) -> None:
    """A reset on the engine's side reaches the client as one, and is logged with the request id."""
    caplog.set_level(logging.INFO, "swarmproxy.wire")

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(UPGRADED + b"some")
        await peer.exactly(2)
        peer.reset()

    hijack.engine.script = script
    client = await hijack.connect()
    await client.send(ATTACH)
    await client.head()
    assert await client.exactly(4) == b"some"
    await client.send(b"go")
    with pytest.raises(ConnectionResetError):
        await client.rest()
    assert await hijack.result() == 101
    (record,) = [record for record in caplog.records if record.message == "stream cut"]
    assert record.__dict__["request_id"]


async def test_bare_fin_is_an_end_of_input(start: Start) -> None:
    """Under TLS a FIN without close_notify ends stdin too."""
    proxy = await start("tls1.3")
    proxy.options = RelayOptions(upgrade=True)
    proxy.engine.script = echo
    client = await proxy.connect()
    await client.send(ATTACH)
    await client.head()
    await client.send(b"abc")
    client.fin()
    assert await client.rest() == b"abc"


async def test_reader_that_waits_holds_the_writer(hijack: Proxy) -> None:
    """A client that does not read holds the engine back, and loses nothing."""
    sent = 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.send(UPGRADED)
        for _ in range(64):
            await peer.send(bytes(1024 * 1024))
            sent += 1

    hijack.engine.script = script
    client = await hijack.connect(buffer=65536)
    await client.send(ATTACH)
    await client.head()
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.sleep(1)
    assert sent < 64
    client.writer.transport.resume_reading()  # type: ignore[attr-defined]
    assert len(await client.rest()) == 64 * 1024 * 1024


async def test_server_that_stops_ends_streams(hijack: Proxy) -> None:
    """Draining ends a hijacked stream in good order on both sides."""
    ended = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(UPGRADED + b"hello")
        assert await peer.rest() == b""
        ended.set()

    hijack.engine.script = script
    client = await hijack.connect()
    await client.send(ATTACH)
    await client.head()
    assert await client.exactly(5) == b"hello"
    hijack.server.should_exit = True
    assert await client.rest() == b""
    await asyncio.wait_for(ended.wait(), GUARD_S)


async def test_client_gone_before_the_switch(hijack: Proxy) -> None:
    """A stream whose client went away before the 101 is ended, also with `finish`."""
    hijack.options = RelayOptions(upgrade=True, finish=True)
    asked = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await peer.rest()

    hijack.engine.script = script
    client = await hijack.connect()
    await client.send(ATTACH)
    await asked.wait()
    client.reset()
    assert await hijack.result() == 0
    assert hijack.pool.busy == 0
