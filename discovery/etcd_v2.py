"""A connection to etcd's v2 keys API, the one that classic Swarm speaks."""

import re
from types import TracebackType
from typing import Self
from urllib.parse import quote

import httpx
import msgspec

from discovery.errors import DiscoveryError
from discovery.etcd_options import EtcdOptions
from discovery.options import tls_context

CALL_S = 3.0
"""For how long one endpoint may think about one call before the next is asked."""

MISSING, COMPARE_FAILED, EXISTS, HISTORY_LOST = 100, 101, 105, 401
_OURS_TO_RETRY = 300  # codes from here on to 399 are etcd's own trouble: no leader, an election

_SLASHES = re.compile("/+")  # etcd would send us to the address with single ones


class Node(msgspec.Struct, frozen=True, rename="camel"):
    """A key, or a directory with what is below it."""

    key: str = ""
    value: str = ""
    dir: bool = False
    ttl: int | None = None
    modified_index: int = 0
    nodes: "tuple[Node, ...]" = ()


class Answer(msgspec.Struct, frozen=True, rename="camel"):
    """What etcd says to any request, or about any change."""

    action: str = ""
    node: Node = Node()
    error_code: int = 0
    message: str = ""
    cause: str = ""
    index: int = 0
    """That of the whole store. On an error it is in the body, else in the header: `Keys` puts it here."""


class V2IsOffError(DiscoveryError):
    """This etcd does not serve the v2 API."""


class Endpoints:
    """The endpoints of one backend, and which of them answered last."""

    def __init__(self, options: EtcdOptions) -> None:
        self.all = options.endpoints
        self.current = 0

    def turn_from(self, number: int) -> None:
        """Go on to the next, unless somebody else did already."""
        if number == self.current:
            self.current = (number + 1) % len(self.all)


class Keys:
    """One user's connection, to be entered and left."""

    def __init__(self, options: EtcdOptions, endpoints: Endpoints, *, call_s: float = CALL_S) -> None:
        """Open nothing yet. `call_s`: for how long one endpoint may think about one call."""
        self._options = options
        self._endpoints = endpoints
        self._call_s = call_s
        self._client: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def ask(
        self, method: str, key: str, *, query: dict[str, str] | None = None, form: dict[str, str] | None = None
    ) -> Answer:
        """Return what one endpoint after the other says; a refusal is an answer with an `error_code`.

        What changes something may have been done although an endpoint failed: the caller makes it repeatable.
        Raises DiscoveryError with the reason of the last endpoint.
        """
        failure: Exception
        for _ in self._endpoints.all:
            number = self._endpoints.current
            try:
                answer = await self._ask(number, method, key, query or {}, form, self._call_s)
            except httpx.HTTPError as error:
                failure = error
                reason = "deadline exceeded" if isinstance(error, httpx.TimeoutException) else str(error)
            else:
                if not _OURS_TO_RETRY <= answer.error_code < _OURS_TO_RETRY + 100:
                    return answer
                failure = DiscoveryError(answer.message)
                reason = answer.message
            self._endpoints.turn_from(number)
        raise DiscoveryError(f"etcd at {self._endpoints.all[number]} does not answer: {reason}") from failure

    async def wait(self, key: str, after: int, *, timeout_s: float) -> Answer | None:
        """Return the first change of `key`, or below it, after index `after`; None if there is none for `timeout_s`.

        Raises DiscoveryError.
        """
        number = self._endpoints.current
        query = {"wait": "true", "recursive": "true", "waitIndex": str(after + 1)}
        try:
            answer = await self._ask(number, "GET", key, query, None, timeout_s)
        except httpx.ReadTimeout:
            return None
        except httpx.HTTPError as error:
            self._endpoints.turn_from(number)
            raise DiscoveryError(f"etcd at {self._endpoints.all[number]} has hung up") from error
        return answer if answer.action or answer.error_code else None

    async def _ask(
        self, number: int, method: str, key: str, query: dict[str, str], form: dict[str, str] | None, read_s: float
    ) -> Answer:
        if self._client is None:
            self._client = _open_client(self._options)
        scheme = "http" if not self._options.tls else "https"
        url = f"{scheme}://{self._endpoints.all[number]}/v2/keys/{quote(_SLASHES.sub('/', key), safe='/:')}"
        timeout = httpx.Timeout(self._call_s, read=read_s)
        response = await self._client.request(method, url, params=query, data=form, timeout=timeout)
        if not response.content and response.is_success:
            return Answer()  # a wait that the server has ended
        try:
            answer = msgspec.json.decode(response.content, type=Answer)
        except msgspec.MsgspecError as error:
            if response.status_code == httpx.codes.NOT_FOUND:
                raise V2IsOffError(
                    f"etcd at {self._endpoints.all[number]} does not serve the v2 API: start it with --enable-v2, "
                    "or use etcd.api=v3"
                ) from error
            raise DiscoveryError(
                f"etcd at {self._endpoints.all[number]} answers {response.status_code} and no JSON"
            ) from error
        if response.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise DiscoveryError(f"etcd refuses: {answer.message or response.reason_phrase}")
        index = answer.index or int(response.headers.get("X-Etcd-Index", "0"))
        return msgspec.structs.replace(answer, index=index)


def refuse(answer: Answer) -> None:
    """Raise DiscoveryError with what etcd says, if it is an error."""
    if answer.error_code:
        raise DiscoveryError(f"etcd refuses: {answer.message} ({answer.cause})")


def _open_client(options: EtcdOptions) -> httpx.AsyncClient:
    """Return a client, which reads the certificates now. Raises DiscoveryError."""
    auth = httpx.BasicAuth(options.user, options.password) if options.user else None
    return httpx.AsyncClient(verify=tls_context(options.tls) or False, auth=auth, trust_env=False)
