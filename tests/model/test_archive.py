"""Several archives of images as one."""

import io
import json
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmproxy.errors import ProtocolViolation
from swarmproxy.model.archive import Merger

LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


def archive(files: dict[str, bytes], *, style: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=style) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            if name.endswith("/"):
                member.type = tarfile.DIRTYPE
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def image(tag: str, *layers: str, index: bool = True) -> dict[str, bytes]:
    """Return the files of an engine's archive of one image."""
    name, _, version = tag.partition(":")
    files = {"blobs/": b""} | {f"blobs/{layer}": layer.encode() * 700 for layer in layers}
    files["manifest.json"] = json.dumps([{"Config": f"{tag}.json", "RepoTags": [tag], "Layers": list(layers)}]).encode()
    files["repositories"] = json.dumps({name: {version: layers[-1]}}).encode()
    if index:
        entry = {"digest": layers[-1], "annotations": {"org.opencontainers.image.ref.name": tag}}
        files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
        files["oci-layout"] = LAYOUT
    return files


def merged(*archives: bytes, step: int = 1000) -> tuple[dict[str, bytes], list[str]]:
    """Return the files of the merged archive, and the names in it, in order."""
    merger = Merger()
    out = io.BytesIO()
    for number, each in enumerate(archives):
        if number:
            merger.next_archive()
        for at in range(0, len(each), step):
            pieces = merger.feed(each[at : at + step])
            assert all(pieces)
            out.writelines(pieces)
    out.write(merger.finish())
    out.seek(0)
    with tarfile.open(fileobj=out) as tar:
        files = {each.name: file.read() for each in tar if (file := tar.extractfile(each)) is not None}
        return files, tar.getnames()


@pytest.mark.parametrize("style", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_merged(style: int) -> None:
    """Each file is there once, and the tables hold all images."""
    one, two = archive(image("a:1", "base", "own"), style=style), archive(image("a:2", "base", "other"), style=style)
    files, names = merged(one, two)
    assert len(names) == len(set(names))
    assert {name: files[f"blobs/{name}"] for name in ("base", "own", "other")} == {
        name: name.encode() * 700 for name in ("base", "own", "other")
    }
    assert [each["RepoTags"] for each in json.loads(files["manifest.json"])] == [["a:1"], ["a:2"]]
    assert json.loads(files["repositories"]) == {"a": {"1": "own", "2": "other"}}
    assert [each["digest"] for each in json.loads(files["index.json"])["manifests"]] == ["own", "other"]
    assert files["oci-layout"] == LAYOUT


def test_old_and_new_engine() -> None:
    """Where one engine has no OCI index, the tables that all of them have are the ones that count."""
    files, _ = merged(archive(image("a:1", "x", index=False)), archive(image("a:2", "y")))
    assert "index.json" not in files
    assert "oci-layout" not in files
    assert len(json.loads(files["manifest.json"])) == 2


def test_same_image_twice() -> None:
    """The same image from two engines stands in the tables once."""
    files, _ = merged(archive(image("a:1", "x")), archive(image("a:1", "x")))
    assert len(json.loads(files["manifest.json"])) == len(json.loads(files["index.json"])["manifests"]) == 1


@pytest.mark.parametrize("style", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_names(style: int) -> None:
    """Names that stand ahead of their member count as names."""
    long = "blobs/" + "n" * 300
    one = archive({long: b"1", "manifest.json": b"[]"}, style=style)
    files, names = merged(one, archive({long: b"1", "other": b"2", "manifest.json": b"[]"}, style=style))
    assert names == [long, "other", "manifest.json"]
    assert files[long] == b"1"


def test_huge() -> None:
    """A member whose size stands ahead of it, as those over 8 GiB have it, is passed by that size."""
    member = tarfile.TarInfo("big")
    member.size, member.pax_headers = 0, {"size": "3"}
    head = member.tobuf(tarfile.PAX_FORMAT)
    one = head + b"abc".ljust(512, b"\0") + archive({"manifest.json": b"[]"})
    merger = Merger()
    assert b"".join(merger.feed(one)) == head + b"abc".ljust(512, b"\0")
    assert b"manifest.json" in merger.finish()


@given(st.integers(1, 3000), st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=4, unique=True))
def test_any_steps(step: int, layers: list[str]) -> None:
    """It does not matter in what pieces an archive comes."""
    one, two = archive(image("a:1", *layers)), archive(image("a:2", "d", "e"))
    assert merged(one, two, step=step) == merged(one, two, step=1 << 20)


def test_cut() -> None:
    """An archive that ends in the middle is noticed."""
    whole = archive(image("a:1", "x"))
    merger = Merger()
    merger.feed(whole[:2000])
    with pytest.raises(ProtocolViolation, match="before its time"):
        merger.next_archive()
    with pytest.raises(ProtocolViolation, match="before its time"):
        merger.finish()


@pytest.mark.parametrize("junk", [b"x" * 512, archive({"manifest.json": b"{"}), archive({"index.json": b"[]"})])
def test_junk(junk: bytes) -> None:
    """What is no archive of images is refused."""
    with pytest.raises(ProtocolViolation):
        Merger().feed(junk)
