"""Many docker-py clients create at once: names stay unique, load even, and no node is overbooked."""

import collections
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import docker
import pytest
from docker.errors import APIError

from tests.conftest import StartManager
from tests.hosts.engine import Engine
from tests.hosts.fleet import Fleet
from tests.hosts.manager import Manager
from tests.integration.faults import create, refusal, row_of, run
from tests.integration.sdk import connected, forgets_sockets, node_of

pytestmark = forgets_sockets
CLIENTS = 10
MIB = 1024**2


@pytest.fixture
def at_once(front: Manager) -> Iterator[Callable[..., list[object]]]:
    """Yield a function that has several clients make the same call with each of the given arguments, at once."""
    with ExitStack() as opened, ThreadPoolExecutor(CLIENTS) as pool:
        clients = [opened.enter_context(connected(front)) for _ in range(CLIENTS)]

        def call(what: Callable[[docker.DockerClient, object], object], arguments: list[object]) -> list[object]:
            def one(index: int) -> object:
                try:
                    return what(clients[index % CLIENTS], arguments[index])
                except APIError as error:
                    return error

            return list(pool.map(one, range(len(arguments))))

        yield call


def per_node(client: docker.DockerClient) -> dict[str, int]:
    """Return the number of containers on each node."""
    return dict(collections.Counter(node_of(each) for each in client.containers.list(all=True)))


def test_spread(sdk: docker.DockerClient, fleet: Fleet, at_once: Callable[..., list[object]]) -> None:
    """30 containers created at once are all made, and the nodes hold as many, give or take one."""
    made = at_once(lambda client, number: client.containers.create("busybox", name=f"c-{number}").name, list(range(30)))
    assert sorted(map(str, made)) == sorted(f"c-{number}" for number in range(30))
    counts = per_node(sdk)
    assert set(counts) == {engine.name for engine in fleet.engines}
    assert max(counts.values()) - min(counts.values()) <= 1
    assert sum(counts.values()) == 30


def test_one_name(sdk: docker.DockerClient, at_once: Callable[..., list[object]]) -> None:
    """Of creates with one name at the same moment exactly one gets it, the others a 409."""
    for name in ("first", "second", "third"):
        results = at_once(lambda client, wanted: client.containers.create("busybox", name=wanted).id, [name] * CLIENTS)
        refused = [each for each in results if isinstance(each, APIError)]
        assert [each.status_code for each in refused] == [409] * (CLIENTS - 1)
        assert all(f'The container name "/{name}" is already in use' in each.explanation for each in refused)
        [kept] = [each for each in results if isinstance(each, str)]
        assert sdk.containers.get(name).id == kept
    assert len(sdk.containers.list(all=True)) == 3


def test_names_of_renames(sdk: docker.DockerClient, at_once: Callable[..., list[object]]) -> None:
    """Of renames to one name at the same moment exactly one succeeds, also across nodes."""
    old = [sdk.containers.create("busybox", name=f"old-{number}").id for number in range(CLIENTS)]
    results = at_once(lambda client, each: client.api.rename(each, "new"), old)
    assert sorted(each.status_code if isinstance(each, APIError) else 204 for each in results) == [204] + [409] * 9
    assert sdk.containers.get("new").id in old


def test_memory(sdk: docker.DockerClient, front: Manager, fleet: Fleet, at_once: Callable[..., list[object]]) -> None:
    """Limits near the capacity, asked for at once, never overbook a node: what fits is made, the rest refused."""
    total = fleet.engines[0].get_json("/info")["MemTotal"] * 105 // 100
    limit = total * 3 // 10  # three fit on each node
    results = at_once(lambda client, _: client.containers.create("busybox", mem_limit=limit).id, list(range(12)))
    refused = [each for each in results if isinstance(each, APIError)]
    assert len(refused) == 6
    said = "no resources available to schedule container\n0 of 2 nodes: 2 out of memory"
    assert {each.explanation for each in refused} == {said}
    assert {each.status_code for each in refused} == {500}
    assert set(per_node(sdk).values()) == {3}
    for engine in fleet.engines:
        held = [each["Id"] for each in engine.get_json("/containers/json?all=1")]
        used = sum(engine.get_json(f"/containers/{each}/json")["HostConfig"]["Memory"] for each in held)
        assert used <= total
    sdk.containers.create("busybox", name="without")  # no limit: no claim
    [doomed, *_] = [each for each in sdk.containers.list(all=True) if each.name != "without"]
    doomed.remove()
    assert sdk.containers.create("busybox", mem_limit=limit)


def test_accounting(sdk: docker.DockerClient, front: Manager, fleet: Fleet) -> None:
    """CPUs and memory reservations count; whole CPUs from shares are scaled for the engine."""
    cpus = fleet.engines[0].get_json("/info")["NCPU"]
    first = sdk.containers.create("busybox", nano_cpus=cpus * 10**9, mem_reservation=64 * MIB)
    second = sdk.containers.create("busybox", cpu_shares=cpus)
    assert node_of(first) != node_of(second)
    for each in (first, second):
        [engine] = [engine for engine in fleet.engines if engine.name == node_of(each)]
        assert row_of(front, engine, "Reserved CPUs") == f"{cpus} / {cpus}"
        assert row_of(front, engine, "Reserved Memory").startswith("64 MiB" if each is first else "0 B")
    assert second.attrs["HostConfig"]["CpuShares"] == 1024
    for asked in ({"nano_cpus": 10**9}, {"cpu_shares": 1}, {"cpuset_cpus": "0"}):
        with pytest.raises(APIError, match="no resources available to schedule container"):
            sdk.containers.create("busybox", **asked)


def test_gpus_left_to_the_engine(sdk: docker.DockerClient) -> None:
    """Where no engine declares GPUs, whether there are any is the engine's to say."""
    wanted = docker.types.DeviceRequest(count=1, capabilities=[["gpu"]])
    container = sdk.containers.create("busybox", name="gpu", device_requests=[wanted])
    with pytest.raises(APIError, match="could not select device driver"):
        container.start()


def test_declared_gpus(start_engines: Callable[..., list[Engine]], start_manager: StartManager) -> None:
    """Where engines declare their GPUs, these are counted, and more than they have is refused."""
    arguments = ["--node-generic-resource", "NVIDIA-GPU=a", "--node-generic-resource", "NVIDIA-GPU=b"]
    [engine] = start_engines(1, arguments=arguments)
    manager = start_manager([engine])
    gpus: dict[str, Any] = {"DeviceRequests": [{"Count": 2, "Capabilities": [["gpu"]]}]}
    wanted = {"Image": "busybox", "HostConfig": gpus}
    create(manager, "both", **gpus)
    assert refusal(manager, "POST", "/containers/create", wanted) == (
        500,
        "no resources available to schedule container\n0 of 1 nodes: 1 out of GPUs",
    )
    create(manager, "none")


def test_binpack(engines: list[Engine], start_manager: StartManager) -> None:
    """Binpack fills a node before it uses the next one."""
    manager = start_manager(engines, arguments=["--strategy", "binpack"])
    limit = engines[0].get_json("/info")["MemTotal"] * 3 // 10
    for number in range(3):
        create(manager, f"first-{number}", Memory=limit)
    assert sorted(engine.get_json("/info")["Containers"] for engine in engines) == [0, 3]
    create(manager, "next", Memory=limit)
    assert sorted(engine.get_json("/info")["Containers"] for engine in engines) == [1, 3]
    assert dict(manager.system_status())["Strategy"] == "binpack"


def test_random(engines: list[Engine], start_manager: StartManager) -> None:
    """Random uses all nodes in the long run."""
    manager = start_manager(engines, arguments=["--strategy", "random"])
    for number in range(24):
        create(manager, f"c-{number}")
    assert all(engine.get_json("/info")["Containers"] for engine in engines)


@pytest.mark.parametrize(("overcommit", "fits"), [("1.0", True), ("0", False), ("-0.5", False)])
def test_overcommit(engines: list[Engine], start_manager: StartManager, overcommit: str, *, fits: bool) -> None:
    """`swarm.overcommit` says how much more than it has, or less, a node may give."""
    manager = start_manager(engines, arguments=["--cluster-opt", f"swarm.overcommit={overcommit}"])
    total = engines[0].get_json("/info")["MemTotal"]
    assert manager.get_json("/info")["MemTotal"] == 2 * (total * (100 + int(float(overcommit) * 100)) // 100)
    limit = int(total * 1.5)
    wanted = {"Image": "busybox", "HostConfig": {"Memory": limit}}
    if fits:
        create(manager, "large", Memory=limit)
    else:
        assert refusal(manager, "POST", "/containers/create", wanted)[0] == 500


@pytest.mark.parametrize(
    ("style", "names"), [("plain", "{name}"), ("node", "{node}/{name}"), ("both", "{name} {node}/{name}")]
)
def test_names(engines: list[Engine], start_manager: StartManager, style: str, names: str) -> None:
    """`swarm.names` says how containers are called to every client."""
    manager = start_manager(engines, arguments=["--cluster-opt", f"swarm.names={style}"])
    web = run(manager, "web")
    node = manager.get_json(f"/containers/{web}/json")["Node"]["Name"]
    [listed] = manager.get_json("/containers/json")
    assert " ".join(name.removeprefix("/") for name in listed["Names"]) == names.format(name="web", node=node)


def test_behind_our_back(engines: list[Engine], start_manager: StartManager) -> None:
    """A name that two engines were given directly is ambiguous, and says so; with the node it is not."""
    manager = start_manager(engines)
    body = json.dumps({"Image": "busybox"}).encode()
    for engine in engines:
        assert engine.request("POST", "/containers/create?name=twin", body)[0] == 201
    manager.wait_until(lambda: len(manager.get_json("/containers/json?all=1")) == 2, "both twins")
    status, message = refusal(manager, "GET", "/containers/twin/json")
    assert status == 409
    assert message.startswith("container name twin is ambiguous: it may be ")
    assert all(f"{engine.name}/twin" in message for engine in engines)
    for engine in engines:
        assert manager.get_json(f"/containers/{engine.name}/twin/json")["Node"]["Name"] == engine.name
    assert refusal(manager, "POST", "/containers/create?name=twin", {"Image": "busybox"})[0] == 409
