"""What a discovery URL and --discovery-opt say of a store: its hosts, where we keep our keys, TLS and secrets."""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from discovery.entry import Entry, parse_entry
from discovery.errors import DiscoveryError

NODES = "docker/swarm/nodes"
LEADER = "docker/swarm/leader"
STATE = "docker/swarm/swarmproxy/state"
MANAGERS = "docker/swarm/swarmproxy/managers"
"""Ours: classic knows nothing of these, and looks at nothing below docker/swarm but the two above."""
TLS_OPTIONS = ("kv.cacertfile", "kv.certfile", "kv.keyfile")
_HAS_PORT = re.compile(r"(\[.*\]|[^:\[\]]*):[0-9]*")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the keys of one cluster are: some hosts of a store, and a prefix without slashes around it."""

    hosts: tuple[Entry, ...]
    prefix: str

    @property
    def leader(self) -> str:
        """The key of the leader's lock, which `kv.path` does not move."""
        return _join(self.prefix, LEADER)

    @property
    def state(self) -> str:
        """The key of the managers' document, which `kv.path` does not move either."""
        return _join(self.prefix, STATE)

    def nodes(self, options: Mapping[str, str]) -> str:
        """Return the directory of the entries; `kv.path` names another than classic's default."""
        return _join(self.prefix, options.get("kv.path", NODES) or NODES)


def parse_place(rest: str, *, default_port: int) -> Place:
    """Return the place that `host[:port][,host...][/prefix]` names. Raises DiscoveryError."""
    hosts, _, prefix = rest.partition("/")
    found = [
        parse_entry(text if _HAS_PORT.fullmatch(text) else f"{text}:{default_port}")
        for text in filter(None, map(str.strip, hosts.split(",")))
    ]
    if not found:
        raise DiscoveryError("a store needs the address of a host: scheme://host:port/prefix")
    return Place(tuple(found), _join(prefix))


def tls_context(options: Mapping[str, str], *, kind: str = "kv", what: str = "the store") -> ssl.SSLContext | None:
    """Return what to speak TLS with, or None where no file is named.

    It trusts nobody but the authority of `<kind>.cacertfile`, and compares the name of the host. `<kind>.certfile` and
    `<kind>.keyfile` are shown to a server that demands a certificate. Raises DiscoveryError unless the files are
    there and fit: where classic silently went on without TLS, we do not.
    """
    authority, certificate, key = (options.get(f"{kind}.{name}", "") for name in ("cacertfile", "certfile", "keyfile"))
    if not (authority or certificate or key):
        return None
    if not authority or bool(certificate) != bool(key):
        raise DiscoveryError(
            f"TLS to {what} needs {kind}.cacertfile, and both {kind}.certfile and {kind}.keyfile or neither"
        )
    try:
        return client_context(authority, certificate, key)
    except OSError as error:  # ssl.SSLError is one
        raise DiscoveryError(f"cannot use the TLS files of {what}: {error.strerror or error}") from error


def client_context(authority: str, certificate: str, key: str) -> ssl.SSLContext:
    """Return the context of a client. Empty: the system's authorities, or no certificate. Raises OSError."""
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=authority or None)
    # From 3.13 on Python refuses authorities without the extensions that those of older instructions lack.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate:
        # Never ask on the terminal for the password of an encrypted key.
        context.load_cert_chain(certificate, key, password=lambda: "")
    return context


def secret(options: Mapping[str, str], name: str) -> str:
    """Return the secret of option `name`, or what is in the file of `<name>.file`; empty if neither is given.

    Raises DiscoveryError.
    """
    given, path = options.get(name, ""), options.get(f"{name}.file")
    if not path:
        return given
    if given:
        raise DiscoveryError(f"{name} and {name}.file exclude each other")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        problem = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise DiscoveryError(f"cannot read {name}.file {path}: {problem}") from error


def refuse_unknown(options: Mapping[str, str], kind: str, known: frozenset[str]) -> None:
    """Raise DiscoveryError if `options` has one of `<kind>.` that is not `known`: a typo must not go unnoticed."""
    for name in options:
        if name.startswith(f"{kind}.") and name not in known:
            raise DiscoveryError(f"unknown discovery option {name}, there is only {', '.join(sorted(known))}")


def _join(*parts: str) -> str:
    """Return a key without empty components."""
    return "/".join(word for part in parts for word in part.split("/") if word)
