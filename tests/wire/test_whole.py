"""Requests sent together: their answers come one by one, in order, whatever the engine does in between."""

from contextlib import closing

import pytest

from swarmproxy.errors import EngineUnreachable
from swarmproxy.wire.whole import Pipeline
from tests.wire.conftest import Proxy, Start
from tests.wire.peers import GUARD_S, Peer

TARGETS = [f"/{number}" for number in range(5)]


def answer_to(target: bytes) -> bytes:
    """Return an answer that names its target, in a framing that depends on it."""
    match target:
        case b"/1":
            return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n/\r\n1\r\n1\r\n0\r\n\r\n"
        case b"/2":
            return b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n/2"
        case b"/3":
            return b"HTTP/1.1 204 No Content\r\n\r\n"
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(target), target)


async def bodies(proxy: Proxy) -> list[tuple[int, bytes]]:
    with closing(Pipeline(proxy.pool, TARGETS, timeout_s=GUARD_S)) as pipeline:
        answers = [await pipeline.next() for _ in TARGETS]
    return [(each.head.status, each.body) for each in answers]


EXPECTED = [(200, b"/0"), (200, b"/1"), (404, b"/2"), (204, b""), (200, b"/4")]


async def asked(peer: Peer) -> bytes:
    head, _ = await peer.request()
    return head.split(b" ")[1]


@pytest.mark.parametrize("piece", [1, 7, 1000])
async def test_in_order(start: Start, mode: str, piece: int) -> None:
    """Answers come in the order of the requests, however they were framed and cut, over one connection."""
    proxy = await start(mode)

    async def script(peer: Peer) -> None:
        while True:
            answers = b"".join([answer_to(await asked(peer)) for _ in TARGETS])
            for at in range(0, len(answers), piece):
                await peer.send(answers[at : at + piece])

    proxy.engine.script = script
    for _ in range(2):
        assert await bodies(proxy) == EXPECTED
    assert (proxy.engine.connections, proxy.pool.busy, proxy.pool.idle) == (1, 0, 1)


@pytest.mark.parametrize("says_so", [True, False])
async def test_engine_that_closes_in_between(proxy: Proxy, says_so: bool) -> None:
    """An engine that ends the connection behind each answer is asked for the rest anew, and for nothing twice."""
    answered: list[bytes] = []

    async def script(peer: Peer) -> None:
        target = await asked(peer)
        answered.append(target)
        answer = answer_to(target)
        await peer.send(answer.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1) if says_so else answer)
        await peer.end()

    proxy.engine.script = script
    assert await bodies(proxy) == EXPECTED
    assert answered == [target.encode() for target in TARGETS]


async def test_engine_that_hangs_up(proxy: Proxy) -> None:
    """An engine that ends a new connection without an answer is not asked again."""

    async def script(peer: Peer) -> None:
        await peer.request()

    proxy.engine.script = script
    with pytest.raises(EngineUnreachable, match="before the answer was complete"):
        await bodies(proxy)
    assert proxy.engine.connections == 1


async def test_answer_that_is_cut(proxy: Proxy) -> None:
    """Answers before one that is cut are good, and that one fails."""

    async def script(peer: Peer) -> None:
        await peer.send(answer_to(await asked(peer)))
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        await peer.end()

    proxy.engine.script = script
    with closing(Pipeline(proxy.pool, TARGETS, timeout_s=GUARD_S)) as pipeline:
        assert (await pipeline.next()).body == b"/0"
        with pytest.raises(EngineUnreachable, match="before the answer was complete"):
            await pipeline.next()


async def test_each_answer_has_its_time(proxy: Proxy) -> None:
    """The time counts from one answer to the next; a connection with answers on the way is not used again."""

    async def script(peer: Peer) -> None:
        await peer.send(answer_to(await asked(peer)))
        await peer.rest()

    proxy.engine.script = script
    with closing(Pipeline(proxy.pool, TARGETS, timeout_s=2.0)) as pipeline:
        assert (await pipeline.next()).body == b"/0"
        with pytest.raises(EngineUnreachable, match=r"did not answer within 2 s"):
            await pipeline.next()
    assert (proxy.pool.busy, proxy.pool.idle) == (0, 0)


async def test_given_up(proxy: Proxy) -> None:
    """Who wants no more answers ends the connection."""

    async def script(peer: Peer) -> None:
        await peer.send(answer_to(await asked(peer)))
        await peer.rest()

    proxy.engine.script = script
    with closing(Pipeline(proxy.pool, TARGETS, timeout_s=GUARD_S)) as pipeline:
        await pipeline.next()
    assert (proxy.pool.busy, proxy.pool.idle) == (0, 0)
