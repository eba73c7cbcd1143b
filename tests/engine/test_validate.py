"""What is accepted as an engine, and what is refused for which reason."""

import asyncio
import itertools
import logging
from dataclasses import replace

import pytest

from swarmproxy.engine.engine import Engine, Facts, State
from swarmproxy.engine.validate import own_version, parse_version
from swarmproxy.model.swarm import SwarmPart
from swarmproxy.wire.address import Address
from tests.engine.harness import QUICK, Recorder, eventually, followed, member
from tests.engine.scripted import ScriptedEngine


async def test_facts(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """An accepted engine is known by what it said of itself."""
    async with member(scripted, recorder) as engine:
        facts = engine.facts
        assert facts is not None
        assert (engine.name, engine.id) == ("node-0", f"ENGINE-ID|{scripted.address}")
        assert (facts.cpus, facts.memory_bytes, facts.ip) == (4, 8 * 1024**3, "127.0.0.1")
        assert (facts.api_min, facts.api_max, facts.server_version) == ("1.24", "1.51", "28.5.2")
        assert facts.labels == {
            "storagedriver": "overlay2",
            "kernelversion": "6.1.0",
            "operatingsystem": "Debian GNU/Linux 12 (bookworm)",
            "ostype": "linux",
            "architecture": "x86_64",
            "engineversion": "28.5.2",
            "storage": "ssd",
        }
        assert facts.plugins == b'{"Volume": ["local"]}'
        assert (engine.health, engine.error, engine.failures) == (100, "", 0)
        assert engine.updated_at > 0
        assert list(engine.images) == ["sha256:aa"]
    assert recorder.states == [State.HEALTHY, State.DISCONNECTED]


async def test_part_in_a_swarm(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """Its part in a swarm is known, and read again when somebody asks for that; who listens hears of another one."""
    manager = {"NodeID": "n1", "Addr": "10.0.0.1:2377"}
    leading = {"NodeID": "n1", "NodeAddr": "10.0.0.1", "LocalNodeState": "active", "ControlAvailable": True}
    async with member(scripted, recorder) as engine:
        told: list[SwarmPart | None] = []
        engine.on_swarm = lambda: told.append(engine.facts.swarm if engine.facts is not None else None)
        assert engine.facts is not None
        assert (engine.facts.swarm, engine.facts.swarm_state) == (None, "inactive")
        scripted.info_fields["Swarm"] = {**leading, "RemoteManagers": [manager], "Cluster": {"ID": "c1"}}
        await engine.refresh_specs()
        [part] = told
        assert part is not None
        assert (part.node_id, part.is_manager, part.managers, part.cluster_id) == ("n1", True, frozenset(["n1"]), "c1")
        assert part.address == "10.0.0.1"
        await engine.refresh_specs()
        assert told == [part]
        scripted.info_fields["Swarm"] = {"LocalNodeState": "locked", "NodeID": ""}
        await engine.refresh_specs()
        assert (told[1:], engine.facts.swarm, engine.facts.swarm_state) == ([None], None, "locked")


async def test_everything_is_seen_first(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """Containers are told before their engine is Healthy, and its events are followed before it is listed."""
    scripted.add("web", tell=False)
    async with member(scripted, recorder):
        told = [each for each in recorder.told if each[0] != "networks"]
        assert told[:2] == [("seen", "web"), ("state", State.HEALTHY)]
        paths = [request.split(" ")[1] for request in scripted.requests]
        assert paths.index("/events") < paths.index("/containers/json")


@pytest.mark.parametrize("step", ["/_ping", "/version", "/info", "/events", "/containers/json"])
async def test_hang(scripted: ScriptedEngine, recorder: Recorder, step: str) -> None:
    """An engine that hangs at one of the steps is Pending with the reason, and accepted once it answers."""
    scripted.hangs.add(step)
    async with followed(scripted.address, recorder, step_timeout_s=0.5, list_timeout_s=0.5) as engine:
        await eventually(lambda: engine.error)
        assert engine.state is State.PENDING
        assert str(scripted.address) in engine.error
        scripted.hangs.clear()
        await eventually(lambda: engine.state is State.HEALTHY)
        assert engine.error == ""


async def test_slow_images(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """An engine whose list of images does not come is accepted all the same."""
    scripted.hangs.add("/images/json")
    async with member(scripted, recorder, list_timeout_s=0.5) as engine:
        assert engine.images == {}


@pytest.mark.parametrize("step", ["/version", "/info", "/containers/json"])
async def test_cut(scripted: ScriptedEngine, recorder: Recorder, step: str) -> None:
    """An answer that ends in the middle counts as none."""
    scripted.cut.add(step)
    async with followed(scripted.address, recorder) as engine:
        await eventually(lambda: engine.error)
        assert engine.error.startswith(
            f"Cannot connect to the Docker daemon at tcp://{scripted.address}. Is the docker daemon running?"
        )
        scripted.cut.clear()
        await eventually(lambda: engine.state is State.HEALTHY)


@pytest.mark.parametrize("step", ["/version", "/info", "/containers/json"])
@pytest.mark.parametrize("body", [b"<html>hello</html>", b"[[", b'{"NCPU":"many","ApiVersion":7}', b"\xff\xfe"])
async def test_garbage(scripted: ScriptedEngine, recorder: Recorder, step: str, body: bytes) -> None:
    """An answer that is not what Docker says keeps the engine out, and says so."""
    scripted.answers[step] = (200, body)
    async with followed(scripted.address, recorder) as engine:
        await eventually(lambda: engine.error)
        assert engine.state is State.PENDING
        assert "read" in engine.error
        scripted.answers.clear()
        await eventually(lambda: engine.state is State.HEALTHY)


async def test_refusal_of_the_engine(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """The engine's own refusal is the reason that is shown."""
    scripted.answers["/info"] = (403, b'{"message":"authorization denied by plugin"}')
    async with followed(scripted.address, recorder) as engine:
        await eventually(lambda: engine.error)
        assert engine.error == "authorization denied by plugin"


async def test_nobody_listens(recorder: Recorder) -> None:
    """An address where nobody listens is Pending, with classic's words."""
    scripted = ScriptedEngine()
    async with scripted.running():
        address = scripted.address
    async with followed(address, recorder) as engine:
        await eventually(lambda: engine.error)
        assert engine.error.startswith(
            f"Cannot connect to the Docker daemon at tcp://{address}. Is the docker daemon running?"
        )
        assert (engine.state, engine.name, engine.id) == (State.PENDING, "", "")
        scripted.port = address.port
        async with scripted.running():
            await eventually(lambda: engine.state is State.HEALTHY)


async def test_unknown_host(recorder: Recorder) -> None:
    """A name that does not resolve is Pending, and leaving it crashes nothing."""
    async with followed(Address(host="no-such-host.invalid", port=2375), recorder) as engine:
        await eventually(lambda: engine.error)
        assert "no-such-host.invalid" in engine.error
    assert recorder.states == [State.DISCONNECTED]


@pytest.mark.parametrize("field", ["cpus", "memory_bytes"])
async def test_no_resources(scripted: ScriptedEngine, recorder: Recorder, field: str) -> None:
    """An engine without CPUs or memory is taken for a manager without nodes."""
    setattr(scripted, field, 0)
    async with followed(scripted.address, recorder) as engine:
        await eventually(lambda: engine.error)
        assert engine.error == (
            "cannot get resources for this engine, "
            f"make sure {scripted.address} is a Docker Engine, not a Swarm manager"
        )


@pytest.mark.parametrize(
    ("version", "status"),
    [("swarm/1.2.9", None), ("swarmproxy/0.1.0", None), ("20.10.24", [["Role", "primary"], ["Nodes", "3"]])],
)
async def test_manager(
    scripted: ScriptedEngine, recorder: Recorder, version: str, status: list[list[str]] | None
) -> None:
    """A manager is refused, also one that has nodes."""
    scripted.version, scripted.system_status = version, status
    async with followed(scripted.address, recorder) as engine:
        await eventually(lambda: engine.error)
        assert version in engine.error
        assert engine.error.endswith("is a Docker Engine, not a Swarm manager")
        assert scripted.asked("GET /containers/json") == 0


async def test_bad_label(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """A label without an equals sign keeps the engine out, in classic's words."""
    scripted.labels = ["good=1", "bad"]
    async with followed(scripted.address, recorder) as engine:
        await eventually(lambda: engine.error)
        assert engine.error == (
            f"Engine (ID: ENGINE-ID, Addr: {scripted.address}) contains an invalid label (bad) "
            'not formatted as "key=value".'
        )


async def test_reserved_labels(scripted: ScriptedEngine, recorder: Recorder, caplog: pytest.LogCaptureFixture) -> None:
    """A daemon's labels do not override what the engine knows, nor name the node; each is warned of once."""
    scripted.labels = ["node=x", "ostype=plan9", "architecture=toaster", "a=b=c", "empty="]
    with caplog.at_level(logging.WARNING, "swarmproxy.engine"):
        async with member(scripted, recorder) as engine:
            assert engine.facts is not None
            labels = engine.facts.labels
            assert "node" not in labels
            assert (labels["ostype"], labels["architecture"]) == ("linux", "toaster")
            assert (labels["a"], labels["empty"]) == ("b=c", "")
            asked = scripted.asked("GET /info")
            scripted.emit("daemon", "reload", "")
            await eventually(lambda: scripted.asked("GET /info") > asked)
    assert [record.message for record in caplog.records].count("label ignored") == 2


async def test_too_old(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """An engine from before API 1.24 is refused with its version."""
    scripted.api = "1.23"
    async with followed(scripted.address, recorder) as engine:
        await eventually(lambda: engine.error)
        assert "1.23" in engine.error


@pytest.mark.parametrize(
    ("api_min", "api_max", "ours"),
    [("1.12", "1.41", "1.41"), ("1.24", "1.51", "1.51"), ("1.40", "1.56", "1.51"), ("1.60", "1.70", "1.60")],
)
def test_own_version(api_min: str, api_max: str, ours: str) -> None:
    """Our own calls speak the engine's newest version that we know, and never one that it has given up."""
    assert own_version(api_min, api_max) == ours


@pytest.mark.parametrize(("text", "version"), [("1.41", (1, 41)), ("1.9", (1, 9)), ("", (0, 0)), ("x.y", (0, 0))])
def test_parse_version(text: str, version: tuple[int, int]) -> None:
    """Versions compare as numbers, and what is none is older than all."""
    assert parse_version(text) == version


async def test_version_in_paths(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """What is asked before the engine is known has no version, everything else has."""
    scripted.api = "1.41"
    async with member(scripted, recorder):
        assert scripted.targets[:3] == ["/_ping", "/version", "/info"]
        assert all(target.startswith("/v1.41/") for target in scripted.targets[3:6])


async def test_claim(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """Who is refused by the cluster stays Pending with its reason, holds nothing, and is tried again."""
    free = False

    def claim(engine: Engine, facts: Facts) -> str | None:
        return None if free else f"{facts.id} is here twice"

    scripted.add("web", tell=False)
    async with followed(scripted.address, recorder, claim=claim) as engine:
        await eventually(lambda: engine.error)
        assert (engine.error, engine.is_member, engine.name) == ("ENGINE-ID is here twice", False, "node-0")
        assert recorder.seen == []
        free = True
        await eventually(lambda: engine.state is State.HEALTHY)
        assert engine.is_member


async def test_another_engine(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """A member that shows another ID leaves with all it had, and is accepted anew as what it is now."""
    container_id = scripted.add("web", tell=False)
    async with member(scripted, recorder, retry_min_s=0.3) as engine:
        scripted.id = "OTHER-ID"
        scripted.emit("daemon", "reload", "")
        await eventually(lambda: engine.state is State.PENDING)
        assert engine.error.startswith(
            f"Engine (ID: ENGINE-ID, Addr: {scripted.address}) shows up with another ID:OTHER-ID."
        )
        assert recorder.gone == [container_id]
        await eventually(lambda: engine.state is State.HEALTHY)
        assert engine.id == f"OTHER-ID|{scripted.address}"
        assert list(engine.containers) == [container_id]


@pytest.mark.parametrize("ahead_s", [-3600.0, 90.0])
async def test_skew(
    scripted: ScriptedEngine, recorder: Recorder, caplog: pytest.LogCaptureFixture, ahead_s: float
) -> None:
    """Moments of an engine whose clock is off are shifted to ours, those that are not set stay unset."""
    scripted.clock_ahead_s = ahead_s
    fresh = scripted.add("fresh", state="created", tell=False)
    ran = scripted.add("ran", tell=False)
    scripted.change(ran, started="2026-01-01T00:00:00Z")
    with caplog.at_level(logging.WARNING, "swarmproxy.engine"):
        async with member(scripted, recorder) as engine:
            assert abs(engine.skew_ns / 1e9 + ahead_s) < 2
            assert engine.containers[fresh].started_ns == 0
            assert engine.containers[fresh].state == "created"
            assert abs(engine.containers[ran].started_ns / 1e9 - 1767225600 + ahead_s) < 2
            scripted.emit("daemon", "reload", "")
            await eventually(lambda: scripted.asked("GET /info") > 1)
    told = [record.__dict__["skew_s"] for record in caplog.records if "unsynchronized" in record.message]
    assert told
    # once, but for an answer that came so late that its time says something else
    assert all(abs(after - before) >= 1 for before, after in itertools.pairwise(told))


async def test_clock_set_right(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """When an engine's clock is set right, its containers are read anew."""
    scripted.clock_ahead_s = 100.0
    container_id = scripted.add("web", tell=False)
    scripted.change(container_id, started="2026-01-01T00:00:00Z")
    async with member(scripted, recorder) as engine:
        scripted.clock_ahead_s = 0.0
        scripted.emit("daemon", "reload", "")
        await eventually(lambda: engine.containers[container_id].started_ns == 1767225600 * 10**9)
        assert engine.skew_ns == 0


async def test_small_skew(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """A clock that is off by less than two seconds is taken as it is."""
    scripted.clock_ahead_s = 1.0
    async with member(scripted, recorder) as engine:
        assert engine.skew_ns == 0


async def test_not_http(recorder: Recorder) -> None:
    """Something that does not speak HTTP is Pending with a reason."""

    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        async with followed(Address(host=host, port=port), recorder) as engine:
            await eventually(lambda: engine.error)
            assert engine.state is State.PENDING


async def test_many_hung_engines_delay_nobody(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """An engine is accepted at once among many that never answer."""
    hung = ScriptedEngine()
    hung.frozen = True
    async with hung.running(), asyncio.TaskGroup() as tasks:
        others = [
            tasks.create_task(
                Engine(hung.address, settings=replace(QUICK, step_timeout_s=600.0), observer=Recorder()).run(),
                name="hung",
            )
            for _ in range(50)
        ]
        await eventually(lambda: hung.connections == 50)
        async with member(scripted, recorder) as engine:
            assert engine.state is State.HEALTHY
        for task in others:
            task.cancel()
