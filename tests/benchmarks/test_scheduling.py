"""The benchmark of placements measures what it says, and draws what it measures."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from benchmarks import scheduling
from benchmarks.filled import PER_NODE, FilledCluster
from benchmarks.plot import draw
from benchmarks.scheduling import CASES, Figures, measure, plot, table

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def filled() -> FilledCluster:
    """Return a cluster of twenty nodes."""
    return FilledCluster(20)


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.key))
def test_every_case_finds_a_place(filled: FilledCluster, case: scheduling.Case) -> None:
    """Every kind of create is placed, and the cluster is afterwards as it was."""
    before = len(filled.cluster.index)
    figures = measure(filled, case, rounds=1)
    assert figures.usual > 0 < figures.new
    assert len(filled.cluster.index) == before
    assert all(filled.cluster.reservations.on(engine) == [] for engine in filled.cluster.engines())


def test_the_cluster_is_as_described(filled: FilledCluster) -> None:
    """Nodes are healthy and hold about as many containers as the document says."""
    nodes = filled.cluster.nodes.all()
    assert len(nodes) == 20
    assert all(abs(node.containers - PER_NODE) <= 5 and len(node.images) == 20 for node in nodes)


def test_table() -> None:
    """The table has a row for each case and judges the goals."""
    results = {case.key: {size: Figures(size / 1000, 5) for size in (10, 1000)} for case in CASES}
    rows = table(results, [10, 1000]).splitlines()
    assert len(rows) == len(CASES) + 2
    assert len({row.count("|") for row in rows}) == 1
    assert any("2 at 1,000 | ok" in row for row in rows)
    slow = {key: {size: Figures(9, 9) for size in sizes} for key, sizes in results.items()}
    assert "MISS" in table(slow, [10, 1000])


def test_plot() -> None:
    """The drawing is an SVG with a line for each case inside its frame, and follows the page's colours."""
    results = {case.key: {size: Figures(size / 1000, 5) for size in (10, 100, 1000)} for case in CASES}
    root = ET.fromstring(plot(results))  # noqa: S314 - our own
    lines = root.findall(f"{SVG}polyline")
    assert len(lines) == len(CASES)
    for line in lines:
        places = [tuple(map(float, place.split(","))) for place in line.attrib["points"].split()]
        assert [x for x, _ in places] == sorted(x for x, _ in places)
        assert [y for _, y in places] == sorted((y for _, y in places), reverse=True)
        assert all(0 < x < 860 and 0 < y < 480 for x, y in places)
    assert "prefers-color-scheme: dark" in plot(results)


def test_plot_of_one_value() -> None:
    """A line of one value is drawn as well, and names are text and not markup."""
    drawing = draw("<b>", {"a & b": [(10, 1), (100, 1)]}, x_label="x", y_label="y")
    assert "a &amp; b" in drawing
    assert ET.fromstring(drawing).find(f"{SVG}title") is not None  # noqa: S314


def test_document(tmp_path: Path) -> None:
    """Figures are put between the marks of the document, and the rest of it stays."""
    page = tmp_path / "scheduling.md"
    page.write_text(f"before\n{scheduling.BEGIN}\nold\n{scheduling.END}\nafter\n")
    for text in ("first", "second"):
        scheduling.write_docs(text, "<svg/>", docs=tmp_path)
    assert page.read_text() == f"before\n{scheduling.BEGIN}\n\nsecond\n\n{scheduling.END}\nafter\n"
    assert (tmp_path / "scheduling.svg").read_text() == "<svg/>"
