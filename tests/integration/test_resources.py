"""Real engines are never overbooked, however many ask at once."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.conftest import StartEngines, StartManager
from tests.hosts.engine import Engine
from tests.hosts.manager import Manager

ASKED = 24


def create_many(manager: Manager, body: dict[str, Any]) -> list[tuple[int, str]]:
    """Return status and message of as many creates at the same time."""
    text = json.dumps(body).encode()
    with ThreadPoolExecutor(ASKED) as clients:
        asked = [clients.submit(manager.request, "POST", "/containers/create", text) for _ in range(ASKED)]
        answers = [each.result() for each in asked]
    return [(status, json.loads(said).get("message", "")) for status, said in answers]


def test_memory(engines: list[Engine], manager: Manager) -> None:
    """Of two dozen creates with limits near the capacity those are made that fit, and each node holds what it can."""
    total = engines[0].get_json("/info")["MemTotal"] * 105 // 100
    outcomes = create_many(manager, {"Image": "busybox", "HostConfig": {"Memory": total * 3 // 10}})
    assert Counter(status for status, _ in outcomes) == {201: 6, 500: ASKED - 6}
    assert {said for status, said in outcomes if status == 500} == {
        "no resources available to schedule container\n0 of 2 nodes: 2 out of memory"
    }
    assert [len(engine.get_json("/containers/json?all=1")) for engine in engines] == [3, 3]


def test_generic_resources(start_engines: StartEngines, start_manager: StartManager) -> None:
    """What engines declare in either way is given once, and a container that goes gives it back."""
    [first] = start_engines(1, arguments=["--node-generic-resource", "fpga=2"])
    [second] = start_engines(1, labels={"resource.fpga": "3"})
    manager = start_manager([first, second])
    wanted = {"Image": "busybox", "Env": ["resource:fpga=1", "A=b"]}
    outcomes = create_many(manager, wanted)
    assert Counter(status for status, _ in outcomes) == {201: 5, 500: ASKED - 5}
    assert {said for status, said in outcomes if status == 500} == {
        "no resources available to schedule container\n0 of 2 nodes: 2 out of fpga"
    }
    held = [engine.get_json("/containers/json?all=1") for engine in (first, second)]
    assert [len(each) for each in held] == [2, 3]
    made = first.get_json(f"/containers/{held[0][0]['Id']}/json")["Config"]
    assert (made["Env"][0], made["Labels"]["com.docker.swarm.resources"]) == ("A=b", '["fpga=1"]')
    assert manager.request("DELETE", f"/containers/{held[0][0]['Id']}")[0] == 204
    by_label = {"Image": "busybox", "Labels": {"com.docker.swarm.resources": '["fpga=1"]'}}
    assert manager.request("POST", "/containers/create", json.dumps(by_label).encode())[0] == 201
    assert len(first.get_json("/containers/json?all=1")) == 2
    status, said = manager.request(
        "POST", "/containers/create", json.dumps({**wanted, "Env": ["resource:fpga=x"]}).encode()
    )
    assert (status, "invalid resource" in said.decode()) == (400, True)
