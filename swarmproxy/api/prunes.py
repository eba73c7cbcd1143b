"""The prunes: what nobody uses is removed on all nodes, or on those that the filter `node` names."""

import msgspec
from fastapi import APIRouter, Request, Response

from swarmproxy.api.requests import cluster_of, json_reply, version_of
from swarmproxy.api.selection import nodes_asked, parameters_for_engine
from swarmproxy.cluster.prune import BUILD_CACHE, CONTAINERS, IMAGES, Kind, prune

router = APIRouter()


@router.post("/containers/prune")
async def containers(request: Request) -> Response:
    """Remove stopped containers."""
    return await _prune(request, CONTAINERS)


@router.post("/images/prune")
async def images(request: Request) -> Response:
    """Remove unused images."""
    return await _prune(request, IMAGES)


@router.post("/build/prune")
async def build_cache(request: Request) -> Response:
    """Remove what builds have kept."""
    return await _prune(request, BUILD_CACHE)


async def _prune(request: Request, kind: Kind) -> Response:
    parameters, nodes = dict(parameters_for_engine(request)), nodes_asked(request)
    pruned = await prune(cluster_of(request), kind, parameters, version_of(request), nodes=nodes)
    return json_reply(msgspec.json.encode(pruned) + b"\n")
