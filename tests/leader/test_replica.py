"""A manager that does not lead, in front of leaders that come, die and hang."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from benchmarks.processes import free_port
from discovery.election import Standing
from swarmproxy.api import app as api
from swarmproxy.api.dispatch import Dispatch
from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.images import Pulls
from swarmproxy.cluster.placement import Placement
from swarmproxy.leader.leadership import Leadership
from swarmproxy.leader.replica import Replica
from swarmproxy.settings import Settings
from tests.api.image_front import Front, front
from tests.engine.harness import eventually
from tests.leader.election import ScriptedElection, won

ME = "10.0.0.1:2375"
KILL = "/containers/x/kill"


@dataclass
class Peer:
    """Another manager, as far as a replica sees it: it keeps what it is asked, and answers or hangs up."""

    answer: bytes = b""
    hangs: bool = False
    asked: list[bytes] = field(default_factory=list)
    port: int = 0
    open: int = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Peer"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await eventually(lambda: self.open == 0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while self.answer or self.hangs or not self.asked:
                self.asked.append(await reader.readuntil(b"\r\n\r\n"))
                if self.answer:
                    body = b"Content-Length: %d\r\n\r\n%s" % (len(self.answer), self.answer)
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + body)
        writer.close()
        self.open -= 1


@asynccontextmanager
async def replica_of(election: ScriptedElection, *, patience_s: float = 30.0) -> AsyncIterator[tuple[Front, Replica]]:
    """Serve a manager without engines that takes part in `election`."""
    replica = Replica(Leadership(election, ME), patience_s=patience_s)

    def build(cluster: Cluster) -> Dispatch:
        placement = Placement(cluster, lambda _spec, _nodes: [], Pulls(), lambda: "")
        return api.build(cluster, placement, Settings(discovery="nodes://"), replica=replica)

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(replica.run(), name="replica")
        async with front([], build=build) as manager:
            yield manager, replica
        task.cancel()
        await replica.close()


def refused(answer: httpx.Response) -> str:
    """Return the message of a 503, which says when to ask again."""
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    return str(answer.json()["message"])


def nobody() -> str:
    """Return an address that nobody listens at."""
    return f"127.0.0.1:{free_port()}"


async def test_passes_on() -> None:
    """A request goes to the leader as it came, once, with a mark; `/_ping`, `/info`, `/version`, OPTIONS do not."""
    async with Peer(answer=b"[]").running() as leader:
        election = ScriptedElection(Standing(leader=leader.address))
        async with replica_of(election) as (manager, replica):
            await eventually(lambda: replica.leadership.other)
            answer = await manager.client.get("/v1.40/containers/a%2Fb/top?ps_args=a%20b")
            assert (answer.status_code, answer.content) == (200, b"[]")
            for path in ("/_ping", "/info", "/v1.40/version"):
                assert (await manager.client.get(path)).status_code == 200
            assert (await manager.client.options("/containers/json")).status_code == 200
        [asked] = leader.asked
        assert asked.startswith(b"GET /v1.40/containers/a%2Fb/top?ps_args=a%20b HTTP/1.1\r\n")
        assert b"swarmproxy-passed-on: 1\r\n" in asked


async def test_says_who_the_client_is() -> None:
    """The leader hears who asked, the same for all connections of a client: what BuildKit opens is to meet there."""
    async with Peer(answer=b"[]").running() as leader:
        election = ScriptedElection(Standing(leader=leader.address))
        async with replica_of(election) as (manager, replica):
            await eventually(lambda: replica.leadership.other)
            for headers in ({}, {"Connection": "close"}, {"Swarmproxy-Client": "10.0.0.7"}):
                await manager.client.get("/containers/json", headers=headers)
        said = [next(line for line in asked.split(b"\r\n") if b"client:" in line.lower()) for asked in leader.asked]
        assert said == [b"swarmproxy-client: 127.0.0.1"] * 2 + [b"Swarmproxy-Client: 10.0.0.7"]


async def test_only_once() -> None:
    """What was passed on to one that does not lead is refused, not passed on again."""
    async with Peer(answer=b"[]").running() as leader:
        async with replica_of(ScriptedElection(Standing(leader=leader.address))) as (manager, replica):
            await eventually(lambda: replica.leadership.other)
            answer = await manager.client.get("/containers/json", headers={"Swarmproxy-Passed-On": "1"})
            assert leader.address in refused(answer)
        assert leader.asked == []


async def test_waits_for_a_leader() -> None:
    """A request waits for a leader that can be reached, and is passed on to it."""
    election = ScriptedElection(Standing())
    async with Peer(answer=b"[1]").running() as leader, replica_of(election) as (manager, _):
        async with asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(manager.client.post("/containers/create"), name="client")
            for standing in (Standing(leader=nobody()), Standing(leader="a b c"), Standing(leader=ME)):
                election.say(standing)
                await asyncio.sleep(0.1)
            assert not asking.done()
            election.say(Standing(leader=leader.address))
        assert asking.result().content == b"[1]"
        assert len(leader.asked) == 1


async def test_becomes_the_leader() -> None:
    """A request that waits is answered here when this manager comes to lead."""
    election = ScriptedElection(Standing())
    async with replica_of(election) as (manager, _), asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(manager.client.get("/containers/json"), name="client")
        await asyncio.sleep(0.1)
        assert not asking.done()
        election.say(won(ME))
        assert (await asking).json() == []


async def test_nobody_leads() -> None:
    """Without a leader a request is refused after a while, with the reason."""
    election = ScriptedElection(Standing(error="the store is down"))
    async with replica_of(election, patience_s=0.2) as (manager, _):
        assert refused(await manager.client.get("/images/json")) == (
            "No elected primary cluster manager: the store is down"
        )
        unreachable = nobody()
        election.say(Standing(leader=unreachable))
        text = refused(await manager.client.get("/images/json"))
        assert text.startswith("Unable to reach primary cluster manager (")
        assert text.endswith(f"): {unreachable}")


async def test_about_to_end() -> None:
    """A manager that is about to end does not let a request wait."""
    async with replica_of(ScriptedElection(won(ME))) as (manager, replica):
        await eventually(lambda: replica.leadership.leads)
        replica.leadership.resign()
        assert refused(await manager.client.get("/containers/json")) == "This cluster manager is about to end"


async def test_unanswered_write() -> None:
    """What a leader may have done, as it died without an answer, is an error to the client and asked of nobody else."""
    async with Peer().running() as dying, Peer(answer=b"{}").running() as next_:
        election = ScriptedElection(Standing(leader=dying.address))
        async with replica_of(election) as (manager, replica):
            await eventually(lambda: replica.leadership.other)
            answer = await manager.client.post("/containers/create", json={"Image": "busybox"})
            election.say(Standing(leader=next_.address))
            assert (answer.status_code, "retry-after" in answer.headers) == (500, False)
            assert answer.json()["message"].startswith("Unable to reach primary cluster manager (")
            assert answer.json()["message"].endswith(f"): {dying.address}. What was asked for may have been done")
            assert len(dying.asked) == 1
        assert next_.asked == []


async def test_unanswered_read() -> None:
    """What only reads is asked of the next leader when one has died over it."""
    async with Peer().running() as dying, Peer(answer=b"[2]").running() as next_:
        election = ScriptedElection(Standing(leader=dying.address))
        async with replica_of(election) as (manager, _), asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(manager.client.get("/containers/json"), name="client")
            await eventually(lambda: dying.asked)
            election.say(Standing(leader=next_.address))
            assert (await asking).content == b"[2]"


async def test_former_leader_that_hangs() -> None:
    """Who waits for a leader that hangs hears of it when another leads."""
    async with Peer(hangs=True).running() as hanging:
        election = ScriptedElection(Standing(leader=hanging.address))
        async with replica_of(election) as (manager, _), asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(manager.client.post("/containers/x/wait"), name="client")
            await eventually(lambda: hanging.asked)
            election.say(Standing(leader=nobody()))
            assert (await asking).status_code == 500


async def test_client_that_leaves() -> None:
    """A client that gives up has nothing asked for it later, and a leader hears that its client has gone."""
    election = ScriptedElection(Standing())
    async with Peer(hangs=True).running() as leader, replica_of(election) as (manager, _):
        asked = manager.asked
        connections: set[Any] = manager.server.server_state.connections
        for number, reset in enumerate((True, False), 1):
            await give_up(manager, lambda number=number: asked.count(KILL) == number, reset=reset)  # type: ignore[misc]
            await eventually(lambda: sum(not each.input_ended for each in connections) == 1)  # that of `client`
        election.say(Standing(leader=leader.address))
        await asyncio.sleep(0.2)
        assert leader.asked == []
        await give_up(manager, lambda: bool(leader.asked))
        await eventually(lambda: leader.open == 0)


async def give_up(manager: Front, when: Callable[[], bool], *, reset: bool = True) -> None:
    """Ask for a change, and hang up once `when` holds."""
    _, writer = await asyncio.open_connection("127.0.0.1", manager.port)
    writer.write(f"POST {KILL} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
    await eventually(when)
    if reset:
        at_once = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    await asyncio.sleep(0.1)
