"""Nodes leave the swarm: one that discovery no longer lists, or all; in such an order that nothing else suffers."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.fanout import Outcome, on_all
from swarmproxy.cluster.swarm_control import change_node, find_node, list_nodes, read_anew, remove_node
from swarmproxy.cluster.swarms import Swarm, Swarms, part_of
from swarmproxy.engine.engine import Engine, State
from swarmproxy.engine.validate import identify
from swarmproxy.errors import EngineUnreachable, SwarmError, Unavailable
from swarmproxy.model.swarm import SwarmPart
from swarmproxy.wire.address import Address

log = logging.getLogger("swarmproxy.cluster")

STEP_S = 10.0
SHUTDOWN_S = 20.0  # dockerd gives its containers 15 s
LEAVE_S = 60.0
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
        self._out_since: dict[Address, float] = {}  # members that were in a swarm, and say that they are in none

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
                self._out_since.pop(each.address, None)
            elif each.is_member and self._seen.pop(each.address, None) is not None:
                self._out_since[each.address] = now
        for address in [each for each in self._out_since if each not in present]:
            del self._out_since[address]

    def is_settled(self, engine: Engine) -> bool:
        """Return whether `engine`, which is in no swarm, is so for good, and may join one.

        An engine that shuts down says for a while that it is in none. One that is made to join then loses its place.
        """
        since = self._out_since.get(engine.address)
        return since is None or asyncio.get_running_loop().time() - since >= max(self._after_s, SHUTDOWN_S)

    def forget(self, engine: Engine) -> None:
        """Take it that `engine` has left the swarm for good, and may join another one."""
        self._seen.pop(engine.address, None)
        self._out_since.pop(engine.address, None)

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


async def take_apart(swarms: Swarms, swarm: Swarm) -> SwarmError | None:
    """Have every member that answers leave `swarm`; return the failure of those that could not, even at a second try.

    Its managers step down before: one that loses the others while it stops takes long for that, and fails. The last
    one goes first then, so that nobody is there to move tasks to nodes that leave next. Managers that are no members
    of ours keep the swarm.
    """
    members = {part.node_id: each for each in swarm.engines if (part := part_of(each)) is not None}
    last = None
    try:
        last = await _step_down(swarms, members)
    except SwarmError as error:
        log.warning("the managers of the swarm do not step down before they leave", extra={"error": str(error)})
    healthy = [each for each in swarm.engines if each.state is State.HEALTHY]
    first = await let_go([each for each in healthy if each is last])
    second = await let_go([*(engine for engine, _ in first.failed), *(each for each in healthy if each is not last)])
    return (await let_go([engine for engine, _ in second.failed])).error


async def _step_down(swarms: Swarms, members: Mapping[str, Engine]) -> Engine | None:
    """Demote all managers but the last one, which is returned, if that is a member of ours. Raises SwarmError."""
    managers = [node for node in await list_nodes(swarms) if node.is_manager]
    leading = next((node for node in managers if node.manager is not None and node.manager.leads), None)
    is_ours = leading is not None and all(node.id in members for node in managers)
    demoted = []
    for node in managers:
        if node.id in members and not (is_ours and node is leading):
            await change_node(swarms, node, Role="worker")
            demoted.append(members[node.id])
    end = asyncio.get_running_loop().time() + DEMOTION_S
    while demoted and asyncio.get_running_loop().time() < end:
        await asyncio.sleep(DEMOTION_LOOK_S)
        await read_anew(demoted)
        demoted = [each for each in demoted if (part := part_of(each)) is not None and part.is_manager]
    return members[leading.id] if leading is not None and is_ours else None


async def let_go(engines: Sequence[Engine]) -> Outcome[None]:
    """Have `engines` leave their swarm, all at once."""
    outcome = await on_all(engines, lambda engine: engine.client.leave_swarm(), timeout_s=LEAVE_S)
    for engine, error in outcome.failed:
        log.warning("node cannot leave the swarm", extra={"engine": engine.name, "error": str(error)})
    await read_anew(engines)
    # The networks of the swarm go with it, without an event.
    await on_all(engines, lambda engine: engine.refresh_networks(), timeout_s=STEP_S)
    return outcome
