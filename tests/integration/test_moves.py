"""Containers move in order: off a node that is drained, and for a rebalance."""

import json

from tests.conftest import StartEngines, StartManager
from tests.hosts.engine import Engine
from tests.integration.faults import ps, refusal, stream
from tests.integration.test_rescheduling import held, node_of, run
from tests.integration.test_sdk_events import reading
from tests.waiting import wait_until

REBALANCE = "/swarmproxy/v1/rebalance"


def test_drained(engines: list[Engine], start_manager: StartManager) -> None:
    """What has the policy comes up elsewhere and goes from a drained node; the rest stays there and is counted."""
    drained, other = engines
    manager = start_manager(engines)
    old = run(manager, "web", node=drained.name, Labels={"tier": "front"})
    run(manager, "quiet", node=drained.name, started=False)
    run(manager, "stays", node=drained.name, env=())
    status, answer = manager.request("POST", f"/swarmproxy/v1/nodes/{drained.name}/drain")
    with reading(manager) as reader:
        assert status == 200, answer
        wait_until(lambda: set(held(drained)) == {"stays"}, "the node to be drained")
        wait_until(lambda: "engine_drained" in reader.actions("swarm"), "the event")
        [done] = [each for each in reader.events if each["Action"] == "engine_drained"]
    progress = manager.get_json(f"/swarmproxy/v1/nodes/{drained.name}")["Drain"]
    assert progress == {"Moved": 2, "Moving": 0, "Staying": 1, "Errors": {}}
    assert manager.get_json(f"/swarmproxy/v1/nodes/{other.name}")["Drain"] is None
    assert held(other) == {"web": "running", "quiet": "created"}
    new = other.get_json("/containers/web/json")
    assert new["Config"]["Labels"]["tier"] == "front"
    assert {key: done["Actor"]["Attributes"][key] for key in ("moved", "staying")} == {"moved": "2", "staying": "1"}
    [event] = [each for each in reader.events if each["Action"] == "migrate" and each["Actor"]["ID"] == new["Id"]]
    attributes = event["Actor"]["Attributes"]
    assert (attributes["old"], attributes["from"], attributes["reason"]) == (old, drained.name, "drain")
    assert ps(manager, all=True).keys() == {"web", "quiet", "stays"}


def test_drain_with_a_way_back(engines: list[Engine], start_manager: StartManager) -> None:
    """A copy that does not run on the other node goes again, and the original works on where it was."""
    drained, other = engines
    manager = start_manager(engines)
    script = f"test $(cat /host) = {drained.name} || exit 3; sleep 1d"
    run(manager, "web", node=drained.name, HostConfig={"Binds": ["/etc/hostname:/host"]}, Cmd=["sh", "-c", script])
    assert held(drained) == {"web": "running"}
    manager.request("POST", f"/swarmproxy/v1/nodes/{drained.name}/drain")
    wait_until(lambda: "Failed to migrate container" in manager.log, "the first attempt")
    wait_until(lambda: held(drained) == {"web": "running"}, "the original to run again")
    assert held(other) == {}
    progress = manager.get_json(f"/swarmproxy/v1/nodes/{drained.name}")["Drain"]
    assert (progress["Moved"], progress["Moving"], progress["Staying"]) == (0, 1, 0)
    assert "exit code 3" in progress["Errors"]["web"]
    assert "exit code 3" in manager.log
    assert node_of(manager, "web") == drained.name


def test_rebalanced(start_engines: StartEngines, start_manager: StartManager) -> None:
    """A plan says what moves and why, and carrying it out tells each move; the next plan is empty."""
    full, empty = engines = start_engines(2)
    manager = start_manager(engines)
    assert manager.request("POST", f"/swarmproxy/v1/nodes/{empty.name}/pause")[0] == 200
    for number in range(4):
        run(manager, f"c{number}")
    assert manager.request("POST", f"/swarmproxy/v1/nodes/{empty.name}/activate")[0] == 200
    plan = manager.get_json(REBALANCE)
    assert [set(move) for move in plan["moves"]] == [{"container", "name", "from", "to", "to_id", "reason"}] * 2
    assert {(move["from"], move["to"]) for move in plan["moves"]} == {(full.name, empty.name)}
    assert (plan["before"][full.name]["containers"], plan["after"][full.name]["containers"]) == (4, 2)
    assert list(plan["before"]) == list(plan["after"]) == sorted([full.name, empty.name])
    assert len(held(full)) == 4
    with stream(manager, "POST", REBALANCE) as answer:
        first = json.loads(answer.readline())
        assert (first["status"], first["name"]) == ("moving", plan["moves"][0]["name"])
        assert refusal(manager, "POST", REBALANCE) == (409, "a rebalance is under way")
        rest = [json.loads(line) for line in answer]
    assert [line["status"] for line in rest] == ["moved", "moving", "moved", "done"]
    assert rest[-1] == {"status": "done", "moved": 2, "failed": 0}
    assert rest[0]["id"] == empty.get_json(f"/containers/{rest[0]['name']}/json")["Id"]
    assert sorted([*held(full), *held(empty)]) == [f"c{number}" for number in range(4)]
    assert {*held(full).values(), *held(empty).values()} == {"running"}
    assert manager.get_json(REBALANCE)["moves"] == []
    assert refusal(manager, "GET", f"{REBALANCE}?max_moves=-1")[0] == 400
