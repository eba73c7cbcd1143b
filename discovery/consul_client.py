"""One consul, asked through py-consul, on a connection of ours: the library's own asyncio form would need aiohttp."""

import asyncio
import base64
import json
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partialmethod
from typing import Any

import consul.base
import msgspec
from consul import ConsulException
from consul.callback import CB
from consul.exceptions import NotFound

from discovery.entry import Entry
from discovery.errors import DiscoveryError, DiscoveryRefusedError
from discovery.http import HttpConnection
from discovery.options import Place, parse_place, refuse_unknown, secret, tls_context

FLAGS = 3304740253564472344
"""What Go's client marks its locks with; it stops at a key with other flags. Source: consul/api, LockFlagValue."""

WAIT_S = 15.0
"""The longest that a question for changes stays open. Source: classic Swarm, which asked the same."""

OPTIONS = frozenset({"consul.token", "consul.token.file"})

_DEFAULT_PORT = 8500
_LOCK_DELAY = "1ms"
_TTL_RANGE = re.compile(r"must be between \[([0-9.a-z]+)=([0-9.a-z]+)\]")
_DURATION = re.compile(r"([0-9.]+)(h|ms|m|s)")
_UNITS_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}

_Params = Sequence[tuple[str, Any]]
_Decode = Callable[[consul.base.Response], Any]


class Key(msgspec.Struct, frozen=True, rename="pascal"):
    """One key as consul tells it."""

    value: str | None = None
    """In base64."""
    session: str = ""
    """That of whoever holds its lock, or empty."""
    modify_index: int = 0

    @property
    def content(self) -> bytes:
        """The value."""
        return base64.b64decode(self.value or "")

    @property
    def text(self) -> str:
        """The value; empty if it is not text."""
        try:
            return self.content.decode()
        except ValueError:
            return ""


_KEYS = msgspec.json.Decoder(list[Key])


@dataclass(frozen=True, slots=True)
class Server:
    """Which consul, and as whom."""

    host: Entry
    token: str
    tls: ssl.SSLContext | None

    def __str__(self) -> str:
        return f"consul at {self.host}"

    @asynccontextmanager
    async def connect(self, timeout_s: float) -> AsyncIterator["Calls"]:
        """Yield the calls, each of which may take `timeout_s`. Nothing is opened before the first."""
        client = _Client(self)
        try:
            yield Calls(client, str(self), timeout_s)
        finally:
            client.http.close()


def parse_url(rest: str, options: Mapping[str, str]) -> tuple[Server, Place]:
    """Return what `host:port/prefix` and the options name. Raises DiscoveryError."""
    refuse_unknown(options, "consul", OPTIONS)
    place = parse_place(rest, default_port=_DEFAULT_PORT)
    if len(place.hosts) > 1:
        raise DiscoveryError("consul does not support multiple endpoints")
    return Server(place.hosts[0], secret(options, "consul.token"), tls_context(options)), place


class Calls:
    """What we ask of consul. Every call raises DiscoveryError when it fails, or takes too long."""

    def __init__(self, client: "_Client", name: str, timeout_s: float) -> None:
        self._client = client
        self._name = name
        self._timeout_s = timeout_s

    async def read_below(self, directory: str, *, index: int = 0, wait_s: float = 0) -> tuple[int, list[Key]]:
        """Return all keys below `directory`, and the index that they are at.

        With an `index`, wait up to `wait_s` for one that differs.
        """
        return await self._get(f"{directory}/", index=index, wait_s=wait_s, recurse=True)

    async def get(
        self, key: str, *, index: int = 0, wait_s: float = 0, consistent: bool = False
    ) -> tuple[int, Key | None]:
        """Return `key`, if it is there, and the index that it is at; waits like `read_below`.

        `consistent`: as it is now, also if the server we ask was the leader of its cluster a moment ago.
        """
        index, found = await self._get(key, index=index, wait_s=wait_s, recurse=False, consistent=consistent)
        return index, found[0] if found else None

    async def put(self, key: str, value: bytes, *, index: int | None = None) -> bool:
        """Set `key` for good, with an `index` only if that is the key's (0: there is none); say whether it was."""
        return bool(await self._ask(self._client.kv.put(key, value, cas=index)))

    async def acquire(self, key: str, session: str, value: str) -> bool:
        """Set `key` and lock it for `session`; say whether it now is, or was already."""
        return bool(await self._ask(self._client.kv.put(key, value.encode(), flags=FLAGS, acquire=session)))

    async def release(self, key: str, session: str, value: str) -> None:
        """Set `key` and give up the lock of `session` on it, if it has that; the key stays."""
        await self._ask(self._client.kv.put(key, value.encode(), flags=FLAGS, release=session))

    async def create_session(self, ttl_s: float, behavior: str) -> str:
        """Return a new session that lives for `ttl_s` after each renewal, as long as the lock's owner was promised.

        consul keeps a session for twice the TTL that it is told, so it is told half, as classic does. `behavior`
        is what becomes of its keys: "delete" or "release". Unlike with consul's default, nothing but time ends
        it: a health check that fails could end the session of a leader who cannot know of it yet.
        """
        # py-consul's own call takes neither a TTL under 10 s nor one in milliseconds.
        body = {
            "TTL": f"{round(ttl_s * 1000 / 2)}ms",
            "Behavior": behavior,
            "LockDelay": _LOCK_DELAY,
            "Checks": [],
            "NodeChecks": [],
        }
        try:
            created = await self._ask(
                self._client.http.put(
                    CB.json(is_id=True),
                    "/v1/session/create",
                    headers=self._client.prepare_headers(),
                    data=json.dumps(body),
                )
            )
        except DiscoveryError as error:
            if allowed := _TTL_RANGE.search(str(error)):
                shortest_s, longest_s = (_seconds(text) * 2 for text in allowed.groups())
                raise DiscoveryRefusedError(
                    f"{self._name} refuses a TTL of {ttl_s:g} s: it has to be from {shortest_s:g} to {longest_s:g} s "
                    "(the server's session_ttl_min is half of the least)"
                ) from error
            raise
        return str(created)

    async def renew(self, session: str) -> bool:
        """Give `session` its whole time again; say whether it still lived."""
        try:
            await self._ask(self._client.session.renew(session))
        except _Gone:
            return False
        return True

    async def destroy(self, session: str) -> None:
        """End `session`, and with it what its behavior says."""
        await self._ask(self._client.session.destroy(session))

    async def _get(
        self, key: str, *, index: int, wait_s: float, recurse: bool, consistent: bool = False
    ) -> tuple[int, list[Key]]:
        params: list[tuple[str, str]] = [("recurse", "1")] if recurse else []
        params += [("consistent", "1")] if consistent else []
        if index:
            params += [("index", str(index)), ("wait", f"{round(wait_s * 1000)}ms")]
        # py-consul's own call takes three times as long to decode a long list.
        call = self._client.http.get(_decode_keys, f"/v1/kv/{key}", params, self._client.prepare_headers())
        # consul adds up to a sixteenth to the wait, so that not all come back at once.
        found: tuple[int, list[Key]] = await self._ask(call, more_s=wait_s * 17 / 16 if index else 0)
        return found

    async def _ask(self, call: Awaitable[Any], *, more_s: float = 0) -> Any:
        try:
            async with asyncio.timeout(self._timeout_s + more_s):
                return await call
        except TimeoutError as error:
            raise DiscoveryError(f"{self._name} does not answer") from error
        except OSError as error:
            reason = str(error) or type(error).__name__
            raise DiscoveryError(f"{self._name} cannot be reached: {reason}") from error
        except NotFound as error:
            raise _Gone(f"{self._name}: {_line(error)}") from error
        except ConsulException as error:
            raise DiscoveryError(f"{self._name}: {_line(error)}") from error
        except (ValueError, KeyError, TypeError, msgspec.MsgspecError) as error:
            raise DiscoveryError(f"{self._name} answers what consul would not: {error!r}") from error


class _Gone(DiscoveryError):
    """A session does not live any more."""


class _Client(consul.base.Consul):  # type: ignore[misc]
    """py-consul's client, which here returns awaitables."""

    def __init__(self, server: Server) -> None:
        self._server = server
        host = f"[{server.host.host}]" if ":" in server.host.host else server.host.host
        super().__init__(host, server.host.port, scheme="https" if server.tls else "http", verify=True)
        # Not what CONSUL_HTTP_TOKEN says, which the library prefers to the token that it is given.
        self.token = server.token

    def http_connect(
        self,
        host: str,
        port: int,
        scheme: str,
        verify: bool | str = True,
        cert: object = None,
    ) -> "_Http":
        return _Http(host, port, scheme, verify, cert, connection=HttpConnection(self._server.host, self._server.tls))


class _Http(consul.base.HTTPClient):  # type: ignore[misc]
    """py-consul's way to send a request."""

    def __init__(self, *arguments: object, connection: HttpConnection) -> None:
        super().__init__(*arguments)
        self._connection = connection

    async def _send(
        self,
        method: str,
        decode: _Decode,
        path: str,
        params: _Params | None = None,
        headers: Mapping[str, str] | None = None,
        data: str | bytes = b"",
    ) -> Any:
        target = self.uri(path, params).removeprefix(self.base_uri)
        body = data.encode() if isinstance(data, str) else data
        answer = await self._connection.ask(method, target, headers or {}, body)
        # A long list is decoded as it is; what consul says of a failure is shown.
        said = answer.body if answer.status == 200 else answer.body.decode(errors="replace")
        return decode(consul.base.Response(answer.status, answer.headers, said))

    get = partialmethod(_send, "GET")
    put = partialmethod(_send, "PUT")
    delete = partialmethod(_send, "DELETE")
    post = partialmethod(_send, "POST")

    def close(self) -> None:
        self._connection.close()


def _decode_keys(answer: consul.base.Response) -> tuple[int, list[Key]]:
    """Return the index and the keys, none of which is an answer, too. Raises as all of py-consul does."""
    if answer.code != 200:
        CB.json()(answer)  # which returns only if it is a 404
    index = int(answer.headers["x-consul-index"])
    return index, _KEYS.decode(answer.body) if answer.code == 200 else []


def _line(error: Exception) -> str:
    """Return the first line of what consul says, not too long."""
    return (str(error).strip().splitlines() or ["no reason given"])[0][:300]


def _seconds(duration: str) -> float:
    """Return the seconds of a duration as Go writes it."""
    return sum(float(number) * _UNITS_S[unit] for number, unit in _DURATION.findall(duration))
