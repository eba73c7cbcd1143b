"""What uvicorn makes a connection of: our protocol, with TLS of ours below it."""

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from swarmproxy.wire.journal import Journal
from swarmproxy.wire.limits import Limits
from swarmproxy.wire.protocol import ServerProtocol
from swarmproxy.wire.relay import Shortcut
from swarmproxy.wire.tls import RenewableContext
from swarmproxy.wire.tls_transport import TlsServerProtocol
from swarmproxy.wire.wakeful import Wakeful


def protocol_factory(
    *,
    tls: RenewableContext | None = None,
    limits: Limits | None = None,
    shortcut: Shortcut | None = None,
    journal: Journal | None = None,
) -> Callable[..., asyncio.Protocol]:
    """Return what `uvicorn.Config(http=...)` wants. TLS is ours (it can half-close): give uvicorn none."""
    chosen = limits or Limits()
    wakeful = Wakeful(chosen.awake_s)

    def build(
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> asyncio.Protocol:
        protocol = ServerProtocol(config, server_state, app_state, _loop, chosen, wakeful, shortcut, journal)
        if tls is None:
            return protocol
        return TlsServerProtocol(protocol, tls.current, timeout_s=chosen.handshake_timeout_s)

    return build
