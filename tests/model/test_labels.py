"""Expressions in labels and environments."""

from hypothesis import given
from hypothesis import strategies as st

from swarmproxy.model.labels import AFFINITIES, CONSTRAINTS, Expressions, take_expressions


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


def test_a_label_that_is_no_list_is_empty() -> None:
    """A label with other contents asks for nothing."""
    for text in ("", "x", "{}", "[1]", '"a"', "null"):
        assert take_expressions({AFFINITIES: text}, [])[0] == Expressions()


@given(st.lists(st.text(max_size=8)), st.lists(st.text(max_size=8)))
def test_round_trip(constraints: list[str], affinities: list[str]) -> None:
    """What is written to labels is read back the same."""
    expressions = Expressions(constraints=tuple(constraints), affinities=tuple(affinities))
    assert take_expressions(expressions.as_labels(), []) == (expressions, ())
