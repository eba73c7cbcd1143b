"""What is remembered of nodes is what a look at each would find."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from swarmproxy.model.node import Node
from swarmproxy.scheduler.crowd import MAX_QUESTIONS, Crowd, Register, column, identity, where

CHANGES = st.lists(
    st.tuples(st.sampled_from(["add", "replace", "take out", "ask", "ask", "read", "first"]), st.integers(0, 9)),
    max_size=40,
)


def node(number: int) -> Node:
    return Node(id=str(number), name=f"node-{number}", containers=number)


def asked(nodes: Sequence[Node], number: int) -> Sequence[Node]:
    """Return the nodes that two questions leave."""
    few = where(nodes, f"more than {number}", lambda each: each.containers > number)
    return where(few, f"odd or more than {number}", lambda each: each.containers % 2 == 1 or each.containers > number)


@given(CHANGES)
def test_register(changes: list[tuple[str, int]]) -> None:
    """However nodes come, go and change, the answers are those of the nodes that are there now, in their order."""
    register, plain = Register(), list[Node]()
    for what, number in changes:
        if what == "add":
            register.add(node(number))
            plain.append(node(number))
        elif what == "replace" and plain:
            register.replace(number % len(plain), node(number))
            plain[number % len(plain)] = node(number)
        elif what == "take out" and plain:
            register.take_out(number % len(plain))
            last = plain.pop()
            if (at := number % (len(plain) + 1)) < len(plain):
                plain[at] = last
        crowd = register.all()
        assert list(crowd) == plain
        if what == "ask":
            found, expected = asked(crowd, number), asked(plain, number)
            assert isinstance(found, Crowd)
            assert list(found) == expected
            assert len(found) == len(expected)
            assert bool(found) is bool(expected)
        elif what == "first" and (some := asked(plain, number)):
            found, chosen = asked(crowd, number), bytes(each.containers % 3 > 0 for each in some)
            assert isinstance(found, Crowd)
            if any(chosen):
                few = where(found, "large", lambda each: each.containers > 6)
                fitting = [each for each, is_chosen in zip(some, chosen, strict=True) if is_chosen]
                assert found.first(chosen, ()) == min(fitting, key=identity)
                large = [each for each in fitting if each.containers > 6]
                assert found.first(chosen, few) == min(large or fitting, key=identity)
        elif what == "read":
            read = column(asked(crowd, number), "containers", lambda each: each.containers)
            assert read == [each.containers for each in asked(plain, number)]


def test_asked_once() -> None:
    """A node is asked once: again only when it has changed, and not at all if it has been turned away before."""
    asked_of: list[str] = []

    def holds(each: Node) -> bool:
        asked_of.append(each.name)
        return True

    register = Register()
    for number in range(4):
        register.add(node(number))
    odd = where(register.all(), "odd", lambda each: each.containers % 2 == 1)
    for _ in range(3):
        assert list(where(odd, "any", holds)) == [node(1), node(3)]
    assert asked_of == ["node-1", "node-3"]
    register.replace(1, node(5))
    assert list(where(register.all(), "any", holds)) == [node(0), node(5), node(2), node(3)]
    assert asked_of == ["node-1", "node-3", "node-0", "node-5", "node-2"]


def test_bounded() -> None:
    """Ever new questions do not fill the memory, and those that are asked again and again are kept."""
    register = Register()
    register.add(node(1))
    times = 0

    def often(_: Node) -> bool:
        nonlocal times
        times += 1
        return True

    for number in range(3 * MAX_QUESTIONS):
        assert not where(register.all(), f"question {number}", lambda _: False)
        assert where(register.all(), "often", often)
    assert len(register._answers) == MAX_QUESTIONS
    assert times == 1
