"""Heads: what is read from them, and what passes on. What is refused is in test_protocol."""

import pytest

from swarmproxy.errors import BadRequest, ProtocolViolation, TooLarge
from swarmproxy.wire.head import parse_answer, parse_request


def test_request() -> None:
    """Names are lower-case for us and as they came for the next hop; values lose only the space around them."""
    head = parse_request(b"PUT /a?b HTTP/1.1\r\nHost: x\r\nX-One:  a b \r\nx-two:\r\nContent-Length: 07\r\n\r\n")
    assert (head.method, head.target, head.http_1_1, head.keep_alive, head.has_body) == (
        b"PUT",
        b"/a?b",
        True,
        True,
        True,
    )
    assert head.fields.headers[1:3] == ((b"x-one", b"a b"), (b"x-two", b""))
    assert head.fields.lines == b"X-One: a b\r\nx-two: \r\n"
    assert head.fields.length == 7


@pytest.mark.parametrize(
    ("line", "connection", "keep_alive"),
    [(b"1.1", b"", True), (b"1.1", b"Connection: x, Close\r\n", False), (b"1.0", b"Connection: keep-alive\r\n", False)],
)
def test_keep_alive(line: bytes, connection: bytes, keep_alive: bool) -> None:
    """HTTP/1.1 connections stay unless told otherwise, HTTP/1.0 ones end."""
    assert parse_request(b"GET / HTTP/" + line + b"\r\n" + connection + b"\r\n").keep_alive is keep_alive


@pytest.mark.parametrize(
    ("lines", "upgrade"),
    [
        (b"Connection: Upgrade\r\nUpgrade: tcp\r\n", b"tcp"),
        (b"Upgrade: websocket\r\nConnection: keep-alive, upgrade\r\n", b"websocket"),
        (b"Upgrade: tcp\r\n", b""),
    ],
)
def test_upgrade(lines: bytes, upgrade: bytes) -> None:
    """An upgrade is asked for only if Connection names it."""
    assert parse_request(b"POST / HTTP/1.1\r\n" + lines + b"\r\n").fields.upgrade == upgrade


def test_the_same_fields_are_parsed_once_but_credentials_never_kept() -> None:
    """Equal blocks give the same object, unless they carry credentials."""
    plain = b"Host: same\r\n\r\n"
    secret = b"Host: same\r\nX-Registry-Auth: abc\r\n\r\n"
    for block, same in ((plain, True), (secret, False)):
        one, other = (parse_request(b"GET /%d HTTP/1.1\r\n" % n + block).fields for n in range(2))
        assert one == other
        assert (one is other) is same


def test_too_many_headers() -> None:
    """Over 256 headers are too many, also from an engine."""
    block = b"".join(b"X-%d: 1\r\n" % n for n in range(257)) + b"\r\n"
    with pytest.raises(TooLarge):
        parse_request(b"GET / HTTP/1.1\r\n" + block)
    with pytest.raises(ProtocolViolation):
        parse_answer(b"HTTP/1.1 200 OK\r\n" + block)


def test_long_malformed_head_is_refused_quickly() -> None:
    """A megabyte of almost right headers takes no more time than reading it."""
    with pytest.raises(BadRequest):
        parse_request(b"GET / HTTP/1.1\r\n" + b"a: " + b" a:" * 300_000 + b"\r\nbad\r\n\r\n")


@pytest.mark.parametrize(
    ("line", "keep_alive", "status_line"),
    [
        (b"HTTP/1.1 200 OK", True, b"HTTP/1.1 200 OK\r\n"),
        (b"HTTP/1.0 404 Not Found", False, b"HTTP/1.1 404 Not Found\r\n"),
        (b"HTTP/1.1 299", True, b"HTTP/1.1 299 \r\n"),
    ],
)
def test_answer(line: bytes, keep_alive: bool, status_line: bytes) -> None:
    """Status lines pass on as HTTP/1.1; a missing reason is none."""
    head = parse_answer(line + b"\r\nContent-Type: A/b; c=d\r\n\r\n")
    assert (head.keep_alive, head.status_line, head.content_type) == (keep_alive, status_line, b"a/b")
