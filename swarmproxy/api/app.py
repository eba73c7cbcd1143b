"""The application: our own routes by FastAPI, behind the dispatch that forwards all others."""

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from swarmproxy.api import (
    adapted,
    containers,
    disk_usage,
    events,
    images,
    plugins,
    prunes,
    swarm_mode,
    system,
)
from swarmproxy.api.dispatch import Dispatch, log_refusal
from swarmproxy.api.errors import PAGE_NOT_FOUND
from swarmproxy.api.operators import explain
from swarmproxy.api.requests import error_reply
from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.disk_usage import DiskUsage
from swarmproxy.cluster.explaining import Explainer
from swarmproxy.cluster.placement import Placement
from swarmproxy.errors import SwarmError
from swarmproxy.leader.replica import Replica
from swarmproxy.settings import Settings

ROUTES = (
    system,
    events,
    containers,
    images,
    adapted,
    swarm_mode,
    disk_usage,
    prunes,
    plugins,
)


def build(
    cluster: Cluster,
    placement: Placement,
    settings: Settings,
    replica: Replica | None = None,
    explainer: Explainer | None = None,
) -> Dispatch:
    """Return the ASGI application for one cluster."""
    app = FastAPI(title="swarmproxy", openapi_url=None, redirect_slashes=False)
    app.state.cluster = cluster
    app.state.placement = placement
    app.state.settings = settings
    app.state.explainer = explainer
    app.state.disk_usage = DiskUsage(cluster)
    app.state.leadership = replica.leadership if replica is not None else None
    for module in ROUTES:
        app.include_router(module.router)
    if explainer is not None:
        app.include_router(explain.router, prefix="/swarmproxy/v1")
    app.add_exception_handler(SwarmError, _refuse)
    app.add_exception_handler(HTTPException, _no_such_page)
    return Dispatch(cluster, app, placement, cors=settings.cors, replica=replica)


async def _refuse(request: Request, error: Exception) -> Response:
    if not isinstance(error, SwarmError):
        raise error
    log_refusal(request.scope, error)
    return error_reply(error)


async def _no_such_page(_request: Request, error: Exception) -> Response:
    """Answer an unknown route, or a method that it has not, as a daemon does."""
    if isinstance(error, HTTPException) and error.status_code not in (404, 405):
        return error_reply(SwarmError(error.detail))
    return error_reply(PAGE_NOT_FOUND)
