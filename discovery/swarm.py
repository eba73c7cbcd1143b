"""`swarm://manager[,manager...]`: the nodes of a swarm of Docker's swarm mode, as its managers list them.

A manager is named as for `docker swarm join`, `host[:2377]`. What is asked is its engine's API, on the port on which
all engines of the swarm are taken to listen; a port other than 2377 is that of this manager's engine. Managers that
are found in the list are asked as well when none of those given answers.
Options: `swarm.port`, by default 2375, or 2376 with TLS; `swarm.cacertfile`, `swarm.certfile` and `swarm.keyfile` for
TLS. A label `swarmproxy.engine` of a node, or of its engine, says where that engine listens: a port, or host:port.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from urllib.parse import quote

import httpx
import msgspec

from discovery.backend import Listing, ReadOnly
from discovery.entry import MAX_ENTRIES, Certificates, Entry, parse_entry
from discovery.errors import DiscoveryError
from discovery.news import News
from discovery.options import parse_place, refuse_unknown, tls_context

OPTIONS = frozenset({"swarm.port", "swarm.cacertfile", "swarm.certfile", "swarm.keyfile"})
LABEL = "swarmproxy.engine"
SWARM_PORT = 2377
PLAIN_PORT, TLS_PORT = 2375, 2376

CALL_S = 10.0
"""The longest that one manager may take, if a heartbeat is not shorter."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 15.0
BURST_S = 0.1
"""After an event we look again this much later, so that many at once are few lists."""

MAX_BYTES = 64 * 1024 * 1024
_EVENTS = "/events?filters=" + quote(json.dumps({"type": ["node"]}))
_NOWHERE = ("0.0.0.0", "::", "")  # noqa: S104 - what managers tell of themselves, not what we listen on


class _Labelled(msgspec.Struct):
    Labels: dict[str, str] | None = None


class _Description(msgspec.Struct):
    Engine: _Labelled | None = None


class _Status(msgspec.Struct):
    State: str = ""
    Addr: str = ""


class _ManagerStatus(msgspec.Struct):
    Reachability: str = ""
    Addr: str = ""


class _Node(msgspec.Struct):
    ID: str = ""
    Spec: _Labelled | None = None
    Description: _Description | None = None
    Status: _Status | None = None
    ManagerStatus: _ManagerStatus | None = None

    @property
    def address(self) -> str:
        """Where the other nodes reach it; a manager may tell 0.0.0.0 or 127.0.0.1 of itself as a node (moby#35437)."""
        own = self.Status.Addr if self.Status is not None else ""
        if self.ManagerStatus is not None and (own in _NOWHERE or own.startswith("127.")):
            host = self.ManagerStatus.Addr.rpartition(":")[0].strip("[]")
            return host or own
        return own

    @property
    def label(self) -> str:
        """What is said of where its engine listens: by the swarm's operator, or else by the engine's own."""
        engine = self.Description.Engine if self.Description is not None else None
        for each in (self.Spec, engine):
            if each is not None and (found := (each.Labels or {}).get(LABEL)):
                return found
        return ""

    @property
    def is_ready(self) -> bool:
        return self.Status is not None and self.Status.State == "ready"


_NODES = msgspec.json.Decoder(list[_Node])


class _Silent(DiscoveryError):
    """A manager does not tell of changes, or not any more."""


@dataclass(frozen=True, slots=True)
class _Found:
    entries: tuple[Entry, ...]
    managers: tuple[Entry, ...]  # the engines of managers that can be asked the next time


class SwarmBackend(ReadOnly):
    """The engines of a swarm's nodes, in whatever state these are: `docker node rm` takes one off the list."""

    def __init__(self, rest: str, *, heartbeat_s: float, options: Mapping[str, str]) -> None:
        """Name the managers. Raises DiscoveryError if `rest` or the options are not what a swarm needs."""
        refuse_unknown(options, "swarm", OPTIONS)
        self._tls = tls_context(options, kind="swarm", what="managers of the swarm")
        self._port = _port(options.get("swarm.port", ""), TLS_PORT if self._tls else PLAIN_PORT)
        place = parse_place(rest, default_port=SWARM_PORT)
        if place.prefix:
            raise DiscoveryError("swarm discovery takes addresses of managers only: swarm://manager:2377,manager:2377")
        self._given = tuple(
            Entry(each.host, self._port if each.port == SWARM_PORT else each.port) for each in place.hosts
        )
        files = [options.get(f"swarm.{name}file", "") for name in ("cacert", "cert", "key")]
        self._certificates = Certificates(*files) if all(files) else None
        self._heartbeat_s = heartbeat_s
        self._call_s = min(CALL_S, heartbeat_s / 2)
        self._order = self._given  # whom to ask: the one that answered last comes first
        self.source = f"swarm://{','.join(map(str, place.hosts))}"

    async def watch(self) -> AsyncIterator[Listing]:
        """Yield the nodes, and again after each change: events tell of them, and the list is read at each heartbeat."""
        news, failures = News(), 0
        while True:
            async with self._client() as client:
                try:
                    manager, found = await self._ask(client)
                    if listing := news.read(found.entries):
                        yield listing
                    async with self._events(client, manager) as events:
                        while True:
                            # Also before the first event: what happened until events were followed is told by none.
                            listing = news.read(await self._read_again(client, manager))
                            failures = 0
                            if listing:
                                yield listing
                            if not await self._is_news(events):
                                break
                    continue
                except _Silent:  # another manager, or this one again, is asked at once: that fails if none answers
                    pause_s = FIRST_PAUSE_S * 2**failures if failures else 0.0
                except DiscoveryError as error:
                    pause_s = FIRST_PAUSE_S * 2**failures
                    if listing := news.failed(str(error)):
                        yield listing
                failures = min(failures + 1, 10)
            await asyncio.sleep(min(pause_s, LONGEST_PAUSE_S, self._heartbeat_s))

    async def fetch(self) -> tuple[Entry, ...]:
        """Return the nodes that a manager lists now. Raises DiscoveryError."""
        async with self._client() as client:
            return (await self._ask(client))[1].entries

    async def _ask(self, client: httpx.AsyncClient) -> tuple[Entry, _Found]:
        """Return the first manager that knows all nodes, and what it says. Raises DiscoveryError, with all reasons."""
        problems = []
        for manager in self._order:
            try:
                found = await self._read(client, manager)
            except DiscoveryError as error:
                problems.append(str(error))
                continue
            self._order = tuple(dict.fromkeys((manager, *self._given, *found.managers)))
            return manager, found
        raise DiscoveryError(f"no manager of the swarm says who its nodes are: {'; '.join(problems)}")

    async def _read_again(self, client: httpx.AsyncClient, manager: Entry) -> tuple[Entry, ...]:
        """Return the nodes that a manager lists which has just answered. Raises _Silent."""
        try:
            return (await self._read(client, manager)).entries
        except DiscoveryError as error:
            raise _Silent(str(error)) from error

    async def _read(self, client: httpx.AsyncClient, manager: Entry) -> _Found:
        try:
            # httpx loses a connection whose handshake is cancelled from outside: its own timeout has to come first.
            async with asyncio.timeout(self._call_s), client.stream("GET", f"{self._url(manager)}/nodes") as answer:
                body = bytearray()
                async for block in answer.aiter_bytes():
                    body += block
                    if len(body) > MAX_BYTES:
                        raise DiscoveryError(f"{manager} sends more than {MAX_BYTES} bytes")
        except (TimeoutError, httpx.TimeoutException) as error:
            raise DiscoveryError(f"{manager} does not answer") from error
        except (
            httpx.HTTPError,
            OSError,
        ) as error:  # the alert of a peer that dislikes our certificate is no httpx error
            raise DiscoveryError(f"{manager} cannot be asked: {_reason(error)}") from error
        if answer.status_code != 200:
            raise DiscoveryError(f"{manager} answers {answer.status_code}: {_message(bytes(body))}")
        try:
            nodes = _NODES.decode(bytes(body))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise DiscoveryError(f"{manager} is no engine: its list of nodes is not readable") from error
        if len(nodes) > MAX_ENTRIES:
            raise DiscoveryError(f"more than {MAX_ENTRIES} nodes from {manager}")
        return self._found(nodes)

    def _found(self, nodes: Sequence[_Node]) -> _Found:
        """Return the entries in the order of the nodes' IDs, each once: a node that joined anew has left one behind."""
        entries: dict[Entry, None] = {}
        managers: list[Entry] = []
        for node in sorted(nodes, key=lambda node: (not node.is_ready, node.ID)):
            with suppress(DiscoveryError):
                entry = self._entry(node)
                entries.setdefault(entry)
                if node.ManagerStatus is not None and node.ManagerStatus.Reachability == "reachable":
                    managers.append(entry)
        return _Found(tuple(sorted(entries)), tuple(managers))

    def _entry(self, node: _Node) -> Entry:
        """Return where the engine of `node` listens. Raises DiscoveryError if that cannot be told."""
        host = f"[{node.address}]" if ":" in node.address else node.address
        label = node.label
        if label.isdecimal() or not label:
            entry = parse_entry(f"{host}:{label or self._port}")
        else:
            entry = parse_entry(label)
            if entry.path or entry.ssh:  # no node may name a socket, or a login, of whoever reads the list
                raise DiscoveryError(f"the label {LABEL}={label} should be a port, or host:port")
        if entry.host in _NOWHERE:
            raise DiscoveryError(f"node {node.ID} has no address")
        return Entry(entry.host, entry.port, certificates=self._certificates)

    @asynccontextmanager
    async def _events(self, client: httpx.AsyncClient, manager: Entry) -> AsyncIterator[AsyncIterator[bytes]]:
        """Yield what `manager` tells of nodes from now on. Raises _Silent if it does not."""
        try:
            async with client.stream("GET", f"{self._url(manager)}{_EVENTS}", timeout=self._stream_timeout) as answer:
                if answer.status_code != 200:
                    raise _Silent(f"{manager} answers {answer.status_code} when asked for its events")
                yield _chunks(answer)
        except (httpx.HTTPError, OSError) as error:
            raise _Silent(f"{manager} tells no more of its nodes: {_reason(error)}") from error

    async def _is_news(self, events: AsyncIterator[bytes]) -> bool:
        """Return True soon after a change of nodes, False after a heartbeat without one or when the events end."""
        try:
            async with asyncio.timeout(self._heartbeat_s):
                await anext(events)
        except (TimeoutError, StopAsyncIteration):
            return False
        await asyncio.sleep(BURST_S)
        return True

    @property
    def _stream_timeout(self) -> httpx.Timeout:
        return httpx.Timeout(self._call_s / 2, read=None)

    def _url(self, manager: Entry) -> str:
        return f"{'https' if self._tls else 'http'}://{manager}"

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[httpx.AsyncClient]:
        verify = self._tls or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        async with httpx.AsyncClient(verify=verify, trust_env=False, timeout=self._call_s / 2) as client:
            yield client


async def _chunks(answer: httpx.Response) -> AsyncIterator[bytes]:
    """Yield what comes and is more than a sign of life."""
    async for chunk in answer.aiter_bytes():
        if chunk.strip():
            yield chunk


def _port(text: str, default: int) -> int:
    if not text:
        return default
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise DiscoveryError(f"swarm.port should be a port, not {text}")
    return int(text)


def _message(body: bytes) -> str:
    """Return what an engine, or Go's server where it speaks TLS and we do not, says of a refusal, in one line."""
    message = body[:200].decode(errors="replace").strip()
    with suppress(msgspec.MsgspecError, UnicodeDecodeError):
        message = msgspec.json.decode(body, type=dict[str, str]).get("message", "")[:200]
    return message if message.isprintable() and message else "no reason given"


def _reason(error: BaseException) -> str:
    """Return what lies at the bottom of an error of httpx, in a few words."""
    for each in _causes(error):
        if isinstance(each, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {each.verify_message}"
        if isinstance(each, ssl.SSLError):
            return f"TLS: {(each.reason or str(each)).replace('_', ' ').lower()}"
    return str(error) or type(error).__name__


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
