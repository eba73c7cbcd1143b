"""The image routes, through the real server, over daemons that do what a test says."""

import asyncio
import json

import pytest

from swarmproxy.wire.address import Address
from tests.api.image_front import PATIENCE_S, front, of_node, progress
from tests.cluster.image_daemon import Asked, ImageDaemon, lose

# Pulling


async def pulls(asked: Asked) -> None:
    """Pull as an engine does, with two layers."""
    await asked.body()
    await asked.begin()
    await asked.say(status="Pulling from library/app", id="1")
    for layer in ("aa", "bb"):
        await asked.say(status="Pulling fs layer", progressDetail={}, id=layer)
    await asked.say(status="Downloading", progressDetail=progress(10, 100), progress="[>  ]", id="aa")
    await asked.say(status="Downloading", progressDetail=progress(50, 100), progress="[=> ]", id="bb")
    await asked.say(status="Status: Downloaded newer image for app:1")
    await asked.end()


async def denies(asked: Asked) -> None:
    await asked.body()
    await asked.answer(404, {"message": "pull access denied for app"})


async def breaks(asked: Asked) -> None:
    await asked.body()
    await asked.begin()
    await asked.say(errorDetail={"message": "no space left"}, error="no space left")
    await asked.end()


async def test_pull_on_all_nodes() -> None:
    """A pull runs on every healthy node, and its progress is one line for each node, layers added up."""
    daemons = [ImageDaemon("n0"), ImageDaemon("n1")]
    for daemon in daemons:
        daemon.script = pulls
        daemon.hold("aaaa", "app:1")
    async with front(daemons) as manager:
        lines = await manager.lines(
            "/v1.44/images/create?fromImage=app&tag=1&platform=linux%2Farm64",
            headers={"X-Registry-Auth": "c2VjcmV0", "User-Agent": "Docker-Client/28"},
        )
        for node in ("n0", "n1"):
            assert of_node(lines, node) == [
                "Pulling app:1...",
                "Pulling app:1... : Pulling from library/app",
                "Pulling app:1... : Pulling fs layer",
                "Pulling app:1... : Downloading",
                "Pulling app:1... : Downloading",
                "Pulling app:1... : Status: Downloaded newer image for app:1",
                "Pulling app:1... : downloaded",
            ]
        assert [line["progressDetail"] for line in lines if line["id"] == "n0"][3:5] == [
            progress(10, 100),
            progress(60, 200),
        ]
        for daemon in daemons:
            (asked,) = daemon.asked_for
            assert asked.target == "/v1.44/images/create?fromImage=app&tag=1&platform=linux%2Farm64"
            assert asked.headers["x-registry-auth"] == "c2VjcmV0"
            assert asked.headers["user-agent"] == "Docker-Client/28"


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("&node=n1", {}, 200),
        ("", {"X-Swarmproxy-Node": "n1"}, 200),
        ("&node=nowhere", {}, 404),
        ("&node=n2", {}, 503),
    ],
)
async def test_pull_on_one_node(query: str, headers: dict[str, str], status: int) -> None:
    """A node that is named by parameter or header pulls alone; it must be there and healthy."""
    daemons = [ImageDaemon("n0"), ImageDaemon("n1"), ImageDaemon("n2")]
    for daemon in daemons:
        daemon.script = pulls
    async with front(daemons) as manager:
        await lose(manager.cluster, daemons[2])
        answer = await manager.post(f"/images/create?fromImage=app:1{query}", headers=headers)
        assert answer.status_code == status
        assert [len(daemon.asked_for) for daemon in daemons] == [0, int(status == 200), 0]
        if status == 200:
            assert daemons[1].asked_for[0].target == "/v1.51/images/create?fromImage=app:1"


async def test_pull_that_fails_on_one_node() -> None:
    """A node's failure is said in its line and in the last one; the other nodes pull all the same."""
    daemons = [ImageDaemon("n0"), ImageDaemon("n1"), ImageDaemon("n2")]
    daemons[0].script, daemons[1].script, daemons[2].script = pulls, denies, breaks
    async with front(daemons) as manager:
        *lines, last = await manager.lines("/images/create?fromImage=app&tag=1")
        assert of_node(lines, "n0")[-1] == "Pulling app:1... : downloaded"
        assert of_node(lines, "n1")[-1] == "Pulling app:1... : pull access denied for app"
        assert of_node(lines, "n2")[-1] == "Pulling app:1... : no space left"
        assert sorted(last["error"].splitlines()) == ["n1: pull access denied for app", "n2: no space left"]
        assert last["errorDetail"] == {"message": last["error"]}


async def test_pull_that_all_nodes_refuse() -> None:
    """If no engine begins, the client gets the status and the message of a single daemon."""
    daemons = [ImageDaemon("n0"), ImageDaemon("n1")]
    for daemon in daemons:
        daemon.script = denies
    async with front(daemons) as manager:
        answer = await manager.post("/images/create?fromImage=app")
        assert (answer.status_code, answer.json()) == (404, {"message": "pull access denied for app"})


async def test_unhealthy_nodes_do_not_spoil_a_pull() -> None:
    """A node that does not answer is named and takes no part: the pull succeeds."""
    daemons = [ImageDaemon("n0"), ImageDaemon("n1")]
    daemons[0].script = pulls
    async with front(daemons, dead=[Address("127.0.0.1", 1)]) as manager:
        await lose(manager.cluster, daemons[1])
        lines = await manager.lines("/images/create?fromImage=docker.io/library/app&tag=1")
        assert of_node(lines, "n1") == ["Pulling app:1... : skipped, the node is Unhealthy"]
        assert of_node(lines, "127.0.0.1:1") == ["Pulling app:1... : skipped, the node is Pending"]
        assert of_node(lines, "n0")[-1] == "Pulling app:1... : downloaded"
        assert not any("error" in line for line in lines)


async def test_no_node_to_pull_on() -> None:
    """With no healthy node a pull says so."""
    async with front([], dead=[Address("127.0.0.1", 1)]) as manager:
        answer = await manager.post("/images/create?fromImage=app:1")
        assert (answer.status_code, answer.json()["message"]) == (503, "No healthy node available in the cluster")
        assert (await manager.post("/images/create")).status_code == 400


async def test_first_lines_do_not_wait_for_slow_nodes() -> None:
    """The stream begins with the first engine that begins, and tells at once what it says."""
    go_on = asyncio.Event()

    async def waits(asked: Asked) -> None:
        await go_on.wait()
        await pulls(asked)

    daemons = [ImageDaemon("n0"), ImageDaemon("n1")]
    daemons[0].script, daemons[1].script = pulls, waits
    async with front(daemons) as manager, manager.client.stream("POST", "/images/create?fromImage=app:1") as answer:
        lines = answer.aiter_lines()
        opening = [json.loads(await anext(lines)) for _ in range(2)]
        assert opening == [{"status": "Pulling app:1...", "progressDetail": {}, "id": node} for node in ("n0", "n1")]
        while json.loads(await anext(lines))["status"] != "Pulling app:1... : downloaded":
            pass
        go_on.set()
        *_, last = [json.loads(line) async for line in lines]
        assert last == {"status": "Pulling app:1... : downloaded", "progressDetail": {}, "id": "n1"}


async def test_client_that_leaves_ends_the_pull() -> None:
    """When the client goes away, so does our request to each engine."""

    async def never_ends(asked: Asked) -> None:
        await asked.begin()
        await asked.say(status="Waiting", id="aa")
        await asked.reader.readexactly(1)

    daemons = [ImageDaemon("n0"), ImageDaemon("n1")]
    for daemon in daemons:
        daemon.script = never_ends
    async with front(daemons) as manager:
        async with manager.client.stream("POST", "/images/create?fromImage=app:1") as answer:
            lines = answer.aiter_lines()
            for _ in range(4):
                await anext(lines)
        async with asyncio.timeout(PATIENCE_S):
            for daemon in daemons:
                await daemon.left.wait()


async def test_nodes_of_one_name_are_told_apart() -> None:
    """Where several nodes have one name, their lines carry the address too."""
    daemons = [ImageDaemon("same"), ImageDaemon("same")]
    daemons[1].id = "another"
    for daemon in daemons:
        daemon.script = pulls
    async with front(daemons) as manager:
        lines = await manager.lines("/images/create?fromImage=app:1")
        assert {line["id"] for line in lines} == {f"same ({daemon.address})" for daemon in daemons}


# Listing, removing, tagging


async def test_list_is_merged() -> None:
    """The images of all nodes are one list, also those of a node that does not answer."""
    daemons = [ImageDaemon("n0"), ImageDaemon("n1")]
    daemons[0].images, daemons[1].images = [], []
    daemons[0].hold("aaaa", "app:1", created=5)
    daemons[1].hold("aaaa", "app:2", created=5)
    daemons[1].hold("bbbb", "db:1", created=9)
    async with front(daemons) as manager:
        await lose(manager.cluster, daemons[1])
        items = (await manager.client.get("/images/json")).json()
        assert [(item["Id"], item["RepoTags"]) for item in items] == [
            ("sha256:bbbb", ["db:1"]),
            ("sha256:aaaa", ["app:1", "app:2"]),
        ]
        filters = json.dumps({"node": {"n0": True}})
        items = (await manager.client.get("/v1.44/images/json", params={"filters": filters})).json()
        assert [item["RepoTags"] for item in items] == [["app:1"]]
        answer = await manager.client.get("/images/json", params={"filters": '{"no":["x"]}'})
        assert (answer.status_code, answer.json()) == (400, {"message": "invalid filter 'no'"})


async def test_remove_and_tag() -> None:
    """A removal answers what all nodes removed, a tag is set on all holders; slashes in names are no matter."""

    async def does(asked: Asked) -> None:
        await asked.body()
        if asked.method == "DELETE":
            await asked.answer(200, [{"Untagged": "reg:5000/a/app:1"}])
        else:
            await asked.answer(201, None)

    daemon = ImageDaemon("n0")
    daemon.script = does
    daemon.hold("aaaa", "reg:5000/a/app:1")
    async with front([daemon]) as manager:
        answer = await manager.post("/images/reg:5000/a/app:1/tag?repo=b&tag=2")
        assert (answer.status_code, answer.content) == (201, b"")
        answer = await manager.client.delete("/v1.30/images/reg:5000%2Fa%2Fapp:1?force=1")
        assert answer.json() == [{"Untagged": "reg:5000/a/app:1"}]
        assert [asked.target for asked in daemon.asked_for] == [
            "/v1.51/images/reg:5000/a/app:1/tag?repo=b&tag=2",
            "/v1.30/images/reg:5000/a/app:1?force=1",
        ]
        answer = await manager.client.delete("/images/nothing")
        assert (answer.status_code, answer.json()) == (404, {"message": "No such image: nothing"})
