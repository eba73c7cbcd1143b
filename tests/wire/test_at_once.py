"""Requests forwarded without the application, over a connection that waits. All other tests here do it as well."""

import asyncio
import contextlib

import pytest

from swarmproxy.errors import EngineUnreachable
from swarmproxy.wire.relay import RelayOptions
from tests.wire.conftest import Proxy
from tests.wire.peers import GUARD_S, Peer

GET = b"GET /a?b=1 HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: x\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def answer_ok(peer: Peer) -> None:
    while True:
        await peer.request()
        await peer.send(OK)


async def warmed_up(proxy: Proxy) -> Peer:
    """Return a client behind whose first request a connection to the engine waits."""
    client = await proxy.connect()
    await client.send(GET)
    assert (await client.answer())[2] == b"ok"
    assert await proxy.result() == 200
    assert proxy.asked == 1
    return client


@pytest.mark.parametrize("request_", [GET, POST])
async def test_application_is_not_asked(proxy: Proxy, request_: bytes) -> None:
    """Only the first request, which has to wait for a connection, costs a task."""
    proxy.engine.script = answer_ok
    client = await warmed_up(proxy)
    for _ in range(3):
        await client.send(request_)
        assert (await client.answer())[2] == b"ok"
        assert await proxy.result() == 200
    await client.send(GET * 3)
    for _ in range(3):
        assert (await client.answer())[2] == b"ok"
    assert (proxy.asked, proxy.engine.connections) == (1, 1)


async def test_many_behind_each_other(proxy: Proxy) -> None:
    """Any number of requests may come in one piece; each is answered, in order."""
    proxy.replies_at_once = True
    client = await proxy.connect()
    await client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(3000)))
    for number in range(3000):
        assert await client.head() == b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(f"/{number}")
        assert await client.exactly(len(f"/{number}")) == b"/%d" % number
    assert proxy.asked == 0


async def test_bodies_wait_for_the_application(proxy: Proxy) -> None:
    """What has a body is the application's to forward."""
    proxy.engine.script = answer_ok
    client = await warmed_up(proxy)
    await client.send(b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi")
    assert (await client.answer())[2] == b"ok"
    assert proxy.asked == 2


async def test_sent_again(proxy: Proxy) -> None:
    """A GET that meets a connection which the engine ends at this moment is sent once more, on a new one."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        if proxy.engine.connections == 1:
            await peer.request()
            peer.close()
        else:
            await answer_ok(peer)

    proxy.engine.script = script
    client = await warmed_up(proxy)
    await client.send(GET)
    assert (await client.answer())[2] == b"ok"
    assert await proxy.result() == 200
    assert (proxy.asked, proxy.engine.connections) == (2, 2)


@pytest.mark.parametrize(("request_", "begin"), [(POST, b""), (GET, b"HTTP/1.1 200 O")])
async def test_not_sent_again(proxy: Proxy, request_: bytes, begin: bytes) -> None:
    """What the engine may have done, or has begun to answer, is not asked for twice: the client is told."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await peer.request()
        if begin:
            await peer.send(begin)
        peer.close()

    proxy.engine.script = script
    client = await warmed_up(proxy)
    await client.send(request_)
    status, _, body = await client.answer()
    assert status == 500
    assert b"closed the connection before the answer was complete" in body
    assert isinstance(await proxy.result(), EngineUnreachable)
    assert (proxy.asked, proxy.engine.connections) == (2, 1)


async def test_client_leaves(proxy: Proxy) -> None:
    """The engine's work ends with the client that wanted it."""
    ended = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
        with contextlib.suppress(ConnectionError):
            await peer.rest()
        ended.set()

    proxy.engine.script = script
    client = await warmed_up(proxy)
    await client.send(GET)
    await client.until(b"hi")
    client.reset()
    await asyncio.wait_for(ended.wait(), GUARD_S)
    assert await proxy.result() == 200
    assert (proxy.asked, proxy.pool.busy) == (1, 0)


async def test_silent_engine(proxy: Proxy) -> None:
    """The deadline of the answer holds here too."""
    proxy.options = RelayOptions(head_timeout_s=0.05)

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await peer.rest()

    proxy.engine.script = script
    client = await warmed_up(proxy)
    await client.send(POST)
    status, _, body = await client.answer()
    assert status == 500
    assert b"did not answer within 0.05 s" in body
