"""The composition root of `swarmproxy manage`: the parts of a manager, what stands before them, and the listeners."""

import asyncio
import functools
import logging
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import uvloop

from discovery import DiscoveryRefusedError
from swarmproxy import __version__, errors, process
from swarmproxy.api import app as api
from swarmproxy.api.authz import Authorizer, Plugin
from swarmproxy.api.dispatch import Dispatch
from swarmproxy.api.guard import Guard
from swarmproxy.api.learning import Learner
from swarmproxy.certificates import Contexts
from swarmproxy.manager import Manager, build
from swarmproxy.monitoring.audit import AuditLog
from swarmproxy.monitoring.journals import joined
from swarmproxy.monitoring.metrics import Metrics
from swarmproxy.monitoring.tracing import Tracing, open_tracing
from swarmproxy.monitoring.writing import Writer
from swarmproxy.policy_file import read_policy
from swarmproxy.reloading import Reloader, reload_on_hangup
from swarmproxy.server import Server, SideServer, beside, listening
from swarmproxy.serving import Serving
from swarmproxy.settings import Settings
from swarmproxy.wire.admission import Admission
from swarmproxy.wire.journal import Journal

log = logging.getLogger("swarmproxy.manage")


def run(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT and return the exit code. Raises ConfigError when it cannot begin."""
    process.prepare()
    return uvloop.run(_manage(settings))


async def _manage(settings: Settings) -> int:
    contexts = Contexts.of(settings)
    manager = await build(settings, contexts)
    admission = Admission(settings.limits)
    front = _front(settings, manager)
    accounts = _accounts(settings, manager, admission)
    sides = list(_sides(settings, manager, front, accounts))
    server = Server(
        front.first,
        tls=contexts.clients,
        drain_timeout_s=settings.drain_timeout_s,
        shortcut=front.first.at_once,
        journal=joined(list(accounts.journals())),
        limits=settings.limits,
        admission=admission,
    )
    with listening(settings.hosts, settings.socket_group) as sockets, beside(sides):
        serving = Serving(
            manager,
            server,
            sides=sides,
            plugins=front.plugins,
            metrics=accounts.metrics,
            drain_timeout_s=settings.drain_timeout_s,
        )
        _on_signals(serving.drain)
        reload_on_hangup(list(_reloaders(settings, contexts, front, accounts)))
        log.info("swarmproxy is starting", extra={"version": __version__, "discovery": manager.discovery.source})
        try:
            await serving.run(sockets)
        except* DiscoveryRefusedError as refusals:
            raise errors.ConfigError(str(_innermost(refusals))) from refusals
        finally:
            accounts.close()
    if front.learner is not None:
        front.learner.write()
    log.info("swarmproxy has stopped")
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Front:
    """What a request meets: `first`, and behind that the dispatch."""

    first: Dispatch | Guard | Learner | Authorizer
    guard: Guard | None
    learner: Learner | None
    plugins: Sequence[Plugin]


def _front(settings: Settings, manager: Manager) -> _Front:
    """Return Docker's API of `manager`, and before it who the operator wants to be asked. Raises ConfigError."""
    dispatch = api.build(
        manager.cluster,
        manager.placement,
        settings,
        replica=manager.replica,
        explainer=manager.explainer,
        books=manager.books,
        rebalancing=manager.rebalancing,
        rescheduling=manager.rescheduling,
        forming=manager.forming,
    )
    guard = Guard(dispatch, manager.cluster, read_policy(settings.policy)) if settings.policy is not None else None
    learner = Learner(dispatch, settings.policy_learn) if settings.policy_learn is not None else None
    plugins = [Plugin(each) for each in settings.authz_plugins]
    first = Authorizer(dispatch, plugins) if plugins else guard or learner or dispatch
    return _Front(first=first, guard=guard, learner=learner, plugins=plugins)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Accounts:
    """Those that keep account of requests."""

    metrics: Metrics | None
    audit: AuditLog | None
    records: Writer | None  # of the audit
    tracing: Tracing | None

    def journals(self) -> Iterator[Journal]:
        """Yield what is to be told of each request."""
        if self.metrics is not None:
            yield self.metrics.requests
        if self.audit is not None:
            yield self.audit
        if self.tracing is not None:
            yield self.tracing

    def close(self) -> None:
        """Write and send what is left."""
        if self.records is not None:
            self.records.close()
        if self.tracing is not None:
            self.tracing.close()


def _accounts(settings: Settings, manager: Manager, admission: Admission) -> _Accounts:
    """Return those that the operator wants. Raises ConfigError."""
    metrics = audit = None
    if settings.metrics_addr is not None:
        metrics = Metrics(
            manager.cluster,
            manager.placement,
            manager.mover,
            manager.replica,
            tally=manager.shared.tally,
            strategy=settings.strategy,
            admission=admission,
        )
    records = Writer(settings.audit) if settings.audit is not None else None
    if records is not None:
        audit = AuditLog(records, reads=settings.audit_reads)
        if metrics is not None:
            metrics.add(audit)
    return _Accounts(metrics=metrics, audit=audit, records=records, tracing=open_tracing(os.environ))


def _sides(settings: Settings, manager: Manager, front: _Front, accounts: _Accounts) -> Iterator[SideServer]:
    """Yield the listeners beside Docker's API: of the metrics, and of the cluster page."""
    tls = manager.contexts.clients
    if accounts.metrics is not None and settings.metrics_addr is not None:
        yield SideServer(accounts.metrics.app, settings.metrics_addr, tls=tls if settings.metrics_tls else None)
    if settings.page_addr is not None:
        from swarmproxy.page import opening

        page = opening.build(
            settings,
            settings.page_addr,
            manager.cluster,
            problem=lambda: manager.books.problem,
            replica=manager.replica,
            guard=front.guard,
        )
        yield SideServer(page, settings.page_addr, tls=tls if settings.page_tls else None)


def _reloaders(settings: Settings, contexts: Contexts, front: _Front, accounts: _Accounts) -> Iterator[Reloader]:
    """Yield what is read, written or opened again on SIGHUP."""
    yield Reloader("certificates towards engines", contexts.engines.renew)
    if contexts.clients is not None:
        yield Reloader("certificates towards clients", contexts.clients.renew)
    if front.learner is not None:
        yield Reloader("policy that was learnt", front.learner.write)
    if front.guard is not None and settings.policy is not None:
        yield Reloader("policy", functools.partial(_obey, front.guard, settings.policy))
    if contexts.managers is not None:
        yield Reloader("certificates towards managers", contexts.managers.renew)
    if accounts.records is not None:
        yield Reloader("audit log", accounts.records.reopen)


def _obey(guard: Guard, path: Path) -> None:
    """Decide by the policy as it is now. Raises ConfigError, and the former one stays."""
    guard.obey(read_policy(path))


def _innermost(group: BaseException) -> BaseException:
    """Return the first error that is no group."""
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group


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
