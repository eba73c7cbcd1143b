"""The grammar of expressions."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmproxy.errors import BadRequest
from swarmproxy.scheduler.expression import Expression


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name=node0", "One of operator ==, != is expected"),
        ("name=!node0", "One of operator ==, != is expected"),
        ("name", "One of operator ==, != is expected"),
        ("", "One of operator ==, != is expected"),
        ("node ==x", "Key 'node ' is invalid"),
        ("no*de==x", r"Key 'no\*de' is invalid"),
        ("1node==x", "Key '1node' is invalid"),
        ("n==x", "Key 'n' is invalid"),
        ("a/b==x", "Key 'a/b' is invalid"),
        ("node==", "Value '' is invalid"),
        ("region==~us~", "Value '~us~' is invalid"),
        ("node==a@b", "Value 'a@b' is invalid"),
        ("node==a,b", "Value 'a,b' is invalid"),
        ("node==/", "Value '/' is invalid"),
        ("node==~/", "Value '~/' is invalid"),
        ("node==//", "Value '//' is invalid"),
        ("node==/a", "Value '/a' is invalid"),
        ("node==/(/", r"Value '/\(/' is invalid"),
        ("node==a(", r"Value 'a\(' is invalid"),
    ],
)
def test_bad_expression(text: str, message: str) -> None:
    """What is no expression is refused in classic's words; what broke classic is refused too."""
    with pytest.raises(BadRequest, match=message):
        Expression.parse(text)


@pytest.mark.parametrize("text", ["NoDe==x", "no.de==x", "_node==_x", "node==node 1", "node!=~a", "node===x"])
def test_legal(text: str) -> None:
    """Keys and values may hold what classic let them hold."""
    Expression.parse(text)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("node==a", ("node", "==", "a", False)),
        ("node!=a", ("node", "!=", "a", False)),
        ("node==~a", ("node", "==", "a", True)),
        ("node!=~/a/", ("node", "!=", "/a/", True)),
        ("ab!=c==d", ("ab!=c", "", "", False)),
    ],
)
def test_parts(text: str, parts: tuple[str, str, str, bool]) -> None:
    """The first == divides, a ~ makes an expression soft."""
    if not parts[1]:
        with pytest.raises(BadRequest, match="Key 'ab!=c' is invalid"):
            Expression.parse(text)
        return
    parsed = Expression.parse(text)
    assert (parsed.key, parsed.operator, parsed.value, parsed.soft) == parts


@pytest.mark.parametrize(
    ("text", "candidates", "held"),
    [
        ("x1==us-*", ["us-east"], True),
        ("x1==us", ["us-east"], False),
        ("x1==/^us/", ["us-east"], True),
        ("x1==*", [""], True),
        ("x1==a.c", ["abc"], True),
        ("x1==/(?i)NODE0/", ["node0"], True),
        ("x1==a", ["b", "a"], True),
        ("x1!=a", ["b", "a"], False),
        ("x1!=a", [], True),
        ("x1==a", [], False),
    ],
)
def test_holds(text: str, candidates: list[str], held: bool) -> None:
    """A value covers the whole text, `*` stands for any, slashes hold a regular expression."""
    assert Expression.parse(text).holds(candidates) is held


@given(st.text(max_size=20), st.text(max_size=10), st.sampled_from(["==", "!=", "==~", "==/"]))
def test_any_text_is_read_or_refused(key: str, value: str, operator: str) -> None:
    """No text makes the parser fail in another way."""
    with suppress(BadRequest):
        Expression.parse(f"{key}{operator}{value}").holds(["node-1"])
    with suppress(BadRequest):
        Expression.parse(f"node{operator}{value}/").holds(["node-1"])
