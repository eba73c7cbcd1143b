"""What is nearly HTTP at the front: never one request for two, nor two for one; always an answer or an end.

More by hand: FUZZ_RUNS=100000 FUZZ_SEED=7 pytest tests/wire/test_mutations.py. A find is printed, to be kept in FOUND.
"""

import asyncio
import contextlib
import logging
import os
import random
import re
from collections.abc import Sequence

import h11
import pytest

from swarmproxy.wire.limits import Limits
from tests.fuzz.mutating import VALID, sample
from tests.wire.conftest import Proxy, Start
from tests.wire.peers import GUARD_S, Peer

RUNS = int(os.environ.get("FUZZ_RUNS", "400"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
LENIENT = ("Missing mandatory Host", "no request line received", "trailer: ")
"""A Host that is missing, and empty lines, are no matter; and what a trailer says is used by nobody."""

FOUND: tuple[bytes, ...] = ()
QUICK = Limits(
    head_timeout_s=0.15, keep_alive_s=0.15, body_timeout_s=0.15, linger_s=0.1, silence_s=0.1, patience_s=GUARD_S
)

Request = tuple[bytes, bytes, bytes]  # method, target, body


class Reading:
    """Requests as a strict reader of another hand (h11) takes them, from pieces of any size."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.refused = ""  # why it took no more
        self._begin()

    def _begin(self) -> None:
        self._reader = h11.Connection(h11.SERVER)
        self._request: h11.Request | None = None
        self._body = b""

    def feed(self, data: bytes) -> list[Request]:
        """Take the next bytes; return the requests that they complete."""
        before = len(self.requests)
        try:
            self._reader.receive_data(data)
            while not self.refused:
                event = self._reader.next_event()
                if isinstance(event, h11.Request):
                    self._request = event
                elif isinstance(event, h11.Data):
                    self._body += bytes(event.data)
                elif isinstance(event, h11.EndOfMessage):
                    assert self._request is not None
                    self.requests.append((self._request.method, origin_form(self._request.target), self._body))
                    behind, _ = self._reader.trailing_data
                    self._begin()
                    if behind:  # nothing would be the end
                        self._reader.receive_data(behind)
                else:
                    break
        except h11.RemoteProtocolError as error:
            in_trailer = self._request is not None and not re.search("chunk (header|footer)", str(error))
            self.refused = f"trailer: {error}" if in_trailer else str(error)
        return self.requests[before:]


def origin_form(target: bytes) -> bytes:
    """Return a target without the host that may stand in front of it."""
    if target.lower().startswith((b"http://", b"https://")):
        _, slash, rest = target.partition(b"://")[2].partition(b"/")
        return slash + rest or b"/"
    return target


class Engine:
    """Answers each request with its number among those that came, and what it was."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    async def __call__(self, peer: Peer) -> None:
        reading = Reading()
        while data := await peer.some():
            for request in reading.feed(data):
                self.requests.append(request)
                body = b"%d %s %s %d" % (len(self.requests), request[0], request[1], len(request[2]))
                head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
                await peer.send(head + (b"" if request[0] == b"HEAD" else body))
            assert not reading.refused, "what is sent to an engine can be read in two ways"


def answers_in(output: bytes, asked: Sequence[Request]) -> list[tuple[int, bytes]]:
    """Return statuses and bodies. Raises AssertionError if there is more or less than whole answers."""
    found: list[tuple[int, bytes]] = []
    while output:
        head, end, rest = output.partition(b"\r\n\r\n")
        assert end, output
        assert head.startswith(b"HTTP/1.1 "), output
        status = int(head.split(b" ", 2)[1])
        if status == 100:
            output = rest
            continue
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length: ")]
        assert len(lengths) == 1, head
        is_head = status == 200 and len(found) < len(asked) and asked[len(found)][0] == b"HEAD"
        size = 0 if is_head else int(lengths[0].partition(b": ")[2])
        assert len(rest) >= size, output
        found.append((status, rest[:size]))
        output = rest[size:]
    return found


async def check(proxy: Proxy, engine: Engine, data: bytes, pieces: Sequence[bytes], *, end: bool) -> None:
    """Send `pieces` of `data`, and compare what the engine was asked and what the client was told."""
    engine.requests.clear()
    client = await proxy.connect()
    output = b""

    async def read() -> None:
        nonlocal output
        with contextlib.suppress(ConnectionError):
            while block := await client.some():
                output += block

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(read(), name="read")  # what is sent behind a refusal may be answered with a reset
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                await client.send(piece)
            if end:
                await client.end()
    client.close()
    proxy.clients.remove(client)
    asked = list(engine.requests)
    answers = answers_in(output, asked)
    reading = Reading()
    reading.feed(data)
    agreed = min(len(asked), len(reading.requests))
    assert asked[:agreed] == reading.requests[:agreed]
    assert len(asked) == agreed or reading.refused.startswith(LENIENT), reading.refused
    answered = [(status, body) for status, body in answers if status == 200]
    refused = answers[len(answered) :]
    assert len(answered) == len(asked)
    for number, ((_, body), request) in enumerate(zip(answered, asked, strict=True), 1):
        told = b"" if request[0] == b"HEAD" else b"%d %s %s %d" % (number, request[0], request[1], len(request[2]))
        assert body == told
    assert [status for status, _ in refused] in ([], [400], [408], [417], [431], [501])


def pieces_of(dice: random.Random, data: bytes) -> list[bytes]:
    """Return `data` in a few pieces, or whole."""
    cuts = sorted(dice.randrange(len(data) + 1) for _ in range(dice.choice((0, 0, 1, 3))))
    return [data[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True) if begin < end]


@pytest.fixture
async def target(start: Start) -> tuple[Proxy, Engine]:
    """A proxy in front of an engine that another parser reads for."""
    proxy = await start(limits=QUICK)
    engine = Engine()
    proxy.engine.script = engine
    return proxy, engine


async def test_valid_and_found(target: tuple[Proxy, Engine], caplog: pytest.LogCaptureFixture) -> None:
    """The law holds for what the mutations begin with, and for what they have found, byte by byte and whole."""
    for data in (*VALID, *FOUND, b"".join(VALID[:4])):
        for size in (1, 7, len(data)):
            pieces = [data[at : at + size] for at in range(0, len(data), size)]
            await check(*target, data, pieces, end=True)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_mutations(target: tuple[Proxy, Engine], caplog: pytest.LogCaptureFixture) -> None:
    """It holds for requests that were changed at random."""
    dice = random.Random(SEED)
    for number in range(RUNS):
        data = sample(dice)
        pieces, end = pieces_of(dice, data), dice.random() < 0.97
        try:
            async with asyncio.timeout(GUARD_S):
                await check(*target, data, pieces, end=end)
            assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
        except (AssertionError, TimeoutError) as error:
            raise AssertionError(f"seed {SEED}, number {number}: {data!r} in {pieces!r}, end {end}") from error
