"""The fixtures start the real manager over the real engines."""

import http.client

import pytest

from tests.clients import docker
from tests.conftest import StartManager
from tests.hosts import sandbox
from tests.hosts.certificates import Certificates
from tests.hosts.engine import Engine
from tests.hosts.manager import Manager


def test_manager(manager: Manager, engines: list[Engine]) -> None:
    """A container that is run through the manager runs on one of the engines."""
    assert manager.states() == ["Healthy"] * len(engines)
    manager.docker("run", "-d", "busybox", "sleep", "1d")
    assert sum(engine.count_running() for engine in engines) == 1


def test_unix_socket(manager: Manager) -> None:
    """The manager is reached through its unix socket as well."""
    assert docker("20.10", f"unix://{manager.socket_path}", "ps", "-q").stdout == ""


@pytest.mark.parametrize("version", ["20.10", "26.1", "28"])
def test_tls_manager(tls_manager: Manager, version: str) -> None:
    """Every client runs a container over TLS on both sides."""
    done = tls_manager.docker("run", "--rm", "busybox", "echo", "hello", with_cli=version)
    assert done.stdout == "hello\n"


def test_tls_to_clients_only(engines: list[Engine], start_manager: StartManager, certificates: Certificates) -> None:
    """A manager that serves TLS may have engines that do not."""
    manager = start_manager(engines, tls=certificates.server, client=certificates.client)
    assert manager.docker("ps", "-q").stdout == ""


def test_stopped(engines: list[Engine], start_manager: StartManager) -> None:
    """A manager told to stop exits with status 0 and serves no more."""
    manager = start_manager(engines)
    manager.stop()
    with pytest.raises((OSError, http.client.HTTPException)):
        manager.request("GET", "/_ping")


def test_bad_start(engines: list[Engine]) -> None:
    """A manager that does not start is reported with what it said."""
    manager = Manager(sandbox.run_dir() / "bad", engines, arguments=["--strategy", "none"])
    with pytest.raises(RuntimeError, match="strategy not supported"):
        manager.start().wait()
    with pytest.raises(AssertionError, match="exit status is 1"):
        manager.stop()
