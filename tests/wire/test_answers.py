"""Answers towards a client, and clients that go away."""

import asyncio
import hashlib
import os
from typing import Any

import pytest

from swarmproxy.wire.limits import Limits
from swarmproxy.wire.relay import RelayOptions
from tests.wire.conftest import Proxy, Start
from tests.wire.peers import GUARD_S, OK, Peer, answer_ok


async def test_first_bytes_go_out_at_once(start: Start, mode: str) -> None:
    """Head and first bytes reach the client while the engine says nothing more."""
    proxy = await start(mode)
    more = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        await more.wait()
        more.clear()
        await peer.send(b"3\r\nabc\r\n")
        await more.wait()
        await peer.send(b"0\r\n\r\n")

    proxy.engine.script = script
    client = await proxy.connect()
    await client.send(b"POST /wait HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await client.head()).startswith(b"HTTP/1.1 200 OK")
    more.set()
    assert await client.exactly(8) == b"3\r\nabc\r\n"
    more.set()
    assert await client.exactly(5) == b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("method", "head", "expected"),
    [
        (b"HEAD", b"200 OK\r\nContent-Length: 10", b"content-length: 10"),
        (b"HEAD", b"200 OK\r\nTransfer-Encoding: chunked", b"transfer-encoding: chunked"),
        (b"GET", b"204 No Content", b""),
        (b"GET", b"204 No Content\r\nContent-Length: 7", b""),
        (b"GET", b"304 Not Modified\r\nContent-Length: 7", b"content-length: 7"),
    ],
)
async def test_answers_without_body(proxy: Proxy, method: bytes, head: bytes, expected: bytes) -> None:
    """HEAD, 204 and 304 have no body whatever the headers say, and the connections stay in use."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(b"HTTP/1.1 " + head + b"\r\n\r\n")

    proxy.engine.script = script
    client = await proxy.connect()
    for _ in range(3):
        await client.send(method + b" / HTTP/1.1\r\nHost: x\r\n\r\n")
        fields = (await client.head()).lower().split(b"\r\n")[1:-2]
        assert fields == ([expected] if expected else [])
    assert proxy.engine.connections == 1


async def test_close_delimited_answer_is_framed_anew(start: Start, mode: str) -> None:
    """An answer that ends with the connection reaches an HTTP/1.1 client in chunks, and its connection stays."""
    proxy = await start(mode)

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.0 200 OK\r\nContent-Type: x/y\r\n\r\nhello ")
        await peer.send(b"world")
        await peer.end()
        await asyncio.sleep(0.05)

    proxy.engine.script = script
    client = await proxy.connect()
    for _ in range(2):
        await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        status, headers, body = await client.answer()
        assert (status, headers["transfer-encoding"], body) == (200, "chunked", b"hello world")


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_clients_that_want_the_end(proxy: Proxy, version: bytes) -> None:
    """An HTTP/1.0 client gets an unframed body and the end of the connection; `Connection: close` is obeyed."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n")

    proxy.engine.script = script
    client = await proxy.connect()
    await client.send(b"GET / HTTP/" + version + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
    head, _, body = (await client.rest()).partition(b"\r\n\r\n")
    assert b"connection: close" in head.lower()
    chunked = b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
    assert body == (b"abcdefg" if version == b"1.0" else chunked)


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize(
    "part",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n30\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
    ],
)
async def test_truncation_stays_visible(start: Start, mode: str, part: bytes, version: bytes) -> None:
    """An engine that dies inside a body never looks like one that came to the end."""
    proxy = await start(mode)

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(part)
        await asyncio.sleep(0.1)

    proxy.engine.script = script
    client = await proxy.connect()
    await client.send(b"GET / HTTP/" + version + b"\r\nHost: x\r\n\r\n")
    got = b""
    try:
        got = await client.rest()
        ended = True
    except ConnectionError:
        ended = False
    assert not got.endswith(b"0\r\n\r\n")
    if version == b"1.0" and mode == "plain":
        assert not ended
    if mode != "plain":
        assert not client.clean_end
    assert await proxy.result() == 200


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nevil",
    ],
)
async def test_bytes_behind_an_answer_go_nowhere(proxy: Proxy, answer: bytes) -> None:
    """What an engine sends behind an answer reaches no client, and its connection is not used again."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(answer)

    proxy.engine.script = script
    client = await proxy.connect()
    for _ in range(3):
        await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await client.answer())[2] == b"ok"
    assert proxy.engine.connections == 3


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nUpgrade: tcp\r\nConnection: upgrade\r\n\r\n",
    ],
)
async def test_engine_that_speaks_no_http(proxy: Proxy, answer: bytes) -> None:
    """An answer that cannot be trusted is the engine's failure, said to the client."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer)
        await asyncio.sleep(0.1)

    proxy.engine.script = script
    client = await proxy.connect()
    await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await client.answer())[0] == 500
    assert "not HTTP/1.1" in str(await proxy.result())


async def test_pipelined_requests_are_answered_in_order(start: Start, mode: str) -> None:
    """Requests sent without waiting are answered one after the other, bodies included."""
    proxy = await start(mode)

    async def script(peer: Peer) -> None:
        while True:
            head, body = await peer.request()
            path = head.split()[1] + b" " + body
            await asyncio.sleep(0.01 if b"/0" in path else 0)
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(path), path))

    proxy.engine.script = script
    client = await proxy.connect()
    requests = [b"POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nb%02d" % (n, n) for n in range(20)]
    await client.send(b"".join(requests))
    for n in range(20):
        assert (await client.answer())[2] == b"/%d b%02d" % (n, n)


async def test_half_closed_client_gets_its_answer(start: Start, mode: str) -> None:
    """A client that ends its side after the request still gets the answer, also a late one."""
    proxy = await start(mode)

    async def script(peer: Peer) -> None:
        await peer.request()
        await asyncio.sleep(0.7)
        await peer.send(OK)

    proxy.engine.script = script
    client = await proxy.connect()
    await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await client.end()
    assert (await client.answer())[2] == b"ok"
    assert await client.rest() == b""


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_client_gone_ends_a_stream(start: Start, mode: str, how: str) -> None:
    """A client that goes away ends the engine's side, though the engine says nothing."""
    proxy = await start(mode)
    ended = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        try:
            assert await peer.some() == b""
        finally:
            ended.set()

    proxy.engine.script = script
    client = await proxy.connect()
    await client.send(b"GET /logs HTTP/1.1\r\nHost: x\r\n\r\n")
    await client.until(b"abc\r\n")
    getattr(client, how)()
    await asyncio.wait_for(ended.wait(), GUARD_S)
    assert await proxy.result() == 200


@pytest.mark.parametrize("finish", [True, False])
async def test_client_gone_and_a_create(proxy: Proxy, finish: bool) -> None:
    """With `finish` the engine's work is not cancelled and its connection is used again; otherwise it is."""
    proxy.options = RelayOptions(finish=finish)
    asked, go, cancelled = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        asked.set()
        if not finish:
            try:
                assert await peer.some() == b""
            finally:
                cancelled.set()
            return
        await go.wait()
        await peer.send(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok")
        await answer_ok(peer)

    proxy.engine.script = script
    client = await proxy.connect()
    await client.send(b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
    await asked.wait()
    client.reset()
    if not finish:
        await asyncio.wait_for(cancelled.wait(), GUARD_S)
        assert await proxy.result() == 0
        return
    await asyncio.sleep(0.05)
    go.set()
    assert await proxy.result() == 201
    other = await proxy.connect()
    await other.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await other.answer())[2] == b"ok"
    assert proxy.engine.connections == 1


async def test_client_gone_before_its_body_was_complete(proxy: Proxy) -> None:
    """Half a body never becomes a whole request, whatever `finish` says."""
    proxy.options = RelayOptions(finish=True)
    ends: list[bytes] = []
    begun, done = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.head()
        begun.set()
        try:
            ends.append(await peer.rest())
        finally:
            done.set()

    proxy.engine.script = script
    client = await proxy.connect()
    await client.send(b"POST /build HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
    await asyncio.wait_for(begun.wait(), GUARD_S)
    client.close()
    await asyncio.wait_for(done.wait(), GUARD_S)
    assert ends in ([b"half"], [])
    assert await proxy.result() == 0


async def test_client_that_never_reads(start: Start, mode: str) -> None:
    """Back-pressure holds the engine; after a bounded time without progress the stream is ended."""
    proxy = await start(mode, limits=Limits(stall_s=1.5))
    sent = 0
    ended = asyncio.Event()

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        block = b"10000\r\n" + bytes(65536) + b"\r\n"
        try:
            while True:
                await peer.send(block)
                sent += 65536
        finally:
            ended.set()

    proxy.engine.script = script
    client = await proxy.connect(buffer=65536)
    await client.send(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
    await client.head()
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.wait_for(ended.wait(), GUARD_S)
    assert sent < 64 * 1024 * 1024


async def test_download_byte_for_byte(start: Start, mode: str) -> None:
    """100 MB in chunks arrive as they were sent, to a client that reads in fits."""
    proxy = await start(mode)
    block = os.urandom(1024 * 1024)
    total = hashlib.sha256(block * 100).hexdigest()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(100):
            await peer.send(b"100000\r\n" + block + b"\r\n")
        await peer.send(b"0\r\n\r\n")

    proxy.engine.script = script
    client = await proxy.connect()
    await client.send(b"GET /export HTTP/1.1\r\nHost: x\r\n\r\n")
    _, _, body = await client.answer()
    assert hashlib.sha256(body).hexdigest() == total


async def test_client_gone_while_dialling(proxy: Proxy) -> None:
    """A create whose client goes away before there is a connection is still done, for nobody."""
    proxy.options = RelayOptions(finish=True)
    proxy.engine.script = answer_ok
    waiting, go = asyncio.Event(), asyncio.Event()

    async def own(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        waiting.set()
        await go.wait()
        proxy.own = None
        proxy.options = RelayOptions(finish=True, body=b"{}")
        await proxy.app(scope, receive, send)

    proxy.own = own
    client = await proxy.connect()
    await client.send(b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
    await waiting.wait()
    client.reset()
    await asyncio.sleep(0.05)
    go.set()
    assert await proxy.result() == 200
    assert (proxy.pool.busy, proxy.pool.idle) == (0, 1)
