"""Which engines are members, as discovery's lists change."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from swarmproxy.cluster.membership import Membership
from swarmproxy.engine.engine import Engine, State
from swarmproxy.wire.address import Address
from tests.cluster.image_daemon import clustered
from tests.engine.harness import QUICK, Recorder, eventually
from tests.engine.scripted import ScriptedEngine


class Changes:
    """Keeps what membership tells, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Engine]] = []

    def joined(self, engine: Engine) -> None:
        self.told.append(("joined", engine))

    def left(self, engine: Engine) -> None:
        self.told.append(("left", engine))

    def take(self) -> list[tuple[str, str]]:
        """Return what was told since the last time."""
        told, self.told = self.told, []
        return [(what, str(engine.address)) for what, engine in told]


@asynccontextmanager
async def membership(changes: Changes, *, grace_s: float = 60.0) -> AsyncIterator[tuple[Membership, asyncio.TaskGroup]]:
    """Lend a membership whose engines really run, and their tasks."""

    def build(address: Address) -> Engine:
        return Engine(address, settings=QUICK, observer=Recorder())

    async with asyncio.TaskGroup() as tasks:
        members = Membership(build, changes, grace_s=grace_s)
        yield members, tasks
        members.close()


async def test_lists() -> None:
    """Leavers go first, newcomers come in order, an entry that stands twice or is no address changes nothing."""
    changes = Changes()
    async with membership(changes) as (members, tasks):
        members.change(["127.0.0.1:1", "not an address", "127.0.0.1:2", "127.0.0.1:1"], tasks)
        assert changes.take() == [("joined", "127.0.0.1:1"), ("joined", "127.0.0.1:2")]
        first = members.engines()[0]
        members.change(["127.0.0.1:3", "tcp://127.0.0.1:1"], tasks)
        assert changes.take() == [("left", "127.0.0.1:2"), ("joined", "127.0.0.1:3")]
        assert members.engines()[0] is first
        members.change(["127.0.0.1:1", "127.0.0.1:3"], tasks)
        assert changes.take() == []
    assert [what for what, _ in changes.take()] == ["left", "left"]


async def test_grace() -> None:
    """An entry that comes back in time has the engine that it had, which has gone on meanwhile."""
    changes = Changes()
    async with membership(changes) as (members, tasks), ScriptedEngine().running() as daemon:
        members.change([str(daemon.address)], tasks)
        [engine] = members.engines()
        await eventually(lambda: engine.state is State.HEALTHY)
        members.change([], tasks)
        assert members.engines() == []
        daemon.add("meanwhile")
        await eventually(lambda: [each.name for each in engine.containers.values()] == ["meanwhile"])
        members.change([str(daemon.address)], tasks)
        assert members.engines() == [engine]
        assert engine.state.value == "Healthy"
    assert engine.state is State.DISCONNECTED


async def test_end_of_grace() -> None:
    """An entry that comes back too late has an engine that knows nothing; the old one has ended."""
    async with membership(Changes(), grace_s=0.05) as (members, tasks), ScriptedEngine().running() as daemon:
        members.change([str(daemon.address)], tasks)
        [old] = members.engines()
        await eventually(lambda: old.state is State.HEALTHY)
        members.change([], tasks)
        await eventually(lambda: old.state is State.DISCONNECTED)
        await eventually(lambda: daemon.connections == 0)
        members.change([str(daemon.address)], tasks)
        [new] = members.engines()
        assert new is not old
        await eventually(lambda: new.state is State.HEALTHY)


async def test_another_address_meanwhile() -> None:
    """A daemon whose other address has become a member meanwhile is not one twice."""
    async with clustered([]) as cluster, ScriptedEngine().running() as daemon:
        one, other = f"127.0.0.1:{daemon.port}", f"localhost:{daemon.port}"
        daemon.add("c")
        cluster.follow([one])
        await eventually(lambda: cluster.healthy())
        cluster.follow([other])
        await eventually(lambda: cluster.healthy())
        cluster.follow([one, other])
        await eventually(lambda: [engine.error for engine in cluster.engines() if "the same daemon" in engine.error])
        assert [str(engine.address) for engine in cluster.healthy()] == [other]
        assert str(cluster.find("c").engine.address) == other


@pytest.mark.parametrize("changed", [False, True])
async def test_containers_come_and_go_along(changed: bool) -> None:
    """Containers of an engine that is not listed are not found, and are again at once when it is: as they are now."""
    daemon = ScriptedEngine()
    async with clustered([daemon]) as cluster:
        container_id = daemon.add("old")
        await eventually(lambda: "old" in [each.name for each in cluster.engines()[0].containers.values()])
        [engine] = cluster.engines()
        cluster.follow([])
        assert not cluster.index.by_id
        if changed:
            daemon.remove(container_id)
            daemon.add("new")
            await eventually(lambda: [each.name for each in engine.containers.values()] == ["new"])
            assert not cluster.index.by_id
        cluster.follow([str(daemon.address)])
        assert [located.container.name for located in cluster.index.by_id.values()] == ["new" if changed else "old"]
