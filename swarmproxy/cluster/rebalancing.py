"""Evens a pool out, or fills it, by moving containers that may move: planned first, then done one after the other."""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass

from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.index import Located
from swarmproxy.cluster.moves import Move, Mover, Reason
from swarmproxy.cluster.references import engines_with, resolve
from swarmproxy.cluster.rescheduling import Rescheduling
from swarmproxy.engine.engine import Engine
from swarmproxy.errors import Conflict, SwarmError
from swarmproxy.model.node import Node
from swarmproxy.model.spec import CONTAINER_MODE, ContainerSpec
from swarmproxy.scheduler.rebalance import Movable, Plan, PlannedMove

Planner = Callable[[Sequence[Node], Sequence[Movable], int], Plan]  # nodes, what may move, most moves


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

    async def carry_out(self, *, max_moves: int) -> AsyncIterator[Step]:
        """Make a plan and carry it out; yield each step when it begins and when it has ended.

        A step that fails keeps its container where it is, and the others are made all the same: the scheduler is asked
        again for each. If the reader leaves, the move that is under way comes to its end, and no other begins.
        Raises Conflict while another plan is carried out, Unavailable if this manager is about to end.
        """
        if self._is_under_way:
            raise Conflict("a rebalance is under way")
        steps: asyncio.Queue[Step | None] = asyncio.Queue()
        left = asyncio.Event()
        plan = self.plan(max_moves=max_moves)
        self._rescheduling.in_background(self._make(plan, steps, left), name="rebalance")
        self._is_under_way = True
        try:
            while (step := await steps.get()) is not None:
                yield step
        finally:
            left.set()

    async def _make(self, plan: Plan, steps: "asyncio.Queue[Step | None]", left: asyncio.Event) -> None:
        try:
            for planned in plan.moves:
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
        needed = {
            each.network_mode.removeprefix(CONTAINER_MODE)
            for each in engine.containers.values()
            if each.network_mode.startswith(CONTAINER_MODE)
        }
        return [
            Movable(
                container=each,
                node_id=node_id,
                spec=functools.partial(self._spec, Located(engine, each)),
                allowed=self._having(set(each.networks)),
            )
            for each in engine.containers.values()
            if each.is_movable
            and each.state not in ("removing", "dead")
            and not each.network_mode.startswith(CONTAINER_MODE)
            and not needed & {each.id, each.name}
        ]

    def _having(self, networks: Collection[str]) -> frozenset[str] | None:
        """Return the nodes that have all of `networks`; None for all nodes."""
        engines = engines_with(self._cluster, networks)
        return frozenset(engine.id for engine in engines) if engines is not None else None

    def _spec(self, located: Located) -> ContainerSpec:
        return resolve(ContainerSpec.parse(self._mover.recipe_of(located, {}).body), self._cluster)
