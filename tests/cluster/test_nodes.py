"""The nodes that are kept ready are always those that would be made now."""

from collections.abc import Callable
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.nodes import snapshot
from swarmproxy.engine.engine import Engine, State
from swarmproxy.errors import EngineUnreachable
from swarmproxy.model.image import Image
from swarmproxy.model.node import Node
from swarmproxy.model.spec import ContainerSpec
from tests.cluster.members import container, member

Change = Callable[[Cluster, Engine], None]


def cluster() -> Cluster:
    """Return a cluster without members."""

    def build(*_: object) -> Engine:
        raise AssertionError

    return Cluster(build, lambda: 0.0)


def made_now(of: Cluster, members: list[Engine]) -> dict[str, Node]:
    """Return the nodes of the accepted ones of `members`, each made anew."""
    accepted = (State.HEALTHY, State.UNHEALTHY)
    return {engine.id: snapshot(engine, of.reservations.on(engine)) for engine in members if engine.state in accepted}


def put(name: str) -> Change:
    def change(_: Cluster, engine: Engine) -> None:
        with engine._inventory.reading() as number:
            engine._inventory.put(container(f"{engine.name}-{name}", name), hash(name), number)

    return change


def hold(_: Cluster, engine: Engine) -> None:
    engine._inventory.images = {"sha256:1": Image(id="sha256:1")}
    engine._inventory.touch()


CHANGES: dict[str, Change] = {
    "put": put("a"),
    "put another": put("b"),
    "drop": lambda _, engine: engine.forget_container(f"{engine.name}-a".ljust(64, "0")),
    "hold": hold,
    "resize": lambda _, engine: engine._inventory.resize(8),
    "healthy": lambda _, engine: engine._health.enter(State.HEALTHY),
    "unhealthy": lambda _, engine: engine._health.enter(State.UNHEALTHY),
    "fail": lambda _, engine: engine.note_failure(EngineUnreachable("gone")),
    "answer": lambda _, engine: engine.note_success(),
    "refused": lambda _, engine: engine._leave("another one"),
    "left": lambda of, engine: of.left(engine),
    "joined": lambda of, engine: of.joined(engine),
}


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from([*CHANGES, "take", "give"]), st.booleans()), max_size=30))
def test_always_current(changes: list[tuple[int, str, bool]]) -> None:
    """Whatever happens to engines and reservations, in whatever order, the next look shows it."""
    of, engines = cluster(), [member(number) for number in range(3)]
    taken: dict[Engine, ExitStack] = {engine: ExitStack() for engine in engines}
    for engine in engines:
        of.joined(engine)
        engine._health.enter(State.HEALTHY)
    for number, what, looks in [*changes, (0, "answer", True)]:
        engine = engines[number]
        if what == "take":
            spec = ContainerSpec(memory_bytes=100)
            taken[engine].enter_context(of.reservations.place(spec, engine, f"id-{number}", "web"))
        elif what == "give":
            taken[engine].close()
        elif what not in ("joined", "left") or (what == "left") is of.nodes.has(engine):
            CHANGES[what](of, engine)
        if looks:
            nodes = of.nodes.all()
            expected = made_now(of, [each for each in engines if of.nodes.has(each)])
            assert {node.id: node for node in nodes} == expected
            assert len(nodes) == len(expected)
            assert all(of.nodes.engine(node).id == node.id for node in nodes)
            assert set(of.nodes.platforms()) == {node.platform for node in nodes if node.healthy} - {""}


def test_only_what_changed() -> None:
    """A node is made anew when its engine has changed, and no other is."""
    of, engines = cluster(), [member(number) for number in range(3)]
    for engine in engines:
        of.joined(engine)
        engine._health.enter(State.HEALTHY)
    before = list(of.nodes.all())
    assert list(of.nodes.all()) == before
    CHANGES["put"](of, engines[1])
    after = of.nodes.all()
    assert [new is old for new, old in zip(after, before, strict=True)] == [
        engines[1] is not of.nodes.engine(node) for node in before
    ]


def test_of_some() -> None:
    """Of engines that are asked for, the accepted members come, in the order asked for."""
    of, engines = cluster(), [member(number) for number in range(4)]
    for engine in engines[:3]:
        of.joined(engine)
    for engine in (engines[0], engines[2], engines[3]):
        engine._health.enter(State.HEALTHY)
    assert [node.name for node in of.nodes.of(reversed(engines))] == ["node-2", "node-0"]
    of.left(engines[0])
    assert [node.name for node in of.nodes.of(engines)] == ["node-2"]
    with pytest.raises(KeyError):
        of.nodes.engine(Node(id="unknown", name="x"))
