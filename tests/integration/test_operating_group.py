"""What operators say to a group of managers outlives each of them, whatever store is between them."""

from collections.abc import Iterator

import pytest

from tests.conftest import StartManager
from tests.discovery.servers.consul import Consul
from tests.discovery.servers.etcd import Etcd
from tests.discovery.servers.process import Store, serve
from tests.discovery.servers.zookeeper import Zookeeper
from tests.hosts.engine import Engine
from tests.integration.group import Group
from tests.integration.operator import availability, nodes, places, run_some, swarmproxy, wait_for_availability


@pytest.fixture(scope="module", params=[Etcd, Consul, Zookeeper], ids=["etcd", "consul", "zookeeper"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    yield from serve(request.param(tmp_path_factory.mktemp("store") / "server"))


@pytest.fixture
def group(store: Store, engines: list[Engine], start_manager: StartManager) -> Group:
    """Return a group of managers over the two engines of the session."""
    return Group(store, engines, start_manager)


def test_leader_killed(group: Group) -> None:
    """A node drained at a replica stays drained when the leader is killed, and every manager says so."""
    leader, [one, other] = group.start(3)
    first, second = (engine.name for engine in group.engines)
    swarmproxy(one, "node", "drain", first)
    swarmproxy(other, "node", "label", first, "rack=r7")
    assert availability(leader) == ["drain", "active"]
    for manager in (leader, one, other):
        wait_for_availability(manager, "drain")
    leader.kill()
    new_leader, _ = group.agreed(without=leader)
    run_some(new_leader, "new")
    assert set(places(new_leader).values()) == {second}
    for manager in (one, other):
        assert nodes(manager)[first]["OperatorLabels"] == {"rack": "r7"}
    swarmproxy(one, "node", "activate", first)
    leader.start().wait(healthy=2)
    wait_for_availability(leader)
    assert availability(leader) == ["active", "active"]
