"""The commands that talk to a running manager: how they find it, and what becomes of its errors.

Source: the docker CLI, for names and meaning of flags and variables, so that one set of them serves both programs.
"""

import functools
import os
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from swarmproxy.cli.commands import GoCommand
from swarmproxy.cli.options import Globals, flag, text
from swarmproxy.errors import ConfigError, SwarmError
from swarmproxy.settings import DEFAULT_HOSTS, Listen, Tls
from swarmproxy.wire import tls as contexts

API = "/swarmproxy/v1"
"""Before the paths of what is ours beside Docker's API."""

_UNCLEAN = re.compile(r"[\x00-\x1f\x7f]+")


class ManagerCommand(GoCommand):
    """A command for a running manager. Its callback gets the `client`, what it needs beside that as it stood.

    Flags may stand before, between and behind the operands. An error is one line on stderr and exit code 1.
    """

    def __init__(
        self, name: str, *, callback: Callable[..., int | None], params: Iterable[click.Parameter] = (), **rest: Any
    ) -> None:
        super().__init__(
            name,
            discovery=False,
            flags_anywhere=True,
            callback=_with_client(callback),
            params=[*params, *_connection_options()],
            **rest,
        )


def segment(name: str) -> str:
    """Return `name` as one part of a path: slashes in it are no separators."""
    return quote(name, safe="")


def read_connection(
    *, host: str, tls: bool | None, tlsverify: bool | None, tlscacert: str, tlscert: str, tlskey: str
) -> tuple[Listen, Tls | None]:
    """Return where the manager is, and the TLS to speak with it. Raises ConfigError.

    What is not given comes from DOCKER_HOST, DOCKER_TLS, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH. As with docker, any
    text in the two switches is a yes, and files that nobody named need not be there.
    """
    named = host or os.environ.get("DOCKER_HOST", "") or str(DEFAULT_HOSTS[0])
    try:
        address = Listen.parse(named.rstrip("/"))
    except ConfigError as error:
        raise ConfigError(
            f'bad address of a manager, "{named}": it should be tcp://host:port or unix://path'
        ) from error
    verify = bool(os.environ.get("DOCKER_TLS_VERIFY")) if tlsverify is None else tlsverify
    wanted = bool(os.environ.get("DOCKER_TLS")) if tls is None else tls
    if not (wanted or verify) or address.path:
        return address, None
    config = os.environ.get("DOCKER_CONFIG", "") or Path.home() / ".docker"
    directory = Path(os.environ.get("DOCKER_CERT_PATH", "") or config)
    cert, key = _file(tlscert, directory / "cert.pem"), _file(tlskey, directory / "key.pem")
    if (cert is None) != (key is None):
        raise ConfigError("--tlscert and --tlskey must be provided together")
    return address, Tls(cert=cert, key=key, ca=_file(tlscacert, directory / "ca.pem"), verify=verify)


def _file(named: str, default: Path) -> Path | None:
    return Path(named) if named else default if default.exists() else None


def _connection_options() -> list[click.Option]:
    """Return the flags that say where the manager is, by the docker CLI's names."""
    return [
        text(
            "--host",
            "-H",
            help='where the manager is, tcp://host:port or unix://path (default "tcp://127.0.0.1:2375") [$DOCKER_HOST]',
        ),
        flag("--tls", default=None, help="use TLS; implied by --tlsverify [$DOCKER_TLS]"),
        text("--tlscacert", help='trust only certificates that this CA signed (default "~/.docker/ca.pem")'),
        text("--tlscert", help='certificate to show to the manager (default "~/.docker/cert.pem")'),
        text("--tlskey", help='its key (default "~/.docker/key.pem")'),
        flag("--tlsverify", default=None, help="use TLS and verify the manager [$DOCKER_TLS_VERIFY]"),
    ]


def _with_client(callback: Callable[..., int | None]) -> Callable[..., int]:
    """Return `callback` with a client in place of the flags that say where the manager is."""

    @functools.wraps(callback)
    @click.pass_context
    def run(
        ctx: click.Context,
        /,
        *,
        host: str,
        tls: bool | None,
        tlsverify: bool | None,
        tlscacert: str,
        tlscert: str,
        tlskey: str,
        **params: Any,
    ) -> int:
        # It brings httpx along, which is slow to import, and no other command needs it.
        from swarmproxy.cli.manager_client import ManagerClient

        ctx.find_root().ensure_object(Globals).log_to(sys.stderr)
        try:
            address, files = read_connection(
                host=host, tls=tls, tlsverify=tlsverify, tlscacert=tlscacert, tlscert=tlscert, tlskey=tlskey
            )
            context = None
            if files is not None:
                context = contexts.client_context(cert=files.cert, key=files.key, ca=files.ca, verify=files.verify)
            with ManagerClient(address, context) as client:
                return callback(client, **params) or 0
        except SwarmError as error:
            return complain(error)

    return run


def complain(problem: object) -> int:
    """Write `problem` to stderr, as one line whatever is in it; return the exit code."""
    click.echo(f"Error: {_UNCLEAN.sub(' ', str(problem))}", err=True)
    return 1
