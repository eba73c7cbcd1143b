"""The nodes as operators see them: whether each takes containers, and the labels that they gave it."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Path, Request

from swarmproxy.api.node_table import node_line
from swarmproxy.api.parts import parts_of
from swarmproxy.api.requests import body_bytes, cluster_of
from swarmproxy.cluster.operators import Availability, NodeRecord, find_node
from swarmproxy.engine.engine import Engine
from swarmproxy.errors import BadRequest
from swarmproxy.model.info import natural_key
from swarmproxy.model.members import NOT_JSON
from swarmproxy.model.times import NANOSECONDS, format_rfc3339

log = logging.getLogger("swarmproxy.api")

router = APIRouter(tags=["nodes"])

BODY_LIMIT = 1024 * 1024
NAMED = 10  # of the containers that stay on a drained node
ABSENT = "Absent"  # of a node that is no member now, but of which something was said

Name = Annotated[str, Path(description="name, ID or address; a name that several nodes have is refused with 409")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The containers of a node by state."""

    Running: int = 0
    Paused: int = 0
    Stopped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How much is given away of how much there is, overcommit included."""

    Reserved: int = 0
    Total: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainView:
    """How far a drain has come. `Staying` have no reschedule policy; `Errors` say by name what has not moved yet."""

    Moved: int = 0
    Moving: int = 0
    Staying: int = 0
    Errors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """One node. `Labels` are all that constraints see, `OperatorLabels` those of them that operators set."""

    ID: str  # of the daemon; empty until it has said it
    Name: str
    Address: str
    State: str  # Healthy, Pending, Unhealthy, Disconnected or Absent
    Availability: Availability
    Containers: Held = field(default_factory=Held)
    CPUs: Amount = field(default_factory=Amount)
    MemoryBytes: Amount = field(default_factory=Amount)
    Labels: Mapping[str, str] = field(default_factory=dict)
    OperatorLabels: Mapping[str, str] = field(default_factory=dict)
    Error: str = ""
    UpdatedAt: str = ""  # when it last answered, RFC 3339; empty if never
    ServerVersion: str = ""
    Drain: DrainView | None = None  # of a node that answers and is drained


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A node as it is after a change, and what the operator should know of it."""

    Node: NodeView
    Warnings: list[str] = field(default_factory=list)


class LabelChange(msgspec.Struct, forbid_unknown_fields=True):
    """Labels to set, and the keys of labels to take away."""

    Set: dict[str, str] = {}
    Remove: list[str] = []


_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "Set": {"type": "object", "additionalProperties": {"type": "string"}},
        "Remove": {"type": "array", "items": {"type": "string"}},
    },
}
_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": _SCHEMA}}}}


@router.get("/nodes")
async def list_nodes(request: Request) -> list[NodeView]:
    """Answer all nodes by name, also those of which something was said and that are no members now."""
    cluster = cluster_of(request)
    members = [_view(request, engine) for engine in cluster.engines()]
    present = {each.ID for each in members}
    absent = [_absent(record) for record in cluster.book.records() if record.id not in present]
    return sorted([*members, *absent], key=lambda each: (natural_key(each.Name), each.Address, each.ID))


@router.post("/nodes/{node:path}/drain")
async def drain(node: Name, request: Request) -> Changed:
    """Place no more containers on a node, and move away those with a reschedule policy."""
    changed = await _make(request, node, "drain")
    engine = _member(request, changed.Node.ID)
    return replace(changed, Warnings=[*changed.Warnings, *_staying(engine)]) if engine is not None else changed


@router.post("/nodes/{node:path}/pause")
async def pause(node: Name, request: Request) -> Changed:
    """Place no more containers on a node; those that it has stay."""
    return await _make(request, node, "pause")


@router.post("/nodes/{node:path}/activate")
async def activate(node: Name, request: Request) -> Changed:
    """Place containers on a node again."""
    return await _make(request, node, "active")


async def _label_change(request: Request) -> LabelChange:
    try:
        change = msgspec.json.decode(await body_bytes(request, limit=BODY_LIMIT), type=LabelChange)
    except NOT_JSON as error:
        raise BadRequest(f'the body should be {{"Set": {{...}}, "Remove": [...]}}: {error}') from error
    if not change.Set and not change.Remove:
        raise BadRequest("there is no label to set or to remove")
    return change


@router.post("/nodes/{node:path}/labels", openapi_extra=_BODY)
async def label(node: Name, change: Annotated[LabelChange, Depends(_label_change)], request: Request) -> Changed:
    """Set labels of a node, which win over those of its engine, and take away labels that were set here."""

    def edit() -> NodeRecord:
        record, engine = _find(request, node)
        own = engine.facts.labels if engine is not None and engine.facts is not None else {}
        return record.relabelled(change.Set, change.Remove, own=own)

    return await _have(request, edit)


@router.get("/nodes/{node:path}")
async def inspect_node(node: Name, request: Request) -> NodeView:
    """Answer one node."""
    cluster = cluster_of(request)
    for engine in cluster.engines():
        if engine.facts is None and node == str(engine.address):
            return _view(request, engine)
    return _view_of(request, *_find(request, node))


async def _make(request: Request, node: str, availability: Availability) -> Changed:
    return await _have(request, lambda: replace(_find(request, node)[0], availability=availability))


async def _have(request: Request, edit: Callable[[], NodeRecord]) -> Changed:
    """Make a change of one node, and answer how it is then."""
    books = parts_of(request).books
    record = await books.change(edit)
    view = _view_of(request, record, _member(request, record.id))
    said = {"node": view.Name, "availability": view.Availability, "labels": dict(view.OperatorLabels)}
    log.info("an operator changed a node", extra=said)
    return Changed(Node=view, Warnings=books.warnings)


def _staying(engine: Engine) -> list[str]:
    """Return a line about the containers that nobody may move, if there are any."""
    names = sorted(
        each.name or each.id[:12] for each in engine.containers.values() if not (each.is_movable or each.is_task)
    )
    if not names:
        return []
    more = [f"and {len(names) - NAMED} more"] if len(names) > NAMED else []
    verb = (
        "container has no reschedule policy and stays"
        if len(names) == 1
        else "containers have no reschedule policy and stay"
    )
    return [f"{len(names)} {verb} on {engine.name}: {', '.join([*names[:NAMED], *more])}"]


def _member(request: Request, node_id: str) -> Engine | None:
    """Return the engine of the daemon that has this ID, None if that is no member now."""
    engines = (each for each in cluster_of(request).engines() if each.facts is not None and each.facts.id == node_id)
    return max(engines, key=lambda each: each.is_member, default=None)


def _find(request: Request, node: str) -> tuple[NodeRecord, Engine | None]:
    cluster = cluster_of(request)
    return find_node(cluster.book, cluster.engines(), node)


def _view_of(request: Request, record: NodeRecord, engine: Engine | None) -> NodeView:
    return _absent(record) if engine is None else _view(request, engine)


def _view(request: Request, engine: Engine) -> NodeView:
    cluster, settings = cluster_of(request), parts_of(request).settings
    line = node_line(cluster, engine, settings.overcommit)
    return NodeView(
        ID=engine.facts.id if engine.facts is not None else "",
        Name=line.name,
        Address=line.address,
        State=line.status,
        Availability=cluster.book.availability_of(engine),
        Containers=Held(Running=line.running, Paused=line.paused, Stopped=line.stopped),
        CPUs=Amount(Reserved=line.reserved_cpus, Total=line.total_cpus),
        MemoryBytes=Amount(Reserved=line.reserved_memory_bytes, Total=line.total_memory_bytes),
        Labels=line.labels,
        OperatorLabels=cluster.book.record_of(engine).labels,
        Error=line.error,
        UpdatedAt=format_rfc3339(int(line.updated_at) * NANOSECONDS) if line.updated_at else "",
        ServerVersion=line.server_version,
        Drain=_drain(request, engine),
    )


def _drain(request: Request, engine: Engine) -> DrainView | None:
    rescheduling = parts_of(request).rescheduling
    drain = rescheduling.drain_of(engine) if rescheduling is not None else None
    if drain is None:
        return None
    return DrainView(Moved=drain.moved, Moving=drain.moving, Staying=drain.staying, Errors=drain.errors)


def _absent(record: NodeRecord) -> NodeView:
    return NodeView(
        ID=record.id,
        Name=record.name,
        Address="",
        State=ABSENT,
        Availability=record.availability,
        Labels=record.labels,
        OperatorLabels=record.labels,
    )
