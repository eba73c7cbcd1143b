"""A container moves from one scripted node to another, and back when that fails."""

import asyncio
import json

import pytest

from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.credentials import LENGTH_LIMIT, Credentials
from swarmproxy.cluster.index import Located
from swarmproxy.cluster.moves import Reason
from swarmproxy.cluster.placement import CreateRequest, Placement
from swarmproxy.errors import BadRequest, Conflict, EngineError, NoNodeFits, SwarmError, Unavailable
from swarmproxy.model.event import EventQuery
from swarmproxy.model.labels import ID
from tests.cluster.image_daemon import engine_of, lose
from tests.cluster.moving_daemon import POLICY, MovingDaemon, moving, states
from tests.engine.harness import eventually

RUNNING = {"web": "running"}


@pytest.fixture
def daemons() -> list[MovingDaemon]:
    """Return two daemons, node-0 and node-1, that do not run yet."""
    return [MovingDaemon("node-0"), MovingDaemon("node-1")]


async def put(
    placement: Placement, cluster: Cluster, *, started: bool = True, auth: str = "", **body: object
) -> Located:
    """Return a new container `web` on node-0 as the cluster knows it."""
    wanted = {"Image": "busybox", "Labels": POLICY, "Env": ["constraint:node==~node-0"], **body}
    request = CreateRequest(body=json.dumps(wanted).encode(), version=(1, 41), name="web", registry_auth=auth)
    created = (await placement.place(request)).created
    engine = cluster.find("web").engine
    assert engine.name == "node-0"
    if started:
        await engine.client.start_container(created.id)
        await engine.refresh_container(created.id)
    return cluster.find("web")


async def test_rescheduled(daemons: list[MovingDaemon]) -> None:
    """The copy has name, labels and identity of the original, runs, and is the one that clients see."""
    async with moving(daemons) as (mover, placement, cluster):
        old = await put(placement, cluster)
        told = cluster.hub.subscribe(EventQuery.parse({}, now_ns=0))
        await lose(cluster, daemons[0])
        move = await mover.move(old, reason=Reason.FAILURE)
        assert (move.old, move.new.engine.name, states(daemons[1])) == (old, "node-1", RUNNING)
        assert cluster.find("web").container.id == move.new.container.id
        assert move.new.container.labels == old.container.labels
        assert [each.engine.name for each in cluster.index.newest_first()] == ["node-1"]
        with pytest.raises(SwarmError):
            cluster.find(old.container.id)
        cluster.hub.close()
        [event] = [event async for batch in told.batches() for event, _ in batch if event.action == "reschedule"]
        assert (event.attributes["from"], event.attributes["to"]) == ("node-0", "node-1")


async def test_not_started(daemons: list[MovingDaemon]) -> None:
    """What never ran is made and not started."""
    async with moving(daemons) as (mover, placement, cluster):
        old = await put(placement, cluster, started=False)
        await lose(cluster, daemons[0])
        await mover.move(old, reason=Reason.FAILURE)
        assert states(daemons[1]) == {"web": "created"}


async def test_who_may_move(daemons: list[MovingDaemon]) -> None:
    """Nothing without the policy moves, and nothing moves twice at a time."""
    async with moving(daemons) as (mover, placement, cluster):
        with pytest.raises(BadRequest, match="has no reschedule policy"):
            await mover.move(await put(placement, cluster, Labels={}), reason=Reason.DRAIN)
        daemons[0].remove(next(iter(daemons[0].containers)))
        await eventually(lambda: len(cluster.index) == 0)
        old = await put(placement, cluster)
        daemons[1].gate.clear()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(mover.move(old, reason=Reason.DRAIN), name="move")
            await eventually(lambda: daemons[1].waiting)
            with pytest.raises(Conflict, match="is being moved already"):
                await mover.move(old, reason=Reason.DRAIN)
            daemons[1].gate.set()
        assert (states(daemons[0]), states(daemons[1])) == ({}, RUNNING)


async def test_in_order(daemons: list[MovingDaemon]) -> None:
    """From a node that answers: the copy is made, the original stopped, the copy started, the original removed."""
    async with moving(daemons) as (mover, placement, cluster):
        old = await put(placement, cluster)
        await mover.move(old, reason=Reason.DRAIN)
        assert (states(daemons[0]), states(daemons[1])) == ({}, RUNNING)
        assert daemons[0].acted[1:] == [("stop", "web"), ("delete", "web")]
        assert daemons[1].acted == [("start", "web")]


@pytest.mark.parametrize(("action", "at"), [("start", 1), ("stop", 0)])
async def test_way_back(daemons: list[MovingDaemon], action: str, at: int) -> None:
    """A step that fails is undone: the copy goes, and the original runs."""
    async with moving(daemons) as (mover, placement, cluster):
        old = await put(placement, cluster)
        daemons[at].refused[action] = 500
        with pytest.raises(EngineError, match="refused by the test"):
            await mover.move(old, reason=Reason.DRAIN)
        await eventually(lambda: (states(daemons[0]), states(daemons[1])) == (RUNNING, {}))
        assert cluster.find("web").engine.name == "node-0"


async def test_copy_does_not_start(daemons: list[MovingDaemon]) -> None:
    """A copy that does not start is taken away, and the name stays with the original."""
    async with moving(daemons) as (mover, placement, cluster):
        old = await put(placement, cluster)
        await lose(cluster, daemons[0])
        daemons[1].refused["start"] = 500
        with pytest.raises(EngineError):
            await mover.move(old, reason=Reason.FAILURE)
        assert states(daemons[1]) == {}
        assert cluster.find("web").engine.name == "node-0"
        daemons[1].refused.clear()
        await mover.move(old, reason=Reason.FAILURE)
        assert states(daemons[1]) == RUNNING


@pytest.mark.parametrize(("constraint", "tries"), [("node!=nobody", "node-2"), ("node!=node-2", "node-1")])
async def test_another_node_is_tried_next(constraint: str, tries: str) -> None:
    """After a copy has not started on a node, others are tried first, but not those that the user has ruled out."""
    daemons = [MovingDaemon(f"node-{number}") for number in range(3)]
    async with moving(daemons) as (mover, placement, cluster):
        old = await put(placement, cluster, Env=["constraint:node==~node-0", f"constraint:{constraint}"])
        await lose(cluster, daemons[0])
        daemons[1].refused["start"] = 500
        with pytest.raises(EngineError, match="refused by the test"):
            await mover.move(old, reason=Reason.FAILURE)
        daemons[1].refused.clear()
        assert (await mover.move(old, reason=Reason.FAILURE)).new.engine.name == tries


async def test_address_is_not_free(daemons: list[MovingDaemon]) -> None:
    """If the copy cannot have the original's address, it gets another one."""
    daemons[0].user_networks = {"front": {"IPAMConfig": {"IPv4Address": "10.9.0.7"}, "Aliases": ["www"]}}
    async with moving(daemons) as (mover, placement, cluster):
        old = await put(placement, cluster)
        for daemon in daemons:
            daemon.networks = [{"Id": f"net-{daemon.name}", "Name": "front", "Scope": "local"}]
            await engine_of(cluster, daemon).refresh_networks()
        await lose(cluster, daemons[0])
        daemons[1].refusals = [(403, {"message": "Address already in use"})]
        await mover.move(old, reason=Reason.FAILURE)
        endpoints = [each["NetworkingConfig"]["EndpointsConfig"]["front"] for each in daemons[1].creates]
        assert endpoints == [{"IPAMConfig": {"IPv4Address": "10.9.0.7"}, "Aliases": ["www"]}, {"Aliases": ["www"]}]


async def test_network_is_nowhere_else(daemons: list[MovingDaemon]) -> None:
    """A container stays where it is if no other node has its networks."""
    daemons[0].user_networks = {"front": {}}
    async with moving(daemons) as (mover, placement, cluster):
        old = await put(placement, cluster)
        await lose(cluster, daemons[0])
        with pytest.raises(NoNodeFits, match="no other node has the networks of node-0/web: front"):
            await mover.move(old, reason=Reason.FAILURE)


async def test_credentials(daemons: list[MovingDaemon], caplog: pytest.LogCaptureFixture) -> None:
    """The copy's image is pulled with the credentials of the create, which nobody logs and which go with it."""
    async with moving(daemons) as (mover, placement, cluster):
        daemons[0].hold("app", "app:latest")
        await engine_of(cluster, daemons[0]).refresh_images()
        old = await put(placement, cluster, auth="c2VjcmV0", Image="app")
        await lose(cluster, daemons[0])
        # the scripted inspect says busybox: what matters is what a pull is given
        daemons[1].images.clear()
        move = await mover.move(old, reason=Reason.FAILURE)
        [pull] = daemons[1].pulled
        assert pull.headers["x-registry-auth"] == "c2VjcmV0"
        assert "c2VjcmV0" not in caplog.text + repr(cluster.credentials)
        daemons[1].remove(move.new.container.id)
        await eventually(lambda: len(cluster.credentials) == 0)


def test_credentials_are_bounded() -> None:
    """Of too many credentials those not used for the longest time go; what is longer than any real one is not kept."""
    credentials = Credentials(most=2)
    for swarm_id in ("a", "b"):
        credentials.keep(swarm_id, f"auth of {swarm_id}")
    assert credentials.of("a") == "auth of a"
    credentials.keep("c", "auth of c")
    credentials.keep("d", "x" * (LENGTH_LIMIT + 1))
    assert [credentials.of(each) for each in "abcd"] == ["auth of a", "", "auth of c", ""]


async def test_lead_is_lost(daemons: list[MovingDaemon]) -> None:
    """A manager that leads no more creates, starts and removes nothing, and the next one finishes what was begun."""
    async with moving(daemons) as (mover, placement, cluster):
        old = await put(placement, cluster)
        await lose(cluster, daemons[0])
        placement.leads = lambda: False
        with pytest.raises(Unavailable):
            await mover.move(old, reason=Reason.FAILURE)
        assert daemons[1].creates == []
        # lost between the create and the start
        placement.leads = lambda: not daemons[1].containers or bool(daemons[1].acted)
        with pytest.raises(Unavailable):
            await mover.move(old, reason=Reason.FAILURE)
        assert states(daemons[1]) == {}  # the copy that was in flight goes again
        placement.leads = lambda: True
        await mover.move(old, reason=Reason.FAILURE)
        assert states(daemons[1]) == RUNNING


async def test_finishes_what_was_begun(daemons: list[MovingDaemon]) -> None:
    """A copy that was made and not started is started, not made again."""
    async with moving(daemons) as (mover, placement, cluster):
        old = await put(placement, cluster)
        await lose(cluster, daemons[0])
        begun = daemons[1].add("web", state="created", NetworkMode="")
        daemons[1].change(begun, labels=dict(old.container.labels))
        await engine_of(cluster, daemons[1]).refresh_container(begun)
        move = await mover.move(old, reason=Reason.FAILURE)
        assert (move.new.container.id, daemons[1].creates, states(daemons[1])) == (begun, [], RUNNING)


async def test_create_in_flight_when_the_lead_is_lost(daemons: list[MovingDaemon]) -> None:
    """A client's container that is being made then stays, unless its name was given to another meanwhile."""
    async with moving(daemons) as (_, placement, cluster):
        placement.leads = lambda: not daemons[0].containers
        await put(placement, cluster, started=False)
        assert states(daemons[0]) == {"web": "created"}
        with pytest.raises(Unavailable, match="another cluster manager has taken the lead"):
            await placement.place(CreateRequest(body=b'{"Image":"busybox"}', version=(1, 41), name="late"))
        assert states(daemons[1]) == {}

        placement.leads = lambda: not daemons[1].waiting and not daemons[1].creates
        daemons[1].gate.clear()
        async with asyncio.TaskGroup() as tasks:
            request = CreateRequest(body=b'{"Image":"busybox"}', version=(1, 41), name="twice")
            task = tasks.create_task(refused(placement, request), name="create")
            await eventually(lambda: daemons[1].waiting)
            daemons[0].add("twice", state="created")  # by the next leader
            daemons[1].gate.set()
        assert "taken the lead" in task.result()
        assert states(daemons[1]) == {}


async def refused(placement: Placement, request: CreateRequest) -> str:
    try:
        await placement.place(request)
    except Unavailable as error:
        return str(error)
    return ""


async def test_original_comes_back(daemons: list[MovingDaemon]) -> None:
    """While the copy is known the original is not shown, also when its node is back; without the copy it is again."""
    async with moving(daemons) as (mover, placement, cluster):
        old = await put(placement, cluster)
        await lose(cluster, daemons[0])
        move = await mover.move(old, reason=Reason.FAILURE)
        await daemons[0].listen()
        await eventually(lambda: len(cluster.healthy()) == 2)
        assert cluster.find("web").container.id == move.new.container.id
        assert [each.container.id for each in cluster.copies(old.container.swarm_id)] == [
            old.container.id,
            move.new.container.id,
        ]
        daemons[1].remove(move.new.container.id)
        await eventually(lambda: cluster.find("web").container.id == old.container.id)
        assert old.container.labels[ID]
