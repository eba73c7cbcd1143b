"""The documents, their links, and the anchors of their headings as GitHub makes them."""

import re
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
DOCUMENTS = (
    *(REPOSITORY / name for name in ("README.md", "CONVENTIONS.md", "CHANGELOG.md", "SECURITY.md")),
    *sorted(DOCS.glob("*.md")),
)

_FENCE = re.compile(r"^(```+).*?^\1`*$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
_NOT_IN_ANCHORS = re.compile(r"[^\w\- ]")
_MARKUP = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")


def read(document: Path) -> str:
    """Return what a reader of `document` sees as text: without blocks of code."""
    return _FENCE.sub("", document.read_text(encoding="utf-8"))


def links(text: str) -> Iterator[str]:
    """Yield the targets of all links in `text` that lead to a file or a heading, in order."""
    for target in _LINK.findall(_CODE.sub("", text)):
        if "://" not in target and not target.startswith("mailto:"):
            yield target


def anchors(text: str) -> set[str]:
    """Return what a link to `text` may have behind its `#`. A heading that is there twice is numbered."""
    found: set[str] = set()
    for heading in _HEADING.findall(text):
        words = _MARKUP.sub(r"\1", heading).replace("`", "").lower()
        base = anchor = _NOT_IN_ANCHORS.sub("", words).replace(" ", "-")
        number = 0
        while anchor in found:
            number += 1
            anchor = f"{base}-{number}"
        found.add(anchor)
    return found


def broken(document: Path) -> list[str]:
    """Return the links of `document` that lead nowhere."""
    text = read(document)
    wrong = []
    for link in links(text):
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        is_inside = target.is_relative_to(REPOSITORY)  # what leads out of the repository is there on one machine only
        if not is_inside or not target.exists() or (anchor and anchor not in anchors(read(target))):
            wrong.append(link)
    return wrong
