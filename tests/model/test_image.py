"""Images and what finds them."""

import pytest

from swarmproxy.errors import SwarmError
from swarmproxy.model.image import (
    Image,
    from_engine,
    is_descendant,
    list_from_engine,
    matches,
    split_reference,
)

DIGEST = "sha256:" + "d1" * 32
IMAGE = Image(
    id="sha256:378954456789",
    tags=("name:latest", "private.registry.com:5000/name:latest", "name:1"),
    digests=(f"name@{DIGEST}",),
)


@pytest.mark.parametrize(
    ("reference", "matched"),
    [
        ("378954456789", True),
        ("sha256:3789", True),
        ("378", True),
        ("37", False),
        ("sha", False),
        ("name", True),
        ("name:latest", True),
        ("docker.io/library/name", True),
        ("name:2", False),
        ("nam", False),
        (f"name@{DIGEST}", True),
        ("name@sha256:ffff", False),
        ("private.registry.com:5000/name", True),
        ("private.registry.com:5000/name:latest", True),
        ("private.registry.com:5000/name:2", False),
    ],
)
def test_matches(reference: str, matched: bool) -> None:
    """An image is found by ID, prefix of the ID, tag or digest."""
    assert matches(IMAGE, reference) is matched


def test_any_tag() -> None:
    """Where asked, a reference without a tag finds every tag."""
    image = Image(id="sha256:1", tags=("name:1",))
    assert not matches(image, "name")
    assert matches(image, "name", any_tag=True)
    assert not matches(image, "name:2", any_tag=True)


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("a", ("a", "")),
        ("a:1", ("a", "1")),
        ("host:5000/a", ("host:5000/a", "")),
        ("host:5000/a:1", ("host:5000/a", "1")),
        ("a@sha256:ff", ("a", "sha256:ff")),
        ("a:1@sha256:ff", ("a", "sha256:ff")),
        ("host:5000/a@sha256:ff", ("host:5000/a", "sha256:ff")),
    ],
)
def test_split_reference(reference: str, parts: tuple[str, str]) -> None:
    """A registry's port is no tag."""
    assert split_reference(reference) == parts


def test_from_engine() -> None:
    """Placeholders are no tags, null is nothing, and all that was said is kept."""
    body = b'[{"Id":"sha256:1","RepoTags":["<none>:<none>"],"RepoDigests":null,"Labels":{"a":null},"Size":3,"New":1.0}]'
    (image,) = list_from_engine(body)
    assert (image.id, image.tags, image.digests, image.labels, image.size_bytes) == (
        "sha256:1",
        (),
        (),
        {"a": ""},
        3,
    )
    assert image.raw == body[1:-1]
    for bad in (b"x", b'{"Id":[]}'):
        with pytest.raises(SwarmError):
            from_engine(bad)
        with pytest.raises(SwarmError):
            list_from_engine(bad)


def test_is_descendant() -> None:
    """An image descends from itself and its parents; a circle of parents ends."""
    images = {
        "sha256:aaa": Image(id="sha256:aaa", parent_id="sha256:bbb"),
        "sha256:bbb": Image(id="sha256:bbb", parent_id="sha256:aaa", tags=("base:latest",)),
    }
    assert is_descendant("sha256:aaa", "base", images)
    assert not is_descendant("sha256:aaa", "other", images)
    assert is_descendant("sha256:gone", "gone", {})
    assert not is_descendant("", "base", images)
