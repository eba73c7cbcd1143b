"""The volume routes, through the real server, over scripted daemons."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.api.image_front import Front
from tests.cluster.image_daemon import lose
from tests.cluster.volume_daemon import VolumeDaemon
from tests.compat.swarm import swarm

CLI = {"User-Agent": "Docker-Client/28.5.2 (linux)"}
SDK = {"User-Agent": "docker-sdk-python/7.1.0"}
ANONYMOUS = "ab" * 32


async def names(manager: Front, filters: dict[str, Any] | None = None, client: dict[str, str] = CLI) -> list[str]:
    query = {"filters": json.dumps(filters)} if filters is not None else {}
    answer = await manager.client.get("/volumes", params=query, headers=client)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["Warnings"] is None
    return [each["Name"] for each in told["Volumes"]]


def message(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/json"
    return answer.status_code, answer.json()["message"]


async def create(manager: Front, client: dict[str, str] = CLI, **body: Any) -> httpx.Response:
    return await manager.post("/volumes/create", json=body, headers=client)


# Lists


async def test_list() -> None:
    """A docker CLI sees each node's volumes as `node/name`, programs see plain names; shared ones stand there once."""
    first, second = VolumeDaemon("n0", "data", "cache"), VolumeDaemon("n1", "data")
    for daemon in (first, second):
        daemon.hold_volume("all", "nfs")
    async with swarm(first, second) as manager:
        assert await names(manager) == ["all", "n0/cache", "n0/data", "n1/data"]
        assert await names(manager, client=SDK) == ["all", "cache", "data"]
        listed = (await manager.client.get("/volumes", headers=CLI)).json()["Volumes"]
        assert listed[1]["Mountpoint"] == "/n0/cache"


async def test_programs_see_what_differs() -> None:
    """Volumes under one name that were not made alike are not taken for one."""
    first, second = VolumeDaemon("n0", "data"), VolumeDaemon("n1")
    second.hold_volume("data", Labels={"tier": "front"})
    async with swarm(first, second) as manager:
        assert await names(manager, client=SDK) == ["data", "data"]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"name": ["da"]}, ["n0/data", "n1/data", "n1/dates"]),
        ({"name": ["n1/data"]}, ["n1/data"]),
        ({"node": ["n1"]}, ["all", "n1/data", "n1/dates"]),
        ({"driver": ["nfs"]}, ["all"]),
        ({"label": ["tier=front"]}, ["n1/dates"]),
        ({"label": ["tier"], "node": ["n0"]}, []),
        ({"dangling": ["false"]}, ["n0/data"]),
        ({"dangling": ["true"]}, ["all", "n1/data", "n1/dates"]),
        ({"name": {"all": True}}, ["all"]),
    ],
)
async def test_filters(filters: dict[str, Any], expected: list[str]) -> None:
    """Docker's filters and `node`; a volume is in use on the node of the container that mounts it."""
    first, second = VolumeDaemon("n0", "data"), VolumeDaemon("n1", "data")
    second.hold_volume("dates", Labels={"tier": "front"})
    for daemon in (first, second):
        daemon.hold_volume("all", "nfs")
    mount = {"Type": "volume", "Name": "data", "Source": "/n0/data", "Destination": "/data"}
    first.put("web", item={"Mounts": [mount]}, inspect={"Mounts": [mount]})
    async with swarm(first, second) as manager:
        assert await names(manager, filters) == expected


async def test_bad_filter() -> None:
    """An unknown filter is refused in the daemon's words."""
    async with swarm(VolumeDaemon("n0")) as manager:
        answer = await manager.client.get("/volumes", params={"filters": '{"size":["1"]}'})
        assert message(answer) == (400, "invalid filter 'size'")


# One volume


async def test_inspect() -> None:
    """A volume answers to its name and to `node/name`, live, and bears the name that it was asked for by."""
    first, second = VolumeDaemon("n0", "data"), VolumeDaemon("n1", "other")
    async with swarm(first, second) as manager:
        for name in ("data", "n0/data"):
            told = (await manager.client.get(f"/volumes/{name}")).json()
            assert (told["Name"], told["Node"]["Name"], told["Status"]) == (name, "n0", {"live": True})
        assert message(await manager.client.get("/volumes/no")) == (404, "get no: no such volume")
        assert message(await manager.client.get("/volumes/n1/data")) == (404, "get n1/data: no such volume")


async def test_inspect_of_one_name_on_several_nodes() -> None:
    """Volumes made alike are told as one, with their nodes; those that differ are named, for the client to choose."""
    first, second = VolumeDaemon("n0", "data"), VolumeDaemon("n1", "data")
    async with swarm(first, second) as manager:
        told = (await manager.client.get("/volumes/data")).json()
        assert (told["Name"], told["Nodes"]) == ("data", ["n0", "n1"])
        await create(manager, Name="n0/mixed", Labels={"a": "b"})
        await create(manager, Name="n1/mixed")
        refused = message(await manager.client.get("/volumes/mixed"))
        assert refused == (409, "volume name mixed is ambiguous: it may be n0/mixed, n1/mixed")
        assert (await manager.client.get("/volumes/n1/mixed")).json()["Mountpoint"] == "/n1/mixed"
        await lose(manager.cluster, first)
        assert (await manager.client.get("/volumes/data")).json()["Node"]["Name"] == "n1"
        refused = message(await manager.client.get("/volumes/n0/data"))
        assert refused == (503, "volume n0/data is on n0, which is Unhealthy")


# Creating


async def test_create_on_all_nodes() -> None:
    """A volume that names no node is made on all healthy ones; one without a name has the same new one everywhere."""
    daemons = [VolumeDaemon("n0"), VolumeDaemon("n1"), VolumeDaemon("n2")]
    async with swarm(*daemons) as manager:
        await lose(manager.cluster, daemons[2])
        answer = await create(manager, Name="data", Labels={"a": "b"}, DriverOpts={"o": "size=1m"})
        assert answer.status_code == 201
        assert (answer.json()["Name"], answer.json()["Options"]) == ("data", {"o": "size=1m"})
        assert [daemon.names for daemon in daemons] == [["data"], ["data"], []]
        assert await names(manager) == ["n0/data", "n1/data"]
        name = (await create(manager)).json()["Name"]
        assert len(name) == 64
        assert [daemon.names for daemon in daemons[:2]] == [["data", name]] * 2
        assert "com.docker.volume.anonymous" in daemons[0].volumes[-1]["Labels"]


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/volumes/create", {"Name": "n1/data"}),
        ("/volumes/create?node=n1", {"Name": "data"}),
        ("/volumes/create", {"Name": "data", "Labels": {"com.docker.swarm.whitelists": '["node==n1|n7"]'}}),
        ("/volumes/create", {"Name": "data", "Labels": {"com.docker.swarm.constraints": '["storage==disk"]'}}),
    ],
)
async def test_create_where_it_is_asked_for(target: str, body: dict[str, Any]) -> None:
    """The node comes from the name, a parameter or the labels that classic knew."""
    daemons = [VolumeDaemon("n0"), VolumeDaemon("n1", labels=["storage=disk"])]
    async with swarm(*daemons) as manager:
        answer = await manager.post(target, json=body)
        assert (answer.status_code, answer.json()["Name"]) == (201, body["Name"])
        assert [daemon.names for daemon in daemons] == [[], ["data"]]


async def test_create_for_a_project() -> None:
    """All local volumes of a compose project are made on one node, that of its network if it has one."""
    daemons = [VolumeDaemon("n0"), VolumeDaemon("n1"), VolumeDaemon("n2")]
    labels = {"com.docker.compose.project": "one"}
    daemons[1].networks.append({"Name": "two_default", "Id": "b1", "Driver": "bridge", "Scope": "local"})
    daemons[1].networks[-1]["Labels"] = {"com.docker.compose.project": "two"}
    async with swarm(*daemons) as manager:
        for name in ("one_data", "one_more"):
            assert (await create(manager, Name=name, Labels=labels)).status_code == 201
        assert sorted(len(daemon.names) for daemon in daemons) == [0, 0, 2]
        await create(manager, Name="two_data", Labels={"com.docker.compose.project": "two"})
        assert "two_data" in daemons[1].names
        await create(manager, Name="n2/one_extra", Labels=labels)
        assert "one_extra" in daemons[2].names
        assert sum(len(daemon.names) for daemon in daemons) == 4


async def test_create_nowhere() -> None:
    """Labels that no node satisfies, and what only swarm mode has, are refused before any engine hears of it."""
    daemons = [VolumeDaemon("n0"), VolumeDaemon("n1")]
    async with swarm(*daemons) as manager:
        labels = {"com.docker.swarm.constraints": '["storage==tape"]'}
        status, text = message(await create(manager, Name="data", Labels=labels))
        assert (status, "storage==tape" in text) == (500, True)
        assert (await create(manager, Name="data", ClusterVolumeSpec={})).status_code == 503
        assert (await manager.client.put("/volumes/data?version=1", json={})).status_code == 503
        assert message(await manager.post("/volumes/create", content=b"{"))[0] == 400
        assert [daemon.names for daemon in daemons] == [[], []]


async def test_create_of_a_shared_volume() -> None:
    """A driver that serves all nodes is asked once, on a node that has it."""
    daemons = [VolumeDaemon("n0"), VolumeDaemon("n1"), VolumeDaemon("n2")]
    for daemon in daemons[1:]:
        daemon.info_fields = {"Plugins": {"Volume": ["local", "nfs", "disks"]}}
    async with swarm(*daemons) as manager:
        assert (await create(manager, Name="all", Driver="nfs")).status_code == 201
        assert [daemon.names for daemon in daemons] == [[], ["all"], []]
        assert (await create(manager, Name="own", Driver="disks")).status_code == 201
        assert [daemon.names for daemon in daemons] == [[], ["all", "own"], ["own"]]


async def test_create_that_fails_on_one_node() -> None:
    """A node that refuses is named; what all refuse is told as one engine would."""
    daemons = [VolumeDaemon("n0"), VolumeDaemon("n1")]
    async with swarm(*daemons) as manager:
        daemons[1].answers["/volumes/create"] = (409, b'{"message":"a volume of that name exists"}')
        said = message(await create(manager, Name="data"))
        assert said == (409, "n1: a volume of that name exists\n(the other nodes have made it)")
        daemons[0].answers["/volumes/create"] = (409, b'{"message":"a volume of that name exists"}')
        assert message(await create(manager, Name="data")) == (409, "a volume of that name exists")


# Removing


async def test_remove() -> None:
    """A plain name is removed wherever it is, `node/name` there only, and what all nodes share once."""
    first, second = VolumeDaemon("n0", "data", "mine"), VolumeDaemon("n1", "data", "mine")
    for daemon in (first, second):
        daemon.hold_volume("all", "nfs")
    async with swarm(first, second) as manager:
        assert (await manager.client.delete("/volumes/n1/mine")).status_code == 204
        assert (await manager.client.delete("/volumes/data?force=1")).status_code == 204
        assert (await manager.client.delete("/volumes/all")).status_code == 204
        assert (first.names, second.names) == (["mine"], ["all"])
        assert await names(manager) == ["all", "n0/mine"]
        assert "/v1.51/volumes/data?force=1" in [asked.target for asked, _ in first.written]
        assert message(await manager.client.delete("/volumes/no")) == (404, "get no: no such volume")
        assert (await manager.client.delete("/volumes/no?force=1")).status_code == 204


async def test_remove_that_fails() -> None:
    """A volume in use stays and is told as the engine tells it; a node that does not answer is named."""
    first, second = VolumeDaemon("n0", "data", "idle"), VolumeDaemon("n1", "data", "idle")
    async with swarm(first, second) as manager:
        first.answers["/volumes/data"] = (409, b'{"message":"volume is in use"}')
        assert message(await manager.client.delete("/volumes/data")) == (409, "n0: volume is in use")
        assert await names(manager, {"name": ["data"]}) == ["n0/data"]
        await lose(manager.cluster, second)
        said = message(await manager.client.delete("/volumes/idle"))
        assert said == (500, "n1: the node is Unhealthy, and the volume still there")
        assert first.names == ["data"]


# Pruning


async def test_prune() -> None:
    """What the nodes removed is one list, named as in the client's list, and one sum."""
    daemons = [VolumeDaemon("n0", "data"), VolumeDaemon("n1", "data", "more")]
    async with swarm(*daemons) as manager:
        answer = await manager.post('/volumes/prune?filters={"node":["n1"],"label":["a"]}', headers=CLI)
        assert answer.json() == {"VolumesDeleted": ["n1/data", "n1/more"], "SpaceReclaimed": 10}
        [asked] = [asked for asked, _ in daemons[1].written if asked.path == "/volumes/prune"]
        assert json.loads(asked.query["filters"]) == {"label": {"a": True}}
        assert await names(manager) == ["n0/data"]
        answer = await manager.post("/volumes/prune", headers=SDK)
        assert answer.json() == {"VolumesDeleted": ["data"], "SpaceReclaimed": 5}


async def test_prune_on_older_and_newer_engines() -> None:
    """Which volumes go is what the client's version says: a newer client's named volumes stay on an old engine."""
    old, new = VolumeDaemon("n0", "named", ANONYMOUS, "11" * 32), VolumeDaemon("n1")
    old.version, old.api = "20.10.24", "1.41"
    old.volumes[-1]["Labels"] = {"keep": ""}
    new.min_api = "1.44"
    async with swarm(old, new) as manager:
        answer = await manager.post('/v1.51/volumes/prune?filters={"label!":["keep"]}', headers=SDK)
        assert answer.json() == {"VolumesDeleted": [ANONYMOUS], "SpaceReclaimed": 0}
        assert old.names == ["named", "11" * 32]
        [target] = [target for target in old.targets if "/volumes?" in target]
        assert parse_qs(urlsplit(target).query) == {"filters": ['{"dangling":["true"]}']}
        answer = await manager.post("/v1.41/volumes/prune", headers=SDK)
        assert answer.json()["VolumesDeleted"] == ["named", "11" * 32]
        asked = new.written[-1][0]
        assert json.loads(asked.query["filters"]) == {"all": {"true": True}}
