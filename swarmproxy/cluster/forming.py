"""Makes the members one swarm of Docker's swarm mode, and keeps it so while members come and go.

All of it follows from what the engines say of themselves, looked at again and again: a manager of ours that begins
to lead goes on where the last one stopped.
"""

import asyncio
import ipaddress
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.fanout import on_all
from swarmproxy.cluster.parting import Parting, let_go, take_apart
from swarmproxy.cluster.promotions import Promotions
from swarmproxy.cluster.swarm_control import change_node, list_nodes, read_anew, read_tokens
from swarmproxy.cluster.swarms import Swarm, part_of
from swarmproxy.engine.engine import Engine, State
from swarmproxy.errors import BadRequest, Conflict, NoSwarm, NotSupported, SwarmError, Unavailable
from swarmproxy.model.members import NOT_JSON
from swarmproxy.model.swarm import INACTIVE
from swarmproxy.model.swarm_node import JoinTokens, SwarmNode
from swarmproxy.scheduler.swarm_managers import Candidate, best, choose, wanted

log = logging.getLogger("swarmproxy.cluster")

ALREADY = 'This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.'
NO_SWARM = "This node is not part of a swarm"
NOT_BY_FORCE = (
    "You are attempting to leave the swarm on a node that is participating as a manager. Here all nodes leave, which "
    "erases all current state of the swarm. Use `--force` to ignore this message."
)
PORT = 2377
ZONE = "zone"  # the label that says what fails together

LOOK_S = 2.0
PAUSE_S = 0.2  # between two looks, whatever happens: members come in numbers
JOIN_S = 60.0  # an engine answers after 20 s at the latest
INIT_WAIT_S = 60.0  # for so long an init waits for the others; they are joined all the same
RETRY_MIN_S, RETRY_MAX_S = 5.0, 300.0
AT_ONCE = 16


@dataclass(slots=True)
class _Attempts:
    failed: int
    again_at: float


class Forming:
    """Forms the swarm when a client says so, and has members join and leave it. It acts only while `leads()`.

    `managers`: how many there should be; 0: by the number of members. `after_s`: how long a member may be away, or
    a manager be missing, before something is done.
    """

    def __init__(
        self, cluster: Cluster, *, leads: Callable[[], bool] = lambda: True, managers: int = 0, after_s: float = 30.0
    ) -> None:
        self._cluster = cluster
        self._leads = leads
        self._managers = managers
        self._after_s = after_s
        self._promotions = Promotions(cluster)
        self._parting = Parting(cluster, after_s=after_s)
        self._lock = asyncio.Lock()  # one forms, looks or takes apart at a time
        self._wake = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []  # for the end of a look that begins from now on
        self._attempts: dict[Engine, _Attempts] = {}
        self._apart: frozenset[str] = frozenset()  # marks of swarms that were taken apart
        self._short_since: float | None = None  # too few managers
        self._interfaces: dict[str, str] = {}  # what a client told of all members alike
        self._list_at = 0.0  # when to look at the swarm's own list again, though nobody seems to be missing
        self._strays: dict[Engine, float] = {}  # nodes that the swarm does not list, and since when
        cluster.swarms.on_change.append(self._wake.set)

    # -- what clients ask for

    async def init(self, body: bytes) -> bytes:
        """Form the swarm; return the answer of its first manager once the other members have joined, or are late.

        Raises BadRequest, NoSwarm if there is one, Conflict, Unavailable, EngineError.
        """
        request = _read(body)
        if request.get("ForceNewCluster"):
            raise NotSupported("--force-new-cluster is about one node: run it there, where the state is to survive")
        async with self._lock:
            await read_anew(self._cluster.healthy())
            self._refuse_unless_free()
            first = self._first(request)
            facts_ip = first.facts.ip if first.facts is not None else ""
            told = {
                **request,
                "AdvertiseAddr": request.get("AdvertiseAddr") or _reachable(facts_ip),
                "ListenAddr": request.get("ListenAddr") or f"0.0.0.0:{PORT}",
            }
            answer = await first.client.init_swarm(msgspec.json.encode(told))
            log.info("swarm formed", extra={"engine": first.name, "addr": told["AdvertiseAddr"]})
            self._interfaces = {
                key: value
                for key in ("AdvertiseAddr", "DataPathAddr")
                if _is_interface(value := request.get(key) or "")
            }
            self._attempts.clear()
            await read_anew([first])
        await self._look_soon(INIT_WAIT_S)
        return answer

    async def leave(self, *, force: bool) -> None:
        """Take the swarm apart: every member leaves. One that cannot be reached follows when it is back.

        Raises NoSwarm if there is none, or without `force`; Conflict; the failure of members that could not leave.
        """
        if not self._cluster.swarms.all():
            raise NoSwarm(NO_SWARM)
        swarm = self._cluster.swarms.the_one()
        if not force:
            raise NoSwarm(NOT_BY_FORCE)
        async with self._lock:
            self._apart |= frozenset[str]().union(*(part.marks for each in swarm.engines if (part := part_of(each))))
            failure = await take_apart(self._cluster.swarms, swarm)
            for each in swarm.engines:
                self._parting.forget(each)
        absent = [each.name for each in swarm.engines if each.state is not State.HEALTHY]
        if absent:
            log.warning("nodes that do not answer leave the swarm when they do", extra={"nodes": absent})
        if failure is not None:
            raise failure

    # -- its life

    async def run(self) -> None:
        """Look and act until cancelled."""
        while True:
            await asyncio.sleep(PAUSE_S)
            waiting, self._waiting = self._waiting, []
            self._wake.clear()
            try:
                self._parting.track()
                if self._leads():
                    async with self._lock:
                        await self._look()
                self._cluster.swarms.trouble("forming", "")
            except SwarmError as error:
                self._cluster.swarms.trouble("forming", str(error))
            except Exception:  # a look that fails must not be the last one
                log.exception("forming failed")
            finally:
                for each in waiting:
                    if not each.done():
                        each.set_result(None)
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def _look_soon(self, timeout_s: float) -> None:
        """Have a look begin now, and return when it has ended, or after `timeout_s`."""
        looked = asyncio.get_running_loop().create_future()
        self._waiting.append(looked)
        self._wake.set()
        await asyncio.wait([looked], timeout=timeout_s)

    # -- one look

    async def _look(self) -> None:
        swarms = self._cluster.swarms
        left = [each for each in self._cluster.healthy() if (part := part_of(each)) and part.marks & self._apart]
        if left:
            await let_go(left)
        if not swarms.all():
            return
        swarm = swarms.the_one()
        if not swarm.managers:
            raise Unavailable(f"nobody can join the swarm of {swarm.title}: none of the nodes manages it")
        await self._promotions.settle()
        newcomers = [each for each in self._cluster.healthy() if _is_free(each) and self._may_join(each)]
        parted = self._parting.due()
        now = asyncio.get_running_loop().time()
        is_short = self._is_short(swarm)
        if is_short or newcomers or now >= self._list_at:
            nodes = await list_nodes(swarms)
            self._list_at = now + max(self._after_s, LOOK_S)
            await self._have_strays_leave(swarm, {node.id for node in nodes}, now)
            made = self._to_be_managers(nodes, swarm, newcomers) if is_short or newcomers else []
            if newcomers:
                await self._join(newcomers, made, nodes, await read_tokens(swarms))
            await self._promote([each for each in made if each not in newcomers], nodes)
        for gone in parted:
            if self._leads():
                await self._parting.part(gone)

    def _is_short(self, swarm: Swarm) -> bool:
        """Return whether there have been too few managers for so long that it is no operator's doing."""
        known = max((len(part.managers) for each in swarm.managers if (part := part_of(each))), default=0)
        if known >= self._wanted():
            self._short_since = None
            return False
        now = asyncio.get_running_loop().time()
        self._short_since = self._short_since if self._short_since is not None else now
        return now - self._short_since >= self._after_s

    def _wanted(self) -> int:
        accepted = [each for each in self._cluster.engines() if each.state in (State.HEALTHY, State.UNHEALTHY)]
        return self._managers or wanted(len(accepted))

    def _to_be_managers(self, nodes: Sequence[SwarmNode], swarm: Swarm, newcomers: Sequence[Engine]) -> list[Engine]:
        """Return the members, new or workers, that are to become managers: at once or never, for an odd number."""
        members = {part.node_id: each for each in swarm.engines if (part := part_of(each)) is not None}
        managers = [node for node in nodes if node.is_manager]
        beside = [
            self._candidate(members[node.id]) if node.id in members else Candidate(name=node.id) for node in managers
        ]
        workers = [
            members[node.id]
            for node in nodes
            if node.id in members
            and not node.is_manager
            and node.status.state == "ready"
            and members[node.id].state is State.HEALTHY
        ]
        free = {self._candidate(each): each for each in (*newcomers, *workers)}
        return [free[each] for each in choose(list(free), beside=beside, count=self._wanted())]

    async def _join(
        self, newcomers: Sequence[Engine], made: Sequence[Engine], nodes: Sequence[SwarmNode], tokens: JoinTokens
    ) -> None:
        """Have `newcomers` join: managers one after the other, as their raft takes them, and then all workers."""
        there = [each.manager for each in nodes if each.manager is not None]
        reachable = [each for each in there if each.reachability == "reachable"]
        remotes = [each.address for each in sorted(reachable, key=lambda each: not each.leads)]
        if not remotes:
            raise Unavailable("nobody can join the swarm: none of its managers is reachable for the others")
        port = remotes[0].rpartition(":")[2]

        async def join(engine: Engine, token: str) -> None:
            ip = engine.facts.ip if engine.facts is not None else ""
            told = {
                "ListenAddr": f"0.0.0.0:{port}",
                "AdvertiseAddr": _reachable(ip),
                "RemoteAddrs": remotes,
                "JoinToken": token,
                **self._interfaces,
            }
            await engine.client.join_swarm(msgspec.json.encode(told))

        for role, token, engines, at_once in (
            ("manager", tokens.manager, [each for each in newcomers if each in made], 1),
            ("worker", tokens.worker, [each for each in newcomers if each not in made], AT_ONCE),
        ):
            if not engines or not self._leads():
                continue
            outcome = await on_all(
                engines,
                lambda engine, token=token: join(engine, token),  # type: ignore[misc]
                timeout_s=JOIN_S * (1 + len(engines) // at_once),
                at_once=at_once,
            )
            for engine, _ in outcome.done:
                self._attempts.pop(engine, None)
                log.info("node joined the swarm", extra={"engine": engine.name, "role": role})
            for engine, error in outcome.failed:
                self._failed(engine, str(error).replace(token, "<token>"))
            await read_anew(engines)

    async def _promote(self, engines: Sequence[Engine], nodes: Sequence[SwarmNode]) -> None:
        """Make workers managers."""
        by_id = {node.id: node for node in nodes}
        for engine in engines:
            part = part_of(engine)
            if part is not None and self._leads():
                await change_node(self._cluster.swarms, by_id[part.node_id], Role="manager")
                self._promotions.note(engine, part.node_id)
                log.info("node promoted to a manager of the swarm", extra={"engine": engine.name})

    async def _have_strays_leave(self, swarm: Swarm, listed: Collection[str], now: float) -> None:
        """Have workers leave that the swarm does not list any more, which do not notice: they join again then."""
        astray = [
            each
            for each in swarm.engines
            if (part := part_of(each)) is not None and not part.is_manager and part.node_id not in listed
        ]
        self._strays = {each: self._strays.get(each, now) for each in astray}
        for_good = [each for each, since in self._strays.items() if now - since >= self._after_s]
        if not for_good:
            return
        for each, _ in (await let_go([each for each in for_good if each.state is State.HEALTHY])).done:
            log.warning("node left a swarm that does not list it any more", extra={"engine": each.name})
            self._parting.forget(each)

    # -- which member

    def _refuse_unless_free(self) -> None:
        """Raise NoSwarm or Conflict if a member is in a swarm, in whatever state."""
        if self._cluster.swarms.all():
            self._cluster.swarms.the_one()
            raise NoSwarm(ALREADY)
        for each in self._cluster.engines():
            if each.facts is not None and each.facts.swarm_state != INACTIVE:
                raise Conflict(
                    f"the node {each.name} is in a swarm already, and its state there is {each.facts.swarm_state}"
                )

    def _first(self, request: dict[str, Any]) -> Engine:
        """Return the member that a swarm begins with: the one whose address the client gives, or else the best."""
        free = [each for each in self._cluster.healthy() if _is_free(each)]
        if not free:
            raise Unavailable("No healthy node available in the cluster")
        host = _host(request.get("AdvertiseAddr") or "")
        named = next((each for each in free if host and each.facts is not None and each.facts.ip == host), None)
        candidates = {self._candidate(each): each for each in free}
        return named or candidates[best(list(candidates))[0]]

    def _candidate(self, engine: Engine) -> Candidate:
        facts = engine.facts
        assert facts is not None  # noqa: S101  # members in a swarm, and free ones, have said what they are
        zone = self._cluster.book.labels_of(engine).get(ZONE, "")
        # Names may be shared; with the ID, no two members are the same candidate.
        name = f"{facts.name} {facts.id}"
        return Candidate(name=name, zone=zone, memory_bytes=facts.memory_bytes, cpus=facts.cpus)

    def _may_join(self, engine: Engine) -> bool:
        known = self._attempts.get(engine)
        is_due = known is None or asyncio.get_running_loop().time() >= known.again_at
        return is_due and self._parting.is_settled(engine)

    def _failed(self, engine: Engine, error: str) -> None:
        known = self._attempts.get(engine) or _Attempts(0, 0.0)
        wait_s = min(RETRY_MIN_S * 2 ** min(known.failed, 16), RETRY_MAX_S)
        self._attempts[engine] = _Attempts(known.failed + 1, asyncio.get_running_loop().time() + wait_s)
        log.warning("node cannot join the swarm", extra={"engine": engine.name, "error": error, "retry_in_s": wait_s})


def _is_free(engine: Engine) -> bool:
    return engine.facts is not None and engine.facts.swarm_state == INACTIVE


def _read(body: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(body or b"{}")
    except NOT_JSON as error:
        raise BadRequest(f"invalid JSON: {error}") from error
    if not isinstance(found, dict):
        raise BadRequest("the body should be a JSON object")
    return found


def _reachable(ip: str) -> str:
    """Return `ip` if others can reach it; empty, which leaves the choice to the engine, if it is only this host's."""
    return "" if not ip or ipaddress.ip_address(ip.partition("%")[0]).is_loopback else ip


def _host(address: str) -> str:
    """Return the IP address in what `--advertise-addr` takes, `IP[:port]`; empty for the name of an interface."""
    for text in (address, address.rpartition(":")[0]):
        try:
            return str(ipaddress.ip_address(text.strip("[]")))
        except ValueError:
            continue
    return ""


def _is_interface(address: str) -> bool:
    return bool(address) and not _host(address)
