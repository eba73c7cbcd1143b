"""Tests of benchmarks/framing.py."""

import asyncio
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.framing import BLOCK_BYTES, LAST_CHUNK, Chunked, Counted, Pump, as_chunk, parse_head


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.binary(max_size=5), st.data())
def test_chunked_in_any_pieces(parts: list[bytes], rest: bytes, data: st.DataObject) -> None:
    """A chunked body is read the same however it is cut, and what follows it is left alone."""
    wire = b"".join(map(as_chunk, parts)) + LAST_CHUNK + rest
    body = Chunked(keep=True)
    start = 0
    while not body.done:
        end = data.draw(st.integers(start + 1, len(wire)))
        start = body.feed(wire, start, end)
    assert bytes(body.kept or b"") == b"".join(parts)
    assert body.total == len(b"".join(parts))
    assert wire[start:] == rest


def test_counted_takes_its_part() -> None:
    """A counted body ends where its length says."""
    body = Counted(5, keep=True)
    assert body.feed(b"abc", 0, 3) == 3
    assert body.left == 2
    assert body.feed(b"defg", 0, 4) == 2
    assert body.done
    assert bytes(body.kept or b"") == b"abcde"


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"GET / HTTP/1.1\r\nHost: x", None),
        (b"GET / HTTP/1.1\r\ncontent-length: 0", None),
        (b"PUT / HTTP/1.1\r\nContent-Length: 3", Counted),
        (b"PUT / HTTP/1.1\r\nTRANSFER-ENCODING: chunked", Chunked),
    ],
)
def test_body_of_a_head(head: bytes, kind: type | None) -> None:
    """The headers say how the body ends, in any case of their names."""
    body = parse_head(head).body()
    assert (type(body) if body else None) is kind


class Tap:
    """A transport that holds `room` bytes, and then asks to pause."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.written = bytearray()
        self.pump: Pump | None = None

    def write(self, data: bytes) -> None:
        self.written += data
        if len(self.written) >= self.room and self.pump is not None:
            self.pump.pause()


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size_bytes", [0, 10, BLOCK_BYTES, 2 * BLOCK_BYTES + 7])
def test_pump_writes_all(size_bytes: int, *, chunked: bool) -> None:
    """A pump stops when told to, goes on when told to, and writes exactly what was asked for."""
    tap = Tap(room=BLOCK_BYTES)
    tap.pump = pump = Pump(cast("asyncio.WriteTransport", tap), size_bytes, chunked=chunked)
    pump.run()
    assert len(tap.written) < size_bytes + 1 or size_bytes <= BLOCK_BYTES
    tap.room = 1 << 40
    pump.resume()
    body: Counted | Chunked = Chunked() if chunked else Counted(size_bytes)
    body.feed(bytes(tap.written), 0, len(tap.written))
    assert body.done
    assert body.total == size_bytes
