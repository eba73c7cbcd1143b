"""Which containers would have to move for the pool to be as its strategy would have it: even, or full.

A plan is a sequence: each move can be made once those before it have been made.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

from swarmproxy.errors import SwarmError
from swarmproxy.model.node import Node, Pending
from swarmproxy.scheduler.resources import (
    NANO,
    Claims,
    claims_of_container,
    claims_of_spec,
    nano_of,
    used_nano,
    with_claims,
    with_overcommit,
)
from swarmproxy.scheduler.strategy import Strategy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from swarmproxy.model.container import Container
    from swarmproxy.model.spec import ContainerSpec

    Fits = Callable[[ContainerSpec, Sequence[Node]], Sequence[Node]]

MAX_MOVES = 100
WHOLE = 10_000  # all of a node's memory, or of its CPU, in hundredths of a per cent
TOLERANCE = 500
"""Of memory and CPU together: what a move has to even out to be worth it."""
_NOTHING = Claims()
MAX_SOURCES, MAX_CONTAINERS, MAX_TARGETS = 32, 64, 16
"""That are looked at for one move: nodes to take from, containers of one of them, nodes to give to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Movable:
    """A container that may move. `spec`, asked for once it is considered, is what it would be made from."""

    container: Container
    node_id: str
    spec: Callable[[], ContainerSpec]
    allowed: frozenset[str] | None = None  # IDs of the only nodes that will do; None: all


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedMove:
    """One step of a plan."""

    movable: Movable
    source: Node  # as it is just before
    target: Node
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How much of a node is in use, or would be: per cent of what may be given out."""

    node: str  # its name
    cpu_percent: float
    memory_percent: float
    containers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to move, in this order, and how full the nodes (by ID) are before and after."""

    moves: tuple[PlannedMove, ...]
    before: Mapping[str, Load]
    after: Mapping[str, Load]


def plan(
    nodes: Sequence[Node],
    movables: Sequence[Movable],
    *,
    strategy: Strategy,
    fits: Fits,
    overcommit_percent: int,
    max_moves: int = MAX_MOVES,
) -> Plan:
    """Return the moves that bring `nodes` nearer to what `strategy` wants; none if they are as they should be.

    SPREAD takes from the fullest nodes what makes them and an emptier one more alike, and then evens out the number
    of containers that ask for nothing. BINPACK empties whole nodes, the emptiest first, into fuller ones. RANDOM
    wants nothing. `fits` is the scheduler: it returns those nodes that can take a container, or raises SwarmError;
    it is asked for every move, with the nodes as they will be. A wish that holds where the container is keeps it there.
    No container moves twice.
    """
    pool = _Pool(nodes, fits, overcommit_percent, max_moves)
    for movable in sorted(movables, key=lambda each: each.container.id):
        if movable.node_id in pool.nodes:
            pool.on.setdefault(movable.node_id, []).append(movable)
    before = pool.loads()
    match strategy:
        case Strategy.SPREAD:
            while move := _next_by_load(pool):
                pool.make(move)
            while move := _next_by_count(pool):  # which changes no load
                pool.make(move)
        case Strategy.BINPACK:
            while any(_empty(pool, node_id) for node_id in pool.in_use()[:MAX_SOURCES]):
                pass
    return Plan(moves=tuple(pool.moves), before=before, after=pool.loads())


def fullness(node: Node, claims: Claims = _NOTHING, *, overcommit_percent: int) -> int:
    """Return how much of `node` is in use, with `claims` added: in hundredths of a per cent of memory and of CPU."""
    return sum(_parts(node, overcommit_percent, claims))


def _parts(node: Node, overcommit_percent: int, claims: Claims = _NOTHING) -> tuple[int, int]:
    """Return the parts of CPU and memory that are in use, with `claims` added."""
    nano = with_overcommit(node.cpus, overcommit_percent) * NANO
    memory = with_overcommit(node.memory_bytes, overcommit_percent)
    used = used_nano(node) + nano_of(claims, node)
    return (
        used * WHOLE // nano if nano else 0,
        (node.used_memory_bytes + claims.memory_bytes) * WHOLE // memory if memory else 0,
    )


@dataclass(slots=True)
class _Pool:
    """The nodes as they are after the moves so far."""

    all_nodes: Sequence[Node]
    fits: Fits
    overcommit_percent: int
    max_moves: int
    nodes: dict[str, Node] = field(init=False)
    on: dict[str, list[Movable]] = field(default_factory=dict)  # by node: those that have not moved
    moves: list[PlannedMove] = field(default_factory=list)
    specs: dict[str, ContainerSpec] = field(default_factory=dict)  # by container ID
    ranks: dict[str, tuple[int, int, str]] = field(init=False)

    def __post_init__(self) -> None:
        self.nodes = {node.id: node for node in self.all_nodes}
        self.ranks = {node.id: self.rank_of(node) for node in self.all_nodes}

    def full(self, node: Node, claims: Claims = _NOTHING) -> int:
        """Return how full `node` is, or would be with `claims`."""
        return fullness(node, claims, overcommit_percent=self.overcommit_percent)

    def by_fullness(self) -> list[str]:
        """Return the IDs of the nodes, the emptiest first."""
        return sorted(self.nodes, key=self.ranks.__getitem__)

    def in_use(self) -> list[str]:
        """Return the IDs of the nodes with containers, all of which may move: the emptiest first."""
        return [each for each in self.by_fullness() if 0 < self.nodes[each].containers == len(self.on.get(each, ()))]

    def rank_of(self, node: Node) -> tuple[int, int, str]:
        return self.full(node), node.containers, node.id

    def loads(self) -> dict[str, Load]:
        found = {}
        for node in self.nodes.values():
            cpu, memory = _parts(node, self.overcommit_percent)
            found[node.id] = Load(
                node=node.name, cpu_percent=cpu / 100, memory_percent=memory / 100, containers=node.containers
            )
        return found

    def room(self) -> int:
        return self.max_moves - len(self.moves)

    def takers(self, movable: Movable, targets: Iterable[Node]) -> list[Node]:
        """Return those of `targets` that can take the container, best first, none if it is to stay where it is."""
        allowed = [each for each in targets if movable.allowed is None or each.id in movable.allowed]
        if not allowed:
            return []
        source = _without(self.nodes[movable.node_id], movable)
        try:
            found = self.fits(self.spec_of(movable), [source, *allowed])
        except SwarmError:
            return []
        return [each for each in found if each.id != source.id]

    def spec_of(self, movable: Movable) -> ContainerSpec:
        spec = self.specs.get(movable.container.id)
        if spec is None:
            spec = self.specs[movable.container.id] = movable.spec()
        return spec

    def make(self, move: PlannedMove) -> None:
        movable = move.movable
        self.nodes[move.source.id] = _without(move.source, movable)
        self.nodes[move.target.id] = _with(move.target, movable, self.spec_of(movable))
        for changed in (move.source.id, move.target.id):
            self.ranks[changed] = self.rank_of(self.nodes[changed])
        self.on[movable.node_id] = [each for each in self.on[movable.node_id] if each is not movable]
        self.moves.append(move)


def _without(node: Node, movable: Movable) -> Node:
    gone = claims_of_container(movable.container, engine_cpus=node.cpus)
    held = {key: each for key, each in node.held.items() if key != movable.container.id}
    return replace(with_claims(node, Claims() - gone), held=held, holdings=None)


def _with(node: Node, movable: Movable, spec: ContainerSpec) -> Node:
    come = claims_of_spec(spec)
    pending = (*node.pending, Pending(spec, movable.container.name))
    return replace(with_claims(node, come), pending=pending)


def _next_by_load(pool: _Pool) -> PlannedMove | None:
    """Return the move that evens out most of the fullest node that any can be taken from."""
    if pool.room() <= 0:
        return None
    ordered = [pool.nodes[each] for each in pool.by_fullness()]
    targets = [(each, pool.full(each)) for each in ordered[:MAX_TARGETS]]
    for source in reversed(ordered[-MAX_SOURCES:]):
        full = pool.full(source)
        if full < targets[0][1] + TOLERANCE:
            return None
        candidates: list[tuple[int, str, str, Movable, Node]] = []
        for size, movable in _largest(pool, source):
            left, claims = full - size, claims_of_container(movable.container, engine_cpus=source.cpus)
            for target, before in targets:
                after = pool.full(target, claims)
                if max(left, after) <= full - TOLERANCE and min(left, after) >= before and target is not source:
                    candidates.append((max(left, after), target.id, movable.container.id, movable, target))
        for *_, movable, target in sorted(candidates, key=lambda each: each[:3]):
            if pool.takers(movable, [target]):
                reason = (
                    f"{_percent(full)} of {source.name} is in use, and {_percent(pool.full(target))} of {target.name}"
                )
                return PlannedMove(movable=movable, source=source, target=target, reason=reason)
    return None


def _largest(pool: _Pool, source: Node) -> list[tuple[int, Movable]]:
    """Return what asks for something with what it would free on its node, the largest first."""
    sized = [(_size(pool, source, each), each) for each in pool.on.get(source.id, ())]
    ordered = sorted(sized, key=lambda each: (-each[0], each[1].container.id))
    return [each for each in ordered[:MAX_CONTAINERS] if each[0] > 0]


def _next_by_count(pool: _Pool) -> PlannedMove | None:
    """Return a move of a container that asks for nothing from a node with many to one with fewer."""
    if pool.room() <= 0:
        return None
    ordered = sorted(pool.nodes.values(), key=lambda each: (each.containers, each.id))
    for source in reversed(ordered[-MAX_SOURCES:]):
        targets = [each for each in ordered[:MAX_TARGETS] if each.containers + 2 <= source.containers]
        if not targets:
            return None
        for movable in _weightless(pool, source):
            for target in targets:
                if pool.takers(movable, [target]):
                    reason = f"{source.name} has {source.containers} containers, {target.name} {target.containers}"
                    return PlannedMove(movable=movable, source=source, target=target, reason=reason)
    return None


def _weightless(pool: _Pool, source: Node) -> Iterator[Movable]:
    found = 0
    for each in pool.on.get(source.id, ()):
        if not _size(pool, source, each) and found < MAX_CONTAINERS:
            found += 1
            yield each


def _empty(pool: _Pool, node_id: str) -> bool:
    """Move all that is on a node to fuller ones, if all of it can be; return whether that was done."""
    source, leaving = pool.nodes[node_id], list(pool.on[node_id])
    if len(leaving) > pool.room():
        return False
    saved = dict(pool.nodes), dict(pool.ranks), {key: list(each) for key, each in pool.on.items()}, list(pool.moves)
    rank, reason = pool.ranks[node_id], f"{source.name} can be emptied"
    fuller = [each for each in reversed(pool.by_fullness()) if pool.ranks[each] > rank]
    for movable in sorted(leaving, key=lambda each: (-_size(pool, source, each), each.container.id)):
        claims = claims_of_container(movable.container, engine_cpus=source.cpus)
        roomy = (each for each in fuller if max(_parts(pool.nodes[each], pool.overcommit_percent, claims)) <= WHOLE)
        takers = pool.takers(movable, [pool.nodes[each] for each in islice(roomy, MAX_TARGETS)])
        if not takers:
            pool.nodes, pool.ranks, pool.on, pool.moves = saved
            return False
        target = max(takers, key=pool.rank_of)
        pool.make(PlannedMove(movable=movable, source=pool.nodes[node_id], target=target, reason=reason))
    return True


def _size(pool: _Pool, source: Node, movable: Movable) -> int:
    claims = claims_of_container(movable.container, engine_cpus=source.cpus)
    return pool.full(source) - pool.full(source, Claims() - claims)


def _percent(full: int) -> str:
    return f"{full / 2 / 100:.0f} %"
