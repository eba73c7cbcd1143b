"""What is found out about all nodes together is what a look at one after the other finds."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmproxy.errors import NoNodeFits
from swarmproxy.model.container import Container
from swarmproxy.model.holdings import Holdings, image_names
from swarmproxy.model.image import Image
from swarmproxy.model.labels import Expressions
from swarmproxy.model.node import Node, Pending
from swarmproxy.model.spec import ContainerSpec
from swarmproxy.scheduler.crowd import MAX_COLUMNS, MAX_FACTS, Register
from swarmproxy.scheduler.filters.affinity import AffinityFilter
from swarmproxy.scheduler.filters.constraint import ConstraintFilter
from swarmproxy.scheduler.strategy import Strategy, rank

GIB = 1 << 30
IDS = ["0123456789abcdef" * 4, "fedcba9876543210" * 4, "cafe", "0123456789ab"]
VALUES = ["", "blue", "blew", "b\nlue", "\nblue", "job-1-db", "job-22-db", "dbx"]
NAMES = ["", "web-1", "web-2", "job-1-db", "job-22-web", "cafe", "db"]
IMAGES = [
    Image(id=f"sha256:{'ab' * 32}", tags=("registry.example.com:5000/team/app:1", "app:latest")),
    Image(id=f"sha256:{'cd' * 32}", digests=(f"app@sha256:{'ef' * 32}",)),
    Image(id=f"sha256:{'12' * 32}", tags=("redis:7.2",)),
]
PATTERNS = [
    *["blue", "b*", "*", "*e", "b.ue", "*l*", "/^$/", "/e$/", "/^b.*e$/", "/[b]l/", "/^.?b/", "/\\\\n/"],
    *["web-1", "web-*", "*-db", "job-*-db", "job-.-db", "/^job-[0-9]+-db$/", "/-[12]$/", "/[0-9]/", "/a|b/", "/job|b/"],
    *["cafe", "c*", "db", "/^[a-f]+$/", IDS[0], IDS[0][:12], IDS[1][:12], IDS[0][:11], f"{IDS[1][:5]}*"],
    *["app", "app*", "redis:7.2", "redis", "registry.example.com:5000/*", f"sha256:{'ab' * 32}", "ab" * 6, "/7/"],
    *["node-1", "node-*", "/[12]$/", "id-2", "id-*"],
]
KEYS = ["constraint:node", "constraint:colour", "affinity:container", "affinity:image", "affinity:colour"]
EXPRESSIONS = st.builds(
    "{}{}{}".format, st.sampled_from(KEYS), st.sampled_from(["==", "!="]), st.sampled_from(PATTERNS)
)
CONTAINERS = st.builds(
    Container,
    id=st.sampled_from(IDS),
    name=st.sampled_from(NAMES),
    labels=st.fixed_dictionaries({}, optional={"colour": st.sampled_from(VALUES)}),
)
PENDING = st.builds(
    Pending,
    st.builds(
        ContainerSpec, raw=st.just(b""), labels=st.fixed_dictionaries({}, optional={"colour": st.sampled_from(VALUES)})
    ),
    st.sampled_from(NAMES),
)


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of the register, and what is asked then."""

    what: str
    number: int
    container: Container
    pending: list[Pending]
    images: list[Image]
    colour: str | None
    expression: str


CHANGES = st.lists(
    st.builds(
        Change,
        what=st.sampled_from(["add", "add", "replace", "hold", "take out", "nothing"]),
        number=st.integers(0, 20),
        container=CONTAINERS,
        pending=st.lists(PENDING, max_size=2),
        images=st.lists(st.sampled_from(IMAGES), max_size=2, unique_by=lambda image: image.id),
        colour=st.sampled_from([None, *VALUES]),
        expression=EXPRESSIONS,
    ),
    max_size=30,
)


def made(change: Change, holdings: Holdings) -> Node:
    """Return a node that holds what `change` says, besides what is in `holdings`."""
    holdings.put(change.container)
    return Node(
        id=f"id-{change.number}",
        name=f"node-{change.number}",
        labels={} if change.colour is None else {"colour": change.colour},
        held=holdings.containers,
        holdings=holdings,
        pending=tuple(change.pending),
        image_names=image_names(change.images),
    )


def kept(expression: str, nodes: Sequence[Node]) -> list[Node]:
    kind, _, text = expression.partition(":")
    if kind == "constraint":
        spec = ContainerSpec(raw=b"", expressions=Expressions(constraints=(text,)))
        return list(ConstraintFilter().keep(spec, nodes, soft=True))
    spec = ContainerSpec(raw=b"", expressions=Expressions(affinities=(text,)))
    return list(AffinityFilter().keep(spec, nodes, soft=True))


@given(st.integers(0, 20), CHANGES)
def test_expressions(many: int, changes: list[Change]) -> None:
    """However nodes come, go and change, an expression leaves those that it leaves when each is looked at alone."""
    plain = [Node(id=f"id-{number}", name=f"node-{number}") for number in range(many)]
    register = Register()
    for node in plain:
        register.add(node)
    asked: list[str] = []
    for change in changes:
        at = change.number % (len(plain) or 1)
        if change.what == "add":
            plain.append(made(change, Holdings()))
            register.add(plain[-1])
        elif change.what in ("replace", "hold") and plain:
            held = plain[at].holdings if change.what == "hold" else None  # the engine's own, which has changed
            plain[at] = made(change, held or Holdings())
            register.replace(at, plain[at])
        elif change.what == "take out" and plain:
            last = plain.pop()
            if at < len(plain):
                plain[at] = last
            register.take_out(at)
        asked.append(change.expression)
        for expression in asked[-3:]:
            assert kept(expression, register.all()) == kept(expression, plain)
    for column, counts in [register.vocabulary("images", lambda node: node.names_of_images)]:
        assert dict(counts) == dict(Counter(name for names in column for name in names))


DEMANDS = st.builds(
    lambda memory, nano, gpus: {
        "Memory": memory * GIB // 2,
        "NanoCpus": nano * 10**8,
        "DeviceRequests": [{"Count": gpus, "Capabilities": [["gpu"]]}] if gpus else [],
    },
    st.integers(0, 9),
    st.integers(0, 25),
    st.sampled_from([0, 0, 0, 1]),
)
SIZED = st.builds(
    Node,
    id=st.integers(0, 99).map(str),
    name=st.just("node"),
    memory_bytes=st.integers(0, 4).map(lambda gib: gib * GIB),
    used_memory_bytes=st.integers(0, 4).map(lambda gib: gib * GIB),
    cpus=st.integers(0, 2),
    used_cpus=st.integers(0, 2),
    used_nano_cpus=st.integers(0, 9).map(lambda tenths: tenths * 10**8),
    gpus=st.integers(-1, 1),
    health=st.sampled_from([34, 67, 100]),
    containers=st.integers(0, 3),
)


@given(
    st.lists(SIZED, min_size=1, unique_by=lambda node: node.id),
    st.lists(st.tuples(DEMANDS, SIZED), min_size=1, max_size=5),
    st.sampled_from(Strategy),
    st.sampled_from([-50, 0, 5, 100]),
)
def test_demands(
    nodes: list[Node], rounds: list[tuple[dict[str, object], Node]], strategy: Strategy, overcommit: int
) -> None:
    """Nodes are ranked alike whether they are weighed together, kept weights included, or one by one."""
    register = Register()
    for node in nodes:
        register.add(node)

    def ranked(demand: dict[str, object], among: Sequence[Node]) -> list[Node]:
        spec = ContainerSpec.parse(json.dumps({"HostConfig": demand}).encode())
        try:
            return list(rank(spec, among, strategy, overcommit_percent=overcommit))
        except NoNodeFits:
            return []

    for demand, changed in rounds:
        for wanted in (demand, rounds[0][0]):
            assert ranked(wanted, register.all()) == ranked(wanted, nodes)
        nodes[0] = changed
        register.replace(0, changed)


def test_columns_are_bounded() -> None:
    """Ever new labels and demands do not fill the memory."""
    register = Register()
    register.add(Node(id="a", name="a", labels={"label-1": "x"}))
    for number in range(3 * MAX_FACTS):
        kept(f"constraint:label-{number}==x", register.all())
        kept(f"affinity:label-{number}==x*", register.all())
        spec = ContainerSpec.parse(json.dumps({"HostConfig": {"Memory": number}}).encode())
        if number:  # memory of which there is none
            with pytest.raises(NoNodeFits):
                rank(spec, register.all(), Strategy.SPREAD, overcommit_percent=0)
    assert len(register._facts) == MAX_FACTS
    assert len(register._columns) == MAX_COLUMNS
    assert kept("constraint:label-1==x", register.all())
