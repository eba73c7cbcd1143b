"""The blocks of a listing hold what was put in, in order, and forget what was made of rows that change."""

from hypothesis import given
from hypothesis import strategies as st

from swarmproxy.cluster.index import Located
from swarmproxy.cluster.newest import Newest, key_of
from tests.cluster.members import container, member

ENGINE = member(0)
STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "remove", "touch"]), st.integers(0, 30), st.integers(0, 3), st.booleans()),
    max_size=80,
)


@given(STEPS, st.integers(2, 6))
def test_any_history(steps: list[tuple[str, int, int, bool]], most: int) -> None:
    """After any history the rows are those that were put and not removed, in order, in blocks that are not too long.

    What was kept of a block is what would be made of it now.
    """
    newest = Newest(most=most)
    rows: dict[str, Located] = {}
    looks: dict[str, int] = {}
    for what, number, created, is_looked_at in steps:
        each = container(f"{number:02}", created=created)
        known = rows.get(each.id)
        if what == "put":
            rows[each.id] = Located(ENGINE, each)
            if known is not None and known.container.created_ns == each.created_ns:
                newest.replace(rows[each.id])
                continue
            if known is not None:
                newest.remove(known.container)
            newest.add(rows[each.id])
        elif known is not None and what == "remove":
            newest.remove(rows.pop(each.id).container)
        elif known is not None:
            looks[each.id] = looks.get(each.id, 0) + 1
            newest.touch(known.container)
        for block in newest.blocks() if is_looked_at else ():
            made = [(id(row), looks.get(row.container.id)) for row in block.rows]
            assert 0 < len(made) <= most
            assert block.kept.setdefault("made", made) == made
    assert list(newest) == sorted(rows.values(), key=key_of)
    assert len(newest) == len(rows)


@given(st.sets(st.integers(0, 99), min_size=1), st.integers(0, 100))
def test_blocks_after(numbers: set[int], number: int) -> None:
    """A reader that left off at a key goes on with the block of the first row behind it."""
    newest = Newest(most=4)
    for each in numbers:
        newest.add(Located(ENGINE, container(f"{each:03}")))
    after = (0, f"{number:03}".ljust(64, "0"))
    left = [row for block in newest.blocks(after) for row in block.rows]
    expected = [row for row in newest if key_of(row) > after]
    assert left[len(left) - len(expected) :] == expected
    assert all(key_of(block.rows[-1]) > after for block in newest.blocks(after))


def test_new_ones_leave_blocks_full() -> None:
    """Containers that are made one after the other fill a block before the next one is begun."""
    newest = Newest(most=4)
    for number in range(100):
        newest.add(Located(ENGINE, container(f"{number}", created=number)))
        list(newest)
    assert len(list(newest.blocks())) <= 100 / 4 + 2
