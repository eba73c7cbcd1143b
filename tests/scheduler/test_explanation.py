"""Why nodes will not do, by table, and that it agrees with what is done."""

import json
from collections.abc import Sequence
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmproxy.errors import NoNodeFits
from swarmproxy.model.container import Container, PortBinding
from swarmproxy.model.node import Node, Pending
from swarmproxy.model.spec import ContainerSpec
from swarmproxy.scheduler.explanation import Explanation
from swarmproxy.scheduler.filters import choose
from swarmproxy.scheduler.scheduler import explain, place
from swarmproxy.scheduler.strategy import Strategy

GIB = 1 << 30


def parse(**body: object) -> ContainerSpec:
    return ContainerSpec.parse(json.dumps({"Image": "busybox", **body}).encode())


def wanting(*env: str, **host: object) -> ContainerSpec:
    return parse(Env=list(env), HostConfig=host)


def node(name: str, **fields: object) -> Node:
    return Node(id=f"id-{name}", name=name, cpus=4, memory_bytes=8 * GIB, **fields)  # type: ignore[arg-type]


def explained(spec: ContainerSpec, nodes: Sequence[Node], strategy: Strategy = Strategy.SPREAD) -> Explanation:
    return explain(spec, nodes, strategy=strategy, filters=choose(), overcommit_percent=5)


PORT_80 = {"80/tcp": [{"HostPort": "80"}]}
HOLDER = Container(
    id="c1" * 32,
    name="web",
    labels={"tier": "front"},
    published=(PortBinding(container_port="80/tcp", host_port="80"),),
)


@pytest.mark.parametrize(
    ("spec", "refused", "by", "reason"),
    [
        (wanting(), node("n", healthy=False), "availability", "unhealthy"),
        (wanting(), node("n", availability="drain"), "availability", "drained"),
        (wanting(), node("n", availability="pause"), "availability", "paused"),
        (wanting(), node("n", health=0), "health", "unhealthy"),
        (wanting(PortBindings=PORT_80), node("n", held={HOLDER.id: HOLDER}), "port", "by port 80/tcp"),
        (
            wanting(PortBindings={"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "70-90"}]}),
            node("n", pending=(Pending(wanting(PortBindings=PORT_80)),)),
            "port",
            "by port 127.0.0.1:70-90/tcp",
        ),
        (wanting(), node("n", labels={"containerslots": "0"}), "containerslots", "out of container slots"),
        (wanting(Links=["db:x"]), node("n"), "dependency", "by --link=db:x"),
        (
            wanting("affinity:container!=web"),
            node("n", held={HOLDER.id: HOLDER}),
            "affinity",
            "by affinity container!=web",
        ),
        (wanting("affinity:tier==back"), node("n", held={HOLDER.id: HOLDER}), "affinity", "by affinity tier==back"),
        (wanting("constraint:storage==ssd"), node("n"), "constraint", "by constraint storage==ssd"),
        (wanting("whitelist:node==a|b"), node("n"), "whitelist", "by whitelist node==a|b"),
        (wanting(Memory=9 * GIB), node("n"), "resources", "out of memory"),
        (wanting(MemoryReservation=9 * GIB), node("n"), "resources", "out of memory"),
        (wanting(CpuShares=5), node("n"), "resources", "out of CPU"),
        (wanting(NanoCpus=4_500_000_000), node("n"), "resources", "out of CPU"),
        (wanting(DeviceRequests=[{"Driver": "nvidia", "Count": 2}]), node("n", gpus=1), "resources", "out of GPUs"),
    ],
)
def test_reasons(spec: ContainerSpec, refused: Node, by: str, reason: str) -> None:
    """Each filter, and what stands before and after them, says why it turns a node away."""
    explanation = explained(spec, [refused])
    assert [(each.by, each.reason) for each in explanation.refused] == [(by, reason)]
    assert explanation.refusal.endswith(f"\n0 of 1 nodes: 1 {reason}")


def test_counted() -> None:
    """A refusal counts the nodes for each reason, the most frequent first, after classic's own text."""
    nodes = [
        *(node(name, labels={"storage": "disk"}) for name in "abc"),
        node("d", healthy=False, health=0),
        node("e", labels={"storage": "ssd"}, used_memory_bytes=8 * GIB),
    ]
    with pytest.raises(NoNodeFits) as caught:
        place(
            wanting("constraint:storage==ssd", Memory=GIB),
            nodes,
            strategy=Strategy.SPREAD,
            filters=choose(),
            overcommit_percent=5,
        )
    assert str(caught.value) == (
        "no resources available to schedule container\n"
        "0 of 5 nodes: 3 by constraint storage==ssd, 1 out of memory, 1 unhealthy"
    )


@pytest.mark.parametrize("filters", [["health"], []])
def test_paused_and_drained(filters: list[str]) -> None:
    """Paused and drained nodes get nothing, and neither does one that does not answer, whatever the filters."""
    nodes = [node("a", availability="drain"), node("b", availability="pause"), node("c", healthy=False)]
    with pytest.raises(NoNodeFits) as caught:
        place(ContainerSpec(), nodes, strategy=Strategy.SPREAD, filters=choose(filters), overcommit_percent=5)
    assert str(caught.value) == ("No nodes available in the cluster\n0 of 3 nodes: 1 drained, 1 paused, 1 unhealthy")
    best, *rest = place(
        ContainerSpec(), [*nodes, node("d")], strategy=Strategy.SPREAD, filters=choose(filters), overcommit_percent=5
    )
    assert (best.name, rest) == ("d", [])


def test_soft_expressions_given_up() -> None:
    """What is said of nodes leaves out soft expressions exactly if the placement did."""
    nodes = [node("a", labels={"storage": "ssd"}), node("b"), node("c", labels={"zone": "x"})]
    spec = wanting("constraint:storage==~ssd", "constraint:zone!=x")
    kept = explained(spec, nodes)
    assert ([each.node.name for each in kept.ranked], kept.given_up) == (["a"], ())
    assert [(each.node.name, each.reason) for each in kept.refused] == [
        ("b", "by constraint storage==ssd"),
        ("c", "by constraint storage==ssd"),
    ]
    given_up = explained(spec, nodes[1:])
    assert ([each.node.name for each in given_up.ranked], given_up.given_up) == (["b"], ("storage==~ssd",))
    assert [(each.node.name, each.reason) for each in given_up.refused] == [("c", "by constraint zone!=x")]


def test_weights() -> None:
    """The weight is the one that the strategy orders by."""
    nodes = [node("a", used_memory_bytes=4 * GIB), node("b")]
    spread = explained(wanting(Memory=GIB), nodes)
    assert [(each.rank, each.node.name) for each in spread.ranked] == [(1, "b"), (2, "a")]
    assert spread.ranked[0].weight < spread.ranked[1].weight
    packed = explained(wanting(Memory=GIB), nodes, Strategy.BINPACK)
    assert [(each.rank, each.node.name) for each in packed.ranked] == [(1, "a"), (2, "b")]
    assert packed.ranked[0].weight > packed.ranked[1].weight


CONTAINERS = st.lists(
    st.builds(
        Container,
        id=st.uuids().map(str),
        name=st.sampled_from(["web", "db"]),
        published=st.sampled_from([(), (PortBinding(container_port="80/tcp", host_port="80"),)]),
    ),
    max_size=2,
)
NODES = st.lists(
    st.builds(
        Node,
        id=st.uuids().map(str),
        name=st.sampled_from(["a1", "b1", "c1"]),
        healthy=st.booleans(),
        health=st.sampled_from([0, 33, 100]),
        availability=st.sampled_from(["active", "active", "pause", "drain"]),
        cpus=st.integers(0, 4),
        memory_bytes=st.integers(0, 4).map(lambda gib: gib * GIB),
        gpus=st.integers(-1, 2),
        used_memory_bytes=st.integers(0, 4).map(lambda gib: gib * GIB),
        labels=st.dictionaries(st.sampled_from(["storage", "containerslots"]), st.sampled_from(["ssd", "0", "3"])),
        containers=st.integers(0, 4),
        held=CONTAINERS.map(lambda held: {each.id: each for each in held}),
    ),
    max_size=6,
    unique_by=lambda each: each.id,
)
SPECS = st.builds(
    wanting,
    *(st.sampled_from([text, "A=b"]) for text in ("constraint:storage==ssd", "affinity:container==~web")),
    st.sampled_from(["whitelist:node==a1|b1", "constraint:node!=~a1", "affinity:container!=db"]),
    Memory=st.sampled_from([0, GIB]),
    CpuShares=st.sampled_from([0, 1]),
    PortBindings=st.sampled_from([{}, PORT_80]),
    DeviceRequests=st.sampled_from([[], [{"Driver": "nvidia", "Count": -1}]]),
)


@given(SPECS, NODES, st.sampled_from([Strategy.SPREAD, Strategy.BINPACK]))
def test_explain_agrees_with_place(spec: ContainerSpec, nodes: list[Node], strategy: Strategy) -> None:
    """The ranked nodes are those that a placement has, in its order, and every other node has a reason."""
    placed: list[Node] = []
    with suppress(NoNodeFits):
        placed = list(place(spec, nodes, strategy=strategy, filters=choose(), overcommit_percent=5))
    explanation = explained(spec, nodes, strategy)
    assert [each.node for each in explanation.ranked] == placed
    assert [each.rank for each in explanation.ranked] == list(range(1, len(placed) + 1))
    assert {each.node.id for each in explanation.refused} == {each.id for each in nodes} - {each.id for each in placed}
    assert all(each.reason and each.by for each in explanation.refused)
    assert bool(explanation.refusal) is not bool(placed)


@given(SPECS, NODES, st.booleans())
def test_each_filter_judges_as_it_keeps(spec: ContainerSpec, nodes: list[Node], soft: bool) -> None:
    """A filter has a reason for exactly the nodes that it does not keep."""
    for each in choose():
        kept: list[Node] = []
        with suppress(NoNodeFits):
            kept = list(each.keep(spec, nodes, soft=soft))
        judge = each.judge(spec, soft=soft)
        assert [node.id for node in nodes if not judge(node)] == [node.id for node in kept]
