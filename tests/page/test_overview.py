"""The head of the page says who leads, and how swarm mode stands."""

from dataclasses import replace

from discovery.election import Standing
from swarmproxy.cluster.cluster import Source
from swarmproxy.engine.engine import Engine, State
from swarmproxy.leader.leadership import Leadership
from swarmproxy.model.swarm import SwarmPart
from swarmproxy.page.overview import NO_LEADER, ManagerView, SwarmView, managers_of, swarm_of, warnings_of
from tests.engine.harness import eventually
from tests.leader.election import ScriptedElection, won
from tests.leader.test_leadership import campaigning
from tests.page.scene import Scene

ME, OTHER, THIRD = "10.0.0.1:2375", "10.0.0.2:2375", "10.0.0.3:2375"


async def test_managers() -> None:
    """A replica says who leads, or that nobody does, and which other replicas there are; a leader that it leads."""
    election = ScriptedElection(Standing(leader=OTHER))
    async with campaigning(election) as (leadership, _):
        await eventually(lambda: leadership.other)
        this = ManagerView(ME, "replica", is_this=True)
        third = ManagerView(THIRD, "replica")
        assert managers_of(leadership, ()) == [ManagerView(OTHER, "leader"), this]
        assert managers_of(leadership, (ME, OTHER, THIRD)) == [ManagerView(OTHER, "leader"), this, third]
        async with Scene(1).client(managers=lambda: managers_of(leadership, (THIRD,))) as client:
            text = (await client.get("/")).text
            assert f"<b>leader</b> {OTHER}" in text
            assert f"<b>replica</b> {ME} <i>this one</i>" in text
            assert f"<b>replica</b> {THIRD}</li>" in text
        election.say(Standing())
        await eventually(lambda: not leadership.other)
        announced = (OTHER, THIRD)  # whoever led is there until it says otherwise
        expected = [ManagerView("", NO_LEADER), this, ManagerView(OTHER, "replica"), third]
        assert managers_of(leadership, announced) == expected
        election.say(won(ME))
        await eventually(lambda: leadership.leads)
        assert managers_of(leadership, (ME,)) == [ManagerView(ME, "leader", is_this=True)]


async def test_a_single_manager() -> None:
    """One that is alone says that it is."""
    async with Scene(1).client() as client:
        assert "<b>a single manager</b></li>" in (await client.get("/")).text


def enlist(engine: Engine, node_id: str, *, is_manager: bool = False, cluster_id: str = "") -> None:
    """Have `engine` be in a swarm."""
    assert engine.facts is not None
    managers = frozenset(("m1",))
    part = SwarmPart(node_id, is_manager=is_manager, managers=managers, cluster_id=cluster_id)
    engine.facts = replace(engine.facts, swarm=part)
    engine.on_swarm()


def test_swarm() -> None:
    """It is told how many managers of the swarm answer, who leads them, and who is in no swarm."""
    scene = Scene(4)
    assert swarm_of(scene.cluster) == SwarmView("none")
    scene.cluster.swarms.mode = "auto"
    assert swarm_of(scene.cluster) == SwarmView("forming")
    enlist(scene.engines[0], "m1", is_manager=True, cluster_id="c")
    enlist(scene.engines[1], "m2", is_manager=True, cluster_id="c")
    enlist(scene.engines[2], "w1")
    scene.cluster.swarms.learn_leader("m2")
    scene.engines[0]._health.enter(State.UNHEALTHY, "gone")
    expected = SwarmView("active", managers=2, answering=1, workers=1, outside=1, leader="node-1")
    assert swarm_of(scene.cluster) == expected
    scene.cluster.swarms.mode = "off"
    assert swarm_of(scene.cluster) == SwarmView("off")


def test_warnings() -> None:
    """What keeps the page from being all that there is to know is said in front of it."""
    assert warnings_of(Source("file:///nodes"), "") == []
    assert warnings_of(Source("file:///nodes", error="line 3 is bad"), "no store") == [
        "Discovery: line 3 is bad",
        "no store",
    ]


def test_leadership_is_asked() -> None:
    """A lock that has ended by the clock is no lead."""
    leadership = Leadership(ScriptedElection(), ME)
    leadership.standing, leadership._is_ready = won(ME, for_s=-1), True
    assert [each.role for each in managers_of(leadership, ())] == [NO_LEADER, "replica"]
