"""Measures one manager at one size."""

import signal
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.fleet.control import Ask
from benchmarks.jobs import Job, Kind
from benchmarks.large.benches import CREATES, REMOVE, REQUESTS, STREAMS, TOP, Bench, Scene
from benchmarks.large.stand import Fleet, Ready, kill, look, start_fleet, start_haproxy, start_manager
from benchmarks.processes import Child
from benchmarks.rows import DIRECT
from benchmarks.runner import BenchError, Load, Sample, start_load, take_sample
from benchmarks.stand import StandError, Target

FLAG_DEADLINE_S = 30.0
FLAG_POLL_S = 0.25
SETTLE_S = 0.3
LARGE = 1000  # engines: smaller fleets are watched idle for half as long

Samples = dict[str, dict[str, Sample]]
"""Figures by bench, then by target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How to measure: the managers' command lines by name, and for how long."""

    managers: dict[str, str]
    containers: int
    seconds: float
    idle_s: float
    readers: int
    burst: int
    faults: bool
    haproxy: bool
    logs: Path
    tell: Callable[[str], object]


def measure(size: int, plan: Plan) -> tuple[Samples, list[str]]:
    """Return the figures of all managers over `size` engines, and what failed."""
    samples: Samples = {}
    failures: list[str] = []
    for name, command in plan.managers.items():
        is_first = name == next(iter(plan.managers))
        directory = plan.logs / f"{size}-{name}"
        directory.mkdir(parents=True)
        try:
            with ExitStack() as stack:
                fleet = stack.enter_context(start_fleet(size, plan.containers, directory))
                load = stack.enter_context(start_load(directory, None, str(fleet.control_path)))
                peers = [fleet.direct()] if is_first else []
                if is_first and plan.haproxy:
                    peers.append(stack.enter_context(start_haproxy(fleet, directory)))
                plan.tell(f"{size:,} engines: {name} starts")
                ready = stack.enter_context(start_manager(name, command, fleet, directory / "manager.log"))
                round_ = _Round(plan, fleet, load, ready, peers, samples, failures)
                round_.run()
        except (StandError, RuntimeError, OSError) as error:
            failures.append(f"{size} engines, {name}: {error}")
    return samples, failures


class _Round:
    """All measurements of one manager."""

    def __init__(
        self,
        plan: Plan,
        fleet: Fleet,
        load: Load,
        ready: Ready,
        peers: Sequence[Target],
        samples: Samples,
        failures: list[str],
    ) -> None:
        self._plan = plan
        self._fleet = fleet
        self._load = load
        self._ready_s = ready.seconds
        self._target = ready.target
        self._peers = peers
        self._samples = samples
        self._failures = failures
        assert ready.target.child is not None
        self._child: Child = ready.target.child
        self._scene = Scene(
            engines=fleet.in_one_process,
            containers=plan.containers,
            seconds=plan.seconds,
            readers=plan.readers,
            burst=plan.burst,
        )

    def run(self) -> None:
        self._keep("ready", {"ready_s": self._ready_s, **self._memory(), "cpu_s": self._child.cpu_s()})
        self._idle()
        self._all_of(REQUESTS)
        self._create()
        self._all_of(STREAMS)
        if self._plan.faults:
            self._spoil()

    def _keep(self, key: str, sample: Sample, name: str = "") -> None:
        self._samples.setdefault(key, {})[name or self._target.name] = sample

    def _tell(self, what: str) -> None:
        self._plan.tell(f"{self._fleet.size:,} engines: {self._target.name}, {what}")

    def _memory(self) -> Sample:
        return {"memory_mib": self._child.memory_kib() / 1024}

    def _idle(self) -> None:
        idle_s = self._plan.idle_s if self._fleet.size >= LARGE else self._plan.idle_s / 2
        self._tell(f"idle for {idle_s:g} s")
        begun, cpu_s = time.monotonic(), self._child.cpu_s()
        time.sleep(idle_s)
        share = (self._child.cpu_s() - cpu_s) / (time.monotonic() - begun)
        self._keep("idle", {"idle_percent": share * 100, **self._memory()})

    def _all_of(self, benches: Iterable[Bench]) -> None:
        """Run each bench, and beside it the same against an engine alone."""
        for bench in benches:
            self._one(bench)
            for peer in self._peers:
                if bench.direct is not None and (peer.name == DIRECT or bench.passes_haproxy):
                    self._run(bench.key, bench.direct(self._scene), peer)

    def _one(self, bench: Bench) -> None:
        self._run(bench.key, bench.make(self._scene), self._target)

    def _run(self, key: str, job: Job, target: Target) -> None:
        self._tell(f"{key}: {target.name}")
        try:
            self._keep(key, take_sample(self._load, job, target), target.name)
        except BenchError as failure:
            self._failures.append(f"{self._fleet.size} engines, {key}, {target.name}: {failure}")
        time.sleep(SETTLE_S)

    def _create(self) -> None:
        before = self._fleet.control.send(Ask()).containers
        self._all_of(CREATES)
        after = self._fleet.control.send(Ask()).containers
        made = [now - then for now, then in zip(after, before, strict=True)]
        self._keep("spread", {"uneven": max(made) - min(made), "created": sum(made)})
        self._one(REMOVE)

    def _spoil(self) -> None:
        """Kill one engine and stop another; see when the manager says so, and what it costs everybody else."""
        self._tell("an engine refuses, another hangs")
        job = Job(kind=Kind.REQUESTS, path=self._scene.asked(TOP)[0], seconds=FLAG_POLL_S)
        healthy = look(self._target.port).healthy
        beside: list[Sample] = []
        begun = time.monotonic()
        kill(self._fleet.refusing, signal.SIGKILL)
        kill(self._fleet.hung, signal.SIGSTOP)
        try:
            for flagged, key in enumerate(("refusing", "hung"), start=1):
                while look(self._target.port).healthy > healthy - flagged:
                    if time.monotonic() > begun + FLAG_DEADLINE_S:
                        raise BenchError(f"{key}: not flagged within {FLAG_DEADLINE_S:g} s")
                    beside.append(take_sample(self._load, job, self._target))
                self._keep(key, {"flagged_s": time.monotonic() - begun})
        except BenchError as failure:
            self._failures.append(f"{self._fleet.size} engines: {failure}")
        if beside:
            calm = {key: median(sample[key] for sample in beside) for key in beside[0]}
            worst = max(sample["p99_ms"] for sample in beside)
            self._keep("top-beside", {**calm, "p99_ms": worst, **self._memory()})
