"""`python -m benchmarks.scheduling`: what one placement costs, from ten nodes to ten thousand.

Measured is what the manager does for a create but to talk to the engine: read the body, choose, take the place, write
the engine's body, take in the container that the engine then lists, give the place back. So each placement meets a
cluster that has changed since the one before.
"""

import functools
import gc
import json
import os
import platform
import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from benchmarks.filled import PER_NODE, FilledCluster
from benchmarks.plot import draw
from swarmproxy.cluster.references import own_network, resolve
from swarmproxy.engine.engine import Engine
from swarmproxy.model.container import Container, PortBinding
from swarmproxy.model.labels import ID
from swarmproxy.model.spec import ContainerSpec, body_for_engine
from swarmproxy.scheduler.strategy import Strategy

SIZES = (10, 100, 1000, 3000, 10_000)
QUICK_SIZES = (10, 100, 1000)
GOALS_MS = {1000: 2.0, 10_000: 15.0}
TOGETHER = 50
GIB = 1 << 30
DOCS = Path(__file__).parent.parent / "docs"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"

CONSTRAINTS = ("constraint:storage==ssd", "constraint:region!=region-3", "constraint:kernelversion==6.*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A kind of create. `{n}` in an expression, and the memory, is another number in each round: new to the manager."""

    key: str
    title: str
    env: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    limits: bool = False
    strategy: Strategy = Strategy.SPREAD
    together: int = 1  # so many are chosen before the first engine answers
    has_goal: bool = False


def _affine(key: str, title: str, expression: str, *, constraints: bool = True) -> Case:
    env = (*(CONSTRAINTS if constraints else ()), f"affinity:{expression}")
    return Case(key=key, title=title, env=env, has_goal=constraints)


CASES = (
    Case(key="spread", title="spread"),
    Case(key="binpack", title="binpack", strategy=Strategy.BINPACK),
    Case(key="random", title="random", strategy=Strategy.RANDOM),
    Case(key="limits", title="spread, memory and CPU", limits=True),
    Case(key="constraints", title="3 constraints", env=CONSTRAINTS),
    _affine("label", "3 and a label", "com.example.service!=service-{n}"),
    _affine("glob", "3 and names by glob", "container!=service-{n}-*"),
    _affine("regex", "3 and names by regex", "container!=/^service-{n}-[0-9]*7$/"),
    _affine("image", "3 and an image", "image!=registry.example.com/team/service-{n}"),
    Case(key="port", title="-p 80:80", ports=("80",)),
    Case(key="together", title=f"{TOGETHER} at once", limits=True, together=TOGETHER),
)


@dataclass(frozen=True, slots=True)
class Figures:
    """Milliseconds of CPU for one placement."""

    usual: float  # the median
    new: float  # the median of those whose expression nobody has used before


Results = dict[str, dict[int, Figures]]  # by case, then by size


def measure(filled: FilledCluster, case: Case, *, rounds: int) -> Figures:
    """Return what a placement costs; each container is removed again before the next round."""
    new: list[float] = []
    usual: list[float] = []
    gc.collect()
    for number in range(rounds):
        for again in range(3):
            bodies = [_body(case, number) for _ in range(case.together)]
            begun = time.process_time()
            made = _place(filled, case, bodies)
            spent_ms = (time.process_time() - begun) * 1000 / case.together
            (usual if again else new).append(spent_ms)
            for engine, container_id in made:
                engine.forget_container(container_id)
    return Figures(statistics.median(usual), statistics.median(new))


def _body(case: Case, number: int) -> bytes:
    host: dict[str, Any] = {"PortBindings": {f"{port}/tcp": [{"HostPort": port}] for port in case.ports}}
    if case.limits:
        host |= {"Memory": GIB + number, "NanoCpus": 500_000_000}
    env = ["PATH=/usr/bin", *(each.replace("{n}", str(number)) for each in case.env)]
    return json.dumps({"Image": "busybox", "Env": env, "Labels": {"team": "web"}, "HostConfig": host}).encode()


def _place(filled: FilledCluster, case: Case, bodies: Sequence[bytes]) -> list[tuple[Engine, str]]:
    """Do what `Placement` does for each of `bodies`, as if their engines answered when all have been chosen."""
    cluster, placement = filled.cluster, filled.placements[case.strategy]
    with ExitStack() as held:
        chosen = []
        for body in bodies:
            spec = ContainerSpec.parse(body)
            swarm_id = placement.new_swarm_id()
            wanted = resolve(spec, cluster)
            engine = placement.choose(wanted)
            held.enter_context(cluster.reservations.place(wanted, engine, swarm_id))
            sent = body_for_engine(
                spec, swarm_id=swarm_id, engine_cpus=64, rename_network=functools.partial(own_network, cluster=cluster)
            )
            chosen.append((engine, spec, swarm_id, sent))
        for engine, spec, swarm_id, _ in chosen:
            filled.put(
                engine,
                Container(
                    id=swarm_id,
                    name=f"new-{swarm_id[:8]}",
                    names=(f"/new-{swarm_id[:8]}",),
                    labels={ID: swarm_id, **spec.labels},
                    memory_bytes=spec.memory_bytes,
                    nano_cpus=spec.nano_cpus,
                    published=tuple(PortBinding(container_port="80/tcp", host_port=port) for port in case.ports),
                ),
            )
    return [(engine, swarm_id) for engine, _, swarm_id, _ in chosen]


def table(results: Results, sizes: Sequence[int]) -> str:
    """Return the results in Markdown: milliseconds, what a new expression costs, and all as a multiple of the first."""
    largest = sizes[-1]
    plain = results["spread"][largest].usual
    new_sizes = [f"new, {size:,}" for size in GOALS_MS]
    header = ["CPU ms for one placement", *(f"{size:,} nodes" for size in sizes), *new_sizes, "× spread", "goal", ""]
    lines = [header, ["---", *["---:"] * (len(sizes) + 1 + len(GOALS_MS)), "---", "---"]]
    for case in CASES:
        found = results[case.key]
        cells = [f"{found[size].usual:.3g}" for size in sizes]
        is_new = case.limits or any("{n}" in each for each in case.env)
        new = [f"{found[size].new:.3g}" if is_new and size in found else "" for size in GOALS_MS]
        goals = [size for size in sizes if case.has_goal and size in GOALS_MS]
        goal = ", ".join(f"{GOALS_MS[size]:g} at {size:,}" for size in goals)
        met = all(found[size].usual <= GOALS_MS[size] for size in goals)
        verdict = ("ok" if met else "MISS") if goals else ""
        lines.append([case.title, *cells, *new, f"{found[largest].usual / plain:.2f}", goal, verdict])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def plot(results: Results) -> str:
    """Return the drawing of how the cost grows with the cluster."""
    lines = {
        case.title: [(float(size), figures.usual) for size, figures in results[case.key].items()] for case in CASES
    }
    return draw(
        f"One placement, {PER_NODE} containers on each node",
        lines,
        x_label="nodes",
        y_label="milliseconds of CPU",
        goals={f"goal {goal:g} ms": (float(size), goal) for size, goal in GOALS_MS.items()},
    )


def write_docs(text: str, drawing: str, *, docs: Path = DOCS) -> None:
    """Put the figures into the document, between its two marks."""
    page = docs / "scheduling.md"
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")
    (docs / "scheduling.svg").write_text(drawing)


@click.command()
@click.option("--quick", is_flag=True, help="Up to a thousand nodes, and few rounds: to see that it works.")
@click.option("--docs", is_flag=True, help="Write table and plot into docs/.")
def main(*, quick: bool, docs: bool) -> None:
    """Measure what one placement costs, from ten nodes to ten thousand."""
    sizes = QUICK_SIZES if quick else SIZES
    results: Results = {case.key: {} for case in CASES}
    for size in sizes:
        click.echo(f"{size:,} nodes, {size * PER_NODE:,} containers", err=True)
        filled = FilledCluster(size)
        for case in CASES:
            rounds = 2 if quick else 9 if case.together == 1 else 3
            results[case.key][size] = measure(filled, case, rounds=rounds)
    text = (
        f"{table(results, sizes)}\n\nMedian; {platform.machine()}, Python {platform.python_version()},"
        f" load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}."
    )
    click.echo(text)
    if docs:
        write_docs(text, plot(results))


if __name__ == "__main__":
    main()
