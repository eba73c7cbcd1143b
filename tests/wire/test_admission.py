"""Who may connect, and how often ask: caps in total and of each client, rates, and bodies that do not come."""

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

from swarmproxy.wire.limits import Limits
from swarmproxy.wire.relay import RelayOptions
from tests.wire.conftest import Certificates, Proxy, Start
from tests.wire.peers import GUARD_S, OK, Peer, answer_ok, connect
from tests.wire.test_hijack import ATTACH, echo
from tests.wire.test_journal import Ledger
from tests.wire.test_tls import context_of

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
BODY = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"
ELSEWHERE = "127.0.0.2"


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(GUARD_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def is_served(client: Peer, request: bytes = GET) -> bool:
    """Return whether a request is answered, and not refused."""
    await client.send(request)
    return (await client.answer())[0] == 200


async def refusal(client: Peer, request: bytes = GET) -> tuple[int, dict[str, str], str]:
    """Return the status, the headers and the message of what a request is refused with."""
    await client.send(request)
    status, headers, body = await client.answer()
    assert headers["content-type"] == "application/json"
    return status, headers, str(json.loads(body)["message"])


async def ended(client: Peer) -> bool:
    """Return whether the connection ends, in whatever way, before another byte comes."""
    with contextlib.suppress(ConnectionError):
        return await client.some() == b""
    return True


def open_ones(proxy: Proxy) -> tuple[int, int]:
    return proxy.admission.open, proxy.admission._refused


async def test_cap_of_all(start: Start, mode: str) -> None:
    """One client too many is told so in the answer to its request, and closed; when another leaves there is room."""
    proxy = await start(mode, limits=Limits(connections=2, linger_s=600.0))
    proxy.engine.script = answer_ok
    first, second, third = [await proxy.connect() for _ in range(3)]
    assert await is_served(first)
    assert await is_served(second)
    status, headers, message = await refusal(third)
    assert (status, headers["retry-after"], headers["connection"]) == (503, "1", "close")
    assert message == "The manager serves 2 connections already, try again later"
    assert await third.rest() == b""
    third.close()
    first.close()
    await until(lambda: open_ones(proxy) == (1, 0))
    assert await is_served(await proxy.connect())
    assert await is_served(second)


async def test_cap_of_each(start: Start) -> None:
    """A client that has all it may have gets 429, and others are served."""
    proxy = await start(limits=Limits(connections_per_client=2, linger_s=600.0))
    proxy.engine.script = answer_ok
    clients = [await proxy.connect() for _ in range(3)]
    status, headers, message = await refusal(clients[2], BODY)
    assert (status, headers["retry-after"]) == (429, "1")
    assert message == "127.0.0.1 has 2 connections open already, try again later"
    assert await is_served(await proxy.connect(source=ELSEWHERE))
    assert await is_served(clients[0])


async def test_those_that_are_refused_are_few(start: Start) -> None:
    """Connections that are over the cap and say nothing do not add up: beyond some they are closed at once."""
    proxy = await start(limits=Limits(connections=1, linger_s=600.0))
    proxy.engine.script = answer_ok
    inside = await proxy.connect()
    assert await is_served(inside)
    outside = [await proxy.connect() for _ in range(80)]
    for client in outside[64:]:
        assert await ended(client)
    assert (await refusal(outside[63]))[0] == 503
    assert open_ones(proxy) == (1, 64)


async def test_refused_and_silent(start: Start) -> None:
    """Who is refused and asks for nothing is closed soon, long before others that are idle."""
    proxy = await start(limits=Limits(connections=1, linger_s=0.2, keep_alive_s=600.0))
    proxy.engine.script = answer_ok
    inside, outside = await proxy.connect(), await proxy.connect()
    assert await ended(outside)
    assert await is_served(inside)


async def test_each_connection_counts_until_it_ends(start: Start, mode: str) -> None:
    """However a connection ends, it is counted once: idle, cut, refused, as a stream, in the handshake."""
    proxy = await start(mode, limits=Limits(connections=4, linger_s=600.0))
    proxy.engine.script = answer_ok
    idle, cut = await proxy.connect(), await proxy.connect()
    assert await is_served(cut)
    assert open_ones(proxy) == (2, 0)
    idle.close()
    cut.reset()
    await until(lambda: open_ones(proxy) == (0, 0))
    proxy.engine.script = echo
    proxy.options = RelayOptions(upgrade=True)
    stream = await proxy.connect()
    await stream.send(ATTACH)
    await stream.head()
    bare = [await connect(proxy.port) for _ in range(5)]  # under TLS these say no hello
    await until(lambda: open_ones(proxy) == (4, 2))
    for client in bare:
        client.close()
    await until(lambda: open_ones(proxy) == (1, 0))
    stream.reset()
    await until(lambda: open_ones(proxy) == (0, 0))
    assert proxy.admission._of == {}


async def test_rate(start: Start) -> None:
    """Who asks too often gets 429 and when to come again; the connection stays, and others are not concerned."""
    proxy = await start(limits=Limits(requests_per_second=0.01, requests_burst=3))
    proxy.engine.script = answer_ok
    client, other = await proxy.connect(), await proxy.connect(source=ELSEWHERE)
    assert [await is_served(client), await is_served(await proxy.connect()), await is_served(client)] == [True] * 3
    for request in (GET, BODY + b"0123456789", GET):
        status, headers, message = await refusal(client, request)
        assert status == 429
        assert 90 <= int(headers["retry-after"]) <= 100
        assert message == "too many requests from 127.0.0.1, try again later"
        assert "connection" not in headers
    assert await is_served(other)
    await client.send(BODY + b"half")
    assert (await client.answer())[0] == 429
    assert await client.rest() == b""


async def test_rate_is_recorded(start: Start) -> None:
    """Those that keep account hear that it was a limit that refused a request."""
    ledger = Ledger()
    proxy = await start(limits=Limits(requests_per_second=0.01, requests_burst=1), journal=ledger)
    proxy.engine.script = answer_ok
    client = await proxy.connect()
    assert await is_served(client)
    assert (await refusal(client))[0] == 429
    about = [each.about for each in await ledger.all(2)]
    assert [(each.verdict, each.rule) for each in about] == [("", ""), ("refused", "limit")]


async def test_rate_of_a_certificate(start: Start, certificates: Certificates) -> None:
    """Who shows a certificate is known by its name, wherever it comes from."""
    proxy = await start("tls1.3", client_ca=True, limits=Limits(requests_per_second=0.01, requests_burst=2))
    proxy.engine.script = answer_ok
    proxy.client_tls = context_of(certificates)
    here, there = await proxy.connect(), await proxy.connect(source=ELSEWHERE)
    assert [await is_served(here), await is_served(there)] == [True] * 2
    assert (await refusal(there))[2] == "too many requests from CN=client, try again later"
    assert (await refusal(here))[0] == 429


async def test_body_that_does_not_come(start: Start, mode: str) -> None:
    """A body of which nothing comes for too long ends the request: here, and at the engine."""
    proxy = await start(mode, limits=Limits(body_timeout_s=0.3))
    gone: list[bool] = []

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        with contextlib.suppress(EOFError, ConnectionError):  # the end may come before what was sent is read
            await peer.head()
            await peer.exactly(4)
        gone.append(await ended(peer))

    proxy.engine.script = script
    client = await proxy.connect()
    assert await is_served(client)  # so that no time goes into a new connection to the engine
    await client.send(BODY + b"half")
    status, headers, body = await client.answer()
    assert (status, headers["connection"]) == (408, "close")
    assert json.loads(body) == {"message": "the rest of the request's body did not come in time"}
    await until(lambda: gone == [True])


async def test_body_that_comes_slowly(start: Start) -> None:
    """A body may take many times as long, as long as it comes."""
    proxy = await start(limits=Limits(body_timeout_s=3.0))
    proxy.engine.script = answer_ok
    client = await proxy.connect()
    await client.send(BODY)
    for digit in b"0123456789":
        await asyncio.sleep(0.32)
        await client.send(bytes([digit]))
    assert (await client.answer())[0] == 200


async def test_body_that_is_not_asked_for(start: Start) -> None:
    """A client that waits for us, for leave to go on or until we take more, may wait."""
    proxy = await start(limits=Limits(body_timeout_s=3.0))
    asked = asyncio.Event()
    sizes: list[int] = []

    async def own(_scope: Any, receive: Any, send: Any) -> None:
        await asked.wait()
        size, more = 0, True
        while more:
            message = await receive()
            size, more = size + len(message.get("body", b"")), message.get("more_body", False)
        sizes.append(size)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    proxy.own = own
    patient, eager = await proxy.connect(), await proxy.connect()
    await patient.send(BODY.replace(b"Host: x", b"Host: x\r\nExpect: 100-continue"))
    size = 16 * 1024 * 1024
    await eager.send(BODY.replace(b"10", b"%d" % size))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(eager.send(bytes(size)))
        await asyncio.sleep(3.2)
        asked.set()
        assert (await patient.answer())[0] == 100
        await patient.send(b"0123456789")
        assert (await patient.answer())[0] == 200
    assert (await eager.answer())[0] == 200
    assert sorted(sizes) == [10, size]


async def test_idle_time_after_a_body(start: Start) -> None:
    """Behind a request with a body, an idle connection has its own time again."""
    proxy = await start(limits=Limits(body_timeout_s=600.0, keep_alive_s=3.0))
    proxy.engine.script = answer_ok
    client = await proxy.connect()
    await client.send(BODY)
    await client.send(b"0123456789")
    assert (await client.answer())[0] == 200
    assert await client.rest() == b""
