"""The real docker clients, of several versions."""

import functools
import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.hosts import suites
from tests.hosts.certificates import Pair
from tests.program import Program


@dataclass(frozen=True, slots=True)
class Done:
    """What a program left: its exit status and its output."""

    command: Sequence[str]
    code: int
    out: bytes
    err: bytes

    @property
    def stdout(self) -> str:
        return self.out.decode(errors="replace")

    @property
    def stderr(self) -> str:
        return self.err.decode(errors="replace")

    @property
    def lines(self) -> list[str]:
        """The lines of stdout."""
        return self.stdout.splitlines()

    def __str__(self) -> str:
        return f"{' '.join(self.command)}\nexit status {self.code}\n{self.stdout}{self.stderr}"


@dataclass(frozen=True, slots=True)
class Cli:
    """A docker program with a configuration directory of its own, so nothing of the user's reaches it."""

    version: str
    path: Path
    config: Path
    variables: tuple[tuple[str, str], ...] = ()

    def command(self, host: str, *arguments: str, tls: Pair | None = None) -> list[str]:
        """Return the command line that does `arguments` on `host` ("127.0.0.1:2375", "unix:///path")."""
        secure = ["--tlsverify", f"--tlscacert={tls.ca}", f"--tlscert={tls.cert}", f"--tlskey={tls.key}"] if tls else []
        return [str(self.path), "-H", host if "://" in host else f"tcp://{host}", *secure, *arguments]

    @property
    def environment(self) -> dict[str, str]:
        """The environment for it: ours without DOCKER_*."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("DOCKER_", "COMPOSE_"))}
        return inherited | {"DOCKER_CONFIG": str(self.config), "DOCKER_CLI_HINTS": "false"} | dict(self.variables)

    def run(
        self,
        host: str,
        *arguments: str,
        stdin: bytes | str = b"",
        tls: Pair | None = None,
        check: bool = True,
        timeout_s: float = 60.0,
    ) -> Done:
        """Return what the client does with `arguments` on `host`.

        Raises AssertionError with its output if it fails, unless `check` is off, and TimeoutExpired.
        """
        command = self.command(host, *arguments, tls=tls)
        given = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(
            command, check=False, input=given, capture_output=True, timeout=timeout_s, env=self.environment
        )
        result = Done(command, done.returncode, done.stdout, done.stderr)
        assert not check or result.code == 0, str(result)
        return result

    def spawn(self, host: str, *arguments: str, tls: Pair | None = None) -> Program[bytes]:
        """Start the client with pipes to its stdin, stdout and stderr. The caller ends it (`with`)."""
        pipe = subprocess.PIPE
        command = self.command(host, *arguments, tls=tls)
        return Program(command, stdin=pipe, stdout=pipe, stderr=pipe, env=self.environment)


@functools.cache
def cli(version: str = "20.10") -> Cli:
    """Return the docker client of `version`: "20.10" (the machine's), "26.1" or "28" (that or newer).

    The newer ones come with the plugins compose (v2) and buildx.

    Raises SuiteUnavailableError if it was not fetched.
    """
    path = suites.client_path(version)
    config = Path(tempfile.mkdtemp(prefix=f"docker-cli-{version}-"))
    (config / "cli-plugins").mkdir()
    for name, plugin in suites.plugins(version).items():
        (config / "cli-plugins" / name).symlink_to(plugin)
    return Cli(version, path, config)


@functools.cache
def compose_1() -> Cli:
    """Return docker-compose 1.29, the last one in Python; it takes the same options for a host and for TLS.

    Raises SuiteUnavailableError if it was not fetched.
    """
    root = suites.compose_1_root()
    config = Path(tempfile.mkdtemp(prefix="docker-compose-1-"))
    variables = {
        "PYTHONPATH": str(root / "usr/lib/python3/dist-packages"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "COMPOSE_DOCKER_CLI_BUILD": "0",  # it builds by itself, not through a docker client of the machine's
    }
    return Cli("1.29", root / "usr/bin/docker-compose", config, tuple(variables.items()))


def docker(
    version: str,
    host: str,
    *arguments: str,
    stdin: bytes | str = b"",
    tls: Pair | None = None,
    check: bool = True,
) -> Done:
    """Return what the client of `version` does with `arguments` on `host`; see `Cli.run`."""
    return cli(version).run(host, *arguments, stdin=stdin, tls=tls, check=check)
