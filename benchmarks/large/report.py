"""The table, the plots and the comparison with what is kept."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from benchmarks.large.measure import Samples
from benchmarks.large.rows import ROWS, Figure, Row
from benchmarks.plot import draw
from benchmarks.report import MOST_WORSE, Ratios, worse_by
from benchmarks.rows import DIRECT, HAPROXY

NO_NUMBER = "-"
CALIBRATING = "ping"  # the bench whose direct figure stands for the machine where a row has no peer
DOCS = Path(__file__).parent.parent.parent / "docs"
PAGE = "performance.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"

Results = dict[int, Samples]  # by number of engines

PLOTS: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "performance-lists.svg": (
        "Lists and info",
        "milliseconds, median",
        ("ps", "info", "networks", "ps-limit", "ps-label", "ps-name", "ps-id"),
    ),
    "performance-requests.svg": (
        "One container",
        "milliseconds, median",
        ("create-1", "remove", "exec", "inspect", "inspect-name", "top-1"),
    ),
    "performance-whole.svg": (
        "The whole manager",
        "seconds, MiB, % of a core",
        ("ready", "memory", "idle"),
    ),
}


def value_of(row: Row, samples: Samples, name: str) -> float | None:
    """Return the figure that a row compares."""
    return samples.get(row.measured_by, {}).get(name, {}).get(row.figure.value.key)


def _cell(row: Row, samples: Samples, name: str) -> str:
    """Return all that is shown of a figure."""
    value = value_of(row, samples, name)
    if value is None:
        return NO_NUMBER
    unit, decimals = row.figure.value.unit, row.figure.value.decimals
    if row.figure is not Figure.LATENCY:
        return f"{value:,.{decimals}f} {unit}"
    sample = samples[row.measured_by][name]
    return " / ".join(_short(sample[key]) for key in ("p50_ms", "p90_ms", "p99_ms")) + " ms"


def _short(value: float) -> str:
    """Return a number with three digits that count."""
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def table(results: Results, names: Sequence[str], *, rows: Iterable[Row] = ROWS) -> str:
    """Return all rows at all sizes as a Markdown table. Processor time, ratio and goals are those of the first name."""
    judged = names[0]
    header = ["", "engines", *names, "rate /s", "CPU µs", "direct", "× direct", "HAProxy", "classic", "goal", ""]
    lines = [header, ["---", *["---:"] * (len(names) + 7), "---", "---"]]
    for row in rows:
        title = row.title
        for size, samples in results.items():
            lines.append(
                [title, f"{size:,}", *(_cell(row, samples, name) for name in names), *_rest(row, size, samples, judged)]
            )
            title = ""
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _rest(row: Row, size: int, samples: Samples, judged: str) -> list[str]:
    """Return the cells behind the figures."""
    sample = samples.get(row.measured_by, {}).get(judged, {})
    ours, direct = value_of(row, samples, judged), value_of(row, samples, DIRECT)
    per_operation = row.figure in {Figure.LATENCY, Figure.RATE}
    goals = row.goals.get(size, ())
    classic = row.classic.get(size)
    return [
        f"{sample['rate']:,.0f}" if per_operation and "rate" in sample else "",
        f"{sample['cpu_us']:,.0f}" if per_operation and "cpu_us" in sample else "",
        _peer_cell(row, direct),
        "" if direct is None or ours is None else f"{ours / direct:.2f}",
        _peer_cell(row, value_of(row, samples, HAPROXY)),
        "" if classic is None else f"{classic:,g}",
        ", ".join(map(str, goals)),
        ("ok" if all(goal.is_met(sample) for goal in goals) else "MISS") if goals else "",
    ]


def _peer_cell(row: Row, value: float | None) -> str:
    return "" if value is None else _short(value) if row.figure is Figure.LATENCY else f"{value:,.0f}"


def misses(results: Results, judged: str, *, rows: Iterable[Row] = ROWS) -> list[str]:
    """Return for each row that misses a goal what limits it."""
    found = []
    for row in rows:
        missed = [
            f"{size:,}"
            for size, samples in results.items()
            if not all(
                goal.is_met(samples.get(row.measured_by, {}).get(judged, {})) for goal in row.goals.get(size, ())
            )
        ]
        if missed:
            found.append(f"{row.title}, at {' and '.join(missed)} engines: {row.limit or 'why is not known yet'}.")
    return found


# -- what is kept


def ratios(results: Results, judged: str, *, rows: Iterable[Row] = ROWS) -> Ratios:
    """Return each figure that goes by the machine's speed as a ratio, by row and size: "top-1@10".

    To the direct engine in the same run, or where a row has no such peer, to how long a direct ping takes.
    """
    found: Ratios = {}
    for row in rows:
        if not row.figure.is_time:
            continue
        for size, samples in results.items():
            ours, direct = value_of(row, samples, judged), value_of(row, samples, DIRECT)
            ping_ms = samples.get(CALIBRATING, {}).get(DIRECT, {}).get("p50_ms")
            if ours is None or ping_ms is None:
                continue
            if direct is None:
                direct = 1000 / ping_ms if row.figure.value.higher_is_better else ping_ms
            found[f"{row.key}@{size}"] = ours / direct
    return found


def regressions(now: Ratios, kept: Ratios, *, rows: Iterable[Row] = ROWS) -> list[str]:
    """Return a sentence for each ratio that is worse than the kept one by 25 % or more."""
    found = []
    higher_is_better = {row.key: row.figure.value.higher_is_better for row in rows}
    for key in now.keys() & kept.keys():
        worse = worse_by(now[key], kept[key], higher_is_better=higher_is_better[key.partition("@")[0]])
        if worse >= MOST_WORSE:
            found.append(f"{key}: {worse:.0%} worse: {now[key]:.3g} × direct, was {kept[key]:.3g}")
    return sorted(found)


def median_of(runs: Sequence[Ratios]) -> Ratios:
    """Return the median of each ratio that all runs have."""
    common = set.intersection(*(set(run) for run in runs))
    return {key: statistics.median(run[key] for run in runs) for key in sorted(common)}


# -- plots and the document


def plots(results: Results, judged: str, *, rows: Iterable[Row] = ROWS) -> dict[str, str]:
    """Return drawings of cost against size, by file name."""
    known = {row.key: row for row in rows}
    drawings = {}
    for file, (title, y_label, keys) in PLOTS.items():
        lines = {}
        for key in keys:
            row = known[key]
            found = [(float(size), value_of(row, samples, judged)) for size, samples in results.items()]
            if line := [(size, value) for size, value in found if value]:
                unit = f", {row.figure.value.unit}" if file == "performance-whole.svg" else ""
                lines[row.title.replace("`", "") + unit] = line
        if lines:
            drawings[file] = draw(title, lines, x_label="engines, 30 containers on each", y_label=y_label)
    return drawings


def write_docs(text: str, drawings: Mapping[str, str], *, docs: Path = DOCS) -> None:
    """Put the figures into the document, between its two marks, and the plots beside it."""
    page = docs / PAGE
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")
    for file, drawing in drawings.items():
        (docs / file).write_text(drawing)
