"""The grammar of expressions."""

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmproxy.errors import BadRequest
from swarmproxy.scheduler.expression import MAX_EXPRESSIONS, Expression, parse_all


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
        ("node==a b@\x00", "Value 'a b@\x00' is invalid"),
        ("node==caf\u00e9", "Value 'caf\u00e9' is invalid"),
        ("n\u00f6de==x", "Key 'n\u00f6de' is invalid"),
        ("node\x00==x", "Key 'node\x00' is invalid"),
        ("node==\ud800", "Value '\ud800' is invalid"),
        ("==", "Key '' is invalid"),
        ("!=", "Key '' is invalid"),
        ("==x", "Key '' is invalid"),
        ("node==~", "Value '~' is invalid"),
        ("node!=", "Value '' is invalid"),
        ("node==/a/~", "Value '/a/~' is invalid"),
        ("node==/[/", r"Value '/\[/' is invalid"),
        ("node==/a**/", r"Value '/a\*\*/' is invalid"),
        ("node==/(?=a)/", r"Value '/\(\?=a\)/' is invalid"),
        (r"node==/(a)\1/", "is invalid"),
        ("node==[z-a]", r"Value '\[z-a\]' is invalid"),
        ("node==" + "a" * 5000, "may be 4096 characters long"),
        ("node" * 2000 + "==a", "may be 4096 characters long"),
        ("node==" + "(" * 60 + ")" * 60, "50 deep"),
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


@pytest.mark.parametrize(
    "text", ["NoDe==x", "no.de==x", "_node==_x", "node==node 1", "node!=~a", "node===x", "image==app@sha256:ab"]
)
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


def test_too_many() -> None:
    """As many expressions as one could mean are read, and no more: each is compared with every node."""
    texts = [f"label-{number}==x" for number in range(MAX_EXPRESSIONS)]
    assert len(parse_all(texts, soft=True)) == MAX_EXPRESSIONS
    with pytest.raises(BadRequest, match=r"^65 expressions of one kind: at most 64 are looked at$"):
        parse_all([*texts, "one==more"], soft=True)


@pytest.mark.parametrize("value", ["/(a+)+b/", "/(a|a)*b/", "*a*a*a*a*a*a*a*b", "/(.*)*x/", "/(a?){40}a{40}b/"])
def test_no_expression_stalls(value: str) -> None:
    """What takes ages elsewhere is answered, or refused as too costly, after bounded work."""
    begun = time.process_time()
    with suppress(BadRequest):
        assert not Expression.parse(f"label=={value}").holds(["a" * 2000])
    assert time.process_time() - begun < 10


@given(st.text(max_size=20), st.text(max_size=10), st.sampled_from(["==", "!=", "==~", "==/"]))
def test_any_text_is_read_or_refused(key: str, value: str, operator: str) -> None:
    """No text makes the parser fail in another way."""
    with suppress(BadRequest):
        Expression.parse(f"{key}{operator}{value}").holds(["node-1"])
    with suppress(BadRequest):
        Expression.parse(f"node{operator}{value}/").holds(["node-1"])
