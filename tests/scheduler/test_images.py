"""Placements that look at the image: whose platform it is for, and who holds it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmproxy.errors import NoNodeFits
from swarmproxy.model.image import Image
from swarmproxy.model.node import Node
from swarmproxy.model.spec import ContainerSpec
from swarmproxy.scheduler.filters import choose
from swarmproxy.scheduler.resources import claims_of_spec, with_claims
from swarmproxy.scheduler.scheduler import explain, place
from swarmproxy.scheduler.strategy import Strategy

ID = "sha256:" + "0123456789ab" + "c" * 52
APP = Image(id=ID, tags=("app:1", "host:5000/app:latest"), digests=("app@sha256:" + "d" * 64,))


def node(name: str, **fields: object) -> Node:
    return replace(Node(id=name, name=name, cpus=4, memory_bytes=1 << 33), **fields)  # type: ignore[arg-type]


def best(spec: ContainerSpec, *nodes: Node, holders: bool = True) -> str:
    ranked = place(
        spec, nodes, strategy=Strategy.SPREAD, filters=choose(), overcommit_percent=0, prefer_holders=holders
    )
    return ranked[0].name


@pytest.mark.parametrize(
    ("reference", "is_held"),
    [
        ("app:1", True),
        ("docker.io/library/app:1", True),
        ("app", False),
        ("app:2", False),
        ("host:5000/app", True),
        (ID, True),
        (ID.removeprefix("sha256:"), True),
        ("0123456789ab", True),
        ("app@sha256:" + "d" * 64, True),
        ("app:1@sha256:" + "d" * 64, True),
        ("app@sha256:" + "e" * 64, False),
        ("", False),
    ],
)
def test_a_holder_wins_a_tie(reference: str, is_held: bool) -> None:
    """Of equal nodes one that holds the image comes first, however it is named; unless that is switched off."""
    nodes = node("a"), node("b", images={APP.id: APP})
    assert best(ContainerSpec(image=reference), *nodes) == ("b" if is_held else "a")
    assert best(ContainerSpec(image=reference), *nodes, holders=False) == "a"


@given(st.lists(st.booleans(), min_size=1, max_size=6), st.integers(1, 30))
def test_spread_stays_even(holds: list[bool], count: int) -> None:
    """Whoever holds the image, the nodes' numbers of containers differ by one at most."""
    spec = ContainerSpec(image="app:1")
    nodes = {str(at): node(str(at), images={APP.id: APP} if held else {}) for at, held in enumerate(holds)}
    for _ in range(count):
        chosen = best(spec, *nodes.values())
        nodes[chosen] = with_claims(nodes[chosen], claims_of_spec(spec))
    counts = [each.containers for each in nodes.values()]
    assert max(counts) - min(counts) <= 1


def test_platform() -> None:
    """A node that the image is not made for gets no container of it, whatever the filters; unknown ones may."""
    spec = ContainerSpec(image="app:1", platforms=("linux/arm64",))
    pc, pi = node("a", platform="linux/amd64"), node("b", platform="linux/arm64", containers=9)
    assert best(spec, pc, pi) == "b"
    assert best(spec, pc, node("c")) == "c"
    with pytest.raises(NoNodeFits) as refused:
        best(spec, pc)
    assert str(refused.value) == (
        "Unable to find a node that satisfies the following conditions \n[platform==linux/arm64]\n"
        "0 of 1 nodes: 1 by platform linux/arm64"
    )
    said = explain(spec, [pc, pi], strategy=Strategy.SPREAD, filters=choose(["health"]), overcommit_percent=0)
    assert [(each.node.name, each.by, each.reason) for each in said.refused] == [
        ("a", "image", "by platform linux/arm64")
    ]
