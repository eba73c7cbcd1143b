"""The parsers under whatever bytes: what the search begins with, what it has found, and a short search."""

import re
from pathlib import Path

import pytest

from tests.fuzz.__main__ import FOUND, search
from tests.fuzz.seeds import SEEDS
from tests.fuzz.targets import TARGETS

KNOWN = [(name, content) for name, contents in SEEDS.items() for content in contents]
KEPT = sorted(path for path in FOUND.glob("*/*") if path.is_file())
RUNS = 2_000


def test_all_targets_have_seeds() -> None:
    """The search begins somewhere in each parser."""
    assert SEEDS.keys() == TARGETS.keys()


@pytest.mark.parametrize(("name", "content"), KNOWN)
def test_seeds(name: str, content: bytes) -> None:
    """The laws hold for the inputs that the search begins with, whole and cut off anywhere."""
    for end in range(len(content) + 1):
        TARGETS[name](content[:end])


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_found(path: Path) -> None:
    """What the search found once is not found again."""
    TARGETS[path.parent.name](path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_short_search(name: str, tmp_path: Path) -> None:
    """A search led by coverage finds nothing, and does get somewhere from where it begins."""
    report = search(name, tmp_path, tmp_path / "found", runs=RUNS, seed=1)
    tried = re.search(r"number_of_executed_units: (\d+)", report)
    assert tried is not None
    assert int(tried[1]) >= RUNS
    reached = [int(each) for each in re.findall(r"cov: (\d+)", report)]
    assert reached[-1] > 0
