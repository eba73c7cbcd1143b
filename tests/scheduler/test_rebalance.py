"""Plans that even a pool out, or fill it: by table and by law."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmproxy.model.container import Container, PortBinding, shares_of_cores
from swarmproxy.model.labels import Expressions
from swarmproxy.model.node import Node, Pending
from swarmproxy.model.spec import ContainerSpec
from swarmproxy.scheduler.filters import choose
from swarmproxy.scheduler.rebalance import Movable, Plan, fullness, plan
from swarmproxy.scheduler.resources import claims_of_container, demand_of, shortage, with_claims
from swarmproxy.scheduler.scheduler import place
from swarmproxy.scheduler.strategy import Strategy

GIB = 1 << 30
PERCENT = 5

Wanted = tuple[str, int, int]  # node, GiB, cores


def pool(nodes: Sequence[Node], wanted: Sequence[Wanted], **spec: object) -> tuple[list[Node], list[Movable]]:
    """Return `nodes` with the containers `wanted` on them, and those as ones that may move."""
    by_id = {node.id: node for node in nodes}
    movables = []
    for number, (node_id, gib, cores) in enumerate(wanted):
        node = by_id[node_id]
        container = Container(
            id=f"{number:064d}",
            name=f"c{number}",
            memory_bytes=gib * GIB,
            cpu_shares=shares_of_cores(cores, node.cpus),
            published=spec.get("published", ()),  # type: ignore[arg-type]
        )
        claims = claims_of_container(container, engine_cpus=node.cpus)
        by_id[node_id] = replace(with_claims(node, claims), held={**node.held, container.id: container})
        made_of = replace(ContainerSpec(memory_bytes=gib * GIB, cpus=cores), **spec)  # type: ignore[arg-type]
        movables.append(Movable(container=container, node_id=node_id, spec=partial(replace, made_of)))
    return list(by_id.values()), movables


def planned(nodes: Sequence[Node], movables: Sequence[Movable], strategy: Strategy, **options: int) -> Plan:
    """Return the plan of a scheduler with all filters."""
    fits = partial(place, strategy=strategy, filters=choose(), overcommit_percent=PERCENT)
    return plan(nodes, movables, strategy=strategy, fits=fits, overcommit_percent=PERCENT, **options)


def carried_out(nodes: Sequence[Node], movables: Sequence[Movable], found: Plan) -> tuple[list[Node], list[Movable]]:
    """Return nodes and containers as they are after a plan, each step of which has to fit."""
    by_id = {node.id: node for node in nodes}
    places = {each.container.id: each for each in movables}
    for move in found.moves:
        target, movable = by_id[move.target.id], move.movable
        assert places[movable.container.id].node_id == move.source.id != target.id
        assert not shortage(demand_of(movable.spec()), target, overcommit_percent=PERCENT)
        source = by_id[move.source.id]
        gone = claims_of_container(movable.container, engine_cpus=source.cpus)
        held = {key: each for key, each in source.held.items() if key != movable.container.id}
        by_id[source.id] = replace(with_claims(source, type(gone)() - gone), held=held)
        shares = shares_of_cores(movable.spec().cpus, target.cpus)
        container = Container(
            id=movable.container.id,
            name=movable.container.name,
            memory_bytes=movable.container.memory_bytes,
            cpu_shares=shares,
        )
        come = claims_of_container(container, engine_cpus=target.cpus)
        by_id[target.id] = replace(with_claims(target, come), held={**target.held, container.id: container})
        places[container.id] = replace(movable, container=container, node_id=target.id)
    return list(by_id.values()), list(places.values())


def node(name: str, gib: int = 8, cpus: int = 4, **other: object) -> Node:
    return replace(Node(id=name, name=name, cpus=cpus, memory_bytes=gib * GIB), **other)  # type: ignore[arg-type]


def steps(found: Plan) -> list[tuple[str, str, str]]:
    return [(move.movable.container.name, move.source.id, move.target.id) for move in found.moves]


def test_new_node_is_used() -> None:
    """Spread takes from the full nodes what makes a new one like them, in few moves, the largest first."""
    nodes, movables = pool(
        [node("a"), node("b"), node("c")], [("a", 1, 1), ("a", 3, 1), ("a", 2, 0), ("b", 3, 1), ("b", 1, 1)]
    )
    found = planned(nodes, movables, Strategy.SPREAD)
    assert steps(found) == [("c1", "a", "c")]
    assert found.moves[0].reason == "61 % of a is in use, and 0 % of c"
    assert (found.before["c"].memory_percent, found.after["c"].containers) == (0.0, 1)


def test_counts_are_evened_out() -> None:
    """Of containers that ask for nothing each node gets as many as the others, within one."""
    nodes, movables = pool([node("a"), node("b"), node("c")], [("a", 0, 0)] * 7 + [("b", 0, 0)])
    found = planned(nodes, movables, Strategy.SPREAD)
    assert sorted(load.containers for load in found.after.values()) == [2, 3, 3]
    assert len(found.moves) == 4
    assert found.moves[0].reason == "a has 7 containers, c 0"


def test_binpack_empties_nodes() -> None:
    """Binpack empties the emptiest node into fuller ones, and leaves alone what cannot be emptied wholly."""
    wanted = [("a", 4, 0), ("b", 1, 0), ("b", 2, 0), ("c", 2, 0)]
    nodes, movables = pool([node("a"), node("b"), node("c")], wanted)
    found = planned(nodes, movables, Strategy.BINPACK)
    assert steps(found) == [("c3", "c", "a")]
    assert found.after["c"].containers == 0
    fixed = [each for each in movables if each.node_id != "c"]
    assert all(move.source.id != "c" for move in planned(nodes, fixed, Strategy.BINPACK).moves)


def test_random_wants_nothing() -> None:
    """With no measure there is nothing to move."""
    nodes, movables = pool([node("a"), node("b")], [("a", 2, 0)] * 3)
    assert planned(nodes, movables, Strategy.RANDOM).moves == ()


@pytest.mark.parametrize(
    ("other", "spec"),
    [
        ({"healthy": False, "health": 0}, {}),
        ({"availability": "pause"}, {}),
        ({}, {"expressions": Expressions(constraints=("node==a",))}),
        ({}, {"expressions": Expressions(constraints=("node==~a",))}),  # a wish that holds
        ({"containers": 1, "labels": {"containerslots": "1"}}, {}),
        (
            {"pending": (Pending(ContainerSpec(published=(PortBinding(container_port="80/tcp", host_port="80"),))),)},
            {"published": (PortBinding(container_port="80/tcp", host_port="80"),)},
        ),
    ],
)
def test_filters_hold(other: dict[str, Any], spec: dict[str, Any]) -> None:
    """What a filter forbids is not planned, and a wish that holds is not given up."""
    for wanted in ([("a", 3, 0), ("a", 3, 0)], [("a", 0, 0)] * 3):
        nodes, movables = pool([node("a"), replace(node("b"), **other)], wanted, **spec)
        assert planned(nodes, movables, Strategy.SPREAD).moves == ()


def test_only_where_allowed() -> None:
    """A container goes only to nodes that have what it needs beside room."""
    nodes, movables = pool([node("a"), node("b"), node("c")], [("a", 3, 0), ("a", 3, 0)])
    movables = [replace(each, allowed=frozenset({"c"})) for each in movables]
    assert [target for *_, target in steps(planned(nodes, movables, Strategy.SPREAD))] == ["c"]


def test_most_moves() -> None:
    """A plan has no more moves than asked for, and the first ones are those of the longer plan."""
    nodes, movables = pool([node("a"), node("b")], [("a", 0, 0)] * 9)
    longer, shorter = (planned(nodes, movables, Strategy.SPREAD, max_moves=most) for most in (100, 2))
    assert steps(shorter) == steps(longer)[:2]


node_ids = st.sampled_from(["a", "b", "c", "d"])
sizes = st.lists(st.tuples(node_ids, st.integers(0, 3), st.integers(0, 2)), max_size=24)
nodes_of_sizes = st.tuples(*(st.tuples(st.integers(4, 32), st.integers(2, 16)) for _ in range(4))).map(
    lambda sizes: [node(name, gib, cpus) for name, (gib, cpus) in zip("abcd", sizes, strict=True)]
)


def spread_of(nodes: Sequence[Node]) -> int:
    full = [fullness(each, overcommit_percent=PERCENT) for each in nodes]
    return max(full) - min(full)


@given(nodes_of_sizes, sizes)
def test_spread_never_gets_worse(empty: list[Node], wanted: list[Wanted]) -> None:
    """After each step the fullest and the emptiest node are no further apart, and afterwards nothing is left to do."""
    nodes, movables = pool(empty, wanted)
    found = planned(nodes, movables, Strategy.SPREAD)
    before = spread_of(nodes)
    for length in range(1, len(found.moves) + 1):
        after, _ = carried_out(nodes, movables, replace(found, moves=found.moves[:length]))
        assert spread_of(after) <= before
        before = spread_of(after)
    assert len({move.movable.container.id for move in found.moves}) == len(found.moves)


@given(nodes_of_sizes, sizes)
def test_binpack_uses_fewer_nodes(empty: list[Node], wanted: list[Wanted]) -> None:
    """A plan empties at least one node, and puts nothing on one that is not in use."""
    nodes, movables = pool(empty, wanted)
    found = planned(nodes, movables, Strategy.BINPACK)
    after, _ = carried_out(nodes, movables, found)
    used = {each.id for each in nodes if each.containers}
    used_after = {each.id for each in after if each.containers}
    assert used_after <= used
    assert bool(found.moves) is (used_after < used)


@given(st.integers(1, 6), st.integers(0, 3))
def test_balanced_pool(each: int, gib: int) -> None:
    """There is nothing to do where all nodes are alike."""
    nodes, movables = pool([node(name) for name in "abc"], [(name, gib, 0) for name in "abc" for _ in range(each)])
    if each * gib <= 8:
        assert planned(nodes, movables, Strategy.SPREAD).moves == ()
