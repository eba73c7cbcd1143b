"""A container made anew on another node: after its own has failed, or in order, from one that is alive.

Its name, its swarm ID, its labels, networks and limits stay; data in volumes and in the container itself does not move.
Source: classic Swarm 1.2, cluster/watchdog.go, whose moves knew no way back.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus

from msgspec.structs import replace

from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.hub import origin_of
from swarmproxy.cluster.index import Located
from swarmproxy.cluster.placement import LEAD_LOST, CreateRequest, Placement, Relocation
from swarmproxy.cluster.references import engines_with
from swarmproxy.engine.engine import Engine, State
from swarmproxy.errors import BadRequest, Conflict, EngineError, NoNodeFits, NotFound, SwarmError, Unavailable
from swarmproxy.model.apiversion import Version, parse
from swarmproxy.model.container import Container, cores_of_shares
from swarmproxy.model.event import container_event
from swarmproxy.model.recipe import Recipe, recreate

log = logging.getLogger("swarmproxy.cluster")

STEADY_S = 1.0
SHUTDOWN_S = 20.0
"""An engine that is shut down stops its containers before, and kills them 10 or 15 seconds later: they ran."""
SHARED_BY_STORE = "global"
_KILLED = (137, 143)  # by SIGKILL, by SIGTERM


class Reason(Enum):
    """Why a container moves."""

    FAILURE = "node failure"
    DRAIN = "drain"
    REBALANCE = "rebalance"

    @property
    def action(self) -> str:
        """What the event of such a move is called."""
        return "reschedule" if self is Reason.FAILURE else "migrate"


@dataclass(frozen=True, slots=True)
class Move:
    """A move that has been made."""

    old: Located
    new: Located
    reason: Reason
    left_behind: tuple[str, ...] = ()  # data that has stayed on the old node, in words


@dataclass(slots=True)
class Mover:
    """Moves containers, each one once at a time. `clock` gives unix seconds.

    `steady_s` is for how long a replacement has to run before the original, which could still be used, is removed.
    """

    cluster: Cluster
    placement: Placement
    clock: Callable[[], float]
    steady_s: float = STEADY_S
    under_way: set[str] = field(default_factory=set)  # swarm IDs
    leftovers: set[str] = field(default_factory=set)  # swarm IDs of originals that could not be removed
    made: Counter[Reason] = field(default_factory=Counter)
    failed: Counter[Reason] = field(default_factory=Counter)
    _failed_on: dict[str, set[Engine]] = field(default_factory=dict)  # by swarm ID, until the move succeeds

    async def move(
        self,
        old: Located,
        *,
        reason: Reason,
        to: Engine | None = None,
        lost_at: float = 0.0,
        siblings: Mapping[str, Container] | None = None,
    ) -> Move:
        """Make a replacement of `old` on the best other node, or on `to`, in the same state, and return the move.

        From a node that answers, the original is stopped before the replacement starts, and removed when that runs;
        if anything fails on the way, all is as it was. From one that does not, `lost_at` says since when, and
        `siblings` what else it held. Raises BadRequest for a container without the policy, Conflict for one that is
        being moved already, NotFound, NoNodeFits, EngineError, EngineUnreachable, and Unavailable when this manager
        leads no more.
        """
        swarm_id = old.container.swarm_id
        if not old.container.is_movable:
            raise BadRequest(f"container {old.title} has no reschedule policy: it stays where it is")
        if swarm_id in self.under_way:
            raise Conflict(f"container {old.title} is being moved already")
        self.under_way.add(swarm_id)
        try:
            if reason is Reason.FAILURE:
                move = await self._reschedule(old, lost_at, siblings or {})
            else:
                move = await self._migrate(old, to, reason)
        except SwarmError:
            self.failed[reason] += 1
            raise
        finally:
            self.under_way.discard(swarm_id)
        self.made[reason] += 1
        self._failed_on.pop(swarm_id, None)
        self._tell(move)
        return move

    async def start(self, copy: Located) -> None:
        """Start what a former leader did not come to start. Raises EngineError, EngineUnreachable, Unavailable."""
        await self._start(copy, copy.container)

    async def remove(self, copy: Located) -> None:
        """Stop and remove a container that has another copy; its volumes, unless it never ran, stay with what is there.

        Raises EngineError, EngineUnreachable, and Unavailable when this manager leads no more.
        """
        self._demand_lead()
        client, container_id = copy.engine.client, copy.container.id
        if copy.container.is_running:
            await client.stop_container(container_id, grace_s=self.recipe_of(copy, {}).stop_grace_s)
            self._demand_lead()
        try:
            await client.remove_container(container_id, force=True, volumes=not copy.container.started_ns)
        except EngineError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
        self.cluster.removed(copy.engine, container_id)

    def replacement_of(self, old: Located) -> Located | None:
        """Return the container that has taken the place of `old` on a node that answers, or is about to."""
        copies = [each for each in self.cluster.copies(old.container.swarm_id) if _daemon(each) != _daemon(old)]
        return max(copies, key=lambda each: (each.container.is_running, each.container.created_ns), default=None)

    # -- from a node that does not answer

    async def _reschedule(self, old: Located, lost_at: float, siblings: Mapping[str, Container]) -> Move:
        recipe = self.recipe_of(old, siblings)

        def among() -> Sequence[Engine]:
            self._demand_lead()
            if old.engine.state is State.HEALTHY and old.engine in self.cluster.engines():
                raise Conflict(f"node {old.engine.name} is back")
            return self._targets(old, recipe)

        starts = was_running(old.container, recipe, lost_at)
        if starts:
            extra = {"container": old.container.id, "node": old.engine.name}
            log.info("Container was running, starting its replacement", extra=extra)
        if self.replacement_of(old) is None:
            await self._free_endpoints(old, recipe)
        try:
            new = await self._bring_up(old, recipe, among, starts=starts)
        except EngineError as error:
            if not recipe.has_fixed_address:
                raise
            # the address may still belong to the dead node, or to no subnet of this one
            extra = {"container": old.container.id, "error": str(error)}
            log.warning("a replacement gets another address", extra=extra)
            new = await self._bring_up(old, recipe.without_addresses(), among, starts=starts)
        if old.engine.state is not State.HEALTHY:
            self.cluster.superseded.hide(old.engine, old.container)
        return Move(old, new, Reason.FAILURE, recipe.left_behind)

    async def _bring_up(
        self, old: Located, recipe: Recipe, among: Callable[[], Sequence[Engine]], *, starts: bool
    ) -> Located:
        new = await self._replace(old, recipe, among)
        try:
            if starts:
                await self._start(new, old.container)
        except SwarmError:
            await self._withdraw(new)
            raise
        return self._now(new)

    # -- from a node that answers

    async def _migrate(self, old: Located, to: Engine | None, reason: Reason) -> Move:
        container = await old.engine.refresh_container(old.container.id)
        if container is None:
            raise NotFound(f"No such container: {old.container.id}")
        old = Located(old.engine, container)
        recipe = self.recipe_of(old, {})

        def among() -> Sequence[Engine]:
            self._demand_lead()
            targets = self._targets(old, recipe)
            return targets if to is None else [each for each in targets if each is to]

        new = await self._replace(old, recipe, among)
        stopped = False
        try:
            if container.is_running:
                self._demand_lead()
                stopped = True  # also if the answer is lost
                await old.engine.client.stop_container(container.id, grace_s=recipe.stop_grace_s)
                await self._start(new, container)
                await self._demand_steady(new)
        except SwarmError:
            if await self._withdraw(new, force=True) and stopped:
                await self._back_to_work(old)
            raise
        new = self._now(new)
        try:
            await self.remove(Located(old.engine, replace(container, state="exited")))
        except SwarmError as error:
            self.leftovers.add(container.swarm_id)
            self._complain("an original cannot be removed", old, error)
        return Move(old, new, reason, recipe.left_behind)

    async def _demand_steady(self, new: Located) -> None:
        """Return when the replacement has run for a while, or has done its work. Raises SwarmError."""
        await asyncio.sleep(self.steady_s)
        container = await new.engine.refresh_container(new.container.id)
        if container is None:
            raise SwarmError("the replacement was removed")
        if not container.is_running and container.exit_code:
            raise SwarmError(f"the replacement ended with exit code {container.exit_code}")

    async def _back_to_work(self, old: Located) -> None:
        try:
            await old.engine.client.start_container(old.container.id)
            if old.container.state == "paused":
                await old.engine.client.pause_container(old.container.id)
        except SwarmError as error:
            self._complain("a container that could not be moved cannot be started again", old, error)

    # -- steps

    def recipe_of(self, old: Located, siblings: Mapping[str, Container]) -> Recipe:
        """Return how to make `old` anew; `siblings` are what its node held beside what it is known to hold now."""
        facts = old.engine.facts

        def lasting_name(name: str) -> str:
            other = old.engine.containers.get(name) or siblings.get(name)
            return (other.swarm_id or other.name or name) if other is not None else name

        return recreate(
            old.container.recipe,
            container_id=old.container.id,
            cores=cores_of_shares(old.container.cpu_shares, facts.cpus if facts is not None else 0),
            node_name=old.engine.name,
            lasting_name=lasting_name,
        )

    def _targets(self, old: Located, recipe: Recipe) -> list[Engine]:
        """Return where `old` may go: not to its own daemon.

        Raises NoNodeFits if no other node has the networks that it is on.
        """
        others = [each for each in self.cluster.healthy() if _daemon_id(each) != _daemon(old)]
        joining = engines_with(self.cluster, recipe.networks)
        if joining is not None and others:
            others = [each for each in others if each in joining]
            if not others:
                raise NoNodeFits(f"no other node has the networks of {old.title}: {', '.join(recipe.networks)}")
        return others

    async def _free_endpoints(self, old: Located, recipe: Recipe) -> None:
        """Have networks that all nodes share forget the endpoints of a dead node: it cannot give them up itself.

        Source: classic Swarm 1.2, cluster/watchdog.go.
        """
        for name in recipe.networks:
            for held in self.cluster.networks.named(name):
                if held.network.scope != SHARED_BY_STORE or not held.healthy:
                    continue
                try:
                    await held.healthy[0].client.disconnect(held.network.id, old.container.name, force=True)
                except SwarmError as error:
                    extra = {"container": old.container.id, "network": name, "error": str(error)}
                    log.warning("the endpoint of a dead node stays on its network", extra=extra)

    async def _replace(self, old: Located, recipe: Recipe, among: Callable[[], Sequence[Engine]]) -> Located:
        """Return the replacement, not started, and on all its networks: a new one, or the one that was begun before."""
        new = self.replacement_of(old)
        if new is None:
            placed = await self.placement.place(
                CreateRequest(
                    body=recipe.body,
                    version=_version(old.engine),
                    name=old.container.name,
                    registry_auth=self.cluster.credentials.of(old.container.swarm_id),
                ),
                Relocation(
                    replaces=old.container.id,
                    among=among,
                    avoiding=frozenset(self._failed_on.get(old.container.swarm_id, ())),
                ),
            )
            container = placed.engine.containers.get(placed.created.id)
            if container is None:
                container = await placed.engine.refresh_container(placed.created.id)
            if container is None:
                raise SwarmError(f"the replacement of {old.title} was removed")
            new = Located(placed.engine, container)
        try:
            for each in recipe.attachments:
                if each.network not in new.container.networks:
                    await new.engine.client.connect(each.network, new.container.id, each.settings)
        except SwarmError:
            await self._withdraw(new)
            raise
        return new

    async def _start(self, new: Located, old: Container) -> None:
        self._demand_lead()
        await new.engine.client.start_container(new.container.id)
        if old.state == "paused":
            await new.engine.client.pause_container(new.container.id)
        with suppress(SwarmError):  # its events tell as well
            await new.engine.refresh_container(new.container.id)

    async def _withdraw(self, new: Located, *, force: bool = False) -> bool:
        """Take a replacement away that could not be brought up; one that has started is taken away by `force` only.

        Return False if that is not for this manager to do any more: the next leader finishes what was begun.
        """
        self._failed_on.setdefault(new.container.swarm_id, set()).add(new.engine)
        if not self.placement.leads():
            return False
        try:
            await new.engine.client.remove_container(new.container.id, force=force, volumes=True)
        except SwarmError as error:
            self._complain("a replacement that does not start cannot be removed", new, error)
        else:
            self.cluster.removed(new.engine, new.container.id)
        return True

    def _demand_lead(self) -> None:
        if not self.placement.leads():
            raise Unavailable(LEAD_LOST)

    def _now(self, new: Located) -> Located:
        return Located(new.engine, new.engine.containers.get(new.container.id, new.container))

    def _complain(self, message: str, about: Located, error: SwarmError) -> None:
        log.error(message, extra={"container": about.container.id, "node": about.engine.name, "error": str(error)})

    def _tell(self, move: Move) -> None:
        """Log the move, and tell the readers of events."""
        old, new = move.old, move.new
        said = "Rescheduled container" if move.reason is Reason.FAILURE else "Migrated container"
        fields = {"from": old.engine.name, "to": new.engine.name, "reason": move.reason.value}
        extra = {**fields, "container": old.container.id, "as": new.container.id, "left_behind": move.left_behind}
        log.info(said, extra=extra)
        attributes = {
            **fields,
            "name": new.container.name,
            "image": new.container.image,
            "old": old.container.id,
            "new": new.container.id,
            "swarm.id": new.container.swarm_id,
        }
        if move.left_behind:
            attributes["leftBehind"] = "; ".join(move.left_behind)
        event = container_event(move.reason.action, new.container.id, attributes, time_ns=int(self.clock() * 1e9))
        self.cluster.hub.publish(event, origin_of(new.engine))


def was_running(container: Container, recipe: Recipe, lost_at: float) -> bool:
    """Return whether `container` ran when its engine was lost at `lost_at`, in unix seconds.

    Shutting a machine down stops its containers shortly before it is gone. One that ended in that time counts as
    running if its engine would start it again, or if it was killed: it did not end because its work was done.
    """
    if container.is_running:
        return True
    ended_with_the_node = container.finished_ns / 1e9 >= lost_at - SHUTDOWN_S
    if container.state != "exited" or not ended_with_the_node:
        return False
    return recipe.is_restarted or container.exit_code in _KILLED


def _daemon_id(engine: Engine) -> str:
    """Return what a daemon calls itself: one that is listed under two addresses is one."""
    return engine.facts.id if engine.facts is not None else str(engine.address)


def _daemon(located: Located) -> str:
    return _daemon_id(located.engine)


def _version(engine: Engine) -> Version:
    return parse(engine.client.api_version)
