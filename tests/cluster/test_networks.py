"""Looking up networks in the whole cluster, from what the engines told."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmproxy.cluster.networks import NetworkIndex
from swarmproxy.engine.engine import Engine
from swarmproxy.errors import BadRequest, NotFound
from swarmproxy.model.network import Network
from tests.cluster.index_engines import engine

ONE, TWO, THREE = engine("one"), engine("two"), engine("three")


def network(network_id: str, name: str, *, scope: str = "local", fields: bytes = b"") -> Network:
    return Network(id=network_id, name=name, scope=scope, fields=fields)


def index(*held: tuple[Engine, Network]) -> NetworkIndex:
    made = NetworkIndex()
    for at in {each: None for each, _ in held}:
        made.replace(at, {}, {each.id: each for where, each in held if where is at})
    return made


@pytest.fixture
def full() -> NetworkIndex:
    return index(
        (ONE, network("aa11", "bridge")),
        (TWO, network("aa22", "bridge")),
        (ONE, network("bb11", "blue")),
        (TWO, network("cc11", "mesh", scope="swarm", fields=b"more")),
        (ONE, network("cc11", "mesh", scope="swarm")),
        (TWO, network("dd11", "cc1")),
    )


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("bb11", "one/blue"),
        ("blue", "one/blue"),
        ("/blue", "one/blue"),
        ("one/blue", "one/blue"),
        ("bb", "one/blue"),
        ("aa1", "one/bridge"),
        ("two/bridge", "two/bridge"),
        ("id-of-two|two:2375/bridge", "two/bridge"),
        ("mesh", "mesh"),
        ("two/mesh", "mesh"),
        ("cc11", "mesh"),
        ("cc1", "two/cc1"),
    ],
)
def test_find(full: NetworkIndex, text: str, title: str) -> None:
    """A network is found by ID, name, `node/name` and the beginning of its ID, in this order."""
    assert full.find(text).title == title


@pytest.mark.parametrize("text", ["", "/", "nope", "two/blue", "nowhere/blue", "one/", "/one/blue/"])
def test_not_found(full: NetworkIndex, text: str) -> None:
    """What no network is called is not found."""
    with pytest.raises(NotFound, match=f"network {text.removeprefix('/')} not found"):
        full.find(text.removeprefix("/"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("bridge", "network bridge is ambiguous (2 matches found based on name: one/bridge (aa11), two/bridge (aa22))"),
        ("aa", "network aa is ambiguous (2 matches found based on ID prefix: one/bridge (aa11), two/bridge (aa22))"),
    ],
)
def test_ambiguous(full: NetworkIndex, text: str, why: str) -> None:
    """Where several are meant the error names all of them."""
    with pytest.raises(BadRequest) as refused:
        full.find(text)
    assert str(refused.value) == why


def test_shared(full: NetworkIndex) -> None:
    """A network of a swarm is one, with all engines that have it, as the one that says most describes it."""
    held = full.find("mesh")
    assert set(held.engines) == {ONE, TWO}
    assert held.network.fields == b"more"
    assert [each.title for each in full].count("mesh") == 1


def test_copied_machines() -> None:
    """Local networks of copied machines have one ID and are two networks all the same."""
    copied = index((ONE, network("aa11", "bridge")), (TWO, network("aa11", "bridge")))
    assert sorted(each.title for each in copied) == ["one/bridge", "two/bridge"]
    assert copied.find("two/bridge").engines == (TWO,)
    with pytest.raises(BadRequest):
        copied.find("aa11")


def test_changes(full: NetworkIndex) -> None:
    """A list that an engine gives later takes the place of the one before."""
    before = {"bb11": network("bb11", "blue"), "aa11": network("aa11", "bridge")}
    full.replace(ONE, before, {"aa11": network("aa11", "bridge"), "ee11": network("ee11", "green")})
    assert full.find("green").engines == (ONE,)
    with pytest.raises(NotFound):
        full.find("blue")
    full.replace(ONE, {"cc11": network("cc11", "mesh", scope="swarm")}, {})
    assert full.find("mesh").engines == (TWO,)
    full.replace(THREE, {"cc11": network("cc11", "mesh", scope="swarm")}, {})  # never told of
    assert full.find("mesh").engines == (TWO,)


def test_forgotten(full: NetworkIndex) -> None:
    """A shared network that was removed stays away, though workers list it a while longer."""
    full.forget(full.find("mesh"))
    again = network("cc11", "mesh", scope="swarm", fields=b"in use")
    full.replace(ONE, {"cc11": network("cc11", "mesh", scope="swarm")}, {"cc11": again})
    full.replace(ONE, {"cc11": again}, {})
    assert "mesh" not in list(full.names())
    full.forget(full.find("one/bridge"))
    full.replace(ONE, {}, {"aa11": network("aa11", "bridge")})  # of a machine that was copied
    assert full.find("one/bridge").network.id == "aa11"


def test_labels() -> None:
    """A shared network is found by its labels as long as an engine tells of them; others may not know them."""
    told = Network(id="cc11", name="mesh", scope="swarm", labels={"a": "b"}, fields=b"more")
    shared = index((ONE, told), (TWO, network("cc11", "mesh", scope="swarm")))
    [held] = shared.labelled("a", "b")
    assert set(held.engines) == {ONE, TWO}
    shared.forget(held)
    assert shared.labelled("a", "b") == []
    assert list(shared) == []


def test_renamed() -> None:
    """A network of the same ID with another name is found by that."""
    held = index((ONE, network("aa11", "old")))
    held.replace(ONE, {"aa11": network("aa11", "old")}, {"aa11": network("aa11", "new")})
    assert held.find("new").title == "one/new"
    assert list(held.names()) == ["new"]


NETWORKS = st.builds(
    Network,
    id=st.sampled_from(["aa11", "aa22", "bb11"]),
    name=st.sampled_from(["blue", "green"]),
    scope=st.sampled_from(["local", "swarm"]),
    labels=st.sampled_from([{}, {"a": "b"}]),
)
LISTS = st.lists(NETWORKS, max_size=3).map(lambda listed: {each.id: each for each in listed})


@given(st.lists(st.tuples(st.sampled_from([ONE, TWO, THREE]), LISTS), max_size=8))
def test_law(readings: list[tuple[Engine, Mapping[str, Network]]]) -> None:
    """Whatever the engines told one after the other, what is found is what their last lists say."""
    made = NetworkIndex()
    known: dict[Engine, Mapping[str, Network]] = {}
    for at, after in readings:
        made.replace(at, known.get(at, {}), after)
        known[at] = after
        now = b" ".join(repr((each.network, [engine.name for engine in each.engines])).encode() for each in made)
        assert made.kept.setdefault("all", now) == now
    told = [(at, each) for at, listed in known.items() for each in listed.values()]
    assert {held.network.id for held in made} == {each.id for _, each in told}
    assert set(made.names()) == {each.name for _, each in told}
    for at, each in told:
        assert any(at in held.engines for held in made.with_prefix(each.id))
        assert any(at in held.engines for held in made.named(each.name))
        for label in each.labels.items():
            assert any(at in held.engines for held in made.labelled(*label))
    assert sum(len(held.engines) for held in made) == len(told)
