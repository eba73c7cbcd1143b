"""Fixtures with real engines, clients and managers, and what makes `pytest` run them in a sandbox by itself.

A test that uses one of these fixtures, or is in `integration/`, is marked `engines`. When such tests are
about to run outside of a sandbox, pytest replaces itself by one inside (root needed), so that nothing they
start can outlive it.
"""

import itertools
import os
import signal
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import hypothesis
import pytest

from tests.hosts import base_image, sandbox, suites
from tests.hosts.certificates import Certificates
from tests.hosts.engine import Engine
from tests.hosts.fleet import Fleet
from tests.hosts.manager import Manager
from tests.hosts.network import Network
from tests.places import PLACES, is_in_place

INTEGRATION = Path(__file__).with_name("integration")
STORES = frozenset({"store", "hub"})
NEED_ENGINES = frozenset({"network", "fleet", "tls_fleet"})

# How long one example takes says more about the machine than about the code.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")


# How pytest runs

# A shell starts what it has in the background so that it ignores control-C, and so would all clients that tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --share, --failures and --direct."""
    parser.addoption(
        "--share", type=Path, metavar="DIR", help="run those test files that no other pytest has claimed in DIR"
    )
    parser.addoption("--failures", type=Path, metavar="FILE", help="write the tests that fail to FILE, a line each")
    parser.addoption(
        "--direct", action="store_true", help="show client programs one engine itself, to see whether a test is right"
    )


@pytest.hookimpl(tryfirst=True)  # before -m looks at the marks
def pytest_itemcollected(item: pytest.Item) -> None:
    if INTEGRATION in item.path.parents or NEED_ENGINES.intersection(getattr(item, "fixturenames", ())):
        item.add_marker("engines")
    elif STORES.intersection(getattr(item, "fixturenames", ())):
        item.add_marker("stores")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        mark = next((mark for mark in PLACES if item.get_closest_marker(mark)), "")
        if mark and not is_in_place(item.path, mark):
            raise pytest.UsageError(f"{item.nodeid} is marked {mark}, and `make test` does not look for it there")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """With --share, run one file after the other that nobody else runs: so all shares end at about the same time."""
    directory: Path | None = session.config.getoption("--share")
    if directory is None or session.config.option.collectonly or session.testsfailed:
        return None
    items = claimed(session.items, directory)
    item = next(items, None)
    while item is not None:
        following = next(items, None)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)
        item = following
    return True


class Failures:
    """Writes down which tests fail."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            with self._path.open("a") as file:
                file.write(f"{report.nodeid}\n")


def pytest_configure(config: pytest.Config) -> None:
    if (path := config.getoption("--failures")) is not None:
        config.pluginmanager.register(Failures(path))


def claimed(items: Sequence[pytest.Item], directory: Path) -> Iterator[pytest.Item]:
    """Yield the tests of each file that can be claimed, long files first. A claim is a file in `directory`."""
    files: dict[Path, list[pytest.Item]] = defaultdict(list)
    for item in items:
        files[item.path].append(item)
    is_long = {path: any(item.get_closest_marker("long") for item in tests) for path, tests in files.items()}
    for path in sorted(files, key=lambda path: (not is_long[path], -len(files[path]), path)):
        try:
            (directory / str(path).replace(os.sep, "_")).touch(exist_ok=False)
        except FileExistsError:
            continue
        yield from files[path]


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    config = session.config
    needed = any(item.get_closest_marker(mark) for mark in ("engines", "image", "chaos") for item in session.items)
    if not needed or sandbox.is_inside() or config.option.collectonly or session.testsfailed:
        return
    try:
        sandbox.demand_root()
    except PermissionError as error:
        raise pytest.UsageError(str(error)) from error
    suites.main()  # there is no network inside
    if any(item.get_closest_marker("image") for item in session.items):
        base_image.main()
    if capture := config.pluginmanager.getplugin("capturemanager"):
        capture.suspend_global_capture(in_=True)
    os.chdir(config.invocation_params.dir)
    print("-> in a sandbox", flush=True)
    sandbox.enter([sys.executable, "-m", "pytest", *map(str, config.invocation_params.args)])


# Engines


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Return a server's and a client's certificate of one authority, and a stranger's."""
    return Certificates.make(tmp_path_factory.mktemp("certificates") / "made")


@pytest.fixture(scope="session")
def network() -> Network:
    """Return the network that all engines of this session are on."""
    return Network().create()


@pytest.fixture(scope="session")
def fleet(network: Network) -> Iterator[Fleet]:
    """Yield two engines 20.10 without TLS, for the whole session. Most tests want `engines`."""
    with Fleet(count=2, network=network) as fleet:
        yield fleet


@pytest.fixture
def engines(fleet: Fleet) -> Iterator[list[Engine]]:
    """Yield the two engines of the session, emptied after the test, which has to leave them running."""
    yield list(fleet.engines)
    fleet.empty()


@pytest.fixture(scope="session")
def tls_fleet(network: Network, certificates: Certificates) -> Iterator[Fleet]:
    """Yield two engines 20.10 that serve TLS and demand certificates, for the whole session."""
    tls, client = certificates.server, certificates.client
    with Fleet(count=2, network=network, prefix="safe", tls=tls, client=client) as fleet:
        yield fleet


@pytest.fixture
def tls_engines(tls_fleet: Fleet) -> Iterator[list[Engine]]:
    """Yield the two engines with TLS, emptied after the test."""
    yield list(tls_fleet.engines)
    tls_fleet.empty()


class StartEngines(Protocol):
    def __call__(self, count: int = 1, **options: Any) -> list[Engine]:
        """Return `count` new engines of this test's own, which may be killed; options as in EngineOptions."""


@pytest.fixture
def start_engines(network: Network) -> Iterator[StartEngines]:
    """Yield a function that starts more engines, which are removed after the test."""
    with Fleet(sandbox.run_dir() / "own", network=network, prefix="own") as fleet:
        yield fleet.add


# Managers


class StartManager(Protocol):
    def __call__(self, members: Sequence[Engine | str] = (), *, healthy: int | None = None, **options: Any) -> Manager:
        """Return a manager over `members` once `healthy` (all) of them are; options as in Manager."""


MANAGERS = itertools.count(1)


@pytest.fixture
def start_manager() -> Iterator[StartManager]:
    """Yield a function that starts `swarmproxy manage`; after the test each must exit with 0 on SIGTERM."""
    with ExitStack() as ending:

        def start(members: Sequence[Engine | str] = (), *, healthy: int | None = None, **options: Any) -> Manager:
            directory = sandbox.run_dir() / "managers" / str(next(MANAGERS))
            started = Manager(directory, members, **options)
            ending.callback(lambda: print(f"log of the manager at {started.address}:\n{started.log}"))
            try:
                started.start().wait(healthy=healthy)
            except BaseException:
                started.kill()
                raise
            ending.callback(started.stop)
            return started

        yield start


@pytest.fixture
def manager(engines: list[Engine], start_manager: StartManager) -> Manager:
    """Return a manager over the two engines."""
    return start_manager(engines)


@pytest.fixture
def tls_manager(tls_engines: list[Engine], start_manager: StartManager, certificates: Certificates) -> Manager:
    """Return a manager that serves TLS and demands certificates, over the two engines that do the same."""
    return start_manager(
        tls_engines, tls=certificates.server, client=certificates.client, engine_client=certificates.client
    )
