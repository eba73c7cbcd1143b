"""Plugins: the list of all nodes, and what one node says of one. What changes them is forwarded, see `forwarded`."""

from fastapi import APIRouter, Request, Response

from swarmproxy.api.requests import cluster_of, json_reply, version_of
from swarmproxy.api.selection import nodes_asked, query_for_engine
from swarmproxy.cluster import plugins

router = APIRouter()


@router.get("/plugins")
async def list_all(request: Request) -> Response:
    """List the plugins of all nodes as `node/name`, or of those that the filter `node` names."""
    query, nodes = query_for_engine(request), nodes_asked(request)
    items = await plugins.list_all(cluster_of(request), query, version_of(request), nodes=nodes)
    return json_reply(b"[" + b",".join(items) + b"]\n")


@router.get("/plugins/{name:path}/json")
async def inspect(name: str, request: Request) -> Response:
    """Answer what the plugin's node says of it."""
    return json_reply(bytes(await plugins.inspect(cluster_of(request), name, version_of(request))) + b"\n")
