"""One client's connection to a simulated engine: HTTP/1.1, streams and faults."""

import asyncio
import socket
import struct
import time
from collections.abc import Callable
from typing import cast
from urllib.parse import parse_qs, unquote_to_bytes

import msgspec

from benchmarks.fleet import bodies
from benchmarks.fleet.answers import RAW, UPGRADED, reply, stream_head
from benchmarks.fleet.engine import MOST_READY, Engine
from benchmarks.framing import BUFFER, LAST_CHUNK, VIEW, Chunked, Counted, Head, Pump, as_chunk, parse_head

Address = tuple[str, int]
STATS_EVERY_S = 1.0
PULL_STEP_S = 0.01  # between two lines of progress
LOG_TYPE = b"application/vnd.docker.multiplexed-stream"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
AT_ONCE = struct.pack("ii", 1, 0)  # see SO_LINGER in socket(7)


def reset(transport: asyncio.Transport) -> None:
    """End a connection with a reset, as a host does that has been restarted."""
    sock = cast("socket.socket", transport.get_extra_info("socket"))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
    transport.abort()


def split_path(path: bytes) -> list[bytes]:
    """Return the parts of a path without its version."""
    if b"%" in path:
        path = unquote_to_bytes(path)
    parts = path.split(b"/")
    return parts[2:] if parts[1][:1] == b"v" and parts[1][1:2].isdigit() else parts[1:]


class Connection(asyncio.BufferedProtocol):
    """Speaks for the engine that `choose` finds by the address that the client has dialled."""

    __slots__ = ("_body", "_choose", "_echoes", "_head", "_last", "_pending", "_pump", "engine", "transport")

    def __init__(self, choose: Callable[[Address], Engine | None]) -> None:
        self._choose = choose
        self._pending = b""
        self._last = b""  # first line of the last request
        self._head: Head | None = None  # of the request whose body is coming in
        self._body: Counted | Chunked | None = None
        self._pump: Pump | None = None
        self._echoes = False
        self.engine: Engine = cast("Engine", None)  # both from `connection_made` on
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        engine = self._choose(transport.get_extra_info("sockname"))
        if engine is None or engine.refuses:
            reset(self.transport)
            return
        self.engine = engine
        engine.connections.add(self.transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        engine = cast("Engine | None", self.engine)
        if engine is not None:
            engine.connections.discard(self.transport)
            engine.followers.discard(self.transport)
            engine.log_readers.discard(self.transport)

    def pause_writing(self) -> None:
        if self._pump is not None:
            self._pump.pause()
        elif self._echoes:
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        if self._pump is not None:
            self._pump.resume()
        elif self._echoes:
            self.transport.resume_reading()

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002
        return BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        if self._echoes:
            self.engine.say(self.transport, bytes(VIEW[:nbytes]))
            return
        start = self._read_body(BUFFER, 0, nbytes) if self._body is not None else 0
        if start < nbytes:
            data = self._pending + bytes(VIEW[start:nbytes])
            self._pending = b""
            self._read_requests(data)

    def _read_requests(self, data: bytes) -> None:
        while data:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._pending = data
                return
            engine = self.engine
            engine.requests += 1
            line = data[: data.find(b"\r")]
            # A request without a body, and without a word on the connection, has nothing else that matters here.
            if line.startswith(b"GET ") and data.find(b": close", 0, end) < 0 and data.find(b"pgrade:", 0, end) < 0:
                known = engine.ready.get(line)
                if known is not None:
                    engine.say(self.transport, known)
                else:
                    self._get(line)
                data = data[end + 4 :]
                continue
            head = self._head = parse_head(data[:end])
            data = data[end + 4 :]
            # Archives are counted and thrown away, all other bodies are small and wanted.
            self._body = head.body(keep=not line.startswith(b"PUT "))
            if "expect" in head.headers:
                engine.say(self.transport, CONTINUE)
            if self._body is None:
                self._answer(head, b"")
            else:
                data = data[self._read_body(data, 0, len(data)) :]
            if self._echoes and data:
                engine.say(self.transport, data)
                return

    def _read_body(self, data: bytes | bytearray, start: int, end: int) -> int:
        assert self._body is not None
        assert self._head is not None
        start = self._body.feed(data, start, end)
        if self._body.done:
            body, self._body = self._body, None
            self.engine.received_bytes += body.total if body.kept is None else 0
            self._answer(self._head, bytes(body.kept or b""))
        return start

    def _answer(self, head: Head, body: bytes) -> None:
        engine = self.engine
        method, target, _ = head.first.encode("latin-1").split(b" ")
        path, _, query = target.partition(b"?")
        parts = split_path(path)
        match method, parts:
            case b"POST", [b"exec", identity, b"start"] if identity in engine.execs:
                self._echo(upgrade="upgrade" in head.headers)
            case b"POST", [b"containers", name, b"attach"] if engine.find(name):
                self._echo(upgrade="upgrade" in head.headers)
            case b"POST", [b"containers", name, b"wait"] if container := engine.find(name):
                engine.say(self.transport, stream_head(b"application/json"))
                engine.waiters.setdefault(container.id, []).append(self.transport)
            case b"POST", [b"images", b"create"]:
                engine.say(self.transport, stream_head(b"application/json"))
                self._progress(0)
            case b"PUT", [b"containers", name, b"archive"] if engine.find(name):
                engine.say(self.transport, reply(200))
            case b"HEAD", _:
                answer = engine.get(parts, query)
                engine.say(self.transport, answer[: answer.index(b"\r\n\r\n") + 4])
            case b"GET", _:
                self._get(b"%b %b" % (method, target))
            case _:
                engine.say(self.transport, engine.act(method, parts, query, body))
        if head.headers.get("connection", "").lower() == "close":
            self.transport.close()

    def _get(self, line: bytes) -> None:
        engine = self.engine
        path, _, query = line.split(b" ")[1].partition(b"?")
        parts = split_path(path)
        match parts:
            case [b"events"]:
                asked = parse_qs(query)
                self._tell_events(asked.get(b"since", [b""])[0], float(asked.get(b"until", [b"inf"])[0]))
            case [b"containers", name, b"logs"] if engine.find(name):
                follow = b"follow=1" in query or b"follow=true" in query
                self._stream(LOG_TYPE, follow=follow)
                if follow:
                    engine.log_readers.add(self.transport)
            case [b"containers", name, b"stats"] if (
                b"stream=0" not in query and b"stream=false" not in query and engine.find(name)
            ):
                self._stream(b"application/json", follow=True)
                self._tell_stats(name)
            case [b"containers", name, b"export"] if engine.find(name):
                self.transport.write(stream_head(b"application/octet-stream"))
                self._pump = Pump(self.transport, engine.export_bytes, chunked=True)
                self._pump.run()
            case _:
                answer = engine.get(parts, query)
                # What tells the time is never kept: a manager measures by it how far two clocks are apart.
                if line == self._last and parts != [b"info"] and len(engine.ready) < MOST_READY:
                    engine.ready[line] = answer
                self._last = line
                engine.say(self.transport, answer)

    def _echo(self, *, upgrade: bool) -> None:
        self.engine.say(self.transport, UPGRADED if upgrade else RAW)
        self._echoes = True

    def _stream(self, content_type: bytes, *, follow: bool) -> None:
        """Send a head at once, and then nothing: the end at once too unless asked to follow."""
        self.engine.say(self.transport, stream_head(content_type) + (b"" if follow else LAST_CHUNK))

    def _tell_events(self, since: bytes, until: float) -> None:
        """Tell of what has happened since a moment, if one is given, and from now on until another, in unix seconds."""
        remaining_s = until - time.time()
        self._stream(b"application/json", follow=remaining_s > 0)
        seconds, _, fraction = since.partition(b".")
        if remaining_s > 0 and seconds and (past := self.engine.since(int(seconds + fraction.ljust(9, b"0")))):
            self.engine.say(self.transport, as_chunk(past))
        if remaining_s > 0:
            self.engine.followers.add(self.transport)
        if 0 < remaining_s < float("inf"):
            asyncio.get_running_loop().call_later(remaining_s, self._end_events)

    def _end_events(self) -> None:
        if self.transport in self.engine.followers:
            self.engine.followers.discard(self.transport)
            self.engine.say(self.transport, LAST_CHUNK)

    def _tell_stats(self, name: bytes) -> None:
        container = self.engine.find(name)
        if container is None or self.transport.is_closing():
            return
        self.engine.say(self.transport, as_chunk(bodies.STATS.fill(container) + b"\n"))
        asyncio.get_running_loop().call_later(STATS_EVERY_S, self._tell_stats, name)

    def _progress(self, step: int) -> None:
        """Tell of a pull, a line at a time."""
        if step == len(bodies.PULL_PROGRESS):
            self.engine.say(self.transport, LAST_CHUNK)
            return
        line = msgspec.json.encode(bodies.PULL_PROGRESS[step]) + b"\r\n"
        self.engine.say(self.transport, as_chunk(line))
        asyncio.get_running_loop().call_later(PULL_STEP_S, self._progress, step + 1)
