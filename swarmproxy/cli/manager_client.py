"""Asks a running manager over HTTP, and says what is wrong in one line."""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self, TypeVar

import httpx
import msgspec

from swarmproxy.errors import SwarmError
from swarmproxy.settings import Listen

CONNECT_S = 10.0
ANSWER_S = 60.0
"""How long the manager may think about an answer. A replica waits for a leader for half of it at most."""

_Kind = TypeVar("_Kind")


class ManagerClient:
    """Asks one manager over HTTP. To be entered and left."""

    def __init__(self, host: Listen, context: ssl.SSLContext | None) -> None:
        """Open nothing yet. `context`: what to speak TLS with; None: in the clear."""
        self._host = host
        name = f"[{host.host}]" if ":" in host.host else host.host or "localhost"
        base = "http://manager" if host.path else f"{'https' if context else 'http'}://{name}:{host.port}"
        self._http = httpx.Client(
            base_url=base,
            transport=httpx.HTTPTransport(verify=context or False, uds=host.path or None),
            timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S),
            trust_env=False,
            headers={"user-agent": "swarmproxy-cli"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._http.close()

    def ask(self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: object = None) -> Any:
        """Return the manager's answer, decoded; None for an empty one. `body` goes as JSON.

        Raises SwarmError with the manager's own words if it refuses.
        """
        with self._translated():
            response = self._http.request(method, path, params=query or None, **_content(body))
        self._refuse(response)
        return _decoded(response.content) if response.content else None

    def convert(self, answer: Any, kind: type[_Kind]) -> _Kind:
        """Return `answer` as values of `kind`; members that are not known are left out. Raises SwarmError."""
        try:
            return msgspec.convert(answer, kind)
        except msgspec.ValidationError as error:
            raise SwarmError(f"the manager at {self._host} answers what this program does not know: {error}") from error

    def stream(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: object = None
    ) -> Iterator[Any]:
        """Yield the JSON lines of an answer that may take as long as it likes. Raises as `ask`."""
        timeout = httpx.Timeout(None, connect=CONNECT_S)
        with (
            self._translated(),
            self._http.stream(method, path, params=query or None, timeout=timeout, **_content(body)) as response,
        ):
            if response.is_error:
                response.read()
            self._refuse(response)
            for line in response.iter_lines():
                if line.strip():
                    yield _decoded(line.encode())

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except httpx.TimeoutException as error:
            raise SwarmError(f"the manager at {self._host} does not answer") from error
        except httpx.TransportError as error:
            raise SwarmError(f"cannot reach the manager at {self._host}: {_reason(error)}") from error

    def _refuse(self, response: httpx.Response) -> None:
        """Raise SwarmError with what the manager says, if it is an error."""
        if response.is_success:
            return
        try:
            message = str(msgspec.json.decode(response.content)["message"])
        except (msgspec.DecodeError, KeyError, TypeError):
            message = response.text.strip()[:300] or response.reason_phrase
            if response.status_code == httpx.codes.NOT_FOUND:
                message = f"what answers at {self._host} is no swarmproxy manager: {message}"
        if response.status_code == httpx.codes.NOT_FOUND and message == "page not found":
            message = f"what answers at {self._host} is no swarmproxy manager, or an older one"
        raise SwarmError(message)


def _content(body: object) -> dict[str, Any]:
    if body is None:
        return {}
    return {"content": msgspec.json.encode(body), "headers": {"content-type": "application/json"}}


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise SwarmError(f"the manager's answer is not JSON: {body[:100]!r}") from error


_TLS_PROBLEMS = {  # by OpenSSL's names of them
    "WRONG_VERSION_NUMBER": "it does not speak TLS",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it demands a certificate, --tlscert and --tlskey",
    "TLSV1_ALERT_UNKNOWN_CA": "it does not accept our certificate",
}


def _reason(error: BaseException) -> str:
    """Return why there is no connection: the system's words, without its numbers."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate will not do: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError) and cause.reason:
            return _TLS_PROBLEMS.get(cause.reason, cause.reason.replace("_", " ").lower())
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
        cause = cause.__cause__ or cause.__context__
    return str(error) or type(error).__name__
