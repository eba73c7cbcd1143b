"""Rescheduling by one of several managers: exactly once, whoever leads meanwhile."""

import time
from collections.abc import Iterator

import pytest

from tests.conftest import StartEngines, StartManager
from tests.discovery.servers.etcd import Etcd
from tests.discovery.servers.process import serve
from tests.hosts.engine import Engine
from tests.hosts.manager import Manager
from tests.integration.group import Group, frozen
from tests.integration.test_rescheduling import SOON, held, run
from tests.waiting import wait_until

pytestmark = pytest.mark.long

NAMES = [f"c{number}" for number in range(12)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    yield from serve(Etcd(tmp_path_factory.mktemp("etcd")))


def everywhere(engines: list[Engine]) -> list[tuple[str, str]]:
    """Return name and state of each container, as often as it is there."""
    return sorted(item for engine in engines for item in held(engine).items())


def begin_to_move(group: Group, managers: int, lost: Engine) -> Manager:
    """Return the leader of so many managers, which has begun to make the containers of `lost` anew elsewhere."""
    leader, _ = group.start(managers, more=SOON)
    for name in NAMES:
        run(leader, name, node=lost.name)
    lost.crash()
    others = [engine for engine in group.engines if engine is not lost]
    wait_until(lambda: everywhere(others), "the first container to be made")
    return leader


def test_leader_killed_in_the_middle(store: Etcd, start_engines: StartEngines, start_manager: StartManager) -> None:
    """A leader that is killed while it reschedules leaves the rest to the next one: each container runs once."""
    lost, *others = engines = start_engines(3)
    leader = begin_to_move(Group(store, engines, start_manager), 3, lost)
    leader.kill()
    expected = sorted((name, "running") for name in NAMES)
    wait_until(lambda: everywhere(others) == expected, "each container to run once")
    time.sleep(3)  # what is doubled later would show by now: the next leader looks every second
    assert everywhere(others) == expected
    lost.poweron().wait()
    wait_until(lambda: held(lost) == {}, "the duplicates to be removed")
    assert everywhere(others) == expected


def test_frozen_leader(store: Etcd, start_engines: StartEngines, start_manager: StartManager) -> None:
    """A leader that stands still while another reschedules does nothing of it again when it goes on."""
    lost, *others = engines = start_engines(3)
    leader = begin_to_move(Group(store, engines, start_manager), 2, lost)
    expected = sorted((name, "running") for name in NAMES)
    with frozen(leader):
        wait_until(lambda: everywhere(others) == expected, "each container to run once")
    time.sleep(3)  # it wakes in the middle of what it was about to do
    assert everywhere(others) == expected
