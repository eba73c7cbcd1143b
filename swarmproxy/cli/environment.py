"""`swarmproxy env`: the variables that make every Docker client of a shell use the manager.

Source: docker-machine 0.16, commands/env.go, for the options and for what each shell is told.
"""

import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import click

from swarmproxy.cli.commands import GoCommand
from swarmproxy.cli.options import Globals, flag, text
from swarmproxy.errors import ConfigError
from swarmproxy.settings import DEFAULT_HOSTS, Listen

_Lines = Callable[[str, str], str]


def _quoted_for_powershell(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _quoted_for_fish(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


_SET: Mapping[str, _Lines] = {
    "sh": lambda name, value: f"export {name}={shlex.quote(value)}",
    "fish": lambda name, value: f"set -gx {name} {_quoted_for_fish(value)};",
    "powershell": lambda name, value: f"$Env:{name} = {_quoted_for_powershell(value)}",
    "cmd": lambda name, value: f'SET "{name}={value}"',
}
_UNSET: Mapping[str, Callable[[str], str]] = {
    "sh": lambda name: f"unset {name}",
    "fish": lambda name: f"set -e {name};",
    "powershell": lambda name: f"Remove-Item Env:\\{name} -ErrorAction SilentlyContinue",
    "cmd": lambda name: f'SET "{name}="',
}
_HINT: Mapping[str, str] = {
    "sh": "# Run this command to configure your shell:\n# eval $({})",
    "fish": "# Run this command to configure your shell:\n# {} | source",
    "powershell": "# Run this command to configure your shell:\n# & {} | Invoke-Expression",
    "cmd": "REM Run this command to configure your shell:\nREM @FOR /f \"tokens=*\" %i IN ('{}') DO @%i",
}
_ALIASES = {"bash": "sh", "zsh": "sh", "dash": "sh", "ash": "sh", "ksh": "sh", "pwsh": "powershell"}
_NAMES = ("DOCKER_HOST", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")


def shell_of(named: str, environment: Mapping[str, str]) -> str:
    """Return which of the shells we know is meant: `named`, or that of the user. Raises ConfigError."""
    wanted = named or Path(environment.get("SHELL", "") or "sh").name
    shell = _ALIASES.get(wanted, wanted)
    if shell in _SET:
        return shell
    if named:
        raise ConfigError(f'unknown shell "{named}": it should be {", ".join(_SET)}')
    return "sh"


def variables(host: Listen, *, tls: bool, tlsverify: bool, cert_path: str) -> dict[str, str]:
    """Return the variables of the Docker clients; one that is not in it is to be unset. Raises ConfigError."""
    if (tls or tlsverify) and host.path:
        raise ConfigError("a unix socket has no TLS")
    said = {"DOCKER_HOST": str(host)}
    if tlsverify:
        said["DOCKER_TLS_VERIFY"] = "1"
    elif tls:
        said["DOCKER_TLS"] = "1"
    if cert_path:
        directory = Path(cert_path).expanduser().absolute()
        missing = [name for name in ("ca.pem", "cert.pem", "key.pem") if not (directory / name).is_file()]
        if missing:
            raise ConfigError(f"{directory} has no {' and no '.join(missing)}, which Docker's clients look for there")
        said["DOCKER_CERT_PATH"] = str(directory)
    return said


def lines(shell: str, said: Mapping[str, str], command: str) -> list[str]:
    """Return what `shell` is to be told; what is not in `said` is taken back."""
    told = [_SET[shell](name, said[name]) if name in said else _UNSET[shell](name) for name in _NAMES]
    return [*told, _HINT[shell].format(command)]


@click.pass_context
def _env(
    ctx: click.Context,
    /,
    *,
    host: str,
    tls: bool,
    tlsverify: bool,
    cert_path: str,
    shell: str,
    unset: bool,
    args: Sequence[str],
) -> None:
    """Print the variables. Raises ConfigError."""
    ctx.find_root().ensure_object(Globals).log_to(sys.stderr)
    if args:
        raise ConfigError(f'env takes flags only, not "{args[0]}"')
    chosen = shell_of(shell, os.environ)
    said = {}
    if not unset:
        address = Listen.parse(host.rstrip("/")) if host else DEFAULT_HOSTS[0]
        if not address.path and not address.host:
            raise ConfigError(f'"{host}" names no host: clients need tcp://host:port')
        said = variables(address, tls=tls, tlsverify=tlsverify, cert_path=cert_path)
    command = shlex.join([ctx.find_root().info_name or "swarmproxy", *sys.argv[1:]])
    click.echo("\n".join(lines(chosen, said, command)))


environment = GoCommand(
    "env",
    discovery=False,
    callback=_env,
    help="Print the commands that make Docker's clients in a shell use a manager",
    params=[
        text("--host", "-H", help='where the manager is (default "tcp://127.0.0.1:2375")'),
        flag("--tls", help="the manager speaks TLS; do not verify it"),
        flag("--tlsverify", help="the manager speaks TLS; verify it"),
        text("--cert-path", help="directory with ca.pem, cert.pem and key.pem for the clients"),
        text("--shell", help="sh, fish, powershell or cmd (default: yours)"),
        flag("--unset", "-u", help="take the variables back"),
    ],
)
