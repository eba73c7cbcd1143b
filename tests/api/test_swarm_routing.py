"""Requests of swarm mode where members form a swarm: which manager gets them, and who is asked when it will not do."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx
import pytest

from swarmproxy.cluster.swarms import NO_LEADER, ONLY_WORKERS
from tests.api.image_front import Front, front
from tests.cluster.image_daemon import ImageDaemon, engine_of, lose
from tests.engine.harness import eventually

LEADERLESS = "rpc error: code = Unknown desc = The swarm does not have a leader. It's possible that too few managers"
LOST = "rpc error: code = Unknown desc = raft: failed to process the request: node lost leader status"
CREATED = b'{"ID":"web"}\n'


def refusal(message: str) -> bytes:
    return json.dumps({"message": message}).encode() + b"\n"


def said(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["message"]


@asynccontextmanager
async def swarm(managers: int = 3, workers: int = 0) -> AsyncIterator[tuple[Front, list[ImageDaemon]]]:
    """Serve a cluster whose members are in one swarm, which node-1 leads."""
    daemons = [ImageDaemon(f"node-{number + 1}") for number in range(managers + workers)]
    known = [{"NodeID": f"n{number + 1}", "Addr": f"10.0.0.{number + 1}:2377"} for number in range(managers or 1)]
    for number, daemon in enumerate(daemons):
        part: dict[str, Any] = {"NodeID": f"n{number + 1}", "LocalNodeState": "active", "RemoteManagers": known}
        if number < managers:
            part |= {"ControlAvailable": True, "Cluster": {"ID": "c1"}, "Nodes": len(daemons), "Managers": managers}
        daemon.info_fields["Swarm"] = part
        daemon.answers["/services"] = 200, b"[]\n"
        daemon.answers["/services/create"] = 201, CREATED
    async with front(daemons) as manager:
        manager.cluster.swarms.learn_leader("n1")
        yield manager, daemons


def takers(daemons: list[ImageDaemon], request: str) -> list[int]:
    """Return how often each daemon was asked."""
    return [daemon.asked(request) for daemon in daemons]


async def test_leader_is_asked() -> None:
    """The leader gets every request with its body, query and headers, in a version that it speaks."""
    async with swarm() as (manager, daemons):
        daemons[0].api, daemons[0].min_api = "1.51", "1.24"
        headers = {"X-Registry-Auth": "c2VjcmV0"}
        made = await manager.post("/v1.41/services/create?a=b", content=b'{"Name":"web"}', headers=headers)
        assert (made.status_code, made.content) == (201, CREATED)
        assert daemons[0].targets[-1] == "/v1.41/services/create?a=b"
        assert (daemons[0].bodies[-1], daemons[0].headers[-1]["x-registry-auth"]) == (b'{"Name":"web"}', "c2VjcmV0")
        assert (await manager.client.get("/v1.41/services")).json() == []
        assert takers(daemons, "POST /services/create") == takers(daemons, "GET /services") == [1, 0, 0]


async def test_as_one_daemon() -> None:
    """Ping and info say that this is a manager: what the leader says of its swarm."""
    async with swarm(workers=1) as (manager, _):
        assert (await manager.client.get("/_ping")).headers["swarm"] == "active/manager"
        shown = (await manager.client.get("/info")).json()
        assert (shown["Swarm"]["NodeID"], shown["Swarm"]["Nodes"], shown["Swarm"]["Cluster"]["ID"]) == ("n1", 4, "c1")
        assert ["Nodes", "4"] in shown["SystemStatus"]


@pytest.mark.parametrize("status", [500, 503])
async def test_another_does_it(status: int) -> None:
    """What a manager refuses because it cannot decide is done by another one, once."""
    async with swarm() as (manager, daemons):
        daemons[0].answers["/services/create"] = status, refusal(LEADERLESS)
        made = await manager.post("/services/create", content=b"{}")
        assert (made.status_code, made.content) == (201, CREATED)
        assert takers(daemons, "POST /services/create") == [1, 1, 0]


async def test_manager_is_gone() -> None:
    """What is not there is passed over, for reads and for writes."""
    async with swarm() as (manager, daemons):
        await daemons[0].stop()
        assert (await manager.post("/services/create", content=b"{}")).status_code == 201
        assert (await manager.client.get("/services")).status_code == 200
        assert takers(daemons, "POST /services/create") == takers(daemons, "GET /services") == [0, 1, 0]


async def test_doubtful_write() -> None:
    """What a manager may have done is not done by another: its words, or the reason why there are none."""
    async with swarm() as (manager, daemons):
        daemons[0].answers["/services/create"] = 500, refusal(LOST)
        assert said(await manager.post("/services/create", content=b"{}")) == (503, LOST)
        daemons[0].hangs.add("/services/create")
        async with asyncio.TaskGroup() as tasks:
            asked = tasks.create_task(manager.post("/services/create", content=b"{}"))
            await eventually(lambda: daemons[0].asked("POST /services/create") == 2)
            daemons[0].reset()
        status, message = said(asked.result())
        assert status == 500
        assert "closed the connection before the answer was complete" in message
        assert takers(daemons, "POST /services/create") == [2, 0, 0]


async def test_read_again() -> None:
    """A read that a manager cuts short is asked of another one."""
    async with swarm() as (manager, daemons):
        daemons[0].answers["/services"] = 500, refusal(LOST)
        daemons[0].cut.add("/services")
        daemons[1].answers["/services"] = 500, refusal(LOST)
        assert (await manager.client.get("/services")).json() == []
        assert takers(daemons, "GET /services") == [1, 1, 1]


async def test_no_quorum() -> None:
    """Where too few are left to elect a leader, the last one's words are the answer, at once."""
    async with swarm() as (manager, daemons):
        for daemon in daemons[1:]:
            await lose(manager.cluster, daemon)
        for path in ("/services", "/services/create"):
            daemons[0].answers[path] = 500, refusal(LEADERLESS)
        assert said(await manager.client.get("/services")) == (503, LEADERLESS)
        assert said(await manager.post("/services/create", content=b"{}")) == (503, LEADERLESS)
        assert takers(daemons, "POST /services/create") == [1, 0, 0]
        daemons[0].hangs.add("/services")
        async with asyncio.TaskGroup() as tasks:
            asked = tasks.create_task(manager.client.get("/services"))
            await eventually(lambda: daemons[0].asked("GET /services") == 2)
            daemons[0].reset()
        assert said(asked.result()) == (503, NO_LEADER)  # it is silent as long as it waits for the others
        await lose(manager.cluster, daemons[0])
        assert said(await manager.client.get("/services")) == (
            503,
            "no manager of the swarm answers: node-1, node-2, node-3",
        )


async def test_leader_is_elected_meanwhile() -> None:
    """A request waits for the leader that the managers are about to elect."""
    async with swarm() as (manager, daemons):
        for daemon in daemons:
            daemon.answers["/services/create"] = 500, refusal(LEADERLESS)
        async with asyncio.TaskGroup() as tasks:
            asked = tasks.create_task(manager.post("/services/create", content=b"{}"))
            await eventually(lambda: daemons[2].asked("POST /services/create") == 1)
            daemons[1].answers["/services/create"] = 201, CREATED
        assert asked.result().status_code == 201


@pytest.mark.parametrize(("status", "message"), [(404, "service web not found"), (500, "name must be valid")])
async def test_own_refusals_pass(status: int, message: str) -> None:
    """What a manager refuses for the request's sake is its answer, and nobody else is asked."""
    async with swarm() as (manager, daemons):
        daemons[0].answers["/services/create"] = status, refusal(message)
        assert said(await manager.post("/services/create", content=b"{}")) == (status, message)
        assert takers(daemons, "POST /services/create") == [1, 0, 0]


async def test_info_after_a_change() -> None:
    """What a client changes of a swarm or of its nodes is in info as soon as the manager has been read again."""
    async with swarm() as (manager, daemons):

        def says(nodes: int) -> bool:
            return bool(json.loads(manager.cluster.swarms.info())["Nodes"] == nodes)

        for path, nodes in (("/swarm/update", 4), ("/nodes/n3/update", 5)):
            part = daemons[0].info_fields["Swarm"]
            daemons[0].info_fields["Swarm"] = {**part, "Nodes": nodes}
            daemons[0].answers[path] = 200, b""
            assert (await manager.post(f"{path}?version=1", content=b"{}")).status_code == 200
            await eventually(partial(says, nodes))


async def test_locked() -> None:
    """While a manager waits for its key, info says so, as clients want it before they unlock; then it does not."""
    async with swarm() as (manager, daemons):
        third = engine_of(manager.cluster, daemons[2])
        was = daemons[2].info_fields["Swarm"]
        daemons[2].info_fields["Swarm"] = {"NodeID": "n3", "LocalNodeState": "locked", "ControlAvailable": False}
        await third.refresh_specs()
        shown = (await manager.client.get("/info")).json()["Swarm"]
        assert (shown["LocalNodeState"], shown["ControlAvailable"], shown["NodeID"]) == ("locked", True, "n1")
        assert shown["Error"] == "nodes that wait for `docker swarm unlock`: node-3"
        assert manager.cluster.swarms.locked() == [third]
        daemons[2].info_fields["Swarm"] = was
        await third.refresh_specs()
        assert (await manager.client.get("/info")).json()["Swarm"]["LocalNodeState"] == "active"


async def test_only_workers() -> None:
    """Where no member manages the swarm, the answer is that of a worker."""
    async with swarm(managers=0, workers=2) as (manager, daemons):
        assert said(await manager.client.get("/nodes")) == (503, ONLY_WORKERS)
        assert (await manager.client.get("/_ping")).headers["swarm"] == "active/worker"
        assert takers(daemons, "GET /nodes") == [0, 0]
