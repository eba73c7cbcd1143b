"""The prunes over scripted daemons."""

import json
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from tests.api.image_front import Front, front
from tests.cluster.image_daemon import Asked, ImageDaemon, lose
from tests.engine.harness import eventually

PRUNES = {
    "/containers/prune": "ContainersDeleted",
    "/images/prune": "ImagesDeleted",
    "/build/prune": "CachesDeleted",
}


def daemons_that_prune(path: str, count: int = 2) -> list[ImageDaemon]:
    daemons = [ImageDaemon(f"n{number}") for number in range(count)]
    for daemon in daemons:
        says(daemon, path, 200, {PRUNES[path]: [daemon.name], "SpaceReclaimed": 5})
    return daemons


def says(daemon: ImageDaemon, path: str, status: int, value: object) -> None:
    """Have `daemon` answer a prune so."""

    async def script(asked: Asked) -> None:
        daemon.targets.append(asked.target)
        await asked.body()
        await asked.answer(status, value)

    daemon.script = script
    daemon.answers[path] = (status, json.dumps(value).encode())


def prunes_of(daemon: ImageDaemon) -> list[str]:
    return [target for target in daemon.targets if "/prune" in target]


async def prune(manager: Front, path: str, filters: dict[str, object] | None = None) -> tuple[int, object]:
    query = f"?filters={quote(json.dumps(filters))}" if filters is not None else ""
    answer = await manager.post(f"{path}{query}")
    assert answer.headers["content-type"] == "application/json"
    return answer.status_code, answer.json()


@pytest.mark.parametrize("path", PRUNES)
async def test_sum_of_nodes(path: str) -> None:
    """What the nodes removed is one list and one sum, of healthy nodes only."""
    daemons = daemons_that_prune(path, 3)
    async with front(daemons) as manager:
        await lose(manager.cluster, daemons[2])
        status, told = await prune(manager, path)
        assert (status, told) == (200, {PRUNES[path]: ["n0", "n1"], "SpaceReclaimed": 10})
        says(daemons[0], path, 200, {PRUNES[path]: None, "SpaceReclaimed": 0})
        assert (await prune(manager, path))[1] == {PRUNES[path]: ["n1"], "SpaceReclaimed": 5}


@pytest.mark.parametrize("path", PRUNES)
async def test_node_filter(path: str) -> None:
    """The filter `node` says where; the engine gets the other filters, in the form that all engines read."""
    daemons = daemons_that_prune(path)
    async with front(daemons) as manager:
        filters: dict[str, object] = {"node": ["n1"], "until": ["10m"], "label": {"a=b": True, "c": True}}
        assert (await prune(manager, f"/v1.41{path}", filters))[1] == {PRUNES[path]: ["n1"], "SpaceReclaimed": 5}
        assert prunes_of(daemons[0]) == []
        [target] = prunes_of(daemons[1])
        assert target.startswith(f"/v1.41{path}?")
        passed_on = json.loads(parse_qs(urlsplit(target).query)["filters"][0])
        assert passed_on == {"until": {"10m": True}, "label": {"a=b": True, "c": True}}
        assert await prune(manager, path, {"node": ["n9"]}) == (404, {"message": "No such node: n9"})
        answer = await manager.post(f"{path}?node=n1&all=1&keep-storage=")
        assert answer.json()["SpaceReclaimed"] == 5
        assert prunes_of(daemons[1])[-1] == f"/v1.51{path}?all=1&keep-storage="


@pytest.mark.parametrize("path", PRUNES)
async def test_node_that_refuses(path: str) -> None:
    """What all nodes refuse is told once; what one refuses is told with its name, and what the others removed."""
    daemons = daemons_that_prune(path)
    async with front(daemons) as manager:
        says(daemons[0], path, 409, {"message": "a prune operation is already running"})
        status, told = await prune(manager, path)
        assert isinstance(told, dict)
        assert status == 409
        assert told["message"].startswith("n0: a prune operation is already running\n(the other nodes removed 1 ")
        says(daemons[1], path, 409, {"message": "a prune operation is already running"})
        assert await prune(manager, path) == (409, {"message": "a prune operation is already running"})


async def test_state_after_a_prune() -> None:
    """Containers that were pruned are in no list any more when the answer comes."""
    [daemon] = daemons = [ImageDaemon("n0")]
    gone, kept = daemon.add("gone", state="exited"), daemon.add("kept", state="exited")
    daemon.answers["/containers/prune"] = (200, json.dumps({"ContainersDeleted": [gone]}).encode())
    async with front(daemons) as manager:
        await eventually(lambda: len(manager.cluster.index.by_id) == 2)
        daemon.remove(gone, tell=False)
        await prune(manager, "/containers/prune")
        listed = (await manager.client.get("/containers/json?all=1")).json()
        assert [each["Id"] for each in listed] == [kept]
