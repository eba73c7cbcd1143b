"""What a client of the server may take."""

from dataclasses import dataclass

from swarmproxy.wire.tls_transport import HANDSHAKE_TIMEOUT_S
from swarmproxy.wire.wakeful import AWAKE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a client may take. A cap or a rate of 0 is none."""

    connections: int = 0  # of all clients; descriptors are a cap of their own
    connections_per_client: int = 0  # of each address or local user
    requests_per_second: float = 0.0  # of each identity: the name in a certificate, or else as for connections
    requests_burst: int = 0  # that one may make at once; 0: those of some seconds
    body_bytes: int = 16 * 1024 * 1024  # of a body that is read before it is acted on
    body_timeout_s: float = 600.0  # for which nothing comes of a body that is waited for
    head_bytes: int = 1024 * 1024  # X-Registry-Config runs to tens of kilobytes
    head_timeout_s: float = 30.0
    handshake_timeout_s: float = HANDSHAKE_TIMEOUT_S
    keep_alive_s: float = 120.0  # Go clients keep idle connections for 90
    held_bytes: int = 64 * 1024  # sent behind a request that is not answered yet
    stall_s: float = 600.0  # taking none of what is sent to it
    linger_s: float = 5.0  # still sending after we have answered
    silence_s: float = 0.5  # without output, after its end of input or ours, a stream is over
    patience_s: float = 120.0  # for the begin of an answer, after its end of input: it is gone as a rule
    awake_s: float = AWAKE_S  # see Wakeful
