"""Clients that speak HTTP badly, rarely, or too much, and what it costs the others: nothing."""

import contextlib
import json
import socket
from pathlib import Path

import pytest

from tests.conftest import StartManager
from tests.hosts.engine import Engine
from tests.hosts.manager import Manager
from tests.integration.faults import ps, run
from tests.integration.rawhttp import ask, connected, read_answer, request_bytes, send

MIB = 1024 * 1024

MALFORMED = {
    "no HTTP": b"hello\r\n\r\n",
    "no version": b"GET /info\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "space in the path": b"GET /containers/x y/json HTTP/1.1\r\nHost: x\r\n\r\n",
    "bytes over 127": "GET /containers/é/json HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
    "control in the path": b"GET /containers/\x01/json HTTP/1.1\r\nHost: x\r\n\r\n",
    "bare line feeds": b"GET /info HTTP/1.1\nHost: x\n\n",
    "folded header": b"GET /info HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
    "space before the colon": b"GET /info HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\nhello",
    "nul in a header": b"GET /info HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n",
    "two lengths": b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
    "length and chunks": b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n{}",
    "negative length": b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "length of words": b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: two\r\n\r\n",
    "unknown coding": b"POST /containers/create HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
    "chunk of words": b"POST /containers/create HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_malformed(front: Manager, kind: str) -> None:
    """What two parsers could read differently is refused with 400 in Docker's form, and the connection is closed."""
    with connected(front) as connection, connection.makefile("rb") as reader:
        connection.sendall(MALFORMED[kind])
        answer = read_answer(reader)
        assert (answer.status, answer.headers.get("connection")) == (400, "close"), answer
        assert answer.message
        with contextlib.suppress(ConnectionError):
            assert reader.read() == b""
    assert ps(front) == {}


def test_large_header(front: Manager) -> None:
    """A header of hundreds of kilobytes is taken, as registry credentials are; over the bound there is a 431."""
    assert ask(front, "GET", "/info", None, f"X-Registry-Config: {'x' * 500_000}").status == 200
    answer = ask(front, "GET", "/info", None, f"X-Registry-Config: {'x' * 2 * MIB}")
    assert answer.status == 431
    assert answer.message
    answer = ask(front, "GET", "/info", None, *(f"X-{number}: 1" for number in range(20_000)))
    assert answer.status == 431
    assert answer.message


def test_endless_head(front: Manager) -> None:
    """A head that never ends is refused once it is over the bound."""
    answer = send(front, b"GET /" + b"x" * 2 * MIB)
    assert answer.status == 431
    assert answer.message


@pytest.mark.parametrize("chunked", [False, True])
def test_large_body(front: Manager, chunked: bool) -> None:
    """A create of more than 16 MiB is refused with 413, whether it says so beforehand or not."""
    body = json.dumps({"Image": "busybox", "Labels": {"large": "x" * 17 * MIB}}).encode()
    if chunked:
        head = request_bytes("POST", "/containers/create", None, "Transfer-Encoding: chunked")
        answer = send(front, head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
    else:
        answer = ask(front, "POST", "/containers/create", body)
    assert answer.status == 413, answer
    assert answer.message
    assert ps(front, all=True) == {}


@pytest.mark.parametrize("target", ["/containers/create", "/containers/some/start", "/images/load"])
def test_cut(front: Manager, target: str) -> None:
    """A request that ends in the middle of its body is refused, and nothing is made of it."""
    whole = request_bytes("POST", target, b'{"Image": "busybox"}')
    answer = send(front, whole[:-5], end=True)
    assert answer.status in (400, 404), answer
    assert answer.message
    with pytest.raises((EOFError, ConnectionError)):
        send(front, b"GET /info HTTP/1.1\r\nHos", end=True)
    with connected(front) as connection:
        connection.sendall(whole[:-5])
    assert ps(front, all=True) == {}


def test_http_1_0(front: Manager) -> None:
    """A client of HTTP/1.0 gets an answer that it can read, ours and an engine's, and then the end."""
    run(front, "web")
    for path in ("/_ping", "/info", "/containers/json", "/containers/web/top", "/containers/web/export"):
        with connected(front) as connection, connection.makefile("rb") as reader:
            connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            answer = read_answer(reader)
            assert answer.status == 200
            assert "transfer-encoding" not in answer.headers
            assert answer.body
            assert reader.read() == b""


def test_pipelined(front: Manager) -> None:
    """Requests that are sent ahead are answered in order, ours, an engine's and errors alike."""
    run(front, "web")
    paths = ["/_ping", "/containers/web/top", "/nothing", "/containers/json", "/containers/nobody/top", "/version"] * 5
    with connected(front) as connection, connection.makefile("rb") as reader:
        connection.sendall(b"".join(request_bytes("GET", path) for path in paths))
        answers = [read_answer(reader) for _ in paths]
    assert [answer.status for answer in answers] == [200, 200, 404, 200, 404, 200] * 5
    assert answers[0].body == b"OK"
    assert b"Processes" in answers[1].body
    assert answers[4].message == "No such container: nobody"


def test_half_closed(front: Manager) -> None:
    """A client that ends its side behind its request still gets the answer."""
    run(front, "web")
    for path in ("/info", "/containers/web/top"):
        assert send(front, request_bytes("GET", path), end=True).status == 200


def test_crowd(front: Manager) -> None:
    """500 idle connections, and 100 with half a request, leave the manager free for others."""
    with contextlib.ExitStack() as opened:
        for number in range(600):
            connection = opened.enter_context(connected(front))
            if number >= 500:
                connection.sendall(b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        run(front, "web")
        assert set(ps(front)) == {"web"}
        assert ask(front, "GET", "/containers/web/top").status == 200


def resident_bytes(pid: int) -> int:
    """Return how much memory a process has."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    [size] = [line.split()[1] for line in lines if line.startswith("VmRSS")]
    return int(size) * 1024


def test_never_reads(engines: list[Engine], start_manager: StartManager) -> None:
    """Clients that ask for large answers and never read them cost the manager no memory to speak of."""
    manager = start_manager(engines)
    run(manager, "large", "sh", "-c", "head -c 200000000 /dev/zero > /large; touch /made; sleep 1d")
    manager.wait_until(lambda: ask(manager, "HEAD", "/containers/large/archive?path=/made").status == 200, "the file")
    assert ask(manager, "GET", "/containers/json").status == 200
    before = resident_bytes(manager.pid)
    with contextlib.ExitStack() as opened:
        for _ in range(10):
            connection = opened.enter_context(connected(manager))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(request_bytes("GET", "/containers/large/export"))
            assert connection.recv(1)
        for _ in range(20):
            assert ask(manager, "GET", "/containers/large/top").status == 200
        assert resident_bytes(manager.pid) - before < 40 * MIB
