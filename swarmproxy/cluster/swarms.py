"""Swarms of Docker's swarm mode that members form among themselves: who is in which, and whom to ask.

Source of the words for clients: moby, daemon/cluster/errors.go and cluster.go.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Literal

import msgspec

from swarmproxy.cluster.asking import ask, unreachable
from swarmproxy.engine.client import engine_error
from swarmproxy.engine.engine import Engine, State
from swarmproxy.errors import Conflict, EngineError, EngineUnreachable, NoSwarm, SwarmError, Unavailable
from swarmproxy.model.apiversion import Version
from swarmproxy.model.event import Event
from swarmproxy.model.info import natural_key
from swarmproxy.model.swarm import LOCKED, SwarmPart, is_leaderless, is_without_effect
from swarmproxy.wire.fetch import Answer
from swarmproxy.wire.whole import connect

log = logging.getLogger("swarmproxy.cluster")

Mode = Literal["use", "auto", "off"]
"""What is done with swarm mode. `use`: a swarm that there is. `auto`: one is formed as well. `off`: nothing."""

NO_MANAGER = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm '
    "and try again."
)
ONLY_WORKERS = (
    "This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state. "
    "Please run this command on a manager node or promote the current node to a manager."
)
NO_LEADER = (
    "The swarm does not have a leader. It's possible that too few managers are online. Make sure more than half of the "
    "managers are online."
)
INACTIVE_INFO = b'{"LocalNodeState":"inactive","ControlAvailable":false,"Error":"","RemoteManagers":null}'
ELECTION_S = 25.0
"""How long the managers of a swarm may be without a leader: they elect one within 20 s if most of them are there."""

RETRY_S = 0.5
CONNECT_S = 5.0  # a manager that takes no connection for so long is passed over
SILENCE_S = 2.0
"""How long a read waits for a manager while too few of them answer us to have a leader.

One that has lost the others says nothing for up to 20 s, and only then that it has no leader.
Source: moby, daemon/cluster/cluster.go, swarmRequestTimeout.
"""

_NAMED = 5
READS = frozenset(("GET", "HEAD"))


@dataclass(frozen=True, slots=True)
class Swarm:
    """Members that are in one swarm. `id` is the cluster's, empty if none of them manages it."""

    id: str
    engines: tuple[Engine, ...]
    managers: tuple[Engine, ...]  # in the order of their names, also those that do not answer

    @property
    def title(self) -> str:
        """How a message names it: by its first members."""
        names = [engine.name for engine in self.engines]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        return ", ".join(names[:_NAMED]) + more


@dataclass(slots=True)
class Swarms:
    """The swarms of `engines`, as far as these say. Kept ready, and made anew after `changed`."""

    engines: Callable[[], Sequence[Engine]]
    mode: Mode = "use"
    on_change: list[Callable[[], None]] = field(default_factory=list)
    on_event: list[Callable[[Event], None]] = field(default_factory=list)
    _leader: str = ""  # the node ID of the last leader that we heard of
    _known: list[Swarm] | None = None
    _locked: list[Engine] | None = None
    _troubles: dict[str, str] = field(default_factory=dict)

    @property
    def ping_header(self) -> bytes:
        """What an answer to a ping says of swarm mode, as clients know it."""
        if not self.is_used:
            return b"inactive"
        return b"active/manager" if any(swarm.managers for swarm in self.all()) else b"active/worker"

    def info(self) -> bytes:
        """Return the `Swarm` of `/info`, as JSON: what the leader says of itself, or another one if it is silent.

        While a member waits for the key the state is that it is locked: the docker client unlocks nothing else.
        """
        if self.mode == "off":
            return INACTIVE_INFO
        shown = self._info()
        locked = self.locked()
        if not locked:
            return shown
        names = ", ".join(engine.name for engine in locked)
        said = {"LocalNodeState": LOCKED, "Error": f"nodes that wait for `docker swarm unlock`: {names}"}
        return msgspec.json.encode({**msgspec.json.decode(shown, type=dict[str, msgspec.Raw]), **said})

    def _info(self) -> bytes:
        if self.is_used:
            try:
                swarm = self.the_one()
            except SwarmError as error:
                return msgspec.json.encode({"LocalNodeState": "error", "ControlAvailable": False, "Error": str(error)})
            engines = sorted(
                swarm.managers or swarm.engines,
                key=lambda engine: (engine.state is not State.HEALTHY, not self.is_leader(engine)),
            )
            if (part := part_of(engines[0])) is not None:
                return part.info
        return INACTIVE_INFO

    def changed(self) -> None:
        """Take note that the part of a member is another one, or that members came or went."""
        self._known = self._locked = None
        for tell in self.on_change:
            tell()

    def happened(self, event: Event) -> None:
        """Take note of what its managers tell of a swarm, once."""
        for tell in self.on_event:
            tell(event)

    def trouble(self, task: str, problem: str) -> None:
        """Log what keeps `task` from its work, once however many tasks it keeps; empty: nothing does any more."""
        if problem and problem not in self._troubles.values():
            log.error("the swarm cannot be looked after", extra={"error": problem})
        self._troubles[task] = problem

    def all(self) -> list[Swarm]:
        """Return every swarm that members are in, each with its members in the order of their names."""
        if self._known is None:
            self._known = _grouped(self.engines())
        return self._known

    def locked(self) -> list[Engine]:
        """Return the members that answer, and cannot take part in their swarm before they are given its key."""
        if self._locked is None:
            self._locked = [
                engine for engine in self.engines() if engine.facts is not None and engine.facts.swarm_state == LOCKED
            ]
        return [engine for engine in self._locked if engine.state is State.HEALTHY]

    def of(self, engine: Engine) -> Swarm | None:
        """Return the swarm that `engine` is in."""
        return next((swarm for swarm in self.all() if engine in swarm.engines), None)

    def mates(self, engines: Iterable[Engine]) -> list[Engine]:
        """Return the members that are in one swarm with any of `engines`, these included if they are in one."""
        wanted = set(engines)
        return [each for swarm in self.all() if not wanted.isdisjoint(swarm.engines) for each in swarm.engines]

    def form_one(self, engines: Sequence[Engine]) -> bool:
        """Return whether all of `engines` are in the same swarm and one of them manages it."""
        return any(
            set(engines) <= set(swarm.engines) and not set(engines).isdisjoint(swarm.managers) for swarm in self.all()
        )

    # -- the one that clients mean

    @property
    def is_used(self) -> bool:
        """Whether swarm mode's requests are passed on to a swarm."""
        return self.mode != "off" and bool(self.all())

    def the_one(self) -> Swarm:
        """Return the swarm that a client's request is for.

        Members that were left behind by a swarm, so that none of them manages it, do not count beside one that is
        managed. Raises NoSwarm if there is none; Conflict, with their names, if members are in different swarms.
        """
        swarms = self.all() if self.mode != "off" else []
        managed = [swarm for swarm in swarms if swarm.managers] or swarms
        if not managed:
            raise NoSwarm(NO_MANAGER)
        if len(managed) > 1:
            titles = "; ".join(swarm.title for swarm in managed)
            raise Conflict(
                f"the nodes are in {len(managed)} different swarms, and nobody can say which is meant: {titles}"
            )
        return managed[0]

    def managers(self) -> list[Engine]:
        """Return the managers that answer of the swarm that clients mean, its leader first.

        Raises as `the_one`, NoSwarm if all members are workers of it, Unavailable if no manager answers.
        """
        swarm = self.the_one()
        if not swarm.managers:
            raise NoSwarm(ONLY_WORKERS)
        answering = [engine for engine in swarm.managers if engine.state is State.HEALTHY]
        if not answering:
            names = ", ".join(engine.name for engine in swarm.managers)
            raise Unavailable(f"no manager of the swarm answers: {names}")
        return sorted(answering, key=lambda engine: not self.is_leader(engine))

    def is_leader(self, engine: Engine) -> bool:
        """Return whether `engine` leads its swarm, as far as we have heard."""
        part = part_of(engine)
        return bool(self._leader) and part is not None and part.node_id == self._leader

    def learn_leader(self, node_id: str) -> None:
        """Take in which node leads the swarm."""
        self._leader = node_id

    def can_elect(self) -> bool:
        """Return whether so many managers answer that they can agree on a leader."""
        swarm = self.the_one()
        answering = [engine for engine in swarm.managers if engine.state is State.HEALTHY]
        count = max((len(part.managers) for engine in answering if (part := part_of(engine)) is not None), default=0)
        return len(answering) * 2 > count

    # -- asking

    async def attempts(self) -> AsyncGenerator[Engine, None]:
        """Yield a manager to ask, with a connection that waits: the leader first, then the others, again and again.

        It ends when too few of them answer to elect a leader, or have had the time for it. Raises as `managers`, and
        EngineUnreachable if none of them takes a connection.
        """
        end = asyncio.get_running_loop().time() + ELECTION_S
        while True:
            reached, failure = False, None
            for engine in self.managers():
                if engine.state is not State.HEALTHY:
                    continue  # which was found out while another one was asked
                try:
                    (await connect(engine.pool, timeout_s=CONNECT_S, only_once=True)).release()
                except EngineUnreachable as error:
                    failure = unreachable(engine, error)
                    log.warning("another manager is asked", extra={"engine": engine.name, "error": str(error)})
                    continue
                reached = True
                yield engine
            if not reached and failure is not None:
                raise failure
            if not self.can_elect() or asyncio.get_running_loop().time() + RETRY_S > end:
                return
            await asyncio.sleep(RETRY_S)

    def patience(self, longest_s: float) -> Iterator[float]:
        """Yield how long to wait for each answer to a request that only reads.

        A manager whose leader has died waits for another one, and is the last to hear of it. If too few answer us to
        have one, all are most likely silent.
        """
        for wait_s in chain((5.0, 10.0), repeat(longest_s)):
            yield min(wait_s if self.can_elect() else SILENCE_S, longest_s)

    async def ask_manager(
        self, version: Version, method: str, path: str, *, body: bytes = b"", timeout_s: float = 60.0
    ) -> Answer:
        """Return what a manager of the swarm answers, whatever its status. A `body` is JSON.

        Another one is asked if it is certain that the first has done nothing, or if the request only reads. Raises as
        `attempts`, EngineUnreachable if it is not known what became of the request, Leaderless with a manager's own
        words.
        """
        failure: SwarmError = Unavailable("no manager of the swarm answers")
        waits = self.patience(timeout_s)
        async with aclosing(self.attempts()) as attempts:
            async for engine in attempts:
                reads = method in READS
                wait_s = next(waits) if reads else timeout_s
                try:
                    answer = await ask(engine, version, method, path, body=body, timeout_s=wait_s)
                except EngineUnreachable as error:
                    if not reads:
                        raise
                    failure = error
                    continue
                if answer.status < 500:
                    return answer
                failure = refused_by_manager(answer.status, answer.body, path)
                if not isinstance(failure, Leaderless):
                    return answer
                if not reads and not failure.is_without_effect:
                    break
        raise self.verdict(failure)

    def verdict(self, failure: SwarmError) -> SwarmError:
        """Return what to tell a client whose request all managers left unanswered, so that `attempts` ended.

        Several are silent when they have lost their quorum, and say why only later.
        """
        parts = filter(None, map(part_of, self.the_one().managers))
        if isinstance(failure, EngineUnreachable) and max((len(part.managers) for part in parts), default=0) > 1:
            return Leaderless(NO_LEADER, is_without_effect=False)
        return failure


class Leaderless(EngineError):
    """What a manager says that has no leader to ask: a 503 with its own words, whatever status it came with."""

    def __init__(self, message: str, *, is_without_effect: bool) -> None:
        super().__init__(503, message)
        self.is_without_effect = is_without_effect  # so that another may do what was asked for


def refused_by_manager(status: int, body: bytes, path: str) -> EngineError:
    """Return the refusal of a manager: a Leaderless if that was the reason."""
    refused = engine_error(status, body, path.partition("?")[0])
    words = str(refused)
    if is_leaderless(status, words):
        return Leaderless(words, is_without_effect=is_without_effect(status, words))
    return refused


def part_of(engine: Engine) -> SwarmPart | None:
    """Return the engine's part in a swarm; None if it is in none."""
    return engine.facts.swarm if engine.facts is not None else None


def managers(engines: Iterable[Engine]) -> list[Engine]:
    """Return those of `engines` that manage a swarm: only they make and remove its networks."""
    return [engine for engine in engines if (part := part_of(engine)) is not None and part.is_manager]


def _grouped(engines: Iterable[Engine]) -> list[Swarm]:
    """Return the swarms of `engines`: whoever shares a manager, or the cluster's ID, is in the same one."""
    groups: list[tuple[frozenset[str], list[Engine]]] = []
    for engine in engines:
        part = part_of(engine)
        if part is None or engine.state not in (State.HEALTHY, State.UNHEALTHY):
            continue
        same = [group for group in groups if not group[0].isdisjoint(part.marks)]
        marks = part.marks.union(*(group[0] for group in same))
        groups = [group for group in groups if group not in same]
        groups.append((marks, [engine, *(each for group in same for each in group[1])]))
    swarms = (_swarm_of(sorted(found, key=_place)) for _, found in groups)
    return sorted(swarms, key=lambda swarm: _place(swarm.engines[0]))


def _swarm_of(engines: Sequence[Engine]) -> Swarm:
    leading = managers(engines)
    ids = (part.cluster_id for engine in leading if (part := part_of(engine)) is not None)
    return Swarm(next(filter(None, ids), ""), tuple(engines), tuple(leading))


def _place(engine: Engine) -> tuple[object, str]:
    """Return what orders engines as people do."""
    return natural_key(engine.name), str(engine.address)
