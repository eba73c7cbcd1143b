"""Looking up volumes in the whole cluster, from what the engines told."""

import pytest

from swarmproxy.cluster.volumes import VolumeIndex
from swarmproxy.errors import Conflict, NotFound
from swarmproxy.model.volume import Volume
from tests.cluster.index_engines import engine

ONE, TWO = engine("one"), engine("two")


def local(name: str) -> Volume:
    return Volume(name=name)


def shared(name: str, driver: str = "nfs") -> Volume:
    return Volume(name=name, driver=driver, scope="global")


@pytest.fixture
def full() -> VolumeIndex:
    made = VolumeIndex()
    made.replace(TWO, {}, {each.name: each for each in (local("twice"), shared("all"), shared("mixed"))})
    made.replace(ONE, {}, {each.name: each for each in (local("data"), local("twice"), shared("all"), local("mixed"))})
    return made


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("data", "one/data"),
        ("/data", "one/data"),
        ("one/data", "one/data"),
        ("two/twice", "two/twice"),
        ("id-of-one|one:2375/twice", "one/twice"),
        ("all", "all"),
        ("two/all", "all"),
        ("one/mixed", "one/mixed"),
    ],
)
def test_find(full: VolumeIndex, text: str, title: str) -> None:
    """A volume is found by its name and by `node/name`."""
    assert full.find(text).title == title


@pytest.mark.parametrize("text", ["", "/", "nope", "two/data", "one/", "dat"])
def test_not_found(full: VolumeIndex, text: str) -> None:
    """What no volume is called is not found."""
    with pytest.raises(NotFound, match=f"get {text}: no such volume"):
        full.find(text)


def test_ambiguous(full: VolumeIndex) -> None:
    """Where several are meant the error names all of them."""
    with pytest.raises(Conflict, match="volume name twice is ambiguous: it may be one/twice, two/twice"):
        full.find("twice")


def test_order(full: VolumeIndex) -> None:
    """Each volume is listed once, in the order of names and nodes; a shared one has all its engines."""
    assert [each.title for each in full] == ["all", "one/data", "one/mixed", "mixed", "one/twice", "two/twice"]
    assert set(full.find("all").engines) == {ONE, TWO}


def test_changes(full: VolumeIndex) -> None:
    """A list that an engine gives later takes the place of the one before."""
    before = {name: local(name) for name in ("data", "twice", "all", "mixed")}
    full.replace(ONE, before, {"new": local("new")})
    assert [each.title for each in full] == ["all", "mixed", "one/new", "two/twice"]
    assert full.find("all").engines == (TWO,)
