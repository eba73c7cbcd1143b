"""Services, secrets and stacks through the proxy, over TLS, on a swarm of engines of two versions that it formed."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import StartManager
from tests.discovery.servers.etcd import Etcd
from tests.discovery.servers.process import serve
from tests.hosts import sandbox
from tests.hosts.certificates import Certificates
from tests.hosts.fleet import Fleet, at_once
from tests.hosts.manager import Manager
from tests.hosts.network import Network
from tests.integration.conftest import serving
from tests.integration.group import Group
from tests.integration.swarm_client import PATIENT, Swarm

pytestmark = pytest.mark.long

AUTO = ("--cluster-opt", "swarm.mode=auto")
READS_SECRET = f"cat /run/secrets/key /key.conf; echo; {PATIENT}"
STACK = """
version: "3.8"
services:
  web:
    image: busybox
    command: sh -c "trap exit TERM; while :; do sleep 0.1; done"
    environment: {ROUND: "%s"}
    networks: [mesh]
    secrets: [key]
    deploy: {replicas: 2, update_config: {order: start-first, parallelism: 0, monitor: 500ms}}
  db:
    image: busybox
    command: sh -c "trap exit TERM; while :; do sleep 0.1; done"
    networks: [mesh]
    deploy: {endpoint_mode: dnsrr}
networks:
  mesh: {driver: overlay, attachable: true}
secrets:
  key: {file: ./key.txt}
"""


@pytest.fixture(scope="module")
def swarm(network: Network, certificates: Certificates) -> Iterator[Swarm]:
    """Yield three engines that all manage the swarm which the proxy made of them; TLS everywhere."""
    directory = sandbox.run_dir() / "swarm-mode"
    tls, client = certificates.server, certificates.client
    with Fleet(directory, network=network, prefix="pool", count=2, tls=tls, client=client) as fleet:
        fleet.add(1, version="28")
        manager = Manager(
            directory / "manager", fleet.engines, arguments=AUTO, tls=tls, client=client, engine_client=client
        )
        with serving(manager):
            swarm = Swarm(manager, fleet.engines)
            swarm("swarm", "init", version="20.10")
            swarm("swarm", "update", "--dispatcher-heartbeat", "1s")
            swarm.until(lambda: len(swarm("node", "ls", "--filter", "role=manager", "-q")) == 3, "three managers")
            yield swarm
            print(manager.log)
        assert "Traceback" not in manager.log


def test_services(swarm: Swarm) -> None:
    """A service is made, reached on every node, scaled, updated, rolled back and removed, by clients old and new."""
    names = [engine.name for engine in swarm.engines]
    swarm("secret", "create", "key", "-", stdin="s3cret")
    swarm("config", "create", "conf", "-", stdin="c0nfig", version="20.10")
    uses = ("--secret", "key", "--config", "source=conf,target=/key.conf")
    quick = ("--update-parallelism=0", "--update-monitor=500ms", "--rollback-parallelism=0", "--rollback-monitor=500ms")
    three = ("--name", "web", "--replicas", "3")
    swarm("service", "create", "-d", *three, *uses, *quick, "busybox", "sh", "-c", READS_SECRET)
    swarm.until(lambda: swarm.replicas() == {"web": "3/3"}, "three tasks")
    assert swarm.nodes_of("web") == set(names)
    for slot in ("web.1", "web.2", "web.3"):
        assert swarm("exec", slot, "cat", "/run/secrets/key", version="20.10") == ["s3cret"]
    swarm.until(lambda: sum("s3cretc0nfig" in line for line in swarm("service", "logs", "web")) == 3, "all logs")
    [task] = swarm("service", "ps", "-q", "--filter", "name=web.2", "web")
    assert "s3cretc0nfig" in swarm.tried("service", "logs", task).stdout
    assert swarm("inspect", "--format", "{{.Spec.Name}}", "web") == ["web"]  # the client asks info whether we manage
    assert {line.split()[0] for line in swarm("service", "ps", "--format", "{{.Node}}", "web")} == set(names)

    swarm("service", "scale", "-d", "web=4", version="20.10")
    swarm.until(lambda: swarm.replicas() == {"web": "4/4"}, "four tasks")
    swarm("service", "update", "-d", "--env-add", "A=B", "web")
    swarm.until(lambda: swarm.have("web", "A=B") == {True}, "the update")
    swarm("service", "rollback", "-d", "web", version="20.10")
    swarm.until(lambda: swarm.have("web", "A=B") == {False}, "the rollback")

    elsewhere = ("--constraint", f"node.hostname!={names[1]}")
    swarm("service", "create", "-d", "--name", "agent", "--mode", "global", *elsewhere, "busybox", "sh", "-c", PATIENT)
    swarm.until(lambda: swarm.replicas()["agent"] == "2/2", "a task on two nodes")
    assert swarm.nodes_of("agent") == {names[0], names[2]}
    events = ("events", "--since", "10m", "--until", "0s", "--filter", "event=create", "--filter", "type=service")
    told = swarm(*events, "--format", "{{.Actor.Attributes.name}}")
    assert told == ["web", "agent"]  # each once, not from each manager
    swarm("service", "rm", "web", "agent")
    swarm("secret", "rm", "key")
    swarm("config", "rm", "conf", version="20.10")
    refused = swarm.tried("service", "ps", "web")
    assert (refused.code, "no such service: web" in refused.stderr) == (1, True)


def test_reservations(swarm: Swarm) -> None:
    """What tasks reserve is not given to containers; info shows it beside the swarm's own part."""
    node = swarm.engines[2].name
    total = swarm.engines[2].get_json("/info")["MemTotal"]
    on_node = ("--constraint", f"node.hostname=={node}", "--reserve-memory", str(total * 9 // 10))
    swarm("service", "create", "-d", "--name", "large", *on_node, "busybox", "sh", "-c", PATIENT)

    def reserved() -> list[str]:
        rows = swarm.manager.system_status()
        return [value.split(" / ")[0] for key, value in rows if key.strip("└ ") == "Reserved Memory"]

    swarm.until(lambda: reserved()[:2] == ["0 B", "0 B"] and reserved()[2] != "0 B", "the reservation")
    asked = ("run", "--rm", "-m", str(total // 2), "-e", f"constraint:node=={node}", "busybox", "true")
    assert "memory" in swarm.tried(*asked).stderr
    for version in ("20.10", "28"):
        shown = [line.strip() for line in swarm("info", version=version)]
        assert {"Swarm: active", "Is Manager: true", "Managers: 3", "Nodes: 3"} <= set(shown)
        assert f"{node}: {swarm.engines[2].own_address}" in shown
    swarm("service", "rm", "large")
    swarm.until(lambda: reserved() == ["0 B"] * 3, "nothing reserved")


def test_stack(swarm: Swarm, tmp_path: Path) -> None:
    """A stack of two services with a network and a secret comes up, is updated without a gap, and goes again."""
    (tmp_path / "key.txt").write_text("s3cret")
    file = tmp_path / "stack.yml"
    whole = {"shop_web": "2/2", "shop_db": "1/1"}
    for round_, version in (("1", "20.10"), ("2", "28")):
        file.write_text(STACK % round_)
        swarm("stack", "deploy", "-c", str(file), "shop", version=version)
        swarm.until(
            lambda round_=round_: swarm.replicas() == whole and swarm.have("shop_web", f"ROUND={round_}") == {True},
            f"round {round_}",
        )
    assert swarm("service", "inspect", "--format", "{{.UpdateStatus.State}}", "shop_web") != ["paused"]
    assert swarm("exec", "shop_db.1", "nslookup", "tasks.shop_web")
    for engine in swarm.engines:
        there = ("run", "--rm", "--network", "shop_mesh", "-e", f"constraint:node=={engine.name}")
        assert swarm(*there, "busybox", "nslookup", "tasks.shop_db")
    assert swarm("network", "ls", "--filter", "driver=overlay", "--format", "{{.Name}}") == ["ingress", "shop_mesh"]
    swarm("stack", "rm", "shop")
    swarm.until(lambda: not swarm.replicas() and not swarm("ps", "-q"), "an empty pool")
    swarm.until(lambda: "shop_mesh" not in swarm("network", "ls", "--format", "{{.Name}}"), "no network")


def test_drain(swarm: Swarm) -> None:
    """Drained through the swarm or through us, a node is drained for both, and so is its return."""
    swarm("service", "create", "-d", "--name", "web", "--replicas", "3", "busybox", "sh", "-c", PATIENT)
    swarm.until(lambda: swarm.replicas() == {"web": "3/3"}, "three tasks")
    names = [engine.name for engine in swarm.engines]

    def word(of: str) -> list[str]:
        return swarm("node", "inspect", "--format", "{{.Spec.Availability}}", of)

    swarm("node", "update", "--availability", "drain", names[2])
    swarm.until(lambda: ("  └ Availability", "drain") in swarm.manager.system_status(), "drain")
    refused = swarm.tried("run", "--rm", "-e", f"constraint:node=={names[2]}", "busybox", "true")
    assert refused.code != 0
    swarm.until(lambda: swarm.nodes_of("web") == set(names[:2]), "the tasks to move")
    swarm.manager.request("POST", f"/swarmproxy/v1/nodes/{names[2]}/activate", b"")
    swarm.until(lambda: word(names[2]) == ["active"], "the swarm to follow")
    swarm.manager.request("POST", f"/swarmproxy/v1/nodes/{names[0]}/pause", b"")
    swarm.until(lambda: word(names[0]) == ["pause"], "the swarm to follow")
    swarm("node", "update", "--availability", "active", names[0], version="20.10")
    swarm.until(lambda: "Availability" not in str(swarm.manager.system_status()), "all to be active")
    swarm("service", "rm", "web")


def test_death_of_the_leader(swarm: Swarm) -> None:
    """With the swarm's leader dies no service: its tasks move, and what is asked meanwhile waits for the next one."""
    swarm("service", "create", "-d", "--name", "web", "--replicas", "3", "busybox", "sh", "-c", PATIENT)
    swarm.until(lambda: swarm.replicas() == {"web": "3/3"}, "three tasks")
    leader = swarm("info", "--format", "{{.Swarm.NodeID}}")
    assert swarm("node", "inspect", "--format", "{{.ManagerStatus.Leader}}", *leader) == ["true"]
    name = swarm("node", "inspect", "--format", "{{.Description.Hostname}}", *leader)
    dead = next(engine for engine in swarm.engines if [engine.name] == name)
    dead.kill()
    try:
        assert swarm("service", "ls", "--format", "{{.Name}}") == ["web"]
        swarm("service", "scale", "-d", "web=4")
        others = {engine.name for engine in swarm.engines if engine is not dead}
        swarm.until(
            lambda: swarm.nodes_of("web") >= others and swarm.replicas() == {"web": "4/4"}, "all tasks elsewhere"
        )
    finally:
        dead.poweron()
        dead.wait()
    swarm.until(lambda: swarm.manager.states() == ["Healthy"] * 3, "the former leader")
    swarm("service", "rm", "web")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    yield from serve(Etcd(tmp_path_factory.mktemp("etcd")))


def test_death_of_our_leader(
    swarm: Swarm, store: Etcd, start_manager: StartManager, certificates: Certificates
) -> None:
    """Another manager of ours goes on with the swarm that it finds."""
    group = Group(store, swarm.engines, start_manager)
    client = certificates.client
    leader, [other] = group.start(2, tls=certificates.server, client=client, engine_client=client, more=AUTO)
    service = ("service", "create", "-d", "--name", "web", "--replicas", "2", "busybox", "sh", "-c", PATIENT)
    other.docker(*service, with_cli="28")
    leader.kill()
    other.docker("service", "scale", "-d", "web=3", with_cli="28")
    after = Swarm(other, swarm.engines)
    after.until(lambda: after.replicas() == {"web": "3/3"}, "three tasks")
    assert after("exec", "web.3", "hostname")
    name = swarm.engines[1].name
    after("node", "update", "--availability", "pause", name)
    after.until(lambda: ("  └ Availability", "pause") in other.system_status(), "the new leader to follow")
    after("node", "update", "--availability", "active", name)
    after("service", "rm", "web")


def test_lost_quorum(swarm: Swarm) -> None:
    """With two of three managers gone reads are refused before the third says why; containers stay in reach."""
    swarm("service", "create", "-d", "--name", "web", "--mode", "global", "busybox", "sh", "-c", PATIENT)
    swarm.until(lambda: swarm.replicas() == {"web": "3/3"}, "three tasks")
    leader = swarm("info", "--format", "{{.Swarm.NodeID}}")
    [name] = swarm("node", "inspect", "--format", "{{.Description.Hostname}}", *leader)
    left = next(engine for engine in swarm.engines if engine.name != name)
    gone = [engine for engine in swarm.engines if engine is not left]
    [task] = swarm("ps", "-q", "--filter", f"node={left.name}")
    with ThreadPoolExecutor(1) as threads:
        at_once(engine.crash for engine in gone)
        itself = threads.submit(left.request, "GET", "/services", timeout_s=60)
        for listing in ("service", "node"):
            refused = swarm.tried(listing, "ls")
            assert (refused.code, "The swarm does not have a leader." in refused.stderr) == (1, True)
        assert not itself.done()  # it waits for a leader
        assert len(swarm("exec", task, "hostname")) == 1
        at_once(engine.poweron for engine in gone)
        at_once(engine.wait for engine in gone)
    swarm.until(lambda: swarm.tried("service", "ls").code == 0 and swarm.replicas() == {"web": "3/3"}, "all again")
    swarm("service", "rm", "web")
