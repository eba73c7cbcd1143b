"""The file backend, on real files that change in every way that editors and tools know."""

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from discovery import DiscoveryError, Listing, open_backend

GUARD_S = 30.0


class Watched:
    """A file and what a backend yields about it."""

    def __init__(self, path: Path, listings: AsyncIterator[Listing]) -> None:
        self.path = path
        self._listings = listings

    async def next(self) -> Listing:
        async with asyncio.timeout(GUARD_S):
            return await anext(self._listings)

    async def addresses(self) -> list[str]:
        listing = await self.next()
        assert listing.error == ""
        return [str(entry) for entry in listing.entries]

    async def stays_silent(self, seconds: float) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(seconds):
                await anext(self._listings)


@pytest.fixture
async def watched(tmp_path: Path) -> Watched:
    """`a:1` in a file, which has been read once."""
    path = tmp_path / "cluster"
    path.write_text("a:1\n")
    listings = open_backend(f"file://{path}", heartbeat_s=60).watch()
    watched = Watched(path, listings)
    assert await watched.addresses() == ["a:1"]
    return watched


def _write(path: Path, text: str) -> None:
    path.write_text(text)


def _rename_over(path: Path, text: str) -> None:
    (path.parent / "new").write_text(text)
    (path.parent / "new").rename(path)


def _remove_and_create(path: Path, text: str) -> None:
    path.unlink()
    path.write_text(text)


def _flip_a_symlink(path: Path, text: str) -> None:
    (path.parent / "target").write_text(text)
    (path.parent / "link").symlink_to("target")
    (path.parent / "link").rename(path)


def _keep_size_and_time(path: Path, text: str) -> None:
    before = path.stat()
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("change", [_write, _rename_over, _remove_and_create, _flip_a_symlink, _keep_size_and_time])
async def test_change_is_noticed(watched: Watched, change: Callable[[Path, str], None]) -> None:
    """However a file is changed, the new entries come long before the next heartbeat."""
    started = time.monotonic()
    change(watched.path, "b:1\n")
    assert await watched.addresses() == ["b:1"]
    assert time.monotonic() - started < 10


async def test_symlink_in_the_middle(tmp_path: Path) -> None:
    """A directory on the path that is a symlink may be flipped, as config maps are."""
    for name, text in (("one", "a:1"), ("two", "b:1")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cluster").write_text(text)
    (tmp_path / "data").symlink_to("one")
    listings = open_backend(f"file://{tmp_path}/data/cluster", heartbeat_s=60).watch()
    watched = Watched(tmp_path, listings)
    assert await watched.addresses() == ["a:1"]
    (tmp_path / "new").symlink_to("two")
    (tmp_path / "new").rename(tmp_path / "data")
    assert await watched.addresses() == ["b:1"]


async def test_many_changes_in_a_row(watched: Watched) -> None:
    """The last of many quick changes is always seen."""
    for number in range(200):
        watched.path.write_text(f"a:{1000 + number}\n")
        await asyncio.sleep(0.001)
    last = [""]
    while last != ["a:1199"]:
        last = await watched.addresses()
    await watched.stays_silent(0.2)


async def test_half_written(watched: Watched) -> None:
    """A file that is being written is believed when its writer pauses, not in between."""
    with watched.path.open("w") as file:
        for number in range(50):
            file.write(f"b:{1000 + number}\n")
            file.flush()
            await asyncio.sleep(0.002)
    assert len(await watched.addresses()) == 50


async def test_truncated_for_a_moment(watched: Watched) -> None:
    """A file that is empty for a moment does not empty the cluster."""
    watched.path.write_text("")
    await asyncio.sleep(0.3)
    watched.path.write_text("b:1\n")
    assert await watched.addresses() == ["b:1"]


async def test_emptied(watched: Watched) -> None:
    """A file that stays empty has no entries."""
    watched.path.write_text("")
    assert await watched.addresses() == []


async def test_comments(watched: Watched) -> None:
    """Comments, blanks, a byte order mark and Windows line ends do not count, ranges do."""
    watched.path.write_bytes(b"\xef\xbb\xbf# head\r\n\r\n  b:1  # first\r\nc[1:2]:1\r\n#d:1\r\nunix:///run/x.sock")
    assert await watched.addresses() == ["b:1", "c1:1", "c2:1", "unix:///run/x.sock"]


async def test_same_entries(watched: Watched) -> None:
    """A change that changes no entry is not worth a listing."""
    watched.path.write_text("# nothing new\na:1\n")
    await watched.stays_silent(0.3)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"b:1\n# ok\nfoo # bar\n", "failed to parse line 3 of '{}': address foo: missing port in address"),
        (b"b:1\n\xff\xfe:1\n", "failed to parse line 2 of '{}': not UTF-8 text"),
        (
            b"b[1:99999999]:1",
            "failed to parse line 1 of '{}': address b[1:99999999]:1: range is over 65536 addresses",
        ),
        (b"b:1\n\x00\n", "failed to parse line 2 of '{}': address \x00: missing port in address"),
    ],
)
async def test_bad_line(watched: Watched, content: bytes, problem: str) -> None:
    """A bad line is reported once with its number, and the last good list stays until the file is mended."""
    watched.path.write_bytes(content)
    listing = await watched.next()
    assert listing.error == problem.format(watched.path)
    assert [str(entry) for entry in listing.entries] == ["a:1"]
    assert listing.read_at > 0
    async with asyncio.TaskGroup() as tasks:
        mended = tasks.create_task(watched.addresses(), name="wait until it is mended")
        await asyncio.sleep(0.1)
        watched.path.write_bytes(content + b"\n# still bad")
        await asyncio.sleep(0.2)
        assert not mended.done()
        watched.path.write_text("a:1\n")
    assert mended.result() == ["a:1"]


async def test_missing_at_first(tmp_path: Path) -> None:
    """A file that is not there is an error and no entries; once it is there, it is read."""
    path = tmp_path / "cluster"
    listings = open_backend(f"file://{path}", heartbeat_s=60).watch()
    watched = Watched(path, listings)
    error = f"failed to read '{path}': open {path}: no such file or directory"
    assert await watched.next() == Listing((), 0.0, error)
    path.write_text("a:1")
    assert await watched.addresses() == ["a:1"]


async def test_removed(watched: Watched) -> None:
    """A file that goes away leaves its last entries, with the time when they were last true."""
    watched.path.unlink()
    listing = await watched.next()
    assert [str(entry) for entry in listing.entries] == ["a:1"]
    assert "no such file or directory" in listing.error
    assert time.time() - GUARD_S < listing.read_at <= time.time() + 1


async def test_directory(watched: Watched) -> None:
    """A directory in the place of the file is an error."""
    watched.path.unlink()
    watched.path.mkdir()
    while "is a directory" not in (listing := await watched.next()).error:
        assert "no such file" in listing.error
    assert [str(entry) for entry in listing.entries] == ["a:1"]


async def test_fifo(tmp_path: Path) -> None:
    """A FIFO, on which a reader would hang, is refused."""
    os.mkfifo(tmp_path / "cluster")
    listings = open_backend(f"file://{tmp_path}/cluster", heartbeat_s=60).watch()
    assert (await Watched(tmp_path, listings).next()).error.endswith("not a regular file")


@pytest.fixture
def nobody() -> Iterator[Callable[[bool], None]]:
    """Make us a user whom permissions bind, and root again if we were."""
    before = os.geteuid()

    def become(nobody: bool) -> None:
        if before == 0:
            os.seteuid(65534 if nobody else 0)

    yield become
    become(False)


async def test_permission_denied(watched: Watched, nobody: Callable[[bool], None]) -> None:
    """A file that we may not read is an error until we may, and its last entries stay."""
    watched.path.chmod(0)
    nobody(True)
    listing = await watched.next()
    assert listing.error.endswith("permission denied")
    assert [str(entry) for entry in listing.entries] == ["a:1"]
    nobody(False)
    watched.path.chmod(0o600)
    assert await watched.addresses() == ["a:1"]


@given(st.binary(max_size=60))
@example(b"#" * 60)
@example(b"[1:9]:1\n[::1]:1")
def test_any_content(content: bytes) -> None:
    """Any bytes at all are a list of entries or a DiscoveryError."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        backend = open_backend(f"file://{file.name}", heartbeat_s=60)
        with suppress(DiscoveryError):
            assert len(asyncio.run(backend.fetch())) < 100
