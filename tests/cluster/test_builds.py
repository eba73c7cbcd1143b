"""What belongs to one build, or to one client, is on one engine."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from swarmproxy.cluster.builds import KEPT_S, Builds, Key
from swarmproxy.cluster.index import Index
from swarmproxy.cluster.reservations import Reservations
from swarmproxy.engine.engine import Engine, State
from swarmproxy.model.spec import ContainerSpec
from tests.cluster.members import member

CLIENT, SESSION, BUILD = Key("client", "10.0.0.9"), Key("session", "uuid"), Key("build", "id")
SPEC = ContainerSpec(memory_bytes=100)


class Stand:
    """Two healthy engines, a clock, and places that creates and builds take."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.kept: list[ExitStack] = []
        self.engines = [healthy(1), healthy(2)]
        self.reservations = Reservations(Index())
        self.builds = Builds(self.reservations, lambda: self.now)

    def emptiest(self) -> Engine:
        return min(self.engines, key=lambda engine: len(self.reservations.on(engine)))

    def hold(self, *keys: Key) -> "_Held":
        held = ExitStack()
        self.kept.append(held)
        return _Held(held.enter_context(self.builds.hold(keys, SPEC, self.emptiest)), held.close)


@dataclass
class _Held:
    """A block that is left by hand, or by the end of the test."""

    engine: Engine
    leave: Callable[[], None]


def healthy(number: int) -> Engine:
    engine = member(number)
    engine._health.enter(State.HEALTHY)
    return engine


@pytest.fixture
def stand() -> Stand:
    """Return two engines that nothing is built on."""
    return Stand()


def test_together(stand: Stand) -> None:
    """All connections of a client, its sessions and its builds have one engine, and count there once."""
    first, second = stand.hold(CLIENT), stand.hold(SESSION, CLIENT)
    third = stand.hold(BUILD, SESSION)
    assert first.engine is second.engine is third.engine
    assert len(stand.reservations.on(first.engine)) == 1
    assert stand.builds.engines() == {first.engine}
    for held in (first, second, third):
        held.leave()
    assert stand.reservations.on(first.engine) == []
    assert stand.builds.engines() == set()


def test_apart(stand: Stand) -> None:
    """Different clients, and builds without any tie, are spread."""
    assert stand.hold(CLIENT).engine is not stand.hold(Key("client", "10.0.0.8")).engine
    assert {stand.hold().engine.name for _ in range(2)} == {"node-1", "node-2"}


def test_kept_for_a_while(stand: Stand) -> None:
    """A client that comes back within a minute meets the same engine, later the best one."""
    stand.hold(CLIENT).leave()
    stand.hold()  # the first engine is busy now
    stand.now += KEPT_S - 1
    again = stand.hold(CLIENT)
    assert again.engine is stand.engines[0]
    again.leave()
    stand.now += KEPT_S + 1
    assert stand.hold(CLIENT).engine is stand.engines[1]


def test_engine_lost(stand: Stand) -> None:
    """A client whose engine does not answer any more is given another one."""
    first = stand.hold(CLIENT)
    first.engine._health.enter(State.UNHEALTHY, "silent")
    stand.engines.remove(first.engine)
    assert stand.builds.find(CLIENT) is None
    assert stand.hold(CLIENT).engine is stand.engines[0]


def test_failed_choice(stand: Stand) -> None:
    """Where no engine will do, nothing is remembered."""

    def refuse() -> Engine:
        raise RuntimeError

    with pytest.raises(RuntimeError), stand.builds.hold((CLIENT,), SPEC, refuse):
        pass
    assert stand.builds.find(CLIENT) is None


async def test_waiting(stand: Stand) -> None:
    """A session waits for its build, and no longer than it is told to."""
    async with asyncio.TaskGroup() as tasks:
        known = tasks.create_task(stand.builds.wait_for(lambda: stand.builds.find(SESSION), timeout_s=20.0))
        await asyncio.sleep(0)
        stand.hold(Key("session", "other"))
        await asyncio.sleep(0)
        assert not known.done()
        stand.hold(BUILD, SESSION)
    await stand.builds.wait_for(lambda: stand.builds.find(CLIENT), timeout_s=0.01)


def test_open_only(stand: Stand) -> None:
    """Whether a client is connected now can be told from whether it was."""
    stand.hold(CLIENT).leave()
    assert stand.builds.find(CLIENT) is not None
    assert stand.builds.find(CLIENT, open_only=True) is None
