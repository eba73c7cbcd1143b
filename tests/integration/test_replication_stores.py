"""Managers that lead by the locks of consul and ZooKeeper: the same in short."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import StartManager
from tests.discovery.servers.consul import Consul
from tests.discovery.servers.process import Store, serve
from tests.discovery.servers.zookeeper import Zookeeper
from tests.hosts.engine import Engine
from tests.hosts.manager import PORTS, Manager
from tests.integration.builders import start, written
from tests.integration.faults import ps, run
from tests.integration.group import GUARD_S, STEADY, Group, frozen, role_of, seconds_until


@pytest.fixture(scope="module", params=[Consul, Zookeeper], ids=["consul", "zookeeper"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    yield from serve(request.param(tmp_path_factory.mktemp("store") / "server"))


@pytest.fixture
def group(store: Store, engines: list[Engine], start_manager: StartManager) -> Group:
    """Return a group of managers over the two engines of the session."""
    return Group(store, engines, start_manager)


def test_succession(group: Group) -> None:
    """A leader that ends, is killed or frozen is followed by another, and a replica does all along what it would."""
    leader, [one, other] = group.start(3)
    run(one, "first")
    assert other.docker("exec", "-i", "first", "cat", stdin="over\n").stdout == "over\n"
    leader.stop()
    took_s = seconds_until(lambda: "primary" in (role_of(one)[0], role_of(other)[0]), "the second leader")
    print(f"replaced {took_s:.2f} s after SIGTERM")
    assert took_s < 30
    leader.start().wait(healthy=2)

    leader, [one, other] = group.agreed()
    run(one, "second")
    leader.kill()
    took_s = seconds_until(lambda: "primary" in (role_of(one)[0], role_of(other)[0]), "the third leader")
    print(f"replaced {took_s:.2f} s after it was killed, ttl {group.store.ttl_s} s")
    assert set(ps(one)) == {"first", "second"}
    leader.start().wait(healthy=2)

    leader, [one, other] = group.agreed()
    with frozen(leader):
        took_s = seconds_until(lambda: "primary" in (role_of(one)[0], role_of(other)[0]), "the fourth leader")
        print(f"replaced {took_s:.2f} s after it was frozen, ttl {group.store.ttl_s} s")
        assert set(ps(one)) == {"first", "second"}
    assert role_of(leader)[0] == "replica"
    group.agreed()
    run(leader, "third")


def test_page_of_a_group(group: Group) -> None:
    """The page names the leader and all replicas: one that ends is gone at once, one that is killed with its TTL."""
    page = f"127.0.0.1:{next(PORTS)}"
    longer = ("--replication-ttl", "10s")  # the first is to lead all the time
    this = group.add(more=(*longer, "--page-addr", page))
    one, other = group.add(more=longer), group.add(more=longer)
    leader, _ = group.agreed()

    def roles() -> dict[str, str]:
        text = httpx.get(f"http://{page}/", timeout=GUARD_S).text
        return {address: role for role, address in re.findall(r"<li><b>(leader|replica)</b> ([0-9.:]+)", text)}

    def expected(*managers: Manager) -> dict[str, str]:
        return {each.address: "leader" if each is leader else "replica" for each in managers}

    assert leader is this  # it was alone when it began
    seconds_until(lambda: roles() == expected(this, one, other), "all three")
    one.stop()
    took_s = seconds_until(lambda: roles() == expected(this, other), "one that ended to be gone")
    print(f"gone {took_s:.2f} s after its end")
    other.kill()
    took_s = seconds_until(lambda: roles() == expected(this), "one that was killed to be gone")
    print(f"gone {took_s:.2f} s after it was killed, ttl {longer[1]}")
    other.start()
    seconds_until(lambda: roles() == expected(this, other), "it to be back")


def test_build_through_a_replica(group: Group, tmp_path: Path) -> None:
    """What BuildKit opens through a replica meets on one node, also when two clients build through it."""
    leader, [replica] = group.start(2, more=STEADY)
    directories = [
        written(tmp_path / name, {"Dockerfile": f"FROM busybox\nRUN sleep 1; echo {name} > /name\nCMD cat /name\n"})
        for name in ("one", "two")
    ]
    with (
        start(replica, "buildx-28", "-t", "one:1", directories[0]) as first,
        start(replica, "buildkit-20.10", "-t", "two:1", directories[1], host=f"unix://{replica.socket_path}") as second,
    ):
        assert (first.wait(180), second.wait(180)) == (0, 0)
    for name in ("one", "two"):
        assert leader.docker("run", "--rm", f"{name}:1").stdout == f"{name}\n"
        leader.docker("rmi", f"{name}:1")


def test_store_restart(group: Group) -> None:
    """Nobody leads while the store is down; afterwards one does, over the same engines and containers."""
    leader, [replica] = group.start(2)
    run(replica, "old")
    group.store.kill()
    seconds_until(lambda: role_of(leader)[0] == "replica", "the leader to stop")
    assert replica.states() == ["Healthy", "Healthy"]
    seconds_until(lambda: replica.get_json("/info")["Warnings"], "the warning")
    group.store.start()
    group.agreed()
    assert set(ps(replica)) == {"old"}
    seconds_until(lambda: not replica.get_json("/info")["Warnings"], "the store to be read again")
