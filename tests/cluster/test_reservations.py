"""Names and places are taken before an engine knows of them, and given back in the end."""

import pytest

from swarmproxy.cluster.index import Index
from swarmproxy.cluster.nodes import snapshot
from swarmproxy.cluster.reservations import Reservations
from swarmproxy.errors import Conflict
from swarmproxy.model.node import Pending
from swarmproxy.model.spec import ContainerSpec
from tests.cluster.members import container, member

TAKEN = (
    'Conflict. The container name "/web" is already in use{owner}. '
    "You have to remove (or rename) that container to be able to reuse that name."
)


@pytest.fixture
def index() -> Index:
    """Return an index of nothing."""
    return Index()


@pytest.fixture
def reservations(index: Index) -> Reservations:
    """Return reservations over `index`."""
    return Reservations(index)


def test_held_name(reservations: Reservations) -> None:
    """A name that is held is refused in the daemon's words, with and without its slash, until it is given back."""
    with reservations.name("web"):
        for again in ("web", "/web"):
            with pytest.raises(Conflict) as caught, reservations.name(again):
                pass
            assert str(caught.value) == TAKEN.format(owner="")
        with reservations.name("other"):
            pass
    with reservations.name("web"):
        pass


def test_given_back_after_a_failure(reservations: Reservations) -> None:
    """A name is given back when its create fails, too."""
    with pytest.raises(RuntimeError), reservations.name("web"):
        raise RuntimeError
    with reservations.name("web"):
        pass


def test_name_of_a_container(index: Index, reservations: Reservations) -> None:
    """A name that a container has on any node is refused, and the container is named; its own rename is not."""
    held = container("abc", "web")
    index.put(member(1), held)
    with pytest.raises(Conflict) as caught, reservations.name("web"):
        pass
    assert str(caught.value) == TAKEN.format(owner=f' by container "{held.id}"')
    with reservations.name("web", besides=held.id):
        pass


def test_no_name(reservations: Reservations) -> None:
    """Creates without a name do not stand in each other's way."""
    with reservations.name(""), reservations.name(""), reservations.name("/"):
        pass


def test_place(reservations: Reservations) -> None:
    """A place that is taken counts on its node as if the container were there, and no more once it is given back."""
    here, elsewhere = member(1), member(2)
    spec = ContainerSpec(memory_bytes=100, nano_cpus=7, cpus=0)
    with reservations.place(spec, here, "first"), reservations.place(spec, here, "second"):
        node = snapshot(here, reservations.on(here))
        assert (node.used_memory_bytes, node.used_nano_cpus, node.containers) == (200, 14, 2)
        assert snapshot(elsewhere, reservations.on(elsewhere)).containers == 0
    assert reservations.on(here) == []
    assert snapshot(here, reservations.on(here)).used_memory_bytes == 0


def test_pending(reservations: Reservations) -> None:
    """The scheduler sees what is being created with its name, beside what the engine lists."""
    here = member(1)
    spec = ContainerSpec(image="app")
    with reservations.place(spec, here, "first", "/web"), reservations.place(spec, here, "second"):
        node = snapshot(here, reservations.on(here))
        assert node.pending == (Pending(spec, "web"), Pending(spec))
        assert (node.held, node.images) == (here.containers, here.images)


def test_arrived(reservations: Reservations) -> None:
    """A container that its engine has listed does not count twice, though its create has not ended yet."""
    here = member(1)
    with reservations.place(ContainerSpec(memory_bytes=100), here, "first"):
        reservations.arrived("unknown")
        assert len(reservations.on(here)) == 1
        reservations.arrived("first")
        assert reservations.on(here) == []
    assert reservations.on(here) == []
