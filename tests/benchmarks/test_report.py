"""Tests of benchmarks/rows.py, report.py and the arithmetic of runner.py and jobs.py."""

import pytest

from benchmarks.jobs import outcome_of
from benchmarks.report import busy_hint, ratios, regressions, table
from benchmarks.rows import BENCHES, DIRECT, HAPROXY, OURS, ROWS, Goal
from benchmarks.runner import combine

TOP_1, TOP_10 = (next(row for row in ROWS if row.key == key) for key in ("top-1", "top-10"))
LATENCY = {"p90_ms": 0.2, "p99_ms": 0.3, "cpu_us": 30.0}
RESULTS = {
    "top-1": {
        DIRECT: {"p50_ms": 0.02, **LATENCY},
        HAPROXY: {"p50_ms": 0.05, **LATENCY},
        OURS: {"p50_ms": 0.08, **LATENCY},
    },
    "top-10": {DIRECT: {"rate": 100_000.0}, HAPROXY: {"rate": 60_000.0}, OURS: {"rate": 24_000.0}},
}


def test_every_row_has_its_bench() -> None:
    """Each row shows a bench that is run, and no key is used twice."""
    assert {row.bench for row in ROWS} == {bench.key for bench in BENCHES}
    assert len({row.key for row in ROWS}) == len(ROWS)
    assert len({bench.key for bench in BENCHES}) == len(BENCHES)


@pytest.mark.parametrize(
    ("goal", "value", "met"),
    [
        (Goal(at_least=10), 10, True),
        (Goal(at_least=10), 9, False),
        (Goal(at_most=10), 11, False),
        (Goal(over_direct=0.5), 1.5, True),
        (Goal(over_direct=0.5), 1.6, False),
        (Goal(of_haproxy=0.5), 2, True),
        (Goal(of_haproxy=0.5), 1.9, False),
        (Goal(at_least=1, of_haproxy=0.5), 1.9, False),
    ],
)
def test_goals(goal: Goal, value: float, *, met: bool) -> None:
    """A goal is met when all its bounds are."""
    assert goal.is_met(value, {DIRECT: 1.0, HAPROXY: 4.0}) is met


def test_table() -> None:
    """The table shows each target's figure, the ratios to the peers, and whether the goal is met."""
    lines = table([TOP_1, TOP_10], RESULTS, [DIRECT, HAPROXY, OURS], judged=OURS).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    top_1, top_10 = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:])
    assert top_1[4:] == ["0.080 / 0.200 / 0.300", "4.00", "1.60", "30", "≤ direct + 0.08", "ok"]
    assert top_10[2:7] == ["100,000", "60,000", "24,000", "0.24", "0.40"]
    assert top_10[-1] == "MISS"


def test_a_missing_figure_misses() -> None:
    """A row whose figure could not be taken misses its goal."""
    assert table([TOP_10], {}, [DIRECT, OURS], judged=OURS).endswith("MISS |")


@pytest.mark.parametrize(
    ("top_1", "top_10", "worse"),
    [(4.0, 0.24, []), (3.3, 0.31, []), (3.2, 0.24, ["top-1"]), (4.0, 0.32, ["top-10"]), (9.0, 0.1, [])],
)
def test_regressions(top_1: float, top_10: float, worse: list[str]) -> None:
    """A row is reported when it is 25 % worse than kept, whichever way its figure points."""
    rows = [TOP_1, TOP_10]
    found = regressions(rows, ratios(rows, RESULTS, judged=OURS), {"top-1": top_1, "top-10": top_10})
    assert [text.partition(":")[0] for text in found] == worse


def test_combine() -> None:
    """Of several runs the median counts, of memory the most."""
    samples = [{"rate": rate, "growth_mib": rate} for rate in (1.0, 9.0, 3.0)]
    assert combine(samples) == {"rate": 3.0, "growth_mib": 9.0}


def test_percentiles() -> None:
    """The figures of a hundred operations are those at their places."""
    outcome = outcome_of([number * 1_000_000 for number in range(100, 0, -1)], 2.0)
    assert (outcome.operations, outcome.p50_ms, outcome.p90_ms, outcome.p99_ms) == (100, 51.0, 91.0, 100.0)


def test_busy_machine() -> None:
    """Who compares on a machine that had other work is told so."""
    assert busy_hint(0.9, 2) == ""
    assert "load 1.4 on 2 cores" in busy_hint(1.4, 2)
