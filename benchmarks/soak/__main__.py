"""`python -m benchmarks.soak`: a million requests on one manager, and what it keeps of them."""

import asyncio
import platform
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import click
import msgspec
import uvloop

from benchmarks.__main__ import RESULTS, end_on_sigterm, show_progress
from benchmarks.client import LoadError, Peer
from benchmarks.fleet.__main__ import take_all_descriptors
from benchmarks.large.stand import OUR_MANAGER, Fleet, start_fleet, start_manager
from benchmarks.processes import free_port
from benchmarks.soak.figures import Sample, Trend, plot, take, trend
from benchmarks.soak.work import Plan, Work
from benchmarks.stand import StandError, Target

DOCS = Path(__file__).parents[2] / "docs"
PAGE, PLOT = "reliability.md", "reliability-soak.svg"
BEGIN, END = "<!-- soak: begin -->", "<!-- soak: end -->"
MEMORY_ALLOWED_MIB = 2.0  # growth over the second half that is taken for noise
DESCRIPTORS_ALLOWED = 4.0  # idle connections come and go
TASKS_ALLOWED = 3.0
MANAGER = OUR_MANAGER.replace(" manage ", " manage --metrics-addr 127.0.0.1:{metrics} ")


class Result(msgspec.Struct, kw_only=True):
    """What a run came to, as it is kept."""

    machine: str
    requests: int
    done: dict[str, int]
    seconds: float
    samples: list[Sample]
    trends: dict[str, Trend]


async def soak(fleet: Fleet, plan: Plan, target: Target, metrics_port: int) -> tuple[list[Sample], Counter[str]]:
    """Do all rounds, and return what was used after each, and what was done. Raises LoadError, OSError."""
    assert target.child is not None
    work = Work(Peer(target.port), fleet, plan)
    await work.open()
    samples = []
    try:
        for number in range(plan.rounds):
            await work.round(number)
            samples.append(take(target.child, metrics_port, (number + 1) * plan.requests // plan.rounds))
            last = samples[-1]
            show_progress(f"{last.requests:,} requests: {last.memory_mib:.1f} MiB, {last.descriptors} descriptors")
    finally:
        work.close()
    return samples, work.done


def judge(samples: list[Sample], tolerance: float = 1.0) -> dict[str, Trend]:
    """Return how memory, descriptors, tasks and threads went; `tolerance` multiplies what they may grow by."""

    def of(name: str, allowed: float) -> Trend:
        return trend([(float(each.requests), float(getattr(each, name))) for each in samples], allowed=allowed)

    return {
        "memory, MiB": of("memory_mib", tolerance * MEMORY_ALLOWED_MIB),
        "descriptors": of("descriptors", tolerance * DESCRIPTORS_ALLOWED),
        "tasks": of("tasks", tolerance * TASKS_ALLOWED),
        "threads": of("threads", 1.0),
    }


def table(result: Result) -> str:
    """Return the figures in Markdown."""
    lines = [
        "| | first round | second half, mean | growth over the second half | allowed |  |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    first = result.samples[0]
    begun = (first.memory_mib, first.descriptors, first.tasks, first.threads)
    for (name, found), at_first in zip(result.trends.items(), begun, strict=True):
        verdict = "flat" if found.flat else "GROWS"
        row = f"| {name} | {at_first:.1f} | {found.mean:.1f} | {found.growth:+.2f} | {found.allowed:.2f} | {verdict} |"
        lines.append(row)
    done = ", ".join(f"{count:,} {name}" for name, count in sorted(result.done.items()))
    cpu_us = result.samples[-1].cpu_s / result.requests * 1e6
    lines += [
        "",
        f"{result.requests:,} requests in {result.seconds:.0f} s, {cpu_us:.0f} µs of the manager's processor time each,"
        f" all else included: {done}. {result.machine}",
    ]
    return "\n".join(lines)


def write_docs(text: str, drawing: str, *, docs: Path = DOCS) -> None:
    """Put the figures into the document, between its two marks, and the plot beside it."""
    page = docs / PAGE
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")
    (docs / PLOT).write_text(drawing)


@click.command()
@click.option("--requests", default=1_000_000, show_default=True, help="How many in all.")
@click.option("--events", default=200_000, show_default=True, help="How many the engines tell.")
@click.option("--streams", default=10_000, show_default=True, help="How many are opened and closed.")
@click.option("--rounds", default=100, show_default=True, help="After each of which is looked.")
@click.option("--engines", default=10, show_default=True)
@click.option("--containers", default=20, show_default=True, help="On each engine.")
@click.option("--tolerance", default=1.0, help="Of short runs, in which it is hardly warm: what may be more.")
@click.option("--results", default=RESULTS, type=click.Path(path_type=Path), help="Where figures, plot and logs go.")
@click.option("--docs", is_flag=True, help=f"Write table and plot into docs/{PAGE}.")
def main(
    *,
    requests: int,
    events: int,
    streams: int,
    rounds: int,
    engines: int,
    containers: int,
    tolerance: float,
    results: Path,
    docs: bool,
) -> None:
    """Load one manager for a long time, and see that it grows no more once it is warm."""
    signal.signal(signal.SIGTERM, end_on_sigterm)
    take_all_descriptors()
    logs = results / time.strftime("soak-%Y%m%d-%H%M%S")
    logs.mkdir(parents=True)
    plan = Plan(requests=requests, events=events, streams=streams, rounds=rounds)
    metrics_port = free_port()
    command = MANAGER.replace("{metrics}", str(metrics_port))
    begun = time.monotonic()
    try:
        with (
            start_fleet(engines, containers, logs) as fleet,
            start_manager("swarmproxy", command, fleet, logs / "manager.log") as ready,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            samples, done = runner.run(soak(fleet, plan, ready.target, metrics_port))
    except (LoadError, StandError, RuntimeError, OSError) as error:
        raise click.ClickException(f"{error}; logs are in {logs}") from error
    show_progress("")
    result = Result(
        machine=f"Linux {platform.release()}, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}",
        requests=requests,
        done=dict(done),
        seconds=time.monotonic() - begun,
        samples=samples,
        trends=judge(samples, tolerance),
    )
    text, drawing = table(result), plot(samples)
    click.echo(text)
    (logs / "figures.json").write_bytes(msgspec.json.format(msgspec.json.encode(result)))
    (logs / PLOT).write_text(drawing)
    click.echo(f"\nAll figures: {logs / 'figures.json'}")
    if docs:
        write_docs(text, drawing)
    sys.exit(0 if all(each.flat for each in result.trends.values()) else 1)


if __name__ == "__main__":
    main()
