"""What a program does with docker-py, call by call, told in a way that two endpoints can be compared by.

Each call gets a `Session` and returns what its caller would look at: values and the names of members, never ids or
times. An error is told by its kind, its status and its words.
"""

import io
import re
import tarfile
from collections.abc import Callable
from typing import Any

import docker
from docker.errors import DockerException

from tests.hosts.images import busybox_archive

Call = Callable[[docker.DockerClient], Any]
CALLS: dict[str, Call] = {}
ENDLESS = ["sh", "-c", "trap 'exit 7' TERM; echo out; echo err >&2; while :; do sleep 0.1; done"]
NOBODY = "127.0.0.1:1"
HEX = re.compile(r"\b[0-9a-f]{12,64}\b")


def call(function: Call) -> Call:
    """Add a call to those that are compared; they are made in the order in which they are written."""
    CALLS[function.__name__] = function
    return function


def told(function: Call, client: docker.DockerClient) -> Any:
    """Return what a call returns, or its error in comparable form."""
    try:
        return function(client)
    except DockerException as error:
        words = str(getattr(error, "explanation", None) or error)
        return type(error).__name__, getattr(error, "status_code", None), HEX.sub("ID", words)


def failures(**attempts: Callable[[], Any]) -> dict[str, Any]:
    """Return how each of several attempts fails."""
    return {name: told(lambda _, attempt=attempt: attempt(), None) for name, attempt in attempts.items()}  # type: ignore[misc]


def tar_of(name: str, content: bytes) -> bytes:
    """Return a tar of one file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def names_in(chunks: Any) -> list[str]:
    """Return the names in a tar that comes in pieces."""
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        return sorted(tar.getnames())


# System


@call
def ping(client: docker.DockerClient) -> Any:
    return client.ping()


@call
def version(client: docker.DockerClient) -> Any:
    said = client.version()
    return said["ApiVersion"], said["Os"], said["Arch"]


@call
def info(client: docker.DockerClient) -> Any:
    return sorted(client.info())


@call
def login(client: docker.DockerClient) -> Any:
    kind, status, _words = told(lambda c: c.login("u", "p", registry=NOBODY, reauth=True), client)
    return kind, status


@call
def disk_usage(client: docker.DockerClient) -> Any:
    return sorted(client.df())


# Images


@call
def image_load(client: docker.DockerClient) -> Any:
    image, *_ = client.images.load(busybox_archive("one:1", "two:1", cmd=["echo", "hello"], labels={"made": "here"}))
    return image.tags, image.labels


@call
def image_list(client: docker.DockerClient) -> Any:
    found = client.images.list(filters={"label": "made=here"})
    return [(image.tags, image.labels) for image in found], sorted(tag for i in client.images.list() for tag in i.tags)


@call
def image_inspect(client: docker.DockerClient) -> Any:
    image = client.images.get("one:1")
    return sorted(image.attrs), image.attrs["Config"]["Cmd"], [sorted(layer) for layer in image.history()]


@call
def image_save(client: docker.DockerClient) -> Any:
    return len(names_in(client.images.get("one:1").save(named=True)))


@call
def image_tag(client: docker.DockerClient) -> Any:
    return client.images.get("one:1").tag("three", "1"), client.images.get("three:1").tags


@call
def image_remove(client: docker.DockerClient) -> Any:
    client.images.remove("three:1")
    return client.images.get("one:1").tags


@call
def image_import(client: docker.DockerClient) -> Any:
    client.api.import_image_from_data(tar_of("file", b"content"), repository="imported", tag="1")
    return client.images.get("imported:1").tags


@call
def image_build(client: docker.DockerClient) -> Any:
    dockerfile = io.BytesIO(b"FROM busybox\nARG WHO\nLABEL who=$WHO\nRUN echo $WHO > /who\n")
    image, lines = client.images.build(fileobj=dockerfile, tag="built:1", buildargs={"WHO": "us"}, rm=True)
    return image.tags, image.labels, any("Successfully built" in line.get("stream", "") for line in lines)


@call
def image_build_fails(client: docker.DockerClient) -> Any:
    return client.images.build(fileobj=io.BytesIO(b"FROM busybox\nRUN exit 3\n"), rm=True, forcerm=True)


@call
def image_prune(client: docker.DockerClient) -> Any:
    client.images.load(busybox_archive("unused:1", labels={"used": "no"}))
    pruned = client.images.prune(filters={"dangling": False, "label": "used=no"})
    return [each for each in pruned["ImagesDeleted"] if "Untagged" in each], sorted(pruned)


@call
def image_errors(client: docker.DockerClient) -> Any:
    said = failures(
        get=lambda: client.images.get("nothing:1"),
        history=lambda: client.api.history("nothing:1"),
        remove=lambda: client.images.remove("nothing:1"),
        tag=lambda: client.api.tag("nothing:1", "a"),
        save=lambda: list(client.api.get_image("nothing:1")),
    )
    user = client.containers.create("imported:1", ["x"], name="user")
    said["used"] = told(lambda c: c.images.remove("imported:1"), client)
    user.remove()
    pulled = told(lambda c: c.images.pull(f"{NOBODY}/a", tag="1"), client)
    return {**said, "pull": pulled[:2]}
