"""What every kind of discovery can do."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from discovery.entry import Entry
from discovery.errors import DiscoveryError


@dataclass(frozen=True, slots=True)
class Listing:
    """All engines that a backend names, true until it yields the next listing.

    With an `error`, `entries` is the last good list: nobody leaves because the source cannot be read. Such a
    list is as old as its `read_at`; one without an error is fresh, however long ago it was yielded.
    """

    entries: tuple[Entry, ...]
    """In the order of the source, duplicates included: `list` prints them as they stand."""
    read_at: float = 0.0
    """When these entries were last seen to be right, in Unix seconds. 0 means never: nothing is known yet."""
    error: str = ""
    """Why the source cannot be read now, in one sentence. Empty when all is well."""


class Backend(Protocol):
    """One source of engines. It opens nothing before a method is called, and only `register` ever writes."""

    @property
    def source(self) -> str:
        """Where the list comes from, for logs and `docker info`: a URL without any secret in it."""

    def watch(self) -> AsyncIterator[Listing]:
        """Yield what is known now, then again after each change: of the entries, or of the error.

        It never ends and never raises DiscoveryError: a source that fails is reported by a listing with an
        `error`, and tried again until it answers, which is a listing without one. The same error is not
        reported twice in a row, so the reader may log each that it gets. A source that can hang is not
        trusted for longer than the heartbeat. A reader that is cancelled while it waits has ended this watch.
        """

    async def fetch(self) -> tuple[Entry, ...]:
        """Return all entries, read once from the source. Raises DiscoveryError."""

    async def register(self, entry: Entry) -> None:
        """Announce `entry` for the `ttl_s` that the backend was opened with, or renew it.

        To be called again at each heartbeat. Raises DiscoveryError if that failed, or if the kind of
        backend cannot do it.
        """

    async def unregister(self, entry: Entry) -> None:
        """Take `entry` away now, if we registered it; nothing happens if not. Raises DiscoveryError."""


class ReadOnly:
    """The half of a backend that nobody can register with, because its list belongs to whoever wrote it."""

    async def register(self, entry: Entry) -> None:  # noqa: ARG002
        """Raise DiscoveryError."""
        raise DiscoveryError("not implemented in this discovery service")

    async def unregister(self, entry: Entry) -> None:
        """Do nothing: nothing was registered."""
