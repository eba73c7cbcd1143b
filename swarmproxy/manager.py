"""What a manager is made of: all that does its work, whoever asks for it and wherever it listens."""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from discovery import (
    Backend,
    DiscoveryError,
    Keeper,
    open_backend,
    open_election,
    open_keeper,
    open_roster,
)
from swarmproxy import process
from swarmproxy.certificates import Contexts
from swarmproxy.cluster.bookkeeping import Bookkeeping
from swarmproxy.cluster.cluster import Cluster, Source
from swarmproxy.cluster.explaining import Explainer
from swarmproxy.cluster.forming import Forming
from swarmproxy.cluster.image_facts import ImageFacts
from swarmproxy.cluster.image_moves import ImageMover
from swarmproxy.cluster.images import Pulls
from swarmproxy.cluster.moves import Mover
from swarmproxy.cluster.placement import Placement
from swarmproxy.cluster.rebalancing import Planner, Rebalancing
from swarmproxy.cluster.rescheduling import Pace, Rescheduling
from swarmproxy.cluster.swarm_keeping import SwarmKeeping
from swarmproxy.engine.engine import Engine
from swarmproxy.engine.shared import Shared
from swarmproxy.errors import ConfigError
from swarmproxy.leader.leadership import Leadership
from swarmproxy.leader.replica import Replica
from swarmproxy.leader.roster import Roster
from swarmproxy.model.node import Node
from swarmproxy.scheduler.rebalance import Movable, Plan, plan
from swarmproxy.scheduler.resources import percent_of
from swarmproxy.scheduler.strategy import Strategy
from swarmproxy.scheduling import explaining, ranking
from swarmproxy.settings import Settings
from swarmproxy.wire.address import Address
from swarmproxy.wire.idle import Idle
from swarmproxy.wire.tls import RenewableContext

log = logging.getLogger("swarmproxy.manage")

TAKE_OVER_S = 3.0  # after the lock of a leader that died has ended, another one answers within this time
IDLE_SHARE = 16  # one in so many descriptors may be that of a connection that waits for a request to an engine
PATIENCE_MAX_S = 30.0  # for which a request waits for a leader, however long its lock lives


@dataclass(frozen=True, slots=True, kw_only=True)
class Manager:
    """The parts of one manager. Each that has a `run` does nothing before that is called."""

    discovery: Backend
    contexts: Contexts
    shared: Shared
    cluster: Cluster
    placement: Placement
    explainer: Explainer
    mover: Mover
    rescheduling: Rescheduling
    rebalancing: Rebalancing
    books: Bookkeeping
    swarm_keeping: SwarmKeeping
    forming: Forming | None  # of a swarm of all members, if the operator wants that
    replica: Replica | None  # None: there are no other managers

    async def follow(self) -> None:
        """Keep the cluster's members as discovery lists them. A source that fails removes nobody."""
        if self.replica is None:
            await self.books.catch_up()  # before there is any node to place a container on
        cluster, source = self.cluster, self.discovery.source
        cluster.source = Source(source)
        failed = False
        async for listing in self.discovery.watch():
            cluster.source = Source(source, read_at=listing.read_at, entries=len(listing.entries), error=listing.error)
            if listing.error:
                log.error("Discovery error", extra={"error": listing.error})
            elif failed:
                log.info("discovery works again")
            failed = bool(listing.error)
            self.contexts.engines.learn(listing.entries)
            process.warn_of_descriptors(len(listing.entries))
            cluster.follow([str(entry) for entry in listing.entries])


async def build(settings: Settings, contexts: Contexts) -> Manager:
    """Return a manager as the operator wants it. Raises ConfigError."""

    def leads() -> bool:
        return replica is None or replica.leadership.leads

    async def catch_up() -> None:
        async with asyncio.TaskGroup() as catching_up:
            catching_up.create_task(books.catch_up(), name="catch up with operators")
            catching_up.create_task(cluster.catch_up(), name="catch up with engines")

    try:
        discovery = open_backend(
            settings.discovery, heartbeat_s=settings.heartbeat_s, options=settings.discovery_options
        )
        replica = _replica(settings, catch_up, contexts.managers)
        keeper = await _keeper(settings)
    except DiscoveryError as error:
        raise ConfigError(str(error)) from error

    shared = Shared(idle=Idle(most=process.descriptors() // IDLE_SHARE))
    cluster = _cluster(settings, contexts, shared)
    books = Bookkeeping(cluster.book, keeper, leads, is_shared=settings.replication is not None)
    placement = Placement(
        cluster,
        ranking(settings),
        Pulls(),
        new_swarm_id,
        create_retries=settings.create_retry,
        leads=leads,
        image_facts=ImageFacts(cluster) if settings.image_platform else None,
        image_moves=ImageMover(cluster) if settings.image_move else None,
    )
    mover = Mover(cluster, placement, time.time)
    rescheduling = Rescheduling(cluster, mover, pace=_pace(settings))
    return Manager(
        discovery=discovery,
        contexts=contexts,
        shared=shared,
        cluster=cluster,
        placement=placement,
        explainer=Explainer(placement, explaining(settings)),
        mover=mover,
        rescheduling=rescheduling,
        rebalancing=Rebalancing(cluster, mover, rescheduling, _planner(settings)),
        books=books,
        swarm_keeping=SwarmKeeping(cluster, books, leads=leads),
        forming=_forming(settings, cluster, leads),
        replica=replica,
    )


def _cluster(settings: Settings, contexts: Contexts, shared: Shared) -> Cluster:
    """Return the cluster, which has no members yet."""

    def engine(cluster: Cluster, address: Address) -> Engine:
        context = contexts.engines.of(address)
        return Engine(
            address, settings=settings.engine, tls=context, observer=cluster, claim=cluster.claim, shared=shared
        )

    cluster = Cluster(engine, time.time)
    cluster.swarms.mode = settings.swarm_mode
    return cluster


async def _keeper(settings: Settings) -> Keeper | None:
    """Return what keeps the words of operators, if anything does. Raises DiscoveryError, also for a file of no use."""
    keeper = open_keeper(settings.discovery, options=settings.discovery_options, state_file=settings.state_file)
    if keeper is not None and settings.state_file is not None:
        await keeper.read()
    return keeper


def _replica(
    settings: Settings, catch_up: Callable[[], Awaitable[None]], peer_tls: RenewableContext | None
) -> Replica | None:
    """Return this manager's part in a group of managers, if there is one. Raises DiscoveryError."""
    if settings.replication is None:
        return None
    url, options = settings.discovery, settings.discovery_options
    advertise, ttl_s = settings.replication.advertise, settings.replication.ttl_s
    election = open_election(url, ttl_s=ttl_s, options=options)
    return Replica(
        Leadership(election, advertise, catch_up),
        roster=Roster(open_roster(url, ttl_s=ttl_s, options=options), advertise, ttl_s=ttl_s),
        patience_s=min(ttl_s + TAKE_OVER_S, PATIENCE_MAX_S),
        tls=peer_tls,
    )


def _pace(settings: Settings) -> Pace:
    """Return how patient rescheduling is; a manager that is alone has no predecessor to wait for."""
    pace = Pace(after_s=settings.reschedule_after_s)
    return pace if settings.replication is not None else replace(pace, settle_s=0.0)


def _forming(settings: Settings, cluster: Cluster, leads: Callable[[], bool]) -> Forming | None:
    """Return what makes the members one swarm, if the operator wants that."""
    if settings.swarm_mode != "auto":
        return None
    return Forming(cluster, leads=leads, managers=settings.swarm_managers, after_s=settings.reschedule_after_s)


def _planner(settings: Settings) -> Planner:
    """Return what plans a rebalance for the operator's strategy."""
    fits = ranking(settings)
    strategy = Strategy.parse(settings.strategy)
    percent = percent_of(settings.overcommit)

    def planned(nodes: Sequence[Node], movables: Sequence[Movable], max_moves: int) -> Plan:
        return plan(nodes, movables, strategy=strategy, fits=fits, overcommit_percent=percent, max_moves=max_moves)

    return planned


def new_swarm_id() -> str:
    """Return 64 random hexadecimal digits. The short form is never all decimal: it could be taken for a number."""
    while True:
        swarm_id = secrets.token_hex(32)
        if not swarm_id[:12].isdecimal():
            return swarm_id
