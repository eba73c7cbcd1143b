"""HTTP/1.1 framing for both ends of a benchmark, as little of it as can be trusted."""

import asyncio
from typing import NamedTuple

# All connections of a process read into this one buffer: a read and what it causes happen without a pause
# between them, so nobody else can see the bytes, and idle connections hold no memory.
READ_BYTES = 256 * 1024
BUFFER = bytearray(READ_BYTES)
VIEW = memoryview(BUFFER)

CHUNK_BYTES = 32 * 1024  # what dockerd and the docker CLI copy at a time
CHUNKS_PER_BLOCK = 32
BLOCK_BYTES = CHUNK_BYTES * CHUNKS_PER_BLOCK
LAST_CHUNK = b"0\r\n\r\n"


class Head(NamedTuple):
    """The first line and the headers of a message, names in lower case."""

    first: str
    headers: dict[str, str]

    def body(self, *, keep: bool = False) -> "Counted | Chunked | None":
        """Return what counts the body that the headers announce, None when there is none."""
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            return Chunked(keep=keep)
        length = int(self.headers.get("content-length", "0"))
        return Counted(length, keep=keep) if length else None


def parse_head(data: bytes) -> Head:
    """Return the head in `data`, which ends before the empty line."""
    first, *lines = data.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return Head(first, {name.strip().lower(): value.strip() for name, _, value in pairs})


class Counted:
    """A body of known length: counts it, and keeps it if asked to."""

    def __init__(self, length: int, *, keep: bool = False) -> None:
        self.left = length
        self.total = 0
        self.done = length == 0
        self.kept = bytearray() if keep else None

    def feed(self, data: bytes | bytearray, start: int, end: int) -> int:
        """Take this body's part of `data[start:end]` and return where that part ends."""
        step = min(self.left, end - start)
        if self.kept is not None:
            self.kept += data[start : start + step]
        self.left -= step
        self.total += step
        self.done = self.left == 0
        return start + step


class Chunked:
    """A chunked body: counts what is in the chunks, and keeps it if asked to."""

    def __init__(self, *, keep: bool = False) -> None:
        self.left = 0  # of the chunk we are in, the line end behind it included
        self.total = 0
        self.done = False
        self.kept = bytearray() if keep else None
        self._last = False
        self._line = b""

    def feed(self, data: bytes | bytearray, start: int, end: int) -> int:
        """Take this body's part of `data[start:end]` and return where that part ends."""
        while start < end:
            if self.left:
                step = min(self.left, end - start)
                if self.kept is not None:
                    self.kept += data[start : start + min(step, max(0, self.left - 2))]
                self.left -= step
                start += step
                if self._last and not self.left:
                    self.done = True
                    break
                continue
            newline = data.find(b"\n", start, end)
            if newline < 0:
                self._line += data[start:end]
                return end
            size = int(self._line + data[start:newline], 16)
            self._line = b""
            start = newline + 1
            self.left = size + 2
            self.total += size
            self._last = size == 0
        return start


def as_chunk(data: bytes) -> bytes:
    """Return `data` as one chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


PLAIN_BLOCK = bytes(BLOCK_BYTES)
CHUNKED_BLOCK = as_chunk(bytes(CHUNK_BYTES)) * CHUNKS_PER_BLOCK


class Pump:
    """Writes `size_bytes` of zeros to a transport as fast as the peer takes them, chunked or as they are."""

    def __init__(self, transport: asyncio.WriteTransport, size_bytes: int, *, chunked: bool) -> None:
        self._transport = transport
        self._block = CHUNKED_BLOCK if chunked else PLAIN_BLOCK
        self._blocks, rest = divmod(size_bytes, BLOCK_BYTES)
        self._tail = (as_chunk(bytes(rest)) if rest else b"") + LAST_CHUNK if chunked else bytes(rest)
        self._may_write = True

    def pause(self) -> None:
        self._may_write = False

    def resume(self) -> None:
        self._may_write = True
        self.run()

    def run(self) -> None:
        """Write until the transport has enough (it calls `pause` from inside `write`) or all is written."""
        while self._may_write and self._blocks:
            self._blocks -= 1
            self._transport.write(self._block)
        if not self._blocks and self._tail:
            self._transport.write(self._tail)
            self._tail = b""
