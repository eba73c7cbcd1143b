"""The commands that talk to a running manager: how they find it, ask it, and what becomes of its errors.

Source: the docker CLI, for names and meaning of flags and variables, so that one set of them serves both programs.
"""

import functools
import logging
import os
import re
import ssl
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import quote

import click
import httpx
import msgspec

from swarmproxy.cli.commands import GoCommand
from swarmproxy.cli.options import Globals, flag, text
from swarmproxy.errors import ConfigError, SwarmError
from swarmproxy.settings import DEFAULT_HOSTS, Listen, Tls
from swarmproxy.wire import tls as contexts

log = logging.getLogger("swarmproxy")

API = "/swarmproxy/v1"
"""Before the paths of what is ours beside Docker's API."""

CONNECT_S = 10.0
ANSWER_S = 60.0
"""How long the manager may think about an answer. A replica waits for a leader for half of it at most."""

_Kind = TypeVar("_Kind")
_UNCLEAN = re.compile(r"[\x00-\x1f\x7f]+")


class ManagerCommand(GoCommand):
    """A command for a running manager. Its callback gets the `client`, what it needs beside that as it stood.

    Flags may stand before, between and behind the operands. An error is one line on stderr and exit code 1.
    """

    def __init__(
        self, name: str, *, callback: Callable[..., int | None], params: Iterable[click.Parameter] = (), **rest: Any
    ) -> None:
        super().__init__(
            name,
            discovery=False,
            flags_anywhere=True,
            callback=_with_client(callback),
            params=[*params, *_connection_options()],
            **rest,
        )


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


def segment(name: str) -> str:
    """Return `name` as one part of a path: slashes in it are no separators."""
    return quote(name, safe="")


def read_connection(
    *, host: str, tls: bool | None, tlsverify: bool | None, tlscacert: str, tlscert: str, tlskey: str
) -> tuple[Listen, Tls | None]:
    """Return where the manager is, and the TLS to speak with it. Raises ConfigError.

    What is not given comes from DOCKER_HOST, DOCKER_TLS, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH. As with docker, any
    text in the two switches is a yes, and files that nobody named need not be there.
    """
    named = host or os.environ.get("DOCKER_HOST", "") or str(DEFAULT_HOSTS[0])
    try:
        address = Listen.parse(named.rstrip("/"))
    except ConfigError as error:
        raise ConfigError(
            f'bad address of a manager, "{named}": it should be tcp://host:port or unix://path'
        ) from error
    verify = bool(os.environ.get("DOCKER_TLS_VERIFY")) if tlsverify is None else tlsverify
    wanted = bool(os.environ.get("DOCKER_TLS")) if tls is None else tls
    if not (wanted or verify) or address.path:
        return address, None
    config = os.environ.get("DOCKER_CONFIG", "") or Path.home() / ".docker"
    directory = Path(os.environ.get("DOCKER_CERT_PATH", "") or config)
    cert, key = _file(tlscert, directory / "cert.pem"), _file(tlskey, directory / "key.pem")
    if (cert is None) != (key is None):
        raise ConfigError("--tlscert and --tlskey must be provided together")
    return address, Tls(cert=cert, key=key, ca=_file(tlscacert, directory / "ca.pem"), verify=verify)


def _file(named: str, default: Path) -> Path | None:
    return Path(named) if named else default if default.exists() else None


def _connection_options() -> list[click.Option]:
    """Return the flags that say where the manager is, by the docker CLI's names."""
    return [
        text(
            "--host",
            "-H",
            help='where the manager is, tcp://host:port or unix://path (default "tcp://127.0.0.1:2375") [$DOCKER_HOST]',
        ),
        flag("--tls", default=None, help="use TLS; implied by --tlsverify [$DOCKER_TLS]"),
        text("--tlscacert", help='trust only certificates that this CA signed (default "~/.docker/ca.pem")'),
        text("--tlscert", help='certificate to show to the manager (default "~/.docker/cert.pem")'),
        text("--tlskey", help='its key (default "~/.docker/key.pem")'),
        flag("--tlsverify", default=None, help="use TLS and verify the manager [$DOCKER_TLS_VERIFY]"),
    ]


def _with_client(callback: Callable[..., int | None]) -> Callable[..., int]:
    """Return `callback` with a client in place of the flags that say where the manager is."""

    @functools.wraps(callback)
    @click.pass_context
    def run(
        ctx: click.Context,
        /,
        *,
        host: str,
        tls: bool | None,
        tlsverify: bool | None,
        tlscacert: str,
        tlscert: str,
        tlskey: str,
        **params: Any,
    ) -> int:
        ctx.find_root().ensure_object(Globals).log_to(sys.stderr)
        try:
            address, files = read_connection(
                host=host, tls=tls, tlsverify=tlsverify, tlscacert=tlscacert, tlscert=tlscert, tlskey=tlskey
            )
            context = None
            if files is not None:
                context = contexts.client_context(cert=files.cert, key=files.key, ca=files.ca, verify=files.verify)
            with ManagerClient(address, context) as client:
                return callback(client, **params) or 0
        except SwarmError as error:
            return complain(error)

    return run


def complain(problem: object) -> int:
    """Write `problem` to stderr, as one line whatever is in it; return the exit code."""
    click.echo(f"Error: {_UNCLEAN.sub(' ', str(problem))}", err=True)
    return 1


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
