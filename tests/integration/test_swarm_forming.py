"""A swarm of Docker's swarm mode that is formed of the members, and follows them as they come and go."""

import json
from typing import Any

from tests.hosts import sandbox
from tests.hosts.engine import Engine
from tests.hosts.fleet import Fleet
from tests.hosts.manager import Manager
from tests.hosts.network import Network
from tests.integration.conftest import serving

AUTO = ("--cluster-opt", "swarm.mode=auto", "--cluster-opt", "swarm.reschedule-after=1s")


def part(engine: Engine) -> dict[str, Any]:
    """Return what an engine says of its part in a swarm."""
    found: dict[str, Any] = engine.get_json("/info")["Swarm"]
    return found


def roles(engine: Engine) -> dict[str, str]:
    """Return each node of the swarm, as a manager of it tells: role, and state unless it is ready."""
    return {
        each["Description"].get("Hostname", ""): " ".join(
            [each["Spec"]["Role"], *([each["Status"]["State"]] if each["Status"]["State"] != "ready" else [])]
        )
        for each in engine.get_json("/nodes")
    }


def is_free(engines: list[Engine]) -> bool:
    return all(part(each)["LocalNodeState"] == "inactive" for each in engines)


def post(manager: Manager, path: str, **body: object) -> tuple[int, Any]:
    status, answer = manager.request("POST", path, json.dumps(body).encode(), timeout_s=120)
    return status, json.loads(answer) if answer else None


def test_forming(network: Network) -> None:
    """One init makes a swarm of all; newcomers join, those that are taken off the list leave, and a restart goes on."""
    directory = sandbox.run_dir() / "forming"
    with Fleet(directory, network=network, prefix="form", labels={"zone": "a"}, count=2) as fleet:
        fleet.add(1, version="28", labels={"zone": "b"})
        first, second, third = fleet.engines
        listed = directory / "members"

        def discover(*engines: Engine) -> None:
            listed.write_text("".join(f"{each.own_address}\n" for each in engines))

        discover(first, second)
        manager = Manager(directory / "manager", arguments=AUTO, discovery=f"file://{listed}")
        secrets: set[str] = set()
        with serving(manager):
            manager.wait(healthy=2)
            status, node_id = post(manager, "/swarm/init", ListenAddr="0.0.0.0:2377", AdvertiseAddr="")
            assert (status, node_id) == (200, part(first)["NodeID"])
            assert roles(first) == {"form-1": "manager", "form-2": "worker"}
            assert part(first)["NodeAddr"] == first.cable.ip
            assert post(manager, "/swarm/init")[0] == 503
            secrets |= set(first.get_json("/swarm")["JoinTokens"].values())

            discover(first, second, third)
            three = dict.fromkeys(("form-1", "form-2", "form-3"), "manager")
            manager.wait_until(lambda: roles(first) == three, "three managers")
        with serving(manager):
            manager.wait(healthy=3)
            [fourth] = fleet.add(1)
            discover(*fleet.engines)
            manager.wait_until(lambda: roles(third) == {**three, "form-4": "worker"}, "a worker")
            discover(second, third, fourth)
            left = {"form-2": "manager", "form-3": "manager", "form-4": "manager"}
            manager.wait_until(lambda: roles(second) == left, "another manager in the place of the first")
            assert is_free([first])

            status, answer = post(manager, "/swarm/leave")
            assert (status, "--force" in answer["message"]) == (503, True)
            assert post(manager, "/swarm/leave?force=1")[0] == 200
            assert is_free(fleet.engines)
            assert post(manager, "/swarm/leave?force=1")[0] == 503
        assert not [each for each in secrets if each in manager.log]
        assert "Traceback" not in manager.log
        print(manager.log)
