"""`GET /images/json`: the query, and the images of all engines merged by ID."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from swarmproxy.errors import NotFound
from swarmproxy.model.filters import (
    check_keys,
    labels_match,
    one_boolean,
    parse_filters,
    parse_flag,
    parse_labels,
)
from swarmproxy.model.glob import Glob
from swarmproxy.model.image import matches, split_reference
from swarmproxy.model.times import NANOSECONDS, parse_moment_ns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from swarmproxy.model.image import Image

KEYS = frozenset(("before", "dangling", "label", "label!", "node", "reference", "since", "until"))
NO_TAG, NO_DIGEST = "<none>:<none>", "<none>@<none>"
_FILTER_IS_A_FILTER = (1, 41)  # before, the parameter `filter` was a reference
_NO_PLACEHOLDERS = (1, 43)
_NO_VIRTUAL_SIZE = (1, 44)

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Holder(NamedTuple):
    """One engine: what the filter `node` may name it, and its images by ID."""

    node_names: tuple[str, ...]  # name and ID
    images: Mapping[str, Image]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageQuery:
    """A parsed query. `before` and `since` are references to images."""

    all: bool = False
    dangling: bool | None = None
    nodes: frozenset[str] = frozenset()
    before: tuple[str, ...] = ()
    since: tuple[str, ...] = ()
    until_ns: int | None = None
    labels: tuple[tuple[str, str | None], ...] = ()
    without_labels: tuple[tuple[str, str | None], ...] = ()
    patterns: tuple[Glob, ...] = ()

    @classmethod
    def parse(cls, parameters: Mapping[str, str], *, version: tuple[int, int], now_ns: int) -> ImageQuery:
        """Return the query in the parameters of a request. Raises BadRequest in the daemon's words."""
        filters = parse_filters(parameters.get("filters", ""))
        check_keys(filters, KEYS)
        references = filters.get("reference", ())
        if version < _FILTER_IS_A_FILTER and parameters.get("filter"):
            references += (parameters["filter"],)
        moments = [parse_moment_ns(text, now_ns=now_ns) for text in filters.get("until", ())]
        return cls(
            all=parse_flag(parameters.get("all", "")),
            dangling=one_boolean(filters, "dangling"),
            nodes=frozenset(filters.get("node", ())),
            before=filters.get("before", ()),
            since=filters.get("since", ()),
            until_ns=min(moments, default=None),
            labels=parse_labels(filters.get("label", ())),
            without_labels=parse_labels(filters.get("label!", ())),
            patterns=tuple(Glob(text) for text in references),
        )

    def shows(self, reference: str) -> bool:
        """Return whether a tag or digest is of those asked for: as a whole, or its repository."""
        if not self.patterns:
            return True
        repository = split_reference(reference)[0]
        return any(pattern.matches(reference) or pattern.matches(repository) for pattern in self.patterns)


@dataclass(slots=True)
class Merged:
    """One image, with the names it has on any engine in the order of first appearance."""

    image: Image
    tags: dict[str, None] = field(default_factory=dict)
    digests: dict[str, None] = field(default_factory=dict)

    def take(self, image: Image) -> None:
        """Add the names that the image has on one more engine."""
        self.tags.update(dict.fromkeys(image.tags))
        self.digests.update(dict.fromkeys(image.digests))


def merge(images: Iterable[Image]) -> Merged:
    """Return what engines hold under one ID, at least one, as one image. All but its names is what the first says."""
    each = iter(images)
    first = next(each)
    merged = Merged(first)
    merged.take(first)
    for image in each:
        if image.tags != first.tags or image.digests != first.digests:
            merged.take(image)
    return merged


def list_merged(
    merged: Iterable[Merged], query: ImageQuery, *, version: tuple[int, int], find: Callable[[str], Image]
) -> list[bytes]:
    """Return the items of the list, latest created first: one for each ID, with the names of all holders.

    Members that we do not know are included. `find` gives the image that `before` or `since` names, and raises
    NotFound. Source: classic Swarm 1.2, api/handlers.go; which images are shown is as in moby, daemon/images/images.go.
    """
    oldest = max((find(reference).created for reference in query.since), default=None)
    newest = min((find(reference).created for reference in query.before), default=None)
    every = list(merged)
    parents = {each.image.parent_id for each in every}
    shown = [
        each
        for each in every
        if (newest is None or each.image.created < newest)
        and (oldest is None or each.image.created > oldest)
        and _is_shown(each, query, is_parent=each.image.id in parents)
    ]
    shown.sort(key=lambda each: (-each.image.created, each.image.id))
    return [_encode(each, query, version) for each in shown]


def list_images(holders: Sequence[Holder], query: ImageQuery, *, version: tuple[int, int]) -> list[bytes]:
    """Return the list of what these engines hold; see `list_merged`. The filter `node` leaves engines out."""
    by_id: dict[str, list[Image]] = {}
    for holder in holders:
        if query.nodes and query.nodes.isdisjoint(holder.node_names):
            continue
        for image in holder.images.values():
            by_id.setdefault(image.id, []).append(image)

    def find(reference: str) -> Image:
        for holder in holders:
            for image in holder.images.values():
                if matches(image, reference):
                    return image
        raise NotFound(f"No such image: {reference}")

    return list_merged((merge(images) for images in by_id.values()), query, version=version, find=find)


def _is_shown(merged: Merged, query: ImageQuery, *, is_parent: bool) -> bool:
    image = merged.image
    if query.until_ns is not None and image.created * NANOSECONDS >= query.until_ns:
        return False
    if not labels_match(image.labels, query.labels):
        return False
    if query.without_labels and labels_match(image.labels, query.without_labels):
        return False
    if not merged.tags and not merged.digests:
        if query.dangling is False or query.patterns:
            return False
        return query.all or not is_parent  # a layer that another image is built on
    if query.dangling and merged.tags:
        return False
    return any(query.shows(name) for name in (*merged.tags, *merged.digests))


def _encode(merged: Merged, query: ImageQuery, version: tuple[int, int]) -> bytes:
    """Return the engine's item, with what differs from it replaced."""
    image = merged.image
    tags = tuple(name for name in merged.tags if query.shows(name))
    digests = tuple(name for name in merged.digests if query.shows(name))
    old = version < _NO_VIRTUAL_SIZE
    if tags and digests and (tags, digests) == (image.tags, image.digests) and not old:
        return image.raw
    if not tags and not digests and version < _NO_PLACEHOLDERS:
        tags, digests = (NO_TAG,), (NO_DIGEST,)
    members = _members.decode(image.raw)
    members["RepoTags"] = msgspec.Raw(msgspec.json.encode(tags))
    members["RepoDigests"] = msgspec.Raw(msgspec.json.encode(digests))
    if old and "Size" in members:
        members.setdefault("VirtualSize", members["Size"])
    return msgspec.json.encode(members)
