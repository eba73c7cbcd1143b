"""Whether a manager of several is ready, which depends on who leads."""

from discovery.election import Standing
from swarmproxy.cluster.cluster import Source
from swarmproxy.monitoring.readiness import Readiness
from tests.api.image_front import front
from tests.engine.harness import eventually
from tests.leader.election import ScriptedElection, won
from tests.leader.test_replica import ME, Peer, nobody, replica_of

READ = Source("nodes://", read_at=1.0)


async def test_leaders() -> None:
    """A replica is ready while it reaches the leader, and a leader is; nobody is while nobody leads."""
    election = ScriptedElection()
    async with Peer(answer=b"[]").running() as leader, replica_of(election) as (manager, replica):
        manager.cluster.source = READ
        readiness = Readiness(manager.cluster, replica)
        assert await readiness.reasons() == ["No elected primary cluster manager"]
        election.say(Standing(leader=leader.address))
        await eventually(lambda: replica.leadership.other)
        assert await readiness.reasons() == []
        gone = nobody()
        election.say(Standing(leader=gone))
        await eventually(lambda: replica.leadership.other == gone)
        (reason,) = await readiness.reasons()
        assert gone in reason
        election.say(won(ME))
        await eventually(lambda: replica.leadership.leads)
        assert await readiness.reasons() == []
        assert replica.leadership.elections == 3
        replica.leadership.resign()
        assert await readiness.reasons() == ["This cluster manager is about to end"]


async def test_unread_list() -> None:
    """A list of members that has not been read is a reason, with what is in the way."""
    async with front([]) as manager:
        manager.cluster.source = Source("file:///nodes", error="no such file")
        expected = "the list of members has not been read yet: no such file"
        assert await Readiness(manager.cluster, None).reasons() == [expected]
