"""Our own hub as a process, plain or with TLS."""

import ssl
import subprocess
import sys
from pathlib import Path

import httpx

from benchmarks.processes import free_port
from tests.discovery.servers.process import ServerProcess, wait_until
from tests.hosts.certificates import Pair

PROGRAM = Path(sys.executable).with_name("swarmproxy")
GUARD_S = 60.0
UNLIMITED = ("--rate", "0", "--create-rate", "0")


class Hub:
    """`swarmproxy hub` on a port of the loopback, its data in `directory`."""

    def __init__(self, directory: Path, *flags: str, tls: Pair | None = None, client: Pair | None = None) -> None:
        self.tls = tls
        self.address = f"127.0.0.1:{free_port()}"
        self.base = f"{'https' if tls else 'http'}://{self.address}"
        self.socket = directory / "hub.sock"
        self._client = client
        listen: list[str | Path] = [
            "-H",
            f"tcp://{self.address}",
            "-H",
            f"unix://{self.socket}",
            "--data",
            directory / "hub.db",
        ]
        if tls:
            listen += ["--tlsverify" if client else "--tls", "--tlscert", tls.cert, "--tlskey", tls.key]
            listen += ["--tlscacert", tls.ca] if client else []
        self.process = ServerProcess([PROGRAM, "hub", *listen, *flags], directory / "hub.log")

    @property
    def options(self) -> dict[str, str]:
        """What --discovery-opt has to say to reach it."""
        if self.tls is None:
            return {"token.insecure": "true"}
        options = {"token.cacertfile": str(self.tls.ca)}
        if self._client:
            options |= {"token.certfile": str(self._client.cert), "token.keyfile": str(self._client.key)}
        return options

    @property
    def flags(self) -> list[str]:
        """The same on the command line."""
        return [part for key, value in self.options.items() for part in ("--discovery-opt", f"{key}={value}")]

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.process.start()
        wait_until(self.does_answer, "the hub", self.process)

    def restart(self) -> None:
        """Kill it, and start it again."""
        self.process.kill()
        self.start()

    def terminate(self) -> int:
        """End it by SIGTERM, and return its exit status."""
        process = self.process._process
        assert process is not None
        process.terminate()
        return process.wait(GUARD_S)

    def limit_files(self, size: str) -> None:
        """Let no file of it grow over `size`, as on a full disk; "unlimited" ends that."""
        process = self.process._process
        assert process is not None
        subprocess.run(["prlimit", "--pid", str(process.pid), f"--fsize={size}:unlimited"], check=True)

    def does_answer(self) -> bool:
        """Say whether it serves requests."""
        try:
            return self.ask("GET", "/_ping").status_code == 200
        except httpx.TransportError:
            return False

    def ask(self, method: str, path: str, body: str | None = None) -> httpx.Response:
        """Ask without our own client."""
        with self.connect() as client:
            return client.request(method, path, content=body)

    def connect(self) -> httpx.Client:
        """Return a client that keeps its connection for several questions."""
        return httpx.Client(base_url=self.base, verify=self._context(), trust_env=False, timeout=GUARD_S)

    def create(self) -> str:
        """Return a new token."""
        return self.ask("POST", "/clusters").text

    def entries(self, token: str) -> list[str]:
        """Return what it lists."""
        entries: list[str] = self.ask("GET", f"/clusters/{token}").json()
        return entries

    def url(self, token: str) -> str:
        """Return the discovery URL of a cluster."""
        return f"token://{self.address}/{token}"

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.tls.ca) if self.tls else None)
        if self._client:
            context.load_cert_chain(self._client.cert, self._client.key)
        return context
