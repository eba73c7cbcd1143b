"""What the ledger calls a broken promise."""

from pathlib import Path

import pytest

from tests.chaos.ledger import Fate, Ledger, overbooked
from tests.chaos.report import BEGIN, END, Report, Sample, write_docs
from tests.chaos.stand import SHARES, Listed

DONE, REFUSED, UNKNOWN = Fate.DONE, Fate.REFUSED, Fate.UNKNOWN


def truth_of(*held: int) -> dict[str, list[Listed]]:
    """Return engines of which each holds the container "a" so many times."""
    return {f"node-{at}": [Listed("id", "a", "", "running")] * count for at, count in enumerate(held, 1)}


@pytest.mark.parametrize(
    ("created", "removed", "held", "broken"),
    [
        (DONE, None, (1, 0), ""),
        (DONE, None, (0, 0), "lost: a"),
        (DONE, None, (1, 1), "doubled: a is on node-1, node-2"),
        (DONE, None, (2, 0), "doubled: a is on node-1, node-1"),
        (DONE, DONE, (0, 0), ""),
        (DONE, DONE, (0, 1), "a is on node-2, though it was removed"),
        (DONE, UNKNOWN, (1, 0), ""),
        (DONE, UNKNOWN, (0, 0), ""),
        (UNKNOWN, None, (0, 0), ""),
        (UNKNOWN, None, (0, 1), ""),
        (UNKNOWN, None, (1, 1), "doubled: a"),
        (REFUSED, None, (0, 0), ""),
        (REFUSED, None, (1, 0), "a is on node-1, though its create was refused"),
    ],
)
def test_problems(created: Fate, removed: Fate | None, held: tuple[int, ...], broken: str) -> None:
    """What a client was told is true of the engines, and of what it was not told either may be, once."""
    ledger = Ledger()
    record = ledger.enter("a")
    record.created, record.removed = created, removed
    problems = ledger.problems(truth_of(*held))
    assert len(problems) == bool(broken)
    assert not broken or problems[0].startswith(broken)


def test_always_wrong() -> None:
    """What moves may run on a node that is cut off as well, for as long as it is; nothing else is ever doubled."""
    ledger = Ledger()
    ledger.enter("a", moves=True)
    assert ledger.always_wrong(truth_of(1, 1)) == []
    ledger.enter("a")
    assert len(ledger.always_wrong(truth_of(1, 1))) == 1


def test_destroyed() -> None:
    """What was on an engine that lost its data need not be anywhere."""
    ledger = Ledger()
    ledger.enter("a").created = DONE
    ledger.destroy({"a"})
    assert ledger.problems(truth_of(0, 0)) == []


def test_overbooked() -> None:
    """A node has room for so many shares of its memory."""
    held = [Listed(str(number), f"c{number}", "", "running") for number in range(SHARES)]
    assert overbooked({"node-1": held}) == []
    assert len(overbooked({"node-1": [*held, Listed("x", "x", "", "exited")]})) == 1


def test_report(tmp_path: Path) -> None:
    """The table has a row for each kind of fault and of operation, and stands between the marks of the document."""
    report = Report(seed=7, store="etcd", seconds=60, settled_s=[1.0, 4.0])
    report.faults["store killed (-9)"] = 2
    report.operations["create", "ok"] = 5
    report.operations["create", "5xx"] = 1
    report.samples = [Sample("m", 1, 0.0, 70.0, 30, 40, 13), Sample("m", 1, 9.0, 71.0, 31, 41, 13)]
    lines = report.table().splitlines()
    assert "| fault: store killed (-9) | 2 |" in lines
    assert "| operation: create | 5 ok, 1 5xx |" in lines
    assert "| managers' descriptors | 30 to 30 → 31 to 31 |" in lines
    assert '"create: ok": 5' in report.to_json()
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_docs(report.table(), page)
    assert page.read_text() == f"before\n{BEGIN}\n\n{report.table()}\n\n{END}\nafter\n"
