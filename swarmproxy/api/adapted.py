"""Answers of one engine that older clients get in their own version; for all others they are forwarded."""

from urllib.parse import quote

from fastapi import APIRouter, Request, Response

from swarmproxy.api.requests import cluster_of, json_reply, passed_on, version_of
from swarmproxy.cluster.asking import ask, version_for
from swarmproxy.cluster.images import owner
from swarmproxy.model.versions import Subject, adapt_answer

router = APIRouter()


@router.get("/images/{name:path}/json")
async def inspect_image(name: str, request: Request) -> Response:
    """Answer what an engine that holds the image says of it."""
    cluster = cluster_of(request)
    await cluster.images_settled()
    engine = owner(cluster, name)
    client = version_of(request)
    answer = await ask(engine, client, "GET", f"/images/{quote(name, safe='/:@')}/json")
    if answer.status != 200:
        return passed_on(answer)
    return json_reply(adapt_answer(Subject.IMAGE, answer.body, client=client, engine=version_for(engine, client)))
