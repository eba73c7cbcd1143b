"""Where a container would go, and why: a create that makes nothing."""

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from swarmproxy.api.requests import body_bytes, flag, version_of
from swarmproxy.cluster.explaining import Explainer
from swarmproxy.cluster.placement import CreateRequest
from swarmproxy.errors import BadRequest
from swarmproxy.model.node import Node
from swarmproxy.scheduler.explanation import Explanation

router = APIRouter()


class RankedNode(BaseModel):
    """A node that would take the container."""

    Node: str
    Address: str
    Rank: int = Field(description="1 is the node that is chosen")
    Weight: int = Field(description="the strategy's: spread prefers the lowest, binpack the highest")
    Containers: int


class RefusedNode(BaseModel):
    """A node that would not take it."""

    Node: str
    Address: str
    Filter: str = Field(description="what turned it away first: a filter, `availability`, `image` or `resources`")
    Reason: str


class Answer(BaseModel):
    """Where the container would go."""

    Node: str = Field(description="the chosen one; empty if there is none")
    Ranked: list[RankedNode]
    Refused: list[RefusedNode]
    Refusal: str = Field(description="the error that the create would get; empty if there is a node")
    GivenUp: list[str] = Field(description="soft expressions that no node satisfies")


@router.post("/containers/create")
async def explain(request: Request) -> Answer:
    """Say where Docker's `POST /containers/create` with the same body would put the container.

    `dry-run=1` has to be given: nothing is created here.
    """
    if not flag(request.query_params, "dry-run"):
        raise BadRequest("only a dry run is answered here: add dry-run=1, or use POST /containers/create")
    explainer: Explainer = request.app.state.explainer
    return _answer(
        await explainer.explain_create(
            CreateRequest(
                name=request.query_params.get("name", ""),
                body=await body_bytes(request),
                platform=request.query_params.get("platform", ""),
                registry_auth=request.headers.get("x-registry-auth", ""),
                version=version_of(request),
            )
        )
    )


def _answer(explanation: Explanation) -> Answer:
    return Answer(
        Node=explanation.ranked[0].node.name if explanation.ranked else "",
        Ranked=[
            RankedNode(Rank=each.rank, Weight=each.weight, Containers=each.node.containers, **_named(each.node))
            for each in explanation.ranked
        ],
        Refused=[RefusedNode(Filter=each.by, Reason=each.reason, **_named(each.node)) for each in explanation.refused],
        Refusal=explanation.refusal,
        GivenUp=list(explanation.given_up),
    )


def _named(node: Node) -> dict[str, str]:
    return {"Node": node.name, "Address": node.address}
