"""How soon an engine that is gone is known to be gone, and how it comes back."""

import asyncio

import pytest

from swarmproxy.engine.engine import State
from swarmproxy.engine.health import Health
from swarmproxy.engine.settings import EngineSettings, jittered
from swarmproxy.engine.shared import Shared
from swarmproxy.errors import EngineError, EngineUnreachable
from swarmproxy.wire.idle import Idle
from tests.engine.harness import QUICK, Recorder, eventually, followed, member
from tests.engine.scripted import ScriptedEngine


def account(changes: list[tuple[State, State]], **settings: float) -> Health:
    defaults = {"failure_spacing_s": 0.0}
    return Health(
        EngineSettings(**(defaults | settings)),  # type: ignore[arg-type]
        lambda before, after: changes.append((before, after)),
    )


async def test_indicator() -> None:
    """The indicator falls with each failure, is 0 from the last one on, and 100 again after a success."""
    changes: list[tuple[State, State]] = []
    health = account(changes)
    assert health.indicator == 0
    health.enter(State.HEALTHY)
    shown = [health.indicator]
    for _ in range(3):
        health.note_failure(EngineUnreachable("gone"))
        shown.append(health.indicator)
    assert shown == [100, 67, 34, 0]
    assert (health.state, health.error) == (State.UNHEALTHY, "gone")
    health.note_success()
    assert (health.indicator, health.error, health.failures, health.survived) == (100, "", 0, 3)
    assert changes == [
        (State.PENDING, State.HEALTHY),
        (State.HEALTHY, State.UNHEALTHY),
        (State.UNHEALTHY, State.HEALTHY),
    ]


async def test_only_unreachable_counts() -> None:
    """An engine's refusal is no failure of the engine."""
    health = account([])
    health.enter(State.HEALTHY)
    health.note_failure(EngineError(500, "broken"))
    assert (health.failures, health.error) == (0, "")


async def test_burst_counts_once() -> None:
    """Many requests that fail at the same moment are one failure."""
    health = account([], failure_spacing_s=60.0)
    health.enter(State.HEALTHY)
    for _ in range(100):
        health.note_failure(EngineUnreachable("gone"))
    assert (health.failures, health.state) == (1, State.HEALTHY)


async def test_pending_keeps_its_reason() -> None:
    """What an engine answers while it is not accepted does not hide why."""
    health = account([])
    health.enter(State.PENDING, "twice in the cluster")
    health.note_success()
    assert health.error == "twice in the cluster"
    assert health.updated_at > 0


async def test_disconnected_is_final() -> None:
    """An engine that has left comes back by no answer."""
    changes: list[tuple[State, State]] = []
    health = account(changes)
    health.enter(State.DISCONNECTED)
    health.note_success()
    health.note_failure(EngineUnreachable("gone"))
    assert changes == [(State.PENDING, State.DISCONNECTED)]


def test_defaults_find_a_hung_engine() -> None:
    """With the default settings an engine that falls silent is Unhealthy within 15 seconds."""
    settings = EngineSettings()
    pings_s = settings.failure_retry * settings.probe_timeout_s
    assert settings.probe_s + pings_s + (settings.failure_retry - 1) * settings.probe_again_s < 15
    assert settings.failure_spacing_s < settings.probe_again_s


def test_jitter() -> None:
    """Waits are spread, and never longer than asked for."""
    waits = {jittered(8.0) for _ in range(100)}
    assert len(waits) > 50
    assert min(waits) >= 6.0
    assert max(waits) <= 8.0


async def test_frozen(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """An engine that takes connections and never answers is flagged, and comes back with its first answer."""
    async with member(scripted, recorder, probe_timeout_s=0.2) as engine:
        scripted.frozen = True
        await eventually(lambda: engine.state is State.UNHEALTHY)
        assert engine.error.startswith(f"Cannot connect to the Docker daemon at tcp://{scripted.address}.")
        assert engine.health == 0
        scripted.frozen = False
        await eventually(lambda: engine.state is State.HEALTHY)
    # on a machine that is late it may have been silent for too long once more
    assert recorder.states[:3] == [State.HEALTHY, State.UNHEALTHY, State.HEALTHY]
    assert recorder.states[-1] is State.DISCONNECTED


async def test_refusing(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """An engine that goes away is flagged because its event stream breaks, long before a ping is due."""
    async with member(scripted, recorder, probe_s=600.0) as engine:
        await scripted.stop()
        await eventually(lambda: engine.state is State.UNHEALTHY)


async def test_failing_relay(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """A failure that a request met is followed up at once."""
    async with member(scripted, recorder, probe_s=600.0, probe_timeout_s=0.2) as engine:
        scripted.frozen = True
        engine.note_failure(EngineUnreachable("a request failed"))
        await eventually(lambda: engine.state is State.UNHEALTHY)


async def test_harmless_failure(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """A failure that nothing confirms is forgotten."""
    async with member(scripted, recorder, probe_s=600.0) as engine:
        engine.note_failure(EngineUnreachable("a request failed"))
        assert (engine.failures, engine.health) == (1, 67)
        await eventually(lambda: engine.failures == 0)
        assert (engine.error, engine.health) == ("", 100)


async def test_power_failure(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """An engine that comes back after it fell silent is followed by a new event stream, and read anew."""
    async with member(scripted, recorder, probe_timeout_s=0.2) as engine:
        scripted.frozen = True
        await eventually(lambda: engine.state is State.UNHEALTHY)
        container_id = scripted.add("while-away", tell=False)
        before = scripted.asked("GET /events")
        scripted.frozen = False
        await eventually(lambda: container_id in engine.containers)
        await eventually(lambda: scripted.asked("GET /events") > before)


async def test_busy_engine_is_not_pinged(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """An engine that talks anyway is not asked whether it is alive."""
    loop = asyncio.get_running_loop()
    async with member(scripted, recorder, probe_s=0.4) as engine:
        pings = scripted.asked("GET /_ping")
        silences = 0  # of ours, on a machine that is late
        for _ in range(20):
            engine.note_success()
            said_at = loop.time()
            await asyncio.sleep(0.05)
            silences += loop.time() - said_at > 0.3
        assert scripted.asked("GET /_ping") - pings <= silences


async def test_idle_engine_holds_one_connection(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """Where connections are scarce, none waits for a request, so an idle engine costs that of its events."""
    shared = Shared(idle=Idle(most=0))
    async with followed(scripted.address, recorder, beat_s=0.1, probe_s=600.0, shared=shared) as engine:
        await eventually(lambda: scripted.asked("GET /events") > 3)
        await eventually(lambda: (scripted.connections, engine.pool.idle) == (1, 0))
        assert scripted.asked("GET /_ping") == 1


async def test_leaving(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """An engine that leaves has no connection and no task left, whatever it was doing."""
    async with member(scripted, recorder):
        scripted.frozen = True
        await eventually(lambda: scripted.connections > 1)
    await eventually(lambda: scripted.connections == 0)
    assert recorder.states[-1] is State.DISCONNECTED
    assert [task.get_name() for task in asyncio.all_tasks() if str(scripted.address) in task.get_name()] == []


@pytest.mark.parametrize("step", ["/_ping", "/events", "/containers/json"])
async def test_leaving_while_pending(scripted: ScriptedEngine, recorder: Recorder, step: str) -> None:
    """An engine that is still being validated leaves at once."""
    scripted.hangs.add(step)
    async with followed(scripted.address, recorder, step_timeout_s=600.0, list_timeout_s=600.0):
        await eventually(lambda: f"GET {step}" in scripted.requests)
    assert recorder.states == [State.DISCONNECTED]


def test_settings_of_tests() -> None:
    """Tests wait less than users do, in the same proportions."""
    assert QUICK.failure_spacing_s < QUICK.probe_again_s
