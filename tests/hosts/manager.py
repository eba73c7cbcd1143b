"""The real `swarmproxy manage`, as a process."""

import contextlib
import http.client
import itertools
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from tests.clients import Cli, Done, cli
from tests.hosts.certificates import Pair
from tests.hosts.engine import Engine
from tests.waiting import nap

START_DEADLINE_S = 120.0
STOP_DEADLINE_S = 60.0
PORTS = itertools.count(22000)  # below the ephemeral ports; every sandbox has all of them to itself
REPOSITORY = Path(__file__).parents[2]


class Manager:
    """A manager over `members`: engines (by their address on the bridge), or addresses as a user writes them.

    `tls` is what it serves with, demanding client certificates; `client` is what we then talk to it with.
    Engines that serve TLS are dialled with `engine_client`. `discovery` replaces the list of members.
    """

    def __init__(
        self,
        directory: Path,
        members: Sequence[Engine | str] = (),
        *,
        arguments: Sequence[str] = (),
        discovery: str = "",
        address: str = "",
        tls: Pair | None = None,
        client: Pair | None = None,
        engine_client: Pair | None = None,
        environment: dict[str, str] | None = None,
        experimental: bool = False,
    ) -> None:
        self.directory = directory
        self.members = [member.own_address if isinstance(member, Engine) else member for member in members]
        self.address = address or f"127.0.0.1:{next(PORTS)}"
        self.socket_path = directory / "manager.sock"
        self.client = client
        self.environment = environment or {}
        self.command = [
            *(sys.executable, "-m", "swarmproxy", *(["--experimental"] if experimental else []), "manage"),
            *("-H", f"tcp://{self.address}", "-H", f"unix://{self.socket_path}"),
            *(secure("--", tls) if tls else ()),
            *engine_options(tls, engine_client),
            *arguments,
            discovery or f"nodes://{','.join(self.members)}",
        ]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The PID of the process. Raises RuntimeError if it does not run."""
        if self._process is None:
            raise RuntimeError("the manager is not running")
        return self._process.pid

    @property
    def log(self) -> str:
        """What it wrote to stdout and stderr."""
        with contextlib.suppress(FileNotFoundError):
            return (self.directory / "log").read_text(errors="replace")
        return ""

    def start(self) -> Self:
        """Start the process; `wait` tells when it serves."""
        self.directory.mkdir(parents=True, exist_ok=True)
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("SWARM_", "DOCKER_"))}
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**environment, "PYTHONPATH": str(REPOSITORY), **self.environment},
            )
        return self

    def wait(self, *, healthy: int | None = None) -> Self:
        """Wait until it serves and `healthy` engines (None: all) are. Raises RuntimeError with the log."""
        wanted = len(self.members) if healthy is None else healthy
        self.wait_until(lambda: self.request("GET", "/_ping")[0] == 200, "an answer to /_ping")
        return self.wait_until(lambda: self.states().count("Healthy") == wanted, f"{wanted} healthy engines")

    def wait_until(self, condition: Any, what: str, *, deadline_s: float = START_DEADLINE_S) -> Self:
        """Wait until `condition()` is true.

        Raises RuntimeError, with the log, after `deadline_s` or when the process has ended.
        """
        begun = time.monotonic()
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if condition():
                    return self
            ended = self._process is None or self._process.poll() is not None
            if ended or time.monotonic() > begun + deadline_s:
                raise RuntimeError(
                    f"waited for {what}; the manager {'ended' if ended else 'did not get there'}:\n{self.log}"
                )
            nap(begun)

    def states(self) -> list[str]:
        """Return the state of each engine, as `docker info` shows it and in its order ("Healthy", ...)."""
        return [value for key, value in self.system_status() if key.lstrip(" └├│").strip() == "Status"]

    def system_status(self) -> list[tuple[str, str]]:
        """Return the rows of `docker info` about the cluster."""
        info = self.get_json("/info")
        return [(key, value) for key, value in info.get("SystemStatus") or info.get("DriverStatus") or ()]

    def stop(self) -> None:
        """End it with SIGTERM. Raises AssertionError, with the log, unless it exits with status 0 in time."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        assert code == 0, f"the manager's exit status is {code}:\n{self.log}"

    def wait_for_end(self, timeout_s: float | None = None) -> int:
        """Return its exit status, however long that takes. Raises subprocess.TimeoutExpired after `timeout_s`."""
        return self._process.wait(timeout_s) if self._process else 0

    def kill(self) -> None:
        """End it with SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        *,
        timeout_s: float = 30.0,
    ) -> tuple[int, bytes]:
        """Return status and body of its answer. Raises OSError or HTTPException."""
        with contextlib.closing(self.connect(timeout_s=timeout_s)) as connection:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()

    def connect(self, *, timeout_s: float = 30.0) -> http.client.HTTPConnection:
        """Return a connection to it, over TLS if it serves that. The caller closes it."""
        host, port = self.address.split(":")
        if self.client is None:
            return http.client.HTTPConnection(host, int(port), timeout=timeout_s)
        context = ssl.create_default_context(cafile=self.client.ca)
        context.load_cert_chain(self.client.cert, self.client.key)
        return http.client.HTTPSConnection(host, int(port), timeout=timeout_s, context=context)

    def get_json(self, path: str) -> Any:
        """Return the parsed answer to a GET. Raises AssertionError unless its status is 200."""
        status, body = self.request("GET", path)
        assert status == 200, f"{status} to {path}: {body.decode()}"
        return json.loads(body)

    def docker(
        self,
        *arguments: str,
        stdin: bytes | str = b"",
        check: bool = True,
        timeout_s: float = 60.0,
        with_cli: Cli | str = "20.10",
    ) -> Done:
        """Return what the docker client (a version, or a Cli) does with the cluster; see `Cli.run`."""
        tool = cli(with_cli) if isinstance(with_cli, str) else with_cli
        return tool.run(self.address, *arguments, stdin=stdin, tls=self.client, check=check, timeout_s=timeout_s)


def engine_options(tls: Pair | None, engine_client: Pair | None) -> list[str]:
    """Return the options for TLS towards engines, which is else as towards clients."""
    if engine_client:
        return secure("--engine-", engine_client)
    return ["--engine-tls=false", "--engine-tlsverify=false"] if tls else []


def secure(prefix: str, pair: Pair) -> list[str]:
    """Return the options for TLS with verified peers; `prefix` is "--" or "--engine-"."""
    paths = {"tlscacert": pair.ca, "tlscert": pair.cert, "tlskey": pair.key}
    return [f"{prefix}tlsverify", *(f"{prefix}{name}={path}" for name, path in paths.items())]
