"""The composition root of `swarmproxy manage`: everything is built and wired here, and nowhere else."""

import asyncio
import functools
import logging
import os
import secrets
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

import uvloop

from discovery import (
    Backend,
    DiscoveryError,
    DiscoveryRefusedError,
    Election,
    Keeper,
    open_backend,
    open_election,
    open_keeper,
    open_roster,
)
from swarmproxy import __version__, certificates, errors, process
from swarmproxy.api import app as api
from swarmproxy.api.authz import Authorizer, Plugin
from swarmproxy.api.guard import Guard
from swarmproxy.api.learning import Learner
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
from swarmproxy.leader.leadership import Leadership
from swarmproxy.leader.replica import Replica
from swarmproxy.leader.roster import Roster
from swarmproxy.model.node import Node
from swarmproxy.monitoring.audit import AuditLog
from swarmproxy.monitoring.journals import joined
from swarmproxy.monitoring.metrics import Metrics
from swarmproxy.monitoring.tracing import open_tracing
from swarmproxy.monitoring.writing import Writer
from swarmproxy.policy_file import read_policy
from swarmproxy.reloading import Reloader, reload_on_hangup
from swarmproxy.scheduler.rebalance import Movable, Plan, plan
from swarmproxy.scheduler.resources import percent_of
from swarmproxy.scheduler.strategy import Strategy
from swarmproxy.scheduling import explaining, ranking
from swarmproxy.server import Server, SideServer, beside, listening
from swarmproxy.settings import Settings
from swarmproxy.wire.address import Address
from swarmproxy.wire.admission import Admission
from swarmproxy.wire.idle import Idle
from swarmproxy.wire.journal import Journal
from swarmproxy.wire.tls import RenewableContext

log = logging.getLogger("swarmproxy.manage")

TAKE_OVER_S = 3.0  # after the lock of a leader that died has ended, another one answers within this time
SETTLE_S = 60.0  # in which a start is over, however many engines there are
IDLE_SHARE = 16  # one in so many descriptors may be that of a connection that waits for a request to an engine
PATIENCE_MAX_S = 30.0  # for which a request waits for a leader, however long its lock lives


def run(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT and return the exit code. Raises ConfigError when it cannot begin."""
    process.prepare()
    return uvloop.run(_manage(settings))


async def _manage(settings: Settings) -> int:
    engine_tls = certificates.as_client(settings.engine_tls)
    server_tls = certificates.towards_clients(settings.tls)
    peer_tls = certificates.as_client(settings.tls) if settings.replication is not None else None
    try:
        backend = open_backend(settings.discovery, heartbeat_s=settings.heartbeat_s, options=settings.discovery_options)
        group = _group(settings)
        keeper = await _keeper(settings)
    except DiscoveryError as error:
        raise errors.ConfigError(str(error)) from error

    contexts = certificates.EngineContexts(engine_tls)
    shared = Shared(idle=Idle(most=process.descriptors() // IDLE_SHARE))

    def build(cluster: Cluster, address: Address) -> Engine:
        context = contexts.of(address)
        return Engine(
            address, settings=settings.engine, tls=context, observer=cluster, claim=cluster.claim, shared=shared
        )

    cluster = Cluster(build, time.time)
    cluster.swarms.mode = settings.swarm_mode
    placement = Placement(cluster, ranking(settings), Pulls(), new_swarm_id, create_retries=settings.create_retry)
    placement.image_facts = ImageFacts(cluster) if settings.image_platform else None
    placement.image_moves = ImageMover(cluster) if settings.image_move else None
    books = Bookkeeping(
        cluster.book,
        keeper,
        leads=lambda: replica is None or replica.leadership.leads,
        is_shared=settings.replication is not None,
    )

    async def catch_up() -> None:
        async with asyncio.TaskGroup() as catching_up:
            catching_up.create_task(books.catch_up(), name="catch up with operators")
            catching_up.create_task(cluster.catch_up(), name="catch up with engines")

    async def follow() -> None:
        if replica is None:
            await books.catch_up()  # before there is any node to place a container on
        await _follow(backend, cluster, contexts)

    replica = _replica(settings, group, catch_up, peer_tls)
    placement.leads = lambda: replica is None or replica.leadership.leads
    mover = Mover(cluster, placement, time.time)
    rescheduling = Rescheduling(cluster, mover, pace=_pace(settings))
    rebalancing = Rebalancing(cluster, mover, rescheduling, _planner(settings))
    swarm_keeping = SwarmKeeping(cluster, books, leads=lambda: replica is None or replica.leadership.leads)
    forming = _forming(settings, cluster, lambda: replica is None or replica.leadership.leads)
    explainer = Explainer(placement, explaining(settings))
    front = api.build(cluster, placement, settings, replica, explainer, books, rebalancing, rescheduling, forming)
    admission = Admission(settings.limits)
    journals: list[Journal] = []
    metrics: Metrics | None = None
    sides: list[SideServer] = []
    if settings.metrics_addr is not None:
        metrics = Metrics(
            cluster,
            placement,
            mover,
            replica,
            tally=shared.tally,
            strategy=settings.strategy,
            admission=admission,
        )
        journals.append(metrics.requests)
        sides.append(SideServer(metrics.app, settings.metrics_addr, tls=server_tls if settings.metrics_tls else None))
    guard = Guard(front, cluster, read_policy(settings.policy)) if settings.policy is not None else None
    learner = Learner(front, settings.policy_learn) if settings.policy_learn is not None else None
    plugins = [Plugin(each) for each in settings.authz_plugins]
    first = Authorizer(front, plugins) if plugins else guard or learner or front
    audit = Writer(settings.audit) if settings.audit is not None else None
    if audit is not None:
        audit_log = AuditLog(audit, reads=settings.audit_reads)
        journals.append(audit_log)
        if metrics is not None:
            metrics.add(audit_log)
    tracing = open_tracing(os.environ)
    if tracing is not None:
        journals.append(tracing)
    if settings.page_addr is not None:
        from swarmproxy.page import opening

        where, problem = settings.page_addr, lambda: books.problem
        page = opening.build(settings, where, cluster, problem=problem, replica=replica, guard=guard)
        sides.append(SideServer(page, where, tls=server_tls if settings.page_tls else None))
    server = Server(
        first,
        tls=server_tls,
        drain_timeout_s=settings.drain_timeout_s,
        shortcut=first.at_once,
        journal=joined(journals),
        limits=settings.limits,
        admission=admission,
    )
    reloaders = [Reloader("certificates towards engines", contexts.renew)]
    if server_tls is not None:
        reloaders.append(Reloader("certificates towards clients", server_tls.renew))
    if learner is not None:
        reloaders.append(Reloader("policy that was learnt", learner.write))
    if guard is not None and settings.policy is not None:
        reloaders.append(Reloader("policy", functools.partial(_obey, guard, settings.policy)))
    if peer_tls is not None:
        reloaders.append(Reloader("certificates towards managers", peer_tls.renew))
    if audit is not None:
        reloaders.append(Reloader("audit log", audit.reopen))
    with listening(settings.hosts, settings.socket_group) as sockets, beside(sides):
        campaign: asyncio.Task[None] | None = None
        moving: asyncio.Task[None] | None = None

        def drain() -> None:
            if metrics is not None:
                metrics.readiness.is_draining = True
            rescheduling.finish()
            if moving is not None:
                asyncio.get_running_loop().call_later(settings.drain_timeout_s, moving.cancel)
            if replica is not None and campaign is not None:
                replica.leadership.resign()
                campaign.cancel()  # frees the lock: the next leader need not wait for our requests to end
            cluster.hub.close()
            server.drain()

        _on_signals(drain)
        reload_on_hangup(reloaders)
        log.info("swarmproxy is starting", extra={"version": __version__, "discovery": backend.source})
        try:
            async with cluster.running(), asyncio.TaskGroup() as tasks:
                following = tasks.create_task(follow(), name="discovery")
                settling = tasks.create_task(_settle(shared), name="settling")
                keeping = tasks.create_task(books.run(), name="bookkeeping")
                moving = tasks.create_task(rescheduling.run(), name="rescheduling")
                if replica is not None:
                    campaign = tasks.create_task(replica.run(), name="replica")
                keeping_swarm = tasks.create_task(swarm_keeping.run(), name="swarm keeping")
                forms = tasks.create_task(forming.run(), name="forming") if forming is not None else None
                measuring = tasks.create_task(metrics.run(), name="metrics") if metrics is not None else None
                for side in sides:
                    tasks.create_task(side.serve(side.sockets), name=f"listener {side.address}")
                await server.serve(sockets)
                for plugin in plugins:
                    await plugin.close()
                for side in sides:
                    side.drain()
                if measuring is not None:
                    measuring.cancel()
                following.cancel()
                settling.cancel()
                keeping.cancel()
                keeping_swarm.cancel()
                if forms is not None:
                    forms.cancel()
                if replica is not None:
                    await replica.close()
        except* DiscoveryRefusedError as refusals:
            raise errors.ConfigError(str(_innermost(refusals))) from refusals
        finally:
            if audit is not None:
                audit.close()
            if tracing is not None:
                tracing.close()
    if learner is not None:
        learner.write()
    log.info("swarmproxy has stopped")
    return 0


def _obey(guard: Guard, path: Path) -> None:
    """Decide by the policy as it is now. Raises ConfigError, and the former one stays."""
    guard.obey(read_policy(path))


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


def _innermost(group: BaseException) -> BaseException:
    """Return the first error that is no group."""
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group


def _group(settings: Settings) -> tuple[Election, Roster] | None:
    """Return how this manager and others know who leads, and who there is, if there are others.

    Raises DiscoveryError.
    """
    if settings.replication is None:
        return None
    url, ttl_s, options = settings.discovery, settings.replication.ttl_s, settings.discovery_options
    roster = Roster(open_roster(url, ttl_s=ttl_s, options=options), settings.replication.advertise, ttl_s=ttl_s)
    return open_election(url, ttl_s=ttl_s, options=options), roster


async def _keeper(settings: Settings) -> Keeper | None:
    """Return what keeps the words of operators, if anything does. Raises DiscoveryError, also for a file of no use."""
    keeper = open_keeper(settings.discovery, options=settings.discovery_options, state_file=settings.state_file)
    if keeper is not None and settings.state_file is not None:
        await keeper.read()
    return keeper


def _replica(
    settings: Settings,
    group: tuple[Election, Roster] | None,
    catch_up: Callable[[], Awaitable[None]],
    peer_tls: RenewableContext | None,
) -> Replica | None:
    """Return this manager's part in a group of managers, if there is one.

    They reach each other with the files that they serve with: as with classic, the certificate is a client's as well.
    """
    if settings.replication is None or group is None:
        return None
    election, roster = group
    return Replica(
        Leadership(election, settings.replication.advertise, catch_up),
        roster=roster,
        patience_s=min(settings.replication.ttl_s + TAKE_OVER_S, PATIENCE_MAX_S),
        tls=peer_tls,
    )


async def _follow(backend: Backend, cluster: Cluster, contexts: certificates.EngineContexts) -> None:
    """Keep the cluster's members as discovery lists them. A source that fails removes nobody."""
    cluster.source = Source(backend.source)
    failed = False
    async for listing in backend.watch():
        cluster.source = Source(
            backend.source, read_at=listing.read_at, entries=len(listing.entries), error=listing.error
        )
        if listing.error:
            log.error("Discovery error", extra={"error": listing.error})
        elif failed:
            log.info("discovery works again")
        failed = bool(listing.error)
        contexts.learn(listing.entries)
        process.warn_of_descriptors(len(listing.entries))
        cluster.follow([str(entry) for entry in listing.entries])


async def _settle(shared: Shared) -> None:
    """Have the process settle when the engines have been read that discovery lists at first."""
    try:
        async with asyncio.timeout(SETTLE_S):
            await shared.gate.calm()
    except TimeoutError:
        pass
    process.settle()


def _on_signals(drain: Callable[[], None]) -> None:
    """Have the first SIGTERM or SIGINT drain, and the second end this process at once."""
    loop = asyncio.get_running_loop()

    def first(name: str) -> None:
        log.info("draining", extra={"signal": name})
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, os._exit, 1)
        drain()

    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, first, each.name)


def new_swarm_id() -> str:
    """Return 64 random hexadecimal digits. The short form is never all decimal: it could be taken for a number."""
    while True:
        swarm_id = secrets.token_hex(32)
        if not swarm_id[:12].isdecimal():
            return swarm_id
