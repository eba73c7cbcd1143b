"""`token://host:port/TOKEN`: engines that register with a hub over HTTP, as Docker Hub was one until 2019.

`swarmproxy hub` is such a hub. A token names a cluster, and whoever knows it may list the cluster and register.
Options: `token.insecure=true` speaks plain http instead of https; `token.cacertfile` is the authority to trust instead
of the system's; `token.certfile` and `token.keyfile` are shown to a hub that demands a certificate; `token.hub` is the
hub of a bare `token://TOKEN`, as `host[:port][/path]`.
Source: classic Swarm 1.2, discovery/token/token.go.
"""

import asyncio
import errno
import os
import re
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
import msgspec

from discovery.backend import Listing
from discovery.entry import MAX_ENTRIES, Entry, parse_entry
from discovery.errors import DiscoveryError
from discovery.options import client_context, refuse_unknown

SWITCHED_OFF = (
    "the public token service of Docker Hub was switched off in 2019. Run a hub of your own with `swarmproxy hub`, "
    "get a token from it with `swarmproxy create --hub URL`, and use that as token://host:port/TOKEN"
)
OPTIONS = frozenset(
    {"token.insecure", "token.cacertfile", "token.certfile", "token.keyfile", "token.hub"},
)

CALL_S = 10.0
"""The longest that a call may take, if a heartbeat is not shorter."""

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 15.0
MAX_BYTES = 16 * 1024 * 1024

_BOOLEANS = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False, "": False}
_TOKEN = re.compile(r"[A-Za-z0-9._~-]{1,128}")
_SHOWN = 6  # characters of a token that may stand in a log
_MESSAGE_BYTES = 200


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes

    @property
    def message(self) -> str:
        """What a hub like ours, or a server of plain text, says of a refusal; empty if it is nothing to show."""
        message = self.body[:_MESSAGE_BYTES].decode(errors="replace").strip()
        with suppress(msgspec.DecodeError):
            message = msgspec.json.decode(self.body, type=dict[str, str]).get("message", "")
        return message[:_MESSAGE_BYTES] if message.isprintable() and not message.startswith("<") else ""


@dataclass(frozen=True, slots=True)
class Hub:
    """One hub, and how to trust it."""

    base: str  # of its URLs, without a slash at the end
    tls: ssl.SSLContext

    @classmethod
    def parse(cls, location: str, options: Mapping[str, str]) -> "Hub":
        """Return the hub at `[scheme://]host[:port][/path]`: https, unless the scheme or an option says http.

        Raises DiscoveryError.
        """
        refuse_unknown(options, "token", OPTIONS)
        insecure = _boolean(options, "token.insecure")
        scheme, separator, rest = location.rpartition("://")
        if separator and (scheme not in ("http", "https") or (scheme == "https" and insecure)):
            problem = "token.insecure is for plain http" if insecure else "a hub is reached by http or https"
            raise DiscoveryError(f"bad address of a hub: {location}: {problem}")
        base = f"{scheme or ('http' if insecure else 'https')}://{rest.rstrip('/')}"
        try:
            url = httpx.URL(base)
        except httpx.InvalidURL as error:
            raise DiscoveryError(f"bad address of a hub: {location}: {error}") from error
        if not url.host or url.userinfo or url.query or url.fragment or not location.isprintable() or " " in location:
            raise DiscoveryError(f"bad address of a hub: {location}: it should be host:port or host:port/path")
        return cls(base, _context(url.scheme, options))

    @property
    def location(self) -> str:
        """Where it is, as it stands in a `token://` URL."""
        return self.base.partition("://")[2]

    @property
    def is_plain(self) -> bool:
        """Whether tokens and entries cross the network in the clear."""
        return self.base.startswith("http://")

    async def create_token(self, *, timeout_s: float = CALL_S) -> str:
        """Return a new token. Raises DiscoveryError."""
        answer = await self.ask("POST", "/clusters", timeout_s=timeout_s)
        token = answer.body.decode("ascii", "replace").strip()
        if not 200 <= answer.status < 300:
            raise _refused(f"the hub at {self.location} gives no token", answer)
        if not _TOKEN.fullmatch(token):
            raise DiscoveryError(f"what is at {self.location} is no hub: it answers without a token")
        return token

    async def ask(
        self, method: str, path: str, *, timeout_s: float, body: str | None = None, ttl_s: int | None = None
    ) -> _Answer:
        """Return the hub's answer, whatever its status. Raises DiscoveryError, which never tells the token."""
        # A step may take half of the time. httpx loses a connection whose handshake is cancelled from outside, so its
        # own timeout has to come first, and does not bound an answer that drips.
        step_s = timeout_s / 2
        try:
            async with (
                asyncio.timeout(timeout_s),
                httpx.AsyncClient(verify=self.tls, trust_env=False, timeout=step_s) as client,
                client.stream(
                    method,
                    f"{self.base}{path}",
                    params=None if ttl_s is None else {"ttl": ttl_s},
                    content=body,
                    headers=None if body is None else {"Content-Type": "application/json"},
                ) as response,
            ):
                return _Answer(response.status_code, await _bounded(response))
        except (TimeoutError, httpx.TimeoutException) as error:
            raise DiscoveryError(f"the hub at {self.location} does not answer in time") from error
        except (
            httpx.HTTPError,
            OSError,
        ) as error:  # the alert of a peer that dislikes our certificate is no httpx error
            raise DiscoveryError(f"the hub at {self.location} cannot be asked: {_reason(error)}") from error


class TokenBackend:
    """The entries that a hub has under one token. It tells of no change, so it is asked at each heartbeat."""

    def __init__(self, rest: str, *, heartbeat_s: float, ttl_s: float, options: Mapping[str, str]) -> None:
        """Name hub and token: `TOKEN` or `host[:port][/path]/TOKEN`.

        Raises DiscoveryError if either is missing, or the options are not what a hub needs.
        """
        location, _, token = rest.rpartition("/")
        if not token:
            raise DiscoveryError("token is empty")
        if not _TOKEN.fullmatch(token):
            raise DiscoveryError("a token has letters, digits and -._~ only: token://host:port/TOKEN")
        if not location and not options.get("token.hub"):
            raise DiscoveryError(SWITCHED_OFF)
        self._hub = Hub.parse(location or options["token.hub"], options)
        self._path = f"/clusters/{token}"
        self._heartbeat_s = heartbeat_s
        self._ttl_s = ttl_s
        self._call_s = min(CALL_S, heartbeat_s)
        self._registered: set[Entry] = set()
        shown = token[:_SHOWN] if len(token) >= 4 * _SHOWN else ""
        self.source = f"token://{self._hub.location}/{shown}..."

    async def watch(self) -> AsyncIterator[Listing]:
        """Yield the entries when a heartbeat's answer differs from the one before; their order does not count."""
        listing: Listing | None = None
        good, failures = Listing(()), 0
        while True:
            try:
                good, failures = Listing(await self.fetch(), read_at=time.time()), 0
                new, pause_s = good, self._heartbeat_s
            except DiscoveryError as error:
                new = Listing(good.entries, read_at=good.read_at, error=str(error))
                pause_s = min(FIRST_PAUSE_S * 2 ** min(failures, 10), LONGEST_PAUSE_S, self._heartbeat_s)
                failures += 1
            if listing is None or new.error != listing.error or sorted(new.entries) != sorted(listing.entries):
                listing = new
                yield listing
            await asyncio.sleep(pause_s)

    async def fetch(self) -> tuple[Entry, ...]:
        """Return what the hub lists now. Whatever there is no address harms no other. Raises DiscoveryError."""
        answer = await self._hub.ask("GET", self._path, timeout_s=self._call_s)
        if answer.status != 200:
            raise _refused("Failed to fetch entries, Discovery service", answer)
        try:
            listed = msgspec.json.decode(answer.body, type=list[Any] | None)  # Go writes an empty list as null
        except msgspec.DecodeError as error:
            raise DiscoveryError(f"Failed to decode response: {error}") from error
        entries = tuple(_entries(listed or []))
        if len(entries) > MAX_ENTRIES:
            raise DiscoveryError(f"more than {MAX_ENTRIES} addresses from the hub at {self._hub.location}")
        return entries

    async def register(self, entry: Entry) -> None:
        """Tell the hub of `entry`, for whole seconds. Raises DiscoveryError, also where classic did not look."""
        if entry.path:
            raise DiscoveryError(f"address {entry}: a hub lists host:port only")
        self._registered.add(entry)
        answer = await self._hub.ask(
            "POST", self._path, timeout_s=self._call_s, body=str(entry), ttl_s=max(1, int(self._ttl_s))
        )
        if not 200 <= answer.status < 300:
            raise _refused("Failed to register, Discovery service", answer)

    async def unregister(self, entry: Entry) -> None:
        """Take `entry` away, which only a hub like ours can: elsewhere it expires. Raises DiscoveryError."""
        if entry not in self._registered:
            return
        path = f"{self._path}/{quote(str(entry), safe='')}"
        answer = await self._hub.ask("DELETE", path, timeout_s=self._call_s)
        if answer.status in (404, 405, 501):
            return
        if not 200 <= answer.status < 300:
            raise _refused("Failed to take the entry away, Discovery service", answer)
        self._registered.discard(entry)


def _entries(listed: list[Any]) -> Iterator[Entry]:
    """Yield the addresses in a hub's answer; no member may name a socket of whoever reads the list."""
    for text in listed:
        if isinstance(text, str):
            with suppress(DiscoveryError):
                entry = parse_entry(text)
                if not entry.path:
                    yield entry


def _refused(what: str, answer: _Answer) -> DiscoveryError:
    """Return the error for an answer that is no success, in classic's words, and the hub's if it has any."""
    said = f": {answer.message}" if answer.message else ""
    return DiscoveryError(f"{what} returned {answer.status} HTTP status code{said}")


async def _bounded(response: httpx.Response) -> bytes:
    """Return the whole body. Raises DiscoveryError if it is too long for any list."""
    body = bytearray()
    async for block in response.aiter_bytes():
        body += block
        if len(body) > MAX_BYTES:
            raise DiscoveryError(f"the hub at {response.url.host} sends more than {MAX_BYTES} bytes")
    return bytes(body)


def _reason(error: BaseException) -> str:
    """Return in a few words what is behind an error of httpx: the one of TLS, or of the kernel."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError) and cause.reason == "WRONG_VERSION_NUMBER":
            return "it does not speak TLS (token.insecure=true is for plain http)"
        if isinstance(cause, ssl.SSLError):
            return f"TLS: {(cause.reason or str(cause)).replace('_', ' ').lower()}"
        if isinstance(cause, socket.gaierror):
            return f"{cause.strerror or cause}".lower()
        if isinstance(cause, OSError) and cause.errno is not None and cause.errno in errno.errorcode:
            return os.strerror(cause.errno).lower()
        cause = cause.__cause__ or cause.__context__
    return str(error) or type(error).__name__


def _context(scheme: str, options: Mapping[str, str]) -> ssl.SSLContext:
    """Return whom to trust, and what to show. Raises DiscoveryError unless the files are there and fit."""
    authority, certificate, key = (options.get(f"token.{name}file", "") for name in ("cacert", "cert", "key"))
    if scheme == "http":
        if authority or certificate or key:
            raise DiscoveryError("token.cacertfile, token.certfile and token.keyfile are of no use with plain http")
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # is not used, and trusts nobody
    if bool(certificate) != bool(key):
        raise DiscoveryError("token.certfile and token.keyfile go together")
    try:
        return client_context(authority, certificate, key)
    except OSError as error:  # ssl.SSLError is one
        raise DiscoveryError(f"cannot use the TLS files for the hub: {error.strerror or error}") from error


def _boolean(options: Mapping[str, str], name: str) -> bool:
    value = options.get(name, "")
    if value.lower() not in _BOOLEANS:
        raise DiscoveryError(f"{name} is true or false, not '{value}'")
    return _BOOLEANS[value.lower()]
