"""The filters that look at other containers and at images: port, dependency, affinity."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmproxy.errors import BadRequest, NoNodeFits
from swarmproxy.model.container import Container, PortBinding
from swarmproxy.model.image import Image
from swarmproxy.model.node import Node, Pending
from swarmproxy.model.spec import ContainerSpec, Reach
from swarmproxy.scheduler.filters import NAMES, choose
from swarmproxy.scheduler.scheduler import place
from swarmproxy.scheduler.strategy import Strategy

REFUSED = "Unable to find a node that satisfies the following conditions "
SLOTS = "[available container slots]"
WEB_ID, DB_ID = "abcdef012345" + "6" * 52, "fedcba543210" + "7" * 52


def node(name: str, *held: Container, pending: Sequence[Pending] = (), images: Sequence[Image] = ()) -> Node:
    return Node(
        id=f"id-{name}",
        name=name,
        held={each.id: each for each in held},
        pending=tuple(pending),
        images={each.id: each for each in images},
    )


def ports(*texts: str) -> tuple[PortBinding, ...]:
    """Return what `ip:port/protocol` publishes, for each of `texts`."""
    bound = []
    for text in texts:
        address, _, protocol = text.partition("/")
        ip, _, port = address.rpartition(":")
        bound.append(PortBinding(container_port=f"8000/{protocol or 'tcp'}", host_ip=ip.strip("[]"), host_port=port))
    return tuple(bound)


def offered(spec: ContainerSpec, *nodes: Node) -> str:
    """Return the names of the nodes on offer, or the text of the refusal without the count of nodes."""
    try:
        ranked = place(spec, nodes, strategy=Strategy.SPREAD, filters=choose(), overcommit_percent=0)
    except NoNodeFits as refusal:
        return str(refusal).rpartition("\n")[0]
    return " ".join(sorted(each.name for each in ranked))


def test_order() -> None:
    """All filters are there, in classic's order."""
    assert NAMES == ("health", "port", "containerslots", "dependency", "affinity", "constraint", "whitelist")
    assert tuple(each.name for each in choose()) == NAMES


CLASHES = [
    ("80", "80", True),
    ("80", "81", False),
    ("80", "80/udp", False),
    ("53/udp", "53/udp", True),
    ("127.0.0.1:80", "80", True),
    ("127.0.0.1:80", "0.0.0.0:80", True),
    ("127.0.0.1:80", "[::]:80", True),
    ("127.0.0.1:80", "127.0.0.1:80", True),
    ("127.0.0.1:80", "192.168.1.1:80", False),
    ("[::1]:80", "[0:0:0:0:0:0:0:1]:80", True),
    ("8000-8010", "8005", True),
    ("8000-8010", "8010-8020", True),
    ("8000-8010", "8011", False),
    ("8000-8010", "127.0.0.1:8000-8010", True),
    ("8000-8010/udp", "8005/tcp", False),
    ("", "80", False),
    ("", "", False),
    ("0", "0", False),
    ("odd", "odd", False),
    ("90-80", "85", False),
]


@pytest.mark.parametrize(("one", "other", "clash"), CLASHES)
def test_ports(one: str, other: str, clash: bool) -> None:
    """Ports clash if protocol, number and address do; those that an engine chooses or will refuse never do."""
    for held, wanted in ((one, other), (other, one)):
        spec = ContainerSpec(published=ports(wanted))
        expected = "free" if clash else "free taken"
        stopped = Container(id="c", published=ports("1", held), state="exited")
        assert offered(spec, node("taken", stopped), node("free")) == expected
        pending = Pending(ContainerSpec(published=ports("1", held)))
        assert offered(spec, node("taken", pending=[pending]), node("free")) == expected


@pytest.mark.parametrize(
    ("exposed", "published", "clash"),
    [
        ("80/tcp", "80", True),
        ("80", "80", True),
        ("80/tcp", "127.0.0.1:80", True),
        ("80/udp", "80", False),
        ("80-90/tcp", "85", True),
        ("81/tcp", "80", False),
    ],
)
def test_ports_of_the_host(exposed: str, published: str, clash: bool) -> None:
    """A container in the host's network has what it exposes, on every address, and nothing that it publishes."""
    host, bridge = {"network_mode": "host", "exposed": (exposed,)}, {"published": ports(published)}
    expected = "free" if clash else "free taken"
    for held, wanted in ((host, bridge), (bridge, host)):
        container = Container(id="c", **held)
        spec = ContainerSpec(**wanted)
        assert offered(spec, node("taken", container), node("free")) == expected
        pending = Pending(ContainerSpec(**held))
        assert offered(spec, node("taken", pending=[pending]), node("free")) == expected
    unused = Container(id="c", network_mode="host", published=ports("80"))
    assert offered(ContainerSpec(published=ports("80")), node("n", unused)) == "n"
    unreached = Container(id="c", network_mode="bridge", exposed=("80/tcp",))
    assert offered(ContainerSpec(published=ports("80")), node("n", unreached)) == "n"


def test_refused_ports() -> None:
    """A refusal names every port, and whose it would be."""
    taken = node("n", Container(id="c", published=ports("80"), network_mode="bridge"))
    spec = ContainerSpec(published=ports("80", "127.0.0.1:8000-8010"))
    assert offered(spec, taken) == f"{REFUSED}\n[port 80 (Bridge mode) port 8000-8010 (Bridge mode)]"
    spec = ContainerSpec(network_mode="host", exposed=("80/tcp", "53/udp"))
    assert offered(spec, taken) == f"{REFUSED}\n[port 80/tcp (Host mode) port 53/udp (Host mode)]"


ADDRESSES = st.sampled_from(["", "0.0.0.0", "127.0.0.1", "10.0.0.1"])
SPANS = st.tuples(st.integers(1, 12), st.integers(0, 3)).map(lambda span: (span[0], sum(span)))
WANTED = st.lists(st.tuples(ADDRESSES, SPANS, st.sampled_from(["tcp", "udp"])), max_size=3)


def sockets(wanted: Sequence[tuple[str, tuple[int, int], str]]) -> set[tuple[str, int, str]]:
    """Return every address, port and protocol that `wanted` takes of a host with two addresses."""
    return {
        (ip, port, protocol)
        for address, (first, last), protocol in wanted
        for ip in (("127.0.0.1", "10.0.0.1") if address in ("", "0.0.0.0") else (address,))
        for port in range(first, last + 1)
    }


def published(wanted: Sequence[tuple[str, tuple[int, int], str]]) -> tuple[PortBinding, ...]:
    return ports(*(f"{ip}:{first}-{last}/{protocol}" for ip, (first, last), protocol in wanted))


@given(st.lists(WANTED, max_size=4), WANTED)
def test_a_port_is_given_once(
    held: list[list[tuple[str, tuple[int, int], str]]], wanted: list[tuple[str, tuple[int, int], str]]
) -> None:
    """A node is on offer exactly if no address and port is wanted that one of its containers has."""
    containers = [Container(id=str(number), published=published(each)) for number, each in enumerate(held)]
    free = not any(sockets(wanted) & sockets(each) for each in held)
    spec = ContainerSpec(published=published(wanted))
    assert (offered(spec, node("n", *containers)) == "n") is free


@given(st.lists(WANTED, max_size=8))
def test_ports_in_flight(creates: list[list[tuple[str, tuple[int, int], str]]]) -> None:
    """However many creates are in flight, no node is given one port twice."""
    nodes = {name: node(name) for name in ("a", "b")}
    taken: dict[str, set[tuple[str, int, str]]] = {name: set() for name in nodes}
    for wanted in creates:
        spec = ContainerSpec(published=published(wanted))
        best, *_ = offered(spec, *nodes.values()).split(" ")
        if best in nodes:
            assert not taken[best] & sockets(wanted)
            taken[best] |= sockets(wanted)
            nodes[best] = replace(nodes[best], pending=(*nodes[best].pending, Pending(spec)))


def test_dependencies() -> None:
    """Only the node that holds all that is needed will do."""
    web, db = Container(id=WEB_ID, name="web"), Container(id=DB_ID, name="db", state="exited")
    nodes = node("one", web), node("both", Container(id="x"), web, db), node("none")
    spec = ContainerSpec(volumes_from=("db:ro",), links=("web:alias",), network_mode="container:web")
    assert offered(replace(spec, found={"db": db, "web": web}), *nodes) == "both"
    assert offered(replace(spec, found={"db": db, "web": web}), *nodes[:1]).startswith(REFUSED)
    assert offered(ContainerSpec(network_mode="host", ipc_mode="private"), *nodes) == "both none one"


def test_reach() -> None:
    """Only a node that every joined network is on will do, whatever else is needed; a refusal names them."""
    web = Container(id=WEB_ID, name="web")
    nodes = node("one", web), node("two"), node("three")
    blue = Reach("--net=blue", frozenset(("id-one", "id-two")), "one, two")
    green = Reach("--net=green", frozenset(("id-two", "id-three")), "two, three")
    assert offered(ContainerSpec(reach=(blue,)), *nodes) == "one two"
    assert offered(ContainerSpec(reach=(blue, green)), *nodes) == "two"
    assert offered(ContainerSpec(links=("web:w",), found={"web": web}, reach=(blue,)), *nodes) == "one"
    assert offered(ContainerSpec(links=("web:w",), found={"web": web}, reach=(green,)), *nodes).startswith(
        f"{REFUSED}\n{SLOTS}\n[--link=web:w --net=green (only on two, three)]"
    )


def test_refused_dependencies() -> None:
    """A refusal names the options, with what is to be shared and how."""
    spec = ContainerSpec(
        volumes_from=("c0:ro", "/c1"),
        links=("c2:alias",),
        network_mode="container:c3",
        ipc_mode="container:c4",
        pid_mode="container:c5",
    )
    assert offered(spec, node("n")) == (
        f"{REFUSED}\n{SLOTS}\n[--volumes-from=c0:ro --volumes-from=/c1 --link=c2:alias "
        "--net=container:c3 --ipc=container:c4 --pid=container:c5]"
    )


@given(st.lists(st.sets(st.sampled_from("abcdef")), min_size=1, max_size=5), st.sets(st.sampled_from("abcdefg")))
def test_dependencies_are_sound_and_complete(held: list[set[str]], needed: set[str]) -> None:
    """On offer are exactly the nodes that hold all that is needed; what is not known is on none."""
    known = {name: Container(id=name, name=name) for name in "abcdef"}
    nodes = [node(f"n{number}", *(known[name] for name in names)) for number, names in enumerate(held)]
    found = {name: container for name, container in known.items() if name in needed}
    outcome = offered(ContainerSpec(volumes_from=tuple(sorted(needed)), found=found), *nodes)
    expected = " ".join(each.name for each, names in zip(nodes, held, strict=True) if needed <= names)
    assert outcome == expected if expected else outcome.startswith(REFUSED)


AFFINE = (
    node("web", Container(id=WEB_ID, name="web-1", labels={"tier": "front"}), images=[Image(id="sha256:" + WEB_ID)]),
    node(
        "db",
        Container(id=DB_ID, name="db-1", state="exited", labels={"tier": "back"}),
        images=[Image(id="sha256:" + DB_ID, tags=("redis:7", "host:5000/app:1"))],
    ),
    node("new", pending=[Pending(ContainerSpec(labels={"tier": "next"}), "web-2"), Pending(ContainerSpec())]),
    node("none"),
)


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("container==web-1", "web"),
        ("container==web", ""),
        ("container==web-*", "new web"),
        ("container==/^(web|db)-1$/", "db web"),
        ("container!=web-*", "db none"),
        (f"container=={WEB_ID}", "web"),
        (f"container=={WEB_ID[:12]}", "web"),
        (f"container=={WEB_ID[:11]}", ""),
        (f"container=={WEB_ID[:6]}*", "web"),
        (f"container!={DB_ID[:12]}", "new none web"),
        ("container==*", "db new web"),
        ("container==~nobody", "db new none web"),
        ("container!=~web-1", "db new none"),
        ("image==redis", "db"),
        ("image==redis:7", "db"),
        ("image==redis:6", ""),
        ("image==re*", "db"),
        ("image==host:5000/app", "db"),
        ("image!=redis", "new none web"),
        (f"image==sha256:{WEB_ID}", "web"),
        (f"image=={WEB_ID}", "web"),
        (f"image=={WEB_ID[:12]}", "web"),
        ("image==/sha256/", "db web"),
        ("tier==front", "web"),
        ("tier==/front|back/", "db web"),
        ("tier==*", "db new web"),
        ("tier==next", "new"),
        ("tier!=front", "db new none"),
        ("missing!=x", "db new none web"),
        ("missing==*", "db new web"),
    ],
)
def test_affinity(expression: str, names: str) -> None:
    """Affinities choose by names and IDs of containers and images, and by containers' labels."""
    spec = ContainerSpec.parse(b'{"Env":["affinity:%s"]}' % expression.encode())
    assert offered(spec, *AFFINE) == (names or f"{REFUSED}\n{SLOTS}\n[{expression} (soft=false)]")


def test_refused_affinity() -> None:
    """Several add up; a refusal shows all, soft ones as such, and what cannot be read says in which filter."""
    env = b'{"Env":["affinity:container==web-1","affinity:tier!=front","affinity:image==~x1"]}'
    said = "[container==web-1 (soft=false) tier!=front (soft=false) image==x1 (soft=true)]"
    assert offered(ContainerSpec.parse(env), *AFFINE) == f"{REFUSED}\n{SLOTS}\n{said}"
    with pytest.raises(BadRequest, match=r"^error from affinity filter: Value '/' is invalid"):
        offered(ContainerSpec.parse(b'{"Env":["affinity:container==/"]}'), *AFFINE)


@given(st.lists(st.lists(st.sampled_from(["a1", "b1", "b2"]), max_size=3), min_size=1, max_size=4))
def test_affinity_and_its_opposite(names: list[list[str]]) -> None:
    """Of an affinity and its opposite each node satisfies exactly one."""
    nodes = [
        node(f"n{at}", *(Container(id=f"{at}{number}", name=name) for number, name in enumerate(held)))
        for at, held in enumerate(names)
    ]
    for value in ("a1", "b*", "/1$/"):
        sides = []
        for operator in ("==", "!="):
            spec = ContainerSpec.parse(b'{"Env":["affinity:container%s%s"]}' % (operator.encode(), value.encode()))
            outcome = offered(spec, *nodes)
            sides += [] if outcome.startswith(REFUSED) else outcome.split()
        assert sorted(sides) == sorted(each.name for each in nodes)
