"""Which engine made an image last: the one that a push is to go out from.

Engines that hold different images under one name are the rule where images are built: the name stayed on the node of an
earlier build. When an image was created does not tell the newest: a build from the cache brings back an old one.
"""

from urllib.parse import quote

import msgspec

from swarmproxy.cluster.asking import ask_and_check
from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.fanout import on_all
from swarmproxy.cluster.images import healthy_holders
from swarmproxy.engine.engine import Engine
from swarmproxy.errors import SwarmError
from swarmproxy.model.apiversion import Version
from swarmproxy.model.image import split_reference
from swarmproxy.model.members import NOT_JSON
from swarmproxy.model.times import NANOSECONDS, parse_rfc3339_ns

ASK_TIMEOUT_S = 10.0


class _Metadata(msgspec.Struct):
    LastTagTime: str | None = None


class _Inspected(msgspec.Struct):
    Metadata: _Metadata | None = None


_decoder = msgspec.json.Decoder(_Inspected)


async def made_last(cluster: Cluster, repository: str, tag: str, version: Version) -> Engine:
    """Return the healthy engine on which an image was last built or tagged; without a tag, any in the repository.

    Engines are asked only if they do not agree on what the name is. Raises as `images.owner`.
    """
    name = f"{repository}:{tag}" if tag else repository
    if not tag and not split_reference(repository)[1]:
        name = max(cluster.images.tags_of(repository), key=lambda each: _seen_at(cluster, each), default=repository)
    found = healthy_holders(cluster, name)
    if len({held.image.id for held in found}) > 1:
        named = cluster.images.named_at(name)
        outcome = await on_all(
            [held.engine for held in found], lambda engine: _tagged_ns(engine, name, version), timeout_s=ASK_TIMEOUT_S
        )
        told_ns = dict(outcome.done)
        made_ns = [told_ns.get(held.engine, 0) for held in found]
        if named is not None:
            seen_ns = int(named[1] * NANOSECONDS)
            made_ns = [
                max(each, seen_ns) if held.engine is named[0] else each
                for each, held in zip(made_ns, found, strict=True)
            ]
    else:
        made_ns = [0] * len(found)
    newest = zip(made_ns, found, strict=True)
    return max(newest, key=lambda each: (each[0], each[1].image.created, each[1].engine.title))[1].engine


def _seen_at(cluster: Cluster, name: str) -> float:
    named = cluster.images.named_at(name)
    return named[1] if named is not None else 0.0


async def _tagged_ns(engine: Engine, name: str, version: Version) -> int:
    """Return when an engine gave `name` to its image, by our clock; 0 if it does not say."""
    path = f"/images/{quote(name, safe='/:@')}/json"
    try:
        body = await ask_and_check(engine, version, "GET", path, timeout_s=ASK_TIMEOUT_S)
        metadata = _decoder.decode(body).Metadata or _Metadata()
        tagged_ns = parse_rfc3339_ns(metadata.LastTagTime or "")
    except (SwarmError, ValueError, *NOT_JSON):
        return 0
    return tagged_ns + engine.skew_ns if tagged_ns else 0
