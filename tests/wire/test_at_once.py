"""Requests forwarded without the application, over a connection that waits. All other tests here do it as well."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest

from swarmproxy.errors import EngineUnreachable
from swarmproxy.wire.relay import RelayOptions
from tests.wire.conftest import Proxy
from tests.wire.peers import GUARD_S, OK, Peer, answer_ok

GET = b"GET /a?b=1 HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: x\r\n\r\n"


async def warmed_up(proxy: Proxy) -> Peer:
    """Return a client behind whose first request a connection to the engine waits."""
    client = await proxy.connect()
    await client.send(GET)
    assert (await client.answer())[2] == b"ok"
    assert await proxy.result() == 200
    assert proxy.asked == 1
    return client


def ends_the_first(proxy: Proxy) -> Callable[[Peer], Awaitable[None]]:
    """Return what ends the first connection instead of answering a second request there, and answers on all others."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        if proxy.engine.connections == 1:
            await peer.request()
            peer.close()
        else:
            await answer_ok(peer)

    return script


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
    proxy.engine.script = ends_the_first(proxy)
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


@pytest.mark.parametrize("request_", [GET, POST])
async def test_silent_engine(proxy: Proxy, request_: bytes) -> None:
    """The deadline of the answer holds here too, and nobody is asked again after it."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await peer.rest()

    proxy.engine.script = script
    client = await warmed_up(proxy)
    proxy.options = RelayOptions(head_timeout_s=0.05)
    await client.send(request_)
    status, _, body = await client.answer()
    assert status == 500
    assert b"did not answer within 0.05 s" in body
    assert proxy.engine.connections == 1


async def test_work_without_client(proxy: Proxy) -> None:
    """What the engine is to finish is finished without the client, and the server does not end before."""
    proxy.options = RelayOptions(finish=True)
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await peer.request()
        asked.set()
        await go_on.wait()
        await peer.send(OK)

    proxy.engine.script = script
    client = await warmed_up(proxy)
    await client.send(POST)
    await asyncio.wait_for(asked.wait(), GUARD_S)
    client.reset()
    tasks = proxy.server.server_state.tasks
    async with asyncio.timeout(GUARD_S):
        while not tasks:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    go_on.set()
    assert await proxy.result() == 200
    async with asyncio.timeout(GUARD_S):
        while tasks:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    assert (proxy.asked, proxy.pool.busy) == (1, 0)


@pytest.mark.parametrize(
    "said",
    [OK, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n"],
)
async def test_answer_of_our_own(proxy: Proxy, said: bytes) -> None:
    """An answer that is made of an engine's costs no task either, whatever the form of that."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        while True:
            await peer.request()
            await peer.send(said)

    proxy.engine.script = script
    client = await warmed_up(proxy)
    proxy.question_timeout_s = GUARD_S
    await client.send(GET * 3)
    for _ in range(3):
        status, headers, body = await client.answer()
        assert (status, headers["x-own"], body) == (200, "1", b"ok, and more")
    assert (proxy.asked, proxy.engine.connections, proxy.pool.busy) == (1, 1, 0)


async def test_question_on_a_closed_connection(proxy: Proxy) -> None:
    """If the engine ends the connection at this moment, the application answers."""
    proxy.engine.script = ends_the_first(proxy)
    client = await warmed_up(proxy)
    proxy.question_timeout_s = GUARD_S
    await client.send(GET)
    assert (await client.answer())[2] == b"ok"
    assert (proxy.asked, proxy.engine.connections) == (2, 2)


async def test_question_with_a_body(proxy: Proxy) -> None:
    """What came with a request can go on to the engine, which is not told twice; what is to come is waited for."""
    heads: list[bytes] = []

    async def script(peer: Peer) -> None:
        heads.append((await peer.request())[0])
        await peer.send(OK)
        if proxy.engine.connections == 1:
            heads.append((await peer.request())[0])
            await peer.send(OK)
            heads.append((await peer.request())[0])
            peer.close()
        else:
            await answer_ok(peer)

    proxy.engine.script = script
    client = await warmed_up(proxy)
    proxy.question_timeout_s = GUARD_S
    head = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"
    await client.send(head + b"{}")
    assert (await client.answer())[2] == b"ok, and more"
    assert b"Content-Length: 2\r\n" in heads[1]
    await client.send(head + b"{}")
    status, _, body = await client.answer()
    assert (status, proxy.asked, proxy.engine.connections) == (500, 1, 1)
    assert b"closed the connection" in body
    await client.send(head)
    async with asyncio.timeout(GUARD_S):
        while proxy.asked == 1:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    await client.send(b"{}")
    assert (await client.answer())[2] == b"ok"


@pytest.mark.parametrize("begin", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no"])
async def test_question_without_answer(proxy: Proxy, begin: bytes) -> None:
    """An answer that does not come in time, or whole, is not waited for once more."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await peer.request()
        if begin:
            await peer.send(begin)
            peer.close()
        else:
            await peer.rest()

    proxy.engine.script = script
    client = await warmed_up(proxy)
    proxy.question_timeout_s = GUARD_S if begin else 0.05
    await client.send(GET)
    status, _, body = await client.answer()
    why = b"closed the connection before the answer was complete" if begin else b"did not answer within 0.05 s"
    assert (status, proxy.asked) == (500, 1)
    assert why in body


async def test_nobody_wants_the_answer(proxy: Proxy) -> None:
    """A question ends with the client that wanted to know."""
    asked, ended = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await peer.request()
        asked.set()
        with contextlib.suppress(ConnectionError):
            await peer.rest()
        ended.set()

    proxy.engine.script = script
    client = await warmed_up(proxy)
    proxy.question_timeout_s = GUARD_S
    await client.send(GET)
    await asyncio.wait_for(asked.wait(), GUARD_S)
    client.reset()
    await asyncio.wait_for(ended.wait(), GUARD_S)
    assert (proxy.asked, proxy.results, proxy.pool.busy) == (1, [], 0)


async def test_connection_for_the_next_request(proxy: Proxy) -> None:
    """While a stream has the only connection to its engine, another is made ready for what follows it."""
    proxy.options = RelayOptions(upgrade=True)

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
        await peer.rest()

    proxy.engine.script = script
    client = await proxy.connect()
    await client.send(b"POST /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
    await client.head()
    async with asyncio.timeout(GUARD_S):
        while not proxy.pool.idle:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    assert (proxy.pool.busy, proxy.pool.idle) == (1, 1)
