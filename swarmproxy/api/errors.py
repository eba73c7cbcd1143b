"""The one table from kinds of error to HTTP statuses, and Docker's form of an error."""

import msgspec

from swarmproxy.errors import (
    BadRequest,
    ConfigError,
    Conflict,
    EngineError,
    Forbidden,
    NoSwarm,
    NotFound,
    NotSupported,
    SwarmError,
    TooLarge,
    Unavailable,
)

STATUS: dict[type[SwarmError], int] = {
    BadRequest: 400,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    TooLarge: 413,
    NotSupported: 501,
    NoSwarm: 503,
    Unavailable: 503,
    ConfigError: 500,
    SwarmError: 500,
}
PAGE_NOT_FOUND = NotFound("page not found")


def status_of(error: SwarmError) -> int:
    """Return the HTTP status that tells a Docker client of `error`. An engine's own refusal keeps its status."""
    if isinstance(error, EngineError):
        return error.status
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def body_of(error: BaseException) -> bytes:
    """Return `{"message": …}`: the only form that Docker clients read."""
    return msgspec.json.encode({"message": str(error)})


def stream_line(error: BaseException) -> bytes:
    """Return the last line of a JSON stream that failed after its 200 had gone out."""
    message = str(error)
    return msgspec.json.encode({"error": message, "errorDetail": {"message": message}}) + b"\r\n"
