"""One image as an engine lists it, and how a reference finds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from swarmproxy.errors import SwarmError
from swarmproxy.model.members import NOT_JSON

if TYPE_CHECKING:
    from collections.abc import Mapping


class Image(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One image of one engine: what the cluster acts on, and all the engine said in `raw`."""

    id: str  # sha256:…
    parent_id: str = ""
    created: int = 0  # unix seconds
    size_bytes: int = 0
    tags: tuple[str, ...] = ()  # repo:tag
    digests: tuple[str, ...] = ()  # repo@sha256:…
    labels: dict[str, str] = {}
    raw: bytes = b"{}"


class _Item(msgspec.Struct, gc=False):
    Id: str | None = None
    ParentId: str | None = None
    Created: int | None = None
    Size: int | None = None
    RepoTags: list[str] | None = None
    RepoDigests: list[str] | None = None
    Labels: dict[str, str | None] | None = None


_decoder = msgspec.json.Decoder(_Item, strict=False)
_list_decoder = msgspec.json.Decoder(list[msgspec.Raw])


def from_engine(item: bytes) -> Image:
    """Return the image that `item` describes: one element of the engine's `/images/json`.

    Placeholders of untagged images (`<none>:<none>`) are no tags. Raises SwarmError if it cannot be read.
    """
    try:
        parsed = _decoder.decode(item)
    except NOT_JSON as error:
        raise SwarmError(f"the engine describes an image in a way that cannot be read: {error}") from error
    return Image(
        id=parsed.Id or "",
        parent_id=parsed.ParentId or "",
        created=parsed.Created or 0,
        size_bytes=parsed.Size or 0,
        tags=tuple(tag for tag in parsed.RepoTags or () if tag != "<none>:<none>"),
        digests=tuple(digest for digest in parsed.RepoDigests or () if digest != "<none>@<none>"),
        labels={key: value or "" for key, value in (parsed.Labels or {}).items()},
        raw=bytes(item),
    )


def list_from_engine(body: bytes) -> list[Image]:
    """Return the images in the body of `/images/json`, in the engine's order. Raises SwarmError."""
    try:
        items = _list_decoder.decode(body)
    except NOT_JSON as error:
        raise SwarmError(f"the engine lists its images in a way that cannot be read: {error}") from error
    return [from_engine(bytes(item)) for item in items]


def split_reference(reference: str) -> tuple[str, str]:
    """Return repository and tag (or digest) of `reference`; the second is empty if there is none.

    A colon before a slash belongs to a registry's port: `host:5000/name` has no tag.
    """
    repository, at, digest = reference.partition("@")
    if at:
        return repository.rpartition(":")[0] if ":" in repository.rpartition("/")[2] else repository, digest
    name, colon, tag = reference.rpartition(":")
    if not colon or "/" in tag:
        return reference, ""
    return name, tag


def familiar(repository: str) -> str:
    """Return `repository` the way engines list it: without `docker.io/` and `library/`."""
    for prefix in ("docker.io/", "index.docker.io/"):
        if repository.startswith(prefix):
            return repository.removeprefix(prefix).removeprefix("library/")
    return repository


def matches(image: Image, reference: str, *, any_tag: bool = False) -> bool:
    """Return whether `reference` names `image`: by ID, a prefix of the ID, tag or digest.

    A reference without a tag means `latest`, or any tag if `any_tag`. ID prefixes are hexadecimal and at
    least 3 characters; classic let `sha` match every image.
    Source: classic Swarm 1.2, cluster/image.go.
    """
    if matches_id(image.id, reference):
        return True
    repository, tag = split_reference(reference)
    repository = familiar(repository)
    if any_tag and not tag:
        return any(split_reference(known)[0] == repository for known in (*image.tags, *image.digests))
    if "@" in reference:
        return f"{repository}@{tag}" in image.digests
    return f"{repository}:{tag or 'latest'}" in image.tags


def matches_id(image_id: str, reference: str) -> bool:
    """Return whether `reference` is the ID, or at least its first 3 digits, with or without `sha256:`."""
    digits = reference.removeprefix("sha256:")
    return len(digits) >= 3 and image_id.removeprefix("sha256:").startswith(digits)


def is_descendant(image_id: str, reference: str, images: Mapping[str, Image], *, any_tag: bool = False) -> bool:
    """Return whether `reference` names the image `image_id` or an ancestor among one engine's `images`."""
    seen: set[str] = set()
    while image_id and image_id not in seen:
        seen.add(image_id)
        image = images.get(image_id)
        if image is None:
            return matches_id(image_id, reference)
        if matches(image, reference, any_tag=any_tag):
            return True
        image_id = image.parent_id
    return False
