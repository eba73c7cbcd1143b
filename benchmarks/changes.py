"""Measures the rows of benchmarks/membership.py with real managers, agents and stores, and scripted engines."""

import http.client
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from benchmarks.membership import (
    ADDED,
    CPU,
    ENTRIES,
    FILE,
    KILLED,
    LEADER_KILLED,
    LEADER_RESIGNED,
    PLACES,
    TTL_S,
    MembershipRow,
    Samples,
)
from benchmarks.places import Place, open_place
from benchmarks.processes import Child, free_port
from benchmarks.stand import CONTAINERS
from tests.hosts.suites import SuiteUnavailableError

DEADLINE_S = 30.0
POLL_S = 0.002
APART_S = 0.35  # between two kills, to meet different moments between two heartbeats
SETTLE_S = 0.2  # in which a manager does all that a change asks of it
SWARMPROXY = (sys.executable, "-m", "swarmproxy")
REPLICATED = ("--replication", "--replication-ttl", f"{TTL_S}s", "--advertise", "127.0.0.1:{port}")
# One process that says on stdout what it logs.
TELLING = ("sh", "-c", 'exec "$@" 2>&1', "sh")
ABOUT_TO_REGISTER = "Registering on the discovery service"


class ChangeError(Exception):
    """What was to be measured did not come to pass; the message says where to look."""


class Manager:
    """A manager, and what its `/info` says. `{port}` in an argument stands for the port that it listens on."""

    def __init__(self, stack: ExitStack, log: Path, url: str, *arguments: str) -> None:
        self.port = free_port()
        words = [argument.format(port=self.port) for argument in ("-H", "tcp://127.0.0.1:{port}", *arguments)]
        self.child = Child((*SWARMPROXY, "manage", *words, url), log)
        stack.callback(self.child.stop)

    def status(self) -> list[list[str]]:
        """Return the rows about the cluster; none while nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
        try:
            connection.request("GET", "/info")
            rows: list[list[str]] = msgspec.json.decode(connection.getresponse().read())["SystemStatus"]
        except (OSError, http.client.HTTPException):
            return []
        finally:
            connection.close()
        return rows

    def leads(self) -> bool:
        return ["Role", "primary"] in self.status()

    def knows_a_leader(self) -> bool:
        return any(label == "Primary" and value for label, value in self.status())

    def healthy(self, address: str) -> bool:
        """Say whether the node at `address` is listed as healthy."""
        rows = self.status()
        at = next((number for number, (_, value) in enumerate(rows) if value == address), len(rows))
        return any(value == "Healthy" for _, value in rows[at + 1 : at + 3])  # behind its address come ID and state

    def count_healthy(self) -> int:
        return sum(value == "Healthy" for _, value in self.status())

    def wait_until(self, done: Callable[[], bool], what: str, *, poll_s: float = POLL_S) -> float:
        """Return the moment at which `done`. Raises ChangeError when it is not in time."""
        until = time.monotonic() + DEADLINE_S
        while not done():
            if time.monotonic() > until or not self.child.alive:
                raise ChangeError(f"{what}: not within {DEADLINE_S:g} s, see {self.child.log}")
            time.sleep(poll_s)
        return time.monotonic()

    def wait_until_it_serves(self) -> None:
        self.wait_until(lambda: bool(self.status()), "a manager that answers")


Measured = dict[str, list[float]]
"""Samples by row, of one place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One place, and what is needed to measure in it."""

    place: Place
    name: str
    logs: Path
    newcomers: Sequence[str]  # addresses of engines with containers
    crowd: Sequence[str]  # of ENTRIES empty ones and some more
    rounds: int

    def log(self, name: str) -> Path:
        return self.logs / f"membership-{self.name.split()[0]}-{name}.log"


Measure = Callable[[Stage], Measured]


def measure_nodes(stage: Stage) -> Measured:
    """Return how long nodes took to be shown (ms), and to go after their agents were killed (s over the TTL).

    The clock starts before an agent's first word to the store, or before the file is replaced.
    """
    with ExitStack() as stack:
        url = stage.place.url("nodes")
        stage.place.announce("nodes", [stage.crowd[0]])  # so that there is a list to begin with
        manager = Manager(stack, stage.log("manager"), url)
        manager.wait_until(lambda: manager.healthy(stage.crowd[0]), "the first node")
        added = []
        agents: dict[str, Child] = {}
        for address in stage.newcomers[: stage.rounds]:
            if stage.name == FILE:
                start = time.monotonic()
                stage.place.announce("nodes", [address])
            else:
                agents[address] = _start_agent(stack, stage, url, address)
                start = time.monotonic()
            end = manager.wait_until(partial(manager.healthy, address), f"node {address}")
            added.append((end - start) * 1000)
        return {ADDED.key: added, KILLED.key: list(_kill_agents(manager, agents))}


def _start_agent(stack: ExitStack, stage: Stage, url: str, address: str) -> Child:
    """Return an agent that is about to register."""
    times = ("--heartbeat", "1s", "--ttl", f"{TTL_S}s")
    agent = Child((*TELLING, *SWARMPROXY, "join", "--advertise", address, *times, url), stage.log("agents"), piped=True)
    stack.callback(agent.stop)
    while ABOUT_TO_REGISTER not in agent.read_line():
        pass
    return agent


def _kill_agents(manager: Manager, agents: dict[str, Child]) -> Iterator[float]:
    """Yield how long after its TTL each agent's node was gone, in seconds."""
    if not agents:
        return
    killed: dict[str, float] = {}
    for address, agent in agents.items():
        time.sleep(APART_S)
        os.kill(agent.process.pid, signal.SIGKILL)
        killed[address] = time.monotonic()
    until = time.monotonic() + DEADLINE_S
    while killed:
        listed = {value for _, value in manager.status()}
        now = time.monotonic()
        for address in [each for each in killed if listed and each not in listed]:
            yield now - killed.pop(address) - TTL_S
        if now > until:
            raise ChangeError(f"{len(killed)} nodes of killed agents do not go, see {manager.child.log}")
        time.sleep(POLL_S)


def measure_leaders(stage: Stage) -> Measured:
    """Return in how many seconds a leader that was killed (over the TTL), or told to end, had a successor."""
    found: Measured = {LEADER_KILLED.key: [], LEADER_RESIGNED.key: []}
    with ExitStack() as stack:
        url = stage.place.url("leaders")
        stage.place.announce("leaders", [stage.crowd[0]])

        def start() -> Manager:
            manager = Manager(stack, stage.log("leaders"), url, *REPLICATED)
            manager.wait_until_it_serves()
            return manager

        leader = start()
        leader.wait_until(leader.leads, "the first leader")
        for number, key in ((signal.SIGTERM, LEADER_RESIGNED.key), (signal.SIGKILL, LEADER_KILLED.key)):
            for _ in range(stage.rounds // 2):
                replica = start()
                replica.wait_until(replica.knows_a_leader, "a replica that knows its leader")
                time.sleep(APART_S)
                start_s = time.monotonic()
                os.kill(leader.child.process.pid, number)
                took_s = replica.wait_until(replica.leads, "another leader") - start_s
                found[key].append(took_s - TTL_S if number == signal.SIGKILL else took_s)
                leader = replica
    return found


def measure_cpu(stage: Stage) -> Measured:
    """Return the manager's processor time (ms) for each of some changes to a long list.

    What it spends in the same time before the change, on pings of a thousand engines, does not count.
    """
    steady, more = stage.crowd[:ENTRIES], stage.crowd[ENTRIES:]
    with ExitStack() as stack:
        stage.place.announce("crowd", steady)
        manager = Manager(stack, stage.log("crowd"), stage.place.url("crowd"))
        manager.wait_until(lambda: manager.count_healthy() == ENTRIES, f"{ENTRIES} healthy nodes", poll_s=SETTLE_S)
        time.sleep(2 * SETTLE_S)
        spent = [_cost(manager, partial(stage.place.announce, "crowd", [address])) for address in more]
        _expect(manager, ENTRIES + len(more))
        spent += [_cost(manager, partial(stage.place.withdraw, "crowd", address)) for address in more]
        _expect(manager, ENTRIES)
        return {CPU.key: spent}


def _cost(manager: Manager, change: Callable[[], None]) -> float:
    idle_s = manager.child.cpu_s()
    time.sleep(SETTLE_S)
    before_s = manager.child.cpu_s()
    change()
    time.sleep(SETTLE_S)
    return (manager.child.cpu_s() - 2 * before_s + idle_s) * 1000


def _expect(manager: Manager, healthy: int) -> None:
    """Make sure that what was paid for has happened. Raises ChangeError."""
    if (count := manager.count_healthy()) != healthy:
        raise ChangeError(f"{count} healthy nodes instead of {healthy}, see {manager.child.log}")


def _start_engines(stack: ExitStack, logs: Path, name: str, count: int, containers: int) -> list[str]:
    """Return the addresses of scripted engines."""
    options = ("--name", name, "--engines", str(count), "--containers", str(containers))
    child = Child((sys.executable, "-m", "benchmarks.fleet", "--ports", *options), logs / f"{name}.log", piped=True)
    stack.callback(child.stop)
    return [f"127.0.0.1:{port}" for port in child.read_line().split()]


PARTS: tuple[tuple[Measure, tuple[MembershipRow, ...]], ...] = (
    (measure_nodes, (ADDED, KILLED)),
    (measure_leaders, (LEADER_KILLED, LEADER_RESIGNED)),
    (measure_cpu, (CPU,)),
)


def measure_membership(
    rows: Sequence[MembershipRow],
    *,
    rounds: int,
    logs: Path,
    tell: Callable[[str], object],
    places: Sequence[str] = PLACES,
) -> tuple[Samples, list[str]]:
    """Return what was measured for `rows`, and what failed. Nothing that was started is left.

    `rounds`: how often each change is made, 2 or more; of leaders half as often.
    """
    samples: Samples = {}
    failures: list[str] = []
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="swarmproxy-bench-")))
        newcomers = _start_engines(stack, logs, "newcomer", rounds, CONTAINERS)
        crowd = _start_engines(stack, logs, "crowd", ENTRIES + rounds, 0)
        for number, name in enumerate(places):
            wanted = [row for row in rows if name in row.places]
            if not wanted:
                continue
            try:
                with open_place(name, directory / str(number)) as place:
                    stage = Stage(place=place, name=name, logs=logs, newcomers=newcomers, crowd=crowd, rounds=rounds)
                    _measure_in(stage, wanted, samples, tell)
            except (ChangeError, RuntimeError, AssertionError, SuiteUnavailableError, OSError) as error:
                failures.append(f"membership, {name}: {error}")
    return samples, failures


def _measure_in(stage: Stage, rows: Sequence[MembershipRow], samples: Samples, tell: Callable[[str], object]) -> None:
    """Put into `samples` what `rows` ask of this place. Raises ChangeError, RuntimeError."""
    keys = {row.key for row in rows}
    for measure, offered in PARTS:
        if not keys.intersection(row.key for row in offered):
            continue
        tell(f"{measure.__name__.replace('_', ' ')}: {stage.name}")
        for key, taken in measure(stage).items():
            if key in keys:
                samples.setdefault(key, {})[stage.name] = taken
