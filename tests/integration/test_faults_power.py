"""Engines that lose power, crash and restart, and what clients see of it meanwhile and afterwards."""

import json
from concurrent.futures import ThreadPoolExecutor

from tests.conftest import StartEngines, StartManager
from tests.integration.faults import create, ps, refusal, row_of, run, wait_for
from tests.integration.test_sdk_events import reading
from tests.waiting import wait_until


def test_power_failure(start_engines: StartEngines, start_manager: StartManager) -> None:
    """A node without power is shown as such, does no harm to the other, and is itself again when it is back."""
    lost, other = engines = start_engines(2)
    manager = start_manager(engines)
    run(manager, "again", node=lost.name, RestartPolicy={"Name": "always"})
    run(manager, "ended", node=lost.name)
    run(manager, "other", node=other.name)
    lost.kill()
    with ThreadPoolExecutor() as clients:  # nobody knows yet: TCP tries for a quarter of an hour
        early = [clients.submit(refusal, manager, "POST", f"/containers/{name}/start") for name in ("again", "ended")]
        wait_for(manager, lost, "Unhealthy")
        answers = [each.result() for each in early]
    assert row_of(manager, lost, "Error")
    assert row_of(manager, other, "Status") == "Healthy"

    # lists
    assert set(ps(manager)) == {"other"}
    assert {name: status for name, (_, status) in ps(manager, all=True).items() if name != "other"} == {
        "again": "Host Down",
        "ended": "Host Down",
    }

    # requests about what is on it
    unhealthy = f"running on unhealthy node {lost.name}"
    for method, path in (("GET", "json"), ("GET", "logs?stdout=1"), ("POST", "stop"), ("POST", "rename?name=new")):
        assert refusal(manager, method, f"/containers/ended/{path}") == (500, f"Container ended {unhealthy}")
    for method, path in (("POST", "/start"), ("DELETE", ""), ("POST", "/exec")):
        answers.append(refusal(manager, method, f"/containers/ended{path}", {}))
    for status, message in answers:
        assert status == 500
        assert message.startswith(f"Cannot connect to the Docker daemon at tcp://{lost.own_address}.")

    # creates
    status, message = refusal(manager, "POST", "/containers/create?name=ended", {"Image": "busybox"})
    assert (status, "already in use" in message) == (409, True)
    for number in range(3):
        created = create(manager, f"new-{number}")
        assert manager.get_json(f"/containers/{created}/json")["Node"]["Name"] == other.name
    status, message = refusal(
        manager, "POST", "/containers/create", {"Image": "busybox", "Env": [f"constraint:node=={lost.name}"]}
    )
    assert status == 500
    assert message.startswith("Unable to find a node that satisfies the following conditions")

    # back
    lost.poweron().wait()
    wait_for(manager, lost, "Healthy")
    wait_until(lambda: ps(manager, all=True)["ended"][0] == "exited", "the true state")
    wait_until(lambda: ps(manager, all=True)["again"][0] == "running", "the restarted container")
    assert row_of(manager, lost, "Error") == ""
    assert manager.request("POST", "/containers/ended/start")[0] == 204
    assert set(ps(manager)) == {"again", "ended", "other"}


def test_no_node_left(start_engines: StartEngines, start_manager: StartManager) -> None:
    """A manager that meets no living engine says so, and works as soon as one comes up."""
    [engine] = start_engines(1)
    engine.stop()
    manager = start_manager([engine], healthy=0)
    assert row_of(manager, engine, "Status") == "Pending"
    status, message = refusal(manager, "POST", "/containers/create", {"Image": "busybox"})
    assert (status, message) == (500, "No healthy node available in the cluster")
    assert ps(manager, all=True) == {}
    engine.poweron().wait()
    wait_for(manager, engine, "Healthy")
    run(manager, "works")
    assert set(ps(manager)) == {"works"}


def test_restarted_in_place(start_engines: StartEngines, start_manager: StartManager) -> None:
    """Readers of events hear of a daemon's going and coming, and of what happens on it; its containers are right."""
    [engine] = start_engines(1)
    manager = start_manager([engine])
    run(manager, "again", RestartPolicy={"Name": "always"})
    run(manager, "ended", "sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.1; done")
    with reading(manager) as reader:
        engine.stop()
        wait_for(manager, engine, "Unhealthy")
        engine.poweron().wait()
        wait_for(manager, engine, "Healthy")
        wait_until(lambda: len(reader.actions("swarm")) == 2, "both events")
        assert reader.actions("swarm") == ["engine_disconnect", "engine_reconnect"]
        for event in reader.events:
            if event["Type"] == "swarm":
                assert event["Actor"]["Attributes"]["node.name"] == engine.name
        wait_until(lambda: ps(manager, all=True)["again"][0] == "running", "the restarted container")
        assert ps(manager, all=True)["ended"][0] == "exited"
        assert ps(manager, all=True)["ended"][1].startswith("Exited (7)")
        create(manager, "later")
        wait_until(lambda: "create" in reader.actions(), "an event of the engine that is back")


def test_removed_behind_our_back(start_engines: StartEngines, start_manager: StartManager) -> None:
    """What changes on an engine while nobody reaches it is known once it is reached again."""
    [engine] = start_engines(1)
    manager = start_manager([engine])
    gone = run(manager, "gone")
    engine.disconnect()
    wait_for(manager, engine, "Unhealthy")
    assert engine.request("DELETE", f"/containers/{gone}?force=1")[0] == 204
    status, body = engine.request("POST", "/containers/create?name=new", json.dumps({"Image": "busybox"}).encode())
    assert status == 201, body
    engine.reconnect()
    wait_for(manager, engine, "Healthy")
    wait_until(lambda: set(ps(manager, all=True)) == {"new"}, "the change to be known")
