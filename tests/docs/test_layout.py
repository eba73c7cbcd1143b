"""The layout in CONVENTIONS.md is that of the repository."""

import re

from tests.docs.links import REPOSITORY

LAYOUT = (REPOSITORY / "CONVENTIONS.md").read_text(encoding="utf-8").partition("```text\n")[2].partition("```")[0]
BUILT = {"build", "dist"}  # and not kept


def test_packages() -> None:
    """Every directory of the repository and every package of ours has a line of its own, and there are no others."""
    directories = {each.name for each in REPOSITORY.iterdir() if each.is_dir() and re.fullmatch(r"[a-z]+", each.name)}
    assert set(re.findall(r"^([a-z]+)/", LAYOUT, re.MULTILINE)) == directories - BUILT
    packages = {each.parent.name for each in (REPOSITORY / "swarmproxy").glob("*/__init__.py")}
    assert set(re.findall(r"^  ([a-z]+)/", LAYOUT, re.MULTILINE)) == packages


def test_modules() -> None:
    """Each module that is named for a package is there."""
    text = re.sub(r"\([^()]*\)", "", LAYOUT)
    for package, names in re.findall(r"^  ([a-z]+)/ +(.*(?:\n {10,}.*)*)", text, re.MULTILINE):
        named = re.findall(r"\b[a-z_]+\b(?!/)", names)
        here = {each.stem for each in (REPOSITORY / "swarmproxy" / package).rglob("*") if "__" not in each.name}
        assert [name for name in named if name not in here | {"and"}] == [], package
