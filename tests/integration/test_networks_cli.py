"""`docker network` through a manager, by two versions of the CLI, over real engines."""

import json

from tests.hosts.engine import PREDEFINED_NETWORKS
from tests.integration.client import Docker
from tests.integration.ways import one_way


def names(docker: Docker, *options: str) -> list[str]:
    """Return the names that `docker network ls` prints."""
    return docker("network", "ls", "--format", "{{.Name}}", *options).lines


def own(docker: Docker) -> list[str]:
    """Return the names of the networks that somebody made."""
    return names(docker, "--filter", "type=custom")


def home(docker: Docker, network: str) -> str:
    """Return the node that has a network."""
    return str(json.loads(docker("network", "inspect", network).stdout)[0]["Node"]["Name"])


def node_of(docker: Docker, container: str) -> str:
    return docker.inspect(container, "{{.Node.Name}}")


def address_of(docker: Docker, container: str) -> str:
    """Return the IP address of a container that is on one network."""
    return docker.inspect(container, "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")


def test_life(docker: Docker) -> None:
    """A network is made on one node, listed with it, found by name, node/name and ID, and removed."""
    made = docker("network", "create", "--label", "a=b", "blue").stdout.strip()
    node = home(docker, "blue")
    assert own(docker) == [f"{node}/blue"]
    for name in ("blue", f"{node}/blue", made, made[:10]):
        inspected = json.loads(docker("network", "inspect", name).stdout)[0]
        assert (inspected["Name"], inspected["Id"], inspected["Labels"]) == ("blue", made, {"a": "b"})
    [engine] = [each for each in docker.engines if each.name == node]
    assert engine.get_json("/networks/blue")["Id"] == made
    assert docker("network", "rm", f"{node}/blue").stdout.strip() == f"{node}/blue"
    assert own(docker) == []
    for command in ("inspect", "rm"):
        assert "No such network: blue" in docker.refused("network", command, "blue").replace(
            "network blue not found", "No such network: blue"
        )


def test_networks_of_every_engine(docker: Docker) -> None:
    """Those that each engine has are listed for each, under the name of its node, and cannot be removed."""
    assert sorted(names(docker)) == sorted(
        f"{engine.name}/{name}" for engine in docker.engines for name in PREDEFINED_NETWORKS
    )
    first = docker.engines[0].name
    assert home(docker, f"{first}/bridge") == first
    refusal = "bridge is a pre-defined network and cannot be removed"
    assert refusal in docker.refused("network", "rm", "bridge")
    assert refusal in docker.refused("network", "rm", f"{first}/bridge")
    docker.start("on-bridge", "--net", "bridge")
    docker.start("on-host", "--net", "host")
    assert {node_of(docker, name) for name in ("on-bridge", "on-host")} == {each.name for each in docker.engines}
    [bridge] = json.loads(docker("network", "inspect", "bridge").stdout)
    assert [each["Name"] for each in bridge["Containers"].values()] == ["on-bridge"]
    assert bridge["Nodes"] == sorted(each.name for each in docker.engines)


def test_containers_meet(docker: Docker) -> None:
    """Containers of one network are on its node, however it is named and however full that is, and find each other."""
    made = docker("network", "create", "blue").stdout.strip()
    node = home(docker, "blue")
    for number, name in enumerate(("blue", made, made[:12], f"{node}/blue")):
        docker.start(f"c{number}", "--net", name)
        assert node_of(docker, f"c{number}") == node
    assert f"Address: {address_of(docker, 'c3')}\n" in docker("exec", "c0", "nslookup", "c3").stdout
    docker("exec", "c1", "ping", "-c", "1", "-w", "5", address_of(docker, "c2"))
    assert len(json.loads(docker("network", "inspect", "blue").stdout)[0]["Containers"]) == 4
    [other] = [engine.name for engine in docker.engines if engine.name != node]
    complaint = docker.refused("run", "-d", "--net", "blue", "-e", f"constraint:node=={other}", "busybox")
    assert f"[--net=blue (only on {node})]" in complaint
    assert "has active endpoints" in docker.refused("network", "rm", "blue")


def test_spread(docker: Docker) -> None:
    """Networks are spread, and their containers with them."""
    for name in ("blue", "green", "red", "grey"):
        docker("network", "create", name)
    homes = [home(docker, name) for name in ("blue", "green", "red", "grey")]
    assert sorted(homes) == sorted([each.name for each in docker.engines] * 2)
    docker.start("with-green", "--net", "green")
    assert node_of(docker, "with-green") == homes[1]


def test_asked_for(docker: Docker) -> None:
    """A network goes to the node of its name, or that its label asks for; on another one it may exist as well."""
    first, second = (engine.name for engine in docker.engines)
    docker("network", "create", f"{second}/blue")
    assert home(docker, "blue") == second
    docker("network", "create", "--label", f'com.docker.swarm.constraints=["node=={second}"]', "green")
    assert home(docker, "green") == second
    docker("network", "create", f"{first}/blue")
    assert sorted(own(docker)) == [f"{first}/blue", f"{second}/blue", f"{second}/green"]
    assert "ambiguous" in docker.refused("network", "inspect", "blue")
    assert "already exists" in docker.refused("network", "create", f"{first}/blue")
    for name in ("aa", "bb"):
        docker.start(name, "--net", "blue")  # either will do
    assert {node_of(docker, name) for name in ("aa", "bb")} == {first, second}
    complaint = docker.refused("network", "create", "--label", 'com.docker.swarm.constraints=["node==x"]', "grey")
    assert "[node==x]" in complaint


@one_way
def test_duplicates(docker: Docker) -> None:
    """A name is taken in the whole cluster, by a network that an engine was told of directly as well."""
    docker("network", "create", "blue")
    assert "network with name blue already exists" in docker.refused("network", "create", "blue")
    docker.engines[1].docker("network", "create", "green")
    docker.manager.wait_until(lambda: len(own(docker)) == 2, "the network that an event told of")
    assert "network with name green already exists" in docker.refused("network", "create", "green")
    assert "operation is not permitted on predefined bridge network" in docker.refused("network", "create", "bridge")


def test_connect(docker: Docker) -> None:
    """A container joins and leaves networks of its node, and is told of others where they are."""
    docker.start("web")
    node = node_of(docker, "web")
    [other] = [engine.name for engine in docker.engines if engine.name != node]
    for name in (f"{node}/blue", f"{other}/green"):
        docker("network", "create", name)
    docker("network", "connect", "--alias", "www", "blue", f"{node}/web")
    networks = docker.inspect("web", "{{json .NetworkSettings.Networks}}")
    assert "www" in json.loads(networks)["blue"]["Aliases"]
    assert docker.ps("--filter", "network=blue", column="{{.ID}}") == [docker.inspect("web", "{{.Id}}")[:12]]
    complaint = docker.refused("network", "connect", "green", "web")
    assert f"container web is on node {node}, where network green is not: it would be {other}/green" in complaint
    assert "No such container: nobody" in docker.refused("network", "connect", "blue", "nobody")
    assert "network grey not found" in docker.refused("network", "connect", "grey", "web")
    docker("network", "disconnect", f"{node}/blue", "web")
    assert docker.ps("--filter", "network=blue") == []
    assert "is not connected to" in docker.refused("network", "disconnect", "blue", "web")


@one_way
def test_filters(docker: Docker) -> None:
    """Filters mean what they mean to an engine, and `node` is a name."""
    first, second = (engine.name for engine in docker.engines)
    blue = docker("network", "create", "--label", "tier=front", f"{first}/blue").stdout.strip()
    docker("network", "create", "--label", "tier", f"{second}/green")
    docker("network", "create", "--internal", f"{second}/blueish")
    docker.start("web", "--net", "blue")
    for options, expected in {
        "name=blue": [f"{first}/blue", f"{second}/blueish"],
        "name=^blue$": [f"{first}/blue"],
        f"name={second}/b": [f"{second}/blueish", f"{second}/bridge"],
        f"id={blue[:8]}": [f"{first}/blue"],
        "label=tier": [f"{first}/blue", f"{second}/green"],
        "label=tier=front": [f"{first}/blue"],
        f"node={second} type=custom": [f"{second}/blueish", f"{second}/green"],
        "driver=null": [f"{first}/none", f"{second}/none"],
        "scope=swarm": [],
        "dangling=true": [f"{second}/blueish", f"{second}/green"],
    }.items():
        arguments = [word for each in options.split() for word in ("--filter", each)]
        assert sorted(names(docker, *arguments)) == expected, options
    assert "invalid filter 'color'" in docker.refused("network", "ls", "--filter", "color=blue")
    assert "invalid filter: 'type'='x'" in docker.refused("network", "ls", "--filter", "type=x")


def test_prune(docker: Docker) -> None:
    """Unused networks go from all nodes; those that are used or do not match stay."""
    first, second = (engine.name for engine in docker.engines)
    for name in (f"{first}/blue", f"{second}/green"):
        docker("network", "create", "--label", "old", name)
    docker("network", "create", "used")
    docker("network", "create", "new")
    docker.start("web", "--net", "used")
    said = docker("network", "prune", "--force", "--filter", "label=old").lines
    assert said[:1] == ["Deleted Networks:"]
    assert sorted(said[1:3]) == [f"{first}/blue", f"{second}/green"]
    assert sorted(name.partition("/")[2] for name in own(docker)) == ["new", "used"]
    assert "new" in docker("network", "prune", "--force").stdout
    assert [name.partition("/")[2] for name in own(docker)] == ["used"]


@one_way
def test_events(docker: Docker) -> None:
    """What happens to networks is told with the node."""
    with docker.background("events", "--filter", "type=network", "--format", "{{json .}}") as events:
        assert events.stdout is not None
        docker.manager.wait_until(lambda: docker.manager.get_json("/info")["NEventsListener"] == 1, "the reader")
        docker("network", "create", "blue")
        docker.start("web", "--net", "blue")
        docker("rm", "-f", "web")
        docker("network", "rm", "blue")
        told = [json.loads(events.stdout.readline()) for _ in range(4)]
    node = {each["Actor"]["Attributes"]["node.name"] for each in told}
    assert [each["Action"] for each in told] == ["create", "connect", "disconnect", "destroy"]
    assert {each["Actor"]["Attributes"]["name"] for each in told} == {"blue"}
    assert len(node) == 1
