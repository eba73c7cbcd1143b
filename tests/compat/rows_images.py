"""Images: the list, and what is done on several nodes at once."""

import io
import json
import tarfile
from typing import Any

import httpx
import pytest

from tests.api.image_front import Front, of_node
from tests.cluster.image_daemon import Asked, lose
from tests.compat.daemon import Daemon
from tests.compat.row import Table
from tests.compat.swarm import message, swarm
from tests.hosts.images import add_file

table = Table("Images")


async def pulls(asked: Asked) -> None:
    await asked.body()
    await asked.begin()
    await asked.say(status="Downloading", progressDetail={"current": 1, "total": 2}, progress="[=>]", id="layer")
    await asked.end()


async def denies(asked: Asked) -> None:
    await asked.body()
    await asked.begin()
    await asked.say(errorDetail={"message": "no space left"}, error="no space left")
    await asked.end()


def _two(**scripts: Any) -> tuple[Daemon, Daemon]:
    return Daemon("node-1", images=[], **scripts), Daemon("node-2", images=[], **scripts)


async def _tags(manager: Front, path: str = "/images/json", **filters: list[str]) -> list[list[str]]:
    answer = await manager.client.get(path, params={"filters": json.dumps(filters)})
    return [item["RepoTags"] for item in answer.json()]


@table.kept("merged", "one image on several nodes")
async def merged() -> None:
    """One item with the tags of all, also those of nodes that are down; latest created first."""
    first, second = _two()
    first.hold("aa11", "app:1", created=1)
    second.hold("aa11", "app:1", "app:2", created=1)
    second.hold("bb11", "db:1", created=2)
    async with swarm(first, second) as manager:
        await lose(manager.cluster, second)
        assert await _tags(manager) == [["db:1"], ["app:1", "app:2"]]


@table.kept("filters", "the filters `node`, `label`, `reference`, `before` and `since`")
async def filters() -> None:
    """As in classic: `node` is a name or an ID as a whole, `reference` a glob on tag or repository."""
    first, second = _two()
    first.hold("aa11", "app:1", created=1)
    second.hold("bb11", "db:1", created=2)
    async with swarm(first, second) as manager:
        assert await _tags(manager, node=["node-1"]) == [["app:1"]]
        assert await _tags(manager, node=["node"]) == []
        assert await _tags(manager, reference=["a*"]) == await _tags(manager, before=["db:1"]) == [["app:1"]]
        assert await _tags(manager, since=["app:1"]) == [["db:1"]]


@table.kept("old-filter", "the parameter `filter` of old clients")
async def old_filter() -> None:
    """A reference, for clients below API 1.41."""
    first, second = _two()
    first.hold("aa11", "app:1")
    first.hold("bb11", "db:1")
    async with swarm(first, second) as manager:
        items = (await manager.client.get("/v1.24/images/json?filter=app")).json()
        assert [item["RepoTags"] for item in items] == [["app:1"]]


@table.changed(
    "bad-filters",
    "`before` and `since` that name no image, and `dangling=maybe`",
    classic="400 `Invalid filter: ...`.",
    why="A daemon's words: 404 `No such image: x`, 400 `invalid filter 'dangling=[maybe]'`.",
)
async def bad_filters(standing: Front) -> None:
    """404 for the one, 400 for the other."""
    got = await standing.client.get("/images/json", params={"filters": '{"before":["x"]}'})
    assert message(got) == (404, "No such image: x")
    got = await standing.client.get("/images/json", params={"filters": '{"dangling":["maybe"]}'})
    assert message(got) == (400, "invalid filter 'dangling=[maybe]'")


@table.mended(
    "dangling",
    "the list after `docker images -f dangling=true`",
    classic="The question wrote `<none>:<none>` into images without tags, for all later answers.",
    why="A read changed what everybody saw.",
)
async def dangling() -> None:
    """As before."""
    daemon = Daemon(images=[])
    daemon.hold("aa11")
    async with swarm(daemon) as manager:
        before = (await manager.client.get("/v1.44/images/json?all=1")).json()
        assert await _tags(manager, "/v1.44/images/json", dangling=["true"]) == [[]]
        assert (await manager.client.get("/v1.44/images/json?all=1")).json() == before


@table.kept("pull", "what `docker pull` shows")
async def pull() -> None:
    """`Pulling busybox:latest...` with each node's name as ID, then what its engine says behind ` : `."""
    first, second = _two(script=pulls)
    async with swarm(first, second) as manager:
        lines = await manager.lines("/images/create?fromImage=busybox&tag=latest")
        for node in ("node-1", "node-2"):
            said = of_node(lines, node)
            assert said[:2] == ["Pulling busybox:latest...", "Pulling busybox:latest... : Downloading"]
        assert {"current": 1, "total": 2} in [line["progressDetail"] for line in lines]


@table.changed(
    "pull-done",
    "the last line of a node in `docker pull`",
    classic="`Pulling busybox:latest...` once more.",
    why="The line stays on the screen, and looked as if the node had never ended.",
)
async def pull_done() -> None:
    """`Pulling busybox:latest... : downloaded`."""
    daemon = Daemon(script=pulls)
    async with swarm(daemon) as manager:
        lines = await manager.lines("/images/create?fromImage=busybox&tag=latest")
        assert of_node(lines, "node-1")[-1] == "Pulling busybox:latest... : downloaded"


@table.kept("pull-failure", "a pull that fails on one node")
async def pull_failure() -> None:
    """Its line says why, and the last line is an error object, so that the CLI exits with 1; the others pull."""
    first, second = _two()
    first.script, second.script = pulls, denies
    async with swarm(first, second) as manager:
        *lines, last = await manager.lines("/images/create?fromImage=a&tag=1")
        assert of_node(lines, "node-2")[-1] == "Pulling a:1... : no space left"
        assert last["error"] == last["errorDetail"]["message"]
        assert "no space left" in last["error"]


@table.mended(
    "dead-node",
    "pull and load when a node is down",
    classic="The dead node took part, and the operation failed; a load sent the live ones nothing, and said success.",
    why="One dead machine, and nothing could be pulled; or worse, an image was thought to be there.",
)
async def dead_node() -> None:
    """The node is named and left out; the others get everything."""
    got = bytearray()

    async def loads(asked: Asked) -> None:
        async for chunk in asked.chunks():
            got.extend(chunk)
        await asked.begin()
        await asked.say(stream="Loaded image: a:1\n")
        await asked.end()

    first, second = _two()
    first.script = loads
    async with swarm(first, second) as manager:
        await lose(manager.cluster, second)
        lines = await manager.lines("/images/load", content=b"x" * 300_000)
        assert len(got) == 300_000
        assert of_node(lines, "node-2") == ["Loading Image... : skipped, the node is Unhealthy"]
        assert not any("error" in line for line in lines)
        first.script = pulls
        lines = await manager.lines("/images/create?fromImage=a&tag=1")
        assert not any("error" in line for line in lines)


@table.changed(
    "load-failure",
    "a load that one node breaks off",
    classic="The copy ended for all nodes.",
    why="What harms one node is its own matter.",
)
async def load_failure() -> None:
    """The others get everything; the last line names the node."""
    got = bytearray()

    async def loads(asked: Asked) -> None:
        async for chunk in asked.chunks():
            got.extend(chunk)
        await asked.begin()
        await asked.end()

    async def breaks(asked: Asked) -> None:
        raise ConnectionResetError

    first, second = _two()
    first.script, second.script = loads, breaks
    async with swarm(first, second) as manager:
        *_, last = await manager.lines("/images/load", content=b"x" * 300_000)
        assert len(got) == 300_000
        assert last["error"].startswith("node-2: ")


@table.changed(
    "options",
    "options of pull and import: `platform`, `changes`, `message`, all tags",
    classic="Dropped.",
    why="The engines decide what they know.",
)
async def options() -> None:
    """Passed on as they are."""
    daemon = Daemon(script=pulls)
    async with swarm(daemon) as manager:
        await manager.lines("/images/create?fromImage=a&tag=1&platform=linux%2Farm64")
        await manager.lines("/images/create?fromSrc=http%3A%2F%2Fa&repo=b&changes=CMD+x&message=m")
        assert [asked.target.partition("?")[2] for asked in daemon.asked_for] == [
            "fromImage=a&tag=1&platform=linux%2Farm64",
            "fromSrc=http%3A%2F%2Fa&repo=b&changes=CMD+x&message=m",
        ]


@table.changed(
    "all-refuse",
    "a pull that every node refuses at once",
    classic="200, and the error as last line.",
    why="A client gets the status that one daemon would have sent: compose tells a missing image from a broken one.",
)
async def all_refuse() -> None:
    """The engines' own status and message."""

    async def refuses(asked: Asked) -> None:
        await asked.body()
        await asked.answer(404, {"message": "pull access denied"})

    first, second = _two(script=refuses)
    async with swarm(first, second) as manager:
        assert message(await manager.post("/images/create?fromImage=a")) == (404, "pull access denied")


@table.kept("remove", "`docker rmi` and `docker tag`")
async def remove() -> None:
    """On all nodes that hold the image; a failure is 500 with a line `node: error` for each, though others did it."""

    async def removes(asked: Asked) -> None:
        await asked.body()
        if asked.method == "POST":
            await asked.answer(201, None)
        else:
            await asked.answer(200, [{"Untagged": "app:1"}])

    async def breaks(asked: Asked) -> None:
        await asked.body()
        await asked.answer(500, {"message": "broken"})

    first, second = _two()
    first.script, second.script = removes, removes
    for daemon in (first, second):
        daemon.hold("aa11", "app:1")
    async with swarm(first, second) as manager:
        assert (await manager.post("/images/app:1/tag?repo=b&tag=2")).status_code == 201
        second.script = breaks
        assert message(await manager.client.delete("/images/app:1")) == (500, "node-2: broken")
        assert [len(daemon.asked_for) for daemon in (first, second)] == [2, 2]


@table.changed(
    "removed-once",
    "what `docker rmi` answers when several nodes removed the same",
    classic="Each line once for each node.",
    why="The CLI prints them: a hundred nodes, a hundred times the same line.",
)
async def removed_once() -> None:
    """Each line once."""

    async def removes(asked: Asked) -> None:
        await asked.body()
        await asked.answer(200, [{"Untagged": "app:1"}])

    first, second = _two(script=removes)
    for daemon in (first, second):
        daemon.hold("aa11", "app:1")
    async with swarm(first, second) as manager:
        assert (await manager.client.delete("/images/app:1")).json() == [{"Untagged": "app:1"}]


@table.changed(
    "save",
    "`docker save` of several images",
    classic="From one healthy node that holds all of them; 404 if there is none.",
    why="Images that were built are on one node each, and belong together all the same.",
)
async def save() -> None:
    """From one node if it holds all; else one archive out of several, cut off visibly if one of them fails."""
    first, second = _two()
    first.hold("aa11", "a:1")
    second.hold("aa11", "a:1")
    second.hold("bb11", "b:1")
    first.hold("cc11", "c:1")
    second.answers["/images/get"] = (200, b"tar")
    first.answers["/images/get"] = (200, _archive("c:1"))
    async with swarm(first, second) as manager:
        assert (await manager.client.get("/images/get?names=a:1&names=b:1")).content == b"tar"
        second.answers["/images/get"] = (200, _archive("b:1"))
        both = (await manager.client.get("/images/get?names=c:1&names=b:1")).content
        with tarfile.open(fileobj=io.BytesIO(both)) as tar:
            table = tar.extractfile("manifest.json")
            assert table is not None
            assert [image["RepoTags"] for image in json.load(table)] == [["c:1"], ["b:1"]]
        second.answers["/images/get"] = (200, _archive("b:1")[:700])
        with pytest.raises(httpx.RemoteProtocolError):
            await manager.client.get("/images/get?names=c:1&names=b:1")
        second.answers["/images/get"] = (500, b'{"message":"disk full"}')
        first.answers["/images/get"] = (500, b'{"message":"disk full"}')
        assert message(await manager.client.get("/images/get?names=c:1&names=b:1")) == (500, "disk full")
        await lose(manager.cluster, second)
        assert (await manager.client.get("/images/get?names=a:1&names=b:1")).status_code == 404


def _archive(tag: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        add_file(tar, f"layer of {tag}", b"x" * 1000)
        add_file(tar, "manifest.json", json.dumps([{"RepoTags": [tag]}]).encode())
    return buffer.getvalue()


@table.mended(
    "push",
    "`docker push` of a name that stands for different images on several nodes",
    classic="Any of them.",
    why="Built, pushed, and something else arrived.",
)
async def push() -> None:
    """The one that was built or tagged last, as its engine says, or as was seen from here."""
    first, second = _two()
    first.hold("aa11", "reg/app:1", created=1)
    second.hold("bb11", "reg/app:1", created=2)

    async def pushes(asked: Asked) -> None:
        await asked.body()
        await asked.begin()
        await asked.end()

    first.script = second.script = pushes
    async with swarm(first, second) as manager:
        for daemon, tagged in ((second, ""), (first, "2026-01-02T00:00:00Z"), (second, "2026-01-03T00:00:00Z")):
            inspected = {"Id": "x", "Metadata": {"LastTagTime": tagged or "0001-01-01T00:00:00Z"}}
            daemon.answers["/images/reg/app:1/json"] = (200, json.dumps(inspected).encode())
            assert (await manager.post("/images/reg/app/push?tag=1")).status_code == 200
            assert daemon.asked_for.pop().path == "/images/reg/app/push"
        assert (await manager.post("/images/reg/app/push")).status_code == 200  # all tags
        assert message(await manager.post("/images/reg/app/push?tag=2")) == (404, "No such image: reg/app:2")


@table.changed(
    "distribution",
    "`GET /distribution/<name>/json`",
    classic="404.",
    why="`docker service create` and `docker trust` ask a registry through it.",
)
async def distribution() -> None:
    """Any healthy node asks the registry, with the client's own credentials."""
    daemon = Daemon()
    daemon.answers["/distribution/reg:5000/a/b:1/json"] = (200, b'{"Descriptor":{}}')
    async with swarm(daemon) as manager:
        assert (await manager.client.get("/distribution/reg:5000/a/b:1/json")).json() == {"Descriptor": {}}
