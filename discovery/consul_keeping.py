"""The managers' document in consul: one key."""

from collections.abc import Mapping

from discovery.consul_client import parse_url
from discovery.errors import DiscoveryError
from discovery.keeping import ChangedElsewhereError, aside

CALL_S = 5.0


class ConsulKeeper:
    """A Keeper."""

    def __init__(self, rest: str, *, options: Mapping[str, str]) -> None:
        """Name the place. Raises DiscoveryError if `rest` or the options are not what consul needs."""
        self._server, place = parse_url(rest, options)
        self._key = place.state
        self._index = 0  # of the key as we know it; 0: it is not there

    async def read(self) -> bytes | None:
        """Return the value of the key."""
        async with self._server.connect(CALL_S) as calls:
            _, found = await calls.get(self._key, consistent=True)
        self._index = found.modify_index if found else 0
        return found.content if found else None

    async def write(self, data: bytes) -> None:
        """Set the key if it is at the index that we know."""
        async with self._server.connect(CALL_S) as calls:
            await calls.put(self._key, data, index=self._index)
            _, found = await calls.get(self._key, consistent=True)  # a put does not tell its index
        if found is None or found.content != data:
            raise ChangedElsewhereError(f"{self._server}: somebody else has written {self._key}")
        self._index = found.modify_index

    async def set_aside(self, data: bytes) -> str:
        """Set a key beside."""
        key = aside(self._key)
        async with self._server.connect(CALL_S) as calls:
            if not await calls.put(key, data):
                raise DiscoveryError(f"{self._server} does not take {key}")
        return f"{self._server}, key {key}"

    async def close(self) -> None:
        """Do nothing."""
