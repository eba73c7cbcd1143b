"""No event is missed, none is told twice, and each has read what it changes."""

import asyncio

import pytest

from swarmproxy.engine.engine import Engine, State
from swarmproxy.engine.events import Effect, effect_of
from swarmproxy.model.event import Event
from tests.engine.harness import Recorder, eventually, member
from tests.engine.scripted import NANOSECONDS, ScriptedEngine


@pytest.mark.parametrize(
    ("kind", "action", "effect"),
    [
        *[
            ("container", action, Effect.CONTAINER)
            for action in [
                "create",
                "start",
                "die",
                "kill",
                "oom",
                "pause",
                "unpause",
                "restart",
                "stop",
                "rename",
                "update",
            ]
        ],
        ("container", "health_status: healthy", Effect.CONTAINER),
        ("container", "something_new", Effect.CONTAINER),
        ("container", "destroy", Effect.GONE),
        ("container", "commit", Effect.IMAGES),
        *[
            ("container", action, Effect.NOTHING)
            for action in [
                "top",
                "resize",
                "export",
                "exec_die",
                "attach",
                "detach",
                "extract-to-dir",
                "copy",
                "archive-path",
            ]
        ],
        ("container", "exec_create: sh -c true", Effect.NOTHING),
        ("container", "exec_start: sh: x", Effect.NOTHING),
        ("network", "connect", Effect.CONTAINER),
        *[("network", action, Effect.NETWORKS) for action in ["create", "destroy", "update", "prune"]],
        *[("node", action, Effect.SPECS) for action in ["create", "remove"]],
        ("node", "update", Effect.NOTHING),
        *[("volume", action, Effect.VOLUMES) for action in ["create", "destroy", "prune"]],
        *[("volume", action, Effect.NOTHING) for action in ["mount", "unmount"]],
        ("image", "pull", Effect.IMAGES),
        ("daemon", "reload", Effect.SPECS),
        ("plugin", "enable", Effect.SPECS),
    ],
)
def test_effect(kind: str, action: str, effect: Effect) -> None:
    """Each event makes us read what it changes, and no more."""
    event = Event(type=kind, action=action, actor_id="c", attributes={"container": "c"})
    assert effect_of(event) == (effect, "c" if effect in (Effect.CONTAINER, Effect.GONE) else "")


@pytest.mark.parametrize(
    ("kind", "action", "attributes", "effect"),
    [
        ("network", "create", {"name": "ingress", "type": "overlay"}, Effect.SPECS),
        ("network", "destroy", {"name": "ingress", "type": "overlay"}, Effect.SPECS),
        ("node", "update", {"name": "a", "state.new": "down"}, Effect.SPECS),
        ("network", "connect", {"container": "c", "type": "overlay"}, Effect.ENDPOINT),
        ("network", "disconnect", {"container": "c", "type": "weave"}, Effect.ENDPOINT),
        ("network", "connect", {"container": "c", "type": "bridge"}, Effect.CONTAINER),
    ],
)
def test_effect_of_a_swarm(kind: str, action: str, attributes: dict[str, str], effect: Effect) -> None:
    """What tells that a swarm has changed makes us read what the engine is, the rest what it has."""
    assert effect_of(Event(type=kind, action=action, attributes=attributes))[0] is effect


async def test_life_of_a_container(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """A container is known from its create event to its destroy event; events are told before it is read."""
    async with member(scripted, recorder) as engine:
        container_id = scripted.add("web", state="created")
        await eventually(lambda: container_id in engine.containers)
        assert recorder.told.index(("event", "create")) < recorder.told.index(("seen", "web"))
        scripted.change(container_id, state="running", tell="start")
        await eventually(lambda: engine.containers[container_id].state == "running")
        scripted.change(container_id, name="web2", tell="rename")
        await eventually(lambda: engine.containers[container_id].name == "web2")
        scripted.remove(container_id)
        await eventually(lambda: recorder.gone == [container_id])
        assert engine.containers == {}
    assert [event.action for event in recorder.events] == ["create", "start", "rename", "destroy"]


async def test_event_before_refresh(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """Readers hear of an event although the container that it is about cannot be read."""
    container_id = scripted.add("web", tell=False)
    async with member(scripted, recorder):
        scripted.hangs.add(f"/containers/{container_id}/json")
        scripted.emit("container", "die", container_id)
        await eventually(lambda: [event.action for event in recorder.events] == ["die"])


async def test_between_validation_and_stream(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """An event that happens after the engine was asked who it is, and before the stream is open, is told."""
    scripted.slow_s["/events"] = 0.2
    async with asyncio.TaskGroup() as tasks:

        async def happen() -> None:
            await eventually(lambda: "GET /events" in scripted.requests)
            scripted.emit("container", "early", "c")

        tasks.create_task(happen(), name="early event")
        async with member(scripted, recorder, step_timeout_s=20.0):
            await eventually(lambda: [event.action for event in recorder.events] == ["early"])


async def test_broken_stream(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """Events during a gap are replayed from the last one seen, each told once."""
    async with member(scripted, recorder, reopen_min_s=0.1) as engine:
        scripted.emit("container", "one", "c")
        scripted.emit("container", "two", "c")
        await eventually(lambda: len(recorder.events) == 2)
        scripted.reset()
        scripted.emit("container", "three", "c")
        scripted.emit("container", "four", "c")
        await eventually(lambda: len(recorder.events) == 4)
        await eventually(lambda: scripted.streams == 1)
        scripted.emit("container", "five", "c")
        await eventually(lambda: len(recorder.events) == 5)
        assert engine.state is State.HEALTHY
    assert [event.action for event in recorder.events] == ["one", "two", "three", "four", "five"]


async def test_events_of_one_moment(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """Different events of the same moment are all told, and the same one is not told again."""
    async with member(scripted, recorder):
        await eventually(lambda: scripted.streams == 1)
        moment_ns = scripted.now_ns()  # the stream was opened for what comes after it
        for action in ("a", "b", "a"):
            scripted.emit("container", action, "c", at_ns=moment_ns)
        scripted.emit("container", "a", "d", at_ns=moment_ns)
        await eventually(lambda: len(recorder.events) == 3)
        scripted.end_streams()
        await eventually(lambda: scripted.asked("GET /events") == 2)
        scripted.emit("container", "last", "c")
        await eventually(lambda: recorder.events[-1].action == "last")
    assert [(event.action, event.actor_id) for event in recorder.events] == [
        ("a", "c"),
        ("b", "c"),
        ("a", "d"),
        ("last", "c"),
    ]


async def test_since_is_the_engines_clock(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """A stream is opened from a moment of the engine's own clock, however wrong that is."""
    scripted.clock_ahead_s = -86_400.0
    async with member(scripted, recorder) as engine:
        scripted.emit("container", "one", "c")
        await eventually(lambda: recorder.events)
        assert recorder.events[0].time_ns == scripted.history[0]["timeNano"] + engine.skew_ns
        scripted.reset()
        scripted.emit("container", "two", "c")
        await eventually(lambda: len(recorder.events) == 2)
        since = (
            [target for target in scripted.targets if "/events" in target][-1].partition("since=")[2].partition("&")[0]
        )
        assert abs(float(since) - scripted.now_ns() / NANOSECONDS) < 60


async def test_forgetful_engine(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """After a gap everything is read anew: a restarted engine remembers no events."""
    kept, lost = scripted.add("kept", tell=False), scripted.add("lost", tell=False)
    scripted.remembers = False
    async with member(scripted, recorder) as engine:
        scripted.change(kept, host={"Memory": 5})  # shows in no list
        scripted.remove(lost, tell=False)
        new = scripted.add("new", tell=False)
        scripted.reset()
        await eventually(lambda: set(engine.containers) == {kept, new})
        await eventually(lambda: engine.containers[kept].memory_bytes == 5)


async def test_garbage_between_events(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """Lines that are no events are passed over, empty ones too."""
    async with member(scripted, recorder):
        await eventually(lambda: scripted.streams == 1)
        scripted.say(b'\n{"Type":\n[1,2]\n"x"\n\xff\n{"Type":7}\n')
        scripted.emit("container", "after", "c")
        await eventually(lambda: [event.action for event in recorder.events] == ["after"])
        assert scripted.asked("GET /events") == 1


async def test_event_in_pieces(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """An event may come in pieces, and several at once."""
    async with member(scripted, recorder):
        await eventually(lambda: scripted.streams == 1)
        scripted.say(b'{"Type":"container","Action":"a","Actor":{"ID')
        await asyncio.sleep(0.05)
        scripted.say(b'":"c"},"timeNano":1}\n{"Type":"container","Action":"b","Actor":{"ID":"c"},"timeNano":2}\n')
        await eventually(lambda: [event.action for event in recorder.events] == ["a", "b"])


async def test_images(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """An image event has the images read again."""
    async with member(scripted, recorder) as engine:
        scripted.images = [{"Id": "sha256:bb", "RepoTags": ["nginx:latest"], "Created": 2}]
        scripted.emit("image", "pull", "nginx:latest")
        await eventually(lambda: list(engine.images) == ["sha256:bb"])


async def test_size_of_the_engine(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """A daemon that reloads is asked again what it is, and sums follow its size."""
    container_id = scripted.add("web", CpuShares=512, tell=False)
    async with member(scripted, recorder) as engine:
        assert engine.usage.claims.cpus == 2
        scripted.cpus, scripted.labels = 8, ["storage=disk"]
        scripted.emit("daemon", "reload", "")
        await eventually(lambda: engine.usage.claims.cpus == 4)
        assert engine.facts is not None
        assert engine.facts.labels["storage"] == "disk"
        scripted.remove(container_id)
        await eventually(lambda: engine.usage.claims.cpus == 0)


async def test_stream_that_does_not_last(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """An engine that ends each stream at once is not read in full without pause."""
    async with member(scripted, recorder, reopen_min_s=0.05, reopen_max_s=600.0) as engine:
        scripted.answers["/events"] = (200, b"")
        scripted.end_streams()
        await eventually(lambda: scripted.asked("GET /events") == 3)
        await asyncio.sleep(0.1)
        assert scripted.asked("GET /events") <= 4
        assert engine.state is State.HEALTHY


async def test_streams_follow_each_other(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """A stream ends when it was asked to, which is a sign of life, and the next one goes on where it ended."""
    container_id = scripted.add("web", tell=False)
    loop = asyncio.get_running_loop()
    async with member(scripted, recorder, beat_s=0.1, probe_s=0.4) as engine:
        told = silences = 0
        while scripted.asked("GET /events") < 12:
            scripted.emit("container", "top", container_id)
            told += 1
            told_at = loop.time()
            await asyncio.sleep(0.03)
            silences += loop.time() - told_at > 0.2  # on a machine that is late
        await eventually(lambda: len(recorder.events) >= told)
        assert len(recorder.events) == told
        assert len({event.time_ns for event in recorder.events}) == told
        assert scripted.connections == 2
        assert engine.failures == 0
        asked = [request for request in scripted.requests if request not in ("GET /events", "GET /_ping")]
        pings = scripted.asked("GET /_ping")
    assert len(asked) == len(set(asked)), "nothing was read twice"
    assert pings <= 1 + silences, "nobody pinged what was not silent"


async def test_connection_ends_with_the_stream(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """An engine that hangs up between two streams is dialled again: nothing is missed, so nothing is read anew."""
    container_id = scripted.add("web", tell=False)
    scripted.hangs_up = True
    async with member(scripted, recorder, beat_s=0.1, probe_s=5.0) as engine:
        await eventually(lambda: scripted.asked("GET /events") > 6)
        scripted.emit("container", "top", container_id)
        await eventually(lambda: recorder.events)
        assert engine.failures == 0
        assert scripted.asked("GET /containers/json") == 1


async def test_refusal_of_the_next_stream(
    scripted: ScriptedEngine, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    """An engine that refuses to tell more is asked again after a while, and for all that it holds."""
    async with member(scripted, recorder, beat_s=0.1, probe_s=5.0) as engine:
        scripted.answers["/events"] = (503, b'{"message":"not now"}')
        await eventually(lambda: any(getattr(record, "error", "") == "not now" for record in caplog.records))
        del scripted.answers["/events"]
        await eventually(lambda: scripted.asked("GET /containers/json") == 2)
        scripted.emit("container", "top", "c")
        await eventually(lambda: recorder.events)
        assert engine.state is State.HEALTHY


async def test_engine_that_ends_streams_early(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """An engine whose clock was set forward is not asked to end its streams until it has told the time anew."""
    async with member(scripted, recorder, beat_s=30.0) as engine:
        scripted.end_streams()
        await eventually(lambda: scripted.asked("GET /events") == 2)
        ends = ["until=" in target for target in scripted.targets if "/events" in target]
        assert ends == [True, False]
        # the gap has the engine asked for all, first of all for what it is and what time it has
        await eventually(lambda: scripted.asked("GET /containers/json") == 2)
        scripted.end_streams()
        await eventually(lambda: scripted.asked("GET /events") == 3)
        assert "until=" in [target for target in scripted.targets if "/events" in target][-1]
        assert engine.state is State.HEALTHY


async def test_observer_that_fails(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """A fault of ours in the middle of an event ends the stream, not the engine."""

    class Faulty(Recorder):
        def happened(self, engine: Engine, event: Event) -> None:
            super().happened(engine, event)
            if event.action == "bad":
                raise RuntimeError("a fault")

    faulty = Faulty()
    async with member(scripted, faulty) as engine:
        for action in ("bad", "good"):
            scripted.emit("container", action, "c")
        await eventually(lambda: [event.action for event in faulty.events] == ["bad", "good"])
        assert engine.state is State.HEALTHY
