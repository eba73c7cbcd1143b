"""Limits: clients that hold connections, send slowly or ask too much, and a manager that runs out of descriptors."""

import contextlib
import json
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from tests.clients import cli
from tests.conftest import StartManager
from tests.hosts.engine import Engine
from tests.hosts.manager import Manager
from tests.integration.client import Docker
from tests.integration.faults import run
from tests.integration.rawhttp import PATIENCE_S, Answer, ask, read_answer, request_bytes
from tests.waiting import wait_until

SLOW = 1000
HALF = b"GET /_ping HTTP/1.1\r\nHost: x\r\nX-Slow: "
FEW = 160  # descriptors
TOO_FEW = "too few file descriptors"


class Crowd:
    """Connections of one client, each with a way to read from it."""

    def __init__(self, manager: Manager) -> None:
        host, port = manager.address.split(":")
        self._address = host, int(port)
        self.all: list[socket.socket] = []

    def add(self, count: int, data: bytes = b"") -> list[socket.socket]:
        """Open `count` more, and send `data` on each."""
        added = [socket.create_connection(self._address, timeout=PATIENCE_S) for _ in range(count)]
        self.all += added
        for connection in added:
            with contextlib.suppress(ConnectionError):
                connection.sendall(data)
        return added

    def leave(self) -> None:
        """Close all."""
        for connection in self.all:
            connection.close()
        self.all.clear()


@contextmanager
def crowd_at(manager: Manager) -> Iterator[Crowd]:
    """Lend a crowd that has left when the block ends."""
    crowd = Crowd(manager)
    try:
        yield crowd
    finally:
        crowd.leave()


def answer_on(connection: socket.socket) -> Answer | None:
    """Return the answer that comes; None if the connection is closed without one."""
    with contextlib.suppress(ConnectionError, EOFError), connection.makefile("rb") as reader:
        return read_answer(reader)
    return None


def begin_of_answer(connection: socket.socket) -> tuple[int, str]:
    """Return the status of the answer, and what an error says without the name of an engine; 0: closed without one."""
    try:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            if not (byte := connection.recv(1)):
                return 0, ""
            head += byte
        status = int(head.split()[1])
        if status == 200:
            return status, ""
        said = json.loads(connection.recv(65536))["message"]
    except ConnectionError:
        return 0, ""
    return status, str(said).partition(" 10.77.")[0]


def descriptors(manager: Manager) -> int:
    """Return how many the manager has open."""
    return len(os.listdir(f"/proc/{manager.pid}/fd"))


def test_slow_clients(engines: list[Engine], start_manager: StartManager) -> None:
    """A thousand clients that send their request byte by byte hold up nobody, and are cut off; so are slow bodies.

    A silent shell is no slow body.
    """
    limits = ("head-timeout=3s", "body-timeout=3s", "connections=1100", "connections-per-client=1100")
    manager = start_manager(engines, arguments=[f"--limit={limit}" for limit in limits])
    docker = Docker(cli=cli("20.10"), manager=manager, engines=engines, host=manager.address)
    docker.start("quiet")
    with crowd_at(manager) as crowd, docker.background("exec", "-i", "quiet", "cat") as shell:
        slow = crowd.add(SLOW, HALF)
        assert docker("run", "--rm", "busybox", "echo", "served").stdout == "served\n"
        assert len(docker.ps("-q")) == 1
        answers = [answer_on(connection) for connection in slow]
        assert [answer.status for answer in answers if answer is not None] == [408] * SLOW
        stuck = crowd.add(1, request_bytes("POST", "/containers/create", b"{}")[:-1])
        answer = answer_on(stuck[0])
        assert answer is not None
        assert (answer.status, answer.message) == (408, "the rest of the request's body did not come in time")
        assert shell.stdin is not None
        assert shell.stdout is not None
        shell.stdin.write(b"still here\n")
        shell.stdin.flush()
        assert shell.stdout.readline() == b"still here\n"
        crowd.leave()
        many = crowd.add(1200, HALF)
        over = [answer_on(connection) for connection in many[1100:]]
        assert not any(answer is not None and answer.status != 408 for answer in over)


def test_large_bodies(engines: list[Engine], start_manager: StartManager) -> None:
    """What is read into memory is bounded as the operator says; what only passes is not."""
    manager = start_manager([engines[0]], arguments=["--limit", "body-bytes=64k"])
    answer = ask(manager, "POST", "/containers/create", b" " * 65537)
    assert (answer.status, answer.message) == (413, "request body is larger than 65536 bytes")
    docker = Docker(cli=cli("20.10"), manager=manager, engines=engines, host=manager.address)
    docker.start("box")
    saved = docker("save", "busybox").out
    assert len(saved) > 65536
    assert "busybox" in docker("load", stdin=saved).stdout
    docker("cp", "-", "box:/", stdin=docker("cp", "box:/bin/busybox", "-").out)


def test_descriptors_exhausted(engines: list[Engine], start_manager: StartManager) -> None:
    """With no descriptors left, clients get 503, engines stay healthy, and all is well when others have left."""
    manager = start_manager(engines, arguments=["--limit=connections-per-client=1000"])
    quiet = run(manager, "quiet")
    resource.prlimit(manager.pid, resource.RLIMIT_NOFILE, (FEW, FEW))
    with crowd_at(manager) as crowd:
        crowd.add(200)
        wait_until(lambda: TOO_FEW in manager.log, "a word of descriptors in the log")
        for connection in crowd.all:
            with contextlib.suppress(ConnectionError):
                connection.sendall(request_bytes("POST", f"/containers/{quiet}/wait"))
        answers = [begin_of_answer(connection) for connection in crowd.all]
        assert set(answers) == {
            (200, ""),
            (503, "The manager has too few file descriptors left, try again later"),
            (503, "This manager has no file descriptor left for a connection to engine"),
            (0, ""),
        }
        assert descriptors(manager) <= FEW
    wait_until(lambda: descriptors(manager) < FEW // 2, "descriptors to be free again")
    assert ask(manager, "GET", f"/containers/{quiet}/top").status == 200
    assert manager.states() == ["Healthy", "Healthy"]
    assert manager.log.count(TOO_FEW) == 1
    assert "Unhealthy" not in manager.log
