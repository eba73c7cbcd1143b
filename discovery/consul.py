"""`consul://host:port/prefix`: engines that register in consul's key-value store. One of several managers leads.

Options: `consul.token`, or `consul.token.file` with the path of a file that holds it; `kv.path`; TLS by
`kv.cacertfile`, with `kv.certfile` and `kv.keyfile` where the server demands a certificate.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress

from discovery.backend import Listing
from discovery.consul_client import WAIT_S, Calls, Key, parse_url
from discovery.entry import Entry, parse_entry
from discovery.errors import DiscoveryError
from discovery.news import News

CALL_S = 5.0
"""The longest that any other call may take."""

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
BURST_S = 0.01
"""After a change we look again this much later, so that many at once are few lists."""

_Known = dict[str | None, Entry | None]
"""What each value, as consul tells it, means; None if it is no address."""


class ConsulBackend:
    """The entries below one directory of one consul."""

    def __init__(self, rest: str, *, heartbeat_s: float, ttl_s: float, options: Mapping[str, str]) -> None:
        """Name the place. Raises DiscoveryError if `rest` or the options are not what consul needs."""
        self._server, place = parse_url(rest, options)
        self._directory = place.nodes(options)
        self._heartbeat_s = heartbeat_s
        self._ttl_s = ttl_s
        # Both, and another call, have to fit into one heartbeat: a server that hangs is told within it.
        self._wait_s = min(WAIT_S, heartbeat_s / 4)
        self._call_s = min(CALL_S, heartbeat_s / 4)
        self._sessions: dict[Entry, str] = {}
        self.source = "/".join(filter(None, (f"consul://{self._server.host}", place.prefix)))

    async def watch(self) -> AsyncIterator[Listing]:
        """Yield the entries as soon as consul tells of a change."""
        news, index, failures = News(), 0, 0
        known: _Known = {}
        async with self._server.connect(self._call_s) as calls:
            while True:
                try:
                    entries, now = await self._read(calls, index, known)
                    # An index that goes back is a server that begins anew; the old one would wait for ever.
                    index = 0 if now < index else now
                    failures = 0
                    if listing := news.read(entries):
                        yield listing
                    # Without any index there is no waiting for changes.
                    pause_s = BURST_S if now else self._heartbeat_s
                except DiscoveryError as error:
                    index, failures = 0, failures + 1
                    # A connection that breaks is not yet a store that is down: that is what the next call says.
                    if (failures > 1 or not news.is_well) and (listing := news.failed(str(error))):
                        yield listing
                    pause_s = min(FIRST_PAUSE_S * 2 ** min(failures - 1, 10), LONGEST_PAUSE_S, self._heartbeat_s)
                await asyncio.sleep(pause_s)

    async def fetch(self) -> tuple[Entry, ...]:
        """Return the entries, in the order of their keys."""
        async with self._server.connect(CALL_S) as calls:
            entries, _ = await self._read(calls, 0, {})
        return entries

    async def register(self, entry: Entry) -> None:
        """Renew the session of `entry`, and its key; both anew if they are gone.

        Source: classic Swarm: a session of its own for each key, which takes the key along when it ends.
        """
        if not self._ttl_s:
            raise DiscoveryError("to register needs a TTL")
        async with self._server.connect(CALL_S) as calls:
            session = self._sessions.get(entry)
            if session is None or not await calls.renew(session):
                session = self._sessions[entry] = await calls.create_session(self._ttl_s, "delete")
            if not await calls.acquire(self._key(entry), session, str(entry)):
                await self._take_over(calls, entry, session)

    async def unregister(self, entry: Entry) -> None:
        """End the session of `entry`, which takes the key away."""
        if session := self._sessions.get(entry):
            async with self._server.connect(CALL_S) as calls:
                await calls.destroy(session)
            del self._sessions[entry]

    async def _read(
        self, calls: Calls, index: int, known: dict[str | None, Entry | None]
    ) -> tuple[tuple[Entry, ...], int]:
        """Return the entries and their index. `known` is what each value meant the last time, and is updated."""
        now, keys = await calls.read_below(self._directory, index=index, wait_s=self._wait_s)
        if not keys:
            # Who may not read gets an empty list. Only the question for a single key is refused.
            await calls.get(f"{self._directory}/probe")
        meanings = {key.value: known[key.value] if key.value in known else _parse(key) for key in keys}
        known.clear()
        known.update(meanings)
        return tuple(entry for key in keys if (entry := meanings[key.value])), now

    async def _take_over(self, calls: Calls, entry: Entry, session: str) -> None:
        """Move the key of `entry` to our session from that of whoever was here before us; it is gone at no moment."""
        key = self._key(entry)
        _, found = await calls.get(key)
        before = found.session if found else ""
        if before:
            await calls.release(key, before, str(entry))
        else:
            await asyncio.sleep(FIRST_PAUSE_S)  # the lock delay
        if not await calls.acquire(key, session, str(entry)):
            raise DiscoveryError(f"{self._server}: somebody else holds the key of {entry}")
        if before:
            with suppress(DiscoveryError):  # it ends by itself
                await calls.destroy(before)

    def _key(self, entry: Entry) -> str:
        # consul refuses a path with two slashes in a row.
        return f"{self._directory}/{str(entry).replace('/', '%2F')}"


def _parse(key: Key) -> Entry | None:
    """Return the entry that is the key's value. What is no address harms no other."""
    with suppress(DiscoveryError):
        return parse_entry(key.text)
    return None
