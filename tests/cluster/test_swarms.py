"""Who is in which swarm of Docker's swarm mode, and whom to ask: by what engines say of themselves."""

from dataclasses import replace

import pytest

from swarmproxy.cluster.swarms import NO_MANAGER, ONLY_WORKERS, Swarms
from swarmproxy.engine.engine import Engine, State
from swarmproxy.errors import Conflict, NoSwarm, Unavailable
from swarmproxy.model.swarm import SwarmPart, is_without_effect
from tests.cluster.members import member


def put(engine: Engine, *managers: str, manages: bool = False, cluster_id: str = "") -> Engine:
    """Return `engine`, which answers and says that it is in the swarm of `managers`; none: in no swarm."""
    assert engine.facts is not None
    part = SwarmPart(f"on-{engine.name}", manages, frozenset(managers), cluster_id) if managers else None
    engine.facts = replace(engine.facts, swarm=part)
    engine._health.enter(State.HEALTHY)
    return engine


def titles(swarms: Swarms) -> list[tuple[str, str, str]]:
    """Return ID, members and managers of each swarm."""
    return [
        (each.id, ",".join(engine.name for engine in each.engines), ",".join(engine.name for engine in each.managers))
        for each in swarms.all()
    ]


def test_none() -> None:
    """Members that are in no swarm have no manager, in the words of an engine in none."""
    swarms = Swarms(lambda: [put(member(1))])
    assert (swarms.all(), swarms.is_used, swarms.form_one([])) == ([], False, False)
    with pytest.raises(NoSwarm) as refused:
        swarms.managers()
    assert str(refused.value) == NO_MANAGER


def test_grouped() -> None:
    """Whoever knows one of the same managers is in the same swarm, directly or through others."""
    first = put(member(1), "on-node-1", "on-node-2", manages=True, cluster_id="c1")
    second = put(member(2), "on-node-1", "on-node-2", manages=True, cluster_id="c1")
    stale = put(member(3), "on-node-2", "gone")
    stranger = put(member(10), "elsewhere")
    swarms = Swarms(lambda: [stranger, stale, second, first, put(member(4))])
    assert titles(swarms) == [("c1", "node-1,node-2,node-3", "node-1,node-2"), ("", "node-10", "")]
    assert swarms.mates([stale]) == [first, second, stale]
    assert swarms.of(stranger) is swarms.all()[1]
    assert [swarms.form_one(each) for each in ([first, stale], [stale], [first, stranger])] == [True, False, False]
    assert swarms.the_one().engines == (first, second, stale)  # a stranger that nobody manages is not meant


def test_leader_first() -> None:
    """The leader is asked first, once it is known, then the others that answer; whoever is silent is not."""
    engines = [put(member(n), "on-node-1", "on-node-2", "on-node-3", manages=True) for n in (1, 2, 3)]
    swarms = Swarms(lambda: engines)
    assert swarms.managers() == engines
    swarms.learn_leader("on-node-3")
    assert [each.name for each in swarms.managers()] == ["node-3", "node-1", "node-2"]
    engines[2]._health.enter(State.UNHEALTHY)
    assert (swarms.managers(), swarms.can_elect()) == (engines[:2], True)
    engines[1]._health.enter(State.UNHEALTHY)
    assert (swarms.managers(), swarms.can_elect()) == (engines[:1], False)
    engines[0]._health.enter(State.UNHEALTHY)
    with pytest.raises(Unavailable, match="node-1, node-2, node-3"):
        swarms.managers()


def test_only_workers() -> None:
    """A swarm whose managers are no members is used from elsewhere, as a worker says."""
    with pytest.raises(NoSwarm) as refused:
        Swarms(lambda: [put(member(1), "far")]).managers()
    assert str(refused.value) == ONLY_WORKERS


def test_two_swarms() -> None:
    """Members of two swarms are told apart by name, and none of the two is used."""
    engines = [put(member(n), f"on-node-{n}", manages=True, cluster_id=f"c{n}") for n in (1, 2)]
    with pytest.raises(Conflict, match=r"2 different swarms, .*: node-1; node-2$"):
        Swarms(lambda: engines).managers()


def test_off() -> None:
    """Where swarm mode is off, there is none for clients; networks still know of it."""
    swarms = Swarms(lambda: engines, mode="off")
    engines = [put(member(1), "on-node-1", manages=True)]
    assert (swarms.is_used, swarms.form_one(engines)) == (False, True)
    with pytest.raises(NoSwarm):
        swarms.the_one()


def test_change_is_seen() -> None:
    """What is kept ready is made anew after a change, of which others are told."""
    told: list[str] = []
    swarms = Swarms(lambda: engines, on_change=[lambda: told.append("changed")])
    engines = [put(member(1))]
    assert swarms.all() == []
    put(engines[0], "on-node-1", manages=True)
    swarms.changed()
    assert (len(swarms.all()), told) == (1, ["changed"])


@pytest.mark.parametrize(
    ("status", "said", "without_effect"),
    [
        (503, ONLY_WORKERS, True),
        (503, NO_MANAGER, True),
        (500, "rpc error: code = Unknown desc = The swarm does not have a leader. It's possible that too few", True),
        (500, "rpc error: code = DeadlineExceeded desc = context deadline exceeded", False),
        (409, "This node is not part of a swarm", False),
    ],
)
def test_without_effect(status: int, said: str, without_effect: bool) -> None:
    """Only what a manager says before it begins is known to have done nothing."""
    assert is_without_effect(status, said) is without_effect


def test_trouble(caplog: pytest.LogCaptureFixture) -> None:
    """What is wrong is logged once, whoever notices it and however often, and again when it has been away."""
    swarms = Swarms(list)
    for task, problem in (
        ("keeping", "split"),
        ("forming", "split"),
        ("keeping", "split"),
        ("forming", ""),
        ("forming", "silent"),
        ("keeping", ""),
        ("keeping", "split"),
    ):
        swarms.trouble(task, problem)
    assert [vars(record)["error"] for record in caplog.records] == ["split", "silent", "split"]
