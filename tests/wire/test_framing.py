"""Ends of bodies, however the bytes are cut."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmproxy.errors import ProtocolViolation
from swarmproxy.wire.framing import Chunked, Counted, Piece, Scanner, UntilClose


def feed(scanner: Scanner, data: bytes, cuts: list[int]) -> tuple[bytes, bytes]:
    """Return the payload and what is behind the end."""
    payload: list[Piece] = []
    edges = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    for begin, end in itertools.pairwise(edges):
        at = scanner.scan(b"##" + data[begin:end], 2, payload)
        if at >= 0:
            return b"".join(payload), data[begin + at - 2 :]
    return b"".join(payload), b""


def encode(pieces: list[bytes]) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces if piece) + b"0\r\n\r\n"


@given(st.lists(st.binary(max_size=300)), st.binary(), st.lists(st.integers(0, 3000)))
def test_chunks(pieces: list[bytes], behind: bytes, cuts: list[int]) -> None:
    """The payload is what was encoded and the end is where it ended, wherever the blocks are cut."""
    scanner = Chunked()
    payload, rest = feed(scanner, encode(pieces) + behind, cuts)
    assert payload == b"".join(pieces)
    assert scanner.may_end()
    assert behind.startswith(rest)


@given(st.binary(max_size=2000), st.lists(st.integers(0, 2000)))
def test_never_ends_early(junk: bytes, cuts: list[int]) -> None:
    """Bytes that are no chunks are refused or waited for, and cutting them makes no difference."""

    def outcome(where: list[int]) -> object:
        scanner = Chunked()
        try:
            feed(scanner, junk, where)
        except ProtocolViolation:
            return "refused"
        return scanner.done

    assert outcome([]) == outcome(cuts)


@pytest.mark.parametrize("data", [b"5;a=b\r\nhello\r\n0;c\r\nA: b\r\nC:d\r\n\r\n", b"005\r\nhello\r\n000\r\n\r\n"])
def test_extensions_and_trailers(data: bytes) -> None:
    """Short extensions and proper trailer fields are read and belong to the body."""
    for cut in range(len(data)):
        assert feed(Chunked(), data + b"next", [cut])[0] == b"hello"


@given(st.binary(max_size=100), st.integers(0, 120), st.lists(st.integers(0, 100)))
def test_counted(data: bytes, length: int, cuts: list[int]) -> None:
    """A counted body ends after its length."""
    scanner = Counted(length)
    payload, _ = feed(scanner, data, cuts)
    assert payload == data[:length]
    assert scanner.may_end() is (len(data) >= length)


def test_until_close() -> None:
    """Only the end of the connection ends such a body."""
    scanner = UntilClose()
    assert feed(scanner, b"abc", [1]) == (b"abc", b"")
    assert scanner.may_end()
