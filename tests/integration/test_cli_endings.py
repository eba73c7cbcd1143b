"""Clients that die and managers that stop: nothing is left open, nobody is left waiting."""

import os
import signal
import subprocess
from contextlib import ExitStack

from tests.clients import cli
from tests.conftest import StartManager
from tests.hosts.engine import Engine
from tests.hosts.manager import Manager
from tests.integration.client import Docker
from tests.integration.ways import each_endpoint
from tests.program import Program
from tests.waiting import PATIENCE_S, wait_until

READERS = 10


@each_endpoint
def test_killed_reader(docker: Docker) -> None:
    """The engine's side of a `logs -f` ends when its client is killed."""
    docker.start("aa", command=("sh", "-c", "echo ready; sleep 1d"))
    with ExitStack() as running:
        for _ in range(READERS):
            client = running.enter_context(docker.background("logs", "-f", "aa"))
            assert client.stdout is not None
            assert client.stdout.readline() == b"ready\n"
        during = connections(docker)
        assert len(during) >= READERS
    wait_until(lambda: len(during - connections(docker)) >= READERS, "the end of the engine's streams")


@each_endpoint
def test_killed_writer(docker: Docker) -> None:
    """The container of a `run -i` whose client is killed sees the end of its input."""
    with docker.background("run", "-i", "--name", "aa", "busybox", "sh", "-c", "echo ready; cat; exit 4") as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"ready\n"
    wait_until(lambda: docker.inspect("aa", "{{.State.Status}} {{.State.ExitCode}}") == "exited 4", "its end")


def test_killed_terminal(docker: Docker) -> None:
    """A terminal whose client is killed leaves its container running, and no stream behind."""
    with docker.terminal("run", "-it", "--name", "aa", "busybox", "sh") as terminal:
        terminal.expect("/ # ")
        during = connections(docker)
    wait_until(lambda: during - connections(docker), "the end of the engine's streams")
    assert docker.inspect("aa", "{{.State.Running}}") == "true"


def test_container_ends_first(docker: Docker) -> None:
    """A client that reads slowly still gets all output of a container that has long ended."""
    size = 2_000_000  # more than a pipe and the sockets on the way hold
    with docker.background("run", "--rm", "busybox", "head", "-c", str(size), "/dev/zero") as client:
        assert client.stdout is not None
        assert client.stdout.read(1) == b"\0"
        wait_until(lambda: docker.ps("-a") == [] or client.poll() is None, "its end")
        assert len(client.stdout.read()) == size - 1
        assert client.wait(PATIENCE_S) == 0


def test_stopped_manager(engines: list[Engine], start_manager: StartManager) -> None:
    """A manager that is told to stop ends the streams of its clients and exits with status 0."""
    manager = start_manager(engines, arguments=("--drain-timeout", "20s"))
    manager.docker("run", "-d", "--name", "aa", "busybox", "sh", "-c", "echo ready; sleep 1d")
    with ExitStack() as running:
        clients = [
            running.enter_context(begin(manager, *command))
            for command in (("logs", "-f", "aa"), ("run", "-i", "--rm", "busybox", "sh", "-c", "echo ready; cat"))
        ]
        events = running.enter_context(begin(manager, "events"))
        for client in clients:
            assert client.stdout is not None
            assert client.stdout.readline() == b"ready\n"
        os.kill(manager.pid, signal.SIGTERM)
        assert manager.wait_for_end() == 0
        for client in (*clients, events):
            client.wait(PATIENCE_S)
    assert engines[0].count_running() + engines[1].count_running() >= 1


def test_stopped_twice(engines: list[Engine], start_manager: StartManager) -> None:
    """A manager lets a request end that is about to be answered; told a second time to stop, it stops at once."""
    manager = start_manager(engines, arguments=("--drain-timeout", "1000s"))
    script = "trap : TERM; while :; do sleep 1; done"
    stubborn = manager.docker("run", "-d", "busybox", "sh", "-c", script).stdout.strip()
    with begin(manager, "stop", "-t", "1000", stubborn) as client:
        signalled = ("events", "--since", "1m", "--until", "0s", "--filter", f"container={stubborn}")
        wait_until(lambda: " kill " in manager.docker(*signalled).stdout, "the request at the engine")
        os.kill(manager.pid, signal.SIGTERM)
        wait_until(lambda: "draining" in manager.log, "the first signal")
        assert client.poll() is None
        os.kill(manager.pid, signal.SIGTERM)
        assert manager.wait_for_end() == 1
    manager.kill()  # so that nobody asks for its exit status again


def begin(manager: Manager, *arguments: str) -> Program[bytes]:
    """Start a docker client at `manager`."""
    return cli("28").spawn(manager.address, *arguments)


def connections(docker: Docker) -> set[str]:
    """Return the manager's own ends of its connections to its engines; it may open others at any time."""
    addresses = {engine.own_address for engine in docker.engines}
    listed = subprocess.run(["ss", "-Htn", "state", "established"], check=True, capture_output=True, text=True)
    ends = [line.split()[2:4] for line in listed.stdout.splitlines()]
    return {own for own, engine in ends if engine in addresses}
