"""`docker system df`."""

from typing import cast

from fastapi import APIRouter, Request, Response

from swarmproxy.api.requests import json_reply, reads_node_names, version_of
from swarmproxy.api.selection import nodes_asked
from swarmproxy.cluster.disk_usage import DiskUsage
from swarmproxy.model.disk_usage import Query
from swarmproxy.model.names import is_docker_cli, style_for
from swarmproxy.settings import Settings

router = APIRouter()


@router.get("/system/df")
async def disk_usage(request: Request) -> Response:
    """Answer what images, containers, volumes and build caches take on all nodes, item by item as `node/name`."""
    settings: Settings = request.app.state.settings
    parameters = request.query_params
    query = Query.parse(parameters.getlist("type"), parameters.get("verbose", ""), version_of(request))
    user_agent = request.headers.get("user-agent", "")
    measured = await cast("DiskUsage", request.app.state.disk_usage).of_all(
        query,
        style=style_for(user_agent, settings.names),
        volumes=reads_node_names(request),
        tags=is_docker_cli(user_agent),
        nodes=nodes_asked(request),
    )
    return json_reply(measured)
