"""The nodes that stand below one key, kept up to date change by change, and told as listings."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing

from discovery.backend import Listing
from discovery.entry import MAX_ENTRIES, Entry, parse_entry
from discovery.errors import DiscoveryError
from discovery.news import News

CHECK_S = 10.0
"""For how long a silent watch is trusted, if the heartbeat is not shorter."""

_RETRY_MIN_S = 0.2
_RETRY_MAX_S = 5.0

Follow = Callable[[], AsyncGenerator[tuple[Entry, ...], None]]
"""Yields the entries at each change, and each time they are found to be right. Raises DiscoveryError and is over."""


class Tree:
    """The entries below one key, in the order of their keys. A value that is no address is not there."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._listed: tuple[Entry, ...] | None = None

    def put(self, key: str, value: str | bytes | None) -> None:
        """Set `key` to `value`."""
        try:
            entry = parse_entry(value.decode() if isinstance(value, bytes) else value or "")
        except (DiscoveryError, UnicodeDecodeError):
            self.remove(key)
            return
        if self._entries.get(key) != entry:
            self._entries[key] = entry
            self._listed = None

    def remove(self, key: str) -> None:
        """Remove `key`, if it is there."""
        if self._entries.pop(key, None) is not None:
            self._listed = None

    def remove_below(self, directory: str) -> None:
        """Remove all keys that begin with `directory` and a slash."""
        for key in [key for key in self._entries if key.startswith(f"{directory}/")]:
            self.remove(key)

    def entries(self) -> tuple[Entry, ...]:
        """Return all entries. Raises DiscoveryError if there are too many."""
        if self._listed is None:
            if len(self._entries) > MAX_ENTRIES:
                raise DiscoveryError(f"more than {MAX_ENTRIES} addresses in etcd")
            self._listed = tuple(entry for _, entry in sorted(self._entries.items()))
        return self._listed


async def keep_listing(follow: Follow, *, heartbeat_s: float) -> AsyncIterator[Listing]:
    """Yield listings as Backend.watch does, out of a source that is followed again whenever it fails."""
    news = News()
    pause_s = _RETRY_MIN_S
    while True:
        try:
            async with aclosing(follow()) as changes:
                async for entries in changes:
                    if listing := news.read(entries):
                        yield listing
                    pause_s = _RETRY_MIN_S
        except DiscoveryError as error:
            if listing := news.failed(str(error)):
                yield listing
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, heartbeat_s, _RETRY_MAX_S)
