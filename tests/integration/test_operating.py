"""Operators drain, pause, activate and label nodes of real engines, and it lasts."""

import json
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import StartManager
from tests.discovery.servers.etcd import Etcd
from tests.discovery.servers.process import serve
from tests.discovery.store_contract import NODES
from tests.hosts.engine import Engine
from tests.hosts.manager import Manager
from tests.integration.faults import create, refusal, row_of, run
from tests.integration.operator import availability, nodes, places, run_some, swarmproxy
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    yield from serve(Etcd(tmp_path_factory.mktemp("etcd")))


def test_drain(manager: Manager, engines: list[Engine]) -> None:
    """A drained node takes no new containers, keeps those without a policy, and takes some again once it is active."""
    first, second = (engine.name for engine in engines)
    run(manager, "old", node=first)
    stopped = create(manager, "stopped", node=first)
    done = swarmproxy(manager, "node", "drain", first)
    assert done.stdout == f"{first}\n"
    assert f"WARNING: 2 containers have no reschedule policy and stay on {first}: old, stopped\n" in done.stderr
    assert availability(manager) == ["drain", "active"]
    run_some(manager, "new")
    assert set(places(manager).values()) == {first, second}
    assert {name for name, node in places(manager).items() if node == first} == {"old", "stopped"}
    assert manager.docker("exec", "old", "echo", "lives").stdout == "lives\n"
    assert manager.request("POST", f"/containers/{stopped}/start")[0] == 204
    body = {"Image": "busybox", "Env": [f"constraint:node=={first}"]}
    assert "drained" in refusal(manager, "POST", "/containers/create", body)[1]
    swarmproxy(manager, "node", "activate", first)
    run(manager, "again")
    assert places(manager)["again"] == first


def test_pause(manager: Manager, engines: list[Engine]) -> None:
    """A paused node takes no new containers; when none is left, the refusal says so after classic's words."""
    first, second = (engine.name for engine in engines)
    swarmproxy(manager, "node", "pause", first)
    run_some(manager, "new", 2)
    assert set(places(manager).values()) == {second}
    swarmproxy(manager, "node", "drain", engines[1].own_address)
    status, message = refusal(manager, "POST", "/containers/create", {"Image": "busybox"})
    assert status == 500
    assert message.startswith("No nodes available in the cluster\n")
    assert "1 drained" in message
    assert "1 paused" in message


def test_info(manager: Manager, engines: list[Engine]) -> None:
    """`docker info` is read by its clients as ever: a line more for a node that takes nothing, its labels, no other."""
    before = manager.docker("info").stdout
    assert "Availability" not in before
    swarmproxy(manager, "node", "drain", engines[0].name)
    swarmproxy(manager, "node", "label", engines[0].name, "rack=r7")
    assert row_of(manager, engines[0], "Status") == "Healthy"
    assert row_of(manager, engines[0], "Availability") == "drain"
    assert "rack=r7" in row_of(manager, engines[0], "Labels").split(", ")
    for version in ("20.10", "28"):
        said = manager.docker("info", "--format", "{{json .}}", with_cli=version).stdout
        assert len(json.loads(said)["SystemStatus"]) == len(manager.system_status())
    after = manager.docker("info").stdout.splitlines()
    assert [line.strip() for line in after if "Availability" in line] == ["└ Availability: drain"]


def test_labels(manager: Manager, engines: list[Engine]) -> None:
    """A constraint sees a label at once, and no more once it is taken away; inspect shows it with the node."""
    first, second = (engine.name for engine in engines)
    swarmproxy(manager, "node", "label", second, "tier=front", "disk=ssd")
    wanted = {"Image": "busybox", "Env": ["constraint:tier==front", "constraint:disk==s*"]}
    for number in range(2):
        status, answer = manager.request(
            "POST",
            f"/containers/create?name=front-{number}",
            json.dumps(wanted).encode(),
            {"Content-Type": "application/json"},
        )
        assert status == 201, answer
    assert set(places(manager).values()) == {second}
    assert json.loads(manager.docker("inspect", "front-0").stdout)[0]["Node"]["Labels"]["tier"] == "front"
    swarmproxy(manager, "node", "label", second, "tier-")
    assert "tier==front" in refusal(manager, "POST", "/containers/create", wanted)[1]
    assert first in nodes(manager)


def test_slots(manager: Manager, engines: list[Engine]) -> None:
    """Of fifty creates at once as many succeed as nodes have slots, and no node gets one more."""
    for engine, slots in zip(engines, ("3", "4"), strict=True):
        swarmproxy(manager, "node", "label", engine.name, f"containerslots={slots}")
    with ThreadPoolExecutor(50) as clients:
        codes = list(clients.map(lambda _: create_status(manager), range(50)))
    assert (codes.count(201), codes.count(500)) == (7, 43)
    assert [len(engine.get_json("/containers/json?all=1")) for engine in engines] == [3, 4]


def create_status(manager: Manager) -> int:
    body = json.dumps({"Image": "busybox"}).encode()
    return manager.request("POST", "/containers/create", body, {"Content-Type": "application/json"})[0]


def test_rebalance(manager: Manager, engines: list[Engine]) -> None:
    """A plan shows what would move and moves nothing; told to, the containers move, and both nodes hold as many."""
    first, second = (engine.name for engine in engines)
    swarmproxy(manager, "node", "pause", second)
    for number in range(4):
        manager.docker(
            "run", "-d", "--init", "--name", f"c{number}", "-e", "reschedule:on-node-failure", "busybox", "sleep", "1d"
        )
    swarmproxy(manager, "node", "activate", second)
    plan = swarmproxy(manager, "rebalance", "--plan").stdout.splitlines()
    assert plan[0].split() == ["CONTAINER", "NAME", "FROM", "TO", "REASON"]
    assert [line.split()[2:4] for line in plan[1:3]] == [[first, second]] * 2
    assert any(line.split()[:4] == [second, "0", "->", "2"] for line in plan)
    assert set(places(manager).values()) == {first}
    assert "nobody is there to be asked" in swarmproxy(manager, "rebalance", check=False).stderr
    said = swarmproxy(manager, "rebalance", "--yes").stdout
    assert said.endswith("2 containers moved, 0 failed\n")
    assert sorted(places(manager).values()) == sorted([first, second] * 2)
    assert swarmproxy(manager, "rebalance", "--yes").stdout == "Nothing to move.\n"


def test_drained_away(manager: Manager, engines: list[Engine]) -> None:
    """A container with a reschedule policy moves away from a node that is drained."""
    first, second = (engine.name for engine in engines)
    swarmproxy(manager, "node", "pause", second)
    manager.docker(
        "run", "-d", "--init", "--name", "moves", "-e", "reschedule:on-node-failure", "busybox", "sleep", "1d"
    )
    swarmproxy(manager, "node", "activate", second)
    assert "policy" not in swarmproxy(manager, "node", "drain", first).stderr
    wait_until(lambda: places(manager) == {"moves": second}, "the container to move")


def test_state_file(engines: list[Engine], start_manager: StartManager, tmp_path: Path) -> None:
    """What was said survives a manager that is killed and one that ends, in a file that is nobody else's to read."""
    path = tmp_path / "state.json"
    manager = start_manager(engines, arguments=["--state-file", str(path)])
    done = swarmproxy(manager, "node", "drain", engines[0].name)
    assert done.stderr == ""
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    manager.kill()
    manager.start().wait()
    assert availability(manager) == ["drain", "active"]
    run_some(manager, "new", 2)
    assert set(places(manager).values()) == {engines[1].name}
    swarmproxy(manager, "node", "label", engines[0].name, "rack=r7")
    manager.stop()
    manager.start().wait()
    assert nodes(manager)[engines[0].name]["OperatorLabels"] == {"rack": "r7"}


def test_unreadable_state_file(engines: list[Engine], start_manager: StartManager, tmp_path: Path) -> None:
    """A file that cannot be understood is kept aside and told of, and the manager serves."""
    (tmp_path / "state.json").write_text('{"version": 1, "nodes": {')
    manager = start_manager(engines, arguments=["--state-file", str(tmp_path / "state.json")])
    [aside] = tmp_path.glob("*unreadable*")
    assert aside.read_text() == '{"version": 1, "nodes": {'
    assert "was set aside" in manager.log
    [warning] = manager.get_json("/info")["Warnings"]
    assert str(aside) in warning
    run(manager, "works")


def test_store_is_down(store: Etcd, engines: list[Engine], start_manager: StartManager) -> None:
    """While the store is down an operator gets a clear error and nothing changes; afterwards it is kept there."""
    store.write({f"operating/{NODES}/{engine.own_address}": engine.own_address for engine in engines})
    manager = start_manager(discovery=store.url("operating"), healthy=2)
    store.kill()
    try:
        done = swarmproxy(manager, "node", "drain", engines[0].name, check=False)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("Error: nothing was changed, for it cannot be kept: etcd at ")
        assert availability(manager) == ["active", "active"]
    finally:
        store.start()
    swarmproxy(manager, "node", "drain", engines[0].name)
    manager.kill()
    manager.start().wait(healthy=2)
    assert availability(manager) == ["drain", "active"]
