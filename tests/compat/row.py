"""One row of the comparison with classic Docker Swarm 1.2, and the tables that rows stand in.

A row is a function that checks our behaviour against the real product; its docstring says what we do, its
decorator what classic did. `python -m tests.compat` prints all rows.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from tests.api.image_front import Front

Check = Callable[..., Awaitable[None] | None]


class Verdict(Enum):
    """How we compare with classic."""

    KEPT = "kept"
    CHANGED = "changed"  # on purpose, for the reason given
    MENDED = "mended"  # classic's was a defect
    LATER = "later"  # not in this version; the check shows how that is said
    MOOT = "does not apply"  # what it was about does not exist here
    ELSEWHERE = "shown elsewhere"  # mended or kept, which takes more than a scripted daemon to show


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What a client of classic sees, what classic does, what we do and why."""

    table: str
    name: str  # unique in its table
    sees: str
    classic: str
    ours: str
    verdict: Verdict
    why: str = ""
    check: Check | None = None

    @property
    def id(self) -> str:
        """How a test run names the row."""
        return f"{self.table}: {self.name}"

    async def run(self, standing: Front) -> None:
        """Check the row; `standing` is for checks that only read. Raises AssertionError if we are not as it says."""
        assert self.check is not None
        arguments = (standing,) if inspect.signature(self.check).parameters else ()
        # A check that waits for a program would hold up the loop, and with it all that the standing cluster talks to:
        # its engines would seem to be silent.
        here = inspect.iscoroutinefunction(self.check)
        outcome = self.check(*arguments) if here else await asyncio.to_thread(self.check, *arguments)
        if outcome is not None:
            await outcome


class Table:
    """The rows about one subject, in the order in which they are written."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.rows: list[Row] = []

    def kept(self, name: str, sees: str, *, classic: str = "") -> Callable[[Check], Check]:
        """Add a row whose check shows that all is as it was; `classic` may be left out where we say the same."""
        return self._row(Verdict.KEPT, name, sees, classic, "")

    def changed(self, name: str, sees: str, *, classic: str, why: str) -> Callable[[Check], Check]:
        """Add a row whose check shows another behaviour."""
        return self._row(Verdict.CHANGED, name, sees, classic, why)

    def mended(self, name: str, sees: str, *, classic: str, why: str) -> Callable[[Check], Check]:
        """Add a row about a defect of classic, whose check shows that we do not have it; `why` says whom it hurt."""
        return self._row(Verdict.MENDED, name, sees, classic, why)

    def later(self, name: str, sees: str, *, classic: str, why: str) -> Callable[[Check], Check]:
        """Add a row about what this version does not do; `why` says what a client can do meanwhile."""
        return self._row(Verdict.LATER, name, sees, classic, why)

    def moot(self, name: str, sees: str, *, classic: str, why: str) -> None:
        """Add a row about what cannot happen here."""
        self._unchecked(Verdict.MOOT, name, sees, classic, why)

    def elsewhere(self, name: str, sees: str, *, classic: str, why: str) -> None:
        """Add a row that other tests show; `why` says what we do and where that is shown."""
        self._unchecked(Verdict.ELSEWHERE, name, sees, classic, why)

    def _unchecked(self, verdict: Verdict, name: str, sees: str, classic: str, why: str) -> None:
        row = Row(table=self.title, name=name, sees=sees, classic=classic, ours="-", verdict=verdict, why=why)
        self.rows.append(row)

    def _row(self, verdict: Verdict, name: str, sees: str, classic: str, why: str) -> Callable[[Check], Check]:
        def add(check: Check) -> Check:
            ours = inspect.getdoc(check) or ""
            self.rows.append(
                Row(
                    table=self.title,
                    name=name,
                    sees=sees,
                    classic=classic or ours,
                    ours=ours,
                    verdict=verdict,
                    why=why,
                    check=check,
                )
            )
            return check

        return add


def as_text(tables: tuple[Table, ...]) -> str:
    """Return all rows for a reader, in Markdown."""
    lines: list[str] = []
    for table in tables:
        lines += [f"## {table.title}", ""]
        for row in table.rows:
            lines.append(f"- **{row.sees}** ({row.verdict.value})")
            lines += [f"  - {label}: {_flat(text)}" for label, text in _parts(row) if text]
        lines.append("")
    return "\n".join(lines)


def _parts(row: Row) -> list[tuple[str, Any]]:
    if row.verdict is Verdict.KEPT and row.classic == row.ours:
        return [("both", row.ours)]
    here = "" if row.check is None else row.ours
    return [("classic", row.classic), ("here", here), ("why", row.why)]


def _flat(text: str) -> str:
    return " ".join(text.split())
