"""Placement: filters, soft and hard passes, refusals."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmproxy.errors import BadRequest, ConfigError, NoNodeFits, NotSupported
from swarmproxy.model.node import Node
from swarmproxy.model.spec import ContainerSpec
from swarmproxy.scheduler.filters import NAMES, choose
from swarmproxy.scheduler.filters.filter import Filter
from swarmproxy.scheduler.scheduler import place
from swarmproxy.scheduler.strategy import Strategy

CLUSTER = [
    Node(id="id0", name="node0", labels={"name": "node0", "group": "1", "region": "us-west"}),
    Node(id="id1", name="node1", labels={"name": "node1", "group": "1", "region": "us-east"}),
    Node(id="id2", name="node2", labels={"name": "node2", "group": "2", "region": "eu"}),
    Node(id="id3", name="node3"),
]


def wanting(*expressions: str) -> ContainerSpec:
    env = ",".join(f'"{expression}"' for expression in expressions).replace("\\", "\\\\")
    return ContainerSpec.parse(f'{{"Env":[{env}]}}'.encode())


def placed(spec: ContainerSpec, nodes: Sequence[Node] = CLUSTER, filters: Sequence[Filter] | None = None) -> str:
    """Return the names of the nodes on offer, sorted."""
    ranked = place(
        spec,
        nodes,
        strategy=Strategy.SPREAD,
        filters=choose() if filters is None else filters,
        overcommit_percent=5,
    )
    return " ".join(sorted(node.name for node in ranked))


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("name==node1", "node1"),
        ("group==1", "node0 node1"),
        ("region==us*", "node0 node1"),
        ("region==*us*", "node0 node1"),
        ("region!=us*", "node2 node3"),
        ("name!=n*", "node3"),
        ("name!=does_not_exist", "node0 node1 node2 node3"),
        ("name==/node[12]/", "node1 node2"),
        ("name!=/node[12]/", "node0 node3"),
        ("name==/(?i)NODE0/", "node0"),
        ("region!=~can*", "node0 node1 node2 node3"),
        ("node==node2", "node2"),
        ("node==id2", "node2"),
        ("node!=node2", "node0 node1 node3"),
        ("missing==*", "node0 node1 node2 node3"),
        ("region==~eu", "node2"),
        ("region==~mars", "node0 node1 node2 node3"),
    ],
)
def test_constraint(expression: str, names: str) -> None:
    """Constraints choose the nodes that classic's chose."""
    assert placed(wanting(f"constraint:{expression}")) == names


def test_constraints_add_up_and_soft_ones_yield_together() -> None:
    """All hard ones hold; if the soft ones cannot all be kept, none is."""
    assert placed(wanting("constraint:group==1", "constraint:region==*east")) == "node1"
    assert placed(wanting("constraint:group==1", "constraint:region==~eu")) == "node0 node1"
    assert placed(wanting("constraint:group==1", "constraint:name==~node0", "constraint:region==~eu")) == "node0 node1"


def test_soft_ones_yield_to_a_lack_of_room() -> None:
    """A soft expression is given up as well when the nodes it leaves are full."""
    full = Node(id="a", name="a", memory_bytes=10, used_memory_bytes=10)
    free = Node(id="b", name="b", memory_bytes=10)
    spec = ContainerSpec.parse(b'{"HostConfig":{"Memory":5},"Env":["constraint:node==~a"]}')
    assert placed(spec, [full, free]) == "b"


@pytest.mark.parametrize(
    ("expressions", "names"),
    [
        (["whitelist:node==node0|node1", "whitelist:node==node1|node2"], "node1"),
        (["whitelist:node==node"], None),
        (["whitelist:node==~nowhere"], "node0 node1 node2 node3"),
        (["whitelist:node!=node0|node1"], "node2 node3"),
    ],
)
def test_whitelist(expressions: list[str], names: str | None) -> None:
    """Whitelists name nodes letter for letter, and several intersect."""
    if names is None:
        with pytest.raises(NoNodeFits):
            placed(wanting(*expressions))
    else:
        assert placed(wanting(*expressions)) == names


def test_slots() -> None:
    """A label limits how many containers a node takes; without a number there is no limit."""
    nodes = [
        Node(id="a", name="a", labels={"containerslots": "2"}, containers=2),
        Node(id="b", name="b", labels={"containerslots": "3"}, containers=2),
        Node(id="c", name="c", labels={"containerslots": "many"}, containers=9),
    ]
    assert placed(ContainerSpec(), nodes) == "b c"


def test_refusal() -> None:
    """A refusal lists the conditions of each filter up to the one that left no node, as classic's text."""
    with pytest.raises(NoNodeFits) as refused:
        placed(wanting("constraint:node==nope", "constraint:ostype==~linux"))
    assert str(refused.value) == (
        "Unable to find a node that satisfies the following conditions "
        "\n[available container slots]\n[node==nope ostype==linux]"
        "\n0 of 4 nodes: 4 by constraint node==nope"
    )
    with pytest.raises(NoNodeFits) as refused:
        placed(wanting("whitelist:node==nope"))
    assert "\n[available container slots]\n[node==nope (soft=false)]\n" in str(refused.value)


@pytest.mark.parametrize("nodes", [[], [Node(id="a", name="a", healthy=False)], [Node(id="a", name="a", health=0)]])
def test_no_healthy_node(nodes: list[Node]) -> None:
    """Without a healthy node, or any, classic's sentence says so."""
    with pytest.raises(NoNodeFits, match=r"^No healthy node available in the cluster(\n0 of 1 nodes: 1 unhealthy)?$"):
        placed(ContainerSpec(), nodes)


def test_no_node_and_no_filter() -> None:
    """Without filters an empty cluster is still refused in a sentence."""
    with pytest.raises(NoNodeFits, match=r"^No nodes available in the cluster$"):
        placed(ContainerSpec(), [], filters=[])


@pytest.mark.parametrize(
    ("expression", "needed"), [("affinity:image==x", "affinity"), ("constraint:a1==b", "constraint")]
)
def test_expressions_are_never_passed_over(expression: str, needed: str) -> None:
    """An expression whose filter is not active is refused, not ignored."""
    with pytest.raises(NotSupported, match=rf"the {needed} filter is not active, so '.*' cannot be honoured"):
        placed(wanting(expression), filters=choose(["health"]))


def test_bad_expression() -> None:
    """An expression that cannot be read says in which filter."""
    with pytest.raises(BadRequest, match=r"^error from constraint filter: Value '/' is invalid"):
        placed(wanting("constraint:node==/"))


def test_choose() -> None:
    """Filters run in the order asked for; a name that is none is a mistake in the configuration."""
    assert [each.name for each in choose(["whitelist", "health"])] == ["whitelist", "health"]
    assert {each.name for each in choose()} <= set(NAMES)
    with pytest.raises(ConfigError, match=r"^filter not supported$"):
        choose(["colour"])


LABELS = st.dictionaries(st.sampled_from(["storage", "region"]), st.sampled_from(["ssd", "disk", "us"]))
NODES = st.lists(
    st.builds(
        Node,
        id=st.uuids().map(str),
        name=st.sampled_from(["a1", "b1", "c1"]),
        healthy=st.booleans(),
        labels=LABELS,
        containers=st.integers(0, 5),
    ),
    max_size=8,
)
EXPRESSIONS = st.lists(
    st.sampled_from(
        [
            "constraint:storage==ssd",
            "constraint:region!=us",
            "constraint:node==a*",
            "constraint:region==~us",
            "whitelist:node==a1|b1",
            "whitelist:node==~c1",
        ]
    ),
    unique=True,
)


@given(NODES, EXPRESSIONS)
def test_filters_are_sound_and_complete(nodes: list[Node], expressions: list[str]) -> None:
    """On offer are exactly the healthy nodes that hold every hard expression, and the soft ones if any can."""
    tests: dict[str, Callable[[Node], bool]] = {
        "constraint:storage==ssd": lambda node: node.labels.get("storage") == "ssd",
        "constraint:region!=us": lambda node: node.labels.get("region") != "us",
        "constraint:node==a*": lambda node: node.name == "a1" or node.id.startswith("a"),
        "constraint:region==~us": lambda node: node.labels.get("region") == "us",
        "whitelist:node==a1|b1": lambda node: node.name in ("a1", "b1"),
        "whitelist:node==~c1": lambda node: node.name == "c1",
    }
    hard = [
        node for node in nodes if node.healthy and all(tests[each](node) for each in expressions if "~" not in each)
    ]
    soft = [node for node in hard if all(tests[each](node) for each in expressions if "~" in each)]
    try:
        ranked = place(wanting(*expressions), nodes, strategy=Strategy.SPREAD, filters=choose(), overcommit_percent=0)
    except NoNodeFits:
        ranked = []
    assert sorted(node.id for node in ranked) == sorted(node.id for node in soft or hard)


@pytest.mark.parametrize("filters", [(), None])
def test_unavailable_nodes(filters: Sequence[Filter] | None) -> None:
    """A node that is paused or drained takes nothing, also when no filter is active."""
    paused, drained = replace(CLUSTER[0], availability="pause"), replace(CLUSTER[1], availability="drain")
    assert placed(ContainerSpec(), [paused, drained, *CLUSTER[2:]], filters) == "node2 node3"
    with pytest.raises(NoNodeFits, match=r"^No nodes available in the cluster"):
        placed(ContainerSpec(), [paused, drained], filters)
