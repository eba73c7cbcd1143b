"""What a hub answers: the protocol of Docker Hub's retired token service, and a way to take an entry away.

    POST   /clusters                    a new token, as plain text
    GET    /clusters/TOKEN              ["host:port", ...], sorted
    POST   /clusters/TOKEN?ttl=SECONDS  lists the host:port in the body for so long, or renews it
    DELETE /clusters/TOKEN/HOST:PORT    takes it away
    GET    /_ping                       OK

All but the last also below /v1, where the service had them. Errors are in Docker's form.
Source: classic Swarm 1.2, discovery/token.
"""

import logging
import math
import re
from typing import Any, cast

import msgspec
from fastapi import APIRouter, FastAPI, Request, Response
from starlette.exceptions import HTTPException

from discovery import DiscoveryError, parse_entry
from swarmproxy.api.errors import PAGE_NOT_FOUND, body_of, status_of
from swarmproxy.errors import BadRequest, SwarmError, TooLarge, TooManyRequests
from swarmproxy.hub.hub import Hub
from swarmproxy.hub.settings import HubSettings
from swarmproxy.wire.rates import Rates, client_of

log = logging.getLogger("swarmproxy.hub")

MAX_BODY_BYTES = 1024
DEFAULT_TTL_S = 180
MAX_TTL_S = 30 * 24 * 3600
"""A longer one counts as this: classic's agents would not see a refusal."""
BURST_S = 10
"""A client may ask at once for what is its share of so long."""

_DIGITS = re.compile(r"[0-9]{1,18}")

router = APIRouter()


def build(hub: Hub, settings: HubSettings) -> "Limited":
    """Return the ASGI application of `hub`."""
    app = FastAPI(title="swarmproxy hub", openapi_url=None, redirect_slashes=False)
    app.state.hub = hub
    app.state.creations = Rates("creations", settings.create_rate / 60, settings.create_rate)
    app.include_router(router)
    app.include_router(router, prefix="/v1")
    app.add_api_route("/_ping", _ping, methods=["GET", "HEAD"])
    app.add_exception_handler(SwarmError, _refuse)
    app.add_exception_handler(HTTPException, _no_such_page)
    return Limited(app, Rates("requests", settings.rate, settings.rate * BURST_S))


class Limited:
    """An application that a client may ask only so often."""

    def __init__(self, app: FastAPI, rates: Rates) -> None:
        self._app = app
        self._rates = rates

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer, or refuse at little cost."""
        try:
            _take(self._rates, scope)
        except TooManyRequests as error:
            await _error_reply(error)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


@router.post("/clusters")
async def create(request: Request) -> Response:
    """Answer with a new token."""
    _take(cast("Rates", request.app.state.creations), request.scope)
    token = await _hub(request).create()
    log.info("new cluster", extra={"client": _host(request.scope) or "unix"})
    return Response(token, media_type="text/plain")


@router.get("/clusters/{token}")
async def list_entries(request: Request, token: str) -> Response:
    """Answer with all entries of a cluster, sorted."""
    return Response(msgspec.json.encode(await _hub(request).addresses(token)), media_type="application/json")


@router.post("/clusters/{token}")
async def register(request: Request, token: str) -> Response:
    """List one address for a while."""
    ttl_s = _ttl(request.query_params.get("ttl", ""))
    await _hub(request).register(token, _address(await _body(request)), ttl_s)
    return Response(status_code=204)


@router.delete("/clusters/{token}/{address}")
async def unregister(request: Request, token: str, address: str) -> Response:
    """Take one address away."""
    await _hub(request).unregister(token, _address(address))
    return Response(status_code=204)


async def _ping() -> Response:
    return Response("OK", media_type="text/plain")


def _hub(request: Request) -> Hub:
    return cast("Hub", request.app.state.hub)


def _host(scope: Any) -> str:
    """Return the client's address, "" for one of a unix socket."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def _take(rates: Rates, scope: Any) -> None:
    """Count a request; a unix socket's clients are trusted. Raises TooManyRequests."""
    if host := _host(scope):
        rates.take(client_of(host))


async def _body(request: Request) -> str:
    body = b""
    async for block in request.stream():
        body += block
        if len(body) > MAX_BODY_BYTES:
            raise TooLarge(f"request body is larger than {MAX_BODY_BYTES} bytes")
    try:
        return body.decode().strip()
    except UnicodeDecodeError as error:
        raise BadRequest("the address is not UTF-8 text") from error


def _address(text: str) -> str:
    """Return the address in the one form that it is listed in: a bad one would break a classic manager's whole list."""
    try:
        entry = parse_entry(text)
    except DiscoveryError as error:
        raise BadRequest(str(error)) from error
    if entry.path:
        raise BadRequest(f"address {text}: a hub lists host:port only")
    return str(entry)


def _ttl(text: str) -> int:
    if not text:
        return DEFAULT_TTL_S
    if not _DIGITS.fullmatch(text) or int(text) == 0:
        raise BadRequest("ttl is a number of seconds, greater than 0")
    return min(int(text), MAX_TTL_S)


def _error_reply(error: SwarmError) -> Response:
    if isinstance(error, TooManyRequests):
        headers = {"Retry-After": str(math.ceil(error.retry_after_s))}
        return Response(body_of(error), 429, headers=headers, media_type="application/json")
    return Response(body_of(error), status_of(error), media_type="application/json")


async def _refuse(_request: Request, error: Exception) -> Response:
    if not isinstance(error, SwarmError):
        raise error
    return _error_reply(error)


async def _no_such_page(_request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code not in (404, 405):
        return _error_reply(SwarmError(error.detail))
    return _error_reply(PAGE_NOT_FOUND)
