"""What operators say of nodes: classic had nothing to say it with."""

from swarmproxy.cluster.bookkeeping import IN_MEMORY
from tests.api.image_front import Front
from tests.compat.daemon import Daemon
from tests.compat.row import Table
from tests.compat.swarm import create, message, swarm

table = Table("Operating nodes")

API = "/swarmproxy/v1/nodes"


async def _say(manager: Front, node: str, what: str, **body: object) -> None:
    answer = await manager.client.post(f"{API}/{node}/{what}", json=body or None)
    assert answer.status_code == 200, answer.text


async def _containers(manager: Front) -> dict[str, list[str]]:
    listed = (await manager.client.get("/containers/json?all=1")).json()
    names = [name.strip("/").split("/") for each in listed for name in each["Names"] if name.count("/") == 2]
    return {node: sorted(name for other, name in names if other == node) for node, _ in names}


@table.changed(
    "drain",
    "a machine that is to be serviced",
    classic="Stop its engine, or take it out of discovery: what runs there is out of reach, or down.",
    why="Asked for more than all else; a node can be emptied while its containers are still served.",
)
async def drain() -> None:
    """`node drain`, or `pause`: no new containers go there, those that it has are served; `activate` ends it."""
    async with swarm(Daemon("node-1", labels=[]), Daemon("node-2", labels=[])) as manager:
        assert (await create(manager, "old", Env=["constraint:node==node-1"])).status_code == 201
        for number, what in enumerate(("drain", "pause")):
            await _say(manager, "node-1", what)
            assert (await create(manager, f"new-{number}")).status_code == 201
        assert await _containers(manager) == {"node-1": ["old"], "node-2": ["new-0", "new-1"]}
        await _say(manager, "node-1", "activate")
        assert (await create(manager, "again")).status_code == 201
        assert "again" in (await _containers(manager))["node-1"]


@table.changed(
    "drain-and-filters",
    "a drained node, and `--filter` without any that would matter",
    classic="Had nothing of the kind.",
    why="A filter is a rule for containers; whether a machine takes any is not up to them.",
)
async def drain_and_filters() -> None:
    """Takes nothing all the same; the refusal counts it."""
    async with swarm(Daemon("node-1", labels=[]), filters=("port",)) as manager:
        await _say(manager, "node-1", "drain")
        status, text = message(await create(manager))
        assert (status, text.splitlines()[0]) == (500, "No nodes available in the cluster")
        assert "1 drained" in text


@table.changed(
    "labels",
    "labels of a node",
    classic="Those of its daemon: a new one takes a restart of the daemon, and so of its containers.",
    why="Labels change more often than machines should be restarted.",
)
async def labels() -> None:
    """The daemon's, and those that an operator sets and removes, which win and count at once."""
    async with swarm(Daemon("node-1", labels=["tier=front"]), Daemon("node-2", labels=[])) as manager:
        await _say(manager, "node-2", "labels", Set={"tier": "back"})
        assert (await create(manager, "web", Env=["constraint:tier==back"])).status_code == 201
        assert list(await _containers(manager)) == ["node-2"]
        await _say(manager, "node-1", "labels", Set={"tier": "back"})
        assert message(await create(manager, Env=["constraint:tier==front"]))[0] == 500


@table.changed(
    "info",
    "`docker info` of a node that takes no containers",
    classic="Had nothing of the kind.",
    why="Status stays as scripts know it; the table of all other nodes is classic's.",
)
async def info() -> None:
    """`Status: Healthy` as ever, and a line `Availability` behind it."""
    async with swarm(Daemon("node-1", labels=[]), Daemon("node-2", labels=[])) as manager:
        before = (await manager.client.get("/info")).json()["SystemStatus"]
        await _say(manager, "node-2", "drain")
        after = (await manager.client.get("/info")).json()["SystemStatus"]
        [new] = [index for index, row in enumerate(after) if row == ["  └ Availability", "drain"]]
        assert after[new - 1] == ["  └ Status", "Healthy"]
        assert [row[0] for row in [*after[:new], *after[new + 1 :]]] == [row[0] for row in before]


@table.changed(
    "kept",
    "what was said, after a restart of the manager",
    classic="Had nothing of the kind.",
    why="In a store every manager reads it before it leads, at a key that classic does not look at.",
)
async def kept() -> None:
    """Kept in the store of discovery, or in a --state-file; without either, the answer warns that it is not."""
    async with swarm(Daemon("node-1", labels=[])) as manager:
        answer = await manager.client.post(f"{API}/node-1/drain")
        assert answer.json()["Warnings"] == [IN_MEMORY]


@table.changed(
    "own-api",
    "paths below /swarmproxy",
    classic="`page not found`.",
    why="What Docker's API has no words for needs a place of its own, described by OpenAPI.",
)
async def own_api(standing: Front) -> None:
    """The operators' API at /swarmproxy/v1, with its description at /swarmproxy/v1/openapi.json."""
    assert (await standing.client.get("/swarmproxy/v1/openapi.json")).json()["info"]["title"] == "swarmproxy"
    assert message(await standing.client.get("/swarmproxy/v2/nodes")) == (404, "page not found")
