"""Requests to one engine that it reads, or answers, in another version than the client; all others are forwarded."""

from contextlib import suppress
from urllib.parse import quote

from fastapi import APIRouter, Request, Response

from swarmproxy.api.requests import cluster_of, json_reply, note_node, passed_on, version_of
from swarmproxy.cluster.asking import ask, version_for
from swarmproxy.cluster.images import owner
from swarmproxy.cluster.stopping import signal_and
from swarmproxy.errors import SwarmError
from swarmproxy.model.versions import Subject, adapt_answer, adapt_query

router = APIRouter()


@router.get("/images/{name:path}/json")
async def inspect_image(name: str, request: Request) -> Response:
    """Answer what an engine that holds the image says of it."""
    cluster = cluster_of(request)
    await cluster.images_settled()
    engine = owner(cluster, name)
    note_node(request, engine)
    client = version_of(request)
    answer = await ask(engine, client, "GET", f"/images/{quote(name, safe='/:@')}/json")
    if answer.status != 200:
        return passed_on(answer)
    return json_reply(adapt_answer(Subject.IMAGE, answer.body, client=client, engine=version_for(engine, client)))


@router.post("/containers/{name:path}/stop")
async def stop(name: str, request: Request) -> Response:
    """Stop a container with the client's signal."""
    return await _signal_and("stop", name, request)


@router.post("/containers/{name:path}/restart")
async def restart(name: str, request: Request) -> Response:
    """Stop a container with the client's signal, and start it again."""
    return await _signal_and("restart", name, request)


async def _signal_and(action: str, name: str, request: Request) -> Response:
    cluster, client = cluster_of(request), version_of(request)
    located = cluster.find_on_healthy(name)
    engine = located.engine
    note_node(request, engine)
    case = adapt_query(Subject.STOP, dict(request.query_params), client=client, engine=version_for(engine, client))
    answer = await signal_and(action, located, case.signal, case.members.get("t", ""), client)
    with suppress(SwarmError):  # what was done is done: the engine's events tell of it as well
        await engine.refresh_container(located.container.id)
    return passed_on(answer)
