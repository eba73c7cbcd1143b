"""Which of classic's routes there are."""

from tests.api.image_front import Front
from tests.compat.daemon import Daemon
from tests.compat.row import Table
from tests.compat.swarm import NOBODY, message, swarm

table = Table("Routes")

PAGE_NOT_FOUND = (404, "page not found")
NO_BODY = "invalid JSON: got EOF while reading request body"
NETWORKS = (
    "GET /networks/x|POST /networks/create|POST /networks/x/connect|POST /networks/x/disconnect|DELETE /networks/x"
)
CONTAINERS = (
    "GET top|GET logs|GET stats|GET changes|GET export|GET archive|PUT archive|GET json|GET attach/ws|POST kill|"
    "POST pause|POST unpause|POST restart|POST stop|POST update|POST wait|POST rename|POST start|POST resize|"
    "POST attach|POST exec"
)
SWARM_MODE = "/swarm|/nodes|/services|/tasks|/secrets|/configs"


async def _ask(manager: Front, requests: str, prefix: str = "") -> list[tuple[str, tuple[int, str]]]:
    answers = []
    for request in requests.split("|"):
        method, _, path = request.rpartition(" ")
        answer = await manager.client.request(method or "GET", f"{prefix}{path}")
        answers.append((request, message(answer)))
    return answers


@table.kept("ours", "what the cluster answers itself")
async def ours(standing: Front) -> None:
    """`/_ping`, `/info`, `/version`, `/containers/json`, `/containers/ps` and `/images/json`."""
    for path in ("/_ping", "/info", "/version", "/containers/json", "/containers/ps", "/images/json"):
        assert (await standing.client.get(path)).status_code == 200, path


@table.kept("containers", "what is asked of one container")
async def containers(standing: Front) -> None:
    """Every route of classic is there, with a version and without."""
    for prefix in ("/containers/x/", "/v1.24/containers/x/"):
        for request, said in await _ask(standing, CONTAINERS, prefix):
            assert said == (404, "No such container: x"), request
    assert (await standing.client.head("/containers/x/archive")).status_code == 404
    assert message(await standing.client.delete("/containers/x")) == (404, "No such container: x")
    assert message(await standing.post("/commit?container=x")) == (404, "No such container: x")


@table.kept("execs", "what is asked of an exec instance")
async def execs(standing: Front) -> None:
    """`json`, `start` and `resize`; there is no way to remove one."""
    for request, (status, text) in await _ask(standing, "GET json|POST start|POST resize", "/exec/x/"):
        assert (status, text != "page not found") == (404, True), request
    assert message(await standing.client.delete("/exec/x")) == PAGE_NOT_FOUND


@table.kept("images", "what is asked of one image")
async def images(standing: Front) -> None:
    """`json`, `history`, `get`, `push`, `tag`, remove, and `get` of several."""
    requests = "GET json|GET history|GET get|POST push|POST tag"
    for request, (status, text) in await _ask(standing, requests, "/images/no/such:1/"):
        assert (status, text) == (404, "No such image: no/such:1"), request
    assert message(await standing.client.delete("/images/no/such:1"))[1] == "No such image: no/such:1"
    assert message(await standing.client.get("/images/get?names=a&names=b"))[1].startswith("No such image: a")


@table.kept("writes", "what makes or brings something")
async def writes() -> None:
    """`/containers/create`, `/images/create` and `/images/load` are there, and say when no node is."""
    async with swarm(dead=[NOBODY]) as manager:
        created = await manager.post("/containers/create", json={"Image": "a"})
        assert message(created)[1] == "No healthy node available in the cluster"
        for path in ("/images/create?fromImage=a", "/images/load"):
            assert message(await manager.post(path))[1] == "No healthy node available in the cluster"


@table.kept("any-node", "`POST /auth` and `GET /images/search`")
async def any_node() -> None:
    """One node answers: the healthy one with the fewest containers."""
    empty, full = Daemon("empty"), Daemon("full")
    full.put("c")
    empty.answers = {"/auth": (200, b'{"Status":"ok"}'), "/images/search": (200, b'[{"name":"a"}]')}
    async with swarm(full, empty) as manager:
        assert (await manager.post("/auth", json={"username": "u"})).json() == {"Status": "ok"}
        assert (await manager.client.get("/images/search?term=a")).json() == [{"name": "a"}]
        assert empty.targets[-1].endswith("/images/search?term=a")


@table.kept("networks", "what is asked of networks")
async def networks(standing: Front) -> None:
    """Every route of classic is there."""
    assert (await standing.client.get("/networks")).status_code == 200
    for request, (status, text) in await _ask(standing, NETWORKS):
        assert (status, text) in ((404, "network x not found"), (400, NO_BODY)), request


@table.changed(
    "swarm-mode",
    "swarm mode: services, nodes, secrets, configs, tasks",
    classic="404: this is another product of the same name.",
    why="Clients look there by themselves, as compose does, and know what to make of an engine that is in no swarm.",
)
async def swarm_mode(standing: Front) -> None:
    """503 in the words of an engine that is in no swarm; 501 for making one, unless `swarm.mode=auto` allows that."""
    for request, (status, text) in await _ask(standing, SWARM_MODE):
        assert (status, text.startswith("This node is not a swarm manager.")) == (503, True), request
    for request, (status, _) in await _ask(standing, "POST /swarm/init|POST /swarm/join"):
        assert status == 501, request


@table.changed(
    "system-df",
    "`docker system df`",
    classic="404.",
    why="Full disks are found with it; and newer clients ask it without being told to.",
)
async def system_df() -> None:
    """The sum of all nodes; single items under `-v` with the name of their node."""
    daemons = [Daemon("node-1"), Daemon("node-2")]
    for daemon in daemons:
        daemon.answers["/system/df"] = (200, b'{"LayersSize":5,"Volumes":[{"Name":"data"}]}')
    async with swarm(*daemons) as manager:
        cli = {"User-Agent": "Docker-Client/28.5.2 (linux)"}
        told = (await manager.client.get("/v1.41/system/df", headers=cli)).json()
        assert told["LayersSize"] == 10
        assert sorted(each["Name"] for each in told["Volumes"]) == ["node-1/data", "node-2/data"]


@table.changed(
    "plugins",
    "`docker plugin`",
    classic="404.",
    why="They decide which volume and network drivers a node has.",
)
async def plugins() -> None:
    """Listed as `node/name`; changed on the node that is named, and refused without one if there are several."""
    daemons = [Daemon("node-1"), Daemon("node-2")]
    daemons[0].answers = {
        "/plugins": (200, b'[{"Name":"a/b:1"}]'),
        "/plugins/a/b:1/disable": (200, b""),
    }
    daemons[1].answers = {"/plugins": (200, b"[]")}
    async with swarm(*daemons) as manager:
        assert (await manager.client.get("/plugins")).json() == [{"Name": "node-1/a/b:1"}]
        assert (await manager.post("/plugins/node-1/a/b:1/disable")).status_code == 200
        assert daemons[0].written[-1][0].path == "/plugins/a/b:1/disable"
        status, text = message(await manager.post("/plugins/pull?remote=a/b:1"))
        assert (status, text.startswith("a plugin is installed on one node")) == (400, True)


@table.changed(
    "checkpoints",
    "`docker checkpoint`",
    classic="404.",
    why="They are one container's, so its engine can answer as for all else.",
)
async def checkpoints() -> None:
    """Passed to the container's engine, which may know them or not."""
    daemon = Daemon("node-1")
    path = f"/containers/{daemon.put('web')}/checkpoints"
    daemon.answers = {path: (200, b"[]"), f"{path}/one": (204, b"")}
    async with swarm(daemon) as manager:
        assert (await manager.client.get("/containers/web/checkpoints")).json() == []
        assert (await manager.client.delete("/containers/node-1/web/checkpoints/one")).status_code == 204


@table.changed(
    "prune",
    "`docker container prune`, `docker image prune` and `docker builder prune`",
    classic="404.",
    why="The first thing that operators of full nodes ask for.",
)
async def prune() -> None:
    """Done on all healthy nodes, or on that of `--filter node=`, and summed up."""
    daemons = [Daemon("node-1"), Daemon("node-2")]
    for daemon in daemons:
        for path, member in (("/containers/prune", "ContainersDeleted"), ("/build/prune", "CachesDeleted")):
            said = f'{{"{member}":["{daemon.name}"],"SpaceReclaimed":5}}'
            daemon.answers[path] = (200, said.encode())
    async with swarm(*daemons) as manager:
        assert (await manager.post("/containers/prune")).json() == {
            "ContainersDeleted": ["node-1", "node-2"],
            "SpaceReclaimed": 10,
        }
        told = (await manager.post("/build/prune?filters=%7B%22node%22:[%22node-2%22]%7D")).json()
        assert told == {"CachesDeleted": ["node-2"], "SpaceReclaimed": 5}


@table.changed(
    "viz",
    "`GET /images/viz`",
    classic="501, with `Not supported in clustering mode.` as text.",
    why="Docker dropped the route in 1.7; no client knows it.",
)
async def viz(standing: Front) -> None:
    """404."""
    assert message(await standing.client.get("/images/viz")) == PAGE_NOT_FOUND


@table.changed(
    "copy",
    "`POST /containers/x/copy`",
    classic="Passed to the engine.",
    why="Docker dropped the route with API 1.24; `archive` is there since 1.20, and clients since 1.8 use it.",
)
async def copy(standing: Front) -> None:
    """404."""
    assert message(await standing.post("/containers/web/copy")) == PAGE_NOT_FOUND
