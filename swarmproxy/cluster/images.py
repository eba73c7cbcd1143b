"""Which engines hold an image, and what is done on all of them."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode

import msgspec

from swarmproxy.cluster.asking import ask, ask_and_check, refusal
from swarmproxy.cluster.broadcast import Report, StreamRequest, converse
from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.failures import combined
from swarmproxy.cluster.fanout import on_all
from swarmproxy.cluster.image_index import Held
from swarmproxy.cluster.settled import reread
from swarmproxy.engine.engine import Engine, State
from swarmproxy.errors import EngineError, EngineUnreachable, NotFound, ProtocolViolation, SwarmError
from swarmproxy.model.apiversion import Version
from swarmproxy.model.image import Image, list_from_engine, matches, split_reference
from swarmproxy.model.members import NOT_JSON

log = logging.getLogger("swarmproxy.cluster")

LIST_TIMEOUT_S = 30.0
REMOVE_TIMEOUT_S = 120.0
TAG_TIMEOUT_S = 30.0

_removed = msgspec.json.Decoder(list[msgspec.Raw])


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
        await reread(engine, "images")


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

    async def read(engine: Engine) -> dict[str, Image]:
        body = await ask_and_check(engine, version, "GET", path, timeout_s=LIST_TIMEOUT_S)
        return {image.id: image for image in list_from_engine(body)}

    asked = [engine for engine in engines if engine.state is State.HEALTHY]
    outcome = await on_all(asked, read, timeout_s=LIST_TIMEOUT_S)
    for engine, error in outcome.failed:
        log.warning("images could not be listed", extra={"engine": engine.name, "error": str(error)})
    return dict(outcome.done)


def owner(cluster: Cluster, name: str) -> Engine:
    """Return the healthy engine that is to answer for image `name`: of several that with the latest created.

    Raises NotFound, also if only engines that do not answer hold it, so that clients pull it; BadRequest as
    `ImageIndex.holders`.
    """
    found = healthy_holders(cluster, name)
    return max(found, key=lambda held: (held.image.created, held.engine.title)).engine


def healthy_holders(cluster: Cluster, name: str) -> list[Held]:
    """Return the healthy engines that hold what `name` names. Raises as `owner`."""
    found = cluster.images.holders(name)
    healthy = [held for held in found if held.engine.state is State.HEALTHY]
    if not healthy:
        nodes = ", ".join(sorted({held.engine.title for held in found}))
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

    async def remove_on(engine: Engine) -> list[msgspec.Raw]:
        if engine.state is not State.HEALTHY:
            raise EngineUnreachable(f"the node is {engine.state.value}, and the image still there")
        answer = await ask(engine, version, "DELETE", path, timeout_s=REMOVE_TIMEOUT_S)
        await reread(engine, "images")
        if answer.status >= 400:
            raise refusal(answer, "/images")
        try:
            return _removed.decode(answer.body)
        except NOT_JSON as error:
            raise ProtocolViolation(f"the answer cannot be read: {error}") from error

    outcome = await on_all(engines, remove_on, timeout_s=REMOVE_TIMEOUT_S)
    removed = {bytes(each): each for _, items in outcome.done for each in items}
    failures = [(engine.title, error) for engine, error in outcome.failed if not _is(error, 404)]
    if failures:
        error = combined(failures, asked=len(engines))
        if not removed and any(_is(each, 409) for _, each in failures):
            raise EngineError(409, str(error))
        raise error
    if not removed:
        raise NotFound(f"No such image: {name}")
    return list(removed.values())


def _is(error: SwarmError, status: int) -> bool:
    return isinstance(error, EngineError) and error.status == status


async def tag(cluster: Cluster, name: str, query: str, version: Version) -> None:
    """Tag image `name` on all healthy engines that hold it; the state is read anew before this returns.

    `query` is passed on. Raises as `owner`, and names the nodes that refused.
    """
    engines = _engines_of(healthy_holders(cluster, name))
    path = f"/images/{quote(name, safe='/:@')}/tag{query}"

    async def tag_on(engine: Engine) -> None:
        await ask_and_check(engine, version, "POST", path, timeout_s=TAG_TIMEOUT_S)
        await reread(engine, "images")

    if (error := (await on_all(engines, tag_on, timeout_s=TAG_TIMEOUT_S)).error) is not None:
        raise error


def _engines_of(found: list[Held]) -> list[Engine]:
    return list(dict.fromkeys(held.engine for held in found))
