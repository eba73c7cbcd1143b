"""Where containers go that mount volumes."""

import asyncio
from typing import Any

import pytest

from tests.api.image_front import Front
from tests.cluster.image_daemon import lose
from tests.cluster.volume_daemon import VolumeDaemon
from tests.compat.swarm import create, message, swarm

MOVES = {"Env": ["reschedule:on-node-failure"]}


def mounts(*binds: str, **body: Any) -> dict[str, Any]:
    return body | {"HostConfig": {"Binds": list(binds)}}


def counts(*daemons: VolumeDaemon) -> list[int]:
    return [len(daemon.containers) for daemon in daemons]


async def made(manager: Front, **body: Any) -> str:
    """Return the name of the node that a new container is on."""
    answer = await create(manager, **body)
    assert answer.status_code == 201, answer.text
    return manager.cluster.find(answer.json()["Id"]).engine.name


async def test_volume_that_one_node_has() -> None:
    """A named volume is one volume: containers go where it is, however full that node is."""
    first, second = VolumeDaemon("n0"), VolumeDaemon("n1", "data")
    async with swarm(first, second) as manager:
        for _ in range(3):
            assert await made(manager, **mounts("data:/data:ro")) == "n1"
        mount = {"Type": "volume", "Source": "data", "Target": "/data"}
        assert await made(manager, HostConfig={"Mounts": [mount]}) == "n1"
        assert await made(manager) == "n0"
        assert (first.names, second.names) == ([], ["data"])


async def test_volume_that_a_container_made() -> None:
    """The volume that comes with a container binds the next one, also when both are created at the same time."""
    daemons = [VolumeDaemon("n0"), VolumeDaemon("n1")]
    async with swarm(*daemons) as manager:
        nodes = await asyncio.gather(*(made(manager, **mounts("data:/data")) for _ in range(4)))
        assert len(set(nodes)) == 1
        assert sorted(len(daemon.names) for daemon in daemons) == [0, 1]
        assert await made(manager, **mounts("data:/data")) == nodes[0]


async def test_volume_that_all_nodes_have() -> None:
    """A volume that was created on all nodes, or that all share, binds to none of them."""
    daemons = [VolumeDaemon("n0", "data"), VolumeDaemon("n1", "data")]
    daemons[0].hold_volume("all", "nfs")
    async with swarm(*daemons) as manager:
        for _ in range(2):
            await create(manager, **mounts("data:/data", "all:/all", "/host:/host", "new:/new"))
            await manager.client.delete("/volumes/new")
        assert sorted(counts(*daemons)) == [1, 1]


async def test_volume_of_a_node() -> None:
    """`node/volume` asks for the node, also for a volume that is new; the engine hears the volume's own name."""
    first, second = VolumeDaemon("n0", "data"), VolumeDaemon("n1", "data")
    async with swarm(first, second) as manager:
        for _ in range(2):
            assert await made(manager, **mounts("n1/data:/data:ro", "n1/new:/new")) == "n1"
        mount = {"Type": "volume", "Source": "n0/data", "Target": "/data", "ReadOnly": True}
        assert await made(manager, HostConfig={"Mounts": [mount]}) == "n0"
        assert (first.names, second.names) == (["data"], ["data", "new"])
        binds = [body["HostConfig"]["Binds"] for body in second.bodies_of("POST /containers/create")]
        assert binds == [["data:/data:ro", "new:/new"]] * 2
        [body] = first.bodies_of("POST /containers/create")
        assert body["HostConfig"]["Mounts"] == [{**mount, "Source": "data"}]


async def test_volumes_apart() -> None:
    """Volumes of different nodes, and one whose node may not be used, leave no node: the refusal names them."""
    first, second = VolumeDaemon("n0", "left", "both"), VolumeDaemon("n1", "right", "both")
    async with swarm(first, second, VolumeDaemon("n2")) as manager:
        status, text = message(await create(manager, **mounts("left:/l", "right:/r")))
        assert status == 500
        assert "--volume=left (only on n0) --volume=right (only on n1)" in text
        assert await made(manager, Env=["constraint:node==n1"], **mounts("both:/b")) == "n1"
        _, text = message(await create(manager, Env=["constraint:node==n2"], **mounts("both:/b")))
        assert "--volume=both (only on n0, n1)" in text


@pytest.mark.parametrize(("body", "status"), [({}, 500), (MOVES, 201)])
async def test_volume_on_a_node_that_is_down(body: dict[str, Any], status: int) -> None:
    """Nobody gets an empty volume for one that is out of reach, but who said that the data may be lost."""
    first, second = VolumeDaemon("n0", "data"), VolumeDaemon("n1")
    async with swarm(first, second) as manager:
        await lose(manager.cluster, first)
        answer = await create(manager, **mounts("data:/data", **body))
        assert answer.status_code == status


async def test_without_the_filter() -> None:
    """Without the dependency filter each node has its own volume of a name, as with classic."""
    daemons = [VolumeDaemon("n0"), VolumeDaemon("n1")]
    async with swarm(*daemons, filters=("health", "port", "constraint")) as manager:
        for _ in range(2):
            await create(manager, **mounts("data:/data"))
        assert counts(*daemons) == [1, 1]
