"""Images that are not the same on all nodes: pushed from where they were made, saved from several, listed as one."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from tests.conftest import StartEngines, StartManager
from tests.hosts.engine import Engine
from tests.hosts.fleet import Fleet
from tests.hosts.images import busybox_archive
from tests.hosts.manager import Manager
from tests.hosts.registry import serving
from tests.integration.builders import WAYS, client_of, written
from tests.waiting import wait_until

BRIDGE_IP = "10.77.0.1"
SMALL = "FROM scratch\nCOPY content /content\n"


def seen_by(manager: Manager, tag: str) -> list[str]:
    """Return the IDs of the images that the manager lists under `tag`."""
    return [image["Id"] for image in manager.get_json("/images/json") if tag in image["RepoTags"]]


@pytest.mark.parametrize(("version", "how"), [("20.10", "legacy-28"), ("20.10", "buildx-28"), ("28", "buildx-28")])
def test_pushed_from_where_made(
    start_engines: StartEngines, start_manager: StartManager, tmp_path: Path, version: str, how: str
) -> None:
    """`push` sends what was built last under a name, also if that came from the cache and was created long ago."""
    one, two = start_engines(2, version=version)
    manager = start_manager([one, two])

    def build_on(engine: Engine, content: str) -> str:
        """Build on one node; return the ID of the image."""
        directory = written(tmp_path / content, {"Dockerfile": SMALL, "content": content})
        where, options = manager.address, ["--build-arg", f"constraint:node=={engine.name}"]
        if how != "legacy-28":  # each of two clients stays where it is
            where, options = (manager.address if engine is one else f"unix://{manager.socket_path}"), []
        client_of(how).run(where, *WAYS[how][2], "-t", tag, *options, directory)
        return str(engine.get_json(f"/images/{tag}/json")["Id"])

    with serving(BRIDGE_IP) as registry:
        tag = f"{registry.address}/made:1"
        oldest = build_on(one, "oldest")
        manager.docker("run", "-d", "-e", f"constraint:node=={one.name}", "busybox", "sleep", "1d")
        for engine, content in ((two, "middle"), (one, "newest"), (two, "again")):
            made = build_on(engine, content)
            manager.docker("push", tag)
            assert registry.image_id("made:1") == made
        assert build_on(one, "oldest") == oldest
        manager.docker("push", tag)
        assert registry.image_id("made:1") == oldest


def test_saved_from_several(front: Manager, fleet: Fleet) -> None:
    """`save` of images that no one node has all of is one archive, which an engine of any version loads."""
    one, two = fleet.engines
    one.load(busybox_archive("left:1", cmd=["echo", "left"]))
    two.load(busybox_archive("right:1", cmd=["echo", "right"]))
    wait_until(lambda: seen_by(front, "left:1") and seen_by(front, "right:1"), "the images")
    archive = front.docker("save", "left:1", "right:1", "busybox:latest").out
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        assert len(tar.getnames()) == len(set(tar.getnames()))
        table = tar.extractfile("manifest.json")
        assert table is not None
        tags = [tag for image in json.load(table) for tag in image["RepoTags"]]
    assert sorted(tags) == ["busybox:latest", "left:1", "right:1"]
    front.docker("rmi", "left:1", "right:1")
    front.docker("load", stdin=archive)
    for name in ("left", "right"):
        assert front.docker("run", "--rm", f"{name}:1").stdout == f"{name}\n"
    assert "No such image: none:1" in front.docker("save", "left:1", "none:1", check=False).stderr


def test_saved_from_old_and_new(start_engines: StartEngines, start_manager: StartManager) -> None:
    """An archive of what an engine 20.10 and an engine 28 have is loaded by both."""
    old, new = *start_engines(1), *start_engines(1, version="28")
    old.load(busybox_archive("old:1", cmd=["echo", "old"]))
    new.load(busybox_archive("new:1", cmd=["echo", "new"]))
    manager = start_manager([old, new])
    archive = manager.docker("save", "old:1", "new:1").out
    manager.docker("rmi", "old:1", "new:1")
    manager.docker("load", stdin=archive)
    for engine in (old, new):
        for name in ("old", "new"):
            assert engine.docker("run", "--rm", f"{name}:1").stdout == f"{name}\n"
