"""Where a message's body ends: counted, chunked, by the end of the connection, or at once.

A scanner is fed the blocks of a body as they come. It copies nothing: it returns the index just behind the
message's last byte, or -1 while more is to come. With `pieces` it also collects the payload, as views.
It is strict because two parsers that disagree about an end are how requests are smuggled.
"""

import re
from typing import Protocol

from swarmproxy.errors import ProtocolViolation

MAX_EXTENSION_BYTES = 1024
MAX_TRAILER_BYTES = 16 * 1024

# A chunk's data ends with CRLF; it is read together with the size line of the next chunk.
_SIZE = rb"([0-9A-Fa-f]{1,15})(?:;[\t\x20-\x7e\x80-\xff]{0,%d})?\r\n" % MAX_EXTENSION_BYTES
_SIZE_BEGUN = rb"(?:[0-9A-Fa-f]{1,15}(?:;[\t\x20-\x7e\x80-\xff]{0,%d})?\r?)?" % MAX_EXTENSION_BYTES
_FIRST = re.compile(_SIZE)
_FIRST_BEGUN = re.compile(_SIZE_BEGUN)
_NEXT = re.compile(rb"\r\n" + _SIZE)
_NEXT_BEGUN = re.compile(rb"\r(?:\n" + _SIZE_BEGUN + rb")?")
_TRAILER = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]++:[\t\x20-\x7e\x80-\xff]*+\r\n)*+\r\n")

Piece = bytes | memoryview


class Scanner(Protocol):
    """Follows one body."""

    def scan(self, data: bytes, at: int, pieces: list[Piece] | None = None) -> int:
        """Return where the body ends in `data`, which is read from `at` on, or -1 if it goes on.

        Raises ProtocolViolation if the bytes are not a body of this kind.
        """

    def may_end(self) -> bool:
        """Return whether the body is whole if the connection ends now."""


class Counted:
    """A body of `length` bytes."""

    __slots__ = ("left",)

    def __init__(self, length: int) -> None:
        self.left = length

    def scan(self, data: bytes, at: int, pieces: list[Piece] | None = None) -> int:
        """Return where the body ends in `data`, or -1."""
        here = len(data) - at
        if here < self.left:
            self.left -= here
            end, last = -1, len(data)
        else:
            end = last = at + self.left
            self.left = 0
        if pieces is not None and last > at:
            pieces.append(data if at == 0 and last == len(data) else memoryview(data)[at:last])
        return end

    def may_end(self) -> bool:
        """Return whether all bytes came."""
        return self.left == 0


class UntilClose:
    """A body that only the end of the connection ends."""

    __slots__ = ()

    def scan(self, data: bytes, at: int, pieces: list[Piece] | None = None) -> int:
        """Return -1: no byte ends such a body."""
        if pieces is not None and len(data) > at:
            pieces.append(data if at == 0 else memoryview(data)[at:])
        return -1

    def may_end(self) -> bool:
        """Return True: the end of the connection is the end of the body."""
        return True


class Chunked:
    """A body in chunks."""

    __slots__ = ("_begun", "_left", "_line", "_next", "_trailer", "done")

    def __init__(self) -> None:
        self._left = 0
        self._line = b""  # the begin of a line whose rest is still to come
        self._next, self._begun = _FIRST, _FIRST_BEGUN
        self._trailer = False
        self.done = False

    def scan(self, data: bytes, at: int, pieces: list[Piece] | None = None) -> int:
        """Return where the body ends in `data`, or -1."""
        size = len(data)
        while True:
            if self._left:
                end = min(at + self._left, size)
                if pieces is not None and end > at:
                    pieces.append(data if at == 0 and end == size else memoryview(data)[at:end])
                self._left -= end - at
                at = end
                if self._left:
                    return -1
            if at == size:
                return -1
            if self._trailer:
                return self._scan_trailer(data, at)
            if self._line:
                at = self._scan_split_line(data, at)
                if at < 0:
                    return -1
                continue
            found = self._next.match(data, at)
            if found is None:
                self._keep(data[at : at + 2 * MAX_EXTENSION_BYTES])
                return -1
            self._begin_chunk(int(found[1], 16))
            at = found.end()

    def _scan_split_line(self, data: bytes, at: int) -> int:
        """Read the rest of a size line that began in an earlier block; return where it ends, or -1."""
        line = self._line + data[at : at + 2 * MAX_EXTENSION_BYTES]
        found = self._next.match(line)
        if found is None:
            self._keep(line)
            return -1
        at += found.end() - len(self._line)
        self._line = b""
        self._begin_chunk(int(found[1], 16))
        return at

    def _keep(self, line: bytes) -> None:
        if self._begun.fullmatch(line) is None:
            raise ProtocolViolation("malformed chunk size")
        self._line = line

    def _begin_chunk(self, size: int) -> None:
        self._left = size
        self._trailer = size == 0
        self._next, self._begun = _NEXT, _NEXT_BEGUN

    def _scan_trailer(self, data: bytes, at: int) -> int:
        """Read what follows the last chunk: nothing, as a rule. Trailer fields are checked and not used."""
        held = len(self._line)
        section = self._line + data[at : at + MAX_TRAILER_BYTES]
        if section.startswith(b"\r\n"):
            end = 2
        else:
            end = section.find(b"\r\n\r\n") + 4
            if end < 4:
                if len(section) >= MAX_TRAILER_BYTES:
                    raise ProtocolViolation("the trailer is too large")
                self._line = section
                return -1
            if _TRAILER.fullmatch(section, 0, end) is None:
                raise ProtocolViolation("malformed trailer")
        self._line = b""
        self.done = True
        return at + end - held

    def may_end(self) -> bool:
        """Return whether the last chunk came."""
        return self.done
