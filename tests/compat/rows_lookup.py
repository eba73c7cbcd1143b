"""What a client may call a container or an image by."""

import pytest

from swarmproxy.cluster import images
from swarmproxy.errors import NotFound
from swarmproxy.model.image import Image, matches
from tests.api.image_front import Front
from tests.cluster.image_daemon import ImageDaemon, clustered, engine_of, lose
from tests.compat.daemon import Daemon
from tests.compat.row import Table
from tests.compat.swarm import LINKED, SWARM_ID, WEB, message, swarm

table = Table("Names of containers and images")


async def _found(standing: Front, *texts: str) -> set[str]:
    return {(await standing.client.get(f"/containers/{text}/json")).json().get("Id", "-") for text in texts}


@table.kept("ids", "a container by its ID")
async def ids(standing: Front) -> None:
    """The whole ID, its first 12 characters, and any prefix that only one container has."""
    assert await _found(standing, LINKED, LINKED[:12], LINKED[:3]) == {LINKED}


@table.kept("swarm-ids", "a container by its swarm ID, the label that survives rescheduling")
async def swarm_ids(standing: Front) -> None:
    """The whole swarm ID, its first 12 characters, and any prefix that only one container has."""
    assert await _found(standing, SWARM_ID, SWARM_ID[:12], SWARM_ID[:4]) == {WEB}


@table.kept("names", "a container by its name")
async def names(standing: Front) -> None:
    """`name`, `/name`, `node/name` and `engine ID/name`."""
    engine = next(each for each in standing.cluster.engines() if each.name == "node-1")
    assert await _found(standing, "web", "/web", "node-1/web", f"{engine.id}/web") == {WEB}


@table.kept("link-names", "a container by a name that a link gave it")
async def link_names(standing: Front) -> None:
    """Every name of a container finds it."""
    assert await _found(standing, "linked", "other/alias", "node-2/other/alias") == {LINKED}


@table.kept("name-before-prefix", "a name that is also the beginning of an ID")
async def name_before_prefix(standing: Front) -> None:
    """The container of that name is meant, not the one whose ID begins so."""
    (found,) = await _found(standing, "abab")
    assert found.startswith("baba")


@table.changed(
    "ambiguous-name",
    "a name that containers on several nodes have",
    classic="404, as if there were none.",
    why="The user learns which containers those are, and can say `node/name`; a second create is no remedy.",
)
async def ambiguous_name(standing: Front) -> None:
    """409 that names them; `node/name` finds each."""
    status, text = message(await standing.client.get("/containers/twin/json"))
    assert status == 409
    assert text == (
        "container name twin is ambiguous: it may be node-1/twin (eeeeeeeeeeee), node-2/twin (ffffffffffff)"
    )
    assert await _found(standing, "node-1/twin", "node-2/twin") == {"ee" * 32, "ff" * 32}


@table.changed(
    "ambiguous-prefix",
    "the beginning of several IDs",
    classic="404, as if there were none.",
    why="As a daemon says it.",
)
async def ambiguous_prefix(standing: Front) -> None:
    """400 that names the containers."""
    status, text = message(await standing.client.get("/containers/a/json"))
    assert status == 400
    assert text.startswith("multiple IDs found with provided prefix: a (")


@table.mended(
    "two-prefixes",
    "text that begins both the ID and the swarm ID of one container",
    classic="404: the one container was counted twice.",
    why="Short IDs failed by chance.",
)
async def two_prefixes() -> None:
    """The container."""
    daemon = Daemon()
    daemon.put("c", "77" * 32, labels={"com.docker.swarm.id": "77" * 16 + "00" * 16})
    async with swarm(daemon) as manager:
        assert (await manager.client.get("/containers/777/json")).status_code == 200


@table.changed(
    "not-found",
    "a container that is not there",
    classic="`No such container x`, `No such container: x` or `Container x not found`, by the route.",
    why="One text for all, a daemon's own, which the docker CLI and SDKs look for.",
)
async def not_found(standing: Front) -> None:
    """404 `No such container: x`, on every route."""
    requests = [
        ("GET", "json"),
        ("GET", "logs"),
        ("POST", "start"),
        ("POST", "exec"),
        ("POST", "rename"),
        ("GET", "top"),
    ]
    for method, action in requests:
        answer = await standing.client.request(method, f"/containers/x/{action}")
        assert message(answer) == (404, "No such container: x")
    assert message(await standing.client.delete("/containers/x")) == (404, "No such container: x")
    assert message(await standing.post("/commit?container=x")) == (404, "No such container: x")


@table.kept("image-ids", "an image by its ID")
def image_ids() -> None:
    """At least three characters of it, with or without `sha256:`."""
    image = Image(id="sha256:378954456789")
    assert [matches(image, text) for text in ("3789", "378", "37", "sha256:378")] == [True, True, False, True]


@table.mended(
    "image-sha",
    "an image called `sha`",
    classic="Any three characters that an ID begins with did, so `sha` was every image: `docker rmi sha` removed all.",
    why="An image by that name could not be used, and others were removed.",
)
def image_sha() -> None:
    """Only digits of the ID count."""
    assert not matches(Image(id="sha256:378954456789"), "sha")
    assert not matches(Image(id="sha256:378954456789"), "sha256:")


@table.kept("image-names", "an image by its name")
def image_names() -> None:
    """Repository and tag must be equal; the port of a registry is no tag, and a digest must be the same."""
    image = Image(
        id="sha256:aa", tags=("name:latest", "private.registry.com:5000/name:latest"), digests=("name@sha256:11",)
    )
    assert all(matches(image, text) for text in ("name", "name:latest", "name@sha256:11"))
    assert all(matches(image, f"private.registry.com:5000/name{tag}") for tag in ("", ":latest"))
    assert not any(matches(image, text) for text in ("nam", "name:2", "name@sha256:12", "sha256:11"))


@table.mended(
    "image-without-tag",
    "an image named without a tag",
    classic="Any tag did: the engine that was chosen might lack `latest`, and answered 404.",
    why="inspect, history, save and push failed by chance.",
)
def image_without_tag() -> None:
    """`latest` is meant, as on a daemon."""
    assert not matches(Image(id="sha256:aa", tags=("name:1",)), "name")


@table.changed(
    "image-owner",
    "which node answers for an image",
    classic="Any that holds it, also one that is down; of several with the same tag, by chance.",
    why="An answer that depends on luck cannot be relied on.",
)
async def image_owner() -> None:
    """A healthy one, and of several that with the latest created; with none it is 404, and clients pull."""
    old, new = ImageDaemon("old"), ImageDaemon("new")
    old.hold("aa11", "app:1", created=1)
    new.hold("bb11", "app:1", created=2)
    async with clustered([old, new]) as cluster:
        assert images.owner(cluster, "app:1") is engine_of(cluster, new)
        await lose(cluster, new)
        assert images.owner(cluster, "app:1") is engine_of(cluster, old)
        await lose(cluster, old)
        with pytest.raises(NotFound, match="only on nodes that do not answer"):
            images.owner(cluster, "app:1")
