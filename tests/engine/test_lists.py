"""Networks and volumes of an engine: read at the start, by events and by refreshes."""

from typing import Any

import pytest

from swarmproxy.engine.engine import Engine, State
from swarmproxy.errors import EngineUnreachable
from tests.engine.harness import Recorder, eventually, followed, member
from tests.engine.scripted import ScriptedEngine

OFTEN = 0.05
BLUE = {"Name": "blue", "Id": "b1ue", "Scope": "local", "Driver": "bridge"}
DATA = {"Name": "data", "Driver": "local", "Scope": "local"}


def hold(scripted: ScriptedEngine) -> None:
    scripted.networks.append(BLUE)
    scripted.volumes.append(DATA)


def is_known(engine: Engine) -> bool:
    return "b1ue" in engine.networks and "data" in engine.volumes


async def test_known_from_the_start(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """A healthy engine's networks and volumes are known, and the observer was told of them before."""
    hold(scripted)
    async with member(scripted, recorder) as engine:
        assert is_known(engine)
        assert recorder.told.index(("volumes", ([], ["data"]))) < recorder.told.index(("state", State.HEALTHY))


async def test_found_by_refresh(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """A refresh finds what no event told, and a list that is as before is not told again."""
    async with member(scripted, recorder, refresh_min_s=OFTEN, refresh_max_s=OFTEN) as engine:
        hold(scripted)
        await eventually(lambda: is_known(engine))
        told = len(recorder.told)
        asked = scripted.asked("GET /networks")
        await eventually(lambda: scripted.asked("GET /networks") > asked + 2)
        assert len(recorder.told) == told


@pytest.mark.parametrize(
    ("kind", "action", "list_path"),
    [("network", "create", "/networks"), ("network", "destroy", "/networks"), ("volume", "create", "/volumes")],
)
async def test_read_after_events(
    scripted: ScriptedEngine, recorder: Recorder, kind: str, action: str, list_path: str
) -> None:
    """Events have the list read again: many of them at once cost two readings at most."""
    async with member(scripted, recorder):
        scripted.slow_s[list_path] = 0.1
        asked = scripted.asked(f"GET {list_path}")
        told = len(recorder.told)
        hold(scripted)
        for number in range(10):
            scripted.emit(kind, action, f"x{number}")
        await eventually(lambda: f"{kind}s" in [what for what, _ in recorder.told[told:]])
        await eventually(lambda: len(recorder.events) == 10)
        assert 1 <= scripted.asked(f"GET {list_path}") - asked <= 2


async def test_first_container_of_a_swarm_network(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """A network of a swarm may come to a worker with the first container that joins it; a bridge does not."""
    container_id = scripted.add("web", tell=False)
    async with member(scripted, recorder) as engine:
        asked = scripted.asked("GET /networks")
        scripted.emit("network", "connect", "b1", {"container": container_id, "type": "bridge"})
        hold(scripted)
        scripted.emit("network", "connect", "b1ue", {"container": container_id, "type": "overlay"})
        await eventually(lambda: "b1ue" in engine.networks)
        assert scripted.asked("GET /networks") == asked + 1


async def test_asked_for(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """Both lists can be read on demand, and not of an engine that is no member."""
    async with member(scripted, recorder) as engine:
        hold(scripted)
        await engine.refresh_networks()
        await engine.refresh_volumes()
        assert is_known(engine)
    with pytest.raises(EngineUnreachable):
        await engine.refresh_networks()


async def test_forgotten(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """Another engine at the address takes all networks and volumes of the first one along."""
    hold(scripted)
    async with member(scripted, recorder) as engine:
        scripted.id = "ANOTHER"
        scripted.networks.clear()
        scripted.volumes.clear()
        scripted.emit("daemon", "reload", "x")
        await eventually(lambda: engine.state is State.PENDING or not is_known(engine))
        await eventually(lambda: engine.facts is not None and engine.facts.id == "ANOTHER")
        await eventually(lambda: engine.state is State.HEALTHY)
        assert not engine.networks
        assert not engine.volumes


@pytest.mark.parametrize("path", ["/networks", "/volumes"])
@pytest.mark.parametrize("answer", [(500, b'{"message":"no"}'), (200, b"[[")])
async def test_broken_lists(scripted: ScriptedEngine, recorder: Recorder, path: str, answer: Any) -> None:
    """An engine that cannot list networks or volumes takes part all the same."""
    scripted.answers[path] = answer
    async with member(scripted, recorder) as engine:
        assert engine.state is State.HEALTHY


async def test_slow_volumes(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """A volume plugin that hangs keeps the engine neither from the cluster nor from its health."""
    scripted.hangs.add("/volumes")
    async with followed(scripted.address, recorder, list_timeout_s=0.5) as engine:
        await eventually(lambda: engine.state is State.HEALTHY)
        with pytest.raises(EngineUnreachable):
            await engine.refresh_volumes()
        assert engine.failures == 0
