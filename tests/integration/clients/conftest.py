"""Clusters of two and of three engines for whole client programs.

With `--direct` they are shown one engine itself, which tells whether a test is right.
"""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.clients import Cli, cli, compose_1
from tests.hosts import sandbox
from tests.hosts.fleet import Fleet, at_once
from tests.hosts.manager import Manager
from tests.hosts.network import Network
from tests.integration.clients.compose import Project
from tests.integration.clients.pools import Pool
from tests.integration.conftest import serving, watched

VERSIONS = ("20.10", "26.1", "28")
PROJECTS = itertools.count(1)


@pytest.fixture(scope="session")
def trio(network: Network) -> Iterator[Fleet]:
    """Yield three engines, of the three versions that there are."""
    with Fleet(sandbox.run_dir() / "trio", network=network, prefix="trio") as fleet:
        for version in VERSIONS:
            fleet.make(version=version)
        at_once(engine.poweron for engine in fleet.engines)
        at_once(engine.wait for engine in fleet.engines)
        yield fleet


@pytest.fixture(scope="session")
def trio_manager(trio: Fleet) -> Iterator[Manager]:
    """Yield a manager over the three engines, for the whole session."""
    with serving(Manager(sandbox.run_dir() / "managers" / "trio", trio.engines)) as manager:
        yield manager


@pytest.fixture
def two(request: pytest.FixtureRequest, fleet: Fleet) -> Iterator[Pool]:
    """Yield a cluster of two engines 20.10, emptied after the test."""
    yield from lent(request, fleet, "plain_manager")


@pytest.fixture
def three(request: pytest.FixtureRequest, trio: Fleet) -> Iterator[Pool]:
    """Yield a cluster of three engines of different versions, emptied after the test."""
    yield from lent(request, trio, "trio_manager")


def lent(request: pytest.FixtureRequest, fleet: Fleet, fixture: str) -> Iterator[Pool]:
    """Lend a cluster for one test; with `--direct`, the newest of its engines instead."""
    if request.config.getoption("--direct"):
        engine = fleet.engines[-1]
        yield Pool(engine.address, [engine])
        fleet.empty()
        return
    manager: Manager = request.getfixturevalue(fixture)
    for _ in watched(manager, fleet):
        yield Pool(manager.address, fleet.engines, manager)


@pytest.fixture(params=["26.1-two", "28-three"])
def compose(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Project]:
    """Yield a project of docker compose 2; the parameter is "<version of the client>-<pool>"."""
    version, _, pool = request.param.partition("-")
    yield from lent_project(cli(version), request.getfixturevalue(pool), tmp_path, ("compose",))


@pytest.fixture
def compose_one(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Project]:
    """Yield a project of docker-compose 1.29; the parameter is the pool."""
    yield from lent_project(compose_1(), request.getfixturevalue(request.param), tmp_path)


def lent_project(tool: Cli, pool: Pool, directory: Path, subcommand: Sequence[str] = ()) -> Iterator[Project]:
    """Lend a project, and take it down if its test did not get that far."""
    project = Project(tool, pool, directory, f"p{next(PROJECTS)}", subcommand)
    yield project
    if project.is_up:
        project("down", "-v", "-t", "0", "--remove-orphans", check=False)
