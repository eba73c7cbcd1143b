"""Networks of a swarm of Docker's swarm mode, formed by members of two versions: one network on several nodes."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.clients import cli
from tests.hosts import sandbox
from tests.hosts.engine import Engine
from tests.hosts.fleet import Fleet
from tests.hosts.manager import Manager
from tests.hosts.network import Network
from tests.integration.conftest import serving
from tests.integration.networks_compose import SERVICE, Compose, address_of, nodes_of

FILE = f"""
services:
  web:
    {SERVICE}
    deploy: {{replicas: 3}}
"""


def post(engine: Engine, path: str, **body: object) -> None:
    status, answer = engine.request("POST", path, json.dumps(body).encode())
    assert status == 200, answer


@pytest.fixture(scope="module")
def swarm_fleet(network: Network) -> Iterator[Fleet]:
    """Yield three engines: a manager of a swarm, and two workers of it, one of them newer."""
    with Fleet(sandbox.run_dir() / "swarm", network=network, prefix="mate", count=2) as fleet:
        fleet.add(1, version="28")
        yield fleet


@pytest.fixture(scope="module")
def over_swarm(swarm_fleet: Fleet) -> Iterator[Manager]:
    """Yield a manager over the three engines, which form their swarm when it knows them already."""
    with serving(Manager(sandbox.run_dir() / "managers" / "swarm", swarm_fleet.engines)) as manager:
        first, *others = swarm_fleet.engines
        post(first, "/swarm/init", ListenAddr=f"{first.cable.ip}:2377", AdvertiseAddr=first.cable.ip)
        token = first.get_json("/swarm")["JoinTokens"]["Worker"]
        for engine in others:
            own = {"ListenAddr": f"{engine.cable.ip}:2377", "AdvertiseAddr": engine.cable.ip}
            post(engine, "/swarm/join", **own, RemoteAddrs=[f"{first.cable.ip}:2377"], JoinToken=token)
        for engine in swarm_fleet.engines:
            query = quote(json.dumps({"name": ["ingress"], "node": [engine.name]}))
            manager.wait_until(lambda query=query: manager.get_json(f"/networks?filters={query}"), "a swarm")
        yield manager


@pytest.fixture
def manager(over_swarm: Manager, swarm_fleet: Fleet) -> Iterator[Manager]:
    """Yield the manager; what a test makes is removed afterwards."""
    yield over_swarm
    print(over_swarm.log)
    for engine in swarm_fleet.engines:
        for container in engine.get_json("/containers/json?all=1"):
            engine.request("DELETE", f"/containers/{container['Id']}?force=1")


def own(manager: Manager) -> dict[str, str]:
    """Return name and scope of the networks that somebody made."""
    listed = manager.get_json("/networks?filters=%7B%22type%22:[%22custom%22]%7D")
    return {each["Name"]: each["Scope"] for each in listed if "docker_gwbridge" not in each["Name"]}


def test_project_over_nodes(manager: Manager, swarm_fleet: Fleet, tmp_path: Path) -> None:
    """A project spreads over the nodes of a swarm, in one network, where its services find each other."""
    (tmp_path / "compose.yaml").write_text(FILE)
    compose = Compose(cli("28"), manager, tmp_path)
    compose("one", "up", "-d")
    assert own(manager) == {"one_default": "swarm"}
    assert nodes_of(manager, "one") == {engine.name for engine in swarm_fleet.engines}
    shown = manager.get_json("/networks/one_default")
    assert (shown["Driver"], shown["Attachable"]) == ("overlay", True)
    containers = {each["Name"] for each in shown["Containers"].values() if each["Name"].startswith("one-web")}
    assert containers == {"one-web-1", "one-web-2", "one-web-3"}
    for other in ("one-web-2", "one-web-3"):
        address = address_of(manager, other, "one_default")
        cli("28").run(manager.address, "exec", "one-web-1", "ping", "-c", "1", "-w", "10", address)
    compose("one", "down")
    assert own(manager) == {}


def test_on_every_node(manager: Manager, swarm_fleet: Fleet) -> None:
    """A worker that has not seen a network takes containers for it, and joins those that it has; it is listed once."""
    tool = cli("20.10")

    def docker(*arguments: str) -> str:
        return tool.run(manager.address, *arguments).stdout.strip()

    made = docker("network", "create", "-d", "overlay", "--attachable", "mesh")
    assert own(manager) == {"mesh": "swarm"}
    for engine in swarm_fleet.engines:
        constraint = f"constraint:node=={engine.name}"
        docker("run", "-d", "--name", f"in-{engine.name}", "--net", "mesh", "-e", constraint, "busybox", "sleep", "1d")
        docker("run", "-d", "--name", f"late-{engine.name}", "-e", constraint, "busybox", "sleep", "1d")
        docker("network", "connect", "--alias", "late", "mesh", f"late-{engine.name}")
    assert own(manager) == {"mesh": "swarm"}
    names = {each["Name"] for each in json.loads(docker("network", "inspect", "mesh"))[0]["Containers"].values()}
    assert len({name for name in names if name.startswith(("in-", "late-"))}) == 6
    worker = swarm_fleet.engines[2].name
    docker("network", "disconnect", made, f"late-{worker}")
    refused = tool.run(manager.address, "network", "rm", f"{worker}/mesh", check=False)
    assert refused.code != 0
    assert "in use by task" in refused.stderr
    docker("rm", "-f", *(f"{kind}-{engine.name}" for engine in swarm_fleet.engines for kind in ("in", "late")))
    manager.wait_until(lambda: tool.run(manager.address, "network", "rm", made, check=False).code == 0, "tasks to end")
    assert own(manager) == {}


def test_prune(manager: Manager) -> None:
    """What nobody uses goes, each network once under its own name; workers list it a while longer, and we do not."""
    tool = cli("28")
    for name in ("idle", "idler"):
        tool.run(manager.address, "network", "create", "-d", "overlay", "--attachable", name)
    said = tool.run(manager.address, "network", "prune", "--force").lines
    assert {"idle", "idler"} <= set(said)
    assert own(manager) == {}
