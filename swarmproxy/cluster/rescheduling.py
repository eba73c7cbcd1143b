"""What must move is moved: from nodes that have failed and from nodes that are drained, until it is done.

All of it follows from what is, looked at again and again, and not from what once happened: a move that fails, or that
a former leader began, is taken up again.
"""

import asyncio
import logging
import random
import time
from collections.abc import Coroutine, Iterable, Iterator
from dataclasses import dataclass, field

from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.duplicates import Verdict, judge
from swarmproxy.cluster.hub import origin_of
from swarmproxy.cluster.index import Located
from swarmproxy.cluster.moves import Mover, Reason, was_running
from swarmproxy.engine.engine import Engine, State
from swarmproxy.errors import SwarmError, Unavailable
from swarmproxy.model.container import Container
from swarmproxy.model.event import swarm_event

log = logging.getLogger("swarmproxy.cluster")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How patient rescheduling is. What users may set comes from the command line, the rest is for tests."""

    after_s: float = (
        30.0  # --cluster-opt swarm.reschedule-after: how long a node may be silent before its containers move
    )
    look_s: float = 1.0  # between two looks
    retry_min_s: float = 5.0  # after a move that failed; doubled each time
    retry_max_s: float = 300.0
    settle_s: float = 3.0  # what a former leader has begun may still show for so long
    takeover_s: float = 150.0  # for so long its last creates may come to light
    give_up_s: float = 86400.0  # a node that is not listed any more; its containers are not tried for ever
    at_once: int = 8


@dataclass(slots=True, kw_only=True)
class Loss:
    """A node that does not answer, with all that it held."""

    engine: Engine
    since: float  # monotonic
    since_unix: float
    containers: dict[str, Container]
    settled: set[str] = field(default_factory=set)  # IDs of those that have been replaced


@dataclass(slots=True)
class Attempts:
    """What became of the moves of one container so far."""

    failed: int = 0
    again_at: float = 0.0  # monotonic
    error: str = ""


@dataclass(slots=True)
class Drain:
    """How far a drain has come. `staying` have no reschedule policy."""

    moved: int = 0
    moving: int = 0
    staying: int = 0
    errors: dict[str, str] = field(default_factory=dict)  # why the last attempt failed, by name of the container


class Rescheduling:
    """Looks after the containers that have a reschedule policy. It acts only while this manager leads."""

    def __init__(self, cluster: Cluster, mover: Mover, *, pace: Pace | None = None) -> None:
        self._cluster = cluster
        self._mover = mover
        self._pace = pace or Pace()
        self._losses: dict[Engine, Loss] = {}
        self._suspects: set[str] = set()  # swarm IDs that may be on several nodes
        self._attempts: dict[str, Attempts] = {}
        self._drains: dict[Engine, Drain] = {}
        self._led_since: float | None = None
        self._has_told = False
        self._running: set[str] = set()  # swarm IDs
        self._wake = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._is_ending = False
        cluster.watchers.append(self)
        cluster.book.on_change.append(lambda _before, _after: self._wake.set())

    # -- what the cluster tells (cluster.Watcher)

    def lost(self, engine: Engine) -> None:
        """See Watcher. A node that is lost already is lost since then."""
        known = self._losses.get(engine)
        if known is not None or not any(each.is_movable for each in engine.containers.values()):
            return
        now = time.monotonic()
        containers = dict(engine.containers)
        self._losses[engine] = Loss(engine=engine, since=now, since_unix=time.time(), containers=containers)

    def found(self, engine: Engine) -> None:
        """See Watcher: what it holds may have a copy elsewhere, and there may be room now for what had none."""
        daemon = engine.facts.id if engine.facts is not None else ""
        for other in list(self._losses):
            if other is engine or (other.facts is not None and other.facts.id == daemon):
                del self._losses[other]
        self._suspects |= {each.swarm_id for each in engine.containers.values() if each.is_movable}
        for attempts in self._attempts.values():
            attempts.again_at = min(attempts.again_at, time.monotonic() + random.uniform(0.0, 2.0))  # noqa: S311
        self._wake.set()

    # -- its life

    async def run(self) -> None:
        """Look and act until cancelled, or until `finish` has been called and all is done that was begun."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            while not self._is_ending:
                try:
                    self._look(tasks)
                except Exception:  # a look that fails must not be the last one
                    log.exception("rescheduling failed")
                try:
                    async with asyncio.timeout(self._pace.look_s):
                        await self._wake.wait()
                except TimeoutError:
                    pass
                self._wake.clear()

    def finish(self) -> None:
        """Begin nothing more: `run` ends with the last move that is under way."""
        self._is_ending = True
        self._wake.set()

    def in_background(self, work: Coroutine[None, None, None], *, name: str) -> None:
        """Do `work`, which must not raise, beside all moves. Raises Unavailable if this manager is about to end."""
        if self._tasks is None or self._is_ending:
            work.close()
            raise Unavailable("This cluster manager is about to end")
        self._tasks.create_task(work, name=name)

    @property
    def is_ending(self) -> bool:
        """Whether nothing new is to be begun."""
        return self._is_ending

    def drain_of(self, engine: Engine) -> Drain | None:
        """Return how far the drain of `engine` has come; None if it is not drained, or another manager leads."""
        return self._drains.get(engine)

    # -- looking

    def _look(self, tasks: asyncio.TaskGroup) -> None:
        now = time.monotonic()
        if not self._mover.placement.leads():
            self._led_since = None
            self._drains.clear()
            return
        if self._led_since is None:
            self._led_since = now
            self._has_told = False
            self._attempts.clear()
        led_s = now - self._led_since
        if led_s < self._pace.settle_s:
            return
        if led_s >= self._pace.after_s and not self._has_told:
            self._has_told = True
            self._tell_of_unknown()
        if led_s < self._pace.takeover_s:
            self._suspects |= set(self._cluster.index.doubled())
        self._suspects |= self._mover.leftovers
        self._mover.leftovers.clear()
        self._look_at_suspects(tasks)
        for old, reason, loss in self._to_move(now):
            swarm_id = old.container.swarm_id
            if len(self._running) >= self._pace.at_once:
                return
            if swarm_id in self._running or self._attempts.get(swarm_id, Attempts()).again_at > now:
                continue
            self._begin(tasks, swarm_id, self._move(old, reason, loss))

    def _tell_of_unknown(self) -> None:
        """Log which nodes this manager has never met: it cannot know what was on them."""
        for engine in self._cluster.engines():
            if engine.facts is None:
                extra = {"addr": str(engine.address), "error": engine.error}
                log.warning(
                    "a node has not answered since this manager began: its containers are not known", extra=extra
                )

    def _begin(self, tasks: asyncio.TaskGroup, swarm_id: str, work: Coroutine[None, None, None]) -> None:
        self._running.add(swarm_id)
        tasks.create_task(self._guarded(work, swarm_id), name=f"move {swarm_id[:12]}")

    async def _guarded(self, work: Coroutine[None, None, None], swarm_id: str) -> None:
        try:
            await work
        except Exception:  # it must not end all others
            log.exception("a move failed")
            self._failed(swarm_id)
        finally:
            self._running.discard(swarm_id)
            self._wake.set()

    def _failed(self, swarm_id: str) -> Attempts:
        """Count a failure; the next attempt is later each time, and not at the same moment as all others."""
        attempts = self._attempts.setdefault(swarm_id, Attempts())
        wait_s = min(self._pace.retry_min_s * 2 ** min(attempts.failed, 16), self._pace.retry_max_s)
        attempts.failed += 1
        attempts.again_at = time.monotonic() + wait_s * random.uniform(0.75, 1.25)  # noqa: S311 - spreads load
        return attempts

    # -- moving

    def _to_move(self, now: float) -> Iterator[tuple[Located, Reason, Loss | None]]:
        """Yield what has to move, those that others may depend on first."""
        for loss in sorted(self._losses.values(), key=lambda each: each.since):
            if now - loss.since < self._pace.after_s:
                continue
            if now - loss.since > self._pace.give_up_s and loss.engine not in self._cluster.engines():
                log.error("the containers of a node are given up", extra={"node": loss.engine.name})
                del self._losses[loss.engine]
                continue
            for container in _in_order(loss.containers.values()):
                old = Located(loss.engine, container)
                if not self._is_done(old, loss):
                    yield old, Reason.FAILURE, loss
        drained = self._drained()
        for engine in [each for each in self._drains if each not in drained]:
            del self._drains[engine]
        for engine in drained:
            if engine.state is State.HEALTHY:
                yield from self._to_drain(engine)

    def _drained(self) -> list[Engine]:
        wanted = {record.id for record in self._cluster.book.records() if record.availability == "drain"}
        if not wanted:
            return []
        return [each for each in self._cluster.engines() if each.facts is not None and each.facts.id in wanted]

    def _is_done(self, old: Located, loss: Loss) -> bool:
        """Return whether a lost container needs nothing: it is back, or it has a replacement in its state, or had one.

        A copy that its user removed is not made again; one that is lost with its own node moves from there.
        """
        if old.container.id in loss.settled:
            return True
        back = self._cluster.index.by_id.get(old.container.id)
        if back is not None and back.engine.state is State.HEALTHY:
            return True
        new = self._mover.replacement_of(old)
        if new is None:
            return False
        if not (new.container.started_ns or new.container.is_running):
            recipe = self._mover.recipe_of(old, loss.containers)
            if was_running(old.container, recipe, loss.since_unix):
                return False
        loss.settled.add(old.container.id)
        return True

    async def _move(self, old: Located, reason: Reason, loss: Loss | None) -> None:
        container = old.container
        extra = {"container": container.id, "called": container.name, "node": old.engine.name}
        try:
            if loss is not None:
                await self._mover.move(old, reason=reason, lost_at=loss.since_unix, siblings=loss.containers)
            else:
                await self._mover.move(old, reason=reason)
        except SwarmError as error:
            before = self._attempts.get(container.swarm_id, Attempts()).error
            attempts = self._failed(container.swarm_id)
            attempts.error = str(error)
            level = logging.ERROR if attempts.error != before else logging.DEBUG
            message = "Failed to reschedule container" if loss is not None else "Failed to migrate container"
            log.log(level, message, extra={**extra, "error": str(error)})
            return
        self._attempts.pop(container.swarm_id, None)
        if loss is not None:
            loss.settled.add(container.id)
            for each in loss.containers.values():  # it may be what another waited for
                if each.swarm_id in self._attempts:
                    self._attempts[each.swarm_id].again_at = 0.0
        elif (drain := self._drains.get(old.engine)) is not None:
            drain.moved += 1

    # -- draining

    def _to_drain(self, engine: Engine) -> Iterator[tuple[Located, Reason, None]]:
        movable = [each for each in engine.containers.values() if each.is_movable]
        before = self._drains.get(engine)
        drain = self._drains.setdefault(engine, Drain())
        was_moving = drain.moving
        drain.moving = len(movable)
        drain.staying = sum(not each.is_movable and not each.is_task for each in engine.containers.values())
        drain.errors = {
            each.name: self._attempts[each.swarm_id].error for each in movable if each.swarm_id in self._attempts
        }
        if before is None:
            self._tell_of_drain("engine_drain", engine, drain)
        elif was_moving and not drain.moving:
            self._tell_of_drain("engine_drained", engine, drain)
        for container in _in_order(movable):
            yield Located(engine, container), Reason.DRAIN, None

    def _tell_of_drain(self, action: str, engine: Engine, drain: Drain) -> None:
        counts = {"moved": drain.moved, "moving": drain.moving, "staying": drain.staying}
        log.info("draining a node" if drain.moving else "a node is drained", extra={"node": engine.name, **counts})
        node = origin_of(engine)
        attributes = {name: str(count) for name, count in counts.items()}
        event = swarm_event(action, node, time_ns=time.time_ns(), attributes=attributes)
        self._cluster.hub.publish(event, node)

    # -- copies

    def _look_at_suspects(self, tasks: asyncio.TaskGroup) -> None:
        for swarm_id in list(self._suspects):
            if swarm_id in self._running or swarm_id in self._mover.under_way:
                continue
            if self._attempts.get(swarm_id, Attempts()).again_at > time.monotonic():
                continue
            verdict = judge(self._cluster.copies(swarm_id))
            if verdict is None:
                self._suspects.discard(swarm_id)
            elif len(self._running) < self._pace.at_once:
                self._begin(tasks, swarm_id, self._execute(verdict))

    async def _execute(self, verdict: Verdict) -> None:
        """Leave one copy. Each of the others has the time to end that it would have when it is stopped."""
        stays = verdict.stays
        try:
            if verdict.starts:
                log.info("Starting a container that was about to move", extra=_where(stays))
                await self._mover.start(stays)
            for each in verdict.goes:
                log.info("Removing a duplicate container", extra={**_where(each), "stays": stays.container.id})
                await self._mover.remove(each)
            self._attempts.pop(stays.container.swarm_id, None)
        except SwarmError as error:
            self._failed(stays.container.swarm_id)
            extra = {**_where(stays), "error": str(error)}
            log.log(logging.ERROR, "Failed to remove duplicate container", extra=extra)


def _in_order(containers: Iterable[Container]) -> list[Container]:
    """Return those that may move, the oldest first: what they depend on was made before them."""
    movable = [each for each in containers if each.is_movable and each.state not in ("removing", "dead")]
    return sorted(movable, key=lambda each: (each.created_ns, each.id))


def _where(located: Located) -> dict[str, str]:
    return {"container": located.container.id, "called": located.container.name, "node": located.engine.name}
