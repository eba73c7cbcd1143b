"""The merged list of images."""

from typing import Any

import msgspec
import pytest

from swarmproxy.errors import BadRequest, NotFound
from swarmproxy.model.image import Image, from_engine
from swarmproxy.model.image_listing import Holder, ImageQuery, list_images

NOW = (1, 51)


def image(image_id: str, *tags: str, created: int = 100, **members: Any) -> Image:
    item = {
        "Id": f"sha256:{image_id}",
        "ParentId": "",
        "RepoTags": list(tags),
        "RepoDigests": [],
        "Created": created,
        "Size": 7,
        "Labels": None,
        "Containers": -1,
        **members,
    }
    return from_engine(msgspec.json.encode(item))


def holder(name: str, *images: Image) -> Holder:
    return Holder((name, f"{name}-id"), {each.id: each for each in images})


def listed(
    holders: list[Holder],
    *,
    version: tuple[int, int] = NOW,
    all_: str = "",
    filter_: str = "",
    **filters: Any,
) -> list[dict[str, Any]]:
    parameters = {
        "all": all_,
        "filter": filter_,
        "filters": msgspec.json.encode({key.replace("_not", "!"): value for key, value in filters.items()}).decode(),
    }
    query = ImageQuery.parse(parameters, version=version, now_ns=1_000 * 10**9)
    return [msgspec.json.decode(item) for item in list_images(holders, query, version=version)]


def ids(items: list[dict[str, Any]]) -> list[str]:
    return [item["Id"].removeprefix("sha256:") for item in items]


def test_names_are_united_by_id() -> None:
    """An image on several engines is one item with the names of all; the rest is as the first says."""
    digest = "app@sha256:00"
    first = image("aa", "app:1", "app:2", Unknown={"kept": [1]})
    second = image("aa", "app:2", "app:3", RepoDigests=[digest], Unknown="other")
    (item,) = listed([holder("n0", first), holder("n1", second)])
    assert item["RepoTags"] == ["app:1", "app:2", "app:3"]
    assert item["RepoDigests"] == [digest]
    assert item["Unknown"] == {"kept": [1]}
    assert item["Containers"] == -1


def test_an_item_nobody_adds_to_is_the_engines_own_text() -> None:
    """Where there is nothing to merge, the bytes of the engine are passed on."""
    only = image("aa", "app:1", RepoDigests=["app@sha256:00"])
    query = ImageQuery.parse({}, version=NOW, now_ns=0)
    assert list_images([holder("n0", only)], query, version=NOW) == [only.raw]


def test_latest_created_first() -> None:
    """Items are in the order of their creation, the latest first, then by ID."""
    rows = [
        holder("n0", image("aa", "a:1", created=1), image("cc", "c:1", created=2)),
        holder("n1", image("bb", "b:1", created=2)),
    ]
    assert ids(listed(rows)) == ["bb", "cc", "aa"]


def test_layers_of_other_images_need_all() -> None:
    """An untagged image is shown unless another is built on it; `all` shows those too."""
    rows = [
        holder(
            "n0",
            image("aa"),
            image("bb", ParentId="sha256:aa"),
            image("cc", "c:1", ParentId="sha256:bb"),
            image("dd"),
        )
    ]
    assert ids(listed(rows)) == ["cc", "dd"]
    assert ids(listed(rows, all_="1")) == ["aa", "bb", "cc", "dd"]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"dangling": ["true"]}, ["dd", "ee"]),
        ({"dangling": ["0"]}, ["aa", "bb", "dd"]),
        ({"label": ["tier=web"]}, ["aa"]),
        ({"label": ["tier"]}, ["aa", "bb"]),
        ({"label": ["tier", "missing"]}, []),
        ({"label_not": ["tier=web"]}, ["bb", "dd", "ee"]),
        ({"node": ["n1"]}, ["bb", "ee"]),
        ({"node": ["n0-id"]}, ["aa", "dd"]),
        ({"node": ["nowhere"]}, []),
        ({"reference": ["app"]}, ["aa"]),
        ({"reference": ["app:1", "reg/*"]}, ["aa", "bb"]),
        ({"reference": ["reg/db:*"]}, ["bb"]),
        ({"before": ["app:1"]}, ["bb", "dd", "ee"]),
        ({"since": ["reg/db"]}, ["aa"]),
        ({"since": ["sha256:dddd"], "before": ["aaaa"]}, ["bb"]),
        ({"until": ["250"]}, ["dd", "ee"]),
        ({"until": ["10m50s"]}, ["bb", "dd", "ee"]),
    ],
)
def test_filters(filters: dict[str, Any], found: list[str]) -> None:
    """Each filter shows what the daemon's shows; `node` takes a name or an ID."""
    rows = [
        holder(
            "n0",
            image("aaaa", "app:1", created=400, Labels={"tier": "web"}),
            image("dddd", created=200, RepoDigests=["x@sha256:1"]),
        ),
        holder(
            "n1",
            image("bbbb", "reg/db:latest", created=300, Labels={"tier": "db"}),
            image("eeee", created=100),
        ),
    ]
    assert [each[:2] for each in ids(listed(rows, **filters))] == found


def test_reference_shows_only_the_names_asked_for() -> None:
    """Names of an image that the pattern does not cover are left out, as the daemon does."""
    (item,) = listed([holder("n0", image("aa", "app:1", "web:1"))], reference=["web"])
    assert item["RepoTags"] == ["web:1"]


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"colour": ["red"]}, "invalid filter 'colour'"),
        ({"dangling": ["maybe"]}, r"invalid filter 'dangling=\[maybe\]'"),
        ({"reference": ["["]}, "syntax error in pattern"),
        ({"until": ["soon"]}, "invalid time value"),
    ],
)
def test_bad_filters(filters: dict[str, Any], message: str) -> None:
    """A filter that cannot be understood is refused in the daemon's words."""
    with pytest.raises(BadRequest, match=message):
        listed([], **filters)


def test_unknown_image_in_before() -> None:
    """A `before` or `since` that names no image says so."""
    with pytest.raises(NotFound, match=r"^No such image: nothing$"):
        listed([holder("n0", image("aa", "app:1"))], before=["nothing"])


def test_old_clients_get_what_they_read() -> None:
    """Clients before 1.43 see placeholders for missing names, before 1.44 a VirtualSize; later ones neither."""
    rows = [holder("n0", image("aa", RepoTags=["<none>:<none>"], RepoDigests=["<none>@<none>"]))]
    (old,) = listed(rows, version=(1, 41))
    assert (old["RepoTags"], old["RepoDigests"], old["VirtualSize"]) == (
        ["<none>:<none>"],
        ["<none>@<none>"],
        7,
    )
    (new,) = listed(rows, version=(1, 44))
    assert (new["RepoTags"], new["RepoDigests"]) == ([], [])
    assert "VirtualSize" not in new


def test_filter_parameter_of_old_clients() -> None:
    """The parameter `filter` is a reference for clients before 1.41, and nothing afterwards."""
    rows = [holder("n0", image("aa", "app:1"), image("bb", "web:1"))]
    assert ids(listed(rows, version=(1, 24), filter_="app")) == ["aa"]
    assert ids(listed(rows, version=(1, 41), filter_="app")) == ["aa", "bb"]
