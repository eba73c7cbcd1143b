"""What a client may send, and what it is told."""

import asyncio
import contextlib
import json
import logging
import socket
from typing import Any

import pytest

from swarmproxy.wire.limits import Limits
from tests.wire.conftest import Proxy, Start
from tests.wire.peers import GUARD_S, OK, Peer, answer_ok

GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "request_",
    [
        GET + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        GET + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        GET + b"Content-Length: 3, 3\r\n\r\nabc",
        GET + b"Content-Length: +3\r\n\r\nabc",
        GET + b"Content-Length: 0x3\r\n\r\nabc",
        GET + b"Content-Length: \r\n\r\n",
        GET + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        GET + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        GET + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        GET + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        GET + b"X-A: 1\r\n folded\r\n\r\n",
        GET + b" X-A: 1\r\n\r\n",
        GET + b"X-A : 1\r\n\r\n",
        GET + b"X A: 1\r\n\r\n",
        GET + b"X-A\r\n\r\n",
        GET + b": 1\r\n\r\n",
        GET + b"X-A: \x00\r\n\r\n",
        GET + b"X-A: a\rb\r\n\r\n",
        GET + b"X-A: a\nX-B: b\r\n\r\n",
        GET + b"Host: y\r\n\r\n",
        b"GET / HTTP/1.1\nHost: x\n\n",
        b"GET / HTTP/1.1\r\nHost: x\n\r\n",
        b"GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /\xc3\xa4 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET a HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /\r\nHost: x\r\n\r\n",
        b"GET / HTTP/2.0\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"G(T / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        GET + b"Expect: 200-ok\r\n\r\n",
    ],
)
async def test_ambiguous_head(proxy: Proxy, request_: bytes) -> None:
    """What two parsers could read differently is answered 400 in Docker's form, and goes to no engine."""
    proxy.engine.script = answer_ok
    client = await proxy.connect()
    await client.send(request_)
    status, headers, body = await client.answer()
    assert (status, headers["content-type"], headers["connection"]) == (400, "application/json", "close")
    assert json.loads(body)["message"]
    assert await client.rest() == b""
    assert proxy.engine.connections == 0


@pytest.mark.parametrize(
    "body",
    [
        b"5;" + b"x" * 2000 + b"\r\nhello\r\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"\r\nhello\r\n0\r\n\r\n",
        b"5\nhello\r\n0\r\n\r\n",
        b"5;a\nb\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"5\r\nhelloXX0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"1234567890123456\r\nhello",
        b"5\r\nhello\r\n0\r\nbad trailer\r\n\r\n",
        b"5\r\nhello\r\n0\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
        b"zz\r\n",
    ],
)
async def test_ambiguous_chunks(proxy: Proxy, body: bytes) -> None:
    """A chunked body is read to the letter: anything else is answered 400, and the engine's request is ended."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        try:
            if await peer.some():
                begun.set()
                await peer.request()
        finally:
            ended.set()

    proxy.engine.script = script
    client = await proxy.connect()
    await client.send(CHUNKED)
    await asyncio.sleep(0.02)
    await client.send(body)
    status, headers, _ = await client.answer()
    assert (status, headers["connection"]) == (400, "close")
    async with asyncio.timeout(GUARD_S):
        # a connection that was dialled in vain waits for the next request
        while not ended.is_set() and (begun.is_set() or not proxy.pool.idle):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_request_cut_in_the_middle(proxy: Proxy) -> None:
    """A client that ends before its body does is told so, and the engine's request is ended."""

    async def script(peer: Peer) -> None:
        with pytest.raises((EOFError, ConnectionError)):
            await peer.request()

    proxy.engine.script = script
    client = await proxy.connect()
    await client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
    await asyncio.sleep(0.02)
    await client.end()
    assert (await client.answer())[0] == 400
    assert await proxy.result() == 0


@pytest.mark.parametrize(
    "head",
    [
        GET + b"X-A: " + b"a" * (1024 * 1024) + b"\r\n\r\n",
        GET + b"X-A: " + b"a" * (2 * 1024 * 1024),
        GET + b"".join(b"X-%d: 1\r\n" % n for n in range(300)) + b"\r\n",
    ],
)
async def test_head_is_bounded(start: Start, mode: str, head: bytes) -> None:
    """More than 1 MiB or 256 headers is answered 431."""
    proxy = await start(mode)
    client = await proxy.connect()

    async def write() -> None:
        with contextlib.suppress(ConnectionError):
            await client.send(head)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(write(), name="write")
        assert (await client.answer())[0] == 431


async def test_slow_head(start: Start) -> None:
    """A head that does not come to its end is answered 408 after a time, however it drips."""
    proxy = await start(limits=Limits(head_timeout_s=0.5))
    client = await proxy.connect()
    async with asyncio.timeout(GUARD_S), asyncio.TaskGroup() as tasks:

        async def drip() -> None:
            for _ in range(20):
                await asyncio.sleep(0.05)
                await client.send(b"X: y\r\n")

        await client.send(b"GET / HTTP/1.1\r\n")
        dripping = tasks.create_task(drip(), name="drip")
        assert (await client.answer())[0] == 408
        dripping.cancel()


async def test_idle_connection_is_closed_after_its_time(start: Start) -> None:
    """A kept connection is closed when it was idle for `keep_alive_s`, and not before; the default is over 90 s."""
    assert Limits().keep_alive_s >= 90
    proxy = await start(limits=Limits(keep_alive_s=3.0))
    proxy.engine.script = answer_ok
    client = await proxy.connect()
    for _ in range(4):
        await client.send(GET + b"\r\n")
        assert (await client.answer())[0] == 200
        await asyncio.sleep(0.8)
    assert await client.rest() == b""


async def test_absolute_form_and_leading_empty_lines(proxy: Proxy) -> None:
    """A target in absolute form is reduced to its path; empty lines before a request are skipped."""
    seen: list[bytes] = []

    async def script(peer: Peer) -> None:
        while True:
            seen.append((await peer.request())[0].split()[1])
            await peer.send(OK)

    proxy.engine.script = script
    client = await proxy.connect()
    await client.send(b"\r\n\r\nGET http://docker/v1.47/info?a=b HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await client.answer())[0] == 200
    await client.send(b"\r\nGET HTTP://docker HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await client.answer())[0] == 200
    assert seen == [b"/v1.47/info?a=b", b"/"]


async def test_empty_lines_cost_nothing(proxy: Proxy) -> None:
    """Megabytes of empty lines in front of a request hold up nobody."""
    proxy.replies_at_once = True
    client = await proxy.connect()
    await client.send(b"\r\n" * 2_000_000 + GET + b"\r\n")
    assert (await client.answer())[0] == 200


async def test_empty_lines_gain_no_time(start: Start) -> None:
    """A client that sends nothing else is idle."""
    proxy = await start(limits=Limits(keep_alive_s=0.3))
    client = await proxy.connect()
    answered = b""
    async with asyncio.timeout(GUARD_S):
        with contextlib.suppress(ConnectionError):  # what is sent after the end is answered with a reset
            while not client.reader.at_eof():
                await client.send(b"\r\n")
                with contextlib.suppress(TimeoutError):
                    answered += await asyncio.wait_for(client.reader.read(1), 0.02)
    assert answered == b""


async def test_head_byte_by_byte(proxy: Proxy) -> None:
    """How a request is cut into packets makes no difference."""
    proxy.engine.script = answer_ok
    client = await proxy.connect()
    for byte in b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nhi\r\n0\r\nA: b\r\n\r\n":
        await client.send(bytes((byte,)))
        await asyncio.sleep(0.001)
    assert (await client.answer())[2] == b"ok"


async def test_handler_crash(start: Start, mode: str, caplog: pytest.LogCaptureFixture) -> None:
    """A crash is answered 500 in Docker's form, with the request id under which it is logged, once."""
    proxy = await start(mode)

    async def crash(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError("mine")

    proxy.own = crash
    client = await proxy.connect()
    await client.send(GET + b"\r\n")
    status, headers, body = await client.answer()
    assert (status, headers["content-type"]) == (500, "application/json")
    (record,) = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert record.name == "swarmproxy.wire"
    assert headers["x-request-id"] == record.__dict__["request_id"]
    assert headers["x-request-id"] in json.loads(body)["message"]
    assert record.exc_info is not None


async def test_handler_that_says_nothing(proxy: Proxy, caplog: pytest.LogCaptureFixture) -> None:
    """An application that returns without an answer is a crash too."""

    async def nothing(scope: Any, receive: Any, send: Any) -> None:
        return

    proxy.own = nothing
    client = await proxy.connect()
    await client.send(GET + b"\r\n")
    assert (await client.answer())[0] == 500
    assert [r.message for r in caplog.records] == ["request left without an answer"]


async def test_crash_in_the_middle_of_an_answer(proxy: Proxy) -> None:
    """An answer that was begun is cut, visibly."""

    async def crash(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"abc", "more_body": True})
        raise ZeroDivisionError

    proxy.own = crash
    client = await proxy.connect()
    await client.send(GET + b"\r\n")
    assert not (await client.rest()).endswith(b"0\r\n\r\n")


async def test_application_answers(start: Start, mode: str) -> None:
    """Whole and streamed answers of an application, bodies read and unread, on one connection."""
    proxy = await start(mode)

    async def own(scope: Any, receive: Any, send: Any) -> None:
        body = b""
        if scope["path"] != "/unread":
            while (message := await receive())["more_body"]:
                body += message["body"]
            body += message["body"]
        assert scope["raw_path"] in (b"/unread", b"/a%20b")
        assert scope["query_string"] == b"q=%20"
        headers = [(b"content-length", b"%d" % len(body))] if scope["method"] == "PUT" else []
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for at in range(0, len(body), 1000):
            await send({"type": "http.response.body", "body": body[at : at + 1000], "more_body": True})
        await send({"type": "http.response.body"})

    proxy.own = own
    client = await proxy.connect()
    body = bytes(range(256)) * 1000
    for method in (b"PUT", b"POST", b"PUT"):
        await client.send(method + b" /a%20b?q=%20 HTTP/1.1\r\nHost: x\r\nContent-Length: 256000\r\n\r\n" + body)
        assert (await client.answer())[2] == body
    await client.send(b"PUT /unread?q=%20 HTTP/1.1\r\nHost: x\r\nContent-Length: 256000\r\n\r\n" + body[:10])
    assert (await client.answer())[1]["connection"] == "close"


async def test_application_hears_that_the_client_is_gone(start: Start, mode: str) -> None:
    """A stream of our own ends when its client goes, though nothing is sent."""
    proxy = await start(mode)
    heard = asyncio.Event()

    async def own(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        assert (await receive())["type"] == "http.disconnect"
        heard.set()

    proxy.own = own
    client = await proxy.connect()
    await client.send(GET + b"\r\n")
    await client.until(b"x\r\n")
    client.close()
    await asyncio.wait_for(heard.wait(), GUARD_S)


async def test_slow_client_holds_the_application(proxy: Proxy) -> None:
    """An application's `send` waits for a client that does not read."""
    sent = 0

    async def own(scope: Any, receive: Any, send: Any) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(64):
            await send({"type": "http.response.body", "body": bytes(1024 * 1024), "more_body": True})
            sent += 1
        await send({"type": "http.response.body"})

    proxy.own = own
    client = await proxy.connect(buffer=65536)
    await client.send(GET + b"\r\n")
    await client.head()
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.sleep(0.5)
    assert sent < 20
    client.writer.transport.resume_reading()  # type: ignore[attr-defined]
    assert len(await client.chunks()) == 64 * 1024 * 1024


async def test_own_errors_carry_the_request_id(proxy: Proxy) -> None:
    """A 5xx of our own has X-Request-Id; a different one each time."""
    ids: set[str] = set()

    async def own(scope: Any, receive: Any, send: Any) -> None:
        ids.add(scope["extensions"]["swarmproxy.exchange"].request_id)
        await send({"type": "http.response.start", "status": 503, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    proxy.own = own
    client = await proxy.connect()
    seen = set()
    for _ in range(3):
        await client.send(GET + b"\r\n")
        seen.add((await client.answer())[1]["x-request-id"])
    assert seen == ids
    assert len(ids) == 3


def _keepalive(transport: Any) -> tuple[int, int, int]:
    sock = transport.get_extra_info("socket")
    on = sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    idle = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
    return on, idle, sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_keepalive_on_both_sides(start: Start, mode: str) -> None:
    """TCP looks after silent peers every 30 s, and small writes do not wait, towards clients and engines."""
    proxy = await start(mode)
    proxy.engine.script = answer_ok
    client = await proxy.connect()
    await client.send(GET + b"\r\n")
    await client.answer()
    (front,) = proxy.server.server_state.connections
    assert _keepalive(front.transport) == (1, 30, 1)
    engine = await proxy.pool.acquire()
    assert _keepalive(engine.transport) == (1, 30, 1)
    engine.release()
