"""Real agents announce real engines in real stores, and a manager keeps to what they say."""

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import StartManager
from tests.discovery.servers.consul import Consul
from tests.discovery.servers.etcd import Etcd
from tests.discovery.servers.process import Store, serve
from tests.discovery.servers.zookeeper import Zookeeper
from tests.discovery.store_contract import NODES
from tests.hosts.engine import Engine
from tests.hosts.manager import Manager
from tests.integration.agents import Agent
from tests.integration.faults import ps, run
from tests.integration.group import seconds_until

PREFIXES = itertools.count(1)


@pytest.fixture(scope="module", params=[Etcd, Consul, Zookeeper], ids=["etcd", "consul", "zookeeper"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    yield from serve(request.param(tmp_path_factory.mktemp("store") / "server"))


@pytest.fixture
def prefix() -> str:
    """Return a place in the store of this test's own."""
    return f"agents{next(PREFIXES)}"


@pytest.fixture
def join(store: Store, prefix: str, tmp_path: Path) -> Iterator[Callable[[Engine], Agent]]:
    """Yield a function that starts an agent for an engine."""
    agents: list[Agent] = []

    def start(engine: Engine) -> Agent:
        agents.append(Agent(tmp_path / f"agent{len(agents)}", store, prefix, engine))
        return agents[-1]

    yield start
    for agent in agents:
        agent.kill()


@pytest.fixture
def members(
    store: Store,
    prefix: str,
    engines: list[Engine],
    start_manager: StartManager,
    join: Callable[[Engine], Agent],
) -> tuple[Manager, list[Agent]]:
    """Return a manager that sees the two engines of the session, and their agents."""
    manager = start_manager(discovery=store.url(prefix), healthy=0)
    agents = [join(engine) for engine in engines]
    return manager.wait(healthy=2), agents


def test_come_and_go(members: tuple[Manager, list[Agent]], store: Store, prefix: str, engines: list[Engine]) -> None:
    """An agent's engine takes part, is gone at once when the agent ends, and after its TTL when it is killed."""
    manager, agents = members
    for number, engine in enumerate(engines):
        run(manager, f"c{number}", node=engine.name)
    assert set(ps(manager)) == {"c0", "c1"}
    agents[0].stop()
    assert store.read(f"{prefix}/{NODES}/{engines[0].own_address}") is None
    took_s = seconds_until(lambda: set(ps(manager)) == {"c1"}, "the first engine to leave")
    print(f"gone {took_s:.3f} s after the agent's end")
    assert took_s < 30  # half of the heartbeat after which the manager would look by itself
    agents[1].kill()
    took_s = seconds_until(lambda: manager.states() == [], "the second engine to leave")
    print(f"gone {took_s:.2f} s after the agent was killed, ttl {store.ttl_s} s")
    assert took_s < store.ttl_s + 10
    assert [engine.count_running() for engine in engines] == [1, 1]


@pytest.mark.parametrize("store", [Etcd], indirect=True, scope="module", ids=["etcd"])
def test_store_down(members: tuple[Manager, list[Agent]], store: Store) -> None:
    """A store that is down for longer than any TTL takes nobody away; the manager says so, once, until it is back."""
    manager, agents = members
    run(manager, "old")
    store.kill()
    seconds_until(lambda: manager.get_json("/info")["Warnings"], "the warning")
    [warning] = manager.get_json("/info")["Warnings"]
    assert store.address in warning
    time.sleep(store.ttl_s * 1.5)
    assert manager.states() == ["Healthy", "Healthy"]
    assert set(ps(manager)) == {"old"}
    run(manager, "meanwhile")
    assert 1 <= manager.log.count("Discovery error") <= 3
    store.start()
    seconds_until(lambda: not manager.get_json("/info")["Warnings"], "the store to be read again")
    seconds_until(lambda: all(agent.log.count("registered again") for agent in agents), "the agents")
    time.sleep(1)
    assert manager.states() == ["Healthy", "Healthy"]
    assert set(ps(manager)) == {"old", "meanwhile"}


def test_grace(members: tuple[Manager, list[Agent]], store: Store, prefix: str, engines: list[Engine]) -> None:
    """An entry that goes and comes back soon brings the engine's containers along, without reading them anew."""
    manager, agents = members
    for number, engine in enumerate(engines):
        run(manager, f"c{number}", node=engine.name)
    registered = manager.log.count("Registered Engine")
    agents[0].stop()
    seconds_until(lambda: set(ps(manager)) == {"c1"}, "the first engine to leave")
    address = engines[0].own_address
    store.write({f"{prefix}/{NODES}/{address}": address})
    took_s = seconds_until(lambda: len(manager.states()) == 2, "the first engine to come back")
    assert manager.states() == ["Healthy", "Healthy"]
    assert set(ps(manager)) == {"c0", "c1"}
    print(f"back {took_s:.3f} s after its entry")
    assert manager.log.count("Registered Engine") == registered
