"""What a swarm's managers know that its members' engines do not say: kept ready, and made to agree with ours.

Who leads, what the tasks of services reserve, and whether nodes take tasks. It is read when events tell of a change.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import cast, get_args

from swarmproxy.cluster.bookkeeping import Bookkeeping
from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.operators import Agreement, Availability, NodeRecord
from swarmproxy.cluster.swarm_control import change_node, list_nodes, list_reservations, read_anew
from swarmproxy.cluster.swarms import Leaderless, part_of
from swarmproxy.engine.engine import Engine, State
from swarmproxy.errors import NoSwarm, SwarmError
from swarmproxy.model.event import Event
from swarmproxy.model.swarm_node import SwarmNode

log = logging.getLogger("swarmproxy.cluster")

PAUSE_S = 0.5  # between two looks, whatever happens: events come in numbers
LOOK_S = 60.0
RETRY_S = 5.0
AGAIN_S = 2.0  # an engine whose role has changed takes about a second to become what it is to be

STRICTNESS: tuple[Availability, ...] = get_args(Availability)  # the mildest first


class SwarmKeeping:
    """Follows the swarm that clients use. Only while `leads()` does it change anything."""

    def __init__(self, cluster: Cluster, books: Bookkeeping, *, leads: Callable[[], bool] = lambda: True) -> None:
        self._cluster = cluster
        self._books = books
        self._leads = leads
        self._wake = asyncio.Event()
        self._are_services_known = False
        self._doubtful: dict[str, float] = {}  # node IDs whose engines are to be read: when, by the loop's clock
        cluster.swarms.on_change.append(self._wake.set)
        cluster.swarms.on_event.append(self._heard)
        cluster.book.on_change.append(lambda _before, _after: self._wake.set())

    async def run(self) -> None:
        """Look whenever something has changed, until cancelled."""
        while True:
            self._wake.clear()
            wait_s = LOOK_S
            try:
                if self._cluster.swarms.is_used:
                    await self._look()
                else:
                    self._cluster.nodes.take_reservations({})
                    self._are_services_known = False
                self._cluster.swarms.trouble("keeping", "")
            except NoSwarm:  # it has ended meanwhile
                wait_s = RETRY_S
                self._cluster.swarms.trouble("keeping", "")
            except SwarmError as error:
                wait_s = RETRY_S
                self._cluster.swarms.trouble("keeping", str(error))
                if isinstance(error, Leaderless):
                    await self._read_managers(has_leader=False)
            except Exception:  # a look that fails must not be the last one
                wait_s = RETRY_S
                log.exception("a look at the swarm failed")
            await asyncio.sleep(PAUSE_S)
            if self._doubtful:
                wait_s = min(wait_s, AGAIN_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()

    def _heard(self, event: Event) -> None:
        match event.type:
            case "service":
                self._are_services_known = False
            case "node" if event.action == "remove" or any(key.endswith(".new") for key in event.attributes):
                self._doubtful[event.actor_id] = asyncio.get_running_loop().time() + AGAIN_S
            case "node":
                pass
            case _:
                return
        self._wake.set()

    async def _look(self) -> None:
        await self._read_doubtful()
        swarms = self._cluster.swarms
        if not swarms.the_one().managers:
            return  # nobody here knows more
        nodes = await list_nodes(swarms)
        await self._read_managers(has_leader=True)
        swarms.learn_leader(next((node.id for node in nodes if node.manager is not None and node.manager.leads), ""))
        if not self._are_services_known:
            self._are_services_known = True  # what happens meanwhile makes it false again
            try:
                self._cluster.nodes.take_reservations(await list_reservations(swarms))
            except SwarmError:
                self._are_services_known = False
                raise
        await self._read_new_root(nodes)
        await self._agree(nodes)

    async def _read_managers(self, *, has_leader: bool) -> None:
        """Read the managers that told otherwise of whether there is a leader: info shows what they say of that."""
        managers = [
            engine
            for engine in self._cluster.healthy()
            if (part := part_of(engine)) is not None and part.is_manager and bool(part.error) is has_leader
        ]
        if managers:
            await read_anew(managers)

    async def _read_new_root(self, nodes: Sequence[SwarmNode]) -> None:
        """Read the managers once all nodes that are up trust another root than they told of.

        No event tells of the end of `docker swarm ca --rotate`, and clients take from info which root is right.
        """
        roots = {node.described.tls.trust_root for node in nodes if node.status.state == "ready"} - {""}
        managers = self._cluster.swarms.the_one().managers
        told = {part.trust_root for engine in managers if (part := part_of(engine)) is not None} - {""}
        if roots and told - roots:
            await read_anew([engine for engine in managers if engine.state is State.HEALTHY])

    async def _read_doubtful(self) -> None:
        """Read the engines of nodes that have changed: now, and once more when what was to come of it has come."""
        if not self._doubtful:
            return
        now = asyncio.get_running_loop().time()
        engines = [
            engine
            for engine in self._cluster.healthy()
            if (part := part_of(engine)) is not None and part.node_id in self._doubtful
        ]
        self._doubtful = {node_id: again_at for node_id, again_at in self._doubtful.items() if again_at > now}
        await read_anew(engines)

    # -- whether nodes take tasks and containers

    async def _agree(self, nodes: list[SwarmNode]) -> None:
        """Make the swarm and the operators' book say the same of each member."""
        members = {
            part.node_id: engine
            for engine in self._cluster.swarms.the_one().engines
            if (part := part_of(engine)) is not None and engine.state in (State.HEALTHY, State.UNHEALTHY)
        }
        for node in nodes:
            engine = members.get(node.id)
            if engine is not None and node.availability in STRICTNESS and self._leads():
                await self._agree_on(node, engine)

    async def _agree_on(self, node: SwarmNode, engine: Engine) -> None:
        record = self._cluster.book.record_of(engine)
        agreed = record.agreed.availability if record.agreed is not None and record.agreed.node == node.id else None
        said = cast("Availability", node.availability)
        wanted = merged(record.availability, said, agreed)
        if wanted != said:
            await change_node(self._cluster.swarms, node, Availability=wanted)
            log.info("the swarm follows the operators", extra={"node": engine.name, "availability": wanted})
        is_news = wanted != record.availability
        if not is_news and wanted == (agreed or "active"):
            return

        def edit() -> NodeRecord:
            now = self._cluster.book.record_of(engine)
            kept = wanted if now.availability == record.availability else now.availability  # an operator was faster
            return replace(now, name=engine.name, availability=kept, agreed=Agreement(node.id, wanted))

        await self._books.change(edit)
        if is_news:
            log.info("the operators' book follows the swarm", extra={"node": engine.name, "availability": wanted})


def merged(book: Availability, swarm: Availability, agreed: Availability | None) -> Availability:
    """Return what both are to say: the one that has changed since they `agreed` is right; of two, the stricter one."""
    if agreed == swarm:
        return book
    if agreed == book:
        return swarm
    return max(book, swarm, key=STRICTNESS.index)
