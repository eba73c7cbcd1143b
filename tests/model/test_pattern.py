"""Regular expressions that cannot stall."""

import re
import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from swarmproxy.errors import BadRequest
from swarmproxy.model.pattern import Pattern
from swarmproxy.model.pattern_syntax import PatternError


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("", "x", True),
        ("web", "my-web-1", True),
        ("^web$", "web-1", False),
        ("^web", "web-1", True),
        ("-1$", "web-1", True),
        ("^(web|db)-[0-9]+$", "db-12", True),
        ("^(web|db)-[0-9]+$", "db-1x", False),
        ("n[^a-c]de", "node", True),
        ("(?i)NODE", "my-node", True),
        ("(?i:NO)DE", "node", False),
        ("(?i:NO)DE", "noDE", True),
        ("a{2,3}$", "aa", True),
        ("^a{2}$", "aaa", False),
        ("^a{2,}$", "aaaa", True),
        (r"\d+\.\d+", "v1.2", True),
        (r"^\Qa.b\E$", "a.b", True),
        (r"^\Qa.b\E$", "axb", False),
        ("[[:alpha:]_]+[[:^digit:]]$", "ab1", False),
        ("(?P<name>a)b", "ab", True),
        (r"[\w.-]+$", "a.b-c", True),
        (r"\x41\x{42}", "AB", True),
        ("()*", "", True),
        ("^$", "", True),
        ("^$", "a", False),
    ],
)
def test_search(pattern: str, text: str, found: bool) -> None:
    """A pattern finds what Go's regular expressions find."""
    assert Pattern(pattern).search(text) is found


@pytest.mark.parametrize(
    "text", ["(", ")", "a)", "[a", "*a", "a**", "a{3,2}", "(?=a)", "(?<!a)b", r"(a)\1", "\\", "[b-a]"]
)
def test_no_regular_expression(text: str) -> None:
    """Bad syntax, look-around and back-references are refused, as by Go."""
    with pytest.raises(PatternError):
        Pattern(text)


PIECES = st.sampled_from(
    [
        "a",
        "b",
        "a",
        "b",
        "1",
        ".",
        "*",
        "+",
        "?",
        "|",
        "(",
        "(?:",
        ")",
        "[ab]",
        "[^a]",
        "^",
        "$",
        r"\d",
        "b{1,2}",
        "(?i:A",
    ]
)


@given(
    pattern=st.lists(PIECES, min_size=1, max_size=9).map("".join),
    texts=st.lists(st.text(alphabet="abAB1", max_size=6), min_size=1),
)
def test_agrees_with_re(pattern: str, texts: list[str]) -> None:
    """Where both know a pattern, it finds the same as Python's `re`."""
    try:
        ours, theirs = Pattern(pattern), re.compile(pattern)
    except (PatternError, re.error):
        assume(False)
    assume(not re.search(r"[*+?}]\+", pattern))  # possessive in `re`, an error or a repetition in Go
    assert [ours.search(text) for text in texts] == [bool(theirs.search(text)) for text in texts]
    assert ours.finds(texts) is any(map(ours.search, texts))
    assert all(ours.needs in text for text in texts if ours.search(text))


@pytest.mark.parametrize(
    ("pattern", "needed"),
    [
        ("^web-[0-9]+$", "web-"),
        ("^(web)-(a|b)", "web-"),
        ("^(?:www|web)-front$", "-front"),
        ("(?i)web", ""),
        ("x(?i:web)--9+", "--"),
        ("web?-x", "we"),
        (r"\Qa.b\E\.c", "a.b.c"),
        ("^a.*bcd.*e$", "bcd"),
        (".*", ""),
        ("a|b", ""),
    ],
)
def test_needs(pattern: str, needed: str) -> None:
    """The longest text that every match holds is known, so that what lacks it need not be searched."""
    assert Pattern(pattern).needs == needed


@given(
    begin=st.sampled_from(["", "^"]),
    body=st.lists(st.sampled_from(["a", "b", ".*", "."])).map("".join),
    end=st.sampled_from(["", "$"]),
    texts=st.lists(st.text(alphabet="ab\n", max_size=8)),
)
def test_plain_texts(begin: str, body: str, end: str, texts: list[str]) -> None:
    """Texts with anything between them are found as `re` finds them, and the one text that matches is known."""
    ours, theirs = Pattern(begin + body + end), re.compile(begin + body + end.replace("$", r"\Z"))
    assert ours.is_simple
    assert [ours.search(text) for text in texts] == [bool(theirs.search(text)) for text in texts]
    assert ours.finds(texts) is any(map(theirs.search, texts))
    assert ours.only == (body if begin and end and "." not in body else None)


@pytest.mark.parametrize("pattern", ["(a+)+$", "^(a|a)*$", "(a|aa)+$", "a*a*a*a*a*a*a*b", "(.*)*x"])
def test_no_pattern_stalls(pattern: str) -> None:
    """Patterns on which `re` takes ages are answered in an instant."""
    begun = time.monotonic()
    assert Pattern(pattern).search("a" * 5000 + "c") is False
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("pattern", ["(a{1000}){1000}", "(" * 60 + ")" * 60, "a" * 5000, "(((a{99}){99}){99}){99}"])
def test_too_large(pattern: str) -> None:
    """A pattern that would take too much memory is the client's mistake."""
    with pytest.raises(BadRequest):
        Pattern(f"{pattern}.")


def test_too_costly() -> None:
    """A pattern that keeps asking for new states is given up after a bounded amount of work."""
    pattern = Pattern("(a|b)*a(a|b){1000}c")
    texts = [format(number, "b").replace("1", "a").replace("0", "b") * 30 for number in range(1, 5000)]
    begun = time.monotonic()
    with pytest.raises(BadRequest, match="too costly"):
        any(pattern.search(text) for text in texts)
    assert time.monotonic() - begun < 20
