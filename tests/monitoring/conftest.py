"""A manager process over a simulated fleet: neither root nor engines are needed to watch it."""

import contextlib
import http.client
import json
import signal
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from benchmarks.processes import Child, free_port
from tests.integration.faults import rewrite
from tests.waiting import wait_until

DEADLINE_S = 30.0


class Stand:
    """The manager at `port`, watched at `side_port`, over `engines` simulated engines."""

    def __init__(
        self,
        directory: Path,
        *arguments: str,
        engines: int = 2,
        environment: Mapping[str, str] = {},
        listed: bool = True,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.directory = directory
        self.nodes = directory / "nodes"
        self.socket_path = directory / "docker.sock"
        self._listed = listed
        self.tls = tls
        self._engines = engines
        self._arguments = arguments
        self._environment = ("env", *(f"{key}={value}" for key, value in environment.items()))

    def start(self, ends: ExitStack) -> None:
        """Start the fleet and the manager."""
        fleet = (sys.executable, "-m", "benchmarks.fleet", "--engines", str(self._engines), "--containers", "3")
        self.fleet = Child((*fleet, "--nodes", self.directory / "members"), self.directory / "fleet.log", piped=True)
        ends.callback(self.fleet.stop)
        self.fleet.read_line()
        if self._listed:
            self.list_members()
        wait_until(lambda: self._listens(ends), "the listener")
        if self._listed:
            wait_until(lambda: self.get("/-/ready", side=True)[0] == 200, "readiness")

    def _listens(self, ends: ExitStack) -> bool:
        """Start the manager on free ports; return whether nobody else has taken them meanwhile."""
        self.port, self.side_port = free_port(), free_port()
        command = (
            *(*self._environment, sys.executable, "-m", "swarmproxy", "--debug", "manage"),
            *("-H", f"tcp://127.0.0.1:{self.port}", "-H", f"unix://{self.socket_path}"),
            *("--metrics-addr", f"127.0.0.1:{self.side_port}", *self._arguments, f"file://{self.nodes}"),
        )
        self.manager = Child(command, self.directory / "manager.log")
        ends.callback(self.manager.stop)
        while self.manager.alive:
            if self.answers(self.side_port):
                return True
            time.sleep(0.05)
        assert "already in use" in self.log, self.log
        return False

    def list_members(self) -> None:
        """Have discovery find the engines."""
        rewrite(self.nodes, (self.directory / "members").read_text())

    @property
    def log(self) -> str:
        return (self.directory / "manager.log").read_text()

    def answers(self, port: int) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
        try:
            connection.connect()
        except OSError:
            return False
        connection.close()
        return True

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] = {},
        port: int = 0,
        by_socket: bool = False,
    ) -> tuple[int, bytes]:
        """Return status and body of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=DEADLINE_S)
        if self.tls is not None:
            connection = http.client.HTTPSConnection(
                "127.0.0.1", port or self.port, timeout=DEADLINE_S, context=self.tls
            )
        if by_socket:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.connect(str(self.socket_path))
        sent = json.dumps(body).encode() if body is not None and not isinstance(body, bytes) else body
        with contextlib.closing(connection):
            connection.request(method, path, sent, dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.read()

    def get(self, path: str, *, side: bool = False, headers: Mapping[str, str] = {}) -> tuple[int, bytes]:
        return self.request("GET", path, headers=headers, port=self.side_port if side else 0)

    def get_json(self, path: str, *, side: bool = False) -> Any:
        return json.loads(self.get(path, side=side)[1])

    def signal(self, number: signal.Signals) -> None:
        self.manager.process.send_signal(number)


Start = Callable[..., Stand]


@pytest.fixture(scope="module")
def start_stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Yield what starts a manager with further arguments."""
    with ExitStack() as ends:

        def start(*arguments: str, **more: Any) -> Stand:
            stand = Stand(tmp_path_factory.mktemp("stand"), *arguments, **more)
            stand.start(ends)
            return stand

        yield start
