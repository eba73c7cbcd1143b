"""Images on their way between scripted daemons: what can go wrong, and that nothing piles up in us."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from swarmproxy.cluster.broadcast import Report, Said
from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.image_facts import ImageFacts
from swarmproxy.cluster.image_moves import ImageMover
from swarmproxy.cluster.placement import CreateRequest, Placement
from swarmproxy.errors import EngineError, EngineUnreachable, NoNodeFits, NotFound, SwarmError
from tests.cluster.creating_daemon import CreatingDaemon, placing
from tests.cluster.image_daemon import Asked, _Again, engine_of
from tests.engine.harness import eventually

CHUNK = bytes(256 * 1024)
APP = "app:1"
REFUSED = (404, {"message": "pull access denied for app"})


class MovingDaemon(CreatingDaemon):
    """Saves and loads images. No registry answers it."""

    def __init__(self, name: str, *, architecture: str = "x86_64") -> None:
        super().__init__(name)
        self.info_fields = {**self.info_fields, "Architecture": architecture}
        self.script = self._act
        self.layers = {APP: "sha256:layer"}
        self.chunks = 4
        self.cut_after = -1
        self.sent = self.got = self.saves = self.inspects = self.asked_registry = 0
        self.takes = asyncio.Event()  # a load is read once it is set
        self.takes.set()
        self.load_answer: tuple[int, dict[str, Any]] | None = None
        self.loads_as = "moved"
        self.platforms: list[dict[str, str]] = []

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        asked = Asked(head, reader, writer)
        if asked.method == "GET" and asked.path.endswith("/get"):
            return await self._save(asked)
        return await super()._answer(_Again(head, reader), writer)

    async def _save(self, asked: Asked) -> bool:
        self.saves += 1
        asked.writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(self.chunks):
            if number == self.cut_after:
                asked.writer.transport.abort()
                return False
            asked.writer.write(b"%x\r\n%s\r\n" % (len(CHUNK), CHUNK))
            await asked.writer.drain()
            self.sent += len(CHUNK)
        await asked.end()
        return True

    async def _act(self, asked: Asked) -> None:
        if asked.path == "/images/create":
            self.pulled.append(asked)
            await asked.answer(*REFUSED)
            return
        assert asked.path == "/images/load"
        if self.load_answer is not None:
            await asked.answer(*self.load_answer)
            asked.writer.close()
            return
        await self.takes.wait()
        async for chunk in asked.chunks():
            self.got += len(chunk)
        self.hold(self.loads_as, APP)
        await asked.begin()
        await asked.say(stream=f"Loaded image: {APP}\n")
        await asked.end()

    def _reply(self, path: str, query: dict[str, list[str]]) -> tuple[int, bytes]:
        if path.startswith("/distribution/"):
            self.asked_registry += 1
            return 200, json.dumps({"Platforms": self.platforms}).encode()
        if path.startswith("/images/") and path.endswith("/json") and path != "/images/json":
            name = path.removeprefix("/images/").removesuffix("/json")
            found = next((each for each in self.images if name in (each["Id"], *each["RepoTags"])), None)
            if found is None:
                return 404, b'{"message":"No such image"}'
            self.inspects += 1
            architecture = {"x86_64": "amd64", "aarch64": "arm64"}[self.info_fields["Architecture"]]
            rootfs = {"Layers": [self.layers[APP]]}
            said = {"Id": found["Id"], "Os": "linux", "Architecture": architecture, "RootFS": rootfs}
            return 200, json.dumps(said).encode()
        return super()._reply(path, query)


@asynccontextmanager
async def moving(daemons: Sequence[MovingDaemon]) -> AsyncIterator[tuple[Placement, Cluster]]:
    async with placing(daemons) as (placement, cluster):
        placement.image_moves = ImageMover(cluster)
        placement.image_facts = ImageFacts(cluster)
        yield placement, cluster


async def create(placement: Placement, *env: str, image: str = APP, platform: str = "") -> None:
    body = json.dumps({"Image": image, "Env": list(env)}).encode()
    await placement.place(CreateRequest(body=body, version=(1, 41), platform=platform))


@pytest.fixture
def daemons() -> list[MovingDaemon]:
    """Return node-0, which lacks the image, and node-1, which holds it."""
    lacking, holding = MovingDaemon("node-0"), MovingDaemon("node-1")
    holding.hold("moved", APP)
    return [lacking, holding]


TO_FIRST = "constraint:node==node-0"


async def test_moved_once(daemons: list[MovingDaemon]) -> None:
    """Many creates that need one image on one node have it moved there once, whole."""
    async with moving(daemons) as (placement, _):
        await asyncio.gather(*(create(placement, TO_FIRST) for _ in range(8)))
        assert (daemons[1].saves, daemons[0].got) == (1, 4 * len(CHUNK))
        assert [len(each.containers) for each in daemons] == [8, 0]


async def test_back_pressure(daemons: list[MovingDaemon]) -> None:
    """A node that does not take the image holds back the one that sends it: it does not pile up in us."""
    daemons[1].chunks = 256  # 64 MiB, more than all sockets on the way hold
    daemons[0].takes.clear()
    async with moving(daemons) as (placement, _), asyncio.TaskGroup() as tasks:
        tasks.create_task(create(placement, TO_FIRST), name="create")
        seen = -1
        while seen != daemons[1].sent or not seen:
            seen = daemons[1].sent
            await asyncio.sleep(0.2)
        assert seen < 32 * 1024 * 1024
        daemons[0].takes.set()
    assert daemons[0].got == 256 * len(CHUNK)


async def test_cut_on_the_way(daemons: list[MovingDaemon]) -> None:
    """An archive that is cut never looks whole, and the container goes where the image is, if it may."""
    daemons[1].cut_after = 2
    async with moving(daemons) as (placement, cluster):
        with pytest.raises(EngineUnreachable):
            await placement.image_moves.bring(APP, engine_of(cluster, daemons[0]), (1, 41))  # type: ignore[union-attr]
        await eventually(daemons[0].left.is_set)
        await create(placement)
        assert [len(each.containers) for each in daemons] == [0, 1]
        with pytest.raises(NoNodeFits):
            await create(placement, TO_FIRST)


async def test_not_taken(daemons: list[MovingDaemon]) -> None:
    """A node that refuses the image, or makes another of it, is passed over for the one that holds it."""
    daemons[0].load_answer = 500, {"message": "no space left on device"}
    async with moving(daemons) as (placement, cluster):
        with pytest.raises(SwarmError):
            await placement.image_moves.bring(APP, engine_of(cluster, daemons[0]), (1, 41))  # type: ignore[union-attr]
        await create(placement)
        daemons[0].load_answer, daemons[0].loads_as = None, "another"
        daemons[0].layers = {APP: "sha256:other"}
        with pytest.raises(SwarmError, match="node-0 has another image as app:1 than node-1"):
            await placement.image_moves.bring(APP, engine_of(cluster, daemons[0]), (1, 41))  # type: ignore[union-attr]


async def test_another_kind_of_store(daemons: list[MovingDaemon]) -> None:
    """A store that gives the image another ID has it all the same if the layers are its own."""
    daemons[0].loads_as = "same-by-another-id"
    async with moving(daemons) as (placement, _):
        await create(placement, TO_FIRST)
        assert len(daemons[0].containers) == 1


async def test_told(daemons: list[MovingDaemon]) -> None:
    """Who wants to know is told from where the image comes, and how far it is."""
    daemons[1].chunks = 20
    told: list[Report] = []

    async def tell(report: Report) -> None:
        told.append(report)

    async with moving(daemons) as (placement, cluster):
        assert placement.image_moves is not None
        await placement.image_moves.bring(APP, engine_of(cluster, daemons[0]), (1, 41), tell=tell)
    said = [each.line for each in told if isinstance(each, Said)]
    assert {line.status for line in said} == {"Moving from node-1"}
    amounts = [line.progress.current for line in said if line.progress is not None]
    assert len(amounts) == 5
    assert amounts == sorted(amounts)


async def test_nobody_holds_it(daemons: list[MovingDaemon]) -> None:
    """An image that nobody holds, or that is named by a digest, cannot be moved."""
    async with moving(daemons) as (placement, cluster):
        assert placement.image_moves is not None
        for reference in ("other:1", "app@sha256:" + "a" * 64):
            with pytest.raises(NotFound):
                await placement.image_moves.bring(reference, engine_of(cluster, daemons[0]), (1, 41))
        with pytest.raises(SwarmError, match="pull access denied") as refused:
            await create(placement, image="other:1")
        assert not isinstance(refused.value, EngineError)


# Platforms


@pytest.fixture
def mixed() -> list[MovingDaemon]:
    """Return node-0, a PC, and node-1 of another architecture, which holds an image of its own."""
    pc, pi = MovingDaemon("node-0"), MovingDaemon("node-1", architecture="aarch64")
    pi.hold("moved", APP)
    pi.add("busy")
    return [pc, pi]


async def test_platform_of_a_local_image(mixed: list[MovingDaemon]) -> None:
    """A container goes to a node that its image is made for; each image is inspected once."""
    async with moving(mixed) as (placement, _):
        for _ in range(3):
            await create(placement)
        assert [len(each.containers) for each in mixed] == [0, 4]
        assert mixed[1].inspects == 1
        with pytest.raises(NoNodeFits, match="1 by platform linux/arm64"):
            await create(placement, TO_FIRST)
        assert (mixed[0].pulled, mixed[1].asked_registry) == ([], 0)


async def test_platform_is_the_users_choice(mixed: list[MovingDaemon]) -> None:
    """`--platform` outranks what is known, and a constraint on the architecture is left alone."""
    mixed[0].hold("moved", APP)
    async with moving(mixed) as (placement, _):
        await create(placement, platform="linux/arm64")
        assert [len(each.containers) for each in mixed] == [0, 2]
        await create(placement, "constraint:architecture==x86_64")
        assert [len(each.containers) for each in mixed] == [1, 2]


async def test_platforms_in_a_registry(mixed: list[MovingDaemon]) -> None:
    """An image that its registry has for other platforms, too, may go there; the registry is asked once."""
    mixed[1].images[-1]["RepoDigests"] = ["app@sha256:" + "a" * 64]
    mixed[1].platforms = [{"os": "linux", "architecture": each} for each in ("amd64", "arm64")]
    async with moving(mixed) as (placement, _):
        for _ in range(3):
            mixed[0].hold("for-pc", APP)  # as if it had been pulled
            await create(placement)
        assert len(mixed[0].containers) >= 1
        assert mixed[1].asked_registry == 1
