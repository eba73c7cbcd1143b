"""The docker clients of two versions at the three kinds of endpoints: TCP, unix socket, TLS on both sides."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import docker as docker_sdk
import pytest

from tests.clients import cli
from tests.conftest import StartManager
from tests.hosts import sandbox
from tests.hosts.certificates import Certificates
from tests.hosts.fleet import Fleet
from tests.hosts.manager import Manager
from tests.hosts.network import Network
from tests.integration.client import Docker
from tests.integration.sdk import connected

PAIRING = ("20.10-tls", "28-tcp")  # what a test gets that says nothing


@pytest.fixture(scope="session")
def plain_manager(fleet: Fleet) -> Iterator[Manager]:
    """Yield a manager over two engines, for the whole session: on TCP and a unix socket, without TLS."""
    with serving(Manager(sandbox.run_dir() / "managers" / "plain", fleet.engines)) as manager:
        yield manager


@pytest.fixture(scope="session")
def secure_manager(tls_fleet: Fleet, certificates: Certificates) -> Iterator[Manager]:
    """Yield a manager for the whole session with verified TLS towards clients and towards its two engines."""
    manager = Manager(
        sandbox.run_dir() / "managers" / "secure",
        tls_fleet.engines,
        tls=certificates.server,
        client=certificates.client,
        engine_client=certificates.client,
    )
    with serving(manager):
        yield manager


@contextlib.contextmanager
def serving(manager: Manager) -> Iterator[Manager]:
    """Run `manager` for the length of the block; it has to end with exit status 0."""
    try:
        yield manager.start().wait()
    finally:
        manager.stop()


@pytest.fixture(params=PAIRING)
def docker(request: pytest.FixtureRequest, network: Network) -> Iterator[Docker]:
    """Yield a docker client at a manager over two engines, which are emptied after the test.

    The parameter is "<version of the client>-<tcp, unix or tls>".
    """
    version, _, endpoint = request.param.partition("-")
    secure = endpoint == "tls"
    fleet: Fleet = request.getfixturevalue("tls_fleet" if secure else "fleet")
    manager: Manager = request.getfixturevalue("secure_manager" if secure else "plain_manager")
    host = f"unix://{manager.socket_path}" if endpoint == "unix" else manager.address
    for _ in watched(manager, fleet):
        yield Docker(cli=cli(version), manager=manager, engines=fleet.engines, host=host, tls=manager.client)


def is_empty(manager: Manager) -> bool:
    """Say whether the manager, too, sees no container any more and one image."""
    status, containers = manager.request("GET", "/containers/json?all=1")
    images = manager.get_json("/images/json")
    return (status, json.loads(containers), len(images)) == (200, [], 1)


# For docker-py, faults and bad input


@pytest.fixture
def crash_free() -> Iterator[list[Manager]]:
    """Yield a list to put managers in: none of them may have logged a crash when the test is over."""
    managers: list[Manager] = []
    yield managers
    for manager in managers:
        assert "Traceback" not in manager.log


@pytest.fixture
def start_manager(crash_free: list[Manager], start_manager: StartManager) -> StartManager:
    """Return a function that starts managers which may not crash."""

    def start(*arguments: Any, **options: Any) -> Manager:
        manager = start_manager(*arguments, **options)
        crash_free.append(manager)
        return manager

    return start


@pytest.fixture
def front(plain_manager: Manager, fleet: Fleet) -> Iterator[Manager]:
    """Yield the session's manager over the two engines, which are emptied after the test."""
    yield from watched(plain_manager, fleet)


@pytest.fixture(params=["tcp", "unix", "tls"])
def endpoint(request: pytest.FixtureRequest) -> Iterator[docker_sdk.DockerClient]:
    """Yield a docker-py client at each kind of endpoint of a manager."""
    secure = request.param == "tls"
    manager: Manager = request.getfixturevalue("secure_manager" if secure else "plain_manager")
    for _ in watched(manager, request.getfixturevalue("tls_fleet" if secure else "fleet")):
        with connected(manager, unix=request.param == "unix") as client:
            yield client


@pytest.fixture
def sdk(front: Manager) -> Iterator[docker_sdk.DockerClient]:
    """Yield a docker-py client of `front`."""
    with connected(front) as client:
        yield client


def watched(manager: Manager, fleet: Fleet) -> Iterator[Manager]:
    """Lend a manager of the session for one test, which it may not crash in."""
    logged = len(manager.log)
    yield manager
    log = manager.log[logged:]
    print(f"log of the manager:\n{log}")
    fleet.empty()
    manager.wait_until(lambda: is_empty(manager), "an empty cluster")
    assert "Traceback" not in log
