"""The kinds of error that swarmproxy raises. They know nothing of HTTP: `api/errors.py` holds the one table."""

from collections.abc import Mapping


class SwarmError(Exception):
    """Anything that went wrong and can be said in one sentence to the user."""


class BadRequest(SwarmError):
    """What the client sent cannot be understood or is not allowed."""


class Forbidden(SwarmError):
    """What the client asked for is understood and refused."""


class NotFound(SwarmError):
    """No such object in the cluster."""


class Conflict(SwarmError):
    """What was asked for clashes with what is there."""


class TooLarge(SwarmError):
    """A head or a body is over its bound."""


class NotSupported(SwarmError):
    """A request that a cluster cannot serve, with the reason."""


class NoSwarm(SwarmError):
    """A request of swarm mode, which this cluster does not take part in."""


class Unavailable(SwarmError):
    """Nobody is there just now who could answer."""


class TooManyRequests(SwarmError):
    """A client asked for more than its share; it may ask again after `retry_after_s`."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NoNodeFits(SwarmError):
    """No node can take the container; the message says why, `refused` how many nodes each filter turned away."""

    def __init__(self, message: str, refused: Mapping[str, int] | None = None) -> None:
        super().__init__(message)
        self.refused: Mapping[str, int] = refused or {}


class DiscoveryError(SwarmError):
    """The list of members cannot be read or written."""


class ConfigError(SwarmError):
    """A flag, an environment variable or a file of ours has a bad value."""


class EngineUnreachable(SwarmError):
    """An engine does not take our connection, or does not answer within its deadline."""


class Exhausted(EngineUnreachable, Unavailable):
    """We have no descriptors left for another connection to an engine. It says nothing of the engine."""


class ProtocolViolation(SwarmError):
    """A peer sent bytes that are not HTTP/1.1 as we accept it."""


class EngineError(SwarmError):
    """An engine's own refusal: `status` (400..599) and its message pass to the client unchanged."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
