"""The managers' document in ZooKeeper: the text of one node."""

from collections.abc import Mapping

from discovery.errors import DiscoveryError
from discovery.keeping import ChangedElsewhereError, aside
from discovery.zookeeper_session import Session, parse_url

CALL_S = 5.0
SESSION_S = 10.0


class ZookeeperKeeper:
    """A Keeper. Its session stays open, since each costs threads."""

    def __init__(self, rest: str, *, options: Mapping[str, str]) -> None:
        """Name the place. Raises DiscoveryError if `rest` or the options are not what ZooKeeper needs."""
        self._ensemble, place = parse_url(rest, options)
        self._path = place.state
        self._session: Session | None = None
        self._version: int | None = None  # of the node as we know it; None: it is not there

    async def read(self) -> bytes | None:
        """Return the text of the node."""
        found = await self._opened().fetch(self._path)
        self._version = found[1] if found else None
        return found[0] if found else None

    async def write(self, data: bytes) -> None:
        """Set the text of the node if it is at the version that we know."""
        session = self._opened()
        await session.exchange(self._path, data, self._version)
        found = await session.fetch(self._path)  # it may have been done twice, so what stands there counts
        if found is None or found[0] != data:
            raise ChangedElsewhereError(f"somebody else has written /{self._path} in zookeeper")
        self._version = found[1]

    async def set_aside(self, data: bytes) -> str:
        """Make a node beside."""
        path = aside(self._path)
        if not await self._opened().exchange(path, data, None):
            raise DiscoveryError(f"/{path} is in zookeeper already")
        return f"zookeeper, node /{path}"

    async def close(self) -> None:
        """End the session."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _opened(self) -> Session:
        if self._session is None:
            self._session = Session(self._ensemble, SESSION_S, CALL_S)
        return self._session
