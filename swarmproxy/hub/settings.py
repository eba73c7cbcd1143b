"""What `hub` was asked to do. `cli/hub.py` makes these values from flags, and checks them."""

from dataclasses import dataclass
from pathlib import Path

from swarmproxy.settings import Listen, Tls

DEFAULT_HOSTS = (Listen("127.0.0.1", 2390),)


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSettings:
    """All that one hub was told. Every default is that of the command line."""

    hosts: tuple[Listen, ...] = DEFAULT_HOSTS
    socket_group: str = ""  # owns unix sockets; empty: the group of this process
    tls: Tls | None = None  # None: listen in the clear
    data: Path | None = None  # None: in memory only
    max_tokens: int = 1000
    max_entries: int = 2000  # of each token
    forget_after_s: float = 30 * 24 * 3600.0  # a token that nobody used for so long
    rate: int = 100  # requests a second of each client address; 0: any number
    create_rate: int = 10  # tokens a minute of each client address; 0: any number
    drain_timeout_s: float = 10.0
