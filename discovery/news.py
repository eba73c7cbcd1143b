"""What a watch has to tell its reader, and what the reader knows already."""

import time

from discovery.backend import Listing
from discovery.entry import Entry


class News:
    """The listings of one watch: the same entries are no news, and of one outage each reason is told once."""

    def __init__(self) -> None:
        self._good = Listing(())
        self._told = Listing((), error="nothing was told yet")
        self._reasons: set[str] = set()  # that were told since all was well

    @property
    def is_well(self) -> bool:
        """Whether the last that was told is a list without an error."""
        return not self._told.error

    def read(self, entries: tuple[Entry, ...]) -> Listing | None:
        """Return what is to be told of entries that have just been read."""
        self._good = Listing(entries, read_at=time.time())
        self._reasons.clear()
        if self.is_well and self._told.entries == entries:
            return None
        self._told = self._good
        return self._told

    def failed(self, reason: str) -> Listing | None:
        """Return what is to be told of a failure: the last entries stay."""
        if reason in self._reasons:
            return None
        self._reasons.add(reason)
        self._told = Listing(self._good.entries, read_at=self._good.read_at, error=reason)
        return self._told
