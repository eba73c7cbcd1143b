"""Images: the merged list, and what is done on all nodes.

Questions about one image are forwarded, see `forwarded`.
"""

import time
from collections.abc import Sequence
from urllib.parse import parse_qsl

import msgspec
from fastapi import APIRouter, Request, Response

from swarmproxy.api.broadcasts import BroadcastReply
from swarmproxy.api.parts import parts_of
from swarmproxy.api.progress import IMPORTING, Board, Wording, loading, pulling
from swarmproxy.api.requests import cluster_of, flag, json_reply, version_of
from swarmproxy.api.selection import nodes_asked, query_for_engine
from swarmproxy.api.streams import CutWhenItFails
from swarmproxy.cluster import images
from swarmproxy.cluster.broadcast import Broadcast, Rescue, StreamRequest, Tell
from swarmproxy.cluster.participants import taking_part
from swarmproxy.cluster.saving import merged, parts_for
from swarmproxy.cluster.tee import Tee
from swarmproxy.engine.engine import Engine, State
from swarmproxy.errors import BadRequest, EngineUnreachable, SwarmError
from swarmproxy.model.image import familiar
from swarmproxy.model.image_listing import Holder, ImageQuery, list_images, list_merged

router = APIRouter()

_PASSED_ON = frozenset(("content-type", "user-agent", "x-registry-auth", "x-registry-config"))

_WORKED_OUT = ("shared-size", "manifests", "identity")  # from API 1.42, 1.47 and 1.54 on


@router.post("/images/create")
async def create(request: Request) -> Response:
    """Pull or import an image on all healthy nodes, or on the one that is asked for."""
    parameters = request.query_params
    if reference := parameters.get("fromImage", ""):
        if tag := parameters.get("tag", ""):
            reference += f"@{tag}" if ":" in tag else f":{tag}"
        return _broadcast(request, pulling(familiar(reference)), with_body=False, rescue=_moving(request, reference))
    source = parameters.get("fromSrc", "")
    if not source:
        raise BadRequest("no image to pull (fromImage) and no source to import (fromSrc)")
    return _broadcast(request, IMPORTING, with_body=source == "-")


@router.post("/images/load")
async def load(request: Request) -> Response:
    """Load the images in the body on all healthy nodes, or on the one asked for, while it comes in."""
    return _broadcast(request, loading(quiet=flag(request.query_params, "quiet")), with_body=True)


@router.get("/images/json")
async def list_all(request: Request) -> Response:
    """List the images of all nodes, one item for each ID, from what the cluster knows.

    For what engines work out only when they are asked, they are asked.
    """
    cluster = cluster_of(request)
    await cluster.images_settled()
    version = version_of(request)
    query = ImageQuery.parse(dict(request.query_params), version=version, now_ns=time.time_ns())
    extra = [name for name in _WORKED_OUT if flag(request.query_params, name)]
    if extra or query.nodes:
        engines = sorted(cluster.engines(), key=lambda engine: engine.state is not State.HEALTHY)
        live = await images.list_live(engines, extra, version) if extra else {}
        holders = [Holder((engine.name, engine.id), live.get(engine, engine.images)) for engine in engines]
        items = list_images(holders, query, version=version)
    else:
        index = cluster.images
        items = list_merged(index.merged(), query, version=version, find=lambda name: index.holders(name)[0].image)
    return json_reply(b"[" + b",".join(items) + b"]\n")


@router.get("/images/get")
async def save(request: Request) -> Response:
    """Save images that no one node has all of, in one archive."""
    pairs = parse_qsl(request.url.query, keep_blank_values=True)
    parts = parts_for(cluster_of(request), [value for name, value in pairs if name == "names"])
    others = [(name, value) for name, value in pairs if name != "names"]
    return CutWhenItFails(merged(parts, others, version_of(request)), "application/x-tar")


@router.delete("/images/{name:path}")
async def remove(name: str, request: Request) -> Response:
    """Remove an image on all nodes that hold it."""
    cluster = cluster_of(request)
    await cluster.images_settled()
    removed = await images.remove(cluster, name, query_for_engine(request), version_of(request))
    return json_reply(msgspec.json.encode(removed) + b"\n")


@router.post("/images/{name:path}/tag")
async def tag(name: str, request: Request) -> Response:
    """Tag an image on all nodes that hold it."""
    cluster = cluster_of(request)
    await cluster.images_settled()
    await images.tag(cluster, name, query_for_engine(request), version_of(request))
    return Response(status_code=201)


def _moving(request: Request, reference: str) -> Rescue | None:
    """Return what moves an image that a node cannot pull from one that could, or that held it before."""
    placement = parts_of(request).placement
    mover, version = placement.image_moves, version_of(request)
    if mover is None:
        return None

    async def move(engine: Engine, error: SwarmError, done: Sequence[Engine], tell: Tell) -> SwarmError | None:
        if isinstance(error, EngineUnreachable) or (not done and images.has_image(engine, reference)):
            return error
        try:
            await mover.bring(reference, engine, version, fresh=done, tell=tell)
        except SwarmError:
            return error
        return None

    return move


def _broadcast(request: Request, wording: Wording, *, with_body: bool, rescue: Rescue | None = None) -> Response:
    """Send the request on as it is, to the nodes that are to take part."""
    taking_part, left_out = _nodes(request)
    path = f"{request.scope['path']}{query_for_engine(request)}"
    passed_on = [
        (name, value) for name, value in request.headers.items() if name in _PASSED_ON or name.startswith("x-meta-")
    ]
    asked = StreamRequest(path=path, version=version_of(request), headers=passed_on)
    tee = Tee() if with_body else None
    broadcast = Broadcast(taking_part, asked, tee=tee, rescue=rescue)
    return BroadcastReply(broadcast, Board(wording, taking_part, left_out), tee=tee)


def _nodes(request: Request) -> tuple[list[Engine], list[Engine]]:
    """Return the engines that take part, and those left out as they do not answer. Raises as `taking_part`."""
    cluster, asked = cluster_of(request), nodes_asked(request)
    left_out = [] if asked else [engine for engine in cluster.engines() if engine.state is not State.HEALTHY]
    return taking_part(cluster, asked), left_out
