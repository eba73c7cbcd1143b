"""The calls to an engine: what is sent, what comes back, and how each can fail."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from swarmproxy.engine.client import EngineClient, engine_error, split_lines
from swarmproxy.errors import EngineError, EngineUnreachable, ProtocolViolation, SwarmError
from swarmproxy.wire.address import Address
from swarmproxy.wire.pool import Pool
from tests.engine.harness import QUICK
from tests.engine.scripted import ScriptedEngine


class Outcomes:
    """What a client told of the engine's being there."""

    def __init__(self) -> None:
        self.answers = 0
        self.failures: list[SwarmError] = []

    def answered(self) -> None:
        self.answers += 1


def client_of(address: Address, outcomes: Outcomes, **changes: float) -> EngineClient:
    client = EngineClient(
        address,
        Pool(address),
        replace(QUICK, **changes),  # type: ignore[arg-type]
        on_answer=outcomes.answered,
        on_failure=outcomes.failures.append,
    )
    client.api_version = "1.41"
    return client


@pytest.fixture
def outcomes() -> Outcomes:
    return Outcomes()


@pytest.fixture
async def client(scripted: ScriptedEngine, outcomes: Outcomes) -> AsyncIterator[EngineClient]:
    client = client_of(scripted.address, outcomes)
    yield client
    await client.close()


@pytest.fixture
async def impatient(scripted: ScriptedEngine, outcomes: Outcomes) -> AsyncIterator[EngineClient]:
    client = client_of(scripted.address, outcomes, step_timeout_s=0.3, list_timeout_s=0.3, control_timeout_s=0.3)
    yield client
    await client.close()


async def test_start_and_remove(scripted: ScriptedEngine, client: EngineClient) -> None:
    """Start and remove name the container, and ask for what was wanted."""
    scripted.answers["/containers/abc/start"] = (304, b"")
    scripted.answers["/containers/abc"] = (204, b"")
    await client.start_container("abc")
    await client.remove_container("abc")
    await client.remove_container("abc", force=True, volumes=True)
    assert scripted.requests == [
        "POST /containers/abc/start",
        "DELETE /containers/abc",
        "DELETE /containers/abc",
    ]
    assert scripted.targets[-1] == "/v1.41/containers/abc?force=1&v=1"


@pytest.mark.parametrize("status", [400, 404, 409, 500, 599])
async def test_engine_error(scripted: ScriptedEngine, client: EngineClient, status: int) -> None:
    """A refusal keeps its status and its words, over both ways of asking."""
    scripted.answers["/images/x/json"] = scripted.answers["/info"] = (status, b'{"message":"no: \\u00e9"}')
    for call in (client.get_raw("/images/x/json"), client.info()):
        with pytest.raises(EngineError) as caught:
            await call
        assert (caught.value.status, str(caught.value)) == (status, "no: é")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"  plain text\n", "plain text"),
        (b"", "request returned 503 Service Unavailable for /x without saying why"),
        (b'{"message":""}', "request returned 503 Service Unavailable for /x without saying why"),
        (b'{"other":1}', "request returned 503 Service Unavailable for /x without saying why"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"[1]", "[1]"),
        (b"x" * 1_000_000, "x" * 8192),
    ],
)
def test_message(body: bytes, message: str) -> None:
    """The message is the engine's, whatever form it has, and bounded."""
    assert str(engine_error(503, body, "/x")) == message


async def test_deadline(scripted: ScriptedEngine, impatient: EngineClient, outcomes: Outcomes) -> None:
    """Every call ends by its deadline, in words that clients know, and counts as a failure."""
    scripted.frozen = True
    calls = [
        impatient.ping(timeout_s=0.05),
        impatient.info(timeout_s=0.05),
        impatient.get_raw("/x", timeout_s=0.05),
        impatient.start_container("x"),
        impatient.list("/networks"),
    ]
    for call in calls:
        with pytest.raises(EngineUnreachable) as caught:
            await call
        assert str(caught.value).startswith(
            f"Cannot connect to the Docker daemon at tcp://{scripted.address}. Is the docker daemon running?"
        )
    assert len(outcomes.failures) == len(calls)
    assert outcomes.answers == 0


async def test_hung_inspect(scripted: ScriptedEngine, impatient: EngineClient, outcomes: Outcomes) -> None:
    """A container that cannot be inspected says nothing of its engine."""
    scripted.frozen = True
    with impatient.looks_at("abc") as bodies, pytest.raises(EngineUnreachable):
        await bodies.next(counts=False)
    assert outcomes.failures == []


async def test_refused(outcomes: Outcomes) -> None:
    """A refused connection fails at once, over both ways of asking, with the cause in brackets."""
    scripted = ScriptedEngine()
    async with scripted.running():
        client = client_of(scripted.address, outcomes)
    for call in (client.info(), client.get_raw("/x")):
        with pytest.raises(EngineUnreachable, match=r"daemon running\? \(.*connection refused\)"):
            await call
    await client.close()


def test_url() -> None:
    """Addresses are shown as `docker -H` takes them."""
    shown = {
        client_of(address, Outcomes()).url
        for address in (Address(host="h", port=1), Address(host="::1", port=1), Address(path="/run/d.sock"))
    }
    assert shown == {"tcp://h:1", "tcp://[::1]:1", "unix:///run/d.sock"}


async def test_split_lines() -> None:
    """Lines come whole however they were cut; an unfinished last one counts only if it is whole JSON."""

    async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    async def split(*parts: bytes) -> list[bytes]:
        return [line async for line in split_lines(chunks(*parts), on_chunk=lambda: None)]

    assert await split(b'{"a"', b":1}\n\n", b'{"b":2}\r\n{"c', b'":3}') == [
        b'{"a":1}',
        b'{"b":2}',
        b'{"c":3}',
    ]
    assert await split(b'{"a":1}\n{"b":') == [b'{"a":1}']
    with pytest.raises(ProtocolViolation):
        await split(*[b"x" * 1_000_000] * 5)
