"""Values in order: the same as sorting anew, whatever comes and goes in between."""

from hypothesis import given
from hypothesis import strategies as st

from swarmproxy.cluster import ordered
from swarmproxy.cluster.ordered import Ordered

VALUES = st.integers(0, 10_000)
STEPS = st.lists(st.tuples(st.sampled_from(["put", "take", "look"]), VALUES), max_size=200)


def check(values: Ordered[int], expected: set[int], least: int) -> None:
    assert list(values) == sorted(expected)
    assert values.start(least, 3) == sorted(each for each in expected if each >= least)[:3]


@given(st.sets(VALUES, max_size=3000), STEPS)
def test_as_sorted(begin: set[int], steps: list[tuple[str, int]]) -> None:
    """After any puts and takes the values come in order, and so do those behind any value."""
    values: Ordered[int] = Ordered()
    expected: set[int] = set()
    for each in begin:
        values.put(each)
        expected.add(each)
    for step, value in steps:
        if step == "look":
            check(values, expected, value)
        elif step == "take":
            values.take(value)
            expected.discard(value)
        elif value not in expected:
            values.put(value)
            expected.add(value)
    check(values, expected, 0)


def test_many_one_by_one() -> None:
    """Blocks are split as they grow, and go when they are empty."""
    values: Ordered[int] = Ordered()
    numbers = [number * 7919 % 10_007 for number in range(10_007)]
    for number in numbers:
        values.put(number)
        values.start(number, 1)
    assert list(values) == sorted(numbers)
    assert all(len(block) <= 2 * ordered.BLOCK for block in values._blocks)
    for number in numbers:
        values.take(number)
    assert list(values) == []
    assert values.start(0, 1) == []
    assert values._blocks == []
