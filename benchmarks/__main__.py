"""`python -m benchmarks`: measure a direct engine, HAProxy and swarmproxy in one run, then how members come and go."""

import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click
import msgspec

from benchmarks.certificates import make_certificates
from benchmarks.changes import measure_membership
from benchmarks.membership import MEMBERSHIP_ROWS, Samples, membership_table, select_membership_rows
from benchmarks.report import Ratios, busy_hint, ratios, regressions, table
from benchmarks.rows import BENCHES, DIRECT, EXPORT_BYTES, HAPROXY, OTHER, OURS, ROWS, Bench, Row
from benchmarks.runner import Results, run_all, start_load
from benchmarks.stand import OUR_MANAGER, OUR_TLS_MANAGER, Plan, StandError, find_haproxy, set_up

HERE = Path(__file__).parent
RESULTS = HERE / "results"
BASELINE = HERE / "baseline.json"
QUICK_PART = 8  # of bodies, in a quick run
AGAINST_HELP = (
    "Measure another manager too, by its command line: {port} is where it is to listen,"
    " {engine} the port of its engine on 127.0.0.1."
)
AGAINST_TLS_HELP = "The same for the TLS rows, with {ca}, {cert} and {key}."


def select_rows(patterns: str) -> list[Row]:
    """Return the rows whose keys match one of the comma-separated patterns, all for an empty text."""
    if not patterns:
        return list(ROWS)
    wanted = [pattern.strip() for pattern in patterns.split(",")]
    return [row for row in ROWS if any(fnmatch(row.key, pattern) for pattern in wanted)]


def scale(bench: Bench, *, seconds: float, part: int) -> Bench:
    """Return the bench with another length: `seconds`, and one `part`-th of its bytes."""
    job = msgspec.structs.replace(bench.job, seconds=seconds, size_bytes=bench.job.size_bytes // part)
    return replace(bench, job=job)


def describe_machine(targets: Sequence[str]) -> str:
    """Return a line that says where the figures come from. Raises StandError when HAProxy is missing."""
    parts = [
        f"{len(os.sched_getaffinity(0))} cores (load {os.getloadavg()[0]:.1f} before)",
        f"Linux {platform.release()}",
        f"Python {platform.python_version()}",
        time.strftime("%Y-%m-%d"),
    ]
    if HAPROXY in targets:
        said = subprocess.run([find_haproxy(), "-v"], capture_output=True, text=True, check=True).stdout
        parts.append(f"HAProxy {said.split()[2]}")
    return ", ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One run of the benchmark."""

    rows: Sequence[Row]
    targets: Sequence[str]
    seconds: float
    repeats: int
    part: int
    against: str
    against_tls: str
    directory: Path  # for figures and logs

    @property
    def judged(self) -> str:
        """The target whose goals and ratios are shown."""
        return OURS if OURS in self.targets else self.targets[-1]


def measure(settings: Settings) -> tuple[Results, list[str]]:
    """Return all figures and what failed. Nothing that was started is left when this returns or raises."""
    wanted = {row.bench for row in settings.rows}
    results: Results = {}
    failures: list[str] = []
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="swarmproxy-bench-")))
        for tls in (False, True):
            chosen = [bench for bench in BENCHES if bench.key in wanted and bench.tls is tls]
            if not chosen:
                continue
            certificates = make_certificates(directory) if tls else None
            managers = {
                OURS: OUR_TLS_MANAGER if tls else OUR_MANAGER,
                OTHER: settings.against_tls if tls else settings.against,
            }
            plan = Plan(
                names=[name for name in settings.targets if managers.get(name, "-")],
                managers=managers,
                export_bytes=EXPORT_BYTES // settings.part,
                certificates=certificates,
                logs=settings.directory,
            )
            benches = [scale(bench, seconds=settings.seconds, part=settings.part) for bench in chosen]
            try:
                with set_up(plan) as targets, start_load(settings.directory, certificates) as load:
                    measured, failed = run_all(load, benches, targets, repeats=settings.repeats, tell=show_progress)
            except (StandError, RuntimeError) as error:
                failures.append(str(error))
            else:
                results |= measured
                failures += failed
    show_progress("")
    return results, failures


def show_progress(text: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{text}", nl=False, err=True)


def end_on_sigterm(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
    """Leave through all `finally` blocks, as ^C does."""
    sys.exit(128 + number)


CHECK_HELP = "Fail when a row is 25 % worse than the kept baseline; membership, which has no peer, is left out."


@click.command()
@click.option("--quick", is_flag=True, help="Short rounds: to see that it works, not to compare.")
@click.option("--rows", "patterns", default="", help="Only these rows, as comma-separated patterns: top-*,export")
@click.option("--targets", default=f"{DIRECT},{HAPROXY},{OURS}", show_default=True, help="What to measure.")
@click.option("--against", default="", metavar="CMD", help=AGAINST_HELP)
@click.option("--against-tls", default="", metavar="CMD", help=AGAINST_TLS_HELP)
@click.option("--repeats", default=0, help="How many rounds; 3 by default, 1 with --quick.")
@click.option(
    "--results",
    default=RESULTS,
    type=click.Path(path_type=Path),
    help="Where figures and logs go, in a directory for each run.",
)
@click.option("--check", is_flag=True, help=CHECK_HELP)
@click.option("--save-baseline", is_flag=True, help="Keep the ratios of this run as the baseline.")
@click.option("--list", "show_rows", is_flag=True, help="Print the keys of the rows and stop.")
def main(
    *,
    quick: bool,
    patterns: str,
    targets: str,
    against: str,
    against_tls: str,
    repeats: int,
    results: Path,
    check: bool,
    save_baseline: bool,
    show_rows: bool,
) -> None:
    """Measure a direct engine, HAProxy and swarmproxy in one run, and print one table."""
    if show_rows:
        click.echo("\n".join(f"{row.key:26} {row.title}" for row in (*ROWS, *MEMBERSHIP_ROWS)))
        return
    names = targets.split(",") + ([OTHER] if against or against_tls else [])
    if unknown := set(names) - {DIRECT, HAPROXY, OURS, OTHER}:
        raise click.UsageError(f"unknown target: {', '.join(sorted(unknown))}")
    settings = Settings(
        rows=select_rows(patterns),
        targets=names,
        seconds=0.3 if quick else 1.5,
        repeats=repeats or (1 if quick else 3),
        part=QUICK_PART if quick else 1,
        against=against,
        against_tls=against_tls,
        directory=results / time.strftime("%Y%m%d-%H%M%S"),
    )
    membership_rows = [] if check else select_membership_rows(patterns)
    if not settings.rows and not membership_rows:
        raise click.UsageError(f"no row matches {patterns!r}, see --list")
    signal.signal(signal.SIGTERM, end_on_sigterm)
    settings.directory.mkdir(parents=True, exist_ok=True)
    load = os.getloadavg()[0]
    try:
        described = describe_machine(names if settings.rows else ())
    except StandError as error:
        raise click.ClickException(str(error)) from error
    measured, failures = measure(settings)
    if settings.rows:
        click.echo(table(settings.rows, measured, names, judged=settings.judged))
        click.echo(f"\nMedian of {settings.repeats}; ratios, CPU and goals are those of {settings.judged}.\n")
    samples: Samples = {}
    if membership_rows:
        rounds = settings.repeats + 1
        samples, failed = measure_membership(
            membership_rows, rounds=rounds, logs=settings.directory, tell=show_progress
        )
        failures += failed
        show_progress("")
        click.echo(membership_table(membership_rows, samples) + "\n")
    click.echo(f"{described}.")
    found = ratios(settings.rows, measured, judged=settings.judged)
    path = settings.directory / "figures.json"
    kept = {"machine": described, "results": measured, "ratios": found, "membership": samples, "failures": failures}
    path.write_bytes(msgspec.json.format(msgspec.json.encode(kept)))
    click.echo(f"All figures: {path}")
    if check:
        kept_ratios = read_baseline()
        if worse := regressions(settings.rows, found, kept_ratios):
            failures += [*worse, *filter(None, [busy_hint(load, len(os.sched_getaffinity(0)))])]
        if not kept_ratios:
            failures.append(f"there is no {BASELINE.name} yet: make one with --save-baseline")
    if save_baseline:
        kept_ratios = read_baseline() | found  # rows that were not run keep theirs
        BASELINE.write_bytes(msgspec.json.format(msgspec.json.encode(kept_ratios)) + b"\n")
    for failure in failures:
        click.echo(f"FAILED {failure}", err=True)
    sys.exit(1 if failures else 0)


def read_baseline() -> Ratios:
    """Return the kept ratios, empty when none were kept yet."""
    return msgspec.json.decode(BASELINE.read_bytes(), type=Ratios) if BASELINE.exists() else {}


if __name__ == "__main__":
    main()
