"""What is read again, how often, and what stands in the way."""

import asyncio
from dataclasses import replace

import pytest

from swarmproxy.engine.engine import Engine, State
from swarmproxy.errors import EngineUnreachable
from swarmproxy.scheduler.resources import Claims
from tests.engine.harness import QUICK, Recorder, eventually, followed, member
from tests.engine.scripted import ScriptedEngine

OFTEN = 0.05


async def test_light_refresh(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """A refresh finds what no event told, and inspects nothing that has not changed."""
    same, changed, removed = (scripted.add(name, tell=False) for name in ("same", "changed", "removed"))
    async with member(scripted, recorder, refresh_min_s=OFTEN, refresh_max_s=OFTEN) as engine:
        asked = scripted.asked(f"GET /containers/{changed}/json")
        scripted.change(changed, state="exited", status="Exited (1) 3 seconds ago")
        scripted.remove(removed, tell=False)
        new = scripted.add("new", tell=False)
        await eventually(lambda: set(engine.containers) == {same, changed, new})
        await eventually(lambda: engine.containers[changed].state == "exited")
        lists = scripted.asked("GET /containers/json")
        await eventually(lambda: scripted.asked("GET /containers/json") > lists + 3)
        assert scripted.asked(f"GET /containers/{same}/json") == 1
        assert scripted.asked(f"GET /containers/{changed}/json") == asked + 1
    assert recorder.gone == [removed]
    assert [container.name for container in recorder.seen].count("same") == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Up 5 minutes (health: starting)", "Up 6 minutes (healthy)"),
        ("Exited (0) 2 minutes ago", "Exited (137) 3 minutes ago"),
    ],
)
async def test_status_in_brackets(scripted: ScriptedEngine, recorder: Recorder, before: str, after: str) -> None:
    """Health and exit code in a list's status are changes, the time that goes by is none."""
    container_id = scripted.add("web", tell=False)
    scripted.change(container_id, status=before)
    inspect = f"GET /containers/{container_id}/json"
    async with member(scripted, recorder, refresh_min_s=OFTEN, refresh_max_s=OFTEN):
        scripted.change(container_id, status=after)
        await eventually(lambda: scripted.asked(inspect) == 2)
        lists = scripted.asked("GET /containers/json")
        await eventually(lambda: scripted.asked("GET /containers/json") > lists + 2)
        assert scripted.asked(inspect) == 2


async def test_order_of_ports(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """Ports that an engine lists in another order have not changed."""
    container_id = scripted.add("web", tell=False)
    ports = [{"PrivatePort": 80, "Type": "tcp"}, {"PrivatePort": 443, "Type": "tcp"}]
    scripted.change(container_id, ports=ports)
    async with member(scripted, recorder, refresh_min_s=OFTEN, refresh_max_s=OFTEN):
        scripted.change(container_id, ports=ports[::-1])
        lists = scripted.asked("GET /containers/json")
        await eventually(lambda: scripted.asked("GET /containers/json") > lists + 2)
        assert scripted.asked(f"GET /containers/{container_id}/json") == 1


async def test_restarting(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """A container that restarts is inspected with each refresh."""
    container_id = scripted.add("loop", state="restarting", tell=False)
    async with member(scripted, recorder, refresh_min_s=OFTEN, refresh_max_s=OFTEN):
        await eventually(lambda: scripted.asked(f"GET /containers/{container_id}/json") > 3)


async def test_many_containers(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """A long list is inspected over a few connections, a short one over one."""
    for number in range(100):
        scripted.add(f"c{number}", tell=False, Memory=number, NanoCpus=2)
    async with member(scripted, recorder) as engine:
        assert len(engine.containers) == 100
        assert engine.usage.claims.memory_bytes == sum(range(100))
        assert engine.usage.claims.nano_cpus == 200
        assert engine.usage.states == {"running": 100}
        assert scripted.connections <= 1 + 4 + 1  # the events, the readers, the images


async def test_work_of_a_start(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """A start asks each question once, over two connections: that of the events, and one for all else."""
    ids = [scripted.add(f"c{number}", tell=False) for number in range(30)]
    async with member(scripted, recorder):
        once = ["/_ping", "/version", "/info", "/events", "/containers/json", "/images/json", "/networks", "/volumes"]
        expected = [f"GET {path}" for path in (*once, *(f"/containers/{each}/json" for each in ids))]
        assert sorted(scripted.requests) == sorted(expected)
        assert scripted.connections == 2


async def test_work_of_a_refresh(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """A refresh that finds nothing new asks for the four lists, over one connection."""
    scripted.add("web", tell=False)
    async with member(scripted, recorder, refresh_min_s=OFTEN, refresh_max_s=OFTEN, probe_s=600.0):
        before = len(scripted.requests)
        await eventually(lambda: len(scripted.requests) >= before + 12)
        lists = {f"GET {path}" for path in ("/containers/json", "/images/json", "/networks", "/volumes")}
        assert {request: scripted.requests[before : before + 12].count(request) for request in lists} == dict.fromkeys(
            lists, 3
        )
        assert scripted.connections == 2


async def test_events_are_coalesced(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """Ten events of one container cost two readings, and the last state is what is known."""
    container_id = scripted.add("web", tell=False)
    inspect = f"/containers/{container_id}/json"
    async with member(scripted, recorder) as engine:
        scripted.slow_s[inspect] = 0.2
        asked = scripted.asked(f"GET {inspect}")
        for memory in range(10):
            scripted.change(container_id, tell="update", host={"Memory": memory})
        await eventually(lambda: engine.containers[container_id].memory_bytes == 9)
        assert scripted.asked(f"GET {inspect}") - asked <= 2


async def test_told_while_changed(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """What an engine tells of a container while a request changes it is read once, when the request is over."""
    container_id = scripted.add("web", tell=False)
    inspect = f"GET /containers/{container_id}/json"
    async with member(scripted, recorder) as engine:
        asked = scripted.asked(inspect)
        engine.changes.begin(container_id)
        engine.changes.begin(container_id)
        for memory in range(3):
            scripted.change(container_id, tell="update", host={"Memory": memory})
        await eventually(lambda: len(recorder.events) == 3)
        engine.changes.end(container_id)
        assert scripted.asked(inspect) == asked
        reading = engine.changes.read(container_id)
        engine.changes.end(container_id)
        found = await reading
        assert found is not None
        assert found.memory_bytes == 2
        assert scripted.asked(inspect) == asked + 1


async def test_told_while_a_change_hangs(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """A request that takes its time does not keep what the engine tells from being known."""
    container_id = scripted.add("web", tell=False)
    async with member(scripted, recorder) as engine:
        engine.changes.begin(container_id)
        scripted.change(container_id, tell="update", host={"Memory": 7})
        await eventually(lambda: engine.containers[container_id].memory_bytes == 7)
        engine.changes.end(container_id)


async def test_limited_readings(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """However many containers change at once, only a few are read at the same time."""
    ids = [scripted.add(f"c{number}", tell=False) for number in range(40)]
    async with member(scripted, recorder) as engine:
        scripted.slow_s["/containers/json"] = 0.02
        for container_id in ids:
            scripted.change(container_id, tell="update", host={"Memory": 7})
        most = 0
        while any(container.memory_bytes != 7 for container in engine.containers.values()):
            most = max(most, engine.pool.busy)
            await asyncio.sleep(0.005)
        assert most <= QUICK.inspects + 3  # events, pings and the list have connections of their own


async def test_refresh_container(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """A container can be read on demand; one that has gone is None and told to be gone."""
    async with member(scripted, recorder) as engine:
        container_id = scripted.add("web", tell=False)
        found = await engine.refresh_container(container_id)
        assert found is not None
        assert found is engine.containers[container_id]
        scripted.remove(container_id, tell=False)
        assert await engine.refresh_container(container_id) is None
        assert recorder.gone == [container_id]


async def test_refresh_container_after_change(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """Who asks while a container is being read gets what is read after asking."""
    container_id = scripted.add("web", tell=False)
    async with member(scripted, recorder) as engine:
        scripted.slow_s[f"/containers/{container_id}/json"] = 0.1
        inspects = scripted.asked(f"GET /containers/{container_id}/json")
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(engine.refresh_container(container_id), name="first")
            await eventually(lambda: scripted.asked(f"GET /containers/{container_id}/json") > inspects)
            await asyncio.sleep(0.15)
            scripted.change(container_id, host={"Memory": 3})
            second = tasks.create_task(engine.refresh_container(container_id), name="second")
            third = tasks.create_task(engine.refresh_container(container_id), name="third")
        assert first.result() is not None
        assert second.result() is third.result()
        assert third.result() is not None
        assert engine.containers[container_id].memory_bytes == 3


async def test_refresh_container_given_up(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """Who gives up waiting for a container does not spoil it for the others."""
    container_id = scripted.add("web", tell=False)
    async with member(scripted, recorder) as engine:
        scripted.slow_s["/containers/json"] = 0.1
        async with asyncio.TaskGroup() as tasks:
            hasty = tasks.create_task(engine.refresh_container(container_id), name="hasty")
            patient = tasks.create_task(engine.refresh_container(container_id), name="patient")
            await asyncio.sleep(0.02)
            hasty.cancel()
        assert patient.result() is not None


async def test_refresh_container_of_no_member(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """A container of an engine that is not accepted, or has left, cannot be read."""
    engine = Engine(scripted.address, settings=QUICK, observer=recorder)
    with pytest.raises(EngineUnreachable, match="not a member"):
        await engine.refresh_container("c")
    async with asyncio.TaskGroup() as tasks, member(scripted, recorder) as engine:
        scripted.frozen = True
        waiting = tasks.create_task(settle(engine), name="waiting")
        await eventually(lambda: scripted.hanging)
    assert isinstance(waiting.result(), EngineUnreachable)


async def settle(engine: Engine) -> Exception | None:
    try:
        await engine.refresh_container("c")
    except EngineUnreachable as error:
        return error
    return None


async def test_forget_container(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """A container whose removal was confirmed does not come back by a reading that began before."""
    container_id = scripted.add("web", tell=False)
    async with member(scripted, recorder) as engine:
        scripted.slow_s[f"/containers/{container_id}/json"] = 0.1
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(engine.refresh_container(container_id), name="reading")
            await eventually(lambda: engine.pool.busy > 1)
            await asyncio.sleep(0.05)
            scripted.remove(container_id, tell=False)
            engine.forget_container(container_id)
        assert reading.result() is None
        assert engine.containers == {}
    assert recorder.gone == [container_id]


async def test_list_older_than_container(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """A slow list does not drop a container that was created and read while it was on its way."""
    async with member(scripted, recorder) as engine:
        fresh = "f" * 64
        scripted.answers["/containers/json"] = (200, b"[]")
        scripted.slow_s["/containers/json"] = 0.2
        lists = scripted.asked("GET /containers/json")
        scripted.emit("daemon", "reload", "")  # a refresh begins
        await eventually(lambda: scripted.asked("GET /containers/json") > lists)
        scripted.slow_s.clear()
        scripted.answers.clear()
        scripted.containers[fresh] = {"name": "fresh", "state": "running", "host": {}, "labels": {}}
        scripted.answers["/containers/json"] = (200, b"[]")
        images = scripted.asked("GET /images/json")
        del scripted.answers["/containers/json"]
        await engine.refresh_container(fresh)
        await eventually(lambda: scripted.asked("GET /images/json") > images)
        assert fresh in engine.containers
    assert recorder.gone == []


async def test_stuck_container(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """One container that cannot be inspected keeps neither its engine nor the others out."""
    stuck, broken, well = (scripted.add(name, tell=False) for name in ("stuck", "broken", "well"))
    scripted.hangs.add(f"/containers/{stuck}/json")
    scripted.answers[f"/containers/{broken}/json"] = (500, b'{"message":"layer is missing"}')
    async with member(scripted, recorder, step_timeout_s=1.5, refresh_min_s=OFTEN, refresh_max_s=OFTEN) as engine:
        await eventually(lambda: set(engine.containers) == {well})
        await eventually(lambda: engine.failures == 0)
        scripted.hangs.clear()
        scripted.answers.clear()
        await eventually(lambda: set(engine.containers) == {stuck, broken, well})
    assert State.UNHEALTHY not in recorder.states


async def test_inspect_that_failed(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """What could not be inspected after a gap is with the next list, also when that says nothing new."""
    stuck, broken = (scripted.add(name, tell=False, Memory=100) for name in ("stuck", "broken"))
    async with member(scripted, recorder, step_timeout_s=0.5, refresh_min_s=OFTEN, refresh_max_s=OFTEN) as engine:
        await eventually(lambda: engine.usage.claims.memory_bytes == 200)
        scripted.hangs.add(f"/containers/{stuck}/json")
        scripted.answers[f"/containers/{broken}/json"] = (500, b'{"message":"layer is missing"}')
        for container_id in (stuck, broken):
            scripted.containers[container_id]["host"] = {"Memory": 200}
        await engine.refresh_containers(full=True)
        assert engine.usage.claims.memory_bytes == 200
        scripted.hangs.clear()
        scripted.answers.clear()
        await eventually(lambda: engine.usage.claims.memory_bytes == 400)


async def test_list_and_inspect_disagree(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """A container that is inspected in the middle of a change is with the next list, also when that is as before."""
    container_id = scripted.add("late", state="created", tell=False)
    async with member(scripted, recorder, refresh_min_s=3600, refresh_max_s=3600) as engine:
        scripted.inspected_as[container_id] = "running"  # it is about to start, and will fail
        await engine.refresh_container(container_id)
        assert engine.containers[container_id].state == "running"
        scripted.inspected_as.clear()
        await engine.refresh_containers(full=False)
        assert engine.containers[container_id].state == "created"


async def test_unreadable_container(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """A container whose description cannot be read is left out."""
    odd, well = (scripted.add(name, tell=False) for name in ("odd", "well"))
    scripted.answers[f"/containers/{odd}/json"] = (200, b'{"Id":7}')
    async with member(scripted, recorder) as engine:
        assert set(engine.containers) == {well}


async def test_failing_refresh(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """A refresh that fails is tried again soon, and finds what was missed."""
    async with member(scripted, recorder, refresh_min_s=0.05, refresh_max_s=0.05) as engine:
        scripted.answers["/containers/json"] = (500, b'{"message":"busy"}')
        container_id = scripted.add("web", tell=False)
        lists = scripted.asked("GET /containers/json")
        await eventually(lambda: scripted.asked("GET /containers/json") > lists + 2)
        assert engine.state is State.HEALTHY
        scripted.answers.clear()
        await eventually(lambda: container_id in engine.containers)


def test_back_off_is_bounded() -> None:
    """However often an engine has failed, it is asked again within minutes."""
    settings = replace(QUICK, refresh_min_s=30.0, refresh_cap_s=180.0)
    assert settings.refresh_cap_s <= 300


async def test_sums(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """Sums follow what containers ask for, in classic's arithmetic, stopped ones included."""
    gpu = {"Driver": "nvidia", "Count": 2, "Capabilities": [["gpu"]]}
    first = scripted.add("a", tell=False, Memory=100, CpuShares=1023, DeviceRequests=[gpu])
    scripted.add("b", tell=False, state="exited", Memory=20, CpuShares=1024)
    scripted.add("c", tell=False, NanoCpus=5)
    async with member(scripted, recorder) as engine:
        expected = Claims(memory_bytes=120, cpus=3 + 4, nano_cpus=5, gpus=2, containers=3)
        assert engine.usage.claims == expected
        revision = engine.revision
        scripted.remove(first)
        await eventually(lambda: len(engine.containers) == 2)
        expected = Claims(memory_bytes=20, cpus=4, nano_cpus=5, gpus=0, containers=2)
        assert engine.usage.claims == expected
        assert engine.revision > revision


async def test_patience(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """An engine that was refused again and again is accepted soon after it is well."""
    scripted.cpus = 0
    async with followed(scripted.address, recorder, retry_min_s=0.001, retry_max_s=0.01) as engine:
        await eventually(lambda: scripted.asked("GET /info") > 30)
        scripted.cpus = 4
        await eventually(lambda: engine.state is State.HEALTHY)


async def test_engine_that_dies_while_read(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """An engine that hangs among a hundred containers is Pending with the reason, and leaves when it is told to."""
    ids = [scripted.add(f"c{number}", tell=False) for number in range(100)]
    for container_id in ids[50:]:
        scripted.hangs.add(f"/containers/{container_id}/json")
    async with followed(
        *(scripted.address, recorder),
        step_timeout_s=0.1,
        probe_timeout_s=0.2,
        refresh_min_s=OFTEN,
        refresh_max_s=OFTEN,
    ) as engine:
        await eventually(lambda: recorder.seen)
        scripted.frozen = True
        # the first call that fails says why; what was read goes when the whole reading has been given up
        await eventually(lambda: engine.error and not engine.containers)
        assert engine.state is State.PENDING
        assert engine.error.startswith("Cannot connect to the Docker daemon at")
        scripted.frozen = False
        scripted.hangs.clear()
        await eventually(lambda: len(engine.containers) == 100)
        scripted.frozen = True
        scripted.reset()  # a full reading begins, and fails while the engine is told to leave
        await eventually(lambda: engine.state is State.UNHEALTHY)


@pytest.mark.parametrize("wait_s", [0.0, 0.02, 0.05, 0.1, 0.2])
async def test_leaving_while_read(scripted: ScriptedEngine, recorder: Recorder, wait_s: float) -> None:
    """An engine can be told to leave at any moment of a reading that fails."""
    for number in range(100):
        scripted.hangs.add(f"/containers/{scripted.add(f'c{number}', tell=False)}/json")
    async with asyncio.timeout(20.0):
        async with followed(scripted.address, recorder, step_timeout_s=0.05, probe_timeout_s=0.05):
            await eventually(lambda: "GET /containers/json" in scripted.requests)
            scripted.frozen = True
            await asyncio.sleep(wait_s)
    assert recorder.states[-1] is State.DISCONNECTED
