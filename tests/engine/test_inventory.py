"""An older reading never undoes a newer one, and sums are those of what is held."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from swarmproxy.engine.inventory import Inventory, Usage
from swarmproxy.model.container import Container, DeviceRequest


def inventory() -> Inventory:
    return telling(seen=lambda _container: None, gone=lambda _id: None)


def telling(*, seen: Callable[[Container], None], gone: Callable[[str], None]) -> Inventory:
    return Inventory(
        seen=seen,
        gone=gone,
        images_read=lambda _before: None,
        networks_read=lambda _before: None,
        volumes_read=lambda _before: None,
    )


def test_older_reading() -> None:
    """What an older reading found is dropped in favour of a newer one's."""
    held = inventory()
    with held.reading() as older, held.reading() as newer:
        held.put(Container(id="a", name="new"), 1, newer)
        assert held.put(Container(id="a", name="old"), 2, older) == Container(id="a", name="new")
    assert held.containers["a"].name == "new"


def test_older_list() -> None:
    """A list drops what it does not name, unless that was found after the list was asked for."""
    held = inventory()
    with held.reading() as before:
        held.put(Container(id="a"), 1, before)
    with held.reading() as listing, held.reading() as newer:
        held.put(Container(id="b"), 1, newer)
        held.keep_only(set(), listing)
    assert list(held.containers) == ["b"]


def test_dropped_while_reading() -> None:
    """A container that went away during a reading is not brought back by it."""
    held = inventory()
    with held.reading() as number:
        held.drop("a")
        assert held.put(Container(id="a"), 1, number) is None
    assert held.containers == {}


def test_told_once() -> None:
    """Only changes are told."""
    told: list[str] = []
    held = telling(seen=lambda container: told.append(container.name), gone=told.append)
    for name in ("a", "a", "b"):
        with held.reading() as number:
            held.put(Container(id="x", name=name), 1, number)
    held.drop("x")
    held.drop("x")
    assert told == ["a", "b", "x"]


containers = st.builds(
    Container,
    id=st.sampled_from("abcde"),
    state=st.sampled_from(["running", "exited"]),
    cpu_shares=st.integers(0, 5000),
    memory_bytes=st.integers(0, 1000),
    nano_cpus=st.integers(0, 1000),
    cpuset=st.sampled_from(["", "0", "0-1"]),
    device_requests=st.lists(
        st.builds(DeviceRequest, driver=st.just("nvidia"), count=st.integers(-1, 3)), max_size=1
    ).map(tuple),
)


@given(st.lists(st.one_of(containers, st.sampled_from("abcde"), st.integers(1, 64))))
def test_usage(steps: list[Container | str | int]) -> None:
    """However containers come, change and go, and the engine grows, the sums are those of a fresh count."""
    held = inventory()
    held.resize(4)
    size = 4
    for step in steps:
        if isinstance(step, Container):
            with held.reading() as number:
                held.put(step, 1, number)
        elif isinstance(step, str):
            held.drop(step)
        else:
            size = step
            held.resize(step)
    fresh = Usage()
    for container in held.containers.values():
        fresh.add(container, size)
    held.usage.states = {state: count for state, count in held.usage.states.items() if count}
    assert held.usage == fresh
