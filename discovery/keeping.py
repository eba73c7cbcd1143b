"""Where the managers of a cluster keep one document of theirs: in the store that lists their engines, or in a file."""

import time
from typing import Protocol

from discovery.errors import DiscoveryError


class ChangedElsewhereError(DiscoveryError):
    """Somebody else has written the document since we last saw it: read it again before you write."""


class Keeper(Protocol):
    """One document, of which the leader alone is the author. It opens nothing before a method is called.

    Nobody writes over what it has not seen: a manager that was the leader once cannot undo what its successor wrote.
    """

    async def read(self) -> bytes | None:
        """Return the document as it is now, not as it was a moment ago; None if there is none.

        Raises DiscoveryError.
        """

    async def write(self, data: bytes) -> None:
        """Replace the document as we read or wrote it last by `data`, all of it or nothing, for good.

        Raises ChangedElsewhereError if it is not that any more, DiscoveryError if it cannot be written, or is not
        known to have been: then it may stand there nevertheless.
        """

    async def set_aside(self, data: bytes) -> str:
        """Keep `data` under a name of its own beside the document; return where. Raises DiscoveryError."""

    async def close(self) -> None:
        """Let go of what is open."""


def aside(name: str) -> str:
    """Return what to call something that is kept beside `name`: it tells when that was, in UTC."""
    return f"{name}.unreadable-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
