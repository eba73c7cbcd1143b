"""Evens a pool out, or fills it, by moving containers that may move: planned first, then done one after the other."""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.index import Located
from swarmproxy.cluster.moves import Move, Mover, Reason
from swarmproxy.cluster.references import engines_with, resolve
from swarmproxy.cluster.rescheduling import Rescheduling
from swarmproxy.engine.engine import Engine
from swarmproxy.errors import Conflict, SwarmError
from swarmproxy.model.container import SHORT_ID_LENGTH
from swarmproxy.model.node import Node
from swarmproxy.model.spec import ContainerSpec
from swarmproxy.scheduler.rebalance import Movable, Plan, PlannedMove

Wanted = tuple[str, str]  # ID of a container, and of the node that it is to move to
Planner = Callable[[Sequence[Node], Sequence[Movable], int], Plan]  # nodes, what may move, most moves


CHANGED = "the cluster has changed since the plan was made, look at it again"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a rebalance: begun while neither `move` nor `error` is there."""

    planned: PlannedMove
    move: Move | None = None
    error: SwarmError | None = None


class Rebalancing:
    """Makes plans, and carries one out at a time."""

    def __init__(self, cluster: Cluster, mover: Mover, rescheduling: Rescheduling, planner: Planner) -> None:
        self._cluster = cluster
        self._mover = mover
        self._rescheduling = rescheduling
        self._planner = planner
        self._is_under_way = False

    def plan(self, *, max_moves: int) -> Plan:
        """Return what would be moved now. Nodes that are paused or drained neither give nor take."""
        nodes = [node for node in self._cluster.nodes.all() if node.availability == "active"]
        engines = {node.id: self._cluster.nodes.engine(node) for node in nodes}
        movables = [each for node_id, engine in engines.items() for each in self._movables(node_id, engine)]
        return self._planner(nodes, movables, max_moves)

    def shown(self, wanted: Iterable[Wanted]) -> list[PlannedMove]:
        """Return the moves of a plan that somebody has seen. Raises Conflict if they cannot be made any more."""
        nodes = {node.id: node for node in self._cluster.nodes.all() if node.availability == "active" and node.healthy}
        movables: dict[str, dict[str, Movable]] = {}  # by node and container
        found = []
        for container_id, target_id in wanted:
            located = self._cluster.index.by_id.get(container_id)
            source = nodes.get(located.engine.id) if located is not None else None
            if located is None or source is None:
                raise Conflict(f"{CHANGED}: there is no container {container_id[:SHORT_ID_LENGTH]}")
            if source.id not in movables:
                movables[source.id] = {each.container.id: each for each in self._movables(source.id, located.engine)}
            movable, target = movables[source.id].get(container_id), nodes.get(target_id)
            if movable is None or target is None or target is source:
                raise Conflict(f"{CHANGED}: {located.title} cannot move there")
            found.append(PlannedMove(movable=movable, source=source, target=target, reason=""))
        return found

    async def carry_out(self, *, max_moves: int, wanted: Sequence[Wanted] | None = None) -> AsyncIterator[Step]:
        """Make the moves that are `wanted`, or else those of a new plan; yield each when it begins and when it ends.

        One that fails keeps its container where it is, and the others are made all the same: the scheduler is asked
        again for each. If the reader leaves, the move that is under way comes to its end, and no other begins.
        Raises Conflict while another plan is carried out and if none of it can be, for what is wanted is no more;
        Unavailable if this manager is about to end.
        """
        if self._is_under_way:
            raise Conflict("a rebalance is under way")
        steps: asyncio.Queue[Step | None] = asyncio.Queue()
        left = asyncio.Event()
        moves = self.plan(max_moves=max_moves).moves if wanted is None else self.shown(wanted)
        self._rescheduling.in_background(self._make(moves, steps, left), name="rebalance")
        self._is_under_way = True
        try:
            while (step := await steps.get()) is not None:
                yield step
        finally:
            left.set()

    async def _make(
        self, moves: Iterable[PlannedMove], steps: "asyncio.Queue[Step | None]", left: asyncio.Event
    ) -> None:
        try:
            for planned in moves:
                if left.is_set() or self._rescheduling.is_ending:
                    return
                steps.put_nowait(Step(planned))
                try:
                    steps.put_nowait(Step(planned, move=await self._move(planned)))
                except SwarmError as error:
                    steps.put_nowait(Step(planned, error=error))
        finally:
            self._is_under_way = False
            steps.put_nowait(None)

    async def _move(self, planned: PlannedMove) -> Move:
        engines = {engine.id: engine for engine in self._cluster.healthy()}
        source, target = engines.get(planned.source.id), engines.get(planned.target.id)
        container = source.containers.get(planned.movable.container.id) if source is not None else None
        if source is None or target is None or container is None:
            raise Conflict("the container or one of the nodes is no more")
        return await self._mover.move(Located(source, container), reason=Reason.REBALANCE, to=target)

    def _movables(self, node_id: str, engine: Engine) -> list[Movable]:
        """Return what may move from `engine`: nothing that needs another container there, or that another needs."""
        held = engine.containers.values()
        needed = {name for each in held for name in each.needs}
        ids = needed - {each.name for each in held}  # or the beginnings of some
        return [
            Movable(
                container=each,
                node_id=node_id,
                spec=functools.partial(self._spec, Located(engine, each)),
                allowed=self._having(set(each.networks)),
            )
            for each in held
            if each.is_movable
            and each.state not in ("removing", "dead")
            and not each.needs
            and each.name not in needed
            and not any(map(each.id.startswith, ids))
        ]

    def _having(self, networks: Collection[str]) -> frozenset[str] | None:
        """Return the nodes that have all of `networks`; None for all nodes."""
        engines = engines_with(self._cluster, networks)
        return frozenset(engine.id for engine in engines) if engines is not None else None

    def _spec(self, located: Located) -> ContainerSpec:
        return resolve(ContainerSpec.parse(self._mover.recipe_of(located, {}).body), self._cluster)
