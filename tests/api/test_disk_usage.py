"""`GET /system/df` over scripted daemons."""

import asyncio
import json
from typing import Any

import httpx

from tests.api.image_front import Front, front
from tests.cluster.image_daemon import ImageDaemon, lose
from tests.engine.harness import eventually

USAGE: dict[str, Any] = {
    "LayersSize": 10,
    "Images": [{"Id": "sha256:aa", "RepoTags": ["busybox:latest"], "Size": 10, "SharedSize": 0, "Containers": 1}],
    "Containers": [{"Id": "1", "Names": ["/web"], "State": "running", "SizeRw": 1}],
    "Volumes": [{"Name": "data", "Scope": "local", "UsageData": {"Size": 5, "RefCount": 1}}],
    "BuildCache": [],
}
DF = "/system/df"


def daemons_with_usage(count: int = 2, usage: dict[str, Any] = USAGE) -> list[ImageDaemon]:
    daemons = [ImageDaemon(f"n{number}") for number in range(count)]
    for daemon in daemons:
        daemon.answers[DF] = (200, json.dumps(usage).encode())
    return daemons


async def df(manager: Front, target: str = DF, **headers: str) -> dict[str, Any]:
    answer = await manager.client.get(target, headers={name.replace("_", "-"): text for name, text in headers.items()})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    told: dict[str, Any] = answer.json()
    return told


async def test_sum_of_nodes() -> None:
    """Sizes are added up and items stand side by side, named as the reader's client can show them."""
    async with front(daemons_with_usage()) as manager:
        told = await df(manager, "/v1.41/system/df", user_agent="Docker-Client/20.10.24 (linux)")
        assert told["LayersSize"] == 20
        assert sorted(image["RepoTags"][0] for image in told["Images"]) == ["n0/busybox:latest", "n1/busybox:latest"]
        assert sorted(each["Names"][0] for each in told["Containers"]) == ["/n0/web", "/n1/web"]
        assert sorted(each["Name"] for each in told["Volumes"]) == ["n0/data", "n1/data"]
        told = await df(manager, user_agent="docker-sdk-python/7.1.0")
        assert told["Images"][0]["RepoTags"] == ["busybox:latest"]
        assert told["Containers"][0]["Names"][0] == "/web"
        assert [each["Name"] for each in told["Volumes"]] == ["data", "data"]


async def test_one_node() -> None:
    """A node that is named is asked alone; one that is not there is said so."""
    daemons = daemons_with_usage()
    async with front(daemons) as manager:
        assert (await df(manager, f"{DF}?node=n1"))["LayersSize"] == 10
        assert (await df(manager, X_Swarmproxy_Node="n1"))["LayersSize"] == 10
        assert [daemon.asked(f"GET {DF}") for daemon in daemons] == [0, 2]
        assert (await manager.client.get(f"{DF}?node=n7")).json() == {"message": "No such node: n7"}


async def test_types_and_versions() -> None:
    """An old engine is not told what it does not know, and a new client gets its sums from it all the same."""
    daemons = daemons_with_usage()
    daemons[1].version, daemons[1].api = "20.10.24", "1.41"
    async with front(daemons) as manager:
        told = await df(manager, f"/v1.53{DF}?type=image&type=volume&verbose=1")
        assert told["ImageUsage"]["TotalSize"] == 20
        assert [each["Name"] for each in told["VolumeUsage"]["Items"]] == ["data", "data"]
        assert set(told) == {"ImageUsage", "VolumeUsage"}
        targets = [[each for each in daemon.targets if DF in each] for daemon in daemons]
        assert targets == [[f"/v1.51{DF}?type=image&type=volume"], [f"/v1.41{DF}"]]
        refused = await manager.client.get(f"/v1.42{DF}?type=nonsense")
        assert (refused.status_code, refused.json()) == (400, {"message": "unknown object type: nonsense"})


async def test_node_that_fails() -> None:
    """A node that does not answer is left out; one that refuses, and all that do not answer, are an error."""
    daemons = daemons_with_usage(3)
    async with front(daemons) as manager:
        await lose(manager.cluster, daemons[2])
        daemons[1].cut.add(DF)
        assert (await df(manager))["LayersSize"] == 10
        daemons[0].answers[DF] = (500, b'{"message":"a disk usage operation is already running"}')
        answer = await manager.client.get(DF)
        assert answer.status_code == 500
        assert "n0: a disk usage operation is already running" in answer.json()["message"]


async def test_one_question_at_a_time() -> None:
    """An engine measures for one client at a time, and those who came meanwhile share what comes next."""
    [daemon] = daemons = daemons_with_usage(1)
    daemon.slow_s[DF] = 0.2
    async with front(daemons) as manager:
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(manager.client.get(DF), name="first")
            await eventually(lambda: daemon.asked(f"GET {DF}") == 1)
            later: list[asyncio.Task[httpx.Response]] = [
                tasks.create_task(manager.client.get(DF), name=f"later {number}") for number in range(5)
            ]
        assert {(await each).json()["LayersSize"] for each in (first, *later)} == {10}
        assert daemon.asked(f"GET {DF}") == 2
