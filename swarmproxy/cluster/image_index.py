"""Every image of the cluster by what a client may call it, and where a name was last given to one."""

import bisect
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from swarmproxy.engine.engine import Engine
from swarmproxy.errors import BadRequest, NotFound
from swarmproxy.model.image import Image, familiar, split_reference
from swarmproxy.model.image_listing import Merged, merge

REMEMBERED = 10_000  # names that were given lately
_SHORTEST = 3  # digits of an ID: classic let `sha` match every image


@dataclass(frozen=True, slots=True)
class Held:
    """An image, and an engine that holds it."""

    engine: Engine
    image: Image


class ImageIndex:
    """Images of all engines, kept ready on each change so that a look-up never scans the cluster."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._by_id: dict[str, dict[Engine, Image]] = {}  # by the digits of the ID
        self._by_name: dict[str, dict[Engine, Image]] = {}  # by tag and by digest
        self._ids: list[str] = []
        self._merged: dict[str, Merged] = {}  # by the digits of the ID; what has changed is missing
        self._named: OrderedDict[str, tuple[Engine, float]] = OrderedDict()

    def replace(self, engine: Engine, before: Mapping[str, Image], after: Mapping[str, Image]) -> None:
        """Take in that `engine` has the images `after`, and no more those of `before`. Both by ID."""
        moved: dict[str, None] = {}
        for image_id, image in before.items():
            if after.get(image_id) != image:
                self._drop(engine, image)
        for image_id, image in after.items():
            known = before.get(image_id)
            if known != image:
                self._put(engine, image)
                moved |= dict.fromkeys(each for each in image.tags if known is None or each not in known.tags)
        if before:  # else nobody knows when they came
            self._note(engine, moved)

    def holders(self, name: str) -> list[Held]:
        """Return all engines that hold what `name` names, healthy or not, with the image on each.

        A tag or digest comes before an ID: an image that is called `cafe` is meant, not one whose ID begins so.
        Raises NotFound, BadRequest if `name` begins the IDs of several images.
        """
        found = self._by_name.get(full_name(name)) or self._with_id(name)
        if not found:
            raise NotFound(f"No such image: {name}")
        return [Held(engine, found[engine]) for engine in sorted(found, key=_by_node)]

    def merged(self) -> Iterator[Merged]:
        """All images, one for each ID, with the names that they have on any engine."""
        for digits, held in self._by_id.items():
            if digits not in self._merged:
                engines = sorted(held, key=_by_node)
                self._merged[digits] = merge(held[engine] for engine in engines)
            yield self._merged[digits]

    def tags_of(self, repository: str) -> list[str]:
        """Return all tags that images have in `repository`, on any engine."""
        wanted = familiar(repository)
        return [name for name in self._by_name if "@" not in name and split_reference(name)[0] == wanted]

    def named_at(self, name: str) -> tuple[Engine, float] | None:
        """Return which engine was last seen to give `name` to an image, and when, in unix seconds."""
        return self._named.get(full_name(name))

    def _with_id(self, name: str) -> dict[Engine, Image]:
        digits = name.removeprefix("sha256:")
        if len(digits) < _SHORTEST:
            return {}
        at = bisect.bisect_left(self._ids, digits)
        matching = self._ids[at : at + 2]
        if len(matching) == 2 and matching[1].startswith(digits) and matching[0] != digits:
            raise BadRequest(f"multiple IDs found with provided prefix: {name}")
        return self._by_id[matching[0]] if matching and matching[0].startswith(digits) else {}

    def _put(self, engine: Engine, image: Image) -> None:
        digits = image.id.removeprefix("sha256:")
        if digits not in self._by_id:
            self._by_id[digits] = {}
            bisect.insort(self._ids, digits)
        self._by_id[digits][engine] = image
        self._merged.pop(digits, None)
        for name in (*image.tags, *image.digests):
            self._by_name.setdefault(name, {})[engine] = image

    def _drop(self, engine: Engine, image: Image) -> None:
        digits = image.id.removeprefix("sha256:")
        for name in (*image.tags, *image.digests):
            named = self._by_name.get(name, {})
            if engine in named and named[engine].id == image.id:
                del named[engine]
                if not named:
                    del self._by_name[name]
        self._merged.pop(digits, None)
        held = self._by_id.get(digits, {})
        if held.pop(engine, None) is not None and not held:
            del self._by_id[digits]
            del self._ids[bisect.bisect_left(self._ids, digits)]

    def _note(self, engine: Engine, names: Mapping[str, None]) -> None:
        for name in names:
            self._named[name] = (engine, self._clock())
            self._named.move_to_end(name)
            if len(self._named) > REMEMBERED:
                self._named.popitem(last=False)


def full_name(reference: str) -> str:
    """Return `reference` as engines list it: with a tag, `latest` if it has none, or with its digest alone."""
    repository, tag = split_reference(reference)
    return f"{familiar(repository)}{'@' if '@' in reference else ':'}{tag or 'latest'}"


def _by_node(engine: Engine) -> str:
    return engine.name
