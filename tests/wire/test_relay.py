"""Requests towards an engine."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from swarmproxy.errors import BadRequest, EngineUnreachable
from swarmproxy.wire.relay import RelayOptions
from tests.wire.conftest import Proxy, Start
from tests.wire.peers import GUARD_S, OK, Peer, answer_ok


async def test_head_is_written_anew(start: Start, mode: str) -> None:
    """Method and target pass; Host is the engine's; hop-by-hop headers and those named by Connection stop."""
    proxy = await start(mode)
    seen: list[bytes] = []

    async def script(peer: Peer) -> None:
        seen.append((await peer.request())[0])
        await peer.send(
            b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\nX-A: 1\r\nX-Hop: 2\r\nKeep-Alive: timeout=5\r\n"
            b"Connection: X-Hop\r\nProxy-Authenticate: x\r\n\r\nok"
        )

    proxy.engine.script = script
    client = await proxy.connect()
    await client.send(
        b"GET /v1.47/containers/a%2Fb:c@d/json?x=%20y&x HTTP/1.1\r\nHost: front\r\nX-Keep: v\r\nX-Drop: 1\r\n"
        b"Connection: keep-alive, x-drop\r\nKeep-Alive: 5\r\nTE: trailers\r\nTrailer: X\r\nProxy-A: 1\r\n"
        b"Upgrade: h2c\r\n\r\n"
    )
    assert await client.answer() == (201, {"content-length": "2", "x-a": "1"}, b"ok")
    host = b"127.0.0.1:%d" % proxy.engine.port
    assert seen == [
        b"GET /v1.47/containers/a%2Fb:c@d/json?x=%20y&x HTTP/1.1\r\nHost: " + host + b"\r\nX-Keep: v\r\n\r\n"
    ]
    assert await proxy.result() == 201


async def test_connections_are_kept_on_both_sides(start: Start, mode: str) -> None:
    """Requests one after the other use one connection to the engine."""
    proxy = await start(mode)
    proxy.engine.script = answer_ok
    client = await proxy.connect()
    for _ in range(20):
        await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await client.answer())[2] == b"ok"
    assert proxy.engine.connections == 1


@pytest.mark.parametrize("size", [0, 1, 200_000])
@pytest.mark.parametrize("chunked", [False, True])
async def test_bodies_pass(proxy: Proxy, size: int, chunked: bool) -> None:
    """Counted, chunked and empty bodies reach the engine whole."""
    body = os.urandom(size)
    got: list[bytes] = []

    async def script(peer: Peer) -> None:
        got.append((await peer.request())[1])
        await peer.send(OK)

    proxy.engine.script = script
    client = await proxy.connect()
    if chunked:
        await client.send(b"PUT /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for at in range(0, size, 70_001):
            part = body[at : at + 70_001]
            await client.send(b"%X;ext=1\r\n%s\r\n" % (len(part), part))
        await client.send(b"0\r\nX-Trailer: y\r\n\r\n")
    else:
        await client.send(b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + body)
    assert (await client.answer())[2] == b"ok"
    assert got == [body]


async def test_large_credentials_pass(proxy: Proxy) -> None:
    """A head with 200 KB of X-Registry-Config, sent in pieces, reaches the engine."""
    value = b"e30" * 70_000

    async def script(peer: Peer) -> None:
        head, _ = await peer.request()
        assert b"X-Registry-Config: " + value in head
        await peer.send(OK)

    proxy.engine.script = script
    client = await proxy.connect()
    head = b"POST /build HTTP/1.1\r\nHost: x\r\nX-Registry-Config: " + value + b"\r\nContent-Length: 0\r\n\r\n"
    for at in range(0, len(head), 30_000):
        await client.send(head[at : at + 30_000])
    assert (await client.answer())[0] == 200


async def test_continue_is_said_when_the_body_is_wanted(proxy: Proxy) -> None:
    """A client that expects 100 gets it from the relay, once; the engine is not asked to say it."""

    async def script(peer: Peer) -> None:
        head, body = await peer.request()
        assert b"expect" not in head.lower()
        assert body == b"hello"
        await peer.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nX: y\r\n\r\n" + OK)

    proxy.engine.script = script
    client = await proxy.connect()
    await client.send(b"PUT /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    assert (await client.answer())[0] == 100
    await client.send(b"hello")
    assert await client.answer() == (200, {"content-length": "2"}, b"ok")


async def test_continue_is_not_said_before_the_decision(proxy: Proxy) -> None:
    """An application that refuses without reading the body answers at once, without 100 Continue."""

    async def refuse(scope: object, receive: object, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        await send({"type": "http.response.start", "status": 409, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"no"})

    proxy.own = refuse
    client = await proxy.connect()
    await client.send(b"PUT /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    status, headers, body = await client.answer()
    assert (status, headers["connection"], body) == (409, "close", b"no")
    assert await client.rest() == b""


async def test_part_of_a_body_is_not_the_whole(proxy: Proxy) -> None:
    """Of a client that leaves in the middle of a body which is looked at first, nothing is taken for its request."""
    outcome: asyncio.Future[object] = asyncio.get_running_loop().create_future()

    async def own(scope: dict[str, Any], _receive: Any, _send: Any) -> None:
        try:
            outcome.set_result(await scope["extensions"]["swarmproxy.exchange"].read_body(1024, "a request"))
        except BadRequest as error:
            outcome.set_result(error)

    proxy.own = own
    client = await proxy.connect()
    await client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n{}")
    await client.end()
    async with asyncio.timeout(GUARD_S):
        assert isinstance(await outcome, BadRequest)


@pytest.mark.parametrize("end", ["close", "reset", "go on"])
async def test_full_duplex_with_an_early_answer(start: Start, mode: str, end: str) -> None:
    """The engine answers after 5 MB of a body of 64 MB: the answer passes at once, whatever the engine does then."""
    proxy = await start(mode)
    size = 64 * 1024 * 1024

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.exactly(5 * 1024 * 1024)
        await peer.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nbad")
        if end == "go on":
            await peer.exactly(size - 5 * 1024 * 1024)
        elif end == "reset":
            await asyncio.sleep(0.2)
            peer.reset()

    proxy.engine.script = script
    client = await proxy.connect()
    await client.send(b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
    block = bytes(1024 * 1024)
    sent = 0

    async def upload() -> None:
        nonlocal sent
        try:
            for _ in range(64):
                await client.send(block)
                sent += len(block)
        except ConnectionError:
            pass

    async with asyncio.timeout(GUARD_S), asyncio.TaskGroup() as tasks:
        tasks.create_task(upload(), name="upload")
        assert await client.answer() == (400, {"content-length": "3"}, b"bad")
    assert await proxy.result() == 400
    if end == "go on":
        assert sent == size


async def test_answer_streams_while_the_body_is_sent(proxy: Proxy) -> None:
    """Each block sent comes back before the next one is sent."""

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(5):
            await peer.send(b"4\r\n" + await peer.exactly(4) + b"\r\n")
        await peer.send(b"0\r\n\r\n")

    proxy.engine.script = script
    client = await proxy.connect()
    await client.send(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n")
    await client.head()
    for word in (b"aaaa", b"bbbb", b"cccc", b"dddd", b"eeee"):
        await client.send(word)
        assert await client.exactly(9) == b"4\r\n" + word + b"\r\n"
    assert await client.exactly(5) == b"0\r\n\r\n"


async def test_idle_connection_that_the_engine_closed_is_not_used(proxy: Proxy) -> None:
    """The end of an idle connection is noticed before the next request, also before one that cannot be sent twice."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        peer.close()

    proxy.engine.script = script
    client = await proxy.connect()
    for _ in range(5):
        await client.send(b"POST /create HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        assert (await client.answer())[0] == 200
    assert proxy.engine.connections == 5


@pytest.mark.parametrize(("method", "requests"), [(b"GET", 2), (b"HEAD", 2), (b"POST", 1)])
async def test_stale_connection(proxy: Proxy, method: bytes, requests: int) -> None:
    """A GET that meets a connection closed in the meantime is sent again, a POST never."""
    seen = 0

    async def script(peer: Peer) -> None:
        nonlocal seen
        await peer.request()
        await peer.send(OK)
        await peer.request()
        seen += 1
        peer.reset()

    async def then(peer: Peer) -> None:
        nonlocal seen
        await peer.request()
        seen += 1
        await peer.send(OK if method != b"HEAD" else OK[:-2])

    proxy.engine.script = script
    client = await proxy.connect()
    await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await client.answer()
    proxy.engine.script = then
    await client.send(method + b" / HTTP/1.1\r\nHost: x\r\n\r\n")
    head = await client.head()
    assert head.startswith(b"HTTP/1.1 200" if requests == 2 else b"HTTP/1.1 500")
    assert seen == requests


async def test_dead_engine(proxy: Proxy) -> None:
    """An engine that refuses connections, or hangs up before its head, is EngineUnreachable, once."""

    async def script(peer: Peer) -> None:
        await peer.request()

    proxy.engine.script = script
    client = await proxy.connect()
    await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await client.answer())[0] == 500
    error = await proxy.result()
    assert isinstance(error, EngineUnreachable)
    assert "before the answer was complete" in str(error)
    await proxy.engine.stop()
    await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await client.answer())[0] == 500
    assert "connection refused" in str(await proxy.result())


async def test_head_timeout(proxy: Proxy) -> None:
    """An engine that accepts and never answers fails after `head_timeout_s`, counted from the request's end."""
    proxy.options = RelayOptions(head_timeout_s=0.3)

    async def script(peer: Peer) -> None:
        await peer.rest()

    proxy.engine.script = script
    client = await proxy.connect()
    await client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n")
    await asyncio.sleep(0.5)
    await client.send(b"{}")
    assert (await client.answer())[0] == 500
    assert "did not answer within 0.3 s" in str(await proxy.result())


async def test_silence_on_a_kept_connection(proxy: Proxy) -> None:
    """An engine that is silent on a connection that it kept is not asked again: a GET, too, waits only once."""
    proxy.options = RelayOptions(head_timeout_s=0.1)

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await peer.rest()

    proxy.engine.script = script
    client = await proxy.connect()
    for result in ("200", "did not answer within 0.1 s"):
        await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await client.answer()
        assert result in str(await proxy.result())
    assert proxy.engine.connections == 1


async def test_options_shape_the_answer(proxy: Proxy) -> None:
    """`body` replaces the client's, `headers` the engine's of that name, and `on_head` hears the status first."""
    heard: list[int] = []
    seen: list[bytes] = []
    proxy.options = RelayOptions(
        body=b"mine", on_head=heard.append, headers=((b"Api-Version", b"1.50"), (b"X-Cors", b"*"))
    )

    async def script(peer: Peer) -> None:
        seen.append((await peer.request())[1])
        await peer.send(b"HTTP/1.1 200 OK\r\nApi-Version: 1.47\r\nContent-Length: 2\r\n\r\nok")

    proxy.engine.script = script
    client = await proxy.connect()
    await client.send(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n")
    expected = {"content-length": "2", "api-version": "1.50", "x-cors": "*"}
    assert await client.answer() == (200, expected, b"ok")
    assert (heard, seen) == ([200], [b"mine"])


async def test_pool_that_closes_ends_its_exchanges(proxy: Proxy) -> None:
    """When an engine leaves, streams of it are cut and new requests are refused."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await peer.rest()

    proxy.engine.script = script
    client = await proxy.connect()
    await client.send(b"GET /logs HTTP/1.1\r\nHost: x\r\n\r\n")
    await client.until(b"abc\r\n")
    await proxy.pool.close()
    assert await client.rest() == b""
    assert (proxy.pool.busy, proxy.pool.idle) == (0, 0)
    other = await proxy.connect()
    await other.send(b"GET /logs HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await other.answer())[0] == 500
