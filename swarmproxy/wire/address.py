"""Where a daemon listens: `host:port` or the path of a unix socket."""

import re
from dataclasses import dataclass

from swarmproxy.errors import BadRequest

_HOST_AND_PORT = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|(?P<host>[\w.-]+)):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Address:
    """The place where a daemon takes connections: `path` for a unix socket, otherwise `host` and `port`."""

    host: str = ""
    port: int = 0
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Return the address that `text` names: `h:p`, `[::1]:p`, `tcp://h:p` or `unix:///p`.

        Raises BadRequest for anything else: no port, port 0, another scheme, a bare IPv6 address.
        """
        scheme, separator, rest = text.strip().partition("://")
        if not separator:
            scheme, rest = "tcp", scheme
        if scheme == "unix":
            if not rest.startswith("/") or "\0" in rest:
                raise BadRequest(f'"{text}" is not an address: a unix socket needs an absolute path')
            return cls(path=rest)
        if scheme != "tcp":
            raise BadRequest(f'unsupported protocol: "{scheme}"')
        found = _HOST_AND_PORT.fullmatch(rest.removesuffix("/"))
        if found is None:
            raise BadRequest(f'"{text}" is not an address: it should be host:port or unix:///path')
        port = int(found["port"])
        if not 1 <= port <= 65535:
            raise BadRequest(f'"{text}" is not an address: the port should be between 1 and 65535')
        return cls(host=found["ipv6"] or found["host"], port=port)

    def __str__(self) -> str:
        if self.path:
            return f"unix://{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
