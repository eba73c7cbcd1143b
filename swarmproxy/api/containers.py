"""Containers: what the cluster answers itself. All else about them is forwarded, see `forwarded`."""

import time
from collections.abc import Mapping, Sequence
from urllib.parse import quote

import msgspec
from fastapi import APIRouter, Request, Response

from swarmproxy.api.inspect import with_node
from swarmproxy.api.listing import item_json, sizes_of, whole_list
from swarmproxy.api.parts import parts_of
from swarmproxy.api.questions import Question, reply_to
from swarmproxy.api.requests import body_bytes, cluster_of, flag, json_reply, note_node, passed_on, version_of
from swarmproxy.cluster.asking import ask
from swarmproxy.cluster.fanout import on_all
from swarmproxy.cluster.index import Located
from swarmproxy.cluster.listing import listed
from swarmproxy.cluster.placement import CreateRequest
from swarmproxy.engine.client import Created
from swarmproxy.engine.engine import Engine
from swarmproxy.errors import BadRequest
from swarmproxy.model.filters import parse_filters
from swarmproxy.model.listing import ContainerQuery
from swarmproxy.model.members import NOT_JSON, folded
from swarmproxy.model.names import NameStyle, style_for
from swarmproxy.wire.fetch import Answer

router = APIRouter()

REFRESH_TIMEOUT_S = 30.0


@router.post("/containers/create")
async def create(request: Request) -> Response:
    """Place a container, create it there and answer its id."""
    placement = parts_of(request).placement
    placed = await placement.place(
        CreateRequest(
            name=request.query_params.get("name", ""),
            body=await body_bytes(request),
            platform=request.query_params.get("platform", ""),
            registry_auth=request.headers.get("x-registry-auth", ""),
            version=version_of(request),
        )
    )
    note_node(request, placed.engine)
    created = placed.created
    return json_reply(msgspec.json.encode({"Id": created.id, "Warnings": created.warnings}), 201)


@router.get("/containers/json")
@router.get("/containers/ps")
async def list_containers(request: Request) -> Response:
    """List the containers of all nodes, from what the cluster knows."""
    cluster = cluster_of(request)
    query = ContainerQuery.parse(request.query_params)
    if engines := read_before(request):
        await on_all(engines, lambda engine: engine.refresh_containers(), timeout_s=REFRESH_TIMEOUT_S)
    await cluster.settled()
    if not query.size:
        return shown(request, query)
    found = listed(cluster, query)
    return items_reply(request, found, await sizes_of(found))


def list_now(request: Request) -> Response | None:
    """Return what `list_containers` answers; None if something has to be read, or waited for, before."""
    query = ContainerQuery.parse(request.query_params)
    if query.size or not cluster_of(request).is_settled or read_before(request):
        return None
    return shown(request, query)


def shown(request: Request, query: ContainerQuery) -> Response:
    """Return the list of what `query`, which does not ask for sizes, shows of the cluster as it is known."""
    cluster = cluster_of(request)
    if query.is_plain:
        style = reader_style(request)
        return whole_list(cluster.index.newest, style, all_states=query.all, clock_ns=time.time_ns)
    return items_reply(request, listed(cluster, query), {})


def items_reply(request: Request, found: Sequence[Located], sizes: Mapping[str, bytes]) -> Response:
    """Return the list of `found`; `sizes` are members to add, by container ID."""
    style, now_ns = reader_style(request), time.time_ns()
    items = [item_json(each, style, now_ns=now_ns, extra=sizes.get(each.container.id, b"")) for each in found]
    return json_reply(b"[" + b",".join(items) + b"]\n")


def reader_style(request: Request) -> NameStyle:
    """Return how this client wants to read names."""
    settings = parts_of(request).settings
    return style_for(request.headers.get("user-agent", ""), settings.names)


def read_before(request: Request) -> Sequence[Engine]:
    """Return the engines whose containers are read anew before a list with these filters, as the operator wants.

    One that cannot be read leaves the list as it is known. Source: classic Swarm 1.2, api/handlers.go.
    """
    settings = parts_of(request).settings
    name, on_node = settings.container_name_refresh_filter, settings.refresh_on_node_filter
    if not (name or on_node):
        return ()
    filters = parse_filters(request.query_params.get("filters", ""))
    nodes = filters.get("node", ()) if on_node else ()
    reads_all = bool(name) and name in filters.get("name", ())
    return [engine for engine in cluster_of(request).healthy() if reads_all or engine.name in nodes]


@router.get("/containers/{name:path}/json")
async def inspect(name: str, request: Request) -> Response:
    """Answer what the container's engine says of it now, with `Node` added."""
    return await reply_to(inspection(name, request), request)


def inspection(name: str, request: Request) -> Question:
    """Return what `inspect` asks the container's engine. Raises as `Cluster.find_on_healthy`."""
    cluster = cluster_of(request)
    located = cluster.find_on_healthy(name)
    query = "?size=1" if flag(request.query_params, "size") else ""

    def reply(answer: Answer) -> Response:
        if answer.status != 200:
            return passed_on(answer)
        return json_reply(with_node(answer.body, located.engine, cluster.book))

    return Question(located.engine, f"/containers/{located.container.id}/json{query}", reply)


@router.post("/containers/{name:path}/exec")
async def create_exec(name: str, request: Request) -> Response:
    """Make an exec instance and remember which engine runs it."""
    return await reply_to(new_exec(name, request, await body_bytes(request)), request)


class _Exec(msgspec.Struct):
    AttachStdin: bool = False


def attaches_input(body: bytes) -> bool:
    """Say whether somebody will read what a client says to the exec instance that `body` asks for, or might."""
    try:
        return msgspec.convert(folded(msgspec.json.decode(body), _Exec), _Exec).AttachStdin
    except NOT_JSON:
        return True


def new_exec(name: str, request: Request, body: bytes) -> Question:
    """Return what `create_exec` asks the container's engine. Raises as `Cluster.find`."""
    cluster = cluster_of(request)
    located = cluster.find(name)

    def reply(answer: Answer) -> Response:
        if answer.status == 201:
            created = located.engine.client.decode(answer.body, Created, "/containers/{id}/exec")
            cluster.execs.note(created.id, located.engine, takes_input=attaches_input(body))
        return passed_on(answer)

    return Question(located.engine, f"/containers/{located.container.id}/exec", reply, method="POST", body=body)


@router.post("/containers/{name:path}/rename")
async def rename(name: str, request: Request) -> Response:
    """Rename a container; the new name is held in the whole cluster while its engine takes it."""
    cluster = cluster_of(request)
    located = cluster.find_on_healthy(name)
    note_node(request, located.engine)
    new = request.query_params.get("name", "")
    if not new:
        raise BadRequest("Neither old nor new names may be empty")
    with cluster.reservations.name(new, besides=located.container.id):
        path = f"/containers/{located.container.id}/rename?name={quote(new, safe='')}"
        answer = await ask(located.engine, version_of(request), "POST", path)
        if answer.status < 400:
            await located.engine.refresh_container(located.container.id)
    return passed_on(answer)
