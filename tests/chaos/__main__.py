"""`python -m tests.chaos`: a run of its own, in a sandbox."""

import random
import sys
from pathlib import Path

import click

from tests.chaos.report import write_docs
from tests.chaos.running import run
from tests.chaos.schedule import STORES
from tests.chaos.stand import run_directory
from tests.hosts import sandbox, suites


@click.command()
@click.option("--seconds", default=600.0, show_default=True, help="For how long; the last storm is seen to its end.")
@click.option("--seed", default=-1, help="The same seed is the same schedule; any by default.")
@click.option("--store", type=click.Choice(STORES), help="By default the seed says which.")
@click.option("--json", "output", type=click.Path(path_type=Path), help="Write all that came of it here, too.")
@click.option(
    "--logs", type=click.Path(path_type=Path), help="Keep the logs of managers and engines in this directory."
)
@click.option("--docs", is_flag=True, help="Write the table into docs/reliability.md.")
def main(*, seconds: float, seed: int, store: str | None, output: Path | None, logs: Path | None, docs: bool) -> None:
    """Let faults befall real engines, a real store and three managers, and see that every promise is kept."""
    if not sandbox.is_inside():
        suites.main()
        sandbox.enter([sys.executable, "-m", "tests.chaos", *sys.argv[1:]])
    seed = seed if seed >= 0 else random.randrange(1_000_000)
    report = run(seed, seconds, store=store or "", directory=run_directory(), logs=logs)
    click.echo(report.table())
    for each in report.violations:
        click.echo(f"BROKEN: {each}", err=True)
    if output is not None:
        output.write_text(report.to_json())
    if docs:
        write_docs(report.table())
    sys.exit(1 if report.violations else 0)


if __name__ == "__main__":
    main()
