"""Tests of benchmarks/large/."""

import subprocess
import sys
from pathlib import Path

import click
import msgspec
import pytest

from benchmarks.framing import as_chunk
from benchmarks.large.__main__ import CHECKED, SIZES, parse_sizes
from benchmarks.large.benches import CREATES, REMOVE, REQUESTS, STREAMS
from benchmarks.large.profile import hottest
from benchmarks.large.report import (
    BEGIN,
    DOCS,
    END,
    NO_NUMBER,
    PAGE,
    PLOTS,
    median_of,
    misses,
    plots,
    ratios,
    regressions,
    table,
    write_docs,
)
from benchmarks.large.rows import ROWS
from benchmarks.readers import Lines
from benchmarks.rows import DIRECT, HAPROXY, OURS

KNOWN = {row.key: row for row in ROWS}
SOME = [KNOWN[key] for key in ("ready", "info", "top-1", "top-10", "spread")]
LATENCIES = {"p90_ms": 2.0, "p99_ms": 30.0, "rate": 1000.0, "cpu_us": 50.0}
RESULTS = {
    1000: {
        "ready": {OURS: {"ready_s": 1.25, "memory_mib": 100.0, "cpu_s": 1.0}},
        "ping": {DIRECT: {"p50_ms": 0.02, **LATENCIES}, OURS: {"p50_ms": 0.04, **LATENCIES}},
        "info": {OURS: {"p50_ms": 3.0, **LATENCIES}},
        "top-1": {OURS: {"p50_ms": 0.2, **LATENCIES}, DIRECT: {"p50_ms": 0.05}, HAPROXY: {"p50_ms": 0.1}},
        "top-10": {OURS: {"p50_ms": 1.0, **LATENCIES}, DIRECT: {"p50_ms": 0.05, "rate": 4000.0}},
    }
}
DEADLINE_S = 180


def test_every_row_is_measured() -> None:
    """Each row shows something that is measured, no key is used twice, and every goal is of a figure that is taken."""
    benches = {bench.key for bench in (*REQUESTS, *CREATES, *STREAMS, REMOVE)}
    assert {row.measured_by for row in ROWS} - benches == {"ready", "idle", "spread", "refusing", "hung", "top-beside"}
    assert benches <= {row.measured_by for row in ROWS}
    assert len(KNOWN) == len(ROWS)
    assert {key for _, _, keys in PLOTS.values() for key in keys} <= set(KNOWN)


def test_sizes() -> None:
    """Sizes are engines times containers, in any order."""
    assert parse_sizes("1000x30,10x30") == ((10, 1000), 30)
    assert set(parse_sizes(CHECKED)[0]) <= set(parse_sizes(SIZES)[0])
    for wrong in ("10", "10x30,20x20", "axb", "1x2x3"):
        with pytest.raises(click.UsageError):
            parse_sizes(wrong)


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_table() -> None:
    """A line shows the figure, its cost, the ratio to the engine, classic's figure, and whether the goal is met."""
    lines = table(RESULTS, [OURS], rows=SOME).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    ready, info, top_1, top_10, spread = (cells(line) for line in lines[2:])
    assert ready[1:3] == ["1,000", "1.25 s"]
    assert ready[-2:] == ["≤ 1.5", "ok"]
    assert info[2:7] == ["3.00 / 2.00 / 30 ms", "1,000", "50", "", ""]
    assert top_1[5:] == ["0.050", "4.00", "0.100", "2.6", "≤ 0.12", "MISS"]
    assert top_10[2:] == ["1,000 /s", "1,000", "50", "4,000", "0.25", "", "288", "≥ 20,000 /s", "MISS"]
    assert (spread[2], spread[-1]) == (NO_NUMBER, "MISS")


def test_misses_say_why() -> None:
    """Each row that misses a goal is explained once, with its sizes; one without a goal at a size is not."""
    sentences = misses({10: RESULTS[1000], **RESULTS}, OURS, rows=[KNOWN["top-1"], KNOWN["info"]])
    assert [sentence.partition(":")[0] for sentence in sentences] == [
        "`top`, at 10 and 1,000 engines",
        "`info`, at 10 engines",
    ]
    assert KNOWN["top-1"].limit in sentences[0]


def test_ratios() -> None:
    """A figure is kept as a ratio to the direct one, or to a direct ping; what does not go by speed is not kept."""
    rows = [KNOWN[key] for key in ("ready", "memory", "ready-cpu", "info", "top-1", "top-10")]
    assert ratios(RESULTS, OURS, rows=rows) == {
        "ready-cpu@1000": pytest.approx(50),
        "info@1000": pytest.approx(150),
        "top-1@1000": pytest.approx(4),
        "top-10@1000": pytest.approx(0.25),
    }


@pytest.mark.parametrize(
    ("row", "kept", "now", "worse"),
    [
        ("top-1", 4.0, 4.9, False),
        ("top-1", 4.0, 5.0, True),
        ("top-1", 4.0, 1.0, False),
        ("top-10", 0.4, 0.31, False),
        ("top-10", 0.4, 0.3, True),
        ("top-10", 0.4, 0.9, False),
    ],
)
def test_regressions(row: str, kept: float, now: float, *, worse: bool) -> None:
    """A row is named when it is 25 % worse than kept, whichever way its figure points, and only at that size."""
    found = regressions({f"{row}@10": now, f"{row}@1000": kept}, {f"{row}@10": kept, f"{row}@1000": kept})
    assert [text.partition(":")[0] for text in found] == ([f"{row}@10"] if worse else [])


def test_rows_that_are_new_are_no_regression() -> None:
    """Without a kept ratio there is nothing to compare with."""
    assert regressions({"top-1@10": 4.0}, {}) == []


def test_median_of_rounds() -> None:
    """Of several rounds the median counts, for what all of them have measured."""
    assert median_of([{"a": 1.0, "b": 1.0}, {"a": 5.0, "b": 1.0}, {"a": 2.0}]) == {"a": 2.0}


def test_plots_and_docs(tmp_path: Path) -> None:
    """Figures go between the marks of the page, which stays as it is around them, and plots beside it."""
    (tmp_path / PAGE).write_text((DOCS / PAGE).read_text())
    drawings = plots({10: RESULTS[1000], **RESULTS}, OURS)
    for text in ("first", "second"):
        write_docs(text, drawings, docs=tmp_path)
    before, _, rest = (DOCS / PAGE).read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    assert (tmp_path / PAGE).read_text() == f"{before}{BEGIN}\n\nsecond\n\n{END}{after}"
    assert set(drawings) == set(PLOTS)
    assert all(f"({file})" in before for file in PLOTS)
    assert all((tmp_path / file).read_text().startswith("<svg") for file in PLOTS)


def test_lines_are_counted_however_they_come() -> None:
    """A reader counts lines, in any pieces, without what frames them."""
    stream = as_chunk(b'{"a":1}\n') + as_chunk(b'{"b":1}\n{"c":1}\n')
    for size in range(1, len(stream) + 1):
        lines = Lines()
        for start in range(0, len(stream), size):
            lines.feed(stream[start : start + size])
        assert lines.count == 3


def test_profile() -> None:
    """Functions are shown by their share of the samples, without those that are on every stack."""
    lines = list(hottest("main (runpy:1);serve (a.py:1);read (b.py:2) 3\nmain (runpy:1);serve (a.py:1) 1\n", 2))
    assert [line.strip() for line in lines] == [
        "running",
        "75.0 %  read (b.py:2)",
        "25.0 %  serve (a.py:1)",
        "on the stack",
        "100.0 %  serve (a.py:1)",
        "75.0 %  read (b.py:2)",
    ]


def test_a_quick_run(tmp_path: Path) -> None:
    """A short run over ten engines has a number in every row, and writes all its figures."""
    command = (sys.executable, "-m", "benchmarks.large", "--quick", "--sizes", "10x30", "--results", tmp_path)
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 0, done.stderr
    lines = [cells(line) for line in done.stdout.splitlines() if line.startswith("|")][2:]
    assert [line[0] for line in lines] == [row.title for row in ROWS]
    assert not [line for line in lines if line[2] == NO_NUMBER]
    (figures,) = tmp_path.glob("*/figures.json")
    kept = msgspec.json.decode(figures.read_bytes())
    assert {f"{row.key}@10" for row in ROWS if row.figure.is_time} == set(kept["ratios"])
    assert {file.name for file in figures.parent.glob("*.svg")} == set(PLOTS)
