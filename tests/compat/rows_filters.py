"""Places that depend on other containers and on images: ports, dependencies, affinities."""

import asyncio
import json
from typing import Any

import httpx

from tests.api.image_front import Front
from tests.compat.daemon import Daemon
from tests.compat.row import Table
from tests.compat.swarm import SWARM_ID, WEB, create, message, refusal, swarm

table = Table("Ports, dependencies and affinities")

CREATED = "POST /containers/create"
REFUSED = "Unable to find a node that satisfies the following conditions "
SLOTS = "[available container slots]"


def _publishing(*ports: str) -> dict[str, Any]:
    """Return the HostConfig of `-p ip:port/protocol` for each of `ports`."""
    bound: dict[str, Any] = {}
    for number, each in enumerate(ports):
        address, _, protocol = each.partition("/")
        ip, _, port = address.rpartition(":")
        bound[f"{80 + number}/{protocol or 'tcp'}"] = [{"HostIp": ip, "HostPort": port}]
    return {"PortBindings": bound}


async def _place(manager: Front, name: str = "", **body: Any) -> str:
    """Create a container and return its node, or the text of the refusal."""
    return await _outcome(manager, await create(manager, name, **body))


async def _outcome(manager: Front, answer: httpx.Response) -> str:
    if answer.status_code == 201:
        return manager.cluster.find(answer.json()["Id"]).engine.name
    status, text = refusal(answer)
    assert status == 500
    return text


def _two() -> tuple[Daemon, Daemon]:
    """Return two nodes; spread would choose the first, node-1, for lack of containers."""
    first, second = Daemon("node-1"), Daemon("node-2")
    for name in ("busy", "busier"):
        second.put(name)
    return first, second


@table.kept("ports", "a port of the host that is taken, `-p 80:80`")
async def ports() -> None:
    """Nodes with a container on that port, running or stopped, are left out; the refusal names the ports."""
    first, second = _two()
    first.put("old", state="exited", started="2026-01-01T00:00:00Z", host=_publishing("80"))
    async with swarm(first, second) as manager:
        assert await _place(manager, "new", HostConfig=_publishing("80")) == "node-2"
        assert await _place(manager, HostConfig=_publishing("80")) == f"{REFUSED}\n[port 80 (Bridge mode)]"
        assert await _place(manager, HostConfig=_publishing("81")) == "node-1"


@table.kept("port-addresses", "the same port on different addresses of the host")
async def port_addresses() -> None:
    """Taken if the addresses are the same, or one of the two is `0.0.0.0`, `::` or not given."""
    first, second = _two()
    first.put("old", host=_publishing("127.0.0.1:4242"))
    async with swarm(first, second) as manager:
        for taken in ("127.0.0.1:4242", "0.0.0.0:4242", "4242"):
            made = await create(manager, HostConfig=_publishing(taken))
            assert await _outcome(manager, made) == "node-2"
            await manager.client.delete(f"/containers/{made.json()['Id']}")
        assert await _place(manager, HostConfig=_publishing("192.168.1.1:4242")) == "node-1"


@table.kept("random-port", "a port that the engine chose")
async def random_port() -> None:
    """The one on the host is taken, the one in the container is not."""
    first, second = _two()
    chosen = {"NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "1234"}]}}}
    first.put("old", host=_publishing(""), inspect=chosen)
    async with swarm(first, second) as manager:
        assert await _place(manager, HostConfig=_publishing("1234")) == "node-2"
        assert await _place(manager, HostConfig=_publishing("80")) == "node-1"


@table.mended(
    "port-protocol",
    "a port that is taken for another protocol: 53/tcp and 53/udp",
    classic="The protocol was not looked at: refused.",
    why="A name server takes both, and from two containers that was not possible.",
)
async def port_protocol() -> None:
    """Free."""
    daemon = Daemon()
    daemon.put("old", host=_publishing("53/tcp"))
    async with swarm(daemon) as manager:
        assert await _place(manager, HostConfig=_publishing("53/udp")) == "node-1"
        assert await _place(manager, HostConfig=_publishing("53/tcp")) == f"{REFUSED}\n[port 53 (Bridge mode)]"


@table.mended(
    "port-ranges",
    "a range of ports, `-p 8000-8010:80`",
    classic="Compared as text: 8005 counted as free.",
    why="The container was made, and then did not start.",
)
async def port_ranges() -> None:
    """Taken where any port of it is."""
    daemon = Daemon()
    daemon.put("old", host=_publishing("8000-8010"))
    async with swarm(daemon) as manager:
        for taken in ("8005", "8010-8020"):
            refused = await _place(manager, HostConfig=_publishing(taken))
            assert refused == f"{REFUSED}\n[port {taken} (Bridge mode)]"
        assert await _place(manager, HostConfig=_publishing("8011")) == "node-1"


@table.kept("host-ports", "`--net host` and `--expose 80`, twice")
async def host_ports() -> None:
    """Each needs a node of its own."""
    daemon = Daemon()
    daemon.put("old", host={"NetworkMode": "host"}, inspect={"Config": {"ExposedPorts": {"80/tcp": {}}}})
    async with swarm(daemon) as manager:
        wanted: dict[str, Any] = {"ExposedPorts": {"80/tcp": {}}, "HostConfig": {"NetworkMode": "host"}}
        assert await _place(manager, **wanted) == f"{REFUSED}\n[port 80/tcp (Host mode)]"


@table.mended(
    "host-and-published",
    "a published port and one of a container with `--net host`",
    classic="Not compared.",
    why="It is the same port: one of the two did not start.",
)
async def host_and_published() -> None:
    """Compared, either way round."""
    exposed: dict[str, Any] = {"Config": {"ExposedPorts": {"80/tcp": {}}}}
    daemon = Daemon()
    daemon.put("host", host={"NetworkMode": "host"}, inspect=exposed)
    daemon.put("published", host=_publishing("81"))
    async with swarm(daemon) as manager:
        assert await _place(manager, HostConfig=_publishing("80")) == f"{REFUSED}\n[port 80 (Bridge mode)]"
        wanted: dict[str, Any] = {"ExposedPorts": {"81/tcp": {}}, "HostConfig": {"NetworkMode": "host"}}
        assert await _place(manager, **wanted) == f"{REFUSED}\n[port 81/tcp (Host mode)]"


@table.mended(
    "ports-in-flight",
    "creates that want one port at the same time",
    classic="Published ports of containers being made counted; those of `--net host` did not.",
    why="Two servers were put on one port.",
)
async def ports_in_flight() -> None:
    """Both kinds count: of three on two nodes one is refused."""
    daemons = Daemon("node-1"), Daemon("node-2")
    for daemon in daemons:
        daemon.slow_s["/containers/create"] = 0.05
    async with swarm(*daemons) as manager:
        host = {"ExposedPorts": {"90/tcp": {}}, "HostConfig": {"NetworkMode": "host"}}
        for wanted in ({"HostConfig": _publishing("80")}, host):
            outcomes = await asyncio.gather(*(create(manager, **wanted) for _ in range(3)))
            assert sorted(each.status_code for each in outcomes) == [201, 201, 500]
        assert [len(daemon.containers) for daemon in daemons] == [2, 2]


@table.kept("dependencies", "`--volumes-from c0:ro --link c1:alias --net container:c1`")
async def dependencies() -> None:
    """Only the node that holds all those containers, running or not; else a refusal that names the options."""
    first, second = _two()
    holder = second.put("c0", WEB, state="exited", started="2026-01-01T00:00:00Z")
    second.put("c1")
    first.put("c2")
    async with swarm(first, second) as manager:
        wanted = {"VolumesFrom": ["c0:ro"], "Links": ["/c1:alias"], "NetworkMode": "container:c1"}
        assert await _place(manager, HostConfig=wanted) == "node-2"
        for name in (holder, holder[:12], "c0", "/c0", "node-2/c0", "node-2/c0:ro"):
            assert await _place(manager, HostConfig={"VolumesFrom": [name]}) == "node-2"
        refused = await _place(manager, HostConfig={"VolumesFrom": ["c2"], "Links": ["c1:x"], "NetworkMode": "host"})
        assert refused == f"{REFUSED}\n{SLOTS}\n[--volumes-from=c2 --link=c1:x]"
        for unknown in ("nobody", ""):
            refused = await _place(manager, HostConfig={"NetworkMode": f"container:{unknown}"})
            assert refused == f"{REFUSED}\n{SLOTS}\n[--net=container:{unknown}]"


@table.mended(
    "dependency-modes",
    "`--ipc container:c0` and `--pid container:c0`",
    classic="Not looked at: the container was put anywhere, and the engine refused it.",
    why="They need that container as much as `--net container:c0` does.",
)
async def dependency_modes() -> None:
    """The node that holds it."""
    first, second = _two()
    second.put("c0")
    async with swarm(first, second) as manager:
        for mode, option in (("IpcMode", "ipc"), ("PidMode", "pid")):
            assert await _place(manager, HostConfig={mode: "container:c0"}) == "node-2"
            refused = await _place(manager, HostConfig={mode: "container:nobody"})
            assert refused == f"{REFUSED}\n{SLOTS}\n[--{option}=container:nobody]"


@table.mended(
    "dependency-names",
    "`--link node-2/c0`, and other names that only the cluster knows",
    classic="The right node was chosen, and its engine was told a name that it does not know.",
    why="Those are the names that `docker ps` prints.",
)
async def dependency_names() -> None:
    """The engine gets its own name for the container; a name that it understands stays as it is."""
    first, second = _two()
    held = second.put("c0", WEB, labels={"com.docker.swarm.id": SWARM_ID})
    async with swarm(first, second) as manager:
        wanted = {
            "VolumesFrom": ["node-2/c0:ro", "c0", held[:12]],
            "Links": ["node-2/c0", "node-2/c0:db", "c0"],
            "NetworkMode": "container:node-2/c0",
            "IpcMode": f"container:{SWARM_ID}",
            "PidMode": "host",
        }
        assert await _place(manager, HostConfig=wanted) == "node-2"
        assert second.bodies_of(CREATED)[0]["HostConfig"] == {
            "VolumesFrom": ["c0:ro", "c0", held[:12]],
            "Links": ["c0:c0", "c0:db", "c0"],
            "NetworkMode": "container:c0",
            "IpcMode": "container:c0",
            "PidMode": "host",
        }


@table.changed(
    "dependency-ambiguous",
    "`--volumes-from c0` where containers of two nodes have that name",
    classic="500: no node satisfies the conditions.",
    why="The client has to know what to write instead.",
)
async def dependency_ambiguous() -> None:
    """409, with the names to choose from."""
    first, second = _two()
    for daemon in (first, second):
        daemon.put("c0")
    async with swarm(first, second) as manager:
        status, text = message(await create(manager, HostConfig={"VolumesFrom": ["c0"]}))
        assert (status, text.count("node-1/c0"), text.count("node-2/c0")) == (409, 1, 1)
        assert await _place(manager, HostConfig={"VolumesFrom": ["node-2/c0"]}) == "node-2"


@table.kept("affinity-container", "`affinity:container==web`")
async def affinity_container() -> None:
    """Nodes that hold, or for `!=` do not hold, a container of that name or full ID, whatever its state."""
    first, second = _two()
    held = second.put("web", state="exited", started="2026-01-01T00:00:00Z")
    async with swarm(first, second) as manager:
        for expression in ("==web", f"=={held}", "==we*", "==/^w.b$/", "!=nobody*x", "==~web"):
            expected = "node-1" if expression.startswith("!=") else "node-2"
            made = await create(manager, Env=[f"affinity:container{expression}"])
            assert await _outcome(manager, made) == expected, expression
            await manager.client.delete(f"/containers/{made.json()['Id']}")
        assert await _place(manager, Env=["affinity:container!=web"]) == "node-1"
        assert await _place(manager, Env=["affinity:container==~nobody"]) == "node-1"
        refused = await _place(manager, Env=["affinity:container==web", "affinity:container!=web"])
        said = "[container==web (soft=false) container!=web (soft=false)]"
        assert refused == f"{REFUSED}\n{SLOTS}\n{said}"


@table.kept("affinity-image", "`affinity:image==redis`")
async def affinity_image() -> None:
    """Nodes with, or without, an image of that ID, tag or repository."""
    first, second = _two()
    second.hold("a1b2c3d4e5f6a7b8", "redis:7")
    async with swarm(first, second) as manager:
        for known in ("redis", "redis:7", "r*", "sha256:a1b2c3d4e5f6*"):
            assert await _place(manager, Env=[f"affinity:image=={known}"]) == "node-2", known
        assert await _place(manager, Env=["affinity:image!=redis"]) == "node-1"
        refused = await _place(manager, Env=["affinity:image==redis:6"])
        assert refused == f"{REFUSED}\n{SLOTS}\n[image==redis:6 (soft=false)]"


@table.kept("affinity-label", "`affinity:com.example.tier==front`")
async def affinity_label() -> None:
    """Nodes with a container of that label; one without it has an empty text, and no container has nothing."""
    first, second = _two()
    second.put("web", labels={"com.example.tier": "front"})
    async with swarm(first, second) as manager:
        assert await _place(manager, Env=["affinity:com.example.tier==front"]) == "node-2"
        assert await _place(manager, Env=["affinity:com.example.tier==*"]) == "node-2"
        assert await _place(manager, Env=["affinity:com.example.tier!=front"]) == "node-1"


@table.changed(
    "affinity-short",
    "an affinity to a short ID",
    classic="Did not match, although the documentation said that it did: `abc*` was needed.",
    why="Short IDs are what `docker ps` and `docker images` print.",
)
async def affinity_short() -> None:
    """12 characters of an ID match, and image IDs without `sha256:`."""
    first, second = _two()
    held = second.put("web")
    digits = "a1b2c3d4e5f6a7b8"
    second.hold(digits, "redis:7")
    async with swarm(first, second) as manager:
        for expression in (f"container=={held[:12]}", f"image=={digits[:12]}", f"image=={digits}"):
            assert await _place(manager, Env=[f"affinity:{expression}"]) == "node-2", expression


@table.kept("affinity-in-flight", "an affinity to a container that is being made")
async def affinity_in_flight() -> None:
    """Its name and labels count already: three that keep apart never share a node."""
    daemons = Daemon("node-1"), Daemon("node-2")
    for daemon in daemons:
        daemon.slow_s["/containers/create"] = 0.05
    async with swarm(*daemons) as manager:
        by_name = {"Env": ["affinity:container!=apart-*"]}
        by_label = {"Env": ["affinity:tier!=db"], "Labels": {"tier": "db"}}
        for prefix, wanted in (("apart-", by_name), ("db-", by_label)):
            outcomes = await asyncio.gather(*(create(manager, f"{prefix}{n}", **wanted) for n in range(3)))
            assert sorted(each.status_code for each in outcomes) == [201, 201, 500]
        assert [len(daemon.containers) for daemon in daemons] == [2, 2]


@table.changed(
    "networks",
    "`--net node/net` and `--net net`",
    classic="A soft constraint on the node of the network, kept in the label, unless a hard constraint names a node.",
    why="On any other node the create would fail, and projects fell apart.",
)
async def networks() -> None:
    """Only that node will do, which no label says; the engine gets the network's own name."""
    first, second = _two()
    second.networks.append({"Name": "blue", "Id": "b1ue", "Driver": "bridge"})
    config: dict[str, Any] = {"EndpointsConfig": {"node-2/blue": {"Aliases": ["a"]}}}
    async with swarm(first, second) as manager:
        wanted: dict[str, Any] = {"HostConfig": {"NetworkMode": "node-2/blue"}, "NetworkingConfig": config}
        assert await _place(manager, **wanted) == "node-2"
        (body,) = second.bodies_of(CREATED)
        assert body["HostConfig"]["NetworkMode"] == "blue"
        assert body["NetworkingConfig"]["EndpointsConfig"] == {"blue": {"Aliases": ["a"]}}
        assert list(body["Labels"]) == ["com.docker.swarm.id"]
        refused = await _place(manager, **wanted, Env=["constraint:node==node-1"])
        assert refused == f"{REFUSED}\n{SLOTS}\n[--net=node-2/blue (only on node-2)]\n[node==node-1]"
        assert await _place(manager, HostConfig={"NetworkMode": "blue"}) == "node-2"
        assert await _place(manager, HostConfig={"NetworkMode": "nowhere/blue"}) == "node-1"
        assert json.dumps(first.bodies_of(CREATED)).count("nowhere/blue") == 1
