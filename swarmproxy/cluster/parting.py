"""Nodes of the swarm that discovery no longer lists: they leave it, in such an order that nothing else suffers."""

import asyncio
import logging
from dataclasses import dataclass

from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.swarm_control import change_node, find_node, list_nodes, remove_node
from swarmproxy.cluster.swarms import part_of
from swarmproxy.engine.engine import Engine
from swarmproxy.engine.validate import identify
from swarmproxy.errors import EngineUnreachable, SwarmError, Unavailable
from swarmproxy.model.swarm import SwarmPart
from swarmproxy.wire.address import Address

log = logging.getLogger("swarmproxy.cluster")

STEP_S = 10.0
DEMOTION_S = 30.0
DEMOTION_LOOK_S = 0.5
RETRY_MIN_S, RETRY_MAX_S = 10.0, 300.0


@dataclass(slots=True, kw_only=True)
class Gone:
    """A node that was a member when we last saw it."""

    address: Address
    name: str
    daemon_id: str
    node_id: str
    due_at: float = 0.0  # by the loop's clock
    failed: int = 0


class Parting:
    """Knows which nodes of the swarm are members no more, and has them leave it.

    Only a node that was seen as a member, and is not one now, is ever touched: a swarm may have nodes that discovery
    never listed. One that does not answer stays: it is down in the swarm, and `docker node rm` is the operator's.
    """

    def __init__(self, cluster: Cluster, *, after_s: float) -> None:
        self._cluster = cluster
        self._after_s = after_s
        self._seen: dict[Address, Gone] = {}  # members that are in a swarm
        self._gone: dict[Address, Gone] = {}

    def track(self) -> None:
        """Look at who is a member now."""
        members = self._cluster.engines()
        present = {each.address for each in members}
        daemons = {each.facts.id for each in members if each.facts is not None}
        now = asyncio.get_running_loop().time()
        for address in list(self._seen):
            if address not in present:
                gone = self._seen.pop(address)
                gone.due_at = now + self._after_s
                self._gone[address] = gone
        for address, gone in list(self._gone.items()):
            if gone.daemon_id in daemons:
                del self._gone[address]
        for each in members:
            part = part_of(each)
            if part is not None and each.facts is not None and each.is_member:
                self._seen[each.address] = Gone(
                    address=each.address, name=each.name, daemon_id=each.facts.id, node_id=part.node_id
                )
            elif each.is_member:
                self._seen.pop(each.address, None)

    def due(self) -> list[Gone]:
        """Return those that have been away for so long that they are to leave."""
        now = asyncio.get_running_loop().time()
        return [gone for gone in self._gone.values() if now >= gone.due_at]

    async def part(self, gone: Gone) -> None:
        """Have it leave: a manager is demoted first. It is tried again later if that does not work."""
        engine = self._cluster.build(self._cluster, gone.address)  # its own one has ended, or soon will
        try:
            await self._part(engine, gone)
        except SwarmError as error:
            wait_s = min(RETRY_MIN_S * 2 ** min(gone.failed, 16), RETRY_MAX_S)
            gone.failed += 1
            gone.due_at = asyncio.get_running_loop().time() + wait_s
            extra = {"engine": gone.name, "addr": str(gone.address), "error": str(error), "retry_in_s": wait_s}
            log.warning("a node that is no member any more cannot leave the swarm", extra=extra)
        else:
            self._gone.pop(gone.address, None)
        finally:
            await engine.client.close()
            await engine.pool.close()

    async def _part(self, engine: Engine, gone: Gone) -> None:
        swarms = self._cluster.swarms
        facts = (await identify(engine.client, gone.address, timeout_s=STEP_S)).facts
        node = await find_node(swarms, gone.node_id)
        if facts.id != gone.daemon_id or node is None:
            return  # another daemon by now, or a node of another swarm
        if facts.swarm is not None and facts.swarm.node_id == gone.node_id:
            if node.is_manager:
                others = [each for each in await list_nodes(swarms) if each.is_manager and each.id != node.id]
                if not others:
                    raise Unavailable("it is the only manager of the swarm")
                await change_node(swarms, node, Role="worker")
                await self._demoted(engine, facts.swarm)
            await engine.client.leave_swarm()
        await remove_node(swarms, gone.node_id)
        log.info("node left the swarm: discovery does not list it any more", extra={"engine": gone.name})

    async def _demoted(self, engine: Engine, part: SwarmPart | None) -> None:
        """Return when the engine manages no more: one that leaves before that stays in the others' count."""
        end = asyncio.get_running_loop().time() + DEMOTION_S
        while part is not None and part.is_manager:
            if asyncio.get_running_loop().time() > end:
                raise EngineUnreachable(f"{engine.address} is demoted, and manages the swarm all the same")
            await asyncio.sleep(DEMOTION_LOOK_S)
            part = (await identify(engine.client, engine.address, timeout_s=STEP_S)).facts.swarm
