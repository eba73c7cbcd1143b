"""One address of an engine, and the ranges that stand for many."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from discovery.errors import DiscoveryError

MAX_ENTRIES = 65536
"""As many addresses as one expression, or one list, may name."""

UNIX = "unix://"
SSH = "ssh://"
_USER = re.compile(r"[\w.][\w.+-]*")  # never begins with a dash: ssh would take it for an option
_RANGE = re.compile(r"\[([+-]?[0-9]{1,18}):([+-]?[0-9]{1,18})\]")
_NOT_IN_HOST = re.compile(r"[\s\x00-\x1f\x7f/\\@?#,\"'<>\[\]]")
_MAX_HOST = 255  # bytes: DNS allows 253
_MAX_PATH = 107  # bytes: sun_path holds 108 with its end


@dataclass(frozen=True, slots=True)
class Certificates:
    """The files with which an engine is spoken to by TLS: its authority, our certificate and our key."""

    ca: str
    cert: str
    key: str


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """Where an engine listens: a host and a port, or the path of a unix socket.

    `ssh`: on a host that ssh reaches, as `user` if that is not empty. Its port may be 0, and its path empty.
    `certificates`: where the source knows which files to use; they are not part of what the entry is.
    """

    host: str = ""
    port: int = 0
    path: str = ""
    user: str = ""
    ssh: bool = False
    certificates: Certificates | None = field(default=None, compare=False)

    def __str__(self) -> str:
        """Return `host:port` (IPv6 in brackets), `unix:///path` or the URL of ssh: what `parse_entry` reads."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        if self.ssh:
            user = f"{self.user}@" if self.user else ""
            port = f":{self.port}" if self.port else ""
            return f"{SSH}{user}{host}{port}{self.path}"
        return f"{UNIX}{self.path}" if self.path else f"{host}:{self.port}"


def parse_entry(text: str) -> Entry:
    """Return the entry that `text` names: `host:port`, `[ipv6]:port`, `unix:///path` or `ssh://[user@]host[:port][/path]`.

    A host is not looked up. Raises DiscoveryError, `address <text>: <what is wrong>`.
    Source: Go's net.SplitHostPort, whose words users of classic Swarm know.
    """
    if text.startswith(UNIX):
        return _parse_path(text)
    if text.startswith(SSH):
        return _parse_ssh(text)
    host, port = _split(text)
    return Entry(host, _checked(text, host, port))


def _checked(text: str, host: str, port: str) -> int:
    """Return the number of `port`. Raises DiscoveryError if it is none, or `host` cannot be one."""
    if not host:
        raise _bad(text, "missing host in address")
    if _NOT_IN_HOST.search(host) or len(host.encode("utf-8", "replace")) > _MAX_HOST:
        raise _bad(text, "invalid host in address")
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        raise _bad(text, "invalid port in address")
    return int(port)


def expand(pattern: str) -> Iterator[str]:
    """Yield the addresses that `pattern` stands for: one for each number of its `[from:to]`, both included.

    The range may stand anywhere (`10.0.0.[1:9]:2375`, `h:[2:20]375`). Without one the pattern itself comes
    back, and from > to gives nothing. Raises DiscoveryError on a second range, and on one of more than
    MAX_ENTRIES numbers.
    """
    ranges = list(_RANGE.finditer(pattern))
    if not ranges:
        yield pattern
        return
    if len(ranges) > 1:
        raise _bad(pattern, "only one [from:to] range is allowed")
    found = ranges[0]
    first, last = int(found[1]), int(found[2])
    if last - first >= MAX_ENTRIES:
        raise _bad(pattern, f"range is over {MAX_ENTRIES} addresses")
    before, after = pattern[: found.start()], pattern[found.end() :]
    for number in range(first, last + 1):
        yield f"{before}{number}{after}"


def parse_entries(pattern: str) -> list[Entry]:
    """Return the entries of one expression, in order; an empty one has none. Raises DiscoveryError."""
    return [parse_entry(text) for text in expand(pattern)] if pattern else []


def _parse_path(text: str) -> Entry:
    path = text.removeprefix(UNIX)
    if not path.startswith("/"):
        raise _bad(text, "a unix socket needs an absolute path")
    if "\x00" in path or len(path.encode("utf-8", "surrogateescape")) > _MAX_PATH:
        raise _bad(text, f"a unix socket's path has no NUL and at most {_MAX_PATH} bytes")
    return Entry(path=path)


def _parse_ssh(text: str) -> Entry:
    place, slash, path = text.removeprefix(SSH).partition("/")
    user, at, host = place.rpartition("@")
    if at and not _USER.fullmatch(user):
        raise _bad(text, "invalid user in address")
    if host.startswith("-") or "\x00" in path:
        raise _bad(text, "invalid host in address" if host.startswith("-") else "a path has no NUL")
    port = 0
    if ":" in host.rpartition("]")[2]:
        host, digits = _split(host)
        port = _checked(text, host, digits)
    else:
        host = host.removeprefix("[").removesuffix("]")
        _checked(text, host, "22")
    return Entry(host, port, slash + path if path else "", user, ssh=True)


def _split(text: str) -> tuple[str, str]:
    """Return host and port of `host:port` or `[host]:port`, not looked at any closer."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket:
            raise _bad(text, "missing ']' in address")
        if not rest.startswith(":"):
            raise _bad(text, "missing port in address")
        if ":" in rest[1:]:
            raise _bad(text, "too many colons in address")
        return host, rest[1:]
    host, colon, port = text.rpartition(":")
    if not colon:
        raise _bad(text, "missing port in address")
    if ":" in host:
        raise _bad(text, "too many colons in address")
    for bracket in "[]":
        if bracket in host:
            raise _bad(text, f"unexpected '{bracket}' in address")
    return host, port


def _bad(text: str, problem: str) -> DiscoveryError:
    shown = text if len(text) <= 200 else f"{text[:200]}..."
    return DiscoveryError(f"address {shown}: {problem}")
