"""The flags that several commands share, and what the flags before the command said."""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import click
from click.shell_completion import CompletionItem

from discovery import DiscoveryError as BackendError
from discovery import Entry, parse_entry
from swarmproxy import logs
from swarmproxy.cli.goflags import COMMA_LIST, GO_BOOL
from swarmproxy.durations import parse_duration
from swarmproxy.errors import ConfigError
from swarmproxy.settings import Tls

_NAMES_OF_FILES = ("cert", "key", "file", "--data", "--policy", "--audit-log", "-path")

log = logging.getLogger("swarmproxy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Globals:
    """What stood before the command."""

    debug: bool = False
    experimental: bool = False
    log_level: int = 20
    log_format: logs.LogFormat = "text"

    def log_to(self, stream: TextIO) -> None:
        """Send the log to `stream`, in the format and from the level that were asked for."""
        logs.configure(self.log_level, self.log_format, stream)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFlags:
    """What was asked for of the listeners' TLS: not checked yet."""

    tls: bool
    tlsverify: bool
    tlscacert: str
    tlscert: str
    tlskey: str


def flag(*spellings: str, default: bool | None = False, **rest: Any) -> click.Option:
    """Return a boolean flag; `default` None tells one that is not given from one that is false."""
    return click.Option(spellings, type=GO_BOOL, default=default, **rest)


def text(*spellings: str, default: str = "", **rest: Any) -> click.Option:
    """Return a flag that takes a text. A duration is one too: it is checked later, in classic's order."""
    if spellings[0].endswith(_NAMES_OF_FILES):
        rest["shell_complete"] = _files
    return click.Option(spellings, type=click.STRING, default=default, **rest)


def _files(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Have the shell complete the names of files."""
    return [CompletionItem(incomplete, type="file")]


def texts(*spellings: str, **rest: Any) -> click.Option:
    """Return a flag that may be given several times."""
    return click.Option(spellings, type=COMMA_LIST, multiple=True, **rest)


def discovery_options() -> click.Option:
    """Return `--discovery-opt`."""
    return texts("--discovery-opt", help="discovery options, key=value")


def advertise() -> click.Option:
    """Return `--advertise, --addr`."""
    return text("--advertise", "--addr", envvar="SWARM_ADVERTISE", help="address to be reached at, host:port")


def read_tls(flags: TlsFlags) -> Tls | None:
    """Return the TLS of the listeners, None for none. Raises ConfigError.

    Source: classic Swarm 1.2, cli/manage.go.
    """
    if flags.tls or flags.tlsverify:
        if not flags.tlscert or not flags.tlskey:
            raise ConfigError("--tlscert and --tlskey must be provided when using --tls")
        if flags.tlsverify and not flags.tlscacert:
            raise ConfigError("--tlscacert must be provided when using --tlsverify")
        return Tls(
            cert=Path(flags.tlscert),
            key=Path(flags.tlskey),
            ca=Path(flags.tlscacert) if flags.tlscacert else None,
            verify=flags.tlsverify,
        )
    if flags.tlscert or flags.tlskey or flags.tlscacert:
        raise ConfigError("--tlscert, --tlskey and --tlscacert require the use of either --tls or --tlsverify")
    return None


def read_duration(text: str, spelling: str) -> float:
    """Return the seconds that the flag `spelling` asks for. Raises ConfigError."""
    try:
        return parse_duration(text)
    except ConfigError as error:
        raise ConfigError(f"invalid {spelling}: {error}") from error


def read_advertise(text: str) -> Entry:
    """Return the address that others shall use. Raises ConfigError."""
    try:
        entry = parse_entry(text)
    except BackendError as error:
        raise ConfigError("--advertise should be of the form ip:port or hostname:port") from error
    if entry.path:
        raise ConfigError("--advertise should be of the form ip:port or hostname:port")
    return entry


def read_discovery_options(pairs: tuple[str, ...]) -> Mapping[str, str]:
    """Return the options of the discovery backend by key. Raises ConfigError."""
    options: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise ConfigError("--discovery-opt must contain key=value strings")
        options[key] = value
    return options


def discovery_argument(args: tuple[str, ...]) -> str:
    """Return the discovery URL: the one positional if there is exactly one, else $SWARM_DISCOVERY, else nothing.

    Several positionals mostly are flags on both sides of one, of which those behind it were not read.
    """
    if len(args) == 1:
        return args[0]
    url = os.environ.get("SWARM_DISCOVERY", "")
    if args:
        hint = "more than one discovery argument, none is used; all flags go before it, or all behind it"
        log.warning(hint, extra={"arguments": " ".join(args), "SWARM_DISCOVERY": url})
    return url
