"""`zk://h1:port,h2:port/prefix`: engines that register as ephemeral nodes of ZooKeeper. One of several managers leads.

Options: `zk.digest`, `user:password`, or `zk.digest.file` with the path of a file that holds it: what we then make is
open to that user alone, so to none of classic's programs; `kv.path`; TLS by `kv.cacertfile`, with `kv.certfile` and
`kv.keyfile` where the server demands a certificate.

The TTL is the session's timeout. ZooKeeper knows no other: an entry is gone that long after its agent was heard of
last, whatever the heartbeat. A server that allows only less (maxSessionTimeout, 40 s by default) takes it away earlier.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import suppress

from discovery.backend import Listing
from discovery.entry import Entry, parse_entry
from discovery.errors import DiscoveryError
from discovery.news import News
from discovery.zookeeper_session import Session, parse_url

CALL_S = 5.0
"""The longest that a call may take."""

WATCH_TIMEOUT_S = 10.0
"""The timeout of a session that only looks, as in classic. A third of it is how soon a dead connection shows."""

RETRY_S = 1.0

_SLASH = "%2F"  # in the name of a node, which cannot have a slash


class ZookeeperBackend:
    """The entries below one node of one ZooKeeper."""

    def __init__(self, rest: str, *, heartbeat_s: float, ttl_s: float, options: Mapping[str, str]) -> None:
        """Name the place. Raises DiscoveryError if `rest` or the options are not what ZooKeeper needs."""
        self._ensemble, place = parse_url(rest, options)
        self._directory = place.nodes(options)
        self._heartbeat_s = heartbeat_s
        self._ttl_s = ttl_s
        self._session: Session | None = None
        self._registered: set[Entry] = set()
        self.source = "/".join(filter(None, (f"zk://{self._ensemble.addresses}", place.prefix)))

    async def watch(self) -> AsyncIterator[Listing]:
        """Yield the entries as soon as ZooKeeper tells of a change."""
        news = News()
        known: dict[str, Entry | None] = {}
        timeout_s = min(WATCH_TIMEOUT_S, max(self._heartbeat_s, 1.0))
        async with self._ensemble.connect(timeout_s, min(CALL_S, self._heartbeat_s / 2)) as session:
            while True:
                try:
                    if listing := news.read(await self._read(session, known)):
                        yield listing
                    pause_s = self._heartbeat_s
                except DiscoveryError as error:
                    if listing := news.failed(str(error)):
                        yield listing
                    pause_s = min(RETRY_S, self._heartbeat_s)
                await session.wait(pause_s)

    async def fetch(self) -> tuple[Entry, ...]:
        """Return the entries, in the order of their names."""
        async with self._ensemble.connect(WATCH_TIMEOUT_S, CALL_S) as session:
            return await self._read(session, {})

    async def register(self, entry: Entry) -> None:
        """See to it that there is a session, and the node of `entry` in it.

        The session is kept open, and comes again with its nodes when it was lost, until all is unregistered.
        """
        if not self._ttl_s:
            raise DiscoveryError("to register needs a TTL")
        if self._session is None:
            self._session = Session(self._ensemble, self._ttl_s, CALL_S)
        try:
            await self._session.hold(self._path(entry), str(entry))
            self._session.demand_timeout()
        except DiscoveryError:
            if not self._registered:
                await self._close()
            raise
        self._registered.add(entry)

    async def unregister(self, entry: Entry) -> None:
        """Remove the node of `entry`, and with the last one end the session."""
        if self._session is None or entry not in self._registered:
            return
        try:
            await self._session.remove(self._path(entry))
        finally:
            self._registered.remove(entry)
            if not self._registered:
                await self._close()

    async def _close(self) -> None:
        session, self._session = self._session, None
        if session:
            await session.close()

    async def _read(self, session: Session, known: dict[str, Entry | None]) -> tuple[Entry, ...]:
        """Return the entries. `known` is what each node meant the last time, and is updated.

        Of the nodes that are not in it only.
        """
        names = await session.children(self._directory) or []
        for name in known.keys() - set(names):
            del known[name]
        unknown = [name for name in names if name not in known]
        texts = await session.read_all([f"{self._directory}/{name}" for name in unknown]) if unknown else []
        unsure = []
        for name, text in zip(unknown, texts, strict=True):
            # Classic's agents make the node empty and write its value a moment later, which wakes nobody.
            known[name] = _parse(text or name.replace(_SLASH, "/"))
            if not text:
                unsure.append(name)
        entries = tuple(entry for name in sorted(names) if (entry := known[name]))
        for name in unsure:
            del known[name]
        return entries

    def _path(self, entry: Entry) -> str:
        return f"{self._directory}/{str(entry).replace('/', _SLASH)}"


def _parse(text: str) -> Entry | None:
    """Return the entry that `text` names. What is no address harms no other."""
    with suppress(DiscoveryError):
        return parse_entry(text)
    return None
