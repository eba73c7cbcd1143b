"""Every link leads somewhere, and every document can be found."""

from pathlib import Path

import pytest

from tests.docs.links import DOCS, DOCUMENTS, anchors, broken, links, read

INDEX = DOCS / "README.md"


@pytest.mark.parametrize("document", [pytest.param(each, id=each.name) for each in DOCUMENTS if each != INDEX])
def test_links(document: Path) -> None:
    """Each link to a file or a heading of ours leads to one that is there."""
    assert broken(document) == []


def test_index() -> None:
    """The index names every document, and nothing that is not there."""
    assert broken(INDEX) == []
    named = {link.partition("#")[0] for link in links(read(INDEX))}
    assert [each.name for each in sorted(DOCS.glob("*.md")) if each != INDEX and each.name not in named] == []


def test_what_is_found(tmp_path: Path) -> None:
    """Links in code are none; those that lead to no file or heading, or out of the repository, are found."""
    document = tmp_path / "a.md"
    document.write_text(
        "# A `b`, c\n[x](#a-b-c) [y](#nowhere) `[z](z.md)`\n```\n[q](q.md)\n```\n[o](b.md) [w](https://w)\n"
    )
    assert list(links(read(document))) == ["#a-b-c", "#nowhere", "b.md"]
    assert broken(document) == ["#a-b-c", "#nowhere", "b.md"]  # it stands outside of the repository itself
    assert anchors("## A `b`, c\n## What: _x_-y?\n## What: _x_-y?\n") == {"a-b-c", "what-_x_-y", "what-_x_-y-1"}
    assert "limits" in anchors(read(DOCS / "operating.md"))
    assert broken(DOCS / "operating.md") == []
