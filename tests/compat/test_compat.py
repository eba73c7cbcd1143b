"""The rows hold, and the table can be read."""

from collections import Counter
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.api.image_front import Front
from tests.compat.row import Row, Table, Verdict, as_text
from tests.compat.swarm import standing_swarm
from tests.compat.table import ROWS, TABLES

UNCHECKED = (Verdict.MOOT, Verdict.ELSEWHERE)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def standing() -> AsyncIterator[Front]:
    """Yield the cluster that rows only read."""
    async with standing_swarm() as manager:
        yield manager


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("row", [pytest.param(row, id=row.id) for row in ROWS if row.check])
async def test_row(row: Row, standing: Front) -> None:
    """We behave as the row says."""
    await row.run(standing)


def test_rows_are_complete() -> None:
    """Every row has a name of its own and says what classic did and what we do; where we differ, also why."""
    assert [name for name, count in Counter(row.id for row in ROWS).items() if count > 1] == []
    for row in ROWS:
        assert row.sees, row.id
        assert row.classic.endswith((".", "!", "?")), row.id
        assert row.ours.endswith((".", "-")), row.id
        assert (row.check is None) is (row.verdict in UNCHECKED), row.id
        assert bool(row.why) is (row.verdict is not Verdict.KEPT), row.id
        assert row.verdict is Verdict.KEPT or row.classic != row.ours, row.id


def test_text() -> None:
    """The table is printed with every row in its place."""
    text = as_text(TABLES)
    for row in ROWS:
        assert row.sees in text
    counts = Counter(row.verdict for row in ROWS)
    print(text, ", ".join(f"{verdict.value}: {counts[verdict]}" for verdict in Verdict), sep="\n")


async def test_a_row_can_fail() -> None:
    """A row whose check does not hold fails."""
    table = Table("Example")

    @table.kept("wrong", "anything")
    def wrong() -> None:
        """All is well."""
        raise AssertionError

    (row,) = table.rows
    with pytest.raises(AssertionError):
        await row.run(None)  # type: ignore[arg-type]
