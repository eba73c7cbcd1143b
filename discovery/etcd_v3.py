"""A connection to etcd's v3 API: calls with a deadline and another endpoint to turn to, and streams.

Of etcd-sdk-python we use the generated protocol, not its client, which blocks its caller, cannot cancel, turns its
back on a failed endpoint for minutes and hides why a call failed or a watch was cancelled.
"""

import asyncio
import itertools
import os
import queue
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # or it writes to stderr about each try; read when it is imported

import grpc  # type: ignore[import-untyped,unused-ignore]
from pyetcd import etcdrpc  # type: ignore[import-untyped,unused-ignore]

from discovery.errors import DiscoveryError
from discovery.etcd_options import EtcdOptions
from discovery.options import TLS_OPTIONS, tls_context

__all__ = ["CALL_S", "Connection", "Refused", "Session", "Stream", "etcdrpc"]

CALL_S = 3.0
"""For how long one endpoint may think about one call before the next is asked."""

MAX_WAITING = 10_000
"""As many answers of a stream may wait for its reader."""

_CHANNEL = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),  # or a new channel inherits the back-off of the one that failed
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)
_ELSEWHERE = frozenset(
    {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}
)
# How etcd says that a token has expired, or that users and roles have changed since it was given.
_STALE_TOKEN = ("invalid auth token", "revision of auth store is old")
# What gRPC says before the reason why it could not connect.
_CONNECTING = re.compile(r".*last error: [A-Z_]+: (ipv[46]:\S+: )?", re.DOTALL)
_TLS_ALERT = "TSI_DATA_CORRUPTED"

Metadata = tuple[tuple[str, str], ...]


class Refused(DiscoveryError):
    """etcd has understood, and says no."""


class Session:
    """What the connections of one user share: which endpoint answered last, and the token, which is dear to etcd."""

    def __init__(self, options: EtcdOptions) -> None:
        self._ring = itertools.cycle(options.endpoints)
        self.current = next(self._ring)
        self.count = len(options.endpoints)
        self.token = ""

    def turn_from(self, endpoint: str) -> None:
        """Go on to the next, unless somebody else did already."""
        if endpoint == self.current:
            self.current = next(self._ring)


class Connection:
    """One user's connection, to be entered and left: leaving it ends its calls and streams."""

    def __init__(self, options: EtcdOptions, session: Session, *, call_s: float = CALL_S) -> None:
        """Open nothing yet. `call_s`: for how long one endpoint may think about one call."""
        self._options = options
        self._session = session
        self._call_s = call_s
        self._endpoint = ""
        self._channel: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hang_up()

    async def call(self, method: str, request: Any) -> Any:
        """Return the answer to a call of `service.method`, asked of one endpoint after the other.

        What changes something may have been done although an endpoint failed: the caller makes it repeatable.
        Raises DiscoveryError with the reason of the last endpoint, or at once, as Refused, if etcd refuses.
        """
        return await self._try_each(lambda: self._ask(method, request, self._call_s))

    async def exchange(self, method: str, request: Any) -> Any:
        """Return the first answer of a stream to one request, as `call` does."""

        async def ask() -> Any:
            with Stream(self._method(method), [request], self._metadata) as stream:
                if (answer := await stream.next(self._call_s)) is None:
                    raise _Failed(grpc.StatusCode.DEADLINE_EXCEEDED, "no answer")
                return answer

        return await self._try_each(ask)

    def stream(self, method: str, request: Any) -> "Stream":
        """Return the open stream that answers `request`, at the endpoint that answered last."""
        # A member cut off from the others would keep silent for ever: it shall hang up instead.
        return Stream(self._method(method), [request], (*self._metadata, ("hasleader", "true")), stays_open=True)

    async def _try_each(self, ask: Callable[[], Any]) -> Any:
        for left in reversed(range(self._session.count)):
            try:
                return await self._authenticated(ask)
            except _Failed as failure:
                if failure.code not in _ELSEWHERE:
                    raise Refused(f"etcd refuses: {failure.reason}") from failure
                endpoint = self._endpoint
                self._session.turn_from(endpoint)
                self._hang_up()
                if not left:
                    raise DiscoveryError(f"etcd at {endpoint} does not answer: {failure.reason}") from failure
        raise AssertionError("there is always an endpoint")

    async def _authenticated(self, ask: Callable[[], Any]) -> Any:
        """Return what `ask` does, with a token; an expired one is replaced once."""
        for again in (True, False):
            if self._options.user and not self._session.token:
                login = etcdrpc.AuthenticateRequest(name=self._options.user, password=self._options.password)
                self._session.token = (await self._ask("Auth.Authenticate", login, CALL_S)).token
            try:
                return await ask()
            except _Failed as failure:
                if not (again and self._session.token and any(text in failure.reason for text in _STALE_TOKEN)):
                    raise
                self._session.token = ""
        raise AssertionError("the second try returns or raises")

    async def _ask(self, method: str, request: Any, timeout_s: float) -> Any:
        loop = asyncio.get_running_loop()
        done = asyncio.Event()

        def tell(_: object) -> None:  # on a thread of the library
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(done.set)

        rpc = self._method(method).future(request, timeout=timeout_s, metadata=self._metadata)
        rpc.add_done_callback(tell)
        try:
            await done.wait()
            return rpc.result()
        except grpc.RpcError as error:
            raise _Failed.of(error) from error
        finally:
            rpc.cancel()

    def _method(self, name: str) -> Any:
        """Return the callable of `service.method` at the current endpoint."""
        if self._channel is None:
            self._endpoint = self._session.current
            self._channel = _open_channel(self._endpoint, self._options)
        service, _, method = name.partition(".")
        return getattr(getattr(etcdrpc, f"{service}Stub")(self._channel), method)

    @property
    def _metadata(self) -> Metadata:
        return (("token", self._session.token),) if self._session.token else ()

    def _hang_up(self) -> None:
        if self._channel is not None:
            self._channel.close()
        self._channel = None


class Stream:
    """The answers to some requests, taken off the wire by a thread that ends with the stream."""

    def __init__(self, method: Any, requests: Sequence[Any], metadata: Metadata, *, stays_open: bool = False) -> None:
        self._loop = asyncio.get_running_loop()
        self._answers: asyncio.Queue[Any] = asyncio.Queue()
        self._has_gap = False
        self._hold: queue.SimpleQueue[None] | None = queue.SimpleQueue() if stays_open else None
        self._call = method(self._requests(requests), metadata=metadata)
        threading.Thread(target=self._read, name="etcd stream", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it; its thread ends by itself."""
        if self._hold is not None:
            self._hold.put(None)
        self._call.cancel()

    async def next(self, timeout_s: float) -> Any:
        """Return the next answer, or None if there is none for `timeout_s`. Raises DiscoveryError once it has ended."""
        try:
            async with asyncio.timeout(timeout_s):
                answer = await self._answers.get()
        except TimeoutError:
            return None
        return self._unless_ended(answer)

    def waiting(self) -> Iterator[Any]:
        """Yield the answers that have come already. Raises DiscoveryError once it has ended."""
        while not self._answers.empty():
            yield self._unless_ended(self._answers.get_nowait())

    def _unless_ended(self, answer: Any) -> Any:
        if isinstance(answer, _Failed):
            raise answer
        return answer

    def _requests(self, requests: Sequence[Any]) -> Iterator[Any]:
        """Yield the requests and then, if it stays open, nothing until it is closed; on a thread of the library."""
        yield from requests
        if self._hold is not None:
            self._hold.get()

    def _read(self) -> None:
        try:
            for answer in self._call:
                self._tell(answer)
            self._tell(_Failed(grpc.StatusCode.UNAVAILABLE, "the stream ended"))
        except grpc.RpcError as error:
            self._tell(_Failed.of(error))

    def _tell(self, answer: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody reads any more
            self._loop.call_soon_threadsafe(self._put, answer)

    def _put(self, answer: Any) -> None:
        """Keep `answer` for the reader. If that one is too slow, the stream ends where it fell behind."""
        if isinstance(answer, _Failed):
            self._answers.put_nowait(answer)
        elif self._has_gap or self._answers.qsize() >= MAX_WAITING:
            self._has_gap = True
            self._call.cancel()
        else:
            self._answers.put_nowait(answer)


class _Failed(DiscoveryError):
    """One endpoint did not do what was asked."""

    def __init__(self, code: grpc.StatusCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason

    @classmethod
    def of(cls, error: grpc.RpcError) -> Self:
        """Return the failure that `error` is."""
        if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            return cls(error.code(), "deadline exceeded")
        reason = str(error.details() or error.code().name.lower()).removeprefix("etcdserver: ")
        if _TLS_ALERT in reason:
            reason = "it ends the TLS session, as a server does that demands another certificate of us"
        return cls(error.code(), " ".join(_CONNECTING.sub("", reason).split())[:300])


def _open_channel(endpoint: str, options: EtcdOptions) -> Any:
    """Return a channel, which reads the certificates anew. Raises DiscoveryError."""
    if tls_context(options.tls) is None:  # which also says what is wrong with the files; gRPC would not
        return grpc.insecure_channel(endpoint, options=_CHANNEL)
    try:
        ca, cert, key = (Path(options.tls[name]).read_bytes() if name in options.tls else None for name in TLS_OPTIONS)
    except OSError as error:
        raise DiscoveryError(f"cannot read the TLS files of the store: {error.strerror}") from error
    return grpc.secure_channel(endpoint, grpc.ssl_channel_credentials(ca, key, cert), options=_CHANNEL)
