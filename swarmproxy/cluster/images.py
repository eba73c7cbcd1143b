"""Which engines hold an image, and what is done on all of them."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode

import msgspec

from swarmproxy.cluster.asking import ask_and_check
from swarmproxy.cluster.broadcast import AT_ONCE, Report, StreamRequest, converse, read_images
from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.failures import Failure, combined
from swarmproxy.cluster.image_index import Held
from swarmproxy.engine.engine import Engine, State
from swarmproxy.errors import EngineError, EngineUnreachable, NotFound, SwarmError
from swarmproxy.model.apiversion import Version
from swarmproxy.model.image import Image, list_from_engine, matches, split_reference

log = logging.getLogger("swarmproxy.cluster")

LIST_TIMEOUT_S = 30.0
REMOVE_TIMEOUT_S = 120.0
TAG_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Pulls:
    """Pulls on single engines, for containers whose image is missing."""

    async def pull_on(
        self, engine: Engine, reference: str, *, auth: str = "", platform: str = "", version: Version
    ) -> None:
        """Pull `reference`, without a tag its `latest`, on `engine`, and read the engine's images anew.

        `auth` is the client's X-Registry-Auth, passed on as it is. Raises EngineError, also if the stream
        ends in an error, EngineUnreachable, ProtocolViolation.
        """
        tagged = reference if split_reference(reference)[1] else f"{reference}:latest"
        query = {"fromImage": tagged} | ({"platform": platform} if platform else {})
        request = StreamRequest(
            path=f"/images/create?{urlencode(query)}",
            version=version,
            headers=(("X-Registry-Auth", auth),) if auth else (),
        )
        await converse(engine, request, _ignore)
        await read_images(engine)


async def _ignore(_report: Report) -> None:
    """Nobody follows the pull that a create needs."""


def has_image(engine: Engine, reference: str) -> bool:
    """Return whether `engine` holds an image that `reference` names."""
    return any(matches(image, reference) for image in engine.images.values())


async def list_live(
    engines: Sequence[Engine], extra: Sequence[str], version: Version
) -> dict[Engine, dict[str, Image]]:
    """Return the images of those of `engines` that answer, by ID, with what the parameters `extra` add to them.

    One that is slow or refuses is left out.
    """
    path = f"/images/json?all=1&{'&'.join(f'{name}=1' for name in extra)}"
    places = asyncio.Semaphore(AT_ONCE)

    async def read(engine: Engine) -> list[Image] | None:
        async with places:
            try:
                return list_from_engine(await ask_and_check(engine, version, "GET", path, timeout_s=LIST_TIMEOUT_S))
            except SwarmError as error:
                log.warning("images could not be listed", extra={"engine": engine.name, "error": str(error)})
                return None

    asked = [engine for engine in engines if engine.state is State.HEALTHY]
    lists = await asyncio.gather(*(read(engine) for engine in asked))
    return {
        engine: {image.id: image for image in listed}
        for engine, listed in zip(asked, lists, strict=True)
        if listed is not None
    }


def owner(cluster: Cluster, name: str) -> Engine:
    """Return the healthy engine that is to answer for image `name`: of several that with the latest created.

    Raises NotFound, also if only engines that do not answer hold it, so that clients pull it; BadRequest as
    `ImageIndex.holders`.
    """
    found = healthy_holders(cluster, name)
    return max(found, key=lambda held: (held.image.created, title(held.engine))).engine


def healthy_holders(cluster: Cluster, name: str) -> list[Held]:
    """Return the healthy engines that hold what `name` names. Raises as `owner`."""
    found = cluster.images.holders(name)
    healthy = [held for held in found if held.engine.state is State.HEALTHY]
    if not healthy:
        nodes = ", ".join(sorted({title(held.engine) for held in found}))
        raise NotFound(f"No such image: {name} (only on nodes that do not answer: {nodes})")
    return healthy


async def remove(cluster: Cluster, name: str, query: str, version: Version) -> list[msgspec.Raw]:
    """Remove image `name` on all engines that hold it; return what they deleted and untagged, each once.

    `query` is passed on. The state is read anew before this returns. Raises NotFound if nobody had it, a
    conflict if that is why no engine removed it, and otherwise names each node that could not remove it,
    though others did.
    """
    engines = _engines_of(cluster.images.holders(name))
    path = f"/images/{quote(name, safe='/:@')}{query}"
    results = await asyncio.gather(*(_remove_on(engine, path, version) for engine in engines))
    removed: dict[bytes, msgspec.Raw] = {}
    failures: list[Failure] = []
    for engine, result in zip(engines, results, strict=True):
        if isinstance(result, SwarmError):
            failures.append((title(engine), result))
        else:
            removed.update((bytes(each), each) for each in result)
    failures = [each for each in failures if not _is(each[1], 404)]
    if failures:
        error = combined(failures, asked=len(engines))
        if not removed and any(_is(each, 409) for _, each in failures):
            raise EngineError(409, str(error))
        raise error
    if not removed:
        raise NotFound(f"No such image: {name}")
    return list(removed.values())


async def _remove_on(engine: Engine, path: str, version: Version) -> list[msgspec.Raw] | SwarmError:
    if engine.state is not State.HEALTHY:
        return EngineUnreachable(f"the node is {engine.state.value}, and the image still there")
    try:
        body = await ask_and_check(engine, version, "DELETE", path, timeout_s=REMOVE_TIMEOUT_S)
        removed = msgspec.json.decode(body, type=list[msgspec.Raw])
    except EngineUnreachable as error:
        return error
    except (SwarmError, msgspec.MsgspecError) as error:
        await read_images(engine)
        return error if isinstance(error, SwarmError) else SwarmError(f"the answer cannot be read: {error}")
    await read_images(engine)
    return removed


def _is(error: SwarmError, status: int) -> bool:
    return isinstance(error, EngineError) and error.status == status


async def tag(cluster: Cluster, name: str, query: str, version: Version) -> None:
    """Tag image `name` on all healthy engines that hold it; the state is read anew before this returns.

    `query` is passed on. Raises as `owner`, and names the nodes that refused.
    """
    engines = _engines_of(healthy_holders(cluster, name))
    path = f"/images/{quote(name, safe='/:@')}/tag{query}"
    results = await asyncio.gather(*(_tag_on(engine, path, version) for engine in engines))
    failures = [(title(engine), error) for engine, error in zip(engines, results, strict=True) if error is not None]
    if failures:
        raise combined(failures, asked=len(engines))


async def _tag_on(engine: Engine, path: str, version: Version) -> SwarmError | None:
    try:
        await ask_and_check(engine, version, "POST", path, timeout_s=TAG_TIMEOUT_S)
    except SwarmError as error:
        return error
    await read_images(engine)
    return None


def title(engine: Engine) -> str:
    """Return how a message names `engine`: by its address until its name is known."""
    return engine.name or str(engine.address)


def _engines_of(found: list[Held]) -> list[Engine]:
    return list(dict.fromkeys(held.engine for held in found))
