"""Runs benches against targets, in turn, and collects what they cost."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import msgspec

from benchmarks.certificates import Certificates, ciphers_as_docker
from benchmarks.jobs import Job, Kind, Order, Outcome
from benchmarks.processes import Child
from benchmarks.rows import MIB, Bench
from benchmarks.stand import Target

SETTLE_S = 0.3  # for what a row leaves behind: closed connections, events of removed containers

Sample = dict[str, float]  # figures by name, see `Figure` and `take_sample`
MEMORY_KEYS = frozenset({"growth_mib", "stream_kib"})


class Load:
    """The load generator's process."""

    def __init__(self, child: Child, certificates: Certificates | None, control: str = "") -> None:
        self._child = child
        self._certificates = str(certificates.directory) if certificates else ""
        self._control = control

    def run(self, job: Job, target: Target) -> Outcome:
        """Return what `job` came to against `target`. Raises RuntimeError when the generator died."""
        self.start(job, target)
        return self.finish()

    def start(self, job: Job, target: Target) -> None:
        """Begin with `job`; one at a time."""
        order = Order(
            job=job, port=target.port, host=target.host, certificates=self._certificates, control=self._control
        )
        self._child.write_line(msgspec.json.encode(order).decode())

    def finish(self) -> Outcome:
        """Return what the job that was started came to. Raises RuntimeError when the generator died."""
        return msgspec.json.decode(self._child.read_line(), type=Outcome)


@contextmanager
def start_load(logs: Path, certificates: Certificates | None, control: str = "") -> Iterator[Load]:
    """Yield a running load generator; `control` is the socket of the fleet that it may give orders to."""
    preferring = ciphers_as_docker(certificates.directory) if certificates else ()
    child = Child((*preferring, sys.executable, "-m", "benchmarks.load"), logs / "load.log", piped=True)
    try:
        yield Load(child, certificates, control)
    finally:
        child.stop()


class BenchError(Exception):
    """A bench that came to nothing."""


def take_sample(load: Load, job: Job, target: Target) -> Sample:
    """Return the figures of one run: latencies and rates, and what the target spent. Raises BenchError."""
    child = target.child
    cpu_s = memory_kib = 0.0
    if child is not None:
        if not child.alive:
            raise BenchError(f"the process has ended, see {child.log}")
        child.reset_peak()
        memory_kib, cpu_s = child.memory_kib(), child.cpu_s()
    outcome = load.run(job, target)
    if outcome.error or not outcome.operations:
        raise BenchError(outcome.error or "not one operation was done in time")
    sample = {
        "operations": outcome.operations,
        "p50_ms": outcome.p50_ms,
        "p90_ms": outcome.p90_ms,
        "p99_ms": outcome.p99_ms,
        "last_ms": outcome.last_ms,
        "rate": outcome.operations / outcome.seconds,
        "mb_s": outcome.moved_bytes / outcome.seconds / 1e6,
    }
    if child is not None:
        if job.kind is Kind.OPEN_STREAMS:
            time.sleep(SETTLE_S)
            sample["stream_kib"] = (child.memory_kib() - memory_kib) / job.clients
        sample["cpu_us"] = (child.cpu_s() - cpu_s) / (outcome.operations + outcome.warm_up) * 1e6
        sample["growth_mib"] = (child.peak_memory_kib() - memory_kib) * 1024 / MIB
    return sample


def run_bench(load: Load, bench: Bench, target: Target) -> Sample:
    """Return the figures of one run, and leave the target as it was. Raises BenchError."""
    try:
        return take_sample(load, bench.job, target)
    finally:
        if bench.job.kind is Kind.OPEN_STREAMS:
            load.run(Job(kind=Kind.CLOSE_STREAMS), target)
        time.sleep(SETTLE_S)


def combine(samples: Sequence[Sample]) -> Sample:
    """Return the median of each figure; of memory the most: what is free already does not grow."""
    return {key: (max if key in MEMORY_KEYS else median)([sample[key] for sample in samples]) for key in samples[0]}


Results = dict[str, dict[str, Sample]]  # by bench, then by target


def run_all(
    load: Load,
    benches: Iterable[Bench],
    targets: Sequence[Target],
    *,
    repeats: int,
    tell: Callable[[str], object],
) -> tuple[Results, list[str]]:
    """Return the figures of all benches, and what failed.

    The targets take turns within each repeat, so what disturbs the machine disturbs all of them.
    """
    results: Results = {}
    failures = []
    for bench in benches:
        samples: dict[str, list[Sample]] = {}
        wanted = [target for target in targets if target.name not in bench.except_for]
        for repeat in range(repeats):
            for target in wanted:
                tell(f"{bench.key}: {target.name}, {repeat + 1} of {repeats}")
                try:
                    samples.setdefault(target.name, []).append(run_bench(load, bench, target))
                except BenchError as failure:
                    failures.append(f"{bench.key}, {target.name}: {failure}")
        results[bench.key] = {name: combine(taken) for name, taken in samples.items() if taken}
    return results, failures
