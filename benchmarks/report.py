"""The table, and the comparison with the figures that are kept."""

from collections.abc import Iterable, Mapping, Sequence

from benchmarks.rows import DIRECT, HAPROXY, OURS, Figure, Row
from benchmarks.runner import Results

Ratios = dict[str, float]  # our figure relative to direct, by row
MOST_WORSE = 0.25
PER_OPERATION = {Figure.P50, Figure.RATE}
NAMES = {DIRECT: "direct", HAPROXY: "HAProxy", OURS: "swarmproxy"}


def figures_of(row: Row, results: Results) -> dict[str, float]:
    """Return the row's figure by target."""
    measured = results.get(row.bench, {})
    key = row.figure.value.key
    return {name: sample[key] for name, sample in measured.items() if name not in row.except_for and key in sample}


def table(rows: Iterable[Row], results: Results, names: Sequence[str], *, judged: str) -> str:
    """Return the results as a Markdown table. Ratios, processor time and goals are those of `judged`."""
    header = [
        "",
        "unit",
        *(NAMES.get(name, name) for name in names),
        "× direct",
        "× HAProxy",
        "CPU µs",
        "goal",
        "",
    ]
    lines = [header, ["---", "---", *["---:"] * (len(names) + 3), "---", "---"]]
    lines += [_line(row, results, names, judged) for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _line(row: Row, results: Results, names: Sequence[str], judged: str) -> list[str]:
    figures = figures_of(row, results)
    samples = results.get(row.bench, {})
    with_percentiles = row.figure is Figure.P50
    unit = "ms, p50 / p90 / p99" if with_percentiles else row.figure.value.unit
    cells = []
    for name in names:
        if name not in figures:
            cells.append("")
        elif with_percentiles:
            values = (samples[name][key] for key in ("p50_ms", "p90_ms", "p99_ms"))
            cells.append(" / ".join(map(row.figure.format, values)))
        else:
            cells.append(row.figure.format(figures[name]))
    ours = figures.get(judged)
    cpu_us = samples.get(judged, {}).get("cpu_us")
    cpu = f"{cpu_us:,.0f}" if cpu_us is not None and row.figure in PER_OPERATION else ""
    goal = str(row.goal) if row.goal else ""
    verdict = ""
    if row.goal:
        verdict = "ok" if ours is not None and row.goal.is_met(ours, figures) else "MISS"
    haproxy = None if row.figure is Figure.GROWTH else figures.get(HAPROXY)
    return [row.title, unit, *cells, _ratio(ours, figures.get(DIRECT)), _ratio(ours, haproxy),
            cpu, goal, verdict]  # fmt: skip


def _ratio(ours: float | None, peer: float | None) -> str:
    return f"{ours / peer:.2f}" if ours is not None and peer else ""


def ratios(rows: Iterable[Row], results: Results, *, judged: str) -> Ratios:
    """Return the figure of `judged` over the direct one, for each row that has both."""
    found: Ratios = {}
    for row in rows:
        figures = figures_of(row, results)
        if judged in figures and figures.get(DIRECT):
            found[row.key] = figures[judged] / figures[DIRECT]
    return found


def worse_by(now: float, kept: float, *, higher_is_better: bool) -> float:
    """Return by which share `now` is worse than `kept`, below 0 when it is better."""
    change = now / kept
    return 1 - change if higher_is_better else change - 1


def busy_hint(load: float, cores: int) -> str:
    """Return what to say of a comparison if the machine had other work before it began, else nothing.

    A manager loses more by that than the engine that it is compared with: each of its hops waits for a core.
    """
    if load < cores / 2:
        return ""
    return f"the machine was busy before (load {load:.1f} on {cores} cores): compare again when it is not"


def regressions(rows: Iterable[Row], now: Mapping[str, float], kept: Mapping[str, float]) -> list[str]:
    """Return a sentence for each row whose ratio to direct is worse than the kept one by 25 % or more."""
    found = []
    for row in rows:
        if row.key not in now or row.key not in kept:
            continue
        worse = worse_by(now[row.key], kept[row.key], higher_is_better=row.figure.value.higher_is_better)
        if worse >= MOST_WORSE:
            found.append(f"{row.key}: {worse:.0%} worse: {now[row.key]:.3g} × direct, was {kept[row.key]:.3g}")
    return found
