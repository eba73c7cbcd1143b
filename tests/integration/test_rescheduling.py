"""Containers with a reschedule policy come up on another node when theirs has failed, and once only."""

import json
from collections.abc import Sequence
from typing import Any

from tests.conftest import StartEngines, StartManager
from tests.hosts.engine import Engine
from tests.hosts.manager import Manager
from tests.integration.faults import ps, wait_for
from tests.integration.test_sdk_events import reading
from tests.waiting import wait_until

POLICY = "reschedule:on-node-failure"
SOON = ("--cluster-opt", "swarm.reschedule-after=1s")


def run(
    manager: Manager, name: str, *, node: str = "", env: Sequence[str] = (POLICY,), started: bool = True, **body: Any
) -> str:
    """Return the id of a new container; `node` is a wish that holds for as long as that node lives."""
    host = {"Init": True, **body.pop("HostConfig", {})}
    wishes = [f"constraint:node==~{node}"] if node else []
    wanted = {"Image": "busybox", "Cmd": ["sleep", "1d"], "Env": [*env, *wishes], "HostConfig": host, **body}
    headers = {"Content-Type": "application/json"}
    status, answer = manager.request("POST", f"/containers/create?name={name}", json.dumps(wanted).encode(), headers)
    assert status == 201, answer
    container_id = str(json.loads(answer)["Id"])
    if started:
        assert manager.request("POST", f"/containers/{container_id}/start")[0] == 204
        wait_until(lambda: ps(manager, all=True)[name][0] != "created", f"{name} to be known to have started")
    return container_id


def node_of(manager: Manager, name: str) -> str:
    """Return the name of the node that a container is on; empty if it cannot be inspected now."""
    status, answer = manager.request("GET", f"/containers/{name}/json")
    return str(json.loads(answer)["Node"]["Name"]) if status == 200 else ""


def held(engine: Engine) -> dict[str, str]:
    """Return the state of each container on an engine by name."""
    return {each["Names"][0].lstrip("/"): each["State"] for each in engine.get_json("/containers/json?all=1")}


def test_node_killed_and_back(start_engines: StartEngines, start_manager: StartManager) -> None:
    """What has the policy comes up elsewhere as it was, the rest stays; when the node is back there is one of each."""
    lost, other = engines = start_engines(2)
    manager = start_manager(engines, arguments=SOON)
    for engine in engines:
        engine.docker("network", "create", "--subnet", "10.99.0.0/24", "front")
        engine.docker("network", "create", "back")
    old = run(
        manager,
        "web",
        node=lost.name,
        env=[POLICY, "A=1"],
        Labels={"tier": "front"},
        MacAddress="02:42:0a:63:00:91",
        HostConfig={"NetworkMode": "front", "Memory": 2**26, "CpuShares": 1, "Binds": ["data:/data"], "Init": True},
        NetworkingConfig={
            "EndpointsConfig": {"front": {"Aliases": ["www"], "IPAMConfig": {"IPv4Address": "10.99.0.9"}}}
        },
    )
    endpoint = {"Container": old, "EndpointConfig": {"Aliases": ["api"]}}
    body = json.dumps(endpoint).encode()
    assert lost.request("POST", "/networks/back/connect", body)[0] == 200
    run(manager, "helper", node=lost.name, HostConfig={"NetworkMode": f"container:{old}"}, env=[POLICY])
    run(manager, "made", node=lost.name, started=False)
    run(manager, "stays", node=lost.name, env=())
    run(manager, "off", node=lost.name, env=["reschedule:off"])
    before = lost.get_json(f"/containers/{old}/json")
    with reading(manager) as reader:
        lost.crash()
        wait_for(manager, lost, "Unhealthy")
        wait_until(
            lambda: held(other) == {"web": "running", "helper": "running", "made": "created"}, "the replacements"
        )
        wait_until(lambda: reader.actions("container").count("reschedule") == 3, "the events")
        [event] = [
            each
            for each in reader.events
            if each["Action"] == "reschedule" and each["Actor"]["Attributes"]["name"] == "web"
        ]
    new = other.get_json("/containers/web/json")
    assert (new["Config"]["Labels"], new["Config"]["Env"]) == (before["Config"]["Labels"], before["Config"]["Env"])
    assert {key: new["HostConfig"][key] for key in ("Memory", "CpuShares", "Binds", "NetworkMode")} == {
        key: before["HostConfig"][key] for key in ("Memory", "CpuShares", "Binds", "NetworkMode")
    }
    networks = new["NetworkSettings"]["Networks"]
    assert "www" in networks["front"]["Aliases"]
    assert (networks["front"]["IPAddress"], networks["front"]["MacAddress"]) == ("10.99.0.9", "02:42:0a:63:00:91")
    assert "api" in networks["back"]["Aliases"]
    assert new["Config"]["Hostname"] == new["Id"][:12]
    assert other.get_json("/containers/helper/json")["HostConfig"]["NetworkMode"] == f"container:{new['Id']}"
    attributes = event["Actor"]["Attributes"]
    assert event["Actor"]["ID"] == new["Id"]
    assert {key: attributes[key] for key in ("from", "to", "old", "new", "reason", "leftBehind")} == {
        "from": lost.name,
        "to": other.name,
        "old": old,
        "new": new["Id"],
        "reason": "node failure",
        "leftBehind": "volume data at /data",
    }
    # clients see one of each, and what stays as down
    assert set(ps(manager)) == {"web", "helper"}
    assert ps(manager, all=True).keys() == {"web", "helper", "made", "stays", "off"}
    assert ps(manager, all=True)["stays"][1] == "Host Down"
    assert node_of(manager, "web") == other.name

    lost.poweron().wait()
    wait_for(manager, lost, "Healthy")
    # of one that never ran the original stays: the copy holds nothing
    wait_until(lambda: set(held(lost)) == {"stays", "off", "made"}, "the duplicates to be removed")
    wait_until(lambda: held(other) == {"web": "running", "helper": "running"}, "the copy that never ran to be removed")
    assert "data" in {each["Name"] for each in lost.get_json("/volumes")["Volumes"]}
    assert "Removing a duplicate container" in manager.log


def test_partition(start_engines: StartEngines, start_manager: StartManager) -> None:
    """A node that was cut off and ran on gives up what was rescheduled; its copy gets the signal to end."""
    lost, other = engines = start_engines(2)
    manager = start_manager(engines, arguments=SOON)
    run(manager, "web", node=lost.name)
    lost.disconnect()
    wait_for(manager, lost, "Unhealthy")
    wait_until(lambda: held(other) == {"web": "running"}, "the replacement")
    assert held(lost) == {"web": "running"}
    lost.reconnect()
    wait_until(lambda: held(lost) == {}, "the duplicate to be removed")
    assert held(other) == {"web": "running"}
    assert node_of(manager, "web") == other.name


def test_shut_down(start_engines: StartEngines, start_manager: StartManager) -> None:
    """A machine that is shut down in order stops its containers first: those come up elsewhere all the same.

    One that had done its work before stays as it ended.
    """
    lost, other = engines = start_engines(2)
    manager = start_manager(engines, arguments=SOON)
    run(manager, "web", node=lost.name)
    run(manager, "job", node=lost.name, Cmd=["true"])
    wait_until(lambda: ps(manager, all=True)["job"][0] == "exited", "the job to end")
    lost.stop()
    wait_for(manager, lost, "Unhealthy")
    wait_until(lambda: held(other) == {"web": "running", "job": "created"}, "replacements")
