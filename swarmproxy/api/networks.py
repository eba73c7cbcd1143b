"""Networks: the list of all nodes, and what is done with one on the node that it, or its container, is on."""

import msgspec
from fastapi import APIRouter, Request, Response

from swarmproxy.api.inspect import node_of
from swarmproxy.api.parts import parts_of
from swarmproxy.api.requests import body_bytes, cluster_of, json_reply, passed_on, reads_node_names, version_of
from swarmproxy.api.selection import nodes_asked, parameters_for_engine
from swarmproxy.cluster import networking
from swarmproxy.model.apiversion import NEWEST, Version
from swarmproxy.model.network import item_json
from swarmproxy.model.network_listing import NetworkQuery
from swarmproxy.model.network_spec import with_members
from swarmproxy.model.versions import Subject, adapt_answer

router = APIRouter()

NAMES_CONTAINERS_BEFORE: Version = (1, 28)
EVERYTHING = NetworkQuery()


@router.get("/networks")
@router.get("/networks/")
async def list_networks(request: Request) -> Response:
    """List the networks of all nodes, each once, from what the cluster knows; local ones as `node/name`."""
    await cluster_of(request).settled()
    return shown(request)


def list_now(request: Request) -> Response | None:
    """Return what `list_networks` answers; None if something has to be waited for before."""
    return shown(request) if cluster_of(request).is_settled else None


def shown(request: Request) -> Response:
    """Return the list as it is known. Raises BadRequest for its filters."""
    cluster, version = cluster_of(request), version_of(request)
    query = NetworkQuery.parse(request.query_params.get("filters", ""))
    with_node = reads_node_names(request)
    kept = cluster.networks.kept if query == EVERYTHING and version >= NAMES_CONTAINERS_BEFORE else {}
    if (text := kept.get(with_node)) is not None:
        return json_reply(text)
    items = []
    for held in networking.shown(cluster, query):
        item = item_json(held.network, held.engines[0].name if with_node and held.network.is_local else "")
        if version < NAMES_CONTAINERS_BEFORE:
            attached = networking.attached(held)
            item = adapt_answer(Subject.NETWORKS, item, client=version, engine=NEWEST, attached=attached)
        items.append(item)
    kept[with_node] = b"[%b]\n" % b",".join(items)
    return json_reply(kept[with_node])


@router.post("/networks/create")
async def create(request: Request) -> Response:
    """Make a network on the node that is asked for, or that has most room for it."""
    maker = parts_of(request).network_maker
    return passed_on(await maker.make(await body_bytes(request), version_of(request), nodes=nodes_asked(request)))


@router.post("/networks/prune")
async def prune(request: Request) -> Response:
    """Remove unused networks on all healthy nodes, and answer what was removed on any of them."""
    parameters, nodes = dict(parameters_for_engine(request)), nodes_asked(request)
    names = await networking.prune(
        cluster_of(request), parameters, version_of(request), nodes=nodes, with_node=reads_node_names(request)
    )
    return json_reply(msgspec.json.encode({"NetworksDeleted": names or None}) + b"\n")


@router.get("/networks/{name:path}")
async def inspect(name: str, request: Request) -> Response:
    """Answer what an engine says of a network now, with the containers of all nodes.

    A local one has its `Node`, and `Nodes` if every node has one of that name.
    """
    cluster = cluster_of(request)
    scope = request.query_params.get("scope", "")
    found, body = await networking.inspect(cluster, name, _query(request), version_of(request), scope=scope)
    if found[0].network.is_local:
        body = with_members(body, Node=node_of(found[0].engines[0], cluster.book))
    if len(found) > 1:
        body = with_members(body, Nodes=sorted(held.engines[0].name for held in found))
    return json_reply(body)


@router.post("/networks/{name:path}/connect")
async def connect(name: str, request: Request) -> Response:
    """Connect a container to a network, on the container's node."""
    body = await body_bytes(request)
    return passed_on(await networking.connect(cluster_of(request), name, body, version_of(request)))


@router.post("/networks/{name:path}/disconnect")
async def disconnect(name: str, request: Request) -> Response:
    """Disconnect a container from a network, on the container's node."""
    body = await body_bytes(request)
    return passed_on(await networking.disconnect(cluster_of(request), name, body, version_of(request)))


@router.delete("/networks/{name:path}")
async def remove(name: str, request: Request) -> Response:
    """Remove a network."""
    return passed_on(await networking.remove(cluster_of(request), name, version_of(request)))


def _query(request: Request) -> str:
    return f"?{request.url.query}" if request.url.query else ""
