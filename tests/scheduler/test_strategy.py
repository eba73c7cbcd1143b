"""The order of nodes, by table and by law."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmproxy.errors import ConfigError, NoNodeFits
from swarmproxy.model.container import Container, DeviceRequest
from swarmproxy.model.node import Node
from swarmproxy.model.spec import ContainerSpec
from swarmproxy.scheduler import strategy as strategies
from swarmproxy.scheduler.resources import (
    Claims,
    claims_of_container,
    claims_of_spec,
    demand_of,
    load,
    percent_of,
    used_nano,
    with_claims,
)
from swarmproxy.scheduler.strategy import Strategy

GIB = 1 << 30
NANO = 1_000_000_000
NO_ROOM = r"^no resources available to schedule container$"


def node(name: str, *, gib: int = 8, cpus: int = 4, **other: object) -> Node:
    return replace(Node(id=name, name=name, cpus=cpus, memory_bytes=gib * GIB), **other)  # type: ignore[arg-type]


def spec(*, gib: int = 0, cpus: int = 0, **other: object) -> ContainerSpec:
    return replace(ContainerSpec(memory_bytes=gib * GIB, cpus=cpus), **other)  # type: ignore[arg-type]


def rank(spec: ContainerSpec, nodes: list[Node], strategy: Strategy, **how: Any) -> list[Node]:
    """Return all nodes in order."""
    return list(strategies.rank(spec, nodes, strategy, **how))


def fill(nodes: list[Node], wanted: list[ContainerSpec], strategy: Strategy, percent: int = 5) -> dict[str, Node]:
    """Place `wanted` one after the other and return the nodes, by name, as they are then."""
    cluster = {each.name: each for each in nodes}
    for each in wanted:
        best = rank(each, list(cluster.values()), strategy, overcommit_percent=percent)[0]
        cluster[best.name] = with_claims(best, claims_of_spec(each))
    return cluster


def names(nodes: list[Node]) -> list[str]:
    return [each.name for each in nodes]


def test_parse() -> None:
    """Strategies have classic's names, and binpacking is binpack."""
    assert [Strategy.parse(name).value for name in ("spread", "binpack", "binpacking", "random")] == [
        "spread",
        "binpack",
        "binpack",
        "random",
    ]
    with pytest.raises(ConfigError, match=r"^strategy not supported$"):
        Strategy.parse("tetris")


def test_health_outweighs_load() -> None:
    """Classic's worked example: with 5 % overcommit A weighs -964 and B -634, so A comes first."""
    wanted = spec(gib=1, cpus=1)
    a, b = node("a", health=100), node("b", health=67)
    assert load(demand_of(wanted), a, overcommit_percent=5) == 25 + 11
    assert load(demand_of(wanted), a, overcommit_percent=5) - 10 * a.health == -964
    assert load(demand_of(wanted), b, overcommit_percent=5) - 10 * b.health == -634
    assert names(rank(wanted, [b, a], Strategy.SPREAD, overcommit_percent=5)) == ["a", "b"]
    full = node("a", used_memory_bytes=6 * GIB)
    assert names(rank(wanted, [b, full], Strategy.SPREAD, overcommit_percent=5)) == ["a", "b"]


@pytest.mark.parametrize(
    ("wanted", "counts"), [(spec(), {"small": 30, "big": 30}), (spec(cpus=1), {"small": 20, "big": 40})]
)
def test_spread_on_unequal_nodes(wanted: ContainerSpec, counts: dict[str, int]) -> None:
    """Without limits the count decides, with limits the share of what there is."""
    cluster = fill([node("small", gib=64, cpus=21), node("big", gib=128, cpus=42)], [wanted] * 60, Strategy.SPREAD)
    assert {name: each.containers for name, each in cluster.items()} == counts


def test_binpack_fills_one_node_first() -> None:
    """Two containers of half a node share one; a third that needs a whole node gets the other."""
    cluster = fill(
        [node("a", gib=2), node("b", gib=2)], [spec(gib=1), spec(gib=1), spec(gib=2)], Strategy.BINPACK, percent=0
    )
    assert sorted(each.containers for each in cluster.values()) == [1, 2]


def test_overcommit() -> None:
    """100 GiB and 5 % hold a container of 105 GiB and none of 106; 5 % of 10 cores is no core, of 20 one."""
    big = node("a", gib=100, cpus=10)
    assert rank(spec(gib=105), [big], Strategy.BINPACK, overcommit_percent=5) == [big]
    for wanted in (spec(gib=106), spec(cpus=11), spec(cpus=10240)):
        for strategy in Strategy:
            with pytest.raises(NoNodeFits, match=NO_ROOM):
                rank(wanted, [big], strategy, overcommit_percent=5)
    twenty = node("b", cpus=20)
    assert rank(spec(cpus=21), [twenty], Strategy.SPREAD, overcommit_percent=5) == [twenty]


@pytest.mark.parametrize(("overcommit", "percent"), [(0.05, 5), (0.29, 28), (-0.5, -50), (0.009, 0), (1.0, 100)])
def test_percent(overcommit: float, percent: int) -> None:
    """Overcommit counts in whole per cent, cut off as classic did."""
    assert percent_of(overcommit) == percent


def test_equal_load_but_other_counts() -> None:
    """With equal load, spread takes the node with fewer containers and binpack the one with more."""
    few, many = node("few", containers=1), node("many", containers=2)
    assert names(rank(spec(), [many, few], Strategy.SPREAD, overcommit_percent=0)) == ["few", "many"]
    assert names(rank(spec(), [few, many], Strategy.BINPACK, overcommit_percent=0)) == ["many", "few"]


def test_an_overfull_node_takes_containers_without_limits() -> None:
    """What is not asked for is not looked at."""
    full = node("a", used_memory_bytes=99 * GIB, used_cpus=99)
    assert rank(spec(), [full], Strategy.SPREAD, overcommit_percent=5) == [full]


def test_two_containers_do_not_slip_through_the_rounding() -> None:
    """Classic let a node be full by 100.9 %; here 100 is the end."""
    used = node("a", gib=100, used_memory_bytes=53 * GIB)
    with pytest.raises(NoNodeFits, match=NO_ROOM):
        rank(spec(memory_bytes=52 * GIB + 1), [used], Strategy.BINPACK, overcommit_percent=5)


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        (spec(nano_cpus=2 * NANO), True),
        (spec(nano_cpus=2 * NANO + 1), False),
        (spec(cpus=2, nano_cpus=2 * NANO), True),
        (spec(cpus=3), False),
        (spec(memory_reservation_bytes=4 * GIB), True),
        (spec(memory_reservation_bytes=4 * GIB + 1), False),
        (spec(gib=1, memory_reservation_bytes=5 * GIB), True),
    ],
)
def test_what_classic_ignored(wanted: ContainerSpec, fits: bool) -> None:
    """NanoCpus count together with shares, and reservations where there is no limit."""
    half = node("a", used_cpus=1, used_nano_cpus=NANO, used_memory_bytes=4 * GIB)
    if fits:
        assert rank(wanted, [half], Strategy.SPREAD, overcommit_percent=0) == [half]
    else:
        with pytest.raises(NoNodeFits, match=NO_ROOM):
            rank(wanted, [half], Strategy.SPREAD, overcommit_percent=0)


GPU = (("gpu",),)


@pytest.mark.parametrize(
    ("request_", "fitting"),
    [
        (DeviceRequest(count=1, capabilities=GPU), ["busy", "free", "unknown"]),
        (DeviceRequest(count=3, capabilities=GPU), ["free", "unknown"]),
        (DeviceRequest(count=5, capabilities=GPU), ["unknown"]),
        (DeviceRequest(count=-1, capabilities=GPU), ["free", "unknown"]),
        (DeviceRequest(device_ids=("0", "1", "2"), driver="nvidia"), ["free", "unknown"]),
        (DeviceRequest(count=9, driver="other"), ["busy", "free", "none", "unknown"]),
    ],
)
def test_gpus(request_: DeviceRequest, fitting: list[str]) -> None:
    """GPUs are counted where the node knows them, and other devices are left to the engine."""
    nodes = [
        node("free", gpus=4),
        node("busy", gpus=4, used_gpus=2),
        node("none", gpus=0),
        node("unknown", gpus=-1),
    ]
    ranked = rank(spec(device_requests=(request_,)), nodes, Strategy.SPREAD, overcommit_percent=0)
    assert sorted(names(ranked)) == fitting


def test_claims_of_container() -> None:
    """What an engine reports is claimed as what was asked for: shares as cores, all GPUs as all."""
    container = Container(
        id="a",
        memory_reservation_bytes=7,
        cpu_shares=103,
        nano_cpus=3 * NANO,
        device_requests=(DeviceRequest(count=-1, capabilities=GPU),),
    )
    claims = claims_of_container(container, engine_cpus=10)
    assert claims == Claims(memory_bytes=7, cpus=1, nano_cpus=2 * NANO, gpus=1, all_gpus=1, containers=1)
    assert claims + claims == Claims(memory_bytes=14, cpus=2, nano_cpus=4 * NANO, gpus=2, all_gpus=2, containers=2)


SPECS = st.builds(
    ContainerSpec,
    memory_bytes=st.integers(0, 4) | st.integers(0, 1000),
    memory_reservation_bytes=st.integers(0, 4),
    cpus=st.integers(0, 3),
    nano_cpus=st.integers(0, 3 * NANO),
    cpuset=st.sampled_from(["", "0", "0-2", "1,3", "7"]),
    resources=st.dictionaries(st.sampled_from(["fpga", "my-gpu"]), st.integers(1, 2)),
    device_requests=st.lists(
        st.builds(DeviceRequest, count=st.integers(-1, 2), capabilities=st.just(GPU)), max_size=2
    ).map(tuple),
)
NODES = st.lists(
    st.builds(
        Node,
        id=st.uuids().map(str),
        name=st.sampled_from(["a", "b", "c"]),
        health=st.integers(1, 100),
        cpus=st.integers(0, 30),
        memory_bytes=st.integers(0, 2000),
        gpus=st.integers(0, 3),
        resources=st.dictionaries(st.sampled_from(["fpga", "my-gpu"]), st.integers(0, 4)),
        containers=st.integers(0, 3),
    ),
    max_size=6,
    unique_by=lambda each: each.id,
)
PERCENT = st.integers(-50, 50)


@given(nodes=NODES, wanted=st.lists(SPECS, max_size=30), strategy=st.sampled_from(Strategy), percent=PERCENT)
def test_never_overbooked(nodes: list[Node], wanted: list[ContainerSpec], strategy: Strategy, percent: int) -> None:
    """However many containers are placed, no node ever holds more than it has."""
    cluster = {each.id: each for each in nodes}
    have_gpus = Counter[str]()
    for each in wanted:
        try:
            best = rank(each, list(cluster.values()), strategy, overcommit_percent=percent)[0]
        except NoNodeFits:
            continue
        cluster[best.id] = with_claims(best, claims_of_spec(each))
        have_gpus[best.id] += claims_of_spec(each).gpus > 0
        assert not each.cpuset or int(each.cpuset[-1]) < best.cpus
    for full in cluster.values():
        assert full.used_memory_bytes * 100 <= full.memory_bytes * (100 + percent) + 99
        assert used_nano(full) * 100 <= (full.cpus * (100 + percent) + 99) * NANO
        assert full.used_gpus <= full.gpus
        assert not full.used_all_gpus or have_gpus[full.id] == 1
        assert all(count <= full.resources.get(kind, 0) for kind, count in full.used_resources.items())


@given(NODES, SPECS, st.sampled_from(Strategy), PERCENT, st.randoms(use_true_random=False))
def test_order_of_nodes_does_not_matter(
    nodes: list[Node], wanted: ContainerSpec, strategy: Strategy, percent: int, dice: Random
) -> None:
    """The same nodes in another order are ranked the same."""

    def ranked(given_nodes: list[Node]) -> list[Node]:
        try:
            return rank(wanted, given_nodes, strategy, overcommit_percent=percent)
        except NoNodeFits:
            return []

    shuffled = dice.sample(nodes, len(nodes))
    assert ranked(shuffled) == ranked(nodes)


@given(count=st.integers(1, 8), containers=st.integers(0, 40), wanted=st.builds(spec, gib=st.integers(0, 1)))
def test_spread_is_even(count: int, containers: int, wanted: ContainerSpec) -> None:
    """On equal nodes, spread leaves none with two containers more than another."""
    cluster = fill([node(f"n{n}", gib=64) for n in range(count)], [wanted] * containers, Strategy.SPREAD)
    counts = [each.containers for each in cluster.values()]
    assert max(counts) - min(counts) <= 1


@given(count=st.integers(2, 6), containers=st.integers(1, 12))
def test_binpack_opens_a_node_only_when_it_must(count: int, containers: int) -> None:
    """On equal nodes with room for four, binpack uses as few as possible."""
    nodes = [node(f"n{n}", gib=4) for n in range(max(count, 3))]
    cluster = fill(nodes, [spec(gib=1)] * containers, Strategy.BINPACK, percent=0)
    assert sum(each.containers > 0 for each in cluster.values()) == -(-containers // 4)


def test_random_throws_the_dice_it_is_given() -> None:
    """The random strategy orders the nodes that have room by the caller's dice, and only these."""
    reverse: Callable[[list[Node]], list[Node]] = lambda nodes: nodes[::-1]  # noqa: E731
    nodes = [node("a"), node("full", used_memory_bytes=8 * GIB), node("b")]
    ranked = rank(spec(gib=1), nodes, Strategy.RANDOM, overcommit_percent=0, shuffle=reverse)
    assert names(ranked) == ["b", "a"]
    seeded = Random(1)
    drawn = Counter(
        rank(spec(), nodes, Strategy.RANDOM, overcommit_percent=0, shuffle=lambda n: seeded.sample(n, len(n)))[0].name
        for _ in range(300)
    )
    assert min(drawn[name] for name in ("a", "b", "full")) > 50
