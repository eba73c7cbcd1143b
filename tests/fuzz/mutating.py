"""Requests that are nearly right: valid ones, changed at random in the ways that parsers of HTTP have fallen for."""

import random
from collections.abc import Callable

VALID = (
    b"GET /a?b=1 HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n",
    b"HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET http://x/a HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /a HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n",
    b"DELETE /c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
    b'POST /b HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{"a":1}',
    b"PUT /b HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"POST /b HTTP/1.1\r\nHost: x\r\ntransfer-encoding: chunked\r\n\r\n3;e\r\nabc\r\n5\r\nhello\r\n0\r\nT: 1\r\n\r\n",
    b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 46\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\nX-Pad: 12\r\n\r\n",
)
LINES = (
    b"Content-Length: 3",
    b"Content-Length: 0",
    b"content-length:\t4",
    b"Content-Length: +5",
    b"Content-Length: 5, 5",
    b"Content-Length: 0x5",
    b"Content-Length : 5",
    b"Content_Length: 5",
    b"Transfer-Encoding: chunked",
    b"transfer-encoding: Chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding:\x0bchunked",
    b"Transfer-Encoding: x",
    b" Transfer-Encoding: chunked",
    b"X: y\r\n Transfer-Encoding: chunked",
    b"X: y\nTransfer-Encoding: chunked",
    b"X: y\rContent-Length: 9",
    b"Connection: Content-Length",
    b"Connection: close, Transfer-Encoding",
    b"Connection: Upgrade\r\nUpgrade: tcp",
    b"Expect: 100-continue",
    b"Expect: x",
    b"Host: y",
    b"Trailer: Content-Length",
    b"TE: trailers",
    b"X-Large: " + b"x" * 3000,
)
BYTES = (
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\0",
    b" ",
    b"\t",
    b":",
    b",",
    b";",
    b"0",
    b"f",
    b"\x80",
    b"\xff",
    b"\x7f",
    b"#",
)
NUMBERS = (b"0", b"00", b"1", b"-1", b"5", b"ffff", b"99999999999999999999", b"1_0", b"0x2", b"5 ", b"\xb2")

Mutation = Callable[[random.Random, bytes], bytes]


def insert(dice: random.Random, data: bytes) -> bytes:
    """Put a byte that separates, or one that must not be there, anywhere."""
    at = dice.randrange(len(data) + 1)
    return data[:at] + dice.choice(BYTES) + data[at:]


def remove(dice: random.Random, data: bytes) -> bytes:
    """Take a few bytes away."""
    at = dice.randrange(len(data) + 1)
    return data[:at] + data[at + dice.randint(1, 4) :]


def repeat(dice: random.Random, data: bytes) -> bytes:
    """Say a part twice."""
    at = dice.randrange(len(data) + 1)
    part = data[at : at + dice.randint(1, 60)]
    return data[:at] + part + data[at:]


def replace(dice: random.Random, data: bytes) -> bytes:
    """Change one byte."""
    at = dice.randrange(len(data) + 1)
    return data[:at] + bytes([dice.randrange(256)]) + data[at + 1 :]


def cut(dice: random.Random, data: bytes) -> bytes:
    """End too early."""
    return data[: dice.randrange(len(data) + 1)]


def add_line(dice: random.Random, data: bytes) -> bytes:
    """Add a header that changes what the others mean."""
    ends = [at for at in range(len(data)) if data.startswith(b"\r\n", at)]
    at = dice.choice(ends) if ends else 0
    return data[:at] + b"\r\n" + dice.choice(LINES) + data[at:]


def swap_lines(dice: random.Random, data: bytes) -> bytes:
    """Let two lines change places."""
    lines = data.split(b"\r\n")
    one, other = dice.randrange(len(lines)), dice.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"\r\n".join(lines)


def renumber(dice: random.Random, data: bytes) -> bytes:
    """Put another number in the place of one."""
    digits = [at for at, byte in enumerate(data) if 0x30 <= byte <= 0x39]
    if not digits:
        return data
    at = dice.choice(digits)
    end = at
    while end < len(data) and 0x30 <= data[end] <= 0x39:
        end += 1
    return data[:at] + dice.choice(NUMBERS) + data[end:]


MUTATIONS: tuple[Mutation, ...] = (insert, remove, repeat, replace, cut, add_line, add_line, swap_lines, renumber)


def sample(dice: random.Random) -> bytes:
    """Return one to four requests behind each other, some of them changed a few times."""
    requests = [dice.choice(VALID) for _ in range(dice.randint(1, 4))]
    for at, request in enumerate(requests):
        changed = request
        for _ in range(dice.choice((0, 1, 1, 2, 3))):
            changed = dice.choice(MUTATIONS)(dice, changed)
        requests[at] = changed
    return b"".join(requests)
