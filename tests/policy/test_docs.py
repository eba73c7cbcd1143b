"""What docs/policy.md says is so."""

import re
from pathlib import Path

import pytest

from swarmproxy.policy.document import parse
from swarmproxy.policy.kinds import GROUPS
from swarmproxy.policy.limits import NAMES

DOCS = Path(__file__).parents[2] / "docs" / "policy.md"
TEXT = DOCS.read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
BEGIN, END = "<!-- kinds:begin -->\n", "<!-- kinds:end -->"


def kinds_table() -> str:
    """Return the table of groups as the document has it."""
    rows = [f"| `{group}` | {', '.join(f'`{kind}`' for kind in sorted(GROUPS[group]))} |" for group in GROUPS]
    return "\n".join(["| group | kinds |", "|---|---|", *rows]) + "\n"


@pytest.mark.parametrize("example", EXAMPLES)
def test_example(example: str) -> None:
    """Each example is a policy."""
    assert parse(example).bindings


def test_all_kinds() -> None:
    """The table of kinds is that of the code. To write it anew: python -m tests.policy.test_docs."""
    assert TEXT[TEXT.index(BEGIN) + len(BEGIN) : TEXT.index(END)] == kinds_table()


def test_all_limits() -> None:
    """Every limit is explained."""
    assert [name for name in NAMES if f"`{name}`" not in TEXT] == []


if __name__ == "__main__":
    head, rest = TEXT.split(BEGIN)
    DOCS.write_text(head + BEGIN + kinds_table() + END + rest.split(END)[1], encoding="utf-8")
