"""Where a container would go, and why: a create that makes nothing."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request

from swarmproxy.api.parts import parts_of
from swarmproxy.api.requests import body_bytes, flag, version_of
from swarmproxy.cluster.placement import CreateRequest
from swarmproxy.errors import BadRequest, NotSupported
from swarmproxy.model.node import Node
from swarmproxy.scheduler.explanation import Explanation

router = APIRouter(tags=["placement"])

_BODY = {
    "required": True,
    "description": "the body of Docker's `POST /containers/create`",
    "content": {"application/json": {"schema": {"type": "object"}}},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedNode:
    """A node that would take it. Rank 1 is chosen; of weights spread prefers the lowest, binpack the highest."""

    Node: str
    Address: str
    Rank: int
    Weight: int
    Containers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedNode:
    """A node that would not take it, and what turned it away first: a filter, availability, image or resources."""

    Node: str
    Address: str
    Filter: str
    Reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Where the container would go: to Node; if that is empty nowhere, with the Refusal that a create would get."""

    Node: str
    Ranked: list[RankedNode]
    Refused: list[RefusedNode]
    Refusal: str
    GivenUp: list[str]  # soft expressions that no node satisfies


@router.post("/containers/create", openapi_extra={"requestBody": _BODY})
async def explain(
    request: Request,
    dry_run: Annotated[str, Query(alias="dry-run", description="has to be 1")] = "",
    name: Annotated[str, Query(description="of the container")] = "",
    platform: Annotated[str, Query(description="of the image, such as linux/arm64")] = "",
) -> Answer:
    """Say where Docker's `POST /containers/create` with the same body would put the container. Nothing is created."""
    if not flag({"dry-run": dry_run}, "dry-run"):
        raise BadRequest("only a dry run is answered here: add dry-run=1, or use POST /containers/create")
    explainer = parts_of(request).explainer
    if explainer is None:
        raise NotSupported("this manager does not explain")
    return _answer(
        await explainer.explain_create(
            CreateRequest(
                name=name,
                body=await body_bytes(request),
                platform=platform,
                registry_auth=request.headers.get("x-registry-auth", ""),
                version=version_of(request),
            )
        )
    )


def _answer(explanation: Explanation) -> Answer:
    refused = sorted(explanation.refused, key=lambda each: (each.node.name, each.node.address))
    return Answer(
        Node=explanation.ranked[0].node.name if explanation.ranked else "",
        Ranked=[
            RankedNode(Rank=each.rank, Weight=each.weight, Containers=each.node.containers, **_named(each.node))
            for each in explanation.ranked
        ],
        Refused=[RefusedNode(Filter=each.by, Reason=each.reason, **_named(each.node)) for each in refused],
        Refusal=explanation.refusal,
        GivenUp=list(explanation.given_up),
    )


def _named(node: Node) -> dict[str, str]:
    return {"Node": node.name, "Address": node.address}
