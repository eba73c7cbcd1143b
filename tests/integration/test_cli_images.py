"""Images: on which nodes they are, and that containers go there."""

import io
import json
import tarfile
from pathlib import Path

from tests.hosts.engine import Engine
from tests.hosts.images import busybox_archive
from tests.integration.client import Docker
from tests.integration.ways import each_endpoint, every_way, one_way
from tests.waiting import wait_until

GREETING = busybox_archive("greeting:1", cmd=["echo", "hello"], labels={"made": "here"})


@each_endpoint
def test_committed(docker: Docker) -> None:
    """A committed image is on the container's node, and brought to where there is more room for its containers."""
    docker("run", "--name", "aa", "busybox", "sh", "-c", "echo kept > /file")
    docker("commit", "-m", "a file", "aa", "made:1")
    assert [tags(engine) for engine in docker.engines].count({"busybox:latest", "made:1"}) == 1
    assert docker("run", "--rm", "made:1", "cat", "/file").stdout == "kept\n"
    for name in ("bb", "cc"):  # the other node is the emptier one
        docker("run", "-d", "--name", name, "made:1", "sleep", "1d")
    nodes = {docker.inspect(name, "{{.Node.Name}}") for name in ("aa", "bb", "cc")}
    assert nodes == {engine.name for engine in docker.engines}


@every_way
def test_loaded(docker: Docker, tmp_path: Path) -> None:
    """`load` brings an image to all nodes, from stdin as from a file, and `images` lists it once."""
    assert "greeting:1" in docker("load", stdin=GREETING).stdout
    assert all("greeting:1" in tags(engine) for engine in docker.engines)
    assert listed(docker) == {"busybox:latest", "greeting:1"}
    (tmp_path / "archive").write_bytes(busybox_archive("other:1"))
    docker("load", "-q", "-i", str(tmp_path / "archive"))
    assert all("other:1" in tags(engine) for engine in docker.engines)
    assert docker("run", "--rm", "greeting:1").stdout == "hello\n"


@each_endpoint
def test_saved(docker: Docker) -> None:
    """`save` gives a whole archive of one image or of several, which can be loaded again."""
    docker("load", stdin=GREETING)
    assert saved_tags(docker("save", "greeting:1").out) == {"greeting:1"}
    archive = docker("save", "greeting:1", "busybox:latest").out
    assert saved_tags(archive) == {"greeting:1", "busybox:latest"}
    docker("rmi", "greeting:1")
    docker("load", stdin=archive)
    assert docker("run", "--rm", "greeting:1").stdout == "hello\n"


def test_tagged_and_removed(docker: Docker) -> None:
    """`tag` and `rmi` take effect on all nodes that have the image, and are seen at once."""
    docker("tag", "busybox", "mine:2")
    assert all("mine:2" in tags(engine) for engine in docker.engines)
    assert listed(docker) == {"busybox:latest", "mine:2"}
    assert docker("rmi", "mine:2").lines == ["Untagged: mine:2"]
    assert all(tags(engine) == {"busybox:latest"} for engine in docker.engines)
    assert listed(docker) == {"busybox:latest"}


def test_in_use(docker: Docker) -> None:
    """An image that a container uses is not removed, and the refusal says by whom it is used."""
    docker.start("aa")
    docker("load", stdin=GREETING)
    docker("run", "--name", "bb", "greeting:1")
    complaint = docker.refused("rmi", "greeting:1")
    assert "conflict" in complaint
    assert docker.inspect("bb", "{{.Id}}")[:12] in complaint


@one_way
def test_asked_about(docker: Docker) -> None:
    """`history`, `inspect` and the filters of `images` tell of an image that one node has."""
    docker.engines[1].load(GREETING)
    wait_until(lambda: "greeting:1" in listed(docker), "the image")
    assert "busybox-static" in docker("history", "greeting:1").stdout
    assert docker.inspect("greeting:1", "{{.Config.Cmd}}") == "[echo hello]"
    assert listed(docker, "-f", "label=made=here") == {"greeting:1"}
    assert listed(docker, "-f", "reference=greet*") == {"greeting:1"}
    assert listed(docker, "greeting") == {"greeting:1"}
    assert docker("images", "-q", "--no-trunc", "greeting").lines == [docker.inspect("greeting:1", "{{.Id}}")]


def test_pull_elsewhere(docker: Docker) -> None:
    """A pull from a registry out of reach fails with a reason that names the registry."""
    assert "registry.invalid" in docker.refused("pull", "registry.invalid/thing:1")
    complaint = docker.refused("run", "--rm", "registry.invalid/thing:1")
    assert "registry.invalid" in complaint
    assert docker.ps("-a") == []


@one_way
def test_imported(docker: Docker) -> None:
    """`import` makes an image out of an exported container, on all nodes."""
    docker("run", "--name", "aa", "busybox", "sh", "-c", "echo kept > /file")
    docker("import", "-", "flat:1", stdin=docker("export", "aa").out)
    assert all("flat:1" in tags(engine) for engine in docker.engines)
    assert docker("run", "--rm", "flat:1", "cat", "/file").stdout == "kept\n"


def tags(engine: Engine) -> set[str]:
    """Return the tags that an engine has."""
    return {tag for image in engine.get_json("/images/json") for tag in image["RepoTags"] or ()}


def listed(docker: Docker, *options: str) -> set[str]:
    """Return the tags that `images` lists. Raises AssertionError if one comes twice."""
    lines = docker("images", "--format", "{{.Repository}}:{{.Tag}}", *options).lines
    assert len(lines) == len(set(lines))
    return set(lines)


def saved_tags(archive: bytes) -> set[str]:
    """Return the tags in an archive of `docker save`. Raises TarError if it is cut short."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        assert tar.getnames()
        manifest = tar.extractfile("manifest.json")
        assert manifest is not None
        return {tag for image in json.load(manifest) for tag in image["RepoTags"]}
