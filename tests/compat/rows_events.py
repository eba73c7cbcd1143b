"""`docker events`."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from swarmproxy.cluster.hub import QUEUE_LIMIT, Subscription
from swarmproxy.model.event import Event, EventQuery, Origin
from tests.api.image_front import Front
from tests.cluster.image_daemon import lose
from tests.compat.daemon import Daemon
from tests.compat.row import Table
from tests.compat.swarm import message, swarm
from tests.engine.harness import eventually

table = Table("docker events")


@asynccontextmanager
async def _stream(manager: Front, query: str = "") -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    async with manager.client.stream("GET", f"/events{query}") as answer:
        assert answer.headers["content-type"] == "application/json"
        await eventually(lambda: manager.cluster.hub.readers)
        yield (json.loads(line) async for line in answer.aiter_lines())


@table.changed(
    "separator",
    "what stands between two events",
    classic="Nothing.",
    why="Daemons write a newline, and clients that read lines saw nothing.",
)
async def separator() -> None:
    """A newline."""
    daemon = Daemon()
    async with swarm(daemon) as manager, manager.client.stream("GET", "/events") as answer:
        await eventually(lambda: manager.cluster.hub.readers)
        daemon.emit("container", "die", "c1")
        async for chunk in answer.aiter_raw():
            assert chunk.endswith(b"}\n")
            break


@table.kept("shape", "how an event names its node")
async def shape() -> None:
    """` node:NAME` in `from`, four attributes of the actor, and a member `node` at the end."""
    daemon = Daemon()
    async with swarm(daemon) as manager, _stream(manager) as events:
        daemon.emit("container", "create", "c1", {"image": "busybox", "name": "e"})
        event = await anext(events)
        node = {
            "Name": "node-1",
            "Id": f"ID-node-1|{daemon.address}",
            "Addr": str(daemon.address),
            "Ip": "127.0.0.1",
        }
        assert (event["status"], event["id"], event["from"]) == ("create", "c1", "busybox node:node-1")
        assert event["Actor"]["Attributes"] == {
            "image": "busybox",
            "name": "e",
            **{f"node.{key.lower()}": value for key, value in node.items()},
        }
        assert (list(event)[-1], event["node"]) == ("node", node)


@table.kept("kinds", "which events are passed on")
async def kinds() -> None:
    """All that engines tell: of containers, images, networks, volumes, the daemon and plugins."""
    daemon = Daemon()
    async with swarm(daemon) as manager, _stream(manager) as events:
        for kind in ("container", "image", "network", "volume", "daemon", "plugin"):
            daemon.emit(kind, "happens", "x")
            assert (await anext(events))["Type"] == kind


@table.kept("swarm-events", "events of the cluster itself")
async def swarm_events() -> None:
    """engine_connect, engine_disconnect and engine_reconnect, of the type `swarm`, from `swarm node:NAME`."""
    daemon = Daemon()
    async with swarm(daemon) as manager, _stream(manager) as events:
        await lose(manager.cluster, daemon)
        event = await anext(events)
        assert (event["Type"], event["status"], event["Action"]) == ("swarm", "engine_disconnect", "engine_disconnect")
        assert (event["from"], event["Actor"]["ID"]) == ("swarm node:node-1", "")
        await daemon.listen()
        assert (await anext(events))["Action"] == "engine_reconnect"


@table.changed(
    "filters",
    "`docker events --filter`",
    classic="Ignored: every client got everything.",
    why="What a client asked for is honoured; `node` is our own beside a daemon's.",
)
async def filters() -> None:
    """Honoured."""
    first, second = Daemon("node-1"), Daemon("node-2")
    asked = json.dumps({"event": ["die"], "node": ["node-2"]})
    async with swarm(first, second) as manager, _stream(manager, f"?filters={asked}") as events:
        first.emit("container", "die", "c1")
        second.emit("container", "start", "c2")
        second.emit("container", "die", "c3")
        assert (await anext(events))["id"] == "c3"


@table.changed(
    "since",
    "`docker events --since`",
    classic="Ignored: there was no history.",
    why="Engines remember their latest events; compose and monitors ask for them.",
)
async def since() -> None:
    """What the engines remember, in the order of their clocks, then what happens."""
    first, second = Daemon("node-1"), Daemon("node-2")
    first.emit("container", "die", "late", at_ns=1_700_000_002 * 10**9)
    second.emit("container", "die", "early", at_ns=1_700_000_001 * 10**9)
    async with swarm(first, second) as manager:
        for daemon in (first, second):
            lines = b"".join(json.dumps(each).encode() + b"\n" for each in daemon.history)
            daemon.answers["/events"] = (200, lines)
        text = (await manager.client.get("/events?since=1700000000&until=1700000003")).text
        assert [json.loads(line)["id"] for line in text.splitlines()] == ["early", "late"]


@table.changed(
    "until",
    "the parameter `until`",
    classic="Whole unix seconds only, 400 for all else; 0 and less mean none.",
    why="The docker CLI sends fractions, times and durations.",
)
async def until(standing: Front) -> None:
    """Seconds with a fraction, RFC 3339 and durations; 0 still means none, and what is no time is 400."""
    for moment in ("1700000000", "1700000000.5", "2023-11-14T22:13:20Z", "10m"):
        answer = await standing.client.get("/events", params={"until": moment})
        assert (answer.status_code, answer.text) == (200, "")
    assert message(await standing.client.get("/events?until=x"))[0] == 400
    assert EventQuery.parse({"until": "0"}, now_ns=5).until_ns is None


@table.changed(
    "slow-reader",
    "a reader that is too slow",
    classic="Cut off after 10 000 events that wait, or a write that takes 10 seconds.",
    why="A reader that lost its stream did not know what it had missed.",
)
async def slow_reader() -> None:
    """Keeps its stream, loses the oldest events beyond 10 000, and is told how many."""
    subscription = Subscription(EventQuery())
    node = Origin(id="id", name="node-1")
    for number in range(QUEUE_LIMIT + 3):
        subscription.offer(Event(type="container", action=str(number)), node, b"")
    batch = await anext(subscription.batches())
    assert QUEUE_LIMIT == 10_000
    assert json.loads(batch[0][1])["Actor"]["Attributes"] == {"lost": "3"}
    assert len(batch) == QUEUE_LIMIT + 1


@table.kept("at-once", "the head of the answer")
async def at_once() -> None:
    """Comes at once, before anything has happened."""
    async with swarm(Daemon()) as manager, manager.client.stream("GET", "/events") as answer:
        assert answer.status_code == 200
