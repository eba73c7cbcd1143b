"""What `manage` was asked to do. `cli/reading.py` makes these values from flags, and checks them."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from swarmproxy.engine.settings import EngineSettings
from swarmproxy.errors import ConfigError
from swarmproxy.logs import LogFormat
from swarmproxy.wire.limits import Limits

Strategy = Literal["spread", "binpack", "random"]
Names = Literal["auto", "node", "both", "plain"]
DefaultNetwork = Literal["auto", "bridge", "overlay"]
SwarmMode = Literal["use", "auto", "off"]

STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
FILTERS = ("health", "port", "containerslots", "dependency", "affinity", "constraint", "whitelist")
NAMES: tuple[Names, ...] = get_args(Names)
DEFAULT_NETWORKS: tuple[DefaultNetwork, ...] = get_args(DefaultNetwork)
SWARM_MODES: tuple[SwarmMode, ...] = get_args(SwarmMode)

_LOOPBACK = ("127.", "::1", "localhost")
_HOST_AND_PORT = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|(?P<host>[\w.-]*)):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen: `path` of a unix socket, else `host` (empty: all of this machine's) and `port`."""

    host: str = ""
    port: int = 0
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> "Listen":
        """Return what `[tcp://]host:port`, `:port` or `unix://path` names; port 0 is any free one.

        Raises ConfigError.
        """
        protocol, separator, address = text.partition("://")
        if not separator:
            protocol, address = "tcp", text
        if protocol == "unix":
            if not address or "\x00" in address:
                raise ConfigError(f'cannot listen on "{text}": a unix socket needs a path')
            return cls(path=address)
        if protocol != "tcp":
            raise ConfigError(f'unsupported protocol: "{protocol}"')
        found = _HOST_AND_PORT.fullmatch(address)
        if found is None or int(found[3]) > 65535:
            raise ConfigError(f'cannot listen on "{text}": the address should be host:port or unix://path')
        return cls(found[1] or found[2] or "", int(found[3]))

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches it."""
        return bool(self.path) or self.host.startswith(_LOOPBACK)

    def __str__(self) -> str:
        """Return the form that `parse` reads."""
        if self.path:
            return f"unix://{self.path}"
        return f"tcp://[{self.host}]:{self.port}" if ":" in self.host else f"tcp://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class AuthzPlugin:
    """One of Docker's authorization plugins: what it is called in messages, and where it listens."""

    name: str
    address: str  # host:port or unix:///path

    @classmethod
    def parse(cls, text: str) -> "AuthzPlugin":
        """Return what `[name=]http://host:port` or `[name=]unix:///path/name.sock` names. Raises ConfigError."""
        name, equals, url = text.partition("=")
        if not equals:
            name, url = "", text
        scheme, _, place = url.partition("://")
        if scheme == "unix" and place.startswith("/") and "\0" not in place:
            return cls(name or Path(place).stem, url)
        found = _HOST_AND_PORT.fullmatch(place.removesuffix("/")) if scheme == "http" else None
        if found is None or not (found[1] or found[2]) or not 0 < int(found[3]) <= 65535:
            raise ConfigError(f'--authz-plugin "{text}" should be [name=]http://host:port or [name=]unix:///path')
        return cls(name or found[0], found[0])


DEFAULT_HOSTS = (Listen("127.0.0.1", 2375),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """The files of one side's TLS. They are read when the side is opened, not here."""

    cert: Path | None = None  # never without `key`; a listener always has both
    key: Path | None = None
    ca: Path | None = None
    verify: bool = False  # demand a certificate that `ca` signed, which is then given


@dataclass(frozen=True, slots=True, kw_only=True)
class Replication:
    """One of several managers, of which one leads."""

    advertise: str  # host:port at which the other managers reach this one
    ttl_s: float = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that one manager was told. Every default is that of the command line."""

    discovery: str  # what `discovery.open_backend` takes; opening it is known to work
    hosts: tuple[Listen, ...] = DEFAULT_HOSTS
    socket_group: str = ""  # owns unix sockets; empty: the group of this process
    tls: Tls | None = None  # None: listen in the clear
    authz_plugins: tuple[AuthzPlugin, ...] = ()  # asked about every request, in this order
    policy: Path | None = None  # the file that says who may do what; None: everybody may do everything
    policy_learn: Path | None = None  # where the policy is written to that all requests needed
    engine_tls: Tls | None = None  # None: talk to engines in the clear
    discovery_options: Mapping[str, str] = field(default_factory=dict)
    heartbeat_s: float = 60.0
    engine: EngineSettings = field(default_factory=EngineSettings)
    strategy: Strategy = "spread"
    filters: tuple[str, ...] = FILTERS  # those to use, in this order
    overcommit: float = 0.05  # of memory and CPU, over what an engine has; more than -1
    create_retry: int = 0
    names: Names = "auto"
    image_platform: bool = True  # containers go to nodes that their image is made for
    image_ties: bool = True  # of equal nodes, one that holds the image comes first
    image_move: bool = True  # an image that a node cannot pull is brought from another node
    reschedule_after_s: float = 30.0  # for so long a node may be silent before its containers move
    default_network: DefaultNetwork = "auto"  # the driver of networks that ask for none
    swarm_mode: SwarmMode = "use"  # what becomes of swarm mode's commands; `auto` forms a swarm of the members
    swarm_managers: int = 0  # how many of them manage it; 0: by the size of the pool
    replication: Replication | None = None
    state_file: Path | None = None  # keeps what operators say of nodes; None: the store of discovery does, or nothing
    refresh_on_node_filter: bool = False
    container_name_refresh_filter: str = ""
    metrics_addr: Listen | None = None  # of /metrics, /-/healthy and /-/ready; None: they are nowhere
    metrics_tls: bool = False  # there as well, with `tls`
    audit: Path | None = None  # file of the audit log, `-` for the standard output; None: there is none
    audit_reads: bool = True  # record what only looks, too
    page_addr: Listen | None = None  # of the cluster page; None: there is none
    page_tls: bool = False  # there as well, with `tls`
    cors: bool = False
    debug: bool = False
    experimental: bool = False
    log_level: int = logging.INFO
    log_format: LogFormat = "text"
    limits: Limits = field(default_factory=Limits)  # what a client may take
    drain_timeout_s: float = 8.0  # less than the 10 that `docker stop` waits
