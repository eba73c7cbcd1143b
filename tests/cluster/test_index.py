"""The index finds a container by whatever a client may call it, and forgets it wholly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from swarmproxy.cluster.index import Index
from swarmproxy.engine.engine import State
from swarmproxy.errors import BadRequest, Conflict, NotFound, SwarmError
from swarmproxy.model.container import Container
from swarmproxy.model.labels import TASK, TASK_NAME
from tests.cluster.members import container, member

SWARM_ID = "5a" * 32


@pytest.mark.parametrize(
    "text",
    [
        "abc123".ljust(64, "0"),
        "abc123000000",
        "abc",
        "a",
        "web",
        "/web",
        "node-1/web",
        "/node-1/web",
        "ENGINE-1|127.0.0.1:2376/web",
        "alias",
        "other/link",
        SWARM_ID,
        SWARM_ID[:12],
        SWARM_ID[:5],
    ],
)
def test_found(text: str) -> None:
    """A container is found by id, prefix, each of its names, `node/name`, `engine id/name` and swarm id."""
    index = Index()
    index.put(member(1), container("abc123", "web", "alias", "other/link", swarm_id=SWARM_ID))
    index.put(member(2), container("def456", "db", swarm_id="77" * 32))
    assert index.find(text).container.name == "web"
    assert index.find(text).title == "node-1/web"


@pytest.mark.parametrize("text", ["", "/", "abd", "we", "node-2/web", "node-1/", "/node-1", "node-1//", "WEB", "0"])
def test_not_found(text: str) -> None:
    """What no container is called is not found, and the message says what was looked for."""
    index = Index()
    index.put(member(1), container("abc123", "web"))
    with pytest.raises(NotFound, match="No such container: ") as caught:
        index.find(text)
    assert str(caught.value) == f"No such container: {text}"


def test_ambiguous_name() -> None:
    """A name on several nodes is ambiguous and the first few candidates are named; with the node it is not."""
    index = Index()
    index.put(member(1), container("abc", "web"))
    index.put(member(2), container("def", "web"))
    with pytest.raises(Conflict) as caught:
        index.find("web")
    assert str(caught.value) == (
        "container name web is ambiguous: it may be node-1/web (abc000000000), node-2/web (def000000000)"
    )
    assert index.find("node-2/web").container.id.startswith("def")
    for number in range(3, 20):
        index.put(member(number), container(f"f{number:02}", "web"))
    with pytest.raises(Conflict, match=r"may be node-1/web \(abc000000000\)(, [^,]*){4}, …$"):
        index.find("web")


def test_ambiguous_prefix() -> None:
    """A prefix of two ids is refused in the daemon's words, with the candidates."""
    index = Index()
    index.put(member(1), container("abc1", "web"))
    index.put(member(2), container("abc2", "db"))
    with pytest.raises(BadRequest) as caught:
        index.find("abc")
    assert str(caught.value) == "multiple IDs found with provided prefix: abc (node-1/web, node-2/db)"


def test_name_before_prefix() -> None:
    """An exact name wins over a prefix of another's id, a whole id over a name."""
    index = Index()
    index.put(member(1), container("def", "abc"))
    index.put(member(1), container("abc", "def"))
    assert index.find("abc").container.name == "abc"
    index.put(member(1), container("123", "abc".ljust(64, "0")))
    assert index.find("abc".ljust(64, "0")).container.name == "def"


def test_copies_of_one() -> None:
    """Of one container that is on two nodes, as one that moves is, the one that got furthest is meant."""
    index = Index()
    index.put(member(1), container("abc", "web", created=1, swarm_id=SWARM_ID))
    index.put(member(2), container("def", "web", created=2, swarm_id=SWARM_ID))
    for name in ("web", SWARM_ID, SWARM_ID[:12]):
        assert index.find(name).engine.name == "node-2"
    assert index.find("abc").engine.name == "node-1"
    index.put(member(1), replace(container("abc", "web", created=1, swarm_id=SWARM_ID), state="running"))
    assert index.find("web").engine.name == "node-1"


def test_swarm_id_of_two() -> None:
    """A swarm id that two containers have does not silently mean one of them."""
    index = Index()
    index.put(member(1), container("abc", "web", swarm_id=SWARM_ID))
    index.put(member(2), container("def", "web-2", swarm_id=SWARM_ID))
    with pytest.raises(SwarmError):
        index.find(SWARM_ID)


def test_renamed() -> None:
    """A renamed container is found by its new name only."""
    index, engine = Index(), member(1)
    index.put(engine, container("abc", "old"))
    index.put(engine, container("abc", "new"))
    assert index.find("new").container.name == "new"
    with pytest.raises(NotFound):
        index.find("old")
    assert len(index) == 1


def test_dropped() -> None:
    """A dropped container leaves no trace, and only its own engine can drop it."""
    index, engine = Index(), member(1)
    index.put(engine, container("abc", "web", swarm_id=SWARM_ID))
    assert index.drop(member(2), "abc".ljust(64, "0")) is None
    assert len(index) == 1
    dropped = index.drop(engine, "abc".ljust(64, "0"))
    assert dropped is not None
    assert dropped.name == "web"
    assert index.drop(engine, "abc".ljust(64, "0")) is None
    for text in ("web", "abc", SWARM_ID, "node-1/web"):
        with pytest.raises(NotFound):
            index.find(text)
    assert (len(index), list(index.newest_first()), index.holders_of("web")) == (0, [], [])


STEPS = st.lists(
    st.tuples(
        st.booleans(),
        st.sampled_from(["a1", "a2", "b1", "b2"]),
        st.sampled_from(["x", "y", "z"]),
        st.integers(0, 3),
    )
)


@given(STEPS)
def test_any_history(steps: list[tuple[bool, str, str, int]]) -> None:
    """After any history the index answers as one that is built anew of what is left, in the same order."""
    engines = {"a": member(0), "b": member(1)}
    index = Index()
    left = {}
    for puts, container_id, name, created in steps:
        engine = engines[container_id[0]]
        if puts:
            each = container(container_id, name, created=created, swarm_id=name * 64)
            index.put(engine, each)
            left[each.id] = (engine, each)
        else:
            index.drop(engine, container_id.ljust(64, "0"))
            left.pop(container_id.ljust(64, "0"), None)
    anew = Index()
    for engine, each in left.values():
        anew.put(engine, each)
    assert [each.container for each in index.newest_first()] == [each.container for each in anew.newest_first()]
    order = [(-each.container.created_ns, each.container.id) for each in index.newest_first()]
    assert order == sorted(order)
    for text in ("a", "a1", "b", "x", "y", "node-0/x", "node-1/y", "z" * 64, "x" * 12, ""):
        assert outcome(index, text) == outcome(anew, text)


def outcome(index: Index, text: str) -> str:
    """Return what a look-up gives: an id, or a complaint."""
    try:
        return index.find(text).container.id
    except SwarmError as error:
        return f"{type(error).__name__}: {error}"


def task(container_id: str, slot: str, task_id: str, *, state: str = "running", created: int = 0) -> Container:
    """Return the container of a task of a service."""
    made = container(container_id, f"{slot}.{task_id}", created=created)
    return replace(made, state=state, labels={TASK: "", TASK_NAME: f"{slot}.{task_id}"})


def test_task_of_a_service() -> None:
    """A task is found as `service.slot`: the one that runs, else the latest; and by the first letters of its id.

    Of two that run, the one on a node that answers, then the latest, has taken the other's place.
    """
    index = Index()
    index.put(member(1), task("a1", "web.1", "old11", state="exited", created=1))
    index.put(member(2), task("a2", "web.1", "new22", created=2))
    index.put(member(1), task("a3", "web.2", "one33", state="exited", created=1))
    index.put(member(2), task("a4", "web.2", "two44", state="exited", created=2))
    wanted = {"web.1": "a2", "/web.1": "a2", "web.1.old11": "a1", "web.1.ne": "a2", "web.2": "a4", "web.2.o": "a3"}
    assert {text: index.find(text).container.id.rstrip("0") for text in wanted} == wanted
    for text in ("web", "web.3", "web.1.x", "web.", ".1"):
        with pytest.raises(NotFound):
            index.find(text)
    index.put(member(1), task("a5", "web.1", "too55", created=3))
    index.put(member(1), task("a6", "web.1", "two66", created=4))
    with pytest.raises(Conflict, match=r"web.1.t is ambiguous: it may be node-1/web.1.too55, node-1/web.1.two66$"):
        index.find("web.1.t")
    assert index.find("web.1").container.id == "a6".ljust(64, "0")
    (answers := member(3))._health.enter(State.HEALTHY)
    index.put(answers, task("a7", "web.1", "tee77", created=3))
    assert index.find("web.1").container.id == "a7".ljust(64, "0")  # the swarm's own, if the other node is cut off
    index.put(member(1), container("b1", "web.1"))
    assert index.find("web.1").container.id == "b1".ljust(64, "0")
