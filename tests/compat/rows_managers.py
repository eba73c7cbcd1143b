"""Managers: where they read their nodes from, several of them, and how they end."""

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from discovery import DiscoveryError, open_backend
from discovery.election import Standing
from swarmproxy.api import app as api
from swarmproxy.api.dispatch import Dispatch
from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.images import Pulls
from swarmproxy.cluster.placement import Placement
from swarmproxy.leader.leadership import Leadership
from swarmproxy.leader.replica import Replica
from swarmproxy.settings import Settings
from tests.api.image_front import front
from tests.cli.test_program import GUARD_S, PROGRAM, _environment
from tests.cluster.image_daemon import clustered
from tests.compat.daemon import Daemon
from tests.compat.row import Table
from tests.compat.swarm import create, message, names, swarm
from tests.engine.harness import eventually

table = Table("Managers")

LEADER = "127.0.0.1:1"


class ScriptedElection:
    """An election that says one thing, and notes when the candidate resigns."""

    def __init__(self, standing: Standing) -> None:
        self.standing = standing
        self.resigned = False

    async def campaign(self, _address: str) -> AsyncIterator[Standing]:
        """Yield the one standing, until the candidate leaves."""
        try:
            yield self.standing
            await asyncio.Event().wait()
        finally:
            self.resigned = True


@table.mended(
    "resign",
    "leadership when the leader is stopped",
    classic="Not given back: the others waited until the lock's time was over.",
    why="Every restart of a leader was 20 seconds without a cluster.",
)
async def resign() -> None:
    """Given back before the last requests have ended, so that the next one leads at once."""
    election = ScriptedElection(Standing(leading=True, leader="m:1"))
    leadership = Leadership(election, "m:1")
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(leadership.run(), name="election")
        await eventually(lambda: leadership.leads)
        running.cancel()
    assert election.resigned
    assert not leadership.leads


@table.mended(
    "suffix",
    "a request to a replica for an object that is called `info`",
    classic="Answered by the replica itself, as was all that ends in `/info`, `/_ping` or `/debug`.",
    why="`docker rm info` did nothing.",
)
def suffix() -> None:
    """Passed on: only `/_ping`, `/info` and `/version` themselves are the replica's."""
    replica = Replica(Leadership(ScriptedElection(Standing()), "m:1"))
    assert replica.passes_on("/containers/info")
    assert replica.passes_on("/images/info/json")
    assert not any(replica.passes_on(path) for path in ("/_ping", "/info", "/version"))


@table.changed(
    "no-leader",
    "a request to a replica while nobody leads, or the leader is not reached",
    classic="Waited without end for the one, 500 for the other.",
    why="503 and Retry-After tell a client to try again; a request without end tells it nothing.",
)
async def no_leader() -> None:
    """503 for both, in classic's words, if that lasts longer than an election; `docker info` is answered."""
    leadership = Leadership(ScriptedElection(Standing(leader=LEADER)), "m:1")
    replica = Replica(leadership, patience_s=0.5)

    def build(cluster: Cluster) -> Dispatch:
        placement = Placement(cluster, lambda _spec, _nodes: [], Pulls(), lambda: "")
        return api.build(cluster, placement, Settings(discovery="nodes://"), replica=replica)

    async with asyncio.TaskGroup() as tasks:
        async with front([], build=build) as manager:
            status, text = message(await manager.client.get("/containers/json"))
            assert (status, text) == (503, "No elected primary cluster manager")
            running = tasks.create_task(replica.run(), name="replica")
            await eventually(lambda: leadership.other)
            answer = await manager.client.get("/containers/json")
            status, text = message(answer)
            assert (status, answer.headers["retry-after"]) == (503, "5")
            assert text.startswith("Unable to reach primary cluster manager (")
            assert text.endswith(f"): {LEADER}")
            rows = (await manager.client.get("/info")).json()["SystemStatus"]
            assert rows[:2] == [["Role", "replica"], ["Primary", LEADER]]
        await replica.close()
        running.cancel()


@table.kept("restart", "what a manager knows after a restart, and what another one knows")
async def restart() -> None:
    """All: state is in the engines and in labels; names, swarm IDs and constraints are read from there."""
    daemon = Daemon()
    async with swarm(daemon) as manager:
        await create(manager, "c", Env=["constraint:storage==ssd"])
        async with clustered([]) as other:
            other.follow([str(daemon.address)])
            await eventually(other.healthy)
            (container,) = (located.container for located in other.index.newest_first())
            assert (container.name, len(container.swarm_id)) == ("c", 64)
            assert container.labels["com.docker.swarm.constraints"] == '["storage==ssd"]'
        assert names(await manager.client.get("/containers/json?all=1")) == ["c"]


@table.changed(
    "signals",
    "SIGTERM and SIGINT",
    classic="Ended at once: requests were cut off.",
    why="A restart must not break a running `docker create`.",
)
def signals() -> None:
    """No new connections, requests in progress end within --drain-timeout, exit code 0."""
    args = [str(PROGRAM), "manage", "-H", "tcp://127.0.0.1:0", "nodes://127.0.0.1:1"]
    with subprocess.Popen(args, env=_environment(), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            while "swarmproxy is starting" not in process.stdout.readline():
                pass
            process.send_signal(signal.SIGTERM)
            assert process.wait(GUARD_S) == 0
        finally:
            with suppress(ProcessLookupError):
                process.kill()


@table.kept("bad-entry", "a list of nodes with an entry that is no address")
def bad_entry() -> None:
    """Refused, with classic's hint."""
    with pytest.raises(DiscoveryError) as caught:
        open_backend("nodes://a:1,foo", heartbeat_s=1)
    assert str(caught.value) == (
        "address foo: missing port in address, please check you are using the correct discovery (missing token:// ?)"
    )


@table.kept("bad-line", "a file of nodes with a line that is no address")
async def bad_line() -> None:
    """The whole reading counts for nothing, and the list before it stays."""
    with TemporaryDirectory() as directory:
        path = Path(directory, "cluster")
        path.write_text("a:1\nfoo\n")
        with pytest.raises(DiscoveryError, match="address foo: missing port in address"):
            await open_backend(f"file://{path}", heartbeat_s=1).fetch()


@table.kept("ranges", "ranges of addresses")
async def ranges() -> None:
    """`[from:to]` anywhere, both ends included; none if they are the wrong way round."""
    backend = open_backend("nodes://10.0.0.[9:10]:2375,b:[1:2]0,c[2:1]:1", heartbeat_s=1)
    assert [str(entry) for entry in await backend.fetch()] == ["10.0.0.9:2375", "10.0.0.10:2375", "b:10", "b:20"]


table.elsewhere(
    "zookeeper-lock",
    "a leader that loses its lock in ZooKeeper",
    classic="It never noticed, and went on to lead beside the next one.",
    why="Every election must tell its candidate before the lock can pass on; tests/discovery has that contract.",
)
table.elsewhere(
    "streams",
    "attach, exec and logs: streams in both directions, ends of either side",
    classic="Copied both ways; the client's end of input closed only that side, the engine's end closed all.",
    why="As in classic; tests/wire and tests/integration show it with raw sockets, real engines and real clients.",
)
