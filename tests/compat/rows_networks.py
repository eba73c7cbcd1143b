"""Networks: the list, and what is done with one."""

import json
from typing import Any
from urllib.parse import quote

from tests.api.image_front import Front
from tests.cluster.image_daemon import lose
from tests.compat.daemon import Daemon
from tests.compat.row import Table
from tests.compat.swarm import message, swarm

table = Table("Networks")

CREATE = "POST /networks/create"
BLUE, TWIN, MESH = "b1" * 32, "c1" * 32, "d1" * 32
CLI = {"User-Agent": "Docker-Client/20.10.24 (linux)"}
COMPOSE = {"User-Agent": "compose/2.40.3-3"}
MADE = (201, b'{"Id":"e1","Warning":""}')


def _two() -> tuple[Daemon, Daemon]:
    first, second = Daemon("node-1"), Daemon("node-2")
    first.networks = [_network("bridge", "a1" * 32), _network("blue", BLUE)]
    second.networks = [_network("bridge", "a2" * 32), _network("twin", TWIN), _network("mesh", MESH, scope="global")]
    first.networks += [_network("twin", "c2" * 32), _network("mesh", MESH, scope="global")]
    for daemon in (first, second):
        daemon.answers["/networks/create"] = MADE
    return first, second


def _network(name: str, network_id: str, *, scope: str = "local") -> dict[str, Any]:
    return {"Name": name, "Id": network_id, "Scope": scope, "Driver": "overlay" if scope == "global" else "bridge"}


async def _names(manager: Front, headers: dict[str, str] = CLI, **filters: list[str]) -> list[str]:
    answer = await manager.client.get("/networks", params={"filters": json.dumps(filters)}, headers=headers)
    assert answer.status_code == 200, answer.text
    return sorted(item["Name"] for item in answer.json())


@table.kept("list", "`docker network ls`")
async def list_networks() -> None:
    """Local networks as `node/name`, each that several nodes share once; also those of nodes that are down."""
    first, second = _two()
    async with swarm(first, second) as manager:
        await lose(manager.cluster, second)
        assert await _names(manager) == [
            "mesh",
            "node-1/blue",
            "node-1/bridge",
            "node-1/twin",
            "node-2/bridge",
            "node-2/twin",
        ]


@table.changed(
    "plain-names",
    "the list, as programs read it: all but the docker CLI",
    classic="`node/name` for all.",
    why="They compare names: compose did not find its own network and made another one, as would testcontainers.",
)
async def plain_names() -> None:
    """The network's own name for them; `--cluster-opt swarm.names` chooses one way for all."""
    async with swarm(*_two()) as manager:
        for client in (COMPOSE, {"User-Agent": "Go-http-client/1.1"}):
            assert await _names(manager, client, name=["blue"]) == ["blue"]
    async with swarm(*_two(), names="node") as manager:
        assert await _names(manager, COMPOSE, name=["blue"]) == ["node-1/blue"]
    async with swarm(*_two(), names="plain") as manager:
        assert await _names(manager, name=["blue"]) == ["blue"]


@table.changed(
    "list-containers",
    "`Containers` in the list",
    classic="In every version of the API.",
    why="Engines leave it out from 1.28 on, and inspect has it.",
)
async def list_containers() -> None:
    """For clients before API 1.28 only."""
    first, second = _two()
    settings = {"Networks": {"blue": {"NetworkID": BLUE, "IPAddress": "10.0.0.2", "IPPrefixLen": 16}}}
    web = first.put("web", item={"NetworkSettings": settings}, inspect={"NetworkSettings": settings})
    async with swarm(first, second) as manager:
        items = (await manager.client.get("/v1.27/networks")).json()
        [blue] = [each["Containers"] for each in items if each["Containers"]]
        assert (blue[web]["Name"], blue[web]["IPv4Address"]) == ("web", "10.0.0.2/16")
        assert not any(each.get("Containers") for each in (await manager.client.get("/v1.28/networks")).json())


@table.kept("list-filters", "the filters `name`, `driver`, `type` and `node`")
async def list_filters() -> None:
    """`name` is a regular expression on the network's own name, the others are compared as a whole."""
    async with swarm(*_two()) as manager:
        assert await _names(manager, name=["^bl"]) == ["node-1/blue"]
        assert await _names(manager, driver=["overlay"]) == ["mesh"]
        assert await _names(manager, type=["custom"], node=["node-2"]) == ["mesh", "node-2/twin"]
        assert await _names(manager, node=["node"]) == []
        got = await manager.client.get("/networks", params={"filters": '{"type":["x"]}'})
        assert message(got) == (400, "invalid filter: 'type'='x'")


@table.mended(
    "filter-id",
    "`docker network ls --filter id=x`",
    classic="All networks.",
    why="`docker network rm $(docker network ls -q --filter id=x)` removed whatever it could.",
)
async def filter_id() -> None:
    """Those whose ID holds the text, as on a daemon. `scope`, `dangling` and several nodes work as well."""
    async with swarm(*_two()) as manager:
        assert await _names(manager, id=[BLUE[:8]]) == ["node-1/blue"]
        assert await _names(manager, id=["ffff"]) == []
        assert await _names(manager, scope=["global"]) == ["mesh"]
        assert await _names(manager, dangling=["false"]) == ["node-1/bridge", "node-2/bridge"]
        assert len(await _names(manager, node=["node-1", "node-2"])) == 6


@table.kept("find", "an ID, the beginning of one, a name and `node/name`")
async def find() -> None:
    """All are understood wherever a network is named."""
    first, second = _two()
    second.answers[f"/networks/{TWIN}"] = (200, b'{"Name":"twin","Unheard":1}')
    async with swarm(first, second) as manager:
        for name in (TWIN, TWIN[:9], "node-2/twin", f"{manager.cluster.engine_named('node-2').id}/twin"):
            said = (await manager.client.get(f"/networks/{quote(name)}")).json()
            assert (said["Name"], said["Unheard"], said["Node"]["Name"]) == ("twin", 1, "node-2"), name


@table.mended(
    "ambiguous",
    "a name that networks of several nodes have",
    classic="404 `No such network`.",
    why="It was there, twice, and nobody said so.",
)
async def ambiguous() -> None:
    """400 in a daemon's words, with the first few that are meant."""
    async with swarm(*_two()) as manager:
        status, text = message(await manager.client.get("/networks/twin"))
        assert (status, text.partition("(")[0]) == (400, "network twin is ambiguous ")
        assert f"node-1/twin ({'c2' * 6}), node-2/twin ({TWIN[:12]})" in text


@table.mended(
    "predefined",
    "`docker network inspect bridge`",
    classic="404 `No such network`, as every node has one.",
    why="Programs ask it for the gateway, or for who is on it, before they do anything else.",
)
async def predefined() -> None:
    """What a daemon would say, of one node, with the containers of all nodes and the names of these in `Nodes`."""
    first, second = _two()
    for daemon, network_id, name in ((first, "a1" * 32, "web"), (second, "a2" * 32, "db")):
        joined = {"NetworkSettings": {"Networks": {"bridge": {"NetworkID": network_id}}}}
        container = daemon.put(name, inspect=joined)
        said = {"Name": "bridge", "Id": network_id, "Scope": "local", "Containers": {container: {"Name": name}}}
        daemon.answers[f"/networks/{network_id}"] = (200, json.dumps(said).encode())
    async with swarm(first, second) as manager:
        said = (await manager.client.get("/networks/bridge")).json()
        assert sorted(each["Name"] for each in said["Containers"].values()) == ["db", "web"]
        assert (said["Node"]["Name"], said["Nodes"]) == ("node-1", ["node-1", "node-2"])
        assert "Nodes" not in (await manager.client.get("/networks/node-2/bridge")).json()
        await lose(manager.cluster, first)
        assert (await manager.client.get("/networks/bridge")).json()["Node"]["Name"] == "node-2"
        assert message(await manager.client.delete("/networks/bridge"))[0] == 403


@table.changed(
    "default-driver",
    "a network without a driver, which is what compose asks for",
    classic="An overlay network, which failed without a key-value store for the engines.",
    why="`docker-compose up` works on plain engines.",
)
async def default_driver() -> None:
    """A bridge on one node, unless all nodes form a swarm: then an overlay. `--cluster-opt swarm.network` chooses."""
    first, second = _two()
    second.put("full")
    async with swarm(first, second) as manager:
        assert (await manager.post("/networks/create", json={"Name": "new"})).json()["Id"] == "e1"
    async with swarm(first, second, default_network="overlay") as manager:
        await manager.post("/networks/create", json={"Name": "new", "Driver": None})
    bodies = [*first.bodies_of(CREATE), *second.bodies_of(CREATE)]
    assert {each["Driver"] for each in bodies} == {"bridge", "overlay"}
    swarms = {"NodeID": "n1", "LocalNodeState": "active", "RemoteManagers": [{"NodeID": "n1"}]}
    first.info_fields = {"Swarm": {**swarms, "ControlAvailable": True}}
    second.info_fields = {"Swarm": {**swarms, "NodeID": "n2"}}
    async with swarm(first, second) as manager:
        await manager.post("/networks/create", json={"Name": "new"})
    assert first.bodies_of(CREATE)[-1] == {"Name": "new", "Driver": "overlay", "Attachable": True}


@table.kept("create", "`docker network create`")
async def create() -> None:
    """`node/name` goes to that node under its own name, the rest to the node that the strategy puts first."""
    first, second = _two()
    first.put("full")
    async with swarm(first, second) as manager:
        made = await manager.post("/networks/create", json={"Name": "node-1/new", "Driver": "bridge", "Unheard": 1})
        assert (made.status_code, made.json()) == (201, {"Id": "e1", "Warning": ""})
        await manager.post("/networks/create", json={"Name": "new", "Driver": "bridge"})
    assert first.bodies_of(CREATE) == [{"Name": "new", "Driver": "bridge", "Unheard": 1}]
    assert second.bodies_of(CREATE) == [{"Name": "new", "Driver": "bridge"}]


@table.changed(
    "create-on-asked-node",
    "a create with the header `X-Swarmproxy-Node` or the parameter `node`",
    classic="No such header.",
    why="For names that clients take no node in front of; all else that makes something obeys it as well.",
)
async def create_on_asked_node() -> None:
    """Made there; 404 for a node that there is not."""
    first, second = _two()
    second.put("full")
    async with swarm(first, second) as manager:
        body = {"Name": "new", "Driver": "bridge"}
        await manager.post("/networks/create?node=node-2", json=body)
        await manager.post("/networks/create", json=body, headers={"X-Swarmproxy-Node": "node-2"})
        assert message(await manager.post("/networks/create?node=node-3", json=body)) == (404, "No such node: node-3")
    assert (first.bodies_of(CREATE), second.bodies_of(CREATE)) == ([], [body, body])


@table.mended(
    "duplicates",
    "a second network of one name",
    classic="Made on another node; then the name was ambiguous.",
    why="Two `docker-compose up` at the same time made two networks, and both projects broke.",
)
async def duplicates() -> None:
    """409 in a daemon's words if the client asks for the check (all docker CLIs do) or is of API 1.44 or later."""
    async with swarm(*_two()) as manager:
        body: dict[str, Any] = {"Name": "blue", "Driver": "bridge"}
        refused = await manager.post("/v1.41/networks/create", json={**body, "CheckDuplicate": True})
        assert message(refused) == (409, "network with name blue already exists")
        assert message(await manager.post("/v1.44/networks/create", json=body))[0] == 409
        assert (await manager.post("/v1.41/networks/create", json=body)).status_code == 201


@table.kept("connect", "`docker network connect` and `disconnect`")
async def connect() -> None:
    """The container's engine does it, and is told the container's ID."""
    first, second = _two()
    for daemon in (first, second):
        daemon.answers |= dict.fromkeys((f"/networks/{BLUE}/connect", f"/networks/{MESH}/disconnect"), (200, b""))
    web = first.put("web")
    async with swarm(first, second) as manager:
        said = await manager.post("/networks/blue/connect", json={"Container": "node-1/web", "Unheard": 1})
        assert said.status_code == 200
        await manager.post("/networks/mesh/disconnect", json={"Container": "web"})
    assert first.bodies_of(f"POST /networks/{BLUE}/connect") == [{"Container": web, "Unheard": 1}]
    assert first.bodies_of(f"POST /networks/{MESH}/disconnect") == [{"Container": web}]


@table.changed(
    "connect-errors",
    "a connect or disconnect that fails",
    classic="404 for whatever the engine or the network said.",
    why="The engine's own status and words; 403 for a network that is not on the container's node.",
)
async def connect_errors() -> None:
    """Statuses say what is wrong."""
    first, second = _two()
    first.put("web")
    first.answers[f"/networks/{BLUE}/connect"] = (409, b'{"message":"already attached"}')
    async with swarm(first, second) as manager:
        body = {"Container": "web"}
        assert message(await manager.post("/networks/blue/connect", json=body)) == (409, "already attached")
        assert message(await manager.post("/networks/nope/connect", json=body)) == (404, "network nope not found")
        status, text = message(await manager.post("/networks/node-2/twin/connect", json=body))
        assert (status, text) == (
            403,
            "container web is on node node-1, where network node-2/twin is not: it would be node-2/twin",
        )
        got = message(await manager.post("/networks/blue/connect", json={"Container": "nope"}))
        assert got == (404, "No such container: nope")


@table.kept("remove", "`docker network rm` of a shared network whose node is down")
async def remove() -> None:
    """Another node that has it is asked; one that is only on that node cannot be removed."""
    first, second = _two()
    first.answers[f"/networks/{MESH}"] = (204, b"")
    async with swarm(first, second) as manager:
        await lose(manager.cluster, second)
        assert (await manager.client.delete("/networks/mesh")).status_code == 204
        got = message(await manager.client.delete("/networks/node-2/twin"))
        assert got == (500, "network node-2/twin is on a node that does not answer: node-2")
        assert "mesh" not in await _names(manager)
