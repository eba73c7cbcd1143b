"""Which members manage the swarm that they form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmproxy.scheduler.swarm_managers import Candidate, best, choose, wanted

CANDIDATES = st.lists(
    st.builds(
        Candidate, name=st.text("abcdef", min_size=1), zone=st.sampled_from("xyz"), memory_bytes=st.integers(0, 3)
    ),
    max_size=9,
    unique_by=lambda each: each.name,
)


@pytest.mark.parametrize(
    ("members", "managers"), [(1, 1), (2, 1), (3, 3), (5, 3), (9, 3), (10, 5), (99, 5), (100, 7), (5000, 7)]
)
def test_how_many(members: int, managers: int) -> None:
    """An odd number that grows with the pool, and never over seven."""
    assert wanted(members) == managers


def test_the_best() -> None:
    """The most memory comes first, then the most CPUs, then the first name."""
    small = [Candidate(name=name, memory_bytes=1, cpus=cpus) for name, cpus in (("c", 1), ("b", 1), ("d", 2))]
    large = Candidate(name="e", memory_bytes=2)
    assert [each.name for each in best([*small, large])] == ["e", "d", "b", "c"]


def test_zones() -> None:
    """Managers spread over the zones, those of managers that are there included, whatever their size."""
    pool = [
        Candidate(name=f"{zone}{at}", zone=zone, memory_bytes=9 if zone == "x" else 1)
        for zone in "xyz"
        for at in (1, 2)
    ]
    assert [each.name for each in choose(pool, beside=[], count=3)] == ["x1", "y1", "z1"]
    assert [each.name for each in choose(pool[1:], beside=pool[:1], count=5)] == ["y1", "z1", "x2", "y2"]


@pytest.mark.parametrize(
    ("there", "free", "count", "more"), [(1, 1, 3, 0), (1, 2, 3, 2), (2, 1, 3, 1), (3, 2, 3, 0), (2, 0, 3, 0)]
)
def test_odd(there: int, free: int, count: int, more: int) -> None:
    """Nobody becomes a manager where that would make their number even, or too large."""
    pool = [Candidate(name=str(number)) for number in range(there + free)]
    assert len(choose(pool[there:], beside=pool[:there], count=count)) == more


@given(CANDIDATES, CANDIDATES, st.sampled_from((1, 3, 5, 7)))
def test_laws(candidates: list[Candidate], beside: list[Candidate], count: int) -> None:
    """Each is chosen once, among the candidates, whatever their order; the number becomes odd or nobody is chosen."""
    chosen = choose(candidates, beside=beside, count=count)
    assert len(set(chosen)) == len(chosen)
    assert set(chosen) <= set(candidates)
    assert chosen == choose(candidates[::-1], beside=beside, count=count)
    assert not chosen or ((len(beside) + len(chosen)) % 2 == 1 and len(beside) + len(chosen) <= count)
