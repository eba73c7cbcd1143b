"""What a journal is told of requests: each one's begin, and its end once, however it ends."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from swarmproxy.wire.exchange import AsgiExchange
from swarmproxy.wire.head import changed
from swarmproxy.wire.limits import Limits
from swarmproxy.wire.relay import RelayOptions
from tests.wire.conftest import Proxy, Start
from tests.wire.peers import GUARD_S, Peer, answer_ok
from tests.wire.test_hijack import ATTACH, echo
from tests.wire.test_protocol import CHUNKED, GET


class Ledger:
    """Counts begins and ends of each exchange."""

    def __init__(self) -> None:
        self.open: list[AsgiExchange] = []
        self.ended_ones: list[AsgiExchange] = []

    def begun(self, exchange: AsgiExchange) -> None:
        assert exchange not in self.open
        self.open.append(exchange)

    def ended(self, exchange: AsgiExchange) -> None:
        self.open.remove(exchange)  # raises if it ends twice
        self.ended_ones.append(exchange)

    async def all(self, count: int) -> list[AsgiExchange]:
        """Return the exchanges when `count` of them have ended and none is open."""
        async with asyncio.timeout(GUARD_S):
            while len(self.ended_ones) < count or self.open:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        assert len(self.ended_ones) == count
        return self.ended_ones


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
async def watched(start: Start, ledger: Ledger) -> Proxy:
    """A plain proxy with a journal."""
    return await start(journal=ledger)


def summary(exchange: AsgiExchange) -> tuple[int, int, int]:
    return exchange.status, exchange.received_bytes, exchange.sent_bytes


async def test_answered(watched: Proxy, ledger: Ledger) -> None:
    """Requests that the application relays, and those without it, pipelined ones too: status and the answer's size."""
    watched.engine.script = answer_ok
    client = await watched.connect()
    for count in (1, 1, 3):
        await client.send((GET + b"\r\n") * count)
        for _ in range(count):
            assert (await client.answer())[2] == b"ok"
    assert [summary(each) for each in await ledger.all(5)] == [(200, 0, 2)] * 5
    assert watched.asked == 1


@pytest.mark.parametrize("head", [CHUNKED, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"])
async def test_bodies(watched: Proxy, ledger: Ledger, head: bytes) -> None:
    """The payload of a body is counted, and not what frames it."""
    watched.engine.script = answer_ok
    client = await watched.connect()
    await client.send(head)
    await client.send(b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n" if head is CHUNKED else b"hello")
    assert (await client.answer())[0] == 200
    assert [summary(each) for each in await ledger.all(1)] == [(200, 5, 2)]


async def test_own_answers(watched: Proxy, ledger: Ledger) -> None:
    """An application's answer, in one piece or in several, is counted; so is its crash."""

    async def own(scope: Any, _receive: Any, send: Any) -> None:
        if scope["path"] == "/crash":
            raise RuntimeError("on purpose")
        if scope["path"] == "/once":
            await scope["extensions"]["swarmproxy.exchange"].answer(202, b"", b"abc")
            return
        await send({"type": "http.response.start", "status": 201, "headers": []})
        await send({"type": "http.response.body", "body": b"abcd", "more_body": True})
        await send({"type": "http.response.body", "body": b"ef", "more_body": False})

    watched.own = own
    client = await watched.connect()
    for path, body in ((b"/pieces", b"abcdef"), (b"/once", b"abc")):
        await client.send(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path)
        assert (await client.answer())[2] == body
    await client.send(b"GET /crash HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await client.answer())[0] == 500
    assert [summary(each) for each in await ledger.all(3)] == [(201, 0, 6), (202, 0, 3), (500, 0, 0)]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (GET + b"Content-Length: x\r\n\r\n", 400),
        (CHUNKED + b"zz\r\n", 400),
        (b"GET / HT", 408),
        (GET + b"X: " + b"x" * 1024 * 1024 + b"\r\n\r\n", 431),
    ],
)
async def test_refused(start: Start, ledger: Ledger, sent: bytes, status: int) -> None:
    """What cannot be understood is told of with the status that it was answered with."""
    proxy = await start(journal=ledger, limits=Limits(head_timeout_s=0.1 if status == 408 else 30.0))
    client = await proxy.connect()
    await client.send(sent)
    assert (await client.answer())[0] == status
    assert [each.status for each in await ledger.all(1)] == [status]


async def test_client_gone(watched: Proxy, ledger: Ledger) -> None:
    """A client that leaves before its answer ends the request; there is no status then."""
    asked = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await peer.rest()

    watched.engine.script = script
    client = await watched.connect()
    await client.send(GET + b"\r\n")
    await asyncio.wait_for(asked.wait(), GUARD_S)
    client.reset()
    assert [summary(each) for each in await ledger.all(1)] == [(0, 0, 0)]


async def test_cut_answer(watched: Proxy, ledger: Ledger) -> None:
    """An answer that the engine does not bring to its end is told of with what was sent of it."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        peer.close()

    watched.engine.script = script
    client = await watched.connect()
    await client.send(GET + b"\r\n")
    await client.head()
    assert [summary(each) for each in await ledger.all(1)] == [(200, 0, 4)]


async def test_stream(start: Start, ledger: Ledger, mode: str) -> None:
    """A hijacked stream is one request until both sides are closed, and its bytes are seen while it lasts."""
    proxy = await start(mode, journal=ledger)
    proxy.options = RelayOptions(upgrade=True)
    proxy.engine.script = echo
    client = await proxy.connect()
    await client.send(ATTACH + b"early")
    await client.head()
    assert await client.exactly(5) == b"early"
    await client.send(b"line\n")
    assert await client.exactly(5) == b"line\n"
    assert [summary(each) for each in ledger.open] == [(101, 10, 10)]
    await client.end()
    assert await client.rest() == b""
    assert [summary(each) for each in await ledger.all(1)] == [(101, 10, 10)]


class Marking(Ledger):
    """Adds a header to each request."""

    def begun(self, exchange: AsgiExchange) -> None:
        super().begun(exchange)
        fields = changed(exchange.request.fields, without=frozenset((b"mark",)), more=((b"mark", b"ours"),))
        exchange.request = replace(exchange.request, fields=fields)


async def test_journal_may_change_headers(start: Start) -> None:
    """What a journal puts into the head goes to the engine, with and without the application in between."""
    proxy = await start(journal=Marking())
    heads: list[bytes] = []

    async def script(peer: Peer) -> None:
        while True:
            heads.append((await peer.request())[0])
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    proxy.engine.script = script
    client = await proxy.connect()
    for _ in range(2):
        await client.send(GET + b"Mark: theirs\r\n\r\n")
        assert (await client.answer())[0] == 200
    assert proxy.asked == 1
    assert [head.count(b"mark: ours\r\n") for head in heads] == [1, 1]
    assert not any(b"theirs" in head for head in heads)
