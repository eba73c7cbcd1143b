"""docs/differences.md, written of the rows of tests/compat: `python -m tests.docs.differences`."""

import re
from collections import Counter

from tests.compat.row import Row, Verdict
from tests.compat.table import TABLES
from tests.docs.links import DOCS

DOCUMENT = DOCS / "differences.md"
DIFFERENT = (Verdict.CHANGED, Verdict.MENDED, Verdict.LATER, Verdict.ELSEWHERE, Verdict.MOOT)
_CODE = re.compile(r"(`[^`]*`)")
_HEAD = """\
# What differs from classic Swarm

Every difference from Docker Swarm 1.2.9 that a client or an operator can notice, with its reason. *Mended* was a defect
of classic's. This document is written of `tests/compat`, where a check of the real product stands behind each row
({checked} of them in all, {kept} of which show what has stayed as it was; `python -m tests.compat` prints those too).
How to change over: [migration](migration.md).
"""


def document() -> str:
    """Return the whole document."""
    rows = [row for table in TABLES for row in table.rows]
    counts = Counter(row.verdict for row in rows)
    checked = sum(row.check is not None for row in rows)
    parts = [_HEAD.format(checked=checked, kept=counts[Verdict.KEPT])]
    for table in TABLES:
        if found := [row for row in table.rows if row.verdict in DIFFERENT]:
            parts.append(f"\n## {table.title}\n\n| what | classic | here | why |\n|---|---|---|---|\n")
            parts += [_line(row) for row in found]
    return "".join(parts)


def _line(row: Row) -> str:
    mark = " (*mended*)" if row.verdict is Verdict.MENDED else ""
    # A row without a check has all that is to be said of us in its reason.
    here, why = (row.ours, row.why) if row.check else (row.why, "")
    return f"| {_cell(row.sees)}{mark} | {_cell(row.classic)} | {_cell(here)} | {_cell(why)} |\n"


def _cell(text: str) -> str:
    """Return `text` for a cell of a table: what Markdown would take for its own stands for itself."""
    pieces = _CODE.split(" ".join(text.split()).replace("|", "\\|"))
    pieces[::2] = [piece.replace("<", "&lt;").replace("*", "\\*") for piece in pieces[::2]]
    return "".join(pieces)


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
