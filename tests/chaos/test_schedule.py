"""The schedule of a run follows from its seed."""

import itertools

from tests.chaos.schedule import Kind, storms


def test_reproducible() -> None:
    """The same seed is the same weather, and another is another."""

    def first(seed: int) -> list[object]:
        return list(itertools.islice(storms(seed), 5))

    assert first(7) == first(7)
    assert first(7) != first(8)


def test_each_kind_has_its_turn() -> None:
    """What is dealt in four storms holds every kind of fault."""
    dealt = itertools.chain.from_iterable(itertools.islice(storms(1), 4))
    assert {fault.kind for fault in dealt} == set(Kind)
