"""What uvicorn makes a connection of: our protocol, with TLS of ours below it."""

import asyncio
import socket
from collections.abc import Callable
from ssl import SSLContext
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.server import ServerState

from swarmproxy.wire.admission import Admission
from swarmproxy.wire.journal import Journal
from swarmproxy.wire.limits import Limits
from swarmproxy.wire.protocol import ServerProtocol
from swarmproxy.wire.relay import Shortcut
from swarmproxy.wire.tls import RenewableContext
from swarmproxy.wire.tls_transport import TlsServerProtocol
from swarmproxy.wire.wakeful import Wakeful


class _Admitted(TlsServerProtocol):
    """TLS of a client that is counted from its first byte on: who does not shake hands takes a connection as well."""

    def __init__(
        self, protocol: ServerProtocol, context: SSLContext, admission: Admission, *, timeout_s: float
    ) -> None:
        super().__init__(protocol, context, timeout_s=timeout_s)
        self._protocol = protocol
        self._admission = admission

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count, and end at once what is not even to be told why.

        A unix socket has no TLS: its file says who may use it, and no client of Docker's would speak TLS there.
        Source: dockerd, daemon/listeners.
        """
        plain = cast("asyncio.Transport", transport)
        if plain.get_extra_info("socket").family == socket.AF_UNIX:
            plain.set_protocol(self._protocol)
            self._protocol.connection_made(plain)
            return
        super().connection_made(transport)
        self._protocol.visit = visit = self._admission.enter(transport)
        if visit.hopeless:
            plain.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count, also if the protocol above never heard of the connection."""
        super().connection_lost(exc)
        if self._protocol.visit is not None:
            self._protocol.visit.end()


def protocol_factory(
    *,
    tls: RenewableContext | None = None,
    limits: Limits | None = None,
    shortcut: Shortcut | None = None,
    journal: Journal | None = None,
    admission: Admission | None = None,
) -> Callable[..., asyncio.Protocol]:
    """Return what `uvicorn.Config(http=...)` wants. TLS is ours (it can half-close): give uvicorn none."""
    chosen = limits or Limits()
    wakeful = Wakeful(chosen.awake_s)
    admitting = admission or Admission(chosen)

    def build(
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> asyncio.Protocol:
        protocol = ServerProtocol(config, server_state, app_state, _loop, chosen, wakeful, shortcut, admitting, journal)
        if tls is None:
            return protocol
        return _Admitted(protocol, tls.current, admitting, timeout_s=chosen.handshake_timeout_s)

    return build
