"""Where a daemon listens: `host:port`, the path of a unix socket, or a host that ssh reaches."""

import re
from dataclasses import dataclass

from swarmproxy.errors import BadRequest

_HOST = r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|(?P<host>[\w.-]+))"
_HOST_AND_PORT = re.compile(_HOST + r":(?P<port>[0-9]{1,5})")
# Neither user nor host begins with a dash: ssh would take it for an option.
_SSH = re.compile(r"(?:(?P<user>[\w.][\w.+-]*)@)?(?!-)" + _HOST + r"(?::(?P<port>[0-9]{1,5}))?(?P<path>/[^\0]*)?")


@dataclass(frozen=True, slots=True)
class Address:
    """The place where a daemon takes connections: `path` for a unix socket, otherwise `host` and `port`.

    With `ssh`, the host is reached by the ssh command: `user`, `port` and `path` (of the daemon's socket there) may be
    empty or 0, which leaves them to its configuration, and to docker's on that host.
    """

    host: str = ""
    port: int = 0
    path: str = ""
    user: str = ""
    ssh: bool = False

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Return the address that `text` names: `h:p`, `[::1]:p`, `tcp://h:p`, `unix:///p`, `ssh://[user@]h[:p][/p]`.

        Raises BadRequest for anything else: no port, port 0, another scheme, a bare IPv6 address.
        """
        scheme, separator, rest = text.strip().partition("://")
        if not separator:
            scheme, rest = "tcp", scheme
        if scheme == "unix":
            if not rest.startswith("/") or "\0" in rest:
                raise BadRequest(f'"{text}" is not an address: a unix socket needs an absolute path')
            return cls(path=rest)
        if scheme == "ssh":
            return cls._parse_ssh(text, rest)
        if scheme != "tcp":
            raise BadRequest(f'unsupported protocol: "{scheme}"')
        found = _HOST_AND_PORT.fullmatch(rest.removesuffix("/"))
        if found is None:
            raise BadRequest(f'"{text}" is not an address: it should be host:port or unix:///path')
        return cls(host=found["ipv6"] or found["host"], port=_port(text, found["port"]))

    @classmethod
    def _parse_ssh(cls, text: str, rest: str) -> "Address":
        found = _SSH.fullmatch(rest)
        if found is None:
            raise BadRequest(f'"{text}" is not an address: it should be ssh://[user@]host[:port][/path/to/docker.sock]')
        path = found["path"] or ""
        return cls(
            host=found["ipv6"] or found["host"],
            port=_port(text, found["port"]) if found["port"] else 0,
            path="" if path == "/" else path,
            user=found["user"] or "",
            ssh=True,
        )

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        if self.ssh:
            user = f"{self.user}@" if self.user else ""
            port = f":{self.port}" if self.port else ""
            return f"ssh://{user}{host}{port}{self.path}"
        return f"unix://{self.path}" if self.path else f"{host}:{self.port}"


def _port(text: str, digits: str) -> int:
    port = int(digits)
    if not 1 <= port <= 65535:
        raise BadRequest(f'"{text}" is not an address: the port should be between 1 and 65535')
    return port
