"""`hub`: its flags. `swarmproxy.hub` does the work."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from swarmproxy.cli.commands import GoCommand, program
from swarmproxy.cli.goflags import GO_INT
from swarmproxy.cli.options import TlsFlags, flag, read_duration, read_tls, text, texts
from swarmproxy.errors import ConfigError
from swarmproxy.hub.settings import DEFAULT_HOSTS, HubSettings
from swarmproxy.settings import Listen

_DEFAULT = HubSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class HubFlags(TlsFlags):
    """What stood on the command line after `hub`, or in the environment: not checked yet."""

    args: tuple[str, ...]
    host: tuple[str, ...]
    socket_group: str
    data: str
    max_tokens: int
    max_entries: int
    forget_after: str
    rate: int
    create_rate: int
    drain_timeout: str


def read_settings(flags: HubFlags, *, program: str) -> HubSettings:
    """Return the settings that `flags` ask for. Raises ConfigError."""
    if flags.args:
        raise ConfigError(f"the `hub` command takes no arguments. See '{program} hub --help'.")
    for spelling, number, least in (
        ("--max-tokens", flags.max_tokens, 1),
        ("--max-entries", flags.max_entries, 1),
        ("--rate", flags.rate, 0),
        ("--create-rate", flags.create_rate, 0),
    ):
        if number < least:
            raise ConfigError(f"{spelling} should be {least} or more, {number} is invalid")
    forget_after_s = read_duration(flags.forget_after, "--forget-after")
    if forget_after_s <= 0:
        raise ConfigError("--forget-after should be a positive number")
    drain_timeout_s = read_duration(flags.drain_timeout, "--drain-timeout")
    if drain_timeout_s < 0:
        raise ConfigError("--drain-timeout should not be a negative number")
    tls = read_tls(flags)
    return HubSettings(
        hosts=tuple(Listen.parse(host) for host in flags.host if host) or DEFAULT_HOSTS,
        socket_group=flags.socket_group,
        tls=tls,
        data=Path(flags.data) if flags.data else None,
        max_tokens=flags.max_tokens,
        max_entries=flags.max_entries,
        forget_after_s=forget_after_s,
        rate=flags.rate,
        create_rate=flags.create_rate,
        drain_timeout_s=drain_timeout_s,
    )


@click.pass_context
def _hub(ctx: click.Context, /, **params: Any) -> int:
    """Check the flags and run the hub."""
    settings = read_settings(HubFlags(**params), program=program(ctx))
    # What a hub needs is slow to import, and no other command needs it.
    from swarmproxy.hub.serve import run

    return run(settings)


def _number(spelling: str, default: int, usage: str) -> click.Option:
    return click.Option([spelling], type=GO_INT, default=default, help=usage)


hub = GoCommand(
    "hub",
    discovery=False,
    callback=_hub,
    help="Run a hub for token:// discovery",
    params=[
        texts("--host", "-H", envvar="SWARM_HOST", help="where to listen, tcp://host:port or unix://path"),
        text("--socket-group", help="group that owns unix sockets to listen on"),
        text("--data", help="file to keep tokens and entries in (default: in memory)"),
        flag("--tls", help="use TLS"),
        text("--tlscacert", help="trust only certificates that this CA signed"),
        text("--tlscert", help="path of the TLS certificate"),
        text("--tlskey", help="path of the TLS key"),
        flag("--tlsverify", help="use TLS and demand certificates of clients"),
        _number("--max-tokens", _DEFAULT.max_tokens, "most tokens"),
        _number("--max-entries", _DEFAULT.max_entries, "most entries under one token"),
        text("--forget-after", default="720h", help="drop a token that nobody used for so long"),
        _number("--rate", _DEFAULT.rate, "requests a second from one client address, 0 for any number"),
        _number("--create-rate", _DEFAULT.create_rate, "new tokens a minute for one client address, 0 for any number"),
        text("--drain-timeout", default="8s", help="how long requests may take to end on SIGTERM"),
    ],
)
