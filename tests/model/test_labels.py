"""Expressions in labels and environments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmproxy.errors import BadRequest
from swarmproxy.model.labels import (
    AFFINITIES,
    CONSTRAINTS,
    Expressions,
    read_list,
    take_expressions,
    without_unreadable,
)


def test_labels_first() -> None:
    """Expressions of both forms combine, the label's before the environment's, and leave the environment."""
    expressions, rest = take_expressions(
        {CONSTRAINTS: '["a==1"]', "x": "y"},
        ["constraint:b==2", "PATH=/bin", "whitelist:node==a|b", "reschedule:on-node-failure", "constraint"],
    )
    assert expressions == Expressions(
        constraints=("a==1", "b==2"), whitelists=("node==a|b",), reschedule_policies=("on-node-failure",)
    )
    assert rest == ("PATH=/bin", "constraint")


@pytest.mark.parametrize("text", ["", " ", "null", "[]"])
def test_a_label_that_asks_for_nothing(text: str) -> None:
    """An empty label is one without expressions: compose files have them."""
    assert take_expressions({AFFINITIES: text}, [])[0] == Expressions()
    assert without_unreadable({AFFINITIES: text}) == {AFFINITIES: text}


@pytest.mark.parametrize("text", ["x", "storage==ssd", "{}", "[1]", '"a"', "[", "[null]", "\ud800"])
def test_a_label_that_cannot_be_read(text: str) -> None:
    """Asked for it is refused, under its name; of a container that has it, nothing is known, and the rest stays."""
    with pytest.raises(BadRequest, match=f"^invalid label {AFFINITIES}: "):
        take_expressions({AFFINITIES: text}, [])
    assert read_list(text) == ()
    assert without_unreadable({AFFINITIES: text, CONSTRAINTS: '["aa==1"]', "x": text}) == {
        CONSTRAINTS: '["aa==1"]',
        "x": text,
    }


def test_a_long_label_is_not_repeated() -> None:
    """The refusal shows the beginning of it."""
    with pytest.raises(BadRequest) as refusal:
        take_expressions({CONSTRAINTS: "x" * 100_000}, [])
    assert len(str(refusal.value)) < 200


@given(st.lists(st.text(max_size=8)), st.lists(st.text(max_size=8)))
def test_round_trip(constraints: list[str], affinities: list[str]) -> None:
    """What is written to labels is read back the same."""
    expressions = Expressions(constraints=tuple(constraints), affinities=tuple(affinities))
    assert take_expressions(expressions.as_labels(), []) == (expressions, ())
