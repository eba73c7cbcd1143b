"""Search for inputs that break a parser: `python -m tests.fuzz [TARGET...] [--seconds S | --runs N] [--seed N]`.

Coverage leads the search (atheris, on libFuzzer). What is learnt lies in .cache/fuzz and is built on the next time.
A find is written to tests/fuzz/found/TARGET, where it is a test from then on.
"""

import subprocess
import sys
from pathlib import Path

import click

from tests.fuzz.seeds import SEEDS
from tests.fuzz.targets import TARGETS

HERE = Path(__file__).parent
FOUND = HERE / "found"
LEARNT = HERE.parents[1] / ".cache" / "fuzz"
SLOWEST_S = 20  # for one input; none takes a thousandth of it


def search(target: str, learnt: Path, found: Path, *, seconds: int = 0, runs: int = 0, seed: int = 0) -> str:
    """Search for a while and return the closing report. Raises subprocess.CalledProcessError with a find."""
    corpus = learnt / target
    for directory in (corpus, found / target):
        directory.mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(SEEDS[target]):
        (corpus / f"seed-{number}").write_bytes(content)
    command = [sys.executable, "-m", "tests.fuzz.searching", target, str(corpus), f"-artifact_prefix={found / target}/"]
    command += [f"-timeout={SLOWEST_S}", "-rss_limit_mb=2048", "-max_len=4096", "-print_final_stats=1"]
    command += [f"-max_total_time={seconds}"] if seconds else []
    command += [f"-runs={runs}"] if runs else []
    command += [f"-seed={seed}"] if seed else []
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=HERE.parents[1], check=False)
    report = done.stdout.decode(errors="replace")
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, command, report)
    return report


@click.command()
@click.argument("targets", nargs=-1, type=click.Choice(list(TARGETS)))
@click.option("--seconds", default=60, show_default=True, help="for each target")
@click.option("--runs", default=0, help="end after so many inputs, whatever the time")
@click.option("--seed", default=0, help="of the random numbers; 0: another one each time")
def main(targets: tuple[str, ...], seconds: int, runs: int, seed: int) -> None:
    """Search in each of TARGETS, or in all."""
    failed = False
    for target in targets or TARGETS:
        try:
            report = search(target, LEARNT, FOUND, seconds=0 if runs else seconds, runs=runs, seed=seed)
        except subprocess.CalledProcessError as error:
            failed = True
            click.echo(f"{target}: FOUND\n{error.output}")
        else:
            click.echo(f"{target}: nothing; {summary(report)}")
    sys.exit(failed)


def summary(report: str) -> str:
    """Return how many inputs were tried and how many branches they reached, as libFuzzer says at the end."""
    tried = next((line.split()[-1] for line in report.splitlines() if "number_of_executed_units" in line), "?")
    reached = [line.split("cov: ")[1].split()[0] for line in report.splitlines() if "cov: " in line]
    return f"{tried} inputs, {reached[-1] if reached else '?'} branches"


if __name__ == "__main__":
    main()
