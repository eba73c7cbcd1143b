"""Images of several engines in one archive, passed on while it comes."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlencode

from swarmproxy.cluster.asking import unreachable, versioned
from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.images import healthy_holders
from swarmproxy.engine.client import engine_error
from swarmproxy.engine.engine import Engine
from swarmproxy.errors import BadRequest, EngineUnreachable, ProtocolViolation
from swarmproxy.model.apiversion import Version
from swarmproxy.model.archive import Merger
from swarmproxy.wire.fetch import Streaming, stream

HEAD_TIMEOUT_S = 300.0  # an engine 20.10 writes the whole archive to its disk before it answers
_REFUSAL_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Part:
    """What one engine is asked for."""

    engine: Engine
    names: tuple[str, ...]


def parts_for(cluster: Cluster, names: Sequence[str]) -> list[Part]:
    """Return which engines give which of `names`: one if it has them all, else as few as that takes, near enough.

    Raises BadRequest without a name, and as `holders` for each of them.
    """
    if not names:
        raise BadRequest("no image was named")
    held = {name: {each.engine: each.image.created for each in healthy_holders(cluster, name)} for name in names}
    parts: list[Part] = []
    while held:
        first = next(iter(held))
        engine = max(held[first], key=lambda each: (_count(held, each), held[first][each], each.name))
        parts.append(Part(engine, tuple(name for name, on in held.items() if engine in on)))
        for name in parts[-1].names:
            del held[name]
    return parts


def _count(held: dict[str, dict[Engine, int]], engine: Engine) -> int:
    return sum(engine in on for on in held.values())


async def merged(parts: Sequence[Part], query: Sequence[tuple[str, str]], version: Version) -> AsyncIterator[bytes]:
    """Yield the archive of all `parts`, one engine after the other; `query` is what else the client asks for.

    Raises EngineError, EngineUnreachable, ProtocolViolation; what was yielded until then is no whole archive.
    """
    merger = Merger()
    for number, part in enumerate(parts):
        if number:
            merger.next_archive()
        pairs = [*query, *(("names", name) for name in part.names)]
        async with _archive(part.engine, version, f"/images/get?{urlencode(pairs)}") as answer:
            async for chunk in answer:
                for piece in merger.feed(chunk):
                    yield piece
    yield merger.finish()


@asynccontextmanager
async def _archive(engine: Engine, version: Version, path: str) -> AsyncIterator[Streaming]:
    """Give the archive that `engine` sends. Raises EngineError if it refuses."""
    async with AsyncExitStack() as stack:
        try:
            target = versioned(engine, version, path)
            answer = await stack.enter_async_context(stream(engine.pool, "GET", target, timeout_s=HEAD_TIMEOUT_S))
        except EngineUnreachable as error:
            raise unreachable(engine, error) from error
        engine.note_success()
        if answer.status >= 400:
            raise engine_error(answer.status, await answer.read(_REFUSAL_BYTES), "/images/get")
        try:
            yield answer
        except ProtocolViolation as violation:
            raise ProtocolViolation(f"{engine.name}: {violation}") from violation
