"""Volumes: the list of all nodes, and what is done with one where it is."""

import itertools
from collections.abc import Iterable, Iterator

import msgspec
from fastapi import APIRouter, Request, Response

from swarmproxy.api.inspect import node_of
from swarmproxy.api.parts import parts_of
from swarmproxy.api.requests import body_bytes, cluster_of, flag, json_reply, reads_node_names, version_of
from swarmproxy.api.selection import nodes_asked, parameters_for_engine
from swarmproxy.cluster import volume_work
from swarmproxy.cluster.swarms import NO_MANAGER
from swarmproxy.cluster.volumes import HeldVolume
from swarmproxy.errors import NoSwarm
from swarmproxy.model.volume import alike, item_json
from swarmproxy.model.volume_listing import VolumeQuery

router = APIRouter()


@router.get("/volumes")
@router.get("/volumes/")
async def list_volumes(request: Request) -> Response:
    """List the volumes of all nodes from what the cluster knows: local ones as `node/name`, others once."""
    cluster = cluster_of(request)
    query = VolumeQuery.parse(request.query_params.get("filters", ""))
    await cluster.settled()
    found = volume_work.shown(cluster, query)
    if reads_node_names(request):
        items = [item_json(each.volume, each.engines[0].name if each.volume.is_local else "") for each in found]
    else:
        items = [item_json(each.volume) for each in _once(found)]
    return json_reply(b'{"Volumes":[' + b",".join(items) + b'],"Warnings":null}\n')


def _once(found: Iterable[HeldVolume]) -> Iterator[HeldVolume]:
    """Yield the first of those that nodes have under one name, unless they differ: they are one volume to programs."""
    for _, of_name in itertools.groupby(found, key=lambda each: each.volume.name):
        several = list(of_name)
        yield from several[:1] if alike([each.volume for each in several]) else several


@router.post("/volumes/create")
async def create(request: Request) -> Response:
    """Make a volume on the nodes that are asked for, or on all."""
    maker = parts_of(request).volume_maker
    made = await maker.make(await body_bytes(request), version_of(request), nodes=nodes_asked(request))
    return json_reply(msgspec.json.encode(made) + b"\n", 201)


@router.post("/volumes/prune")
async def prune(request: Request) -> Response:
    """Remove the volumes that nobody uses."""
    pruned = await volume_work.prune(
        cluster_of(request),
        dict(parameters_for_engine(request)),
        version_of(request),
        nodes=nodes_asked(request),
        with_node=reads_node_names(request),
    )
    return json_reply(msgspec.json.encode(pruned) + b"\n")


@router.get("/volumes/{name:path}")
async def inspect(name: str, request: Request) -> Response:
    """Answer what an engine says of a volume now, with its `Node`, or `Nodes` if several have it."""
    cluster = cluster_of(request)
    await cluster.settled()
    engines, described = await volume_work.inspect(cluster, name, version_of(request))
    if described.get("Scope", "local") == "local":
        described["Node"] = node_of(engines[0], cluster.book)
        if len(engines) > 1:
            described["Nodes"] = sorted(engine.name for engine in engines)
    return json_reply(msgspec.json.encode(described) + b"\n")


@router.delete("/volumes/{name:path}")
async def remove(name: str, request: Request) -> Response:
    """Remove a volume, under its plain name on all nodes that have it."""
    cluster = cluster_of(request)
    await cluster.settled()
    await volume_work.remove(cluster, name, version_of(request), force=flag(request.query_params, "force"))
    return Response(status_code=204)


@router.put("/volumes/{name:path}")
async def update(name: str) -> Response:
    """Refuse: only cluster volumes can be updated, and they are swarm mode's."""
    raise NoSwarm(f"volume {name} cannot be updated: only cluster volumes can. {NO_MANAGER}")
