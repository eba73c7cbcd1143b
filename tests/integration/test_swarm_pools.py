"""Swarm mode from beginning to end on pools whose engines are all of one version, with the client of that version."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients import cli
from tests.hosts import sandbox
from tests.hosts.certificates import Certificates
from tests.hosts.engine import Engine
from tests.hosts.fleet import Fleet
from tests.hosts.manager import Manager
from tests.hosts.network import Network
from tests.integration.conftest import serving
from tests.integration.swarm_client import Swarm
from tests.program import Program

pytestmark = pytest.mark.long

# Nothing is put right by itself here: who is to manage is said by hand.
AUTO = ("--cluster-opt", "swarm.mode=auto", "--cluster-opt", "swarm.reschedule-after=10m")
STACK = """
version: "3.8"
services:
  web:
    image: busybox
    command: sh -c "trap exit TERM; while :; do sleep 0.1; done"
    environment: {ROUND: "%s"}
    networks: [mesh]
    secrets: [key]
    configs: [{source: conf, target: /key.conf}]
    deploy:
      replicas: 3
      placement: {max_replicas_per_node: 2}
      update_config: {parallelism: 1, monitor: 500ms, failure_action: rollback}
      rollback_config: {parallelism: 0, monitor: 500ms}
      resources:
        limits: {cpus: "1"}
        reservations: {generic_resources: [discrete_resource_spec: {kind: fpga, value: 1}]}
  agent:
    image: busybox
    command: sh -c "trap exit TERM; while :; do sleep 0.1; done"
    networks: [mesh]
    deploy: {mode: global, endpoint_mode: dnsrr, placement: {constraints: ["node.hostname!=%s"]}}
networks:
  mesh: {driver: overlay, attachable: true}
secrets:
  key: {file: ./key.txt}
configs:
  conf: {file: ./conf.txt}
"""


@pytest.fixture(params=("20.10", "28"))
def pool(request: pytest.FixtureRequest, network: Network, certificates: Certificates) -> Iterator[Swarm]:
    """Yield three engines of one version and a manager over them: plain for the old ones, with TLS for the others."""
    version = str(request.param)
    name = f"all-{version.partition('.')[0]}"
    pairs: dict[str, Any] = {} if version == "20.10" else {"tls": certificates.server, "client": certificates.client}
    fpgas = ("--node-generic-resource", "fpga=4")
    directory = sandbox.run_dir() / name
    with Fleet(directory, network=network, prefix=name, count=3, version=version, arguments=fpgas, **pairs) as fleet:
        engine_client = pairs.get("client")
        manager = Manager(directory / "manager", fleet.engines, arguments=AUTO, engine_client=engine_client, **pairs)
        with serving(manager):
            yield Swarm(manager, fleet.engines, version=version)
            print(manager.log)
        assert "Traceback" not in manager.log
        assert "SWMTKN" not in manager.log


def part(engine: Engine) -> str:
    """Return what an engine is in a swarm."""
    found = engine.get_json("/info")["Swarm"]
    return "manager" if found["ControlAvailable"] else "worker" if found["NodeID"] else str(found["LocalNodeState"])


def form(pool: Swarm) -> None:
    """Have the swarm formed by a manager of ours that is killed in the middle, and started again."""
    manager = pool.manager
    tool = cli(pool.version)
    command = tool.command(manager.address, "swarm", "init", tls=manager.client)
    with Program(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=tool.environment) as client:
        pool.until(lambda: "manager" in map(part, pool.engines), "the first manager")
        manager.kill()
        assert "inactive" in map(part, pool.engines)
        assert client.wait(60) != 0
    manager.start().wait()
    pool.until(lambda: list(map(part, pool.engines)) == ["manager"] * 3, "the others to join all the same")
    refused = pool.tried("swarm", "init")
    assert "This node is already part of a swarm" in refused.stderr
    ready = ("node", "ls", "--format", "{{.Status}} {{.Availability}}")
    pool.until(lambda: pool(*ready) == ["Ready Active"] * 3, "three nodes")


def deploy(pool: Swarm, directory: Path, round_: int) -> None:
    """Deploy the stack, and wait until all its tasks are of this round."""
    (directory / "key.txt").write_text("s3cret")
    (directory / "conf.txt").write_text("c0nfig")
    file = directory / "stack.yml"
    file.write_text(STACK % (round_, pool.engines[1].name))
    pool("stack", "deploy", "-c", str(file), "shop")
    whole = {"shop_web": "3/3", "shop_agent": "2/2"}
    this = f"ROUND={round_}"
    pool.until(lambda: pool.replicas() == whole and pool.have("shop_web", this) == {True}, f"round {round_}")


def reach(pool: Swarm) -> None:
    """Say what is true of a stack that runs: every task, and what runs beside it, is reached wherever it is."""
    hosts = {slot: pool("exec", f"shop_web.{slot}", "hostname") for slot in (1, 2, 3)}
    assert len({name for [name] in hosts.values()}) == 3
    assert pool("exec", "shop_web.3", "cat", "/run/secrets/key", "/key.conf") == ["s3cretc0nfig"]
    assert pool("service", "ps", "--filter", "desired-state=running", "-q", "shop_web")
    listed = pool("network", "ls", "--filter", "driver=overlay", "--format", "{{.Name}}")
    assert listed == ["ingress", "shop_mesh"]
    node = pool.engines[2].name
    for name, engine in (("near", pool.engines[0]), ("far", pool.engines[2])):
        on = ("--network", "shop_mesh", "-e", f"constraint:node=={engine.name}")
        pool("run", "-d", "--name", name, *on, "busybox", "sleep", "1d")
    assert (part(pool.engines[0]), part(pool.engines[2])) == ("manager", "worker")
    for name, other in (("near", "far"), ("far", "near"), ("near", "tasks.shop_web"), ("far", "tasks.shop_agent")):
        ping = ("exec", name, "ping", "-c", "1", "-w", "5", other)  # whose name comes to the nodes by gossip
        pool.until(lambda ping=ping: pool.tried(*ping).code == 0, f"{name} to reach {other}")
    pool("rm", "-f", "near", "far")

    # What its tasks may take is not given to containers: a limit of one CPU, and an FPGA of four.
    reserved = [value for key, value in pool.manager.system_status() if key.strip("└ ") == "Reserved CPUs"]
    assert [each.partition(" ")[0] for each in reserved] == [str(running(pool).count(name)) for name in pool.names]
    on_node = ("run", "--rm", "-e", f"constraint:node=={node}")
    assert "fpga" in pool.tried(*on_node, "-e", "resource:fpga=4", "busybox", "true").stderr
    pool(*on_node, "-e", "resource:fpga=2", "busybox", "true")


WEB = ("--filter", "label=com.docker.swarm.service.name=shop_web")


def running(pool: Swarm) -> list[str]:
    """Return the nodes of the containers of `web` that are up, as `docker ps` shows them."""
    listed = pool("ps", *WEB, "--format", "{{.Names}} {{.Status}}")
    return sorted(line.partition("/")[0] for line in listed if " Up " in line)


def rotate(pool: Swarm) -> None:
    """Have the swarm's root of trust replaced: all nodes get certificates of the new one, and no task notices."""
    before, containers = pool("swarm", "ca"), set(pool("ps", "-q"))
    pool("swarm", "ca", "--rotate")  # which waits
    assert not pool.manager.get_json("/swarm")["RootRotationInProgress"]
    root = pool("swarm", "ca")
    assert root != before
    pool.until(lambda: pool("node", "ls", "--format", "{{.TLSStatus}}") == ["Ready"] * 3, "all to have certificates")
    assert [each.docker("swarm", "ca").lines for each in pool.engines if part(each) == "manager"] == [root] * 2
    assert set(pool("ps", "-q")) == containers


def join_anew(pool: Swarm, engine: Engine) -> None:
    """Have a worker leave, and come back by the token that there is now."""
    engine.docker("swarm", "leave")
    pool("node", "rm", "--force", engine.name)
    [token] = pool("swarm", "join-token", "-q", "worker")
    engine.docker("swarm", "join", "--token", token, f"{pool.engines[0].cable.ip}:2377")
    ready = ("node", "ls", "--format", "{{.Status}} {{.TLSStatus}}")
    pool.until(lambda: pool(*ready) == ["Ready Ready"] * 3, "it to be there")


def lock(pool: Swarm, engine: Engine) -> None:
    """Have managers lock what they keep: one that starts again waits for the key, and gets it."""
    pool("swarm", "update", "--autolock=true")
    [key] = pool("swarm", "unlock-key", "-q")
    engine.stop()
    engine.poweron().wait()
    pool.until(lambda: part(engine) == "locked", "it to wait for the key")
    pool.until(lambda: pool.manager.docker("swarm", "unlock", stdin=key, check=False).code == 0, "it to get the key")
    pool.until(lambda: part(engine) == "manager", "it to manage again")


def test_from_init_to_leave(pool: Swarm, tmp_path: Path) -> None:
    """A pool of one version becomes a swarm, bears a stack and a new root, loses a worker, and is taken apart."""
    form(pool)
    first, second, third = pool.engines
    pool("swarm", "update", "--dispatcher-heartbeat", "1s")
    pool("node", "demote", third.name)
    pool.until(lambda: part(third) == "worker", "a pure worker")
    workers = ("node", "ls", "--filter", "role=worker", "--format", "{{.Hostname}}")
    pool.until(lambda: pool(*workers) == [third.name], "the swarm to list it as one")

    deploy(pool, tmp_path, 1)
    reach(pool)
    rotate(pool)
    join_anew(pool, third)
    deploy(pool, tmp_path, 2)
    state = ("service", "inspect", "--format", "{{.UpdateStatus.State}}", "shop_web")
    pool.until(lambda: pool(*state) == ["completed"], "the rolling update")
    pool("service", "rollback", "-d", "shop_web")
    pool.until(lambda: pool.have("shop_web", "ROUND=1") == {True}, "the rollback")
    pool.until(lambda: pool(*state) == ["rollback_completed"], "the end of the rollback")

    # A worker dies: its tasks come up elsewhere, and are found there.
    pool.until(lambda: running(pool) == sorted(pool.names), "a task on each node")
    third.kill()
    left = {first.name, second.name}
    pool.until(lambda: len(running(pool)) == 3 and set(running(pool)) == left, "its task elsewhere")
    ids = {
        line[:12]
        for line in pool("ps", "-q", *WEB, "--filter", "status=running", *(f"--filter=node={each}" for each in left))
    }
    assert {pool("exec", f"shop_web.{slot}", "hostname")[0] for slot in (1, 2, 3)} == ids
    pool.until(lambda: pool("node", "ls", "--format", "{{.Hostname}} {{.Status}}")[-1] == f"{third.name} Down", "word")
    pool("service", "scale", "-d", "shop_web=4")
    pool.until(lambda: len(running(pool)) == 4, "one more")

    # It comes back, and what is left of its former task goes.
    third.poweron().wait()
    pool.until(lambda: pool.manager.states() == ["Healthy"] * 3, "the worker")
    pool.until(lambda: pool("node", "ls", "--format", "{{.Status}}") == ["Ready"] * 3, "the swarm to see it")
    pool.until(lambda: len(running(pool)) == 4, "no task twice")
    pool("stack", "rm", "shop")
    pool.until(lambda: not pool("ps", "-q"), "an empty pool")
    pool("node", "promote", third.name)
    pool.until(lambda: part(third) == "manager", "a third manager")
    lock(pool, second)
    pool("swarm", "leave", "--force")
    assert list(map(part, pool.engines)) == ["inactive"] * 3
    # An engine that was busy when it left may keep the ingress network until it starts again.
    overlays = ("network", "ls", "--filter", "driver=overlay", "-q")
    pool.until(
        lambda: set(pool(*overlays)) == {each for engine in pool.engines for each in engine.docker(*overlays).lines},
        "its networks to go where the engines let go of them",
    )
    assert "This node is not a swarm manager" in pool.tried("node", "ls").stderr
