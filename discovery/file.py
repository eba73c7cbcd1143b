"""`file:///etc/cluster`: engines named in a file, one a line, read again as soon as it changes."""

import asyncio
import codecs
import os
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from discovery.backend import Listing, ReadOnly
from discovery.entry import MAX_ENTRIES, Entry, parse_entries
from discovery.errors import DiscoveryError

POLL_S = 0.05
"""Between two looks at the file's inode, which cost little more than waking the event loop: 0.25 % of a core in all.
Inotify would have to follow every symlink on the path, any of which may be flipped."""

STILL_S = 0.025
"""For how long a file that has changed must stand still to be believed."""

EMPTY_S = 1.0
"""For how long an empty file is taken for one that somebody is just writing."""

MAX_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Look:
    """What was there at one look: the file's content, or the problem with it."""

    stamp: object
    problem: str = ""
    content: bytes = b""


class FileBackend(ReadOnly):
    """The entries of a local text file. `#` starts a comment, blank lines do not count, ranges may stand."""

    def __init__(self, path: str, *, heartbeat_s: float) -> None:
        """Name the file, which need not exist yet. Raises DiscoveryError if `path` is empty."""
        if not path or "\x00" in path:
            raise DiscoveryError("file discovery needs a path: file:///path/to/file")
        self._path = Path(path)
        self._heartbeat_s = heartbeat_s
        self._known: dict[bytes, Sequence[Entry]] = {}  # what each line meant the last time
        self.source = f"file://{path}"

    async def watch(self) -> AsyncIterator[Listing]:
        """Yield the entries within 80 ms of each change, 50 as a rule.

        What has just changed is believed once it stands still: a file seen in the middle of being written
        takes nobody out of the cluster. At each heartbeat it is read whatever its inode says.
        """
        listing, known = Listing(()), _Look(None, "not looked yet")
        first = True
        while True:
            look = self._look()
            if (look.problem, look.content) != (known.problem, known.content):
                if not await self._stands_still(look):
                    continue
                known, before = look, listing
                listing = self._understand(look, before)
                if first or (listing.entries, listing.error) != (before.entries, before.error):
                    first = False
                    yield listing
            await self._wait_for_change(look.stamp, self._heartbeat_s)

    async def fetch(self) -> tuple[Entry, ...]:
        """Return what the file says now. Raises DiscoveryError if it cannot be read, or any line is bad."""
        return self._parse(self._look())

    def _understand(self, look: _Look, before: Listing) -> Listing:
        """Return the listing that `look` makes: its entries, or the last good ones with what is wrong."""
        try:
            return Listing(self._parse(look), read_at=time.time())
        except DiscoveryError as error:
            read_at = before.read_at if before.error or not before.read_at else time.time()
            return Listing(before.entries, read_at=read_at, error=str(error))

    def _parse(self, look: _Look) -> tuple[Entry, ...]:
        if look.problem:
            raise DiscoveryError(f"failed to read '{self._path}': {look.problem}")
        entries: list[Entry] = []
        known, self._known = self._known, {}
        for number, line in enumerate(look.content.removeprefix(codecs.BOM_UTF8).split(b"\n"), 1):
            try:
                meant = known.get(line)
                if meant is None:
                    meant = parse_entries(line.decode().partition("#")[0].strip())
                self._known[line] = meant
                entries += meant
            except (DiscoveryError, UnicodeDecodeError) as error:
                problem = "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)
                raise DiscoveryError(f"failed to parse line {number} of '{self._path}': {problem}") from error
            if len(entries) > MAX_ENTRIES:
                raise DiscoveryError(f"more than {MAX_ENTRIES} addresses in '{self._path}'")
        return tuple(entries)

    def _look(self) -> _Look:
        stamp = self._stamp()
        try:
            # Not to block on a FIFO, which is refused below.
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as file:
                if not self._path.is_file():
                    return _Look(stamp, f"read {self._path}: not a regular file")
                content = file.read(MAX_BYTES + 1)
        except OSError as error:
            return _Look(stamp, f"open {self._path}: {(error.strerror or str(error)).lower()}")
        if len(content) > MAX_BYTES:
            return _Look(stamp, f"more than {MAX_BYTES} bytes")
        return _Look(stamp, content=content)

    def _stamp(self) -> object:
        """Return what differs after any change of the file behind the path, chmod and rename included."""
        try:
            now = os.stat(self._path)  # noqa: PTH116 - half of what Path.stat costs
        except OSError as error:
            return error.errno
        return (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns)

    async def _stands_still(self, look: _Look) -> bool:
        """Say whether the file is the same after longer than its clock needs to tell two writes apart."""
        empty = not look.problem and not look.content
        changed = await self._wait_for_change(look.stamp, EMPTY_S if empty else STILL_S)
        return not changed and self._look() == look

    async def _wait_for_change(self, stamp: object, timeout_s: float) -> bool:
        """Wait for the file to change from `stamp`, `timeout_s` at most; say whether it did.

        A timer looks, not this task: to wake a task each time is most of what an idle manager of few engines costs.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        outcome: asyncio.Future[bool] = loop.create_future()
        timer = loop.call_later(0, lambda: None)

        def look() -> None:
            nonlocal timer
            left_s = deadline - loop.time()
            if self._stamp() != stamp:
                outcome.set_result(True)
            elif left_s <= 0:
                outcome.set_result(False)
            else:
                timer = loop.call_later(min(POLL_S, left_s), look)

        timer = loop.call_later(min(POLL_S, timeout_s), look)
        try:
            return await outcome
        finally:
            timer.cancel()
