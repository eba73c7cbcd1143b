"""`list`, `join` and `create`: the commands about discovery."""

import asyncio
import json
import logging
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence

import click

from discovery import Backend, Entry, open_backend
from discovery import DiscoveryError as BackendError
from swarmproxy import join as joining
from swarmproxy.cli.commands import GoCommand, program
from swarmproxy.cli.options import (
    Globals,
    advertise,
    discovery_argument,
    discovery_options,
    flag,
    read_advertise,
    read_discovery_options,
    read_duration,
    text,
)
from swarmproxy.errors import ConfigError, DiscoveryError, SwarmError

log = logging.getLogger("swarmproxy")


@click.pass_context
def _list(
    ctx: click.Context,
    /,
    *,
    args: tuple[str, ...],
    timeout: str,
    watch: bool,
    output_format: str,
    discovery_opt: tuple[str, ...],
) -> int:
    """Print the entries of the discovery backend, and nothing else on stdout."""
    ctx.ensure_object(Globals).log_to(sys.stderr)
    try:
        url = discovery_argument(args)
        if not url:
            raise ConfigError(f"discovery required to list a cluster. See '{program(ctx)} list --help'.")
        timeout_s = read_duration(timeout, "--timeout")
        if timeout_s <= 0:
            raise ConfigError("--timeout should be a positive number")
        if output_format not in _PRINTERS:
            raise ConfigError(f'--format should be text or json, not "{output_format}"')
        show = _PRINTERS[output_format]
        backend = _open(url, heartbeat_s=timeout_s, ttl_s=0, options=read_discovery_options(discovery_opt))
        if watch:
            asyncio.run(_watch(backend, show))
        else:
            show(asyncio.run(_fetch(backend, timeout_s)))
    except SwarmError as error:
        return _complain(error)
    return 0


async def _watch(backend: Backend, show: Callable[[Sequence[Entry]], None]) -> None:
    """Print all entries now, and after each change, with an empty line behind each list of texts."""
    shown: tuple[Entry, ...] | None = None
    failing = False
    async for listing in backend.watch():
        if listing.error:
            log.error("Discovery error", extra={"error": listing.error})
        elif failing:
            log.info("discovery works again")
        failing = bool(listing.error)
        if listing.read_at and listing.entries != shown:
            shown = listing.entries
            show(shown)
            if show is _show_text:
                click.echo()


def _show_text(entries: Sequence[Entry]) -> None:
    for entry in entries:
        click.echo(str(entry))


def _show_json(entries: Sequence[Entry]) -> None:
    click.echo(json.dumps([str(entry) for entry in entries], ensure_ascii=False))


_PRINTERS: Mapping[str, Callable[[Sequence[Entry]], None]] = {"text": _show_text, "json": _show_json}


@click.pass_context
def _join(
    ctx: click.Context,
    /,
    *,
    args: tuple[str, ...],
    advertise: str,
    delay: str,
    heartbeat: str,
    ttl: str,
    check: bool,
    discovery_opt: tuple[str, ...],
) -> int:
    """Keep the advertised address on the discovery service until told to end."""
    url = discovery_argument(args)
    if not url:
        raise ConfigError(f"discovery required to join a cluster. See '{program(ctx)} join --help'.")
    if not advertise:
        raise ConfigError("missing mandatory --advertise flag")
    entry = read_advertise(advertise)
    delay_s = read_duration(delay, "--delay")
    if delay_s < 0:
        raise ConfigError("--delay should not be a negative number")
    heartbeat_s = read_duration(heartbeat, "--heartbeat")
    if heartbeat_s < 1:
        raise ConfigError("--heartbeat should be at least one second")
    ttl_s = read_duration(ttl, "--ttl")
    if ttl_s <= heartbeat_s:
        raise ConfigError("--ttl must be strictly superior to the heartbeat value")
    backend = _open(url, heartbeat_s=heartbeat_s, ttl_s=ttl_s, options=read_discovery_options(discovery_opt))
    asyncio.run(joining.run(backend, entry, heartbeat_s=heartbeat_s, delay_s=delay_s, check=check))
    return 0


@click.pass_context
def _create(
    ctx: click.Context, /, *, args: tuple[str, ...], hub: str, insecure: bool, cacert: str, cert: str, key: str
) -> int:
    """Print a new token of the hub, and on stderr how to use it."""
    ctx.ensure_object(Globals).log_to(sys.stderr)
    if args:
        return _complain(f"the `create` command takes no arguments. See '{program(ctx)} create --help'.")
    from discovery.token import SWITCHED_OFF, Hub  # brings httpx along

    if not hub:
        return _complain(f"cannot create a token: {SWITCHED_OFF}.")
    files = {"token.cacertfile": cacert, "token.certfile": cert, "token.keyfile": key}
    try:
        found = Hub.parse(hub, {"token.insecure": str(insecure), **files})
        token = asyncio.run(found.create_token())
    except BackendError as error:
        return _complain(error)
    click.echo(token)
    options = {"token.insecure": "true" if found.is_plain else "", **files}
    flags = "".join(f"--discovery-opt {name}={shlex.quote(value)} " for name, value in options.items() if value)
    click.echo(f"To use it, for example: {program(ctx)} list {flags}token://{found.location}/{token}", err=True)
    return 0


def _open(url: str, *, heartbeat_s: float, ttl_s: float, options: Mapping[str, str]) -> Backend:
    try:
        return open_backend(url, heartbeat_s=heartbeat_s, ttl_s=ttl_s, options=options)
    except BackendError as error:
        raise DiscoveryError(str(error)) from error


async def _fetch(backend: Backend, timeout_s: float) -> tuple[Entry, ...]:
    try:
        async with asyncio.timeout(timeout_s):
            return await backend.fetch()
    except BackendError as error:
        raise DiscoveryError(str(error)) from error
    except TimeoutError as error:
        raise DiscoveryError("Timed out") from error


def _complain(problem: object) -> int:
    """Write `problem` to stderr in the form of Go's standard logger, as classic; return the exit code."""
    click.echo(f"{time.strftime('%Y/%m/%d %H:%M:%S')} {problem}", err=True)
    return 1


list_entries = GoCommand(
    "list",
    alias="l",
    callback=_list,
    help="List nodes in a cluster",
    params=[
        text("--timeout", default="10s", help="how long to wait for the discovery service"),
        flag("--watch", help="print the list again after each change"),
        text("output_format", "--format", default="text", help="text, one entry a line, or json, one list a line"),
        discovery_options(),
    ],
)
join = GoCommand(
    "join",
    alias="j",
    callback=_join,
    help="Join a docker cluster",
    params=[
        advertise(),
        text("--delay", default="0s", help="longest random pause before the first registration"),
        text("--heartbeat", default="60s", help="time between two registrations"),
        text("--ttl", default="180s", help="how long an entry lives that is not renewed"),
        flag("--check", help="refuse if no engine answers at the advertised address"),
        discovery_options(),
    ],
)
create = GoCommand(
    "create",
    alias="c",
    discovery=False,
    callback=_create,
    help="Create a cluster",
    params=[
        text("--hub", envvar="SWARMPROXY_HUB", help="hub to ask for a token, [https://]host:port[/path]"),
        flag("--insecure", help="use plain http"),
        text("--cacert", help="trust only hubs that this CA signed"),
        text("--cert", help="path of the TLS certificate to show"),
        text("--key", help="path of its key"),
    ],
)
