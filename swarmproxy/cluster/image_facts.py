"""What is known of images beside their names: the platforms that they are made for."""

import asyncio
import logging
import math
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from urllib.parse import quote

import msgspec

from swarmproxy.cluster.asking import versioned
from swarmproxy.cluster.cluster import Cluster
from swarmproxy.engine.engine import Engine
from swarmproxy.errors import SwarmError
from swarmproxy.model.apiversion import Version
from swarmproxy.model.members import NOT_JSON
from swarmproxy.model.platform import parse_platform, platform_of, runs_on
from swarmproxy.model.spec import ContainerSpec
from swarmproxy.wire.fetch import fetch

log = logging.getLogger("swarmproxy.cluster")

KEPT = 4096
INSPECT_TIMEOUT_S = 5.0
DISTRIBUTION_TIMEOUT_S = 10.0
ASK_AGAIN_S = 600.0  # what could not be said
_SAID_BY_USER = ("ostype", "architecture")


class _Platform(msgspec.Struct):
    os: str | None = None
    architecture: str | None = None
    variant: str | None = None


class _Inspected(msgspec.Struct):
    Os: str | None = None
    Architecture: str | None = None
    Variant: str | None = None


class _Distribution(msgspec.Struct):
    Platforms: list[_Platform] | None = None


@dataclass(slots=True)
class ImageFacts:
    """The platforms of images, each asked for once: an image never changes.

    Only where nodes differ does it matter. An image that came from a registry may be there for more platforms than the
    nodes hold: the registry is asked once for each digest, not once for each create as in classic, which waited for it
    every time.
    """

    cluster: Cluster
    _known: OrderedDict[str, tuple[tuple[str, ...], float]] = field(default_factory=OrderedDict)
    """By image ID or digest: the platforms, and until when that holds."""

    async def with_platforms(
        self, spec: ContainerSpec, *, platform: str = "", auth: str = "", version: Version
    ) -> ContainerSpec:
        """Return `spec` with the platforms that its image is for, if they are known and nodes differ.

        A client's own `platform` comes first. Constraints on `ostype` or `architecture` are the user's own choice, and
        nothing is added to them. Raises nothing: what cannot be asked for is not known.
        """
        if any(text.startswith(_SAID_BY_USER) for text in spec.expressions.constraints):
            return spec
        nodes = set(self.cluster.nodes.platforms())
        if len(nodes) < 2:  # whatever there is runs everywhere or nowhere: the engine knows better than we do
            return spec
        wanted = parse_platform(platform)
        platforms = (wanted,) if wanted else await self._platforms(spec, auth, version)
        if not any(runs_on(each, node) for each in platforms for node in nodes):
            return spec  # there may be an emulator
        return replace(spec, platforms=tuple(sorted(platforms)))

    async def _platforms(self, spec: ContainerSpec, auth: str, version: Version) -> set[str]:
        names = spec.image_names
        holders = [each for each in self.cluster.healthy() if any(name in each.image_names for name in names)]
        found: set[str] = set()
        asked: set[str] = set()
        for engine in holders:
            for image in engine.images.values():
                known_as = {image.id.removeprefix("sha256:"), *image.tags, *image.digests}
                if known_as.isdisjoint(names) or image.id in asked:
                    continue
                asked.add(image.id)
                found.update(
                    await self._once(image.id, engine, f"/images/{quote(image.id, safe=':')}/json", "", version)
                )
                for digest in image.digests[:1]:
                    path = f"/distribution/{quote(digest, safe='/:@')}/json"
                    found.update(await self._once(digest, engine, path, auth, version))
        return found

    async def _once(self, key: str, engine: Engine, path: str, auth: str, version: Version) -> tuple[str, ...]:
        """Return the platforms under `key`, asked of `engine` at the first time."""
        now = asyncio.get_running_loop().time()
        known, until = self._known.get(key, ((), 0.0))
        if until < now:
            said = await _ask(engine, path, auth, version)
            known, until = (said, math.inf) if said is not None else ((), now + ASK_AGAIN_S)
            self._known[key] = known, until
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        return known


async def _ask(engine: Engine, path: str, auth: str, version: Version) -> tuple[str, ...] | None:
    """Return the platforms that the answer names, None if there is none. A slow registry is not the engine's fault."""
    is_local = path.startswith("/images/")
    headers = (("X-Registry-Auth", auth),) if auth else ()
    timeout_s = INSPECT_TIMEOUT_S if is_local else DISTRIBUTION_TIMEOUT_S
    try:
        target = versioned(engine, version, path)
        answer = await fetch(engine.pool, "GET", target, headers=headers, timeout_s=timeout_s)
        if answer.status != 200:
            return None
        if is_local:
            said = msgspec.json.decode(answer.body, type=_Inspected)
            found = [_Platform(said.Os, said.Architecture, said.Variant)]
        else:
            found = msgspec.json.decode(answer.body, type=_Distribution).Platforms or []
    except (SwarmError, *NOT_JSON) as error:
        log.warning("platform of an image not known", extra={"engine": engine.name, "error": str(error)})
        return None
    platforms = (platform_of(each.os or "", each.architecture or "", each.variant or "") for each in found)
    return tuple(each for each in platforms if each and "unknown" not in each)
