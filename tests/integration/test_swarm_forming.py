"""A swarm of Docker's swarm mode that is formed of the members, and follows them as they come and go."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import StartManager
from tests.discovery.servers.etcd import Etcd
from tests.discovery.servers.process import serve
from tests.discovery.store_contract import NODES
from tests.hosts import sandbox
from tests.hosts.engine import Engine
from tests.hosts.fleet import Fleet
from tests.hosts.manager import REPOSITORY, Manager
from tests.hosts.network import Network
from tests.integration.group import Group

pytestmark = pytest.mark.long

AUTO = ("--cluster-opt", "swarm.mode=auto", "--cluster-opt", "swarm.reschedule-after=1s")


@pytest.fixture
def group(
    tmp_path_factory: pytest.TempPathFactory, network: Network, start_manager: StartManager
) -> Iterator[tuple[Group, Fleet]]:
    """Yield a group of managers over two engines of their own, and the fleet that these are in."""
    directory = sandbox.run_dir() / "forming"
    for store in serve(Etcd(tmp_path_factory.mktemp("etcd"))):
        with Fleet(directory, network=network, prefix="form", labels={"zone": "a"}, count=2) as fleet:
            yield Group(store, list(fleet.engines), start_manager), fleet


def part(engine: Engine) -> dict[str, Any]:
    """Return what an engine says of its part in a swarm."""
    found: dict[str, Any] = engine.get_json("/info")["Swarm"]
    return found


def states(engines: list[Engine]) -> set[str]:
    return {part(each)["LocalNodeState"] for each in engines}


def roles(engine: Engine) -> dict[str, str]:
    """Return each node of the swarm, as a manager of it tells: role, and what keeps it from playing that."""
    return {each["Description"].get("Hostname", ""): role(each) for each in engine.get_json("/nodes")}


def role(node: dict[str, Any]) -> str:
    is_manager, state = node["Spec"]["Role"] == "manager", node["Status"]["State"]
    reached = node.get("ManagerStatus", {}).get("Reachability")  # of a manager that takes part, not one that is to be
    unready = [state] if state != "ready" else [f"{reached}"] if is_manager and reached != "reachable" else []
    return " ".join([node["Spec"]["Role"], *unready])


def post(host: Manager | Engine, path: str, **body: object) -> tuple[int, Any]:
    status, answer = host.request("POST", path, json.dumps(body).encode(), timeout_s=120)
    return status, json.loads(answer) if answer.strip() else None


def list_members(*arguments: str) -> list[str]:
    command = [sys.executable, "-m", "swarmproxy", "list", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=REPOSITORY).stdout.split()


def test_forming(group: tuple[Group, Fleet], start_manager: StartManager) -> None:
    """One init makes a swarm of all; it follows the list of members, whichever manager leads; and is taken apart."""
    managers, fleet = group
    first, second = fleet.engines
    leader, [replica] = managers.start(2, more=AUTO)
    key = f"{managers.prefix}/{NODES}/{{.own_address}}".format

    status, node_id = post(replica, "/swarm/init", ListenAddr="0.0.0.0:2377", AdvertiseAddr="")
    assert (status, node_id) == (200, part(first)["NodeID"])
    assert (roles(first), part(first)["NodeAddr"]) == ({"form-1": "manager", "form-2": "worker"}, first.cable.ip)
    assert post(leader, "/swarm/init")[0] == 503
    secrets = [*first.get_json("/swarm")["JoinTokens"].values()]

    # A newcomer makes it three managers; the manager that has it join is killed meanwhile.
    [third] = fleet.add(1, version="28", labels={"zone": "b"})
    managers.store.write({key(third): third.own_address})
    leader.wait_until(lambda: part(third)["LocalNodeState"] != "inactive", "the newcomer to join")
    leader.kill()
    managers.managers.remove(leader)
    three = dict.fromkeys(("form-1", "form-2", "form-3"), "manager")
    replica.wait_until(lambda: roles(first) == three, "three managers")

    # Managers are locked from now on, and the root of trust is another one: so are the tokens by which others join.
    swarm = first.get_json("/swarm")
    new = {"EncryptionConfig": {"AutoLockManagers": True}, "CAConfig": {**swarm["Spec"]["CAConfig"], "ForceRotate": 1}}
    assert post(replica, f"/swarm/update?version={swarm['Version']['Index']}", **swarm["Spec"] | new)[0] == 200
    replica.wait_until(lambda: replica.get_json("/swarm")["TLSInfo"] != swarm["TLSInfo"], "another root")
    secrets += [*first.get_json("/swarm")["JoinTokens"].values(), replica.get_json("/swarm/unlockkey")["UnlockKey"]]

    # What the swarm lists are members of another manager.
    place = f"swarm://{first.cable.ip}:2377,{third.cable.ip}"
    assert list_members(place) == sorted(each.own_address for each in fleet.engines)
    onlooker = start_manager(discovery=place, healthy=3)
    assert post(onlooker, "/swarm/leave?force=1")[0] == 501
    [fourth] = fleet.add(1)
    managers.store.write({key(fourth): fourth.own_address})
    replica.wait_until(lambda: roles(third) == {**three, "form-4": "worker"}, "a worker")
    onlooker.wait(healthy=4)

    # A worker that somebody took off the swarm's list does not notice; it joins anew.
    before = part(fourth)["NodeID"]
    assert replica.request("DELETE", f"/nodes/{before}?force=1")[0] == 200
    replica.wait_until(lambda: roles(third) == {**three, "form-4": "worker"}, "the worker again")
    assert part(fourth)["NodeID"] != before

    # The swarm's leader is taken off the list.
    managers.store.remove(key(first))
    left = dict.fromkeys(("form-2", "form-3", "form-4"), "manager")
    replica.wait_until(lambda: roles(second) == left, "another manager in the place of the first")
    assert states([first]) == {"inactive"}
    onlooker.wait(healthy=3)

    # A manager that starts again waits for the key.
    second.stop()
    second.poweron().wait()
    replica.wait_until(lambda: states([second]) == {"locked"}, "a locked manager")
    unlock = ("swarm", "unlock")
    replica.wait_until(lambda: replica.docker(*unlock, stdin=secrets[-1], check=False).code == 0, "it to be unlocked")
    replica.wait_until(lambda: roles(second) == left, "three managers again")

    status, answer = post(replica, "/swarm/leave")
    assert (status, "--force" in answer["message"]) == (503, True)
    assert post(replica, "/swarm/leave?force=1")[0] == 200
    assert states(fleet.engines) == {"inactive"}
    assert post(replica, "/swarm/leave?force=1")[0] == 503

    # Two swarms that somebody made are told apart, and left alone.
    replica.stop()
    for engine in (second, third):
        assert post(engine, "/swarm/init", ListenAddr="0.0.0.0:2377", AdvertiseAddr=engine.cable.ip)[0] == 200
    confused = start_manager([second, third, fourth], arguments=AUTO)
    status, answer = post(confused, "/swarm/init")
    assert (status, "form-2; form-3" in answer["message"]) == (409, True)
    assert states([fourth]) == {"inactive"}
    trouble = 'level=error msg="the swarm cannot be looked after"'
    confused.wait_until(lambda: trouble in confused.log, "it to say so")
    assert confused.log.count(trouble) == 1

    logs = leader.log + replica.log + onlooker.log + confused.log
    assert not [each for each in secrets if each in logs]
    assert "Traceback" not in logs
