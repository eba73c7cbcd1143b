"""Managers in the making: what can keep an engine from becoming the manager that it was made, and what helps."""

import asyncio
import logging
from dataclasses import dataclass

import msgspec

from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.fanout import on_all
from swarmproxy.cluster.parting import let_go
from swarmproxy.cluster.swarm_control import UNLOCK_S, read_anew, read_unlock_key, remove_node
from swarmproxy.cluster.swarms import part_of
from swarmproxy.engine.engine import Engine, State
from swarmproxy.model.swarm import ERROR, LOCKED

log = logging.getLogger("swarmproxy.cluster")

SETTLE_S = (
    120.0  # a new manager is one after some seconds; who is locked later was started again, for an operator to see
)


@dataclass(frozen=True, slots=True)
class _Promotion:
    node_id: str
    at: float  # the loop's time


class Promotions:
    """Sees those that we made managers through until they are, or `SETTLE_S` are over."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._known: dict[Engine, _Promotion] = {}

    def note(self, engine: Engine, node_id: str) -> None:
        """Take in that a member is to become a manager."""
        self._known[engine] = _Promotion(node_id, asyncio.get_running_loop().time())

    async def settle(self) -> None:
        """Help those that came up locked, or not at all. Raises as `list_nodes`."""
        oldest = asyncio.get_running_loop().time() - SETTLE_S
        self._known = {each: known for each, known in self._known.items() if known.at > oldest and not _manages(each)}
        reachable = [each for each in self._known if each.state is State.HEALTHY]
        if reachable:
            await read_anew(reachable)
            await self._unlock([each for each in reachable if _state(each) == LOCKED])
            await self._begin_again([each for each in reachable if _state(each) == ERROR])

    async def _unlock(self, locked: list[Engine]) -> None:
        """Unlock workers of a swarm that locks its managers: they come up locked when they are made managers."""
        if not locked or not (key := await read_unlock_key(self._cluster.swarms)):
            return
        body = msgspec.json.encode({"UnlockKey": key})
        outcome = await on_all(locked, lambda engine: engine.client.unlock_swarm(body), timeout_s=UNLOCK_S)
        for each, _ in outcome.done:
            log.info("new manager of the swarm unlocked", extra={"engine": each.name})
        await read_anew(locked)

    async def _begin_again(self, failed: list[Engine]) -> None:
        """Have those leave whose way into the raft is barred for good: they join anew, by a manager that is there.

        Engines up to 20.10 go on asking the manager by which they once joined, though it is gone.
        """
        for engine, _ in (await let_go(failed)).done:
            known = self._known.pop(engine)
            log.warning("node could not become a manager of the swarm, and joins anew", extra={"engine": engine.name})
            await remove_node(self._cluster.swarms, known.node_id)  # not demoted before: it is not of the raft


def _manages(engine: Engine) -> bool:
    part = part_of(engine)
    return part is not None and part.is_manager


def _state(engine: Engine) -> str:
    return engine.facts.swarm_state if engine.facts is not None else ""
