"""One run: storms of faults with clients in them, and after each the look at what must be true."""

import contextlib
import heapq
import http.client
import itertools
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.chaos.calm import check_execs, clean_up, crashes, settle, wait_until_up, work
from tests.chaos.clients import Client
from tests.chaos.faults import Faults
from tests.chaos.ledger import Ledger
from tests.chaos.report import Report, Sample
from tests.chaos.schedule import Storm, store_of, storms
from tests.chaos.stand import METRICS_PORT, Stand
from tests.chaos.watching import EngineWatch, LeaderWatch, read_all
from tests.hosts.manager import REPOSITORY, Manager

CLIENTS = 3
GROWTH = {"memory_mib": 48, "descriptors": 40, "tasks": 20, "threads": 4}
"""Of one process, from its first quiet on: what it keeps of requests past is bounded, idle connections come and go."""
ANSWER_S = 60.0  # a guard
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def run(seed: int, seconds: float, *, store: str = "", directory: Path, logs: Path | None = None) -> Report:
    """Return what came of a run of at least `seconds`: the last storm is looked at as all others are.

    `logs`: where to keep those of managers and engines.
    """
    begun = time.monotonic()
    report = Report(seed=seed, store=store or store_of(seed), commit=commit())
    print(f"chaos: seed {seed}, {report.store}, {seconds:.0f} s", flush=True)
    with Stand(directory, store=report.store) as stand:
        ledger = Ledger()
        chaos = Chaos(stand, ledger, report, seed)
        try:
            chaos.run(storms(seed), begun + seconds)
        finally:
            report.seconds = time.monotonic() - begun
            report.cpu_s = cpu_s()
            chaos.end()
            if logs is not None:
                keep_logs(stand, logs)
    return report


class Chaos:
    """Clients, faults and what watches over them."""

    def __init__(self, stand: Stand, ledger: Ledger, report: Report, seed: int) -> None:
        self._stand = stand
        self._ledger = ledger
        self._report = report
        self._faults = Faults(stand, ledger)
        self._clients = [Client(number, seed, stand, ledger) for number in range(1, CLIENTS + 1)]
        self._inspector = Client(0, seed, stand, ledger, demands=True)
        self._leaders = LeaderWatch(stand, ledger)
        self._engines = EngineWatch(stand, ledger)
        self._logs_read = dict.fromkeys(stand.managers, 0)

    def run(self, weather: Iterator[Storm], end: float) -> None:
        """Let storm follow storm until `end`."""
        for thread in (*self._clients, self._leaders, self._engines):
            thread.start()
        self._look()
        for storm in weather:
            for client in self._clients:
                client.go()
            self._storm(storm)
            self._report.storms += 1
            self._look()
            if time.monotonic() > end:
                return

    def _storm(self, storm: Storm) -> None:
        """Let all faults of `storm` come and go."""
        begun = time.monotonic()
        order = itertools.count()
        due: list[tuple[float, int, Callable[[], None]]] = []

        def begin(at: int) -> None:
            fault = storm[at]
            mend = self._faults.begin(fault)
            if mend is None:
                self._report.skipped += 1
            else:
                heapq.heappush(due, (time.monotonic() - begun + fault.lasts_s, next(order), mend))

        for at, fault in enumerate(storm):
            heapq.heappush(due, (fault.begins_s, next(order), lambda at=at: begin(at)))  # type: ignore[misc]
        while due:
            when, _, act = heapq.heappop(due)
            time.sleep(max(0.0, begun + when - time.monotonic()))
            act()

    def _look(self) -> None:
        """See that all is as it must be, once nothing is going on."""
        for client in self._clients:
            client.pause()
        wait_until_up(self._stand)
        for client in self._clients:
            client.rest()
        took_s = settle(self._stand, self._ledger)
        self._report.settled_s.append(took_s)
        print(f"{time.strftime('%H:%M:%S')} all was right after {took_s:.1f} s of quiet", flush=True)
        truth = read_all(self._stand)
        check_execs(self._stand, self._ledger, truth)
        clean_up(self._stand, self._ledger, self._inspector, truth)
        work(self._stand, self._inspector)
        self._sample()

    def _sample(self) -> None:
        at_s = time.monotonic()
        for manager in self._stand.managers:
            found, self._logs_read[manager] = crashes(manager, since=self._logs_read[manager])
            for each in found:
                self._ledger.violate(f"{manager.address} has crashed:\n{each}")
            self._report.samples.append(sample(manager, at_s))
        for manager in self._stand.managers:
            mine = [each for each in self._report.samples if each.pid == manager.pid]
            for name, most in GROWTH.items():
                grown = getattr(mine[-1], name) - getattr(mine[0], name)
                if grown > most:
                    self._ledger.violate(f"{manager.address} has {grown:.0f} more {name} than at first")

    def end(self) -> None:
        """Stop everything that we started, and write down what came of it."""
        for client in self._clients:
            client.pause()
            client.end()
        self._leaders.end()
        self._engines.end()
        report = self._report
        report.faults = self._faults.done
        report.operations = self._ledger.operations
        report.violations = self._ledger.violations
        report.looks = self._leaders.rounds
        report.leaders = self._leaders.changes
        report.longest_without_leader_s = self._leaders.longest_without_s


def keep_logs(stand: Stand, into: Path) -> None:
    """Copy the logs of managers and engines."""
    into.mkdir(parents=True, exist_ok=True)
    for directory in [each.directory for each in stand.managers] + [each.directory for each in stand.engines]:
        shutil.copy(directory / "log", into / f"{directory.name}.log")


def sample(manager: Manager, at_s: float) -> Sample:
    """Return what a manager's process uses now."""
    process = Path(f"/proc/{manager.pid}")
    fields = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines() if ":" in line)
    return Sample(
        manager=manager.address,
        pid=manager.pid,
        at_s=at_s,
        memory_mib=int(fields["VmRSS"].split()[0]) / 1024,
        descriptors=len(list((process / "fd").iterdir())),
        tasks=count_tasks(manager),
        threads=int(fields["Threads"]),
    )


def count_tasks(manager: Manager) -> int:
    """Return how many tasks a manager's loop has, by its own account."""
    host = manager.address.partition(":")[0]
    with contextlib.closing(http.client.HTTPConnection(host, METRICS_PORT, timeout=ANSWER_S)) as connection:
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
    return next(int(float(line.split()[1])) for line in lines if line.startswith("swarmproxy_tasks "))


def cpu_s() -> float:
    """Return the processor time of all processes of this sandbox, ended ones included."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            ticks += sum(map(int, stat.read_text().rpartition(")")[2].split()[11:15]))
        except OSError:
            continue
    return ticks / CLOCK_TICKS


def commit() -> str:
    """Return the commit that runs, as short as git has it; empty where there is none."""
    return git("describe", "--always", "--dirty", "--exclude=*")


def seed_of_commit() -> int:
    """Return the seed of the commit that runs: each has another, and a second run of it the same; 1 without git."""
    return int(git("rev-parse", "HEAD")[:6] or "1", 16)


def git(*arguments: str) -> str:
    """Return what git prints; empty if it fails."""
    try:
        done = subprocess.run(["git", *arguments], check=False, capture_output=True, text=True, cwd=REPOSITORY)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
