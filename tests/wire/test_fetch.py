"""Requests of our own: the pool, whole answers, streams, and httpx on top."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from swarmproxy.errors import EngineUnreachable
from swarmproxy.wire.address import Address
from swarmproxy.wire.fetch import Answer, fetch, stream
from swarmproxy.wire.idle import Idle
from swarmproxy.wire.lines import Lines, lines
from swarmproxy.wire.pool import Pool
from swarmproxy.wire.transport import PoolTransport
from tests.wire.conftest import Proxy, Start
from tests.wire.peers import GUARD_S, OK, Peer, answer_ok


async def echo(peer: Peer) -> None:
    while True:
        _, body = await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


async def test_fetch(start: Start, mode: str) -> None:
    """An answer comes whole, its headers in lower case with repeated ones joined."""
    proxy = await start(mode)
    proxy.engine.script = echo
    for _ in range(3):
        answer = await fetch(proxy.pool, "POST", "/x", headers=[("A", "b")], body=b"abc", timeout_s=GUARD_S)
        assert answer == Answer(200, {"x-a": "1, 2", "content-length": "3"}, b"abc")
    assert proxy.engine.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nabcdef",
    ],
)
async def test_fetch_framings(proxy: Proxy, answer: bytes) -> None:
    """Chunked answers are decoded; those without length end with the connection."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer)
        await peer.end()

    proxy.engine.script = script
    assert (await fetch(proxy.pool, "GET", "/", timeout_s=GUARD_S)).body == b"abcdef"


async def test_lines_on_a_connection_that_waited(proxy: Proxy) -> None:
    """Lines are asked for once more if the engine closes the connection meanwhile, but not if it is too late."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await peer.request()
        if proxy.engine.connections == 1:
            peer.close()
        else:
            await peer.rest()

    async def ask(timeout_s: float) -> Lines:
        return await lines(proxy.pool, "/events", timeout_s=timeout_s, on_line=lambda _: None, on_bytes=lambda: None)

    proxy.engine.script = script
    await fetch(proxy.pool, "GET", "/", timeout_s=GUARD_S)
    await (await ask(GUARD_S)).wait_for_end()
    assert proxy.engine.connections == 2
    with pytest.raises(EngineUnreachable, match=r"did not answer within 0\.2 s"):
        await ask(0.2)
    assert proxy.engine.connections == 2


async def test_fetch_has_one_deadline(proxy: Proxy) -> None:
    """An engine that accepts and says nothing, or drips, fails at the deadline, and its connection is ended."""
    ended = asyncio.Event()

    async def script(peer: Peer) -> None:
        try:
            await peer.request()
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            while True:
                await peer.send(b"x")
                await asyncio.sleep(0.05)
        finally:
            ended.set()

    proxy.engine.script = script
    (await proxy.pool.acquire()).release()  # so that none of the time goes into a new connection
    with pytest.raises(EngineUnreachable, match=r"did not answer within 0\.3 s"):
        await fetch(proxy.pool, "GET", "/", timeout_s=0.3)
    await asyncio.wait_for(ended.wait(), GUARD_S)
    assert proxy.pool.busy == 0


async def test_fetch_is_bounded(proxy: Proxy) -> None:
    """An answer over `max_body_bytes` is refused."""
    proxy.engine.script = echo
    with pytest.raises(EngineUnreachable, match="more than 10 bytes"):
        await fetch(proxy.pool, "POST", "/", body=b"x" * 11, timeout_s=GUARD_S, max_body_bytes=10)


@pytest.mark.parametrize(("method", "again"), [("GET", True), ("POST", False)])
async def test_fetch_on_a_stale_connection(proxy: Proxy, method: str, again: bool) -> None:
    """A GET is sent once more on a new connection, a POST is not."""
    requests = 0

    async def first(peer: Peer) -> None:
        nonlocal requests
        await peer.request()
        await peer.send(OK)
        await peer.request()
        requests += 1
        peer.reset()

    async def then(peer: Peer) -> None:
        nonlocal requests
        await peer.request()
        requests += 1
        await peer.send(OK)

    proxy.engine.script = first
    await fetch(proxy.pool, "GET", "/", timeout_s=GUARD_S)
    proxy.engine.script = then
    if again:
        assert (await fetch(proxy.pool, method, "/", timeout_s=GUARD_S)).body == b"ok"
    else:
        with pytest.raises(EngineUnreachable):
            await fetch(proxy.pool, method, "/", timeout_s=GUARD_S)
    assert requests == 1 + again


async def test_fetch_does_not_try_for_ever(proxy: Proxy) -> None:
    """An engine that hangs up each time is asked at most twice."""

    async def script(peer: Peer) -> None:
        await peer.request()

    proxy.engine.script = script
    with pytest.raises(EngineUnreachable, match="before the answer was complete"):
        await fetch(proxy.pool, "GET", "/", timeout_s=GUARD_S)
    assert proxy.engine.connections == 1


async def test_stream(start: Start, mode: str) -> None:
    """The head is there before the body; blocks come as they are sent; leaving the block ends the exchange."""
    proxy = await start(mode)
    ended = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        await peer.send(b"5\r\nhello\r\n")
        try:
            assert await peer.rest() == b""
        finally:
            ended.set()

    proxy.engine.script = script
    async with stream(proxy.pool, "GET", "/events", timeout_s=GUARD_S) as answer:
        assert (answer.status, answer.headers) == (200, {"transfer-encoding": "chunked"})
        assert await answer.read(2) == b"he"
        assert await anext(answer) == b"llo"
    await asyncio.wait_for(ended.wait(), GUARD_S)
    assert proxy.pool.busy == 0


async def test_stream_that_is_cut(proxy: Proxy) -> None:
    """A reader learns that the engine died in the middle."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")

    proxy.engine.script = script
    async with stream(proxy.pool, "GET", "/events", timeout_s=GUARD_S) as answer:
        assert await answer.read() == b"hello"
        with pytest.raises(EngineUnreachable):
            await answer.read()


async def test_stream_holds_the_engine_back(proxy: Proxy) -> None:
    """What nobody reads is not buffered."""
    sent = 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.send(b"HTTP/1.0 200 OK\r\n\r\n")
        for _ in range(64):
            await peer.send(bytes(1024 * 1024))
            sent += 1

    proxy.engine.script = script
    total = 0
    async with stream(proxy.pool, "GET", "/export", timeout_s=GUARD_S) as answer:
        await asyncio.sleep(0.3)
        assert sent < 32
        async for block in answer:
            total += len(block)
    assert total == 64 * 1024 * 1024


async def test_stream_in_both_directions(start: Start, mode: str) -> None:
    """The answer is read while the body is sent: each word comes back before the next one is given."""
    proxy = await start(mode)
    words: asyncio.Queue[bytes] = asyncio.Queue()

    async def body() -> AsyncIterator[bytes]:
        while word := await words.get():
            yield word

    async def script(peer: Peer) -> None:
        assert b"transfer-encoding: chunked" in (await peer.head()).lower()
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while size := int(await peer.until(b"\r\n"), 16):
            data = await peer.exactly(size + 2)
            await peer.send(b"%x\r\n" % size + data)
        await peer.exactly(2)
        await peer.send(b"0\r\n\r\n")

    proxy.engine.script = script
    async with stream(proxy.pool, "POST", "/load", body=body(), timeout_s=GUARD_S) as answer:
        for word in (b"one", b"two", b"three"):
            words.put_nowait(word)
            assert await answer.read() == word
        words.put_nowait(b"")
        assert await answer.read() == b""
    assert proxy.pool.idle == 1


async def test_errors_pass_through_a_stream(proxy: Proxy) -> None:
    """An error of the body reaches the reader, and one of the block its caller, both as they are."""

    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise ZeroDivisionError

    async def whole() -> AsyncIterator[bytes]:
        yield b"x"

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        await peer.rest()

    proxy.engine.script = script

    async def read_all() -> None:
        async with stream(proxy.pool, "POST", "/", body=broken(), timeout_s=GUARD_S) as answer:
            while await answer.read():
                pass

    with pytest.raises(ZeroDivisionError):
        await read_all()
    with pytest.raises(KeyError):
        async with stream(proxy.pool, "POST", "/", body=whole(), timeout_s=GUARD_S):
            raise KeyError
    assert proxy.pool.busy == 0


async def test_httpx(start: Start, mode: str) -> None:
    """An httpx client sends over the same pool: bodies, streams, statuses, and its own kinds of errors."""
    proxy = await start(mode)
    proxy.engine.script = echo

    async def parts() -> AsyncIterator[bytes]:
        for n in range(100):
            yield b"%d," % n

    async with httpx.AsyncClient(
        transport=PoolTransport(proxy.pool), base_url="http://engine", trust_env=False, timeout=GUARD_S
    ) as client:
        assert (await client.post("/a", json={"b": 1})).json() == {"b": 1}
        assert (await client.post("/a", content=parts())).text == "".join(f"{n}," for n in range(100))
        async with client.stream("POST", "/a", content=b"x" * 1_000_000) as answer:
            assert sum([len(block) async for block in answer.aiter_bytes()]) == 1_000_000
        assert proxy.engine.connections == 1

        async def silent(peer: Peer) -> None:
            await peer.request()
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
            await peer.rest()

        await proxy.pool.acquire()
        proxy.engine.script = silent
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/a", timeout=httpx.Timeout(GUARD_S, read=1))
        await proxy.engine.stop()
        with pytest.raises(httpx.ConnectError):
            await client.get("/a")


async def test_unix_sockets(tmp_path: Path) -> None:
    """An engine behind a unix socket is reached the same way."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert b"\r\nHost: docker\r\n" in await Peer(reader, writer).head()
        writer.write(OK)
        writer.close()

    server = await asyncio.start_unix_server(serve, tmp_path / "docker.sock")
    pool = Pool(Address.parse(f"unix://{tmp_path}/docker.sock"))
    assert (await fetch(pool, "GET", "/_ping", timeout_s=GUARD_S)).body == b"ok"
    server.close()
    await server.wait_closed()
    with pytest.raises(EngineUnreachable, match="cannot be reached"):
        await fetch(pool, "GET", "/_ping", timeout_s=GUARD_S)
    await pool.close()


async def test_pool_is_bounded(start: Start) -> None:
    """No more than `max_busy` connections are used and `max_idle` kept; idle ones are closed after their time."""
    proxy = await start(max_busy=3, max_idle=2, all_idle=Idle(timeout_s=0.3))
    proxy.engine.script = answer_ok
    taken = [await proxy.pool.acquire() for _ in range(3)]
    with pytest.raises(EngineUnreachable, match="3 connections in use"):
        await proxy.pool.acquire()
    for connection in taken:
        connection.release()
    assert (proxy.pool.busy, proxy.pool.idle) == (0, 2)
    async with asyncio.timeout(GUARD_S):
        while proxy.pool.idle:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_all_pools_together_are_bounded(proxy: Proxy) -> None:
    """Of the connections of all pools so many wait, and the one that has waited longest goes first."""
    proxy.engine.script = answer_ok
    idle = Idle(most=2)
    pools = [Pool(proxy.pool.address, all_idle=idle) for _ in range(3)]
    for pool in pools:
        await fetch(pool, "GET", "/", timeout_s=GUARD_S)
    assert [pool.idle for pool in pools] == [0, 1, 1]
    await fetch(pools[1], "GET", "/", timeout_s=GUARD_S)
    await fetch(pools[0], "GET", "/", timeout_s=GUARD_S)
    assert [pool.idle for pool in pools] == [1, 1, 0]
    for pool in pools:
        await pool.close()


async def test_engine_that_does_not_accept() -> None:
    """A full backlog ends in EngineUnreachable after the connect timeout, and holds nothing."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=0)
    port = listener.getsockname()[1]
    fillers = []
    for _ in range(4):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(("127.0.0.1", port))
        fillers.append(filler)
    pool = Pool(Address("127.0.0.1", port), connect_timeout_s=0.3)
    with pytest.raises(EngineUnreachable, match="time out"):
        await pool.acquire()
    assert pool.busy == 0
    for sock in (listener, *fillers):
        sock.close()
    await asyncio.sleep(0.01)


async def test_connection_that_speaks_while_idle(proxy: Proxy) -> None:
    """Bytes on an idle connection belong to no request: it is not used again."""
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await go.wait()
        await peer.send(OK)
        await peer.rest()

    proxy.engine.script = script
    await fetch(proxy.pool, "GET", "/", timeout_s=GUARD_S)
    assert proxy.pool.idle == 1
    go.set()
    async with asyncio.timeout(GUARD_S):
        while proxy.pool.idle:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert proxy.pool.busy == 0
