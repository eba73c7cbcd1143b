"""docker-py's image calls, on all nodes at once."""

import io
import tarfile

import docker
import pytest
from docker.errors import APIError, BuildError, ImageNotFound, NotFound

from tests.hosts.fleet import Fleet
from tests.hosts.images import busybox_archive
from tests.integration.sdk import forgets_sockets

pytestmark = forgets_sockets


def holders(fleet: Fleet, reference: str) -> list[int]:
    """Return the status that each engine answers to a question about an image."""
    return [engine.request("GET", f"/images/{reference}/json")[0] for engine in fleet.engines]


def test_load_and_remove(endpoint: docker.DockerClient) -> None:
    """An image that is loaded is on all nodes; removed, it is on none."""
    [image] = endpoint.images.load(busybox_archive("greeting:1", cmd=["echo", "hello"]))
    assert image.tags == ["greeting:1"]
    outputs = [endpoint.containers.run("greeting:1") for _ in range(2)]
    assert outputs == [b"hello\n", b"hello\n"]
    for container in endpoint.containers.list(all=True):
        container.remove()
    endpoint.images.remove("greeting:1")
    with pytest.raises(ImageNotFound):
        endpoint.images.get("greeting:1")


def test_list(sdk: docker.DockerClient) -> None:
    """The list shows an image once, however many nodes hold it, and takes filters."""
    sdk.images.load(busybox_archive("greeting:1", "greeting:2", cmd=["echo"], labels={"made": "here"}))
    assert sorted(tag for image in sdk.images.list() for tag in image.tags) == [
        "busybox:latest",
        "greeting:1",
        "greeting:2",
    ]
    assert [image.tags for image in sdk.images.list(filters={"label": "made=here"})] == [["greeting:1", "greeting:2"]]
    assert [image.tags for image in sdk.images.list(name="busybox")] == [["busybox:latest"]]
    with pytest.raises(APIError, match="invalid filter 'colour'") as caught:
        sdk.images.list(filters={"colour": "red"})
    assert caught.value.status_code == 400


def test_get(sdk: docker.DockerClient, fleet: Fleet) -> None:
    """An image is found by name, by id and by a prefix of its id, and has its history."""
    image = sdk.images.get("busybox")
    assert image.id == fleet.engines[0].get_json("/images/busybox/json")["Id"]
    assert sdk.images.get(image.id).id == image.id
    assert sdk.images.get(image.short_id.removeprefix("sha256:")).id == image.id
    assert image.history()[0]["CreatedBy"] == "busybox-static"


def test_tag(sdk: docker.DockerClient, fleet: Fleet) -> None:
    """A tag is set on all nodes that hold the image, and is in the next list."""
    assert sdk.images.get("busybox").tag("mine", tag="2")
    assert holders(fleet, "mine:2") == [200, 200]
    assert "mine:2" in sdk.images.get("busybox").tags
    assert "mine:2" in {tag for image in sdk.images.list() for tag in image.tags}
    sdk.images.remove("mine:2")
    assert holders(fleet, "mine:2") == [404, 404]
    assert holders(fleet, "busybox") == [200, 200]


def test_save(sdk: docker.DockerClient) -> None:
    """A saved image can be loaded again, and is the same."""
    image = sdk.images.get("busybox")
    saved = b"".join(image.save(named="busybox:latest"))
    with tarfile.open(fileobj=io.BytesIO(saved)) as tar:
        assert "manifest.json" in tar.getnames()
    [again] = sdk.images.load(saved)
    assert again.id == image.id


def test_build(sdk: docker.DockerClient, fleet: Fleet) -> None:
    """A build gives its image and what it said; one that fails says why."""
    image, said = sdk.images.build(fileobj=io.BytesIO(b"FROM busybox\nRUN echo made > /file\n"), tag="made:1", rm=True)
    assert image.tags == ["made:1"]
    assert "Successfully built" in "".join(line.get("stream", "") for line in said)
    assert sdk.containers.run("made:1", ["cat", "/file"], remove=True) == b"made\n"
    assert sorted(holders(fleet, "made:1")) == [200, 404]
    with pytest.raises(BuildError, match="returned a non-zero code: 3"):
        sdk.images.build(fileobj=io.BytesIO(b"FROM busybox\nRUN exit 3\n"))


def test_in_use(sdk: docker.DockerClient) -> None:
    """An image in use is not removed, with the daemon's 409."""
    sdk.images.load(busybox_archive("greeting:1", cmd=["sleep", "1d"]))
    container = sdk.containers.run("greeting:1", detach=True, init=True)
    with pytest.raises(APIError, match="conflict: unable to") as caught:
        sdk.images.remove(sdk.images.get("greeting:1").id)
    assert caught.value.status_code == 409
    container.remove(force=True)


def test_missing(sdk: docker.DockerClient) -> None:
    """What no node has is not found, by any call."""
    with pytest.raises(ImageNotFound, match="No such image: nothing"):
        sdk.images.get("nothing")
    with pytest.raises(ImageNotFound, match="No such image: nothing"):
        sdk.images.remove("nothing")
    with pytest.raises(NotFound, match="No such image: nothing"):
        sdk.api.tag("nothing", "something")


def test_pull_failed(sdk: docker.DockerClient) -> None:
    """A pull that fails on all nodes is the registry's refusal."""
    with pytest.raises(APIError, match="connection refused"):
        sdk.images.pull("10.77.0.1:1/nothing", tag="1")
    with pytest.raises(APIError, match="connection refused"):
        sdk.containers.run("10.77.0.1:1/nothing", remove=True)
    assert sdk.containers.list(all=True) == []


def test_search_failed(sdk: docker.DockerClient) -> None:
    """A search goes to one engine, whose refusal comes back as it is."""
    with pytest.raises(APIError) as caught:
        sdk.images.search("10.77.0.1:1/busybox")
    assert caught.value.status_code == 500
    assert "10.77.0.1:1" in caught.value.explanation


def test_prune(sdk: docker.DockerClient, fleet: Fleet) -> None:
    """Prune removes unused images on all nodes and says what each had to give."""
    sdk.images.load(busybox_archive("greeting:1", labels={"made": "here"}))
    pruned = sdk.images.prune(filters={"dangling": False, "label": "made=here"})
    assert [each["Untagged"] for each in pruned["ImagesDeleted"] if "Untagged" in each] == ["greeting:1"] * 2
    assert holders(fleet, "greeting:1") == [404, 404]
    assert holders(fleet, "busybox") == [200, 200]
