"""Where a new container goes."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from swarmproxy.errors import NoNodeFits, NotSupported
from swarmproxy.model.container import cores_of_shares, shares_of_cores
from swarmproxy.model.image import Image
from swarmproxy.model.node import Node
from swarmproxy.model.spec import ContainerSpec
from swarmproxy.scheduler.filters import choose
from swarmproxy.scheduler.resources import claims_of_spec, demand_of, load, with_claims, with_overcommit
from swarmproxy.scheduler.scheduler import place
from swarmproxy.scheduler.strategy import HEALTH_FACTOR, Strategy
from tests.cluster.image_daemon import lose
from tests.compat.daemon import Daemon
from tests.compat.row import Table
from tests.compat.swarm import NOBODY, create, refusal, swarm

table = Table("Where a container goes")

GIB = 1 << 30
REFUSED = "Unable to find a node that satisfies the following conditions "


def _spec(*env: str, **host: Any) -> ContainerSpec:
    return ContainerSpec.parse(json.dumps({"Image": "a", "Env": env, "HostConfig": host}).encode())


def _node(name: str, *, gib: int = 8, cpus: int = 4, **fields: Any) -> Node:
    return Node(id=f"id-{name}", name=name, memory_bytes=gib * GIB, cpus=cpus, **fields)


def _place(spec: ContainerSpec, *nodes: Node, strategy: Strategy = Strategy.SPREAD, filters: str = "") -> list[str]:
    chosen = choose(filters.split()) if filters else choose()
    return [node.name for node in place(spec, nodes, strategy=strategy, filters=chosen, overcommit_percent=5)]


def _fill(
    spec: ContainerSpec, count: int, nodes: Sequence[Node], strategy: Strategy = Strategy.SPREAD
) -> dict[str, int]:
    """Place `count` containers one after the other; return how many each node got."""
    held = {node.name: node for node in nodes}
    for _ in range(count):
        best = _place(spec, *held.values(), strategy=strategy)[0]
        held[best] = with_claims(held[best], claims_of_spec(spec))
    return {name: node.containers for name, node in held.items()}


@table.kept("nobody", "no healthy node")
async def nobody() -> None:
    """500 `No healthy node available in the cluster`, also when there is no node at all."""
    daemon = Daemon()
    for dead in ((), (NOBODY,)):
        async with swarm(daemon, dead=dead) as manager:
            await lose(manager.cluster, daemon)
            assert refusal(await create(manager)) == (500, "No healthy node available in the cluster")


@table.kept("conditions", "the text when no node will do")
async def conditions() -> None:
    """500, and a line for each filter up to the one that left none; slots are always named."""
    async with swarm(Daemon()) as manager:
        env = ["constraint:node==nope", "constraint:storage==~ssd"]
        said = refusal(await create(manager, Env=env))
        assert said == (500, f"{REFUSED}\n[available container slots]\n[node==nope storage==ssd]")
    spec = _spec("whitelist:node==~x|y", "whitelist:node==z")
    with pytest.raises(NoNodeFits) as caught:
        _place(spec, _node("a"), filters="whitelist")
    assert (
        str(caught.value)
        == f"{REFUSED}\n[node==x|y (soft=true) node==z (soft=false)]\n0 of 1 nodes: 1 by whitelist node==z"
    )


@table.changed(
    "why-not",
    "which nodes a condition turned away",
    classic="Not said: a text of conditions, or `no resources available to schedule container`.",
    why="The first thing that its users asked when a container was refused.",
)
def why_not() -> None:
    """A last line counts the nodes for each reason, most of them first; classic's text stands before it."""
    nodes = [
        *(_node(name, labels={"storage": "disk"}) for name in "abc"),
        _node("d", healthy=False, health=0),
        _node("e", labels={"storage": "ssd"}, gib=1),
    ]
    with pytest.raises(NoNodeFits) as caught:
        _place(_spec("constraint:storage==ssd", Memory=2 * GIB), *nodes)
    assert str(caught.value) == (
        "no resources available to schedule container\n"
        "0 of 5 nodes: 3 by constraint storage==ssd, 1 out of memory, 1 unhealthy"
    )


@table.kept("order-of-filters", "`--filter`")
def order_of_filters() -> None:
    """The filters run in the order in which they are given."""
    spec = _spec("constraint:node==nope")
    with pytest.raises(NoNodeFits) as caught:
        _place(spec, _node("a"), filters="constraint containerslots")
    assert str(caught.value) == f"{REFUSED}\n[node==nope]\n0 of 1 nodes: 1 by constraint node==nope"


@table.kept("soft", "soft expressions, `==~`")
def soft() -> None:
    """Kept if a node can keep them all; else all are given up, also when what they leave has no room."""
    first, second = _node("a", labels={"kk": "1"}), _node("b", labels={"kk": "2"})
    assert _place(_spec("constraint:kk==~2"), first, second) == ["b"]
    assert _place(_spec("constraint:kk==~2", "constraint:kk==~1"), first, second) == ["a", "b"]
    full = replace(second, used_memory_bytes=8 * GIB)
    assert _place(_spec("constraint:kk==~2", Memory=GIB), first, full) == ["a"]


@table.kept("spread", "`spread`")
def spread() -> None:
    """CPU per cent + memory per cent - 10 x health, lowest first; then fewer containers."""
    spec = _spec(CpuShares=1, Memory=GIB)
    healthy, failing = _node("A"), _node("B", health=67)
    weights = [
        load(demand_of(spec), node, overcommit_percent=5) - HEALTH_FACTOR * node.health for node in (healthy, failing)
    ]
    assert weights == [-964, -634]
    assert _place(spec, failing, healthy) == ["A", "B"]
    assert load(demand_of(_spec()), healthy, overcommit_percent=5) == 200
    assert _place(_spec(), _node("a", containers=2), _node("b", containers=1)) == ["b", "a"]


@table.kept("spread-examples", "sixty containers on two nodes")
def spread_examples() -> None:
    """30 and 30 without limits; 20 and 40 with one CPU each, where one node has twice the other."""
    nodes = [_node("small", gib=64, cpus=21), _node("large", gib=128, cpus=42)]
    assert _fill(_spec(), 60, nodes) == {"small": 30, "large": 30}
    assert _fill(_spec(CpuShares=1), 60, nodes) == {"small": 20, "large": 40}


@table.kept("binpack", "`binpack`")
def binpack() -> None:
    """The exact opposite: two containers share a node while there is room, the third takes the other."""
    nodes = [_node("a", gib=2), _node("b", gib=2)]
    assert _fill(_spec(Memory=GIB), 2, nodes, Strategy.BINPACK) == {"a": 2, "b": 0}
    full = with_claims(with_claims(nodes[0], claims_of_spec(_spec(Memory=GIB))), claims_of_spec(_spec(Memory=GIB)))
    assert _place(_spec(Memory=2 * GIB), full, nodes[1], strategy=Strategy.BINPACK) == ["b"]
    same = [_node("a", containers=1), _node("b", containers=2)]
    assert _place(_spec(), *same, strategy=Strategy.BINPACK) == ["b", "a"]


@table.kept("overcommit", "`swarm.overcommit`")
def overcommit() -> None:
    """Whole per cent: a node of 100 GiB takes 105 at 5 %, and not 106; 5 % of fewer than 20 CPUs is none."""
    assert _place(_spec(Memory=105 * GIB), _node("a", gib=100)) == ["a"]
    with pytest.raises(
        NoNodeFits, match=r"^no resources available to schedule container\n0 of 1 nodes: 1 out of memory$"
    ):
        _place(_spec(Memory=106 * GIB), _node("a", gib=100))
    assert [with_overcommit(cpus, 5) for cpus in (19, 20)] == [19, 21]


@table.mended(
    "overfull",
    "a node that would be overfull by less than one per cent",
    classic="Taken: 100.9 % counted as 100.",
    why="Memory was promised that the operator had not allowed.",
)
def overfull() -> None:
    """Refused."""
    with pytest.raises(NoNodeFits):
        _place(_spec(Memory=GIB), _node("a", gib=100, used_memory_bytes=105 * GIB - GIB + 1))


@table.kept("cores", "CPU shares as cores")
def cores() -> None:
    """One core of ten is 103 shares, and 103 shares are one core."""
    assert shares_of_cores(1, 10) == 103
    assert cores_of_shares(103, 10) == 1


@table.changed(
    "random",
    "`random`",
    classic="Any node that the filters leave, full or not.",
    why="A strategy must not promise memory that is not there.",
)
def random() -> None:
    """Any of them that has room."""
    full = _node("a", used_memory_bytes=9 * GIB)
    assert _place(_spec(Memory=GIB), full, _node("b"), strategy=Strategy.RANDOM) == ["b"]


@table.changed(
    "ties",
    "nodes that are equal to the strategy",
    classic="In no order.",
    why="The same request on the same cluster gives the same node: tests and incidents can be repeated.",
)
def ties() -> None:
    """Those that hold the image, then the others, in the order of their names."""
    assert _place(_spec(), _node("b"), _node("c"), _node("a")) == ["a", "b", "c"]
    holder = _node("c", images={"sha256:1": Image(id="sha256:1", tags=("a:latest",))})
    ranked = place(
        _spec(),
        [_node("b"), holder, _node("a")],
        strategy=Strategy.SPREAD,
        filters=choose(),
        overcommit_percent=5,
        prefer_holders=True,
    )
    assert [node.name for node in ranked] == ["c", "a", "b"]


@table.changed(
    "more-resources",
    "`--cpus`, `--cpuset-cpus`, `--memory-reservation` and `--gpus`",
    classic="Not counted: only memory limits and CPU shares were.",
    why="They are what clients of today send; a node was overbooked without anybody knowing.",
)
def more_resources() -> None:
    """Counted like memory and CPU shares; GPUs without overcommit. Cores of a cpuset have to be there."""
    for wanted in ({"NanoCpus": 5 * 10**9}, {"CpusetCpus": "4"}, {"MemoryReservation": 9 * GIB}):
        with pytest.raises(NoNodeFits):
            _place(_spec(**wanted), _node("a"))
    gpus = {"DeviceRequests": [{"Driver": "nvidia", "Count": 2}]}
    assert _place(_spec(**gpus), _node("a", gpus=1), _node("b", gpus=2)) == ["b"]


@table.kept("stopped", "stopped containers")
async def stopped() -> None:
    """Keep their memory, CPUs and slots until they are removed."""
    daemon = Daemon(memory_bytes=GIB)
    daemon.put("c", state="exited", started="2026-01-01T00:00:00Z", host={"Memory": GIB})
    async with swarm(daemon) as manager:
        refused = await create(manager, HostConfig={"Memory": GIB})
        assert refusal(refused) == (500, "no resources available to schedule container")
        await manager.client.delete("/containers/c")
        assert (await create(manager, HostConfig={"Memory": GIB})).status_code == 201


@table.kept("slots", "the engine label `containerslots`")
def slots() -> None:
    """So many containers in whatever state; no label, or one that is no number, is no limit."""
    full, free = _node("a", containers=2, labels={"containerslots": "2"}), _node("b", containers=9)
    odd = _node("c", containers=9, labels={"containerslots": "many"})
    assert _place(_spec(), full, free, odd) == ["b", "c"]


@table.kept("node-constraint", "`constraint:node==`")
def node_constraint() -> None:
    """The node's name, or its ID with the address; of the daemon's bare ID only a pattern."""
    node = Node(id="ABCD|10.0.0.1:2375", name="node-1")
    assert _place(_spec("constraint:node==node-1"), node) == ["node-1"]
    assert _place(_spec("constraint:node==ABCD*"), node) == ["node-1"]
    with pytest.raises(NoNodeFits):
        _place(_spec("constraint:node==ABCD"), node)


@table.kept("missing-label", "a constraint on a label that a node has not")
def missing_label() -> None:
    """The label counts as empty: `!=` and `==*` hold."""
    assert _place(_spec("constraint:kk!=v"), _node("a")) == ["a"]
    assert _place(_spec("constraint:kk==*"), _node("a")) == ["a"]


@table.kept("whitelist", "`whitelist:node==a|b`")
def whitelist() -> None:
    """Names letter for letter, divided by `|`; several whitelists must all allow the node, and soft ones yield."""
    nodes = [_node(name) for name in "abc"]
    assert _place(_spec("whitelist:node==a|b", "whitelist:node==b|c"), *nodes) == ["b"]
    assert _place(_spec("whitelist:node==~x"), *nodes) == ["a", "b", "c"]
    with pytest.raises(NoNodeFits):
        _place(_spec("whitelist:node==a*"), *nodes)


@table.mended(
    "whitelist-not",
    "`whitelist:node!=a`",
    classic="Read as `==`.",
    why="The container went to the very node that it was to avoid.",
)
def whitelist_not() -> None:
    """All nodes but those."""
    assert _place(_spec("whitelist:node!=a"), _node("a"), _node("b")) == ["b"]


@table.changed(
    "inactive",
    "an expression whose filter the operator has switched off",
    classic="Passed over without a word.",
    why="What a user demands is honoured or refused.",
)
def inactive() -> None:
    """Refused, with the name of the filter."""
    with pytest.raises(NotSupported, match=r"^the constraint filter is not active, so 'kk==v' cannot be honoured$"):
        _place(_spec("constraint:kk==v"), _node("a"), filters="health")
