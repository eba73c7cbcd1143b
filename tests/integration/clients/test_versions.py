"""Clients older and newer than an engine: what changed its meaning between the two is told in the engine's version.

The strict engine is a 28 that refuses all below API 1.44, as engines 29.0 to 29.2 do. Each row of
`swarmproxy/model/versions.py` is shown on it, or on the old one, a 20.10 that has no API above 1.41.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients import compose_1
from tests.hosts import sandbox
from tests.hosts.engine import Engine
from tests.hosts.fleet import Fleet
from tests.hosts.manager import Manager
from tests.hosts.network import Network
from tests.integration.clients.compose import Project
from tests.integration.clients.pools import Pool
from tests.integration.conftest import serving

MAC = "02:42:0a:4d:00:99"
SLEEP = {"Image": "busybox", "Cmd": ["sleep", "1d"]}


@pytest.fixture(scope="module")
def strict_fleet(network: Network) -> Iterator[Fleet]:
    """Yield an engine 28 that refuses all below 1.44, and an engine 20.10."""
    with Fleet(sandbox.run_dir() / "strict", network=network, prefix="strict") as fleet:
        private = ("--default-cgroupns-mode=private",)  # else this is the default only where cgroups are of version 2
        fleet.add(1, version="28", environment={"DOCKER_MIN_API_VERSION": "1.44"}, arguments=private)
        fleet.add(1)
        yield fleet


@pytest.fixture
def strict(strict_fleet: Fleet) -> Iterator[Engine]:
    """Yield the engine that refuses all below 1.44, emptied after the test."""
    yield strict_fleet.engines[0]
    strict_fleet.empty()


@pytest.fixture
def old(strict_fleet: Fleet) -> Iterator[Engine]:
    """Yield the engine that has nothing above 1.41, emptied after the test."""
    yield strict_fleet.engines[1]
    strict_fleet.empty()


@pytest.fixture(scope="module")
def over_strict(strict_fleet: Fleet) -> Iterator[Manager]:
    """Yield a manager over the strict engine."""
    with serving(Manager(sandbox.run_dir() / "managers" / "over-strict", strict_fleet.engines[:1])) as manager:
        yield manager


@pytest.fixture(scope="module")
def over_old(strict_fleet: Fleet) -> Iterator[Manager]:
    """Yield a manager over the old engine."""
    with serving(Manager(sandbox.run_dir() / "managers" / "over-old", strict_fleet.engines[1:])) as manager:
        yield manager


def post(manager: Manager, path: str, body: Any = None) -> Any:
    """Return the decoded answer. Raises AssertionError for a status of 400 and above."""
    encoded = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} if body is not None else {}
    status, answer = manager.request("POST", path, encoded, headers)
    assert status < 400, f"{status} to {path}: {answer.decode()}"
    return json.loads(answer) if answer else None


def created(manager: Manager, engine: Engine, version: str, body: dict[str, Any]) -> dict[str, Any]:
    """Create and start a container in one version, and return what the engine itself says of it."""
    made = post(manager, f"/v{version}/containers/create", {**SLEEP, **body})
    assert not made["Warnings"], made
    post(manager, f"/v{version}/containers/{made['Id']}/start")
    return dict(engine.get_json(f"/containers/{made['Id']}/json"))


@pytest.mark.parametrize("version", ["1.21", "1.24", "1.38", "1.43"])
def test_older_clients(over_strict: Manager, strict: Engine, version: str) -> None:
    """A client older than the engine's oldest version, which the engine itself refuses, finds its own API."""
    status, refusal = strict.request("GET", f"/v{version}/containers/json")
    assert (status, b"is too old" in refusal) == (400, True)

    is_new = version == "1.43"
    mounts: list[dict[str, Any]]
    mounts = [{"Type": "tmpfs", "Target": "/t", **({} if is_new else {"VolumeOptions": {"NoCopy": True}})}]
    mounts += [{"Type": "bind", "Source": "/etc", "Target": "/e", "ReadOnly": True}]
    host = {"Mounts": mounts, "AutoRemove": False, "ConsoleSize": [25, 80]}
    made = created(over_strict, strict, version, {"MacAddress": MAC, "HostConfig": host})
    assert made["NetworkSettings"]["Networks"]["bridge"]["MacAddress"] == MAC
    assert made["HostConfig"]["IpcMode"] == ("private" if is_new else "shareable")
    if strict.get_json("/info")["CgroupVersion"] == "1":
        assert made["HostConfig"]["CgroupnsMode"] == ("private" if is_new else "host")
    bind = made["HostConfig"]["Mounts"][1]
    assert bind["BindOptions"] == {"ReadOnlyNonRecursive": True}


def test_auto_remove_of_an_old_client(over_strict: Manager, strict: Engine) -> None:
    """A client of 1.24 finds the container that it wants to remove itself."""
    made = post(over_strict, "/v1.24/containers/create", {"Image": "busybox", "HostConfig": {"AutoRemove": True}})
    post(over_strict, f"/v1.24/containers/{made['Id']}/start")
    post(over_strict, f"/v1.24/containers/{made['Id']}/wait")
    assert strict.request("DELETE", f"/containers/{made['Id']}")[0] == 204


def test_image_of_an_old_client(over_strict: Manager) -> None:
    """`VirtualSize` is there for a client before 1.44, and for no other."""
    inspected = over_strict.get_json("/v1.43/images/busybox/json")
    assert inspected["VirtualSize"] == inspected["Size"]
    assert "VirtualSize" not in over_strict.get_json("/v1.44/images/busybox/json")
    assert over_strict.request("GET", "/v1.43/images/nothing/json")[0] == 404


@pytest.mark.parametrize("version", ["1.44", "1.52", "1.55"])
def test_newer_clients(over_old: Manager, old: Engine, version: str) -> None:
    """A client newer than all that the engine speaks joins several networks at once, with a MAC address of its own."""
    for name in ("one", "two"):
        assert old.request("POST", "/networks/create", json.dumps({"Name": name}).encode())[0] == 201
    endpoints = {"one": {"MacAddress": MAC, "Aliases": ["first"]}, "two": {"Aliases": ["second"]}}
    body = {"HostConfig": {"NetworkMode": "one"}, "NetworkingConfig": {"EndpointsConfig": endpoints}}
    networks = created(over_old, old, version, body)["NetworkSettings"]["Networks"]
    assert set(networks) == {"one", "two"}
    assert networks["one"]["MacAddress"] == MAC
    assert "second" in networks["two"]["Aliases"]


def started(manager: Manager, engine: Engine, name: str, trap: str) -> None:
    """Start a container with a trap, and wait until that is set. The engine starts it again when it ends by itself."""
    script = f"trap {trap}; touch /ready; while :; do sleep 0.1; done"
    body = {**SLEEP, "Cmd": ["sh", "-c", script], "HostConfig": {"RestartPolicy": {"Name": "always"}}}
    post(manager, f"/v1.44/containers/create?name={name}", body)
    post(manager, f"/v1.44/containers/{name}/start")
    ready = f"/containers/{name}/archive?path=/ready"
    manager.wait_until(lambda: engine.request("HEAD", ready)[0] == 200, "a trap that is set")


def state_of(engine: Engine, name: str) -> tuple[str, int]:
    """Return whether a container runs, and how it ended last."""
    state = engine.get_json(f"/containers/{name}/json")["State"]
    return state["Status"], state["ExitCode"]


def test_signal_of_a_newer_client(over_old: Manager, old: Engine) -> None:
    """An engine that has no `stop?signal` sends it all the same, waits, kills what is left, and starts nothing again.

    A client that has not got it either is not minded, as by its own daemon.
    """
    started(over_old, old, "minds", "'exit 5' INT")
    path = "/v1.44/containers/minds/stop?signal=SIGINT&t=20"
    assert over_old.request("POST", path)[0] == 204
    assert state_of(old, "minds") == ("exited", 5)
    assert over_old.request("POST", path)[0] == 304
    assert over_old.request("POST", "/v1.44/containers/minds/restart?signal=SIGINT")[0] == 204
    assert state_of(old, "minds")[0] == "running"
    assert over_old.request("POST", "/v1.44/containers/minds/stop?signal=NOISE")[0] == 400
    assert over_old.request("POST", "/v1.44/containers/nobody/stop?signal=SIGINT")[0] == 404
    started(over_old, old, "deaf", "'' INT TERM")
    assert over_old.request("POST", "/v1.44/containers/deaf/stop?signal=SIGINT&t=1")[0] == 204
    assert state_of(old, "deaf") == ("exited", 137)
    started(over_old, old, "terminates", "'exit 6' TERM")
    assert over_old.request("POST", "/v1.41/containers/terminates/stop?signal=SIGINT&t=20")[0] == 204
    assert state_of(old, "terminates") == ("exited", 6)


def test_network_list_of_an_old_client(over_old: Manager, old: Engine) -> None:
    """A list in API 1.27 names the containers of each network as the engine's own does, and in 1.28 none."""
    created(over_old, old, "1.27", {})
    old.request("POST", "/containers/create?name=idle", json.dumps(SLEEP).encode())
    theirs, ours = (
        {each["Name"].rpartition("/")[2]: each["Containers"] for each in source.get_json("/v1.27/networks")}
        for source in (old, over_old)
    )
    assert ours == theirs
    assert len(ours["bridge"]) == 1
    assert not any(each["Containers"] for each in over_old.get_json("/v1.28/networks"))


def test_network_that_refuses(over_old: Manager, old: Engine) -> None:
    """If one of several networks cannot be joined, the engine's refusal comes back and no container stays behind."""
    assert old.request("POST", "/networks/create", b'{"Name": "one"}')[0] == 201
    endpoints: dict[str, Any] = {"one": {}, "bridge": {"IPAMConfig": {"IPv4Address": "172.17.0.99"}}}
    body = {**SLEEP, "HostConfig": {"NetworkMode": "one"}, "NetworkingConfig": {"EndpointsConfig": endpoints}}
    status, answer = over_old.request(
        "POST", "/v1.52/containers/create?name=lost", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    assert (status, b"user specified IP address is supported on user defined networks only" in answer) == (400, True)
    assert old.get_json("/containers/json?all=1") == []


def dangling(engine: Engine) -> tuple[str, str]:
    """Return the names of two volumes that nobody uses: one that has a name of its own, and one that has not."""
    assert engine.request("POST", "/volumes/create", b'{"Name": "named"}')[0] == 201
    body = json.dumps({"Image": "busybox", "Volumes": {"/data": {}}}).encode()
    made = json.loads(engine.request("POST", "/containers/create", body)[1])["Id"]
    [mount] = engine.get_json(f"/containers/{made}/json")["Mounts"]
    assert engine.request("DELETE", f"/containers/{made}")[0] == 204
    return "named", mount["Name"]


def left(engine: Engine) -> set[str]:
    """Return the names of the engine's volumes."""
    return {each["Name"] for each in engine.get_json("/volumes")["Volumes"] or ()}


def test_prune_of_a_newer_client(over_old: Manager, old: Engine) -> None:
    """Volumes with a name stay for a client of 1.42 or later, on an engine that would have taken them all."""
    named, anonymous = dangling(old)
    over_old.wait_until(lambda: len(over_old.get_json("/volumes")["Volumes"]) == 2, "both volumes")
    deleted = post(over_old, "/v1.42/volumes/prune")["VolumesDeleted"]
    assert [name.rpartition("/")[2] for name in deleted] == [anonymous]
    assert left(old) == {named}
    post(over_old, "/v1.42/volumes/prune?filters=%7B%22all%22:%5B%22true%22%5D%7D")
    assert left(old) == set()


def test_prune_of_an_older_client(over_strict: Manager, strict: Engine) -> None:
    """All volumes that are not used go for a client before 1.42, on an engine that would have kept those with names."""
    dangling(strict)
    post(over_strict, "/v1.41/volumes/prune")
    assert left(strict) == set()


@pytest.mark.parametrize("version", ["", "2.4", "3.8"])
def test_compose_one(over_strict: Manager, strict: Engine, tmp_path: Path, version: str) -> None:
    """docker-compose 1.29, with files of all versions, works on an engine that refuses what it speaks."""
    pool = Pool(over_strict.address, [strict], over_strict)
    project = Project(compose_1(), pool, tmp_path, f"strict{version.replace('.', '')}")
    service = {"web": {"image": "busybox", "command": ["sleep", "1d"], "stop_signal": "SIGKILL"}}
    project.write({"version": version, "services": service} if version else service)
    project("up", "-d")
    assert project("exec", "-T", "web", "echo", "hello").stdout == "hello\n"
    project("down")
    assert project.leftovers() == []
