"""What our own routes read from a request: the cluster, the version, parameters and bounded bodies."""

import sys
from collections.abc import Mapping
from typing import cast

from fastapi import Request, Response
from starlette.requests import ClientDisconnect

from swarmproxy.api.errors import body_of, status_of
from swarmproxy.api.parts import parts_of
from swarmproxy.cluster.cluster import Cluster
from swarmproxy.engine.engine import Engine
from swarmproxy.errors import BadRequest, SwarmError, TooLarge
from swarmproxy.model.apiversion import Version
from swarmproxy.model.names import shows_node
from swarmproxy.wire.exchange import AsgiExchange
from swarmproxy.wire.fetch import Answer

JSON = "application/json"


def cluster_of(request: Request) -> Cluster:
    """Return the cluster that this application serves."""
    return parts_of(request).cluster


def note_node(request: Request, engine: Engine) -> None:
    """Have the record of this request say which engine answers it."""
    exchange: AsgiExchange = request.scope["extensions"]["swarmproxy.exchange"]
    exchange.about.node = engine.name


def version_of(request: Request) -> Version:
    """Return the API version the request is in; an unversioned one is in the cluster's."""
    return cast("Version", request.scope["state"]["version"])


def reads_node_names(request: Request) -> bool:
    """Return whether lists are to call a network or volume of one node `node/name`; see `shows_node`."""
    settings = parts_of(request).settings
    return shows_node(request.headers.get("user-agent", ""), settings.names)


def flag(parameters: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    """Return a boolean parameter as Docker reads it: empty, `0`, `no`, `false` and `none` are false."""
    text = parameters.get(name)
    if text is None:
        return default
    return text.strip().lower() not in ("", "0", "no", "false", "none")


def number(parameters: Mapping[str, str], name: str, *, default: int = 0) -> int:
    """Return a whole number. Raises BadRequest for anything else."""
    text = parameters.get(name, "").strip()
    if not text:
        return default
    try:
        return int(text)
    except ValueError as error:
        raise BadRequest(f"invalid value {text!r} for parameter {name}: not a number") from error


async def body_bytes(request: Request, *, limit: int = sys.maxsize) -> bytes:
    """Return the whole body. Raises BadRequest if the client leaves before, TooLarge when the body is too long.

    That is, over the operator's own limit for what is read into memory, or over `limit` bytes.
    """
    settings = parts_of(request).settings
    limit = min(limit, settings.limits.body_bytes)
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise TooLarge(f"request body is larger than {limit} bytes")
            chunks.append(chunk)
    except ClientDisconnect as error:
        raise BadRequest("the client left before its request was complete") from error
    return b"".join(chunks)


def json_reply(body: bytes, status: int = 200) -> Response:
    """Return an answer whose Content-Type is exactly what Docker's clients compare with."""
    return Response(body, status, media_type=JSON)


def error_reply(error: SwarmError) -> Response:
    """Return `error` in Docker's form."""
    return json_reply(body_of(error), status_of(error))


def passed_on(answer: Answer) -> Response:
    """Return an engine's answer unchanged."""
    return Response(answer.body, answer.status, media_type=answer.headers.get("content-type"))
