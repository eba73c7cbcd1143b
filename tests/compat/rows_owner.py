"""What is asked of one container: inspected, or passed on to the engine that has it."""

import asyncio
import json
from typing import Any

from tests.api.image_front import Front
from tests.cluster.image_daemon import lose
from tests.compat.daemon import Daemon
from tests.compat.row import Table
from tests.compat.swarm import WEB, message, names, swarm
from tests.engine.harness import eventually

table = Table("One container")


async def _inspected(standing: Front, name: str = "web") -> dict[str, Any]:
    answer: dict[str, Any] = (await standing.client.get(f"/containers/{name}/json")).json()
    return answer


@table.kept("node", "`Node` in docker inspect")
async def node(standing: Front) -> None:
    """ID with the address behind `|`, IP, Addr without scheme, Name, Cpus and Memory without overcommit, Labels."""
    engine = next(each for each in standing.cluster.engines() if each.name == "node-1")
    said = (await _inspected(standing))["Node"]
    assert said.pop("Labels")["storage"] == "ssd"
    assert said == {
        "ID": f"ID-node-1|{engine.address}",
        "IP": "127.0.0.1",
        "Addr": str(engine.address),
        "Name": "node-1",
        "Cpus": 4,
        "Memory": 8 << 30,
    }


@table.kept("host-ip", "addresses of published ports in docker inspect")
async def host_ip(standing: Front) -> None:
    """The node's address in NetworkSettings where the engine says all addresses; HostConfig is left alone."""
    said = await _inspected(standing)
    assert said["NetworkSettings"]["Ports"] == {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "80"}], "443/tcp": None}
    assert said["HostConfig"]["PortBindings"] == {"80/tcp": [{"HostIp": "", "HostPort": "80"}]}


@table.kept("shares", "HostConfig.CpuShares in docker inspect")
async def shares(standing: Front) -> None:
    """What the engine has, not the cores that were asked for."""
    assert (await _inspected(standing))["HostConfig"]["CpuShares"] == 512


@table.changed(
    "unknown-members",
    "members that came with newer engines, and the place of `Node`",
    classic="Lost: the answer was written anew from what API 1.40 knows, `Node` after LogPath.",
    why="A newer engine's answer reaches a newer client; JSON objects have no order.",
)
async def unknown_members(standing: Front) -> None:
    """Passed on as the engine wrote them; `Node` comes last."""
    said = await _inspected(standing)
    assert said["Unheard"] == {"of": 1}
    assert list(said)[-1] == "Node"


@table.changed(
    "size",
    "`docker inspect --size`",
    classic="The parameter was dropped.",
    why="The client asked for it.",
)
async def size() -> None:
    """Passed on."""
    daemon = Daemon()
    daemon.put("c")
    async with swarm(daemon) as manager:
        await manager.client.get("/containers/c/json?size=1")
        assert daemon.targets[-1].endswith("/json?size=1")


@table.kept("unhealthy", "a container on a node that is down")
async def unhealthy(standing: Front) -> None:
    """500 `Container x running on unhealthy node y`, at once."""
    for method, action in (("GET", "json"), ("GET", "logs"), ("POST", "stop"), ("POST", "kill"), ("POST", "rename")):
        answer = await standing.client.request(method, f"/containers/lost/{action}?name=n")
        assert message(answer) == (500, "Container lost running on unhealthy node node-10")


@table.kept("tried", "start and remove on a node that is down")
async def tried(standing: Front) -> None:
    """Tried, and 500 in words that Docker's users know, with the reason behind."""
    engine = next(each for each in standing.cluster.engines() if each.name == "node-10")
    for answer in (
        await standing.post("/containers/lost/start"),
        await standing.client.delete("/containers/lost"),
        await standing.post("/containers/lost/exec", json={"Cmd": ["true"]}),
    ):
        status, text = message(answer)
        assert status == 500
        assert text.startswith(
            f"Cannot connect to the Docker daemon at tcp://{engine.address}. Is the docker daemon running? ("
        )


@table.mended(
    "awkward-names",
    "containers called `containers`, `json`, `v1` or `e`",
    classic="The name was replaced where it first stood in the path, so that the engine got another path.",
    why="Such containers could be made, and not be stopped or removed.",
)
async def awkward_names() -> None:
    """The name is found by its place in the path."""
    daemon = Daemon()
    made = {name: daemon.put(name) for name in ("containers", "json", "v1", "e", "top")}
    for container_id in made.values():
        daemon.answers[f"/containers/{container_id}/top"] = (200, b"{}")
    async with swarm(daemon) as manager:
        for name, container_id in made.items():
            assert (await manager.client.get(f"/v1.40/containers/{name}/top")).status_code == 200
            assert daemon.targets[-1] == f"/v1.40/containers/{container_id}/top"
        await manager.post("/commit?container=container&container=e&repo=e")
        assert daemon.written[-1][0].query == {"container": made["e"], "repo": "e"}


@table.kept("fresh", "the list after a change")
async def fresh() -> None:
    """A client that was told of a change finds it in the next list, as classic read the container first."""
    daemon = Daemon()
    daemon.put("c")
    async with swarm(daemon) as manager:
        assert (await manager.post("/containers/c/stop")).status_code == 204
        assert names(await manager.client.get("/containers/json")) == []
        assert (await manager.post("/containers/c/start")).status_code == 204
        assert names(await manager.client.get("/containers/json")) == ["c"]
        assert (await manager.client.delete("/containers/c")).status_code == 204
        assert names(await manager.client.get("/containers/json?all=1")) == []


@table.changed(
    "engine-errors",
    "what an engine refuses",
    classic="500 for start, remove, rename, exec and create, whatever the engine's status was.",
    why="Clients act on 409 and 404: `docker rm` of a running container, compose on a name that is taken.",
)
async def engine_errors() -> None:
    """The engine's own status and message."""
    daemon = Daemon()
    container = daemon.put("c")
    said = b'{"message":"container is running"}'
    for path in ("", "/start", "/exec", "/rename"):
        daemon.answers[f"/containers/{container}{path}"] = (409, said)
    async with swarm(daemon) as manager:
        assert message(await manager.client.delete("/containers/c")) == (409, "container is running")
        for action in ("start", "rename?name=d"):
            assert message(await manager.post(f"/containers/c/{action}")) == (409, "container is running")
        assert message(await manager.post("/containers/c/exec", json={}))[0] == 409


@table.changed(
    "started-already",
    "start of a container that runs",
    classic="204.",
    why="A daemon's 304; the docker CLI takes both for success.",
)
async def started_already() -> None:
    """304."""
    daemon = Daemon()
    daemon.answers[f"/containers/{daemon.put('c')}/start"] = (304, b"")
    async with swarm(daemon) as manager:
        assert (await manager.post("/containers/c/start")).status_code == 304


@table.changed(
    "start-options",
    "options of start and remove",
    classic="The body and `checkpoint` of a start were thrown away, `link` of a remove too.",
    why="The engine decides what it knows.",
)
async def start_options() -> None:
    """Passed on."""
    daemon = Daemon()
    daemon.put("c")
    async with swarm(daemon) as manager:
        await manager.post("/containers/c/start?checkpoint=one", content=b"{}")
        asked, body = daemon.written[-1]
        assert (asked.query, body) == ({"checkpoint": "one"}, b"{}")
        await manager.client.delete("/containers/c?link=1&v=1&force=1")
        assert daemon.written[-1][0].query == {"link": "1", "v": "1", "force": "1"}


@table.kept("rename", "docker rename")
async def rename() -> None:
    """204; a name that any node has is 409."""
    first, second = Daemon("node-1"), Daemon("node-2")
    first.put("a")
    second.put("b")
    async with swarm(first, second) as manager:
        assert message(await manager.post("/containers/a/rename?name=b"))[0] == 409
        assert (await manager.post("/containers/a/rename?name=c")).status_code == 204
        assert names(await manager.client.get("/containers/json")) == ["c", "b"]


@table.mended(
    "rename-race",
    "two renames to the same name at the same time",
    classic="Both were looked at before either was made, and both went through.",
    why="Two containers of one name: neither could be reached by it.",
)
async def rename_race() -> None:
    """The name is held while an engine takes it: one is 409."""
    first, second = Daemon("node-1"), Daemon("node-2")
    first.slow_s[f"/containers/{first.put('a')}/rename"] = 0.1
    second.slow_s[f"/containers/{second.put('b')}/rename"] = 0.1
    async with swarm(first, second) as manager:
        answers = await asyncio.gather(*(manager.post(f"/containers/{name}/rename?name=c") for name in "ab"))
        assert sorted(answer.status_code for answer in answers) == [204, 409]


@table.kept("exec", "docker exec")
async def execute() -> None:
    """201 with an ID, by which start, inspect and resize find the engine."""
    first, second = Daemon("node-1"), Daemon("node-2")
    second.put("c")
    async with swarm(first, second) as manager:
        made = await manager.post("/containers/c/exec", json={"Cmd": ["true"]})
        assert made.status_code == 201
        second.answers[f"/exec/{made.json()['Id']}/json"] = (200, b'{"Running":false}')
        assert (await manager.client.get(f"/exec/{made.json()['Id']}/json")).json() == {"Running": False}


@table.changed(
    "exec-elsewhere",
    "an exec instance that this manager did not make",
    classic="404 `Exec x not found` unless an inspect had shown it.",
    why="A manager that has just started, or another one of the same cluster, can serve it.",
)
async def exec_elsewhere() -> None:
    """The nodes are asked; only if none has it, 404 `No such exec instance: x`, as a daemon says."""
    first, second = Daemon("node-1"), Daemon("node-2")
    second.answers["/exec/feed/json"] = (200, b'{"ID":"feed"}')
    async with swarm(first, second) as manager:
        assert (await manager.client.get("/exec/feed/json")).json() == {"ID": "feed"}
        assert message(await manager.client.get("/exec/dead/json")) == (404, "No such exec instance: dead")


@table.mended(
    "detached-exec",
    "`docker exec -d`",
    classic="Passed on, and then once more as a stream: the engine got the start twice, the second time cut short.",
    why="The command ran twice, or the engine logged a broken request each time.",
)
async def detached_exec() -> None:
    """Started once, with its whole body."""
    daemon = Daemon()
    daemon.put("c")
    async with swarm(daemon) as manager:
        made = (await manager.post("/containers/c/exec", json={"Cmd": ["true"]})).json()["Id"]
        started = await manager.post(f"/exec/{made}/start", json={"Detach": True, "Tty": False})
        assert started.status_code == 200
        assert daemon.bodies_of(f"POST /exec/{made}/start") == [{"Detach": True, "Tty": False}]


@table.mended(
    "swallowed-errors",
    "history, inspect, save and push of an image when the node breaks off",
    classic="An empty 200: the error was thrown away.",
    why="`docker save` wrote an empty file and said all was well.",
)
async def swallowed_errors() -> None:
    """500 with the reason; what the engine refuses keeps its status."""
    daemon = Daemon()
    daemon.answers["/images/busybox/get"] = (500, b'{"message":"no space left"}')
    async with swarm(daemon) as manager:
        assert message(await manager.client.get("/images/busybox/get")) == (500, "no space left")
        await daemon.stop()
        status, text = message(await manager.client.get("/images/busybox/json"))
        assert (status, text.partition(" at ")[0]) == (500, "Cannot connect to the Docker daemon")


@table.kept("gone-client", "a client that goes away")
async def gone_client() -> None:
    """What it asked of an engine ends there, too."""
    daemon = Daemon()
    container = daemon.put("c")
    daemon.stalls.add(f"/containers/{container}/logs")
    async with swarm(daemon) as manager:
        request = manager.client.build_request("GET", "/containers/c/logs?follow=1")
        async with asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(manager.client.send(request), name="follower")
            await eventually(lambda: daemon.hanging > 0)
            asking.cancel()
        await eventually(lambda: daemon.hanging == 0)


@table.kept("down-appears", "a node that goes down while it is asked")
async def down_appears() -> None:
    """The request fails in words that Docker's users know; from then on the containers are `Host Down`."""
    daemon = Daemon()
    daemon.put("c")
    async with swarm(daemon, Daemon("node-2")) as manager:
        await lose(manager.cluster, daemon)
        items = (await manager.client.get("/containers/json?all=1")).json()
        assert [item["Status"] for item in items] == ["Host Down"]
        filters = json.dumps({"id": [WEB]})
        assert (await manager.client.get("/containers/json", params={"filters": filters})).json() == []
