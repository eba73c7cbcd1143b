"""Every image of the cluster by what a client may call it."""

import pytest

from swarmproxy.cluster.image_index import REMEMBERED, ImageIndex
from swarmproxy.errors import BadRequest, NotFound
from swarmproxy.model.image import Image
from tests.cluster.members import member

ONE, TWO = member(1), member(2)


class Clock:
    """A clock that goes when it is told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def image(digits: str, *tags: str, digests: tuple[str, ...] = (), created: int = 0) -> Image:
    return Image(id=f"sha256:{digits}", tags=tags, digests=digests, created=created)


def by_id(*images: Image) -> dict[str, Image]:
    return {each.id: each for each in images}


@pytest.fixture
def index() -> ImageIndex:
    """Return an index of nothing."""
    return ImageIndex(Clock())


def held(index: ImageIndex, name: str) -> list[tuple[str, str]]:
    return [(each.engine.name, each.image.id.removeprefix("sha256:")) for each in index.holders(name)]


def test_found(index: ImageIndex) -> None:
    """By tag, by `latest`, by digest, by ID and by a prefix of it; a name comes before an ID."""
    digest = "app@sha256:" + "d" * 64
    index.replace(TWO, {}, by_id(image("cafe01", "app:latest", "reg:5000/x/app:2", digests=(digest,))))
    index.replace(ONE, {}, by_id(image("cafe01", "app:latest"), image("beef01", "cafe:latest")))
    for name in ("app", "app:latest", "docker.io/library/app", "cafe01", "cafe0", "sha256:cafe01"):
        assert held(index, name) == [("node-1", "cafe01"), ("node-2", "cafe01")], name
    for name in ("reg:5000/x/app:2", digest, f"docker.io/library/{digest}"):
        assert held(index, name) == [("node-2", "cafe01")], name
    assert held(index, "cafe") == [("node-1", "beef01")]
    assert sorted(index.tags_of("docker.io/app")) == ["app:latest"]
    for name in ("app:2", "reg:5000/x/app", "ca", "sha256", "cafe02"):
        with pytest.raises(NotFound, match=f"^No such image: {name}$"):
            index.holders(name)


def test_ambiguous(index: ImageIndex) -> None:
    """A prefix of several IDs is refused; a whole ID that begins another one is not."""
    index.replace(ONE, {}, by_id(image("aaa111"), image("aaa1112")))
    with pytest.raises(BadRequest, match="multiple IDs found with provided prefix: aaa1"):
        index.holders("aaa1")
    assert held(index, "aaa111") == [("node-1", "aaa111")]


def test_changes(index: ImageIndex) -> None:
    """A tag that moves, an image that goes, and an engine that leaves, leave nothing behind."""
    first = by_id(image("aaa1", "app:1", "app:2"), image("bbb1"))
    index.replace(ONE, {}, first)
    index.replace(TWO, {}, first)
    second = by_id(image("aaa1", "app:2"), image("bbb1", "app:1"))
    index.replace(ONE, first, second)
    assert held(index, "app:1") == [("node-1", "bbb1"), ("node-2", "aaa1")]
    again = by_id(image("aaa1", "app:2"), image("bbb1", "app:1"))  # equal, and other objects
    index.replace(ONE, second, again)
    index.replace(ONE, again, by_id(image("bbb1", "app:1")))
    assert held(index, "aaa1") == held(index, "app:2") == [("node-2", "aaa1")]
    index.replace(TWO, first, {})
    index.replace(ONE, by_id(image("bbb1", "app:1")), {})
    for name in ("app:1", "app:2", "aaa1", "bbb1"):
        with pytest.raises(NotFound):
            index.holders(name)


def test_merged(index: ImageIndex) -> None:
    """All images, one for each ID with its names on all nodes, also after a change."""
    first = by_id(image("aaa1", "app:1"), image("bbb1"))
    index.replace(TWO, {}, first)
    index.replace(ONE, {}, by_id(image("aaa1", "app:2")))

    def names() -> dict[str, list[str]]:
        return {each.image.id.removeprefix("sha256:"): list(each.tags) for each in index.merged()}

    assert names() == names() == {"aaa1": ["app:2", "app:1"], "bbb1": []}
    index.replace(TWO, first, by_id(image("aaa1", "app:3")))
    assert names() == {"aaa1": ["app:2", "app:3"]}


def test_named_last(index: ImageIndex) -> None:
    """Where a name was given to an image last is remembered; what an engine brought along counts for nothing."""
    first = by_id(image("aaa1", "app:1"))
    index.replace(ONE, {}, first)
    index.replace(TWO, {}, first)
    assert index.named_at("app:1") is None
    index.replace(ONE, first, by_id(image("aaa1"), image("bbb1", "app:1")))
    assert index.named_at("app:1") == (ONE, 100.0)
    index.replace(TWO, first, by_id(image("aaa1", "app:1", "app")))
    assert index.named_at("app:1") == (ONE, 100.0)


def test_bounded(index: ImageIndex) -> None:
    """The oldest names are forgotten."""
    before = by_id(image("aaa1"))
    index.replace(ONE, {}, before)
    index.replace(ONE, before, by_id(image("aaa1", *(f"app:{number}" for number in range(REMEMBERED + 5)))))
    assert [index.named_at(f"app:{number}") is None for number in (0, 4, 5)] == [True, True, False]
