"""The calls we make to an engine on our own account, each with its deadline."""

import asyncio
import http
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from swarmproxy.engine.settings import EngineSettings
from swarmproxy.errors import EngineError, EngineUnreachable, Exhausted, ProtocolViolation, SwarmError
from swarmproxy.model.members import NOT_JSON
from swarmproxy.wire.address import Address
from swarmproxy.wire.fetch import Answer, fetch
from swarmproxy.wire.lines import LINE_LIMIT_BYTES, Lines, lines
from swarmproxy.wire.pool import Pool
from swarmproxy.wire.transport import PoolTransport
from swarmproxy.wire.whole import Pipeline, WholeAnswer

T = TypeVar("T")

MESSAGE_LIMIT = 8192  # characters of an engine's error that we pass on
CONTAINERS, IMAGES, NETWORKS, VOLUMES = LISTS = (
    "/containers/json?all=1",
    "/images/json?all=1",  # intermediate ones included
    "/networks",
    "/volumes",
)
_LIST_OF_ONE = "/containers/json?all=1&filters=%7B%22id%22%3A%5B%22"  # {"id":["
JSON = {"Content-Type": "application/json"}

Moments = tuple[str, str]
"""Of the engine's clock, in seconds: what it remembers from the one on comes first, and at the other an event stream
ends. Empty ones: nothing that was before, and never."""


class Created(msgspec.Struct, frozen=True):
    """What an engine answers to a create."""

    id: str = msgspec.field(name="Id")
    warnings: list[str] | None = msgspec.field(name="Warnings", default=None)


class _Message(msgspec.Struct):
    message: str | None = None


class Calls:
    """Several reads that were sent together. Their bodies come one by one, in the order of the calls."""

    __slots__ = ("_client", "_pipeline", "_targets")

    def __init__(self, client: "EngineClient", pipeline: Pipeline, targets: Sequence[str]) -> None:
        self._client = client
        self._pipeline = pipeline
        self._targets = iter(targets)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pipeline.close()

    async def next_answer(self, *, counts: bool = True) -> WholeAnswer:
        """Return the next answer. Raises as every call; after EngineError the next one still comes.

        Unless it `counts`, that no answer comes says nothing of the engine.
        """
        if (answer := self._pipeline.take()) is None:
            try:
                answer = await self._pipeline.next()
            except EngineUnreachable as error:
                raise self._client.unreachable(error, counts=counts) from error
            self._client.answered()
        return self._checked(answer)

    def take(self) -> bytes | None:
        """Return the body of the next answer if it is here already, likewise."""
        answer = self._pipeline.take()
        return None if answer is None else self._checked(answer).body

    async def next(self, *, counts: bool = True) -> bytes:
        """Return the body of the next answer, likewise."""
        return (await self.next_answer(counts=counts)).body

    def _checked(self, answer: WholeAnswer) -> WholeAnswer:
        target = next(self._targets)
        if answer.head.status >= 400:
            raise engine_error(answer.head.status, answer.body, target)
        return answer


class EngineClient:
    """One engine's API: frequent reads go the lean way (`wire.fetch`), others through httpx on the same pool.

    Every call raises EngineUnreachable when the engine does not take the connection or does not answer in
    time, EngineError for a status of 400 and above, ProtocolViolation for an answer that cannot be read.
    `on_answer` and `on_failure` hear of whatever shows that the engine is there or is not.
    """

    def __init__(
        self,
        address: Address,
        pool: Pool,
        settings: EngineSettings,
        *,
        on_answer: Callable[[], None],
        on_failure: Callable[[SwarmError], None],
    ) -> None:
        self._address = address
        self._pool = pool
        self._settings = settings
        self._on_answer = self.answered = on_answer
        self._on_failure = on_failure
        self._lazy_http: httpx.AsyncClient | None = None
        self.api_version = ""  # of our own paths; empty: unversioned, until the engine is known

    @property
    def url(self) -> str:
        """The address as `docker -H` takes it."""
        return f"tcp://{text}" if "://" not in (text := str(self._address)) else text

    # -- reading what the engine is: unversioned, since we do not know yet what it speaks

    async def ping(self, *, timeout_s: float | None = None) -> str:
        """Return the newest API version that the engine names; empty if it names none."""
        answer = await self._fetch("/_ping", timeout_s or self._settings.probe_timeout_s)
        return answer.headers.get("api-version", "")

    async def version(self, *, timeout_s: float | None = None) -> bytes:
        """Return the body of `/version`."""
        return (await self._fetch("/version", timeout_s or self._settings.step_timeout_s)).body

    async def info(self, *, timeout_s: float | None = None) -> bytes:
        """Return the body of `/info`."""
        return (await self._fetch("/info", timeout_s or self._settings.step_timeout_s)).body

    def who_it_is(self, *, timeout_s: float) -> Calls:
        """Ask for `/_ping`, `/version` and `/info`, each within `timeout_s`. Used as a context manager."""
        return self._together(("/_ping", "/version", "/info"), timeout_s)

    # -- reading what it holds

    def lists(self, *paths: str) -> Calls:
        """Ask for several of LISTS. Used as a context manager."""
        return self._together([self._versioned(path) for path in paths], self._settings.list_timeout_s)

    def inspects(self, container_ids: Iterable[str]) -> Calls:
        """Ask for the inspects of containers. Used as a context manager."""
        before, after = self._versioned("/containers/"), "/json"
        targets = [f"{before}{each if each.isalnum() else quote(each, safe='')}{after}" for each in container_ids]
        return self._together(targets, self._settings.step_timeout_s)

    def looks_at(self, container_id: str) -> Calls:
        """Ask for the list with nothing but this container, in whatever state, and for its inspect.

        Used as a context manager. That the inspect does not come says nothing of the engine.
        """
        name = container_id if container_id.isalnum() else quote(container_id, safe="")
        targets = [self._versioned(f"{_LIST_OF_ONE}{name}%22%5D%7D"), self._versioned(f"/containers/{name}/json")]
        return self._together(targets, self._settings.step_timeout_s)

    async def list(self, path: str, *, counts: bool = True) -> bytes:
        """Return the body of one of LISTS. Unless it `counts`, that it does not come says nothing of the engine."""
        return (await self._fetch(self._versioned(path), self._settings.list_timeout_s, counts=counts)).body

    async def events(
        self, on_line: Callable[[bytes], None], moments: Moments, again: Callable[[], Moments | None]
    ) -> Lines:
        """Open the event stream: `on_line` is called with each line as it happens. The caller ends it.

        When it ends at the moment that was asked for, `again` says whether another one follows.
        """
        timeout_s = self._settings.step_timeout_s

        def further() -> str | None:
            return None if (moments := again()) is None else self._events_target(moments)

        try:
            stream = await lines(
                self._pool,
                self._events_target(moments),
                timeout_s=timeout_s,
                on_line=on_line,
                on_bytes=self._on_answer,
                again=further,
            )
        except EngineUnreachable as error:
            raise self.unreachable(error) from error
        raise_if_refused(stream)
        return stream

    def _events_target(self, moments: Moments) -> str:
        asked = "&".join(
            [f"{name}={moment}" for name, moment in zip(("since", "until"), moments, strict=True) if moment]
        )
        return self._versioned(f"/events?{asked}" if asked else "/events")

    # -- control

    async def get_raw(self, path: str, *, timeout_s: float | None = None) -> bytes:
        """Return the body of what the engine answers to `GET path` (without version)."""
        return (await self._request("GET", path, timeout_s=timeout_s or self._settings.step_timeout_s)).content

    async def start_container(self, container_id: str) -> None:
        """Start a container; one that runs already is no error."""
        await self._request("POST", f"/containers/{quote(container_id, safe='')}/start")

    async def stop_container(self, container_id: str, *, grace_s: float) -> None:
        """Stop a container, which has its own stop timeout, `grace_s`, to end by itself."""
        path = f"/containers/{quote(container_id, safe='')}/stop"
        await self._request("POST", path, timeout_s=grace_s + self._settings.control_timeout_s)

    async def pause_container(self, container_id: str) -> None:
        """Pause a container that runs."""
        await self._request("POST", f"/containers/{quote(container_id, safe='')}/pause")

    async def connect(self, network: str, container_id: str, endpoint: Mapping[str, Any]) -> None:
        """Put a container on a network; `endpoint` is Docker's EndpointSettings."""
        body = msgspec.json.encode({"Container": container_id, "EndpointConfig": endpoint})
        await self._request("POST", f"/networks/{quote(network, safe='')}/connect", headers=JSON, content=body)

    async def disconnect(self, network: str, container: str, *, force: bool) -> None:
        """Take a container, which by `force` may be on another node, off a network."""
        body = msgspec.json.encode({"Container": container, "Force": force})
        path = f"/networks/{quote(network, safe='')}/disconnect"
        await self._request("POST", path, headers=JSON, content=body)

    async def remove_container(self, container_id: str, *, force: bool = False, volumes: bool = False) -> None:
        """Remove a container."""
        params = {key: "1" for key, wanted in (("force", force), ("v", volumes)) if wanted}
        await self._request("DELETE", f"/containers/{quote(container_id, safe='')}", params=params)

    async def exec_inspect(self, exec_id: str) -> bytes:
        """Return the body of an exec instance's inspect."""
        return await self.get_raw(f"/exec/{quote(exec_id, safe='')}/json")

    async def init_swarm(self, body: bytes) -> bytes:
        """Make the engine the first manager of a new swarm; return the answer, its node ID as JSON."""
        return (await self._request("POST", "/swarm/init", headers=JSON, content=body)).content

    async def join_swarm(self, body: bytes) -> None:
        """Have the engine join a swarm. It answers when it takes part, or after 20 s, and goes on trying then."""
        await self._request("POST", "/swarm/join", headers=JSON, content=body)

    async def leave_swarm(self) -> None:
        """Have the engine leave its swarm, with or without the others' consent; its tasks end."""
        await self._request("POST", "/swarm/leave", params={"force": "1"})

    async def unlock_swarm(self, body: bytes) -> None:
        """Give the engine the key, which is in `body`, that its part in a swarm is locked with."""
        await self._request("POST", "/swarm/unlock", headers=JSON, content=body)

    async def close(self) -> None:
        """Give up the httpx client. The pool is its owner's to close."""
        if self._lazy_http is not None:
            await self._lazy_http.aclose()

    def decode(self, body: bytes, type_: type[T], path: str) -> T:
        """Return `body`, the engine's answer to `path`, as `type_`. Raises ProtocolViolation."""
        try:
            return msgspec.json.decode(body, type=type_)
        except NOT_JSON as error:
            raise ProtocolViolation(f"{self._address} answers {path} with something unreadable: {error}") from error

    # -- how

    @property
    def _http(self) -> httpx.AsyncClient:
        if self._lazy_http is None:
            self._lazy_http = httpx.AsyncClient(
                transport=PoolTransport(self._pool),
                trust_env=False,
                timeout=None,  # noqa: S113 - each call has its own deadline
                headers={"User-Agent": "swarmproxy", "Accept-Encoding": "identity"},
            )
        return self._lazy_http

    def _together(self, targets: Sequence[str], timeout_s: float) -> Calls:
        return Calls(self, Pipeline(self._pool, targets, timeout_s=timeout_s), targets)

    def _versioned(self, path: str) -> str:
        return f"/v{self.api_version}{path}" if self.api_version else path

    def _url(self, path: str) -> str:
        return f"http://docker{self._versioned(path)}"

    async def _fetch(
        self, target: str, timeout_s: float, *, headers: Sequence[tuple[str, str]] = (), counts: bool = True
    ) -> Answer:
        try:
            answer = await fetch(self._pool, "GET", target, headers=headers, timeout_s=timeout_s)
        except EngineUnreachable as error:
            raise self.unreachable(error, counts=counts) from error
        self._on_answer()
        if answer.status >= 400:
            raise engine_error(answer.status, answer.body, target)
        return answer

    async def _request(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        content: bytes | None = None,
        timeout_s: float | None = None,
    ) -> httpx.Response:
        request = self._http.build_request(
            method, self._url(path), params=params or None, headers=headers, content=content
        )
        return await self._send(request, timeout_s or self._settings.control_timeout_s)

    async def _send(self, request: httpx.Request, timeout_s: float) -> httpx.Response:
        try:
            async with asyncio.timeout(timeout_s):
                response = await self._http.send(request)
        except TimeoutError as error:
            late = EngineUnreachable(f"no answer to {request.method} {request.url.path} within {timeout_s:g} s")
            raise self.unreachable(late) from error
        except (httpx.HTTPError, EngineUnreachable) as error:
            raise self.unreachable(error) from error
        self._on_answer()
        if response.status_code >= 400:
            raise engine_error(response.status_code, response.content, request.url.path)
        return response

    def unreachable(self, cause: Exception, *, counts: bool = True) -> EngineUnreachable:
        """Return the failure in the words that clients know, with the cause in brackets, and count it.

        Source: classic Swarm 1.2, cluster/engine.go.
        """
        if isinstance(cause, Exhausted) or isinstance(cause.__cause__, Exhausted):  # httpx wraps it
            return Exhausted(str(cause))
        error = EngineUnreachable(
            f"Cannot connect to the Docker daemon at {self.url}. Is the docker daemon running? ({cause})"
        )
        if counts:
            self._on_failure(error)
        return error


def raise_if_refused(stream: Lines) -> None:
    """Raise EngineError if the engine has refused to tell its events."""
    if stream.status >= 400:
        raise engine_error(stream.status, stream.refusal[:MESSAGE_LIMIT], "/events")


def engine_error(status: int, body: bytes, target: str) -> EngineError:
    """Return an engine's refusal in its own words, or in classic's where it has none."""
    message = ""
    try:
        message = msgspec.json.decode(body, type=_Message).message or ""
    except NOT_JSON:
        message = body[: 4 * MESSAGE_LIMIT].decode(errors="replace").strip()
    if not message:
        try:
            phrase = http.HTTPStatus(status).phrase
        except ValueError:
            phrase = ""
        message = f"request returned {f'{status} {phrase}'.strip()} for {target} without saying why"
    return EngineError(status, message[:MESSAGE_LIMIT])


async def split_lines(chunks: AsyncIterator[bytes], *, on_chunk: Callable[[], None]) -> AsyncGenerator[bytes, None]:
    """Yield the lines of a stream that are not empty.

    The last one counts without its newline only if it is whole JSON. Raises ProtocolViolation for a line over
    the limit.
    """
    rest = b""
    async for chunk in chunks:
        on_chunk()
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if stripped := line.strip():
                yield stripped
        if len(rest) > LINE_LIMIT_BYTES:
            raise ProtocolViolation(f"a line of more than {LINE_LIMIT_BYTES} bytes from an engine")
    if rest.strip():
        try:
            msgspec.json.decode(rest)
        except NOT_JSON:
            return
        yield rest.strip()
