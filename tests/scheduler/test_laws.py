"""The laws of placement, checked beside an oracle that looks at everything and keeps nothing ready."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from swarmproxy.errors import NoNodeFits
from swarmproxy.model.container import Container
from swarmproxy.model.holdings import Holdings, image_names
from swarmproxy.model.image import Image
from swarmproxy.model.node import Node, Pending
from swarmproxy.model.spec import ContainerSpec, Reach
from swarmproxy.scheduler.crowd import Register
from swarmproxy.scheduler.filters import NAMES, choose
from swarmproxy.scheduler.resources import claims_of_spec, used_nano, with_claims
from swarmproxy.scheduler.resources import demand_of as demand
from swarmproxy.scheduler.scheduler import place
from swarmproxy.scheduler.strategy import Strategy, weight_of

GIB = 1 << 30
CORES = 4
ID = "0123456789abcdef" * 4  # of a container that some nodes hold


def id_of(name: str) -> str:
    return f"{name}|10.0.0.1:2375"


@dataclass(slots=True)
class Member:
    """One engine of the model: what it has, what is on the way to it."""

    name: str
    labels: dict[str, str]
    images: list[Image]
    memory_gib: int
    health: int = 100
    fpgas: int = 0
    platform: str = ""
    holdings: Holdings = field(default_factory=Holdings)
    specs: dict[str, ContainerSpec] = field(default_factory=dict)  # of containers that the engine lists
    pending: dict[str, Pending] = field(default_factory=dict)

    def node(self) -> Node:
        """Return the snapshot, as the cluster makes it."""
        node = Node(
            id=id_of(self.name),
            name=self.name,
            health=self.health,
            labels=self.labels,
            memory_bytes=self.memory_gib * GIB,
            cpus=CORES,
            gpus=-1,
            resources={"fpga": self.fpgas},
            platform=self.platform,
            held=self.holdings.containers,
            holdings=self.holdings,
            image_names=image_names(self.images),
            images={image.id: image for image in self.images},
            pending=tuple(self.pending.values()),
            containers=len(self.holdings.containers) - len(self.specs),
        )
        for spec in self.claims():
            node = with_claims(node, claims_of_spec(spec))
        return node

    def names(self) -> set[str]:
        """Return every name that a container has, or will have."""
        listed = {each.name for each in self.holdings.containers.values()}
        return {name for name in listed | {each.name for each in self.pending.values()} if name}

    def values(self, label: str) -> set[str]:
        """Return what containers say of `label`."""
        held = [each.labels for each in self.holdings.containers.values()]
        return {labels.get(label, "") for labels in [*held, *(each.spec.labels for each in self.pending.values())]}

    def claims(self) -> list[ContainerSpec]:
        """Return what all containers were made from, those on the way included."""
        return [*self.specs.values(), *(each.spec for each in self.pending.values())]

    def cores(self, more: ContainerSpec) -> int:
        """Return how many cores would be in use with one more: those asked for, and those that any is pinned to."""
        claims = [*self.claims(), more]
        pinned = {core for each in claims if not each.cpus for core in each.cpuset.split(",") if core}
        return sum(each.cpus for each in claims) + len(pinned)

    def fpgas_used(self) -> int:
        return sum(each.resources.get("fpga", 0) for each in self.claims())

    def ports(self) -> list[str]:
        """Return every port that a container has or will have, as often as there is one."""
        listed = [each for container in self.holdings.containers.values() for each in container.published]
        coming = [each for pending in self.pending.values() for each in pending.spec.published]
        return [each.host_port for each in (*listed, *coming)]


Holds = Callable[[Member], bool]


def _any(pattern: str, texts: Callable[[Member], set[str]]) -> Holds:
    return lambda member: any(re.search(pattern, text) for text in texts(member))


def _tags(member: Member) -> set[str]:
    return {tag for image in member.images for tag in image.tags}


# What a user may write, and what it means. With `!=` the opposite, with `~` softly.
MEANINGS: dict[str, Holds] = {
    "constraint:node==n0": lambda member: member.name == "n0",
    "constraint:node==/n[01]/": lambda member: member.name in ("n0", "n1"),
    "constraint:storage==ssd": lambda member: member.labels.get("storage") == "ssd",
    "constraint:storage==s*": lambda member: member.labels.get("storage", "").startswith("s"),
    "constraint:storage==*": lambda _: True,
    "affinity:container==web-1": lambda member: "web-1" in member.names(),
    "affinity:container==web*": _any("^web", Member.names),
    "affinity:container==w.b-*": _any("^w.b-", Member.names),
    "affinity:container==/-[12]$/": _any("-[12]$", Member.names),
    f"affinity:container=={ID}": lambda member: ID in member.holdings.containers,
    f"affinity:container=={ID[:12]}": lambda member: ID in member.holdings.containers,
    "affinity:app==blue": lambda member: "blue" in member.values("app"),
    "affinity:app==b*": _any("^b", lambda member: member.values("app")),
    "affinity:app==/e$|^$/": _any("e$|^$", lambda member: member.values("app")),
    "affinity:image==redis:7.2": _any(r"^redis:7.2$", _tags),
    "affinity:image==redis": _any(r"^redis:", _tags),
    "affinity:image==re*": _any(r"^re", _tags),
    "whitelist:node==n0|n2": lambda member: member.name in ("n0", "n2"),
}


@dataclass(frozen=True, slots=True)
class Wish:
    """One create."""

    expressions: dict[str, str]  # key of MEANINGS: an operator, with ~ if it is soft
    memory_gib: int
    ports: tuple[str, ...]
    labels: dict[str, str]
    name: str
    answered: bool  # whether its engine lists it before the next create
    image: str = ""
    fpgas: int = 0
    cores: int = 0
    cpuset: str = ""
    networks: tuple[frozenset[str], ...] = ()  # the nodes that have each
    platforms: tuple[str, ...] = ()

    def spec(self) -> ContainerSpec:
        env = [key.replace("==", operator, 1) for key, operator in self.expressions.items()]
        ports = {f"{port}/tcp": [{"HostPort": port}] for port in self.ports}
        host = {
            "Memory": self.memory_gib * GIB,
            "PortBindings": ports,
            "CpuShares": self.cores,
            "CpusetCpus": self.cpuset,
        }
        env += [f"resource:fpga={self.fpgas}"] if self.fpgas else []
        body = {"Image": self.image, "Env": env, "Labels": self.labels, "HostConfig": host}
        reach = [Reach("--net=n", frozenset(map(id_of, nodes)), "") for nodes in self.networks]
        return replace(ContainerSpec.parse(json.dumps(body).encode()), reach=tuple(reach), platforms=self.platforms)

    @property
    def tag(self) -> str:
        return self.image if ":" in self.image else f"{self.image}:latest"

    def holds(self, member: Member, *, soft: bool) -> bool:
        """Return whether `member` satisfies the expressions, the soft ones only if `soft`."""
        return all(
            MEANINGS[key](member) is operator.startswith("==")
            for key, operator in self.expressions.items()
            if soft or not operator.endswith("~")
        )

    def has_place(self, member: Member) -> bool:
        """Return whether `member` has what there is only so much of."""
        node, spec = member.node(), self.spec()
        slots = int(member.labels.get("containerslots", 99))
        needs_cores = spec.cpus or spec.cpuset
        return (
            node.containers < slots
            and not set(self.ports) & set(member.ports())
            and all(member.name in nodes for nodes in self.networks)
            and (not self.platforms or member.platform in ("", *self.platforms))
            and (not self.fpgas or member.fpgas_used() + self.fpgas <= member.fpgas)
            and all(int(core) < CORES for core in self.cpuset.split(",") if core)
            and (not needs_cores or member.cores(spec) <= CORES)
            and (not self.memory_gib or node.used_memory_bytes + self.memory_gib * GIB <= node.memory_bytes)
        )


IMAGES = [Image(id="sha256:1", tags=("redis:7.2",)), Image(id="sha256:2", tags=("busybox:latest",))]
MEMBERS = st.lists(
    st.builds(
        Member,
        name=st.sampled_from(["n0", "n1", "n2", "n3"]),
        labels=st.fixed_dictionaries(
            {}, optional={"storage": st.sampled_from(["ssd", "disk"]), "containerslots": st.sampled_from(["1", "2"])}
        ),
        images=st.lists(st.sampled_from(IMAGES), unique_by=lambda image: image.id),
        memory_gib=st.integers(0, 4),
        health=st.sampled_from([34, 67, 100, 100]),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda member: member.name,
)
WISHES = st.lists(
    st.builds(
        Wish,
        expressions=st.dictionaries(
            st.sampled_from(sorted(MEANINGS)), st.sampled_from(["==", "==~", "!=", "!=~"]), max_size=3
        ),
        memory_gib=st.integers(0, 2),
        ports=st.sampled_from([(), (), ("80",), ("80", "81")]),
        labels=st.sampled_from([{}, {"app": "blue"}, {"app": "green"}]),
        name=st.sampled_from(["", "web-1", "web-2", "db"]),
        answered=st.booleans(),
    ),
    max_size=10,
)
ALIKE = st.lists(
    st.builds(
        Member,
        name=st.sampled_from(["n0", "n1", "n2", "n3"]),
        labels=st.just({}),
        images=st.lists(st.sampled_from(IMAGES), unique_by=lambda image: image.id),
        memory_gib=st.just(4),
        fpgas=st.sampled_from([0, 2, 2]),
        platform=st.sampled_from(["", "linux/amd64", "linux/arm64"]),
    ),
    min_size=2,
    max_size=4,
    unique_by=lambda member: member.name,
)
DEMANDS = st.lists(
    st.builds(
        Wish,
        expressions=st.just({}),
        memory_gib=st.sampled_from([0, 0, 1]),
        ports=st.just(()),
        labels=st.just({}),
        name=st.just(""),
        answered=st.booleans(),
        image=st.sampled_from(["", "redis:7.2", "busybox", "nobody/has:it"]),
        fpgas=st.sampled_from([0, 0, 0, 1, 2]),
        cores=st.sampled_from([0, 0, 0, 1, 3]),
        cpuset=st.sampled_from(["", "", "0", "0,1", "1,2,3", "4"]),
        networks=st.sampled_from([(), (), (frozenset({"n0", "n1"}),), (frozenset({"n1"}), frozenset({"n1", "n2"}))]),
        platforms=st.sampled_from([(), (), ("linux/arm64",)]),
    ),
    min_size=4,
    max_size=12,
)


def offered(
    wish: Wish, among: Sequence[Member] | Sequence[Node], strategy: Strategy, filters: Sequence[str] = NAMES
) -> list[str]:
    """Return the names of the nodes on offer, best first."""
    members = [each for each in among if isinstance(each, Member)]
    nodes = [member.node() for member in members] or cast("Sequence[Node]", among)
    try:
        ranked = place(
            wish.spec(),
            nodes,
            strategy=strategy,
            filters=choose(filters),
            overcommit_percent=0,
            prefer_holders=True,
        )
    except NoNodeFits:
        return []
    assert ranked[0] is list(ranked)[0]  # noqa: RUF015 - the one that is found alone, and the first of all
    assert len(ranked) == len(list(ranked))
    return [node.name for node in ranked]


def make(wish: Wish, member: Member, container_id: str) -> None:
    """Let `member` have what was placed there, or know that it is coming."""
    spec = wish.spec()
    if not wish.answered:
        member.pending[container_id] = Pending(spec, wish.name)
        return
    member.specs[container_id] = spec
    member.holdings.put(Container(id=container_id, name=wish.name, labels=dict(spec.labels), published=spec.published))


STRATEGIES = st.sampled_from([Strategy.SPREAD, Strategy.BINPACK])
DICE = st.randoms(use_true_random=False)


@given(MEMBERS, WISHES, STRATEGIES, DICE)
def test_expressions(members: list[Member], wishes: list[Wish], strategy: Strategy, dice: Random) -> None:
    """Placements with expressions, ports and slots are what the oracle says."""
    check_placements(members, wishes, strategy, dice)


@given(ALIKE, DEMANDS, STRATEGIES, DICE)
def test_demands(members: list[Member], wishes: list[Wish], strategy: Strategy, dice: Random) -> None:
    """Placements with cores, generic resources, images, platforms and networks of some nodes are, too."""
    check_placements(members, wishes, strategy, dice)


def check_placements(members: list[Member], wishes: list[Wish], strategy: Strategy, dice: Random) -> None:
    """On offer are exactly the nodes that have room and hold what is demanded, softly or not, best first.

    Soft expressions are given up only if no node with room holds them. The order is that of weights, and of equal
    nodes those with the image first, whatever the order in which nodes are given. Memory, cores, generic resources,
    ports and slots are never given twice.
    """
    if members[0].name != "n0":
        members[0].holdings.put(Container(id=ID, name="old"))
    register = Register()
    for member in members:
        register.add(member.node())
    for number, wish in enumerate(wishes):
        able = [member for member in members if wish.has_place(member)]
        hard = [member for member in able if wish.holds(member, soft=False)]
        soft = [member for member in hard if wish.holds(member, soft=True)]
        names = offered(wish, members, strategy)
        assert set(names) == {member.name for member in soft or hard}
        assert offered(wish, dice.sample(members, len(members)), strategy) == names
        for _ in range(3):  # from the second time on the best is found among those that have changed
            assert offered(wish, register.all(), strategy) == names
        nodes = {member.name: member.node() for member in members}
        sign = -1 if strategy is Strategy.BINPACK else 1

        held_by = {each.name: bool(wish.image) and wish.tag in _tags(each) for each in members}

        def preference(name: str) -> tuple[int, int, bool, str]:
            weight = weight_of(demand(wish.spec()), nodes[name], strategy, overcommit_percent=0)  # noqa: B023
            return sign * weight, sign * nodes[name].containers, not held_by[name], name  # noqa: B023

        assert names == sorted(names, key=preference)
        if names:
            (chosen,) = (member for member in members if member.name == names[0])
            make(wish, chosen, str(number).ljust(64, "f"))
            register.replace(members.index(chosen), chosen.node())
            ports = chosen.ports()
            assert len(ports) == len(set(ports))
    for member in members:
        node = member.node()
        assert node.used_memory_bytes <= node.memory_bytes
        assert member.fpgas_used() <= member.fpgas
        assert member.cores(ContainerSpec()) <= CORES
        assert used_nano(node) == member.cores(ContainerSpec()) * 10**9


@given(MEMBERS, WISHES)
def test_filters_in_any_order(members: list[Member], wishes: list[Wish]) -> None:
    """The same nodes are on offer in whatever order the filters look at them."""
    for wish in wishes:
        assert offered(wish, members, Strategy.SPREAD, NAMES[::-1]) == offered(wish, members, Strategy.SPREAD)


@given(st.integers(1, 6), st.lists(st.sampled_from([0, 1]), max_size=30), st.booleans())
def test_spread_stays_even(count: int, memories: list[int], answered: bool) -> None:
    """On equal nodes, no node ever has two containers more than another, whether engines have answered or not."""
    for memory_gib in set(memories):
        members = [Member(f"n{number}", {}, [], 64) for number in range(count)]
        for number in range(len(memories)):
            wish = Wish({}, memory_gib, (), {}, "", answered)
            make(
                wish,
                next(each for each in members if each.name == offered(wish, members, Strategy.SPREAD)[0]),
                str(number),
            )
            counts = [member.node().containers for member in members]
            assert max(counts) - min(counts) <= 1


@given(st.lists(st.integers(1, 3), max_size=12), st.integers(4, 6))
def test_binpack_fills(memories: list[int], memory_gib: int) -> None:
    """An empty node is opened only for what fits on no node that holds containers already."""
    members = [Member(f"n{number}", {}, [], memory_gib) for number in range(len(memories))]
    for number, wanted in enumerate(memories):
        wish = Wish({}, wanted, (), {}, "", answered=number % 2 == 0)
        names = offered(wish, members, Strategy.BINPACK)
        used = {member.name for member in members if member.node().containers}
        if used & set(names):
            assert names[0] in used
        make(wish, next(each for each in members if each.name == names[0]), str(number))
