"""What a rebalance would move, and the rebalance itself, told as it happens."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse

from swarmproxy.api.parts import parts_of
from swarmproxy.api.requests import body_bytes, cluster_of, json_reply, number
from swarmproxy.cluster.operators import find_node
from swarmproxy.cluster.rebalancing import Rebalancing, Step, Wanted
from swarmproxy.errors import BadRequest, NotSupported
from swarmproxy.model.members import NOT_JSON
from swarmproxy.scheduler.rebalance import MAX_MOVES, Load, Plan, PlannedMove

router = APIRouter(tags=["rebalance"])

_PARAMETER = {
    "name": "max_moves",
    "in": "query",
    "description": "the most moves to plan",
    "schema": {"type": "integer", "default": MAX_MOVES, "minimum": 0},
}
_DESCRIBED: dict[str, Any] = {"parameters": [_PARAMETER]}
_MOVE = {
    "type": "object",
    "required": ["container", "to"],
    "properties": {"container": {"type": "string"}, "to": {"type": "string"}},
}
_SCHEMA = {"type": "object", "required": ["moves"], "properties": {"moves": {"type": "array", "items": _MOVE}}}
_STEP = {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}}
_STEPS = {"description": "one object a line, as it happens", "content": {"application/x-ndjson": {"schema": _STEP}}}
_BODY = {"description": "the moves of a plan, to make no others", "content": {"application/json": {"schema": _SCHEMA}}}
BODY_LIMIT = 4 * 1024 * 1024


class _Move(msgspec.Struct):
    container: str  # its full ID
    to: str  # name, ID or address of a node


class _Moves(msgspec.Struct):
    moves: list[_Move]


@router.get("/rebalance", openapi_extra=_DESCRIBED)
async def plan(request: Request) -> Response:
    """Answer which containers would move and why, and how full each node is before and after. Nothing is moved."""
    return json_reply(msgspec.json.encode(_view(_rebalancing(request).plan(max_moves=_max_moves(request)))))


async def _wanted(request: Request) -> list[Wanted] | None:
    body = await body_bytes(request, limit=BODY_LIMIT)
    if not body.strip():
        return None
    try:
        moves = msgspec.json.decode(body, type=_Moves).moves
    except NOT_JSON as error:
        raise BadRequest(f'the body should be {{"moves": [{{"container": "...", "to": "..."}}]}}: {error}') from error
    cluster, found = cluster_of(request), []
    for move in moves:
        _, engine = find_node(cluster.book, cluster.engines(), move.to)
        found.append((move.container, engine.id if engine is not None else ""))
    return found


@router.post(
    "/rebalance",
    response_class=StreamingResponse,
    responses={200: _STEPS},
    openapi_extra={**_DESCRIBED, "requestBody": _BODY},
)
async def rebalance(wanted: Annotated[list[Wanted] | None, Depends(_wanted)], request: Request) -> StreamingResponse:
    """Move containers; each line of the answer is a JSON object: `moving`, then `moved` or `failed`, at the end `done`.

    With the moves of a plan in the body these and no others, or 409 if one of them is not possible any more. Only one
    rebalance is under way at a time: another is refused with 409. It ends after the move that is under way when the
    client leaves.
    """
    steps = _rebalancing(request).carry_out(max_moves=_max_moves(request), wanted=wanted)
    first = await anext(steps, None)  # what is refused is refused before the answer begins
    return StreamingResponse(_lines(first, steps), media_type="application/x-ndjson")


async def _lines(first: Step | None, steps: AsyncIterator[Step]) -> AsyncIterator[bytes]:
    moved = failed = 0
    step = first
    while step is not None:
        moved += step.move is not None
        failed += step.error is not None
        yield _line(step)
        step = await anext(steps, None)
    yield msgspec.json.encode({"status": "done", "moved": moved, "failed": failed}) + b"\n"


def _line(step: Step) -> bytes:
    told = _told(step.planned)
    if step.move is not None:
        outcome = {"id": step.move.new.container.id, "left_behind": step.move.left_behind}
        return msgspec.json.encode({"status": "moved", **told, **outcome}) + b"\n"
    if step.error is not None:
        return msgspec.json.encode({"status": "failed", **told, "error": str(step.error)}) + b"\n"
    return msgspec.json.encode({"status": "moving", **told}) + b"\n"


def _told(planned: PlannedMove) -> dict[str, str]:
    container = planned.movable.container
    return {
        "container": container.id,
        "name": container.name,
        "from": planned.source.name,
        "to": planned.target.name,
        "to_id": planned.target.id,
        "reason": planned.reason,
    }


def _view(found: Plan) -> dict[str, Any]:
    return {
        "moves": [_told(each) for each in found.moves],
        "before": _by_name(found.before),
        "after": _by_name(found.after),
    }


def _by_name(loads: Mapping[str, Load]) -> dict[str, dict[str, float]]:
    """Return the loads by name of the node, in that order; by ID where several nodes have one name."""
    names = Counter(each.node for each in loads.values())
    return {
        each.node if names[each.node] == 1 else node_id: {
            "cpu_percent": each.cpu_percent,
            "memory_percent": each.memory_percent,
            "containers": each.containers,
        }
        for node_id, each in sorted(loads.items(), key=lambda item: (item[1].node, item[0]))
    }


def _max_moves(request: Request) -> int:
    most = number(request.query_params, "max_moves", default=MAX_MOVES)
    if most < 0:
        raise BadRequest(f"max_moves can not be negative, {most} is invalid")
    return most


def _rebalancing(request: Request) -> Rebalancing:
    rebalancing = parts_of(request).rebalancing
    if rebalancing is None:
        raise NotSupported("this manager does not rebalance")
    return rebalancing
