"""Files of containers: cp, diff, export."""

import io
import tarfile
from pathlib import Path

from tests.integration.client import Docker
from tests.integration.ways import each_endpoint, every_way

CONTENT = bytes(range(256)) * 4096


@every_way
def test_copied_there_and_back(docker: Docker, tmp_path: Path) -> None:
    """A file goes into a container and comes out of it unchanged, by name and by node."""
    docker.start("aa")
    node = docker.ps()[0].partition("/")[0]
    (tmp_path / "sent").write_bytes(CONTENT)
    docker("cp", str(tmp_path / "sent"), "aa:/tmp/file")
    docker("cp", f"{node}/aa:/tmp/file", str(tmp_path / "got"))
    assert (tmp_path / "got").read_bytes() == CONTENT


def test_directory(docker: Docker, tmp_path: Path) -> None:
    """A directory is copied with all that is in it, both ways, also of a container that does not run."""
    docker("create", "--name", "aa", "busybox")
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    (tmp_path / "tree" / "deep" / "file").write_bytes(CONTENT)
    docker("cp", str(tmp_path / "tree"), "aa:/home")
    docker("cp", "aa:/home/tree", str(tmp_path / "back"))
    assert (tmp_path / "back" / "deep" / "file").read_bytes() == CONTENT


@each_endpoint
def test_tar_through_pipes(docker: Docker) -> None:
    """`cp -` takes a tar from stdin and gives one on stdout."""
    docker.start("aa")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo("inside")
        entry.size = len(CONTENT)
        tar.addfile(entry, io.BytesIO(CONTENT))
    docker("cp", "-", "aa:/tmp", stdin=packed.getvalue())
    assert unpacked(docker("cp", "aa:/tmp/inside", "-").out)["inside"] == CONTENT


def test_missing(docker: Docker, tmp_path: Path) -> None:
    """A file that is not there is an error that names it."""
    docker.start("aa")
    assert "/no/such" in docker.refused("cp", "aa:/no/such", str(tmp_path))
    assert "No such container" in docker.refused("cp", "nope:/etc", str(tmp_path))


def test_diff(docker: Docker) -> None:
    """`diff` shows what a container added, changed and deleted."""
    docker("run", "--name", "aa", "busybox", "sh", "-c", "touch /tmp/new; rm /etc/group")
    assert set(docker("diff", "aa").lines) == {"C /tmp", "A /tmp/new", "C /etc", "D /etc/group"}


@each_endpoint
def test_export(docker: Docker) -> None:
    """`export` gives a whole tar of the container's files."""
    docker("run", "--name", "aa", "busybox", "sh", "-c", "echo made > /tmp/made")
    files = unpacked(docker("export", "aa").out)
    assert files["tmp/made"] == b"made\n"
    assert len(files["bin/busybox"]) > 100_000


def unpacked(archive: bytes) -> dict[str, bytes]:
    """Return the files in a tar. Raises TarError if it is cut short."""
    files: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            if member.isfile() and (content := tar.extractfile(member)):
                files[member.name] = content.read()
    return files
