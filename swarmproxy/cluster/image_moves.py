"""Images on their way from a node that holds them to one that cannot pull them, without passing through a file of ours.

What the holder's `GET /images/…/get` sends goes into `POST /images/load` of the other node as it comes, held back at
the pace of the slower one.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import quote

import msgspec

from swarmproxy.cluster.asking import ask, refusal, versioned
from swarmproxy.cluster.broadcast import (
    Begun,
    Detail,
    Line,
    Report,
    Said,
    StreamRequest,
    Tell,
    converse,
    patience,
)
from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.settled import reread
from swarmproxy.cluster.tee import Tee
from swarmproxy.engine.client import engine_error
from swarmproxy.engine.engine import Engine
from swarmproxy.errors import EngineError, NotFound, SwarmError
from swarmproxy.model.apiversion import Version
from swarmproxy.model.image import Image, familiar, matches, matches_id, split_reference
from swarmproxy.model.platform import platform_of, runs_on
from swarmproxy.wire.fetch import stream

log = logging.getLogger("swarmproxy.cluster")

AT_ONCE = 4  # images on their way: each fills a network link
TRIES = 3  # of nodes that hold the image
REFUSAL_BYTES = 64 * 1024
PROGRESS_BYTES = 1024 * 1024  # between two lines of progress
_TAR = (("Content-Type", "application/x-tar"),)


class _RootFS(msgspec.Struct):
    Layers: list[str] | None = None


class _Inspected(msgspec.Struct):
    Id: str = ""
    Os: str = ""
    Architecture: str = ""
    Variant: str | None = None
    RootFS: _RootFS | None = None

    @property
    def platform(self) -> str:
        return platform_of(self.Os, self.Architecture, self.Variant or "")

    def is_same(self, other: "_Inspected") -> bool:
        """Return whether both are one image, of which stores of different kinds make different IDs."""
        if self.Id == other.Id:
            return True
        layers = (self.RootFS or _RootFS()).Layers
        return bool(layers) and layers == (other.RootFS or _RootFS()).Layers and self.platform == other.platform


async def _untold(_report: Report) -> None:
    """Nobody follows the move that a create needs."""


@dataclass(slots=True)
class ImageMover:
    """Moves images between the engines of `cluster`."""

    cluster: Cluster
    _turns: dict[tuple[Engine, str], asyncio.Lock] = field(default_factory=dict)
    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    def holders(self, reference: str, to: Engine) -> list[tuple[Engine, Image]]:
        """Return the healthy engines but `to` that hold `reference`, the latest image first.

        A reference by digest has none: an archive does not keep digests, so the image could not be named so.
        """
        if "@" in reference:
            return []
        found = [
            (engine, image)
            for engine in self.cluster.healthy()
            if engine is not to
            for image in engine.images.values()
            if matches(image, reference)
        ]
        return sorted(found, key=lambda held: (-held[1].created, held[0].platform != to.platform, held[0].title))

    async def bring(
        self,
        reference: str,
        to: Engine,
        version: Version,
        *,
        fresh: Sequence[Engine] = (),
        tell: Tell = _untold,
    ) -> None:
        """Move `reference` to the engine `to` from one that holds it, of `fresh` if any is given.

        One move at a time brings an image to an engine: who comes second finds it there. Raises NotFound if nobody
        holds it, else the error of the last holder that was tried.
        """
        async with self._turn(to, reference):
            holders = [held for held in self.holders(reference, to) if not fresh or held[0] in fresh]
            there = {image.id for image in to.images.values() if matches(image, reference)}
            if there and (there & {image.id for _, image in holders} if fresh else await _has(to, reference, version)):
                return
            error: SwarmError = NotFound(f"No such image: no other node holds {reference}")
            for engine, image in holders[:TRIES]:
                try:
                    await self._move(reference, image, engine, to, version, tell)
                except SwarmError as failure:
                    error = failure
                    extra = {"image": reference, "from": engine.title, "to": to.title, "error": str(failure)}
                    log.warning("image not moved", extra=extra)
                else:
                    log.info("image moved", extra={"image": reference, "from": engine.title, "to": to.title})
                    return
            raise error

    async def _move(
        self, reference: str, image: Image, source: Engine, to: Engine, version: Version, tell: Tell
    ) -> None:
        name = image.id if matches_id(image.id, reference) else _tag(reference)
        before = await _inspect(source, name, version)
        if not runs_on(before.platform, to.platform):
            raise NotFound(f"No such image: {reference} is for {before.platform}, and {to.title} is {to.platform}")
        tee = Tee()
        load = StreamRequest(path="/images/load?quiet=1", version=version, headers=_TAR)

        async def told(report: Report) -> None:
            if isinstance(report, Begun):
                await tell(report)

        body = tee.branch()
        async with self._places, _one_error(), asyncio.TaskGroup() as tasks:
            feeding = tasks.create_task(
                _feed(tee, source, name, version, image.size_bytes, to, tell), name=f"image from {source.address}"
            )
            await converse(to, load, told, body=body)
            feeding.cancel()  # what is left of the archive, the engine did not need
        await reread(to, "images")
        if not (await _inspect(to, name, version)).is_same(before):
            raise SwarmError(f"{to.title} has another image as {reference} than {source.title}")

    @asynccontextmanager
    async def _turn(self, to: Engine, reference: str) -> AsyncIterator[None]:
        key = to, _tag(reference)
        lock = self._turns.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                yield
        finally:
            if not lock.locked() and self._turns.get(key) is lock:
                del self._turns[key]


async def _feed(tee: Tee, source: Engine, name: str, version: Version, total: int, to: Engine, tell: Tell) -> None:
    """Copy the archive of image `name` into `tee`. Raises EngineError, EngineUnreachable: it is not complete then."""
    target = versioned(source, version, f"/images/{quote(name, safe='/:@')}/get")
    status, sent, told = f"Moving from {source.title}", 0, 0
    await tell(Said(to, Line(status=status)))
    async with patience(source) as heard, stream(source.pool, "GET", target, timeout_s=None) as archive:
        source.note_success()
        if archive.status != 200:
            raise engine_error(archive.status, await archive.read(REFUSAL_BYTES), f"/images/{name}/get")
        async for chunk in archive:
            heard()
            await tee.feed(chunk)
            heard()  # the other engine may have held us back
            sent += len(chunk)
            if sent - told >= PROGRESS_BYTES:
                told = sent
                await tell(Said(to, Line(status=status, id=name, progress=Detail(sent, max(sent, total)))))
    tee.complete()


async def _has(engine: Engine, reference: str, version: Version) -> bool:
    """Ask `engine` itself: what we know may be about to change."""
    path = f"/images/{quote(reference, safe='/:@')}/json"
    return (await ask(engine, version, "GET", path)).status == 200


async def _inspect(engine: Engine, name: str, version: Version) -> _Inspected:
    path = f"/images/{quote(name, safe='/:@')}/json"
    answer = await ask(engine, version, "GET", path)
    if answer.status != 200:
        raise refusal(answer, path)
    return engine.client.decode(answer.body, _Inspected, path)


@asynccontextmanager
async def _one_error() -> AsyncIterator[None]:
    """Raise what a group of tasks fails with as itself: of several, what is not a consequence of another."""
    try:
        yield
    except ExceptionGroup as group:
        refused = [each for each in group.exceptions if isinstance(each, EngineError)]
        error = (refused or group.exceptions)[0]
        raise error from error.__cause__


def _tag(reference: str) -> str:
    """Return `reference` as engines list it, with its tag."""
    repository, tag = split_reference(reference)
    return f"{familiar(repository)}:{tag or 'latest'}"
