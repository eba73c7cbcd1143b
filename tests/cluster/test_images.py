"""Which engines hold an image, and what is done on all of them."""

import asyncio

import msgspec
import pytest

from swarmproxy.cluster import images
from swarmproxy.cluster.broadcast import StreamRequest, converse
from swarmproxy.cluster.images import Pulls
from swarmproxy.cluster.saving import Part, parts_for
from swarmproxy.engine.engine import State
from swarmproxy.errors import BadRequest, EngineError, EngineUnreachable, NotFound, SwarmError
from tests.cluster.image_daemon import Asked, ImageDaemon, clustered, engine_of, lose

VERSION = (1, 44)


# Who holds an image


async def test_owner_prefers_the_name_and_the_latest_created() -> None:
    """A tag comes before an ID that begins like it, and of several engines the latest created image wins."""
    first, second, third = ImageDaemon("n0"), ImageDaemon("n1"), ImageDaemon("n2")
    first.hold("cafe00", "other:1", created=9)
    second.hold("bbbb00", "cafe:latest", created=5)
    third.hold("bbbb11", "cafe:latest", created=6)
    async with clustered([first, second, third]) as cluster:
        assert images.owner(cluster, "cafe") is engine_of(cluster, third)
        assert images.owner(cluster, "docker.io/library/cafe:latest") is engine_of(cluster, third)
        assert images.owner(cluster, "cafe0") is engine_of(cluster, first)
        assert images.owner(cluster, "sha256:bbbb00") is engine_of(cluster, second)
        with pytest.raises(BadRequest, match="multiple IDs found with provided prefix: bbbb"):
            images.owner(cluster, "bbbb")
        with pytest.raises(NotFound, match=r"^No such image: cafe:2$"):
            images.owner(cluster, "cafe:2")


async def test_owner_is_healthy() -> None:
    """An engine that does not answer owns nothing: another holder does, or the image counts as missing."""
    first, second = ImageDaemon("n0"), ImageDaemon("n1")
    first.hold("aaaa", "both:1", "first:1", created=9)
    second.hold("aaaa", "both:1")
    async with clustered([first, second]) as cluster:
        await lose(cluster, first)
        assert images.owner(cluster, "both:1") is engine_of(cluster, second)
        with pytest.raises(NotFound, match=r"^No such image: first:1 \(only on nodes that do not answer: n0\)$"):
            images.owner(cluster, "first:1")


async def test_parts_of_a_save() -> None:
    """A save asks one engine if that holds all the images, and else as few as it takes."""
    first, second = ImageDaemon("n0"), ImageDaemon("n1")
    first.hold("aa11", "a:1")
    second.hold("aa11", "a:1")
    second.hold("bb11", "b:1")
    first.hold("cc11", "c:1")
    async with clustered([first, second]) as cluster:
        one, other = engine_of(cluster, first), engine_of(cluster, second)
        assert parts_for(cluster, ["a:1", "b:1"]) == [Part(other, ("a:1", "b:1"))]
        assert parts_for(cluster, ["b:1", "c:1", "a:1"]) == [Part(other, ("b:1", "a:1")), Part(one, ("c:1",))]
        with pytest.raises(NotFound, match="No such image: d:1"):
            parts_for(cluster, ["a:1", "d:1"])
        with pytest.raises(BadRequest, match="no image was named"):
            parts_for(cluster, [])
        assert images.has_image(engine_of(cluster, first), "c:1")
        assert not images.has_image(engine_of(cluster, second), "c:1")


# Removing


async def removes(asked: Asked) -> None:
    await asked.body()
    await asked.answer(200, [{"Untagged": "app:1"}, {"Deleted": "sha256:aaaa"}])


async def conflicts(asked: Asked) -> None:
    await asked.body()
    await asked.answer(409, {"message": "conflict: in use"})


async def fails(asked: Asked) -> None:
    await asked.body()
    await asked.answer(500, {"message": "disk on fire"})


async def knows_nothing(asked: Asked) -> None:
    await asked.body()
    await asked.answer(404, {"message": "No such image: app:1"})


def three_with_the_image() -> list[ImageDaemon]:
    daemons = [ImageDaemon(f"n{number}") for number in range(3)]
    for daemon in daemons[:2]:
        daemon.hold("aaaa", "app:1")
    return daemons


async def test_remove_from_all_holders() -> None:
    """An image is removed wherever it is, the query is passed on, and what several nodes say alike is said once."""
    daemons = three_with_the_image()
    for daemon in daemons:
        daemon.script = removes
    async with clustered(daemons) as cluster:
        for daemon in daemons:
            daemon.images.clear()
        removed = await images.remove(cluster, "app:1", "?force=1&noprune=1", VERSION)
        assert [msgspec.json.decode(each) for each in removed] == [{"Untagged": "app:1"}, {"Deleted": "sha256:aaaa"}]
        targets = [[each.target for each in daemon.asked_for] for daemon in daemons]
        assert targets == [["/v1.44/images/app:1?force=1&noprune=1"]] * 2 + [[]]
        with pytest.raises(NotFound, match=r"^No such image: app:1$"):
            await images.remove(cluster, "app:1", "", VERSION)


async def test_remove_what_is_gone_already() -> None:
    """A holder that has lost the image meanwhile is no failure, unless all have."""
    daemons = three_with_the_image()
    daemons[0].script, daemons[1].script = removes, knows_nothing
    async with clustered(daemons) as cluster:
        assert len(await images.remove(cluster, "app:1", "", VERSION)) == 2
        daemons[0].script = knows_nothing
        with pytest.raises(NotFound, match=r"^No such image: app:1$"):
            await images.remove(cluster, "app:1", "", VERSION)


async def test_remove_meets_a_conflict() -> None:
    """A conflict is one if nothing was removed; otherwise the node is named and the rest is done."""
    daemons = three_with_the_image()
    daemons[0].script = daemons[1].script = conflicts
    async with clustered(daemons) as cluster:
        with pytest.raises(EngineError, match=r"^conflict: in use$") as caught:
            await images.remove(cluster, "app:1", "", VERSION)
        assert caught.value.status == 409
        daemons[1].script = fails
        with pytest.raises(EngineError, match=r"^n0: conflict: in use\nn1: disk on fire$") as caught:
            await images.remove(cluster, "app:1", "", VERSION)
        assert caught.value.status == 409
        daemons[0].script = removes
        with pytest.raises(EngineError, match=r"^n1: disk on fire$") as caught:
            await images.remove(cluster, "app:1", "", VERSION)
        assert caught.value.status == 500


async def test_remove_with_a_dead_holder() -> None:
    """A holder that does not answer is named at once, and the image removed everywhere else."""
    daemons = three_with_the_image()
    daemons[0].script = removes
    async with clustered(daemons) as cluster:
        await lose(cluster, daemons[1])
        with pytest.raises(SwarmError, match=r"^n1: the node is Unhealthy, and the image still there$"):
            await images.remove(cluster, "app:1", "", VERSION)
        assert len(daemons[0].asked_for) == 1


# Tagging


async def test_tag_on_all_holders() -> None:
    """All healthy holders tag the image, and the new name is known when the reply goes out."""

    async def tags(asked: Asked) -> None:
        await asked.body()
        await asked.answer(201, None)

    daemons = three_with_the_image()
    for daemon in daemons:
        daemon.script = tags
    async with clustered(daemons) as cluster:
        for daemon in daemons[:2]:
            daemon.hold("aaaa", "app:1", "new:1")
        await images.tag(cluster, "app:1", "?repo=new&tag=1", VERSION)
        assert [len(daemon.asked_for) for daemon in daemons] == [1, 1, 0]
        assert daemons[0].asked_for[0].target == "/v1.44/images/app:1/tag?repo=new&tag=1"
        assert {held.engine.name for held in cluster.images.holders("new:1")} == {"n0", "n1"}
        daemons[1].script = fails
        with pytest.raises(EngineError, match=r"^n1: disk on fire$"):
            await images.tag(cluster, "app:1", "?repo=new&tag=1", VERSION)


# Pulling on one engine, for a container


async def test_pull_on_one_engine() -> None:
    """A pull passes on tag, platform and credentials, and the image is known when it returns."""

    async def pulls(asked: Asked) -> None:
        await asked.body()
        await asked.begin()
        await asked.say(status="Pulling from library/app", id="latest")
        daemon.hold("dddd", "app:latest")
        await asked.end()

    daemon = ImageDaemon()
    daemon.script = pulls
    async with clustered([daemon]) as cluster:
        (engine,) = cluster.healthy()
        await Pulls().pull_on(engine, "app", auth="c2VjcmV0", platform="linux/arm64", version=(1, 99))
        (asked,) = daemon.asked_for
        assert asked.target.startswith("/v1.51/images/create?")
        assert asked.query == {"fromImage": "app:latest", "platform": "linux/arm64"}
        assert asked.headers["x-registry-auth"] == "c2VjcmV0"
        assert images.has_image(engine, "app")


async def test_pull_that_fails() -> None:
    """A refusal keeps its status; an error in the stream is one too, and a cut stream is no success."""

    async def refuses(asked: Asked) -> None:
        await asked.answer(404, {"message": "pull access denied"})

    async def breaks(asked: Asked) -> None:
        await asked.begin()
        await asked.say(errorDetail={"message": "no space left"}, error="no space left")
        await asked.end()

    async def is_cut(asked: Asked) -> None:
        await asked.begin()
        await asked.say(status="Downloading")
        asked.writer.transport.abort()

    daemon = ImageDaemon()
    async with clustered([daemon]) as cluster:
        (engine,) = cluster.healthy()
        for script, kind, status, message in (
            (refuses, EngineError, 404, "pull access denied"),
            (breaks, EngineError, 500, "no space left"),
            (is_cut, EngineUnreachable, None, "before the answer was complete"),
        ):
            daemon.script = script
            with pytest.raises(kind, match=message) as caught:
                await Pulls().pull_on(engine, "app", version=VERSION)
            assert getattr(caught.value, "status", None) == status


async def test_engine_that_is_lost_is_given_up() -> None:
    """An engine that hangs in the middle of a stream is given up once it is not healthy and silent for a time."""

    async def hangs(asked: Asked) -> None:
        await asked.begin()
        daemon.frozen = True
        await asked.reader.read()

    daemon = ImageDaemon()
    daemon.script = hangs
    async with clustered([daemon], probe_timeout_s=0.2) as cluster:
        (engine,) = cluster.healthy()
        request = StreamRequest(path="/images/create?fromImage=app", version=VERSION)
        with pytest.raises(EngineUnreachable, match="stopped answering"):
            await converse(engine, request, _ignore, silence_s=0.1)
        assert engine.state is State.UNHEALTHY


async def test_silent_engine_that_is_healthy_is_waited_for() -> None:
    """A healthy engine may be silent: a pull has no deadline."""

    async def is_slow(asked: Asked) -> None:
        await asked.begin()
        await asyncio.sleep(0.3)
        await asked.end()

    daemon = ImageDaemon()
    daemon.script = is_slow
    async with clustered([daemon]) as cluster:
        (engine,) = cluster.healthy()
        request = StreamRequest(path="/images/create?fromImage=app", version=VERSION)
        await converse(engine, request, _ignore, silence_s=0.05)


async def _ignore(_report: object) -> None:
    """What it says is not looked at."""
