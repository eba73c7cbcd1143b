"""`python -m benchmarks.large`: what a manager costs from ten engines to ten thousand."""

import os
import platform
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import click
import msgspec

from benchmarks.__main__ import BASELINE, RESULTS, end_on_sigterm, read_baseline, show_progress
from benchmarks.fleet.__main__ import take_all_descriptors
from benchmarks.large.measure import Plan, measure
from benchmarks.large.report import Results, median_of, misses, plots, ratios, regressions, table, write_docs
from benchmarks.large.stand import OUR_MANAGER
from benchmarks.report import busy_hint
from benchmarks.rows import OTHER, OURS
from benchmarks.stand import StandError, find_haproxy

SIZES = "10x30,100x30,1000x30,10000x30"
CHECKED = "10x30,1000x30"
ROUNDS = 3  # of a run that is compared
AGAINST_HELP = (
    "Measure another manager too, by its command line, with {port} for its own and {nodes} for a file:// URL."
)
CLASSIC_FROM = (
    "Classic's figures are those of Swarm 1.2.9 on 2 shared x86-64 cores, with simulated engines like these: medians,"
    " in the unit of the row. They are not from this machine and run."
)


def parse_sizes(text: str) -> tuple[tuple[int, ...], int]:
    """Return the numbers of engines in "10x30,1000x30", and how many containers each has. Raises UsageError."""
    try:
        pairs = [tuple(map(int, part.split("x"))) for part in text.split(",")]
        sizes, containers = tuple(engines for engines, _ in pairs), {number for _, number in pairs}
    except ValueError as error:
        raise click.UsageError(f"{text!r} is not like {SIZES}") from error
    if len(containers) != 1:
        raise click.UsageError("all sizes have the same number of containers on an engine")
    return tuple(sorted(sizes)), containers.pop()


def has_haproxy() -> bool:
    """Return whether HAProxy is there, and say so if its column stays empty."""
    try:
        find_haproxy()
    except StandError as error:
        click.echo(error, err=True)
        return False
    return True


@click.command()
@click.option("--sizes", default="", help=f"Engines and containers on each; {SIZES} by default, {CHECKED} to compare.")
@click.option("--quick", is_flag=True, help="Short rounds: to see that it works, not to compare.")
@click.option(
    "--idle",
    "idle_s",
    default=0.0,
    help="Seconds of idling, half of them below 1,000 engines; by default 60, with --quick 2.",
)
@click.option("--manager", default=OUR_MANAGER, metavar="CMD", help="The command line of what is judged.")
@click.option("--against", default="", metavar="CMD", help=AGAINST_HELP)
@click.option("--results", default=RESULTS, type=click.Path(path_type=Path), help="Where figures, plots and logs go.")
@click.option("--docs", is_flag=True, help="Write table and plots into docs/performance.*")
@click.option("--check", is_flag=True, help="Fail when a row is 25 % worse than the kept baseline.")
@click.option("--save-baseline", is_flag=True, help="Keep the ratios of this run as the baseline.")
def main(
    *,
    sizes: str,
    quick: bool,
    idle_s: float,
    manager: str,
    against: str,
    results: Path,
    docs: bool,
    check: bool,
    save_baseline: bool,
) -> None:
    """Measure a manager over fleets of several sizes, and print one table."""
    signal.signal(signal.SIGTERM, end_on_sigterm)
    take_all_descriptors()  # for the managers, too
    engines, containers = parse_sizes(sizes or (CHECKED if check else SIZES))
    logs = results / time.strftime("large-%Y%m%d-%H%M%S")
    managers = {OURS: manager, **({OTHER: against} if against else {})}
    plan = Plan(
        managers=managers,
        containers=containers,
        seconds=0.1 if quick else 0.7,
        idle_s=idle_s or (2.0 if quick or check else 60.0),
        readers=100 if quick else 1000,
        burst=1000 if quick else 100_000,
        haproxy=has_haproxy(),
        faults=not check,  # what they cost is no matter of ratios
        logs=logs,
        tell=show_progress,
    )
    load = os.getloadavg()[0]
    rounds: list[Results] = []
    failures: list[str] = []
    for number in range(ROUNDS if check else 1):
        rounds.append({})
        for size in engines:
            # What stands before one engine costs the same in a large fleet.
            this = replace(plan, logs=logs / str(number), haproxy=plan.haproxy and size == engines[0])
            rounds[-1][size], failed = measure(size, this)
            failures += failed
    found = rounds[-1]
    show_progress("")
    machine = (
        f"{len(os.sched_getaffinity(0))} cores (load {load:.1f} before), {platform.machine()},"
        f" Linux {platform.release()}, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}"
    )
    parts = [
        table(found, list(managers)),
        f"p50 / p90 / p99 of latencies; {containers} containers on each engine. {machine}. {CLASSIC_FROM}",
    ]
    if missed := misses(found, OURS):
        parts.append("What limits the rows that miss a goal:")
        parts.append("\n".join(f"- {sentence}" for sentence in missed))
    text = "\n\n".join(parts)
    click.echo(text)
    drawings = plots(found, OURS)
    for file, drawing in drawings.items():
        (logs / file).write_text(drawing)
    now = median_of([ratios(each, OURS) for each in rounds])
    kept = {"machine": machine, "managers": managers, "results": rounds, "ratios": now, "failures": failures}
    (logs / "figures.json").write_bytes(msgspec.json.format(msgspec.json.encode(kept)))
    click.echo(f"\nAll figures: {logs / 'figures.json'}")
    if docs:
        write_docs(text, drawings)
    kept_ratios = read_baseline()
    if check:
        if not now.keys() & kept_ratios.keys():
            failures.append(f"{BASELINE.name} has nothing to compare with: make it with --save-baseline")
        if worse := regressions(now, kept_ratios):
            failures += [*worse, *filter(None, [busy_hint(load, len(os.sched_getaffinity(0)))])]
    if save_baseline:
        BASELINE.write_bytes(msgspec.json.format(msgspec.json.encode(kept_ratios | now)) + b"\n")
    for failure in failures:
        click.echo(f"FAILED {failure}", err=True)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
