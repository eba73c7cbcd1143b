"""`docker system df`."""

from fastapi import APIRouter, Request, Response

from swarmproxy.api.parts import parts_of
from swarmproxy.api.requests import json_reply, reads_node_names, version_of
from swarmproxy.api.selection import nodes_asked
from swarmproxy.model.disk_usage import Query
from swarmproxy.model.names import is_docker_cli, style_for

router = APIRouter()


@router.get("/system/df")
async def disk_usage(request: Request) -> Response:
    """Answer what images, containers, volumes and build caches take on all nodes, item by item as `node/name`."""
    settings = parts_of(request).settings
    parameters = request.query_params
    query = Query.parse(parameters.getlist("type"), parameters.get("verbose", ""), version_of(request))
    user_agent = request.headers.get("user-agent", "")
    measured = await parts_of(request).disk_usage.of_all(
        query,
        style=style_for(user_agent, settings.names),
        volumes=reads_node_names(request),
        tags=is_docker_cli(user_agent),
        nodes=nodes_asked(request),
    )
    return json_reply(measured)
