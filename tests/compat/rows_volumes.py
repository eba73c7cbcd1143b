"""Volumes: their names, where they are made, and which containers they draw to their node."""

from typing import Any

from tests.api.image_front import Front
from tests.cluster.image_daemon import lose
from tests.cluster.volume_daemon import VolumeDaemon
from tests.compat.row import Table
from tests.compat.swarm import create, message, swarm

table = Table("Volumes")

CLI = {"User-Agent": "Docker-Client/28.5.2 (linux)"}
SDK = {"User-Agent": "docker-sdk-python/7.1.0"}


async def _names(manager: Front, query: str = "", client: dict[str, str] = CLI) -> list[str]:
    answer = await manager.client.get(f"/volumes{query}", headers=client)
    return [each["Name"] for each in answer.json()["Volumes"]]


async def _made(manager: Front, **body: Any) -> int:
    return (await manager.post("/volumes/create", json=body)).status_code


@table.kept("names", "the NAME of a local volume in `docker volume ls`")
async def names() -> None:
    """`node/name`, in lists only: inspect and create say the name as it was asked for."""
    async with swarm(VolumeDaemon("node-1", "data"), VolumeDaemon("node-2", "data")) as manager:
        assert await _names(manager) == ["node-1/data", "node-2/data"]
        assert (await manager.client.get("/volumes/node-2/data")).json()["Name"] == "node-2/data"


@table.kept("warnings", "`Warnings` in the list")
async def warnings() -> None:
    """Always null: what an engine cannot list, its own list says."""
    async with swarm(VolumeDaemon("node-1", "data")) as manager:
        assert (await manager.client.get("/volumes")).json()["Warnings"] is None


@table.changed(
    "names-for-programs",
    "the name of a local volume in a list that a program asks for",
    classic="`node/name`.",
    why="docker-py and compose compare it with the name that they gave the volume, and made it again.",
)
async def names_for_programs() -> None:
    """The plain name, once for the volumes that one create made on several nodes."""
    async with swarm(VolumeDaemon("node-1", "data"), VolumeDaemon("node-2", "data")) as manager:
        assert await _names(manager, client=SDK) == ["data"]


@table.mended(
    "shared",
    "a volume whose driver serves all nodes",
    classic="Listed once for each node, and any driver but `local` was taken for one.",
    why="Ten nodes showed ten volumes where there was one.",
)
async def shared() -> None:
    """Listed once; the scope that the engine tells decides."""
    daemons = [VolumeDaemon("node-1"), VolumeDaemon("node-2")]
    for daemon in daemons:
        daemon.hold_volume("all", "nfs")
        daemon.hold_volume("own", "disks")
    async with swarm(*daemons) as manager:
        assert await _names(manager) == ["all", "node-1/own", "node-2/own"]


@table.kept("create-on-all", "`docker volume create data`")
async def create_on_all() -> None:
    """Made on every node."""
    daemons = [VolumeDaemon("node-1"), VolumeDaemon("node-2")]
    async with swarm(*daemons) as manager:
        assert await _made(manager, Name="data") == 201
        assert [daemon.names for daemon in daemons] == [["data"], ["data"]]


@table.kept("create-on-one", "a create that names its node")
async def create_on_one() -> None:
    """By `node/name` or by the label `com.docker.swarm.whitelists`."""
    daemons = [VolumeDaemon("node-1"), VolumeDaemon("node-2")]
    async with swarm(*daemons) as manager:
        assert await _made(manager, Name="node-2/data") == 201
        assert await _made(manager, Name="more", Labels={"com.docker.swarm.whitelists": '["node==node-2"]'}) == 201
        assert [daemon.names for daemon in daemons] == [[], ["data", "more"]]


@table.changed(
    "create-by-constraint",
    "the label `com.docker.swarm.constraints` on a volume",
    classic="Not looked at.",
    why="It is how all else says where it may be.",
)
async def create_by_constraint() -> None:
    """Made on all nodes that satisfy it."""
    daemons = [VolumeDaemon("node-1"), VolumeDaemon("node-2", labels=["storage=disk"])]
    async with swarm(*daemons) as manager:
        assert await _made(manager, Name="data", Labels={"com.docker.swarm.constraints": '["storage==disk"]'}) == 201
        assert [daemon.names for daemon in daemons] == [[], ["data"]]


@table.changed(
    "create-for-compose",
    "the volumes of a compose project",
    classic="Made on every node, and used on whichever the project happened to come up on.",
    why="After `down` and `up` the project found an empty volume on another node instead of its data.",
)
async def create_for_compose() -> None:
    """Made on one node, where the project's networks are, and all that mounts them goes there."""
    daemons = [VolumeDaemon("node-1"), VolumeDaemon("node-2")]
    async with swarm(*daemons) as manager:
        for name in ("one_data", "one_more"):
            await _made(manager, Name=name, Labels={"com.docker.compose.project": "one"})
        assert sorted(daemon.names for daemon in daemons) == [[], ["one_data", "one_more"]]


@table.mended(
    "create-past-the-dead",
    "a create while a node is down",
    classic="An error, with the volume made on all others.",
    why="One dead node of a hundred made `compose up` fail.",
)
async def create_past_the_dead() -> None:
    """Made on the nodes that answer."""
    daemons = [VolumeDaemon("node-1"), VolumeDaemon("node-2")]
    async with swarm(*daemons) as manager:
        await lose(manager.cluster, daemons[1])
        assert await _made(manager, Name="data") == 201


@table.mended(
    "inspect",
    "`docker volume inspect data` with `data` on several nodes",
    classic="404: compose made the volume again with each `up`.",
    why="A volume that the list shows is there; what one create made is one volume to its user.",
)
async def inspect() -> None:
    """That of one node, with the names of all; 409 with the candidates if they were not made alike."""
    async with swarm(VolumeDaemon("node-1", "data"), VolumeDaemon("node-2", "data")) as manager:
        assert (await manager.client.get("/volumes/data")).json()["Nodes"] == ["node-1", "node-2"]
        await _made(manager, Name="node-1/mixed", Labels={"a": "b"})
        await _made(manager, Name="node-2/mixed")
        status, text = message(await manager.client.get("/volumes/mixed"))
        assert (status, text) == (409, "volume name mixed is ambiguous: it may be node-1/mixed, node-2/mixed")


@table.kept("remove", "`docker volume rm data`")
async def remove() -> None:
    """Removed from every node that has it; `node/data` from that node only."""
    daemons = [VolumeDaemon("node-1", "data", "more"), VolumeDaemon("node-2", "data", "more")]
    async with swarm(*daemons) as manager:
        assert (await manager.client.delete("/volumes/data")).status_code == 204
        assert (await manager.client.delete("/volumes/node-1/more")).status_code == 204
        assert [daemon.names for daemon in daemons] == [[], ["more"]]


@table.changed(
    "filters",
    "`docker volume ls --filter`",
    classic="`name`, `label` and `node`; others were not looked at, and `node` let shared volumes pass.",
    why="A filter that is not looked at shows what nobody asked for, and `volume rm` of that is a loss.",
)
async def filters() -> None:
    """`dangling`, `driver`, `label`, `name` and `node`; 400 for any other."""
    daemons = [VolumeDaemon("node-1", "data"), VolumeDaemon("node-2")]
    daemons[0].hold_volume("all", "nfs")
    async with swarm(*daemons) as manager:
        assert await _names(manager, '?filters={"node":["node-2"]}') == []
        assert await _names(manager, '?filters={"driver":["nfs"]}') == ["all"]
        assert await _names(manager, '?filters={"dangling":["false"]}') == []
        assert (await manager.client.get('/volumes?filters={"size":["1"]}')).status_code == 400


@table.changed(
    "prune",
    "`docker volume prune`",
    classic="404.",
    why="It is asked for by `docker system prune --volumes`, too.",
)
async def prune() -> None:
    """Done on all healthy nodes or those of the filter `node`; what goes is what the client's API version says."""
    daemons = [VolumeDaemon("node-1", "data"), VolumeDaemon("node-2", "data")]
    daemons[0].api = "1.41"
    async with swarm(*daemons) as manager:
        assert (await manager.post("/v1.51/volumes/prune")).status_code == 200
        assert daemons[0].names == ["data"]
        told = (await manager.post("/v1.41/volumes/prune", headers=CLI)).json()
        assert told["VolumesDeleted"] == ["node-1/data"]


@table.changed(
    "binding",
    "`docker run -v data:/data` while one node has a volume `data`",
    classic="Placed like any other: on another node the container got a new, empty volume of the same name.",
    why="Data that is not there after `docker rm` and `docker run` is the worst surprise of a pool. Who wants a volume "
    "on each node creates it on all of them, which is what `docker volume create` does.",
)
async def binding() -> None:
    """It goes to the node that has the volume, or is refused by its name; `node/data` asks for a node's own."""
    daemons = [VolumeDaemon("node-1"), VolumeDaemon("node-2", "data")]
    async with swarm(*daemons) as manager:
        for _ in range(3):
            await create(manager, HostConfig={"Binds": ["data:/data"]})
        assert [len(daemon.containers) for daemon in daemons] == [0, 3]
        refused = await create(manager, Env=["constraint:node==node-1"], HostConfig={"Binds": ["data:/data"]})
        assert "--volume=data (only on node-2)" in message(refused)[1]
        await create(manager, HostConfig={"Binds": ["node-1/data:/data"]})
        assert daemons[0].names == ["data"]


@table.kept("data-stays", "a container with a reschedule policy whose node fails, and its volumes")
async def data_stays() -> None:
    """It is made on another node with new, empty volumes: no data moves, and no volume holds it back."""
    daemons = [VolumeDaemon("node-1", "data"), VolumeDaemon("node-2")]
    async with swarm(*daemons) as manager:
        await lose(manager.cluster, daemons[0])
        moves = ["reschedule:on-node-failure"]
        answer = await create(manager, Env=moves, HostConfig={"Binds": ["data:/data"]})
        assert answer.status_code == 201
        assert daemons[1].names == ["data"]
