"""A session with ZooKeeper: kazoo, which lives on threads, awaited from the event loop."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from kazoo.client import KazooClient
from kazoo.exceptions import (
    BadVersionError,
    ConnectionClosedError,
    ConnectionLoss,
    KazooException,
    NoAuthError,
    NodeExistsError,
    NoNodeError,
    SessionExpiredError,
)
from kazoo.handlers.threading import SequentialThreadingHandler
from kazoo.protocol.states import KazooState
from kazoo.security import OPEN_ACL_UNSAFE, make_digest_acl

from discovery.entry import Entry
from discovery.errors import DiscoveryError, DiscoveryRefusedError
from discovery.options import Place, parse_place, refuse_unknown, secret, tls_context

OPTIONS = frozenset({"zk.digest", "zk.digest.file"})
CLOSE_S = 1.0
"""How long ZooKeeper has to take our leave before we hang up, which leaves the session to its timeout."""

RETRY_S = 0.05
TRIES = 3

_DEFAULT_PORT = 2181
_Expected = type[KazooException] | tuple[type[KazooException], ...]
_RETRY = {"max_tries": -1, "delay": 0.05, "backoff": 2, "max_delay": 1.0}  # for ever, each second at last


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Which ZooKeeper, and as whom."""

    hosts: tuple[Entry, ...]
    digest: str  # user:password, or empty
    tls: ssl.SSLContext | None

    @property
    def addresses(self) -> str:
        """All hosts as they stand in a URL."""
        return ",".join(map(str, self.hosts))

    @asynccontextmanager
    async def connect(self, timeout_s: float, call_s: float) -> AsyncIterator["Session"]:
        """Yield a session that is closed at the end of the block; see Session."""
        session = Session(self, timeout_s, call_s)
        try:
            yield session
        finally:
            await session.close()


def parse_url(rest: str, options: Mapping[str, str]) -> tuple[Ensemble, Place]:
    """Return what `host[:port][,host...]/prefix` and the options name. Raises DiscoveryError."""
    refuse_unknown(options, "zk", OPTIONS)
    place = parse_place(rest, default_port=_DEFAULT_PORT)
    digest = secret(options, "zk.digest")
    if digest and not all(digest.partition(":")):
        raise DiscoveryError("zk.digest has to be user:password")
    return Ensemble(place.hosts, digest, tls_context(options)), place


class Session:
    """A session that reconnects by itself; when it was lost, a new one takes its place.

    Every call waits until there is a connection, and raises DiscoveryError if it has not ended `call_s` later.
    """

    def __init__(self, ensemble: Ensemble, timeout_s: float, call_s: float) -> None:
        """Begin to connect. `timeout_s`: for how long the session should outlive its connection."""
        self._name = f"zookeeper at {ensemble.addresses}"
        self._asked_s = timeout_s
        self._call_s = call_s
        self._loop = asyncio.get_running_loop()
        self._connected = asyncio.Event()
        self._changed = asyncio.Event()
        self._lasting: dict[str, bytes] = {}
        self._forgetting: asyncio.TimerHandle | None = None
        self._journal = _Journal(timeout_s)
        self._dialer = _Dialer(ensemble.tls)
        self._acl = OPEN_ACL_UNSAFE
        if ensemble.digest:
            # Not CREATOR_ALL_ACL, which is also for all who have a certificate of the same name.
            user, _, password = ensemble.digest.partition(":")
            self._acl = [make_digest_acl(user, password, all=True)]
        self._client = KazooClient(
            hosts=ensemble.addresses,
            timeout=timeout_s,
            handler=self._dialer,
            connection_retry={**_RETRY, "sleep_func": self._dialer.sleep_func},
            auth_data=[("digest", ensemble.digest)] if ensemble.digest else [],
            default_acl=self._acl,
            logger=self._journal,
        )
        self._client.add_listener(self._state_changed)
        self._client.start_async()

    @property
    def is_connected(self) -> bool:
        """Say whether there is a connection just now."""
        return self._connected.is_set()

    @property
    def number(self) -> int:
        """The id of the present session; it changes when one was lost."""
        identity = self._client.client_id
        return int(identity[0]) if identity else 0

    @property
    def timeout_s(self) -> float:
        """For how long the server keeps the session after it heard of it last: what it made of our wish."""
        return self._journal.timeout_s

    def demand_timeout(self) -> None:
        """Raise DiscoveryError if the server keeps sessions for longer than we asked."""
        if self.timeout_s > self._asked_s:
            raise DiscoveryRefusedError(
                f"{self._name} refuses a TTL of {self._asked_s:g} s: it has to be {self.timeout_s:g} s or more "
                "(the server's minSessionTimeout)"
            )

    async def children(self, path: str) -> list[str] | None:
        """Return the names of the nodes below `path`, None if that is missing; the next change ends `wait`."""
        try:
            names: list[str] = await self._call("get_children", path, watch=self._wake, expected=NoNodeError)
        except NoNodeError:
            # It may appear in between: a node that is not there can be watched only in this way.
            return [] if await self._call("exists", path, watch=self._wake) else None
        return names

    async def read(self, path: str) -> tuple[str, int] | None:
        """Return the text of `path` and the number of its last change, or None; the next change ends `wait`."""
        try:
            value, stat = await self._call("get", path, watch=self._wake, expected=NoNodeError)
        except NoNodeError:
            return None
        return _text(value), int(stat.mzxid)

    async def read_all(self, paths: list[str]) -> list[str | None]:
        """Return the text of each of `paths`, None if it is missing. Asked all at once."""
        results = [self._client.get_async(f"/{path}") for path in paths]
        try:
            async with asyncio.timeout(self._call_s):
                return [await self._text_of(result) for result in results]
        except (TimeoutError, KazooException) as error:
            raise self._failure(error, paths[0]) from error

    async def fetch(self, path: str) -> tuple[bytes, int] | None:
        """Return what is in `path`, as the ensemble has it now, and its version; None if it is missing."""
        await self._call("sync", path)
        try:
            value, stat = await self._call("get", path, expected=NoNodeError)
        except NoNodeError:
            return None
        return value or b"", int(stat.version)

    async def exchange(self, path: str, data: bytes, version: int | None) -> bool:
        """Put `data` into `path` if it has this version (None: is missing); say whether that was so the last time."""
        try:
            if version is None:
                await self._call("create", path, data, makepath=True, expected=NodeExistsError)
            else:
                await self._call("set", path, data, version, expected=(BadVersionError, NoNodeError))
        except (BadVersionError, NodeExistsError, NoNodeError):
            return False
        return True

    async def make_path(self, path: str) -> None:
        """See to it that `path` is there, for ever."""
        await self._call("ensure_path", path)

    async def write(self, path: str, value: str) -> None:
        """Set the text of `path`, which has to be there."""
        await self._call("set", path, value.encode())

    async def hold(self, path: str, value: str) -> None:
        """See to it that `path` is there as long as this session is, and in the next one after it was lost.

        It is taken from whatever session had it before.
        """
        data = value.encode()
        self._lasting[path] = data
        for _ in range(TRIES):
            try:
                await self._call("create", path, data, ephemeral=True, makepath=True, expected=NodeExistsError)
            except NodeExistsError:
                stat = await self._call("exists", path)
                if stat is None:
                    continue
                if stat.ephemeralOwner != self.number and not await self._replace(path, data):
                    continue
            return
        raise DiscoveryError(f"{self._name}: somebody else makes /{path} again and again")

    async def add_contender(self, prefix: str) -> None:
        """Make a node whose name is `prefix` and the next number, there as long as this session is."""
        await self._call("create", prefix, b"", ephemeral=True, sequence=True)

    async def remove(self, path: str) -> None:
        """See to it that `path` is gone, and stays so."""
        self._lasting.pop(path, None)
        with contextlib.suppress(NoNodeError):
            await self._call("delete", path, expected=NoNodeError)

    async def wait(self, timeout_s: float) -> None:
        """Return when something has changed since the last `wait` that we looked at, or after `timeout_s`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        self._changed.clear()

    async def close(self) -> None:
        """Take our leave: what we hold is gone at once, if the server can still be told."""
        self._lasting.clear()
        if self._forgetting:
            self._forgetting.cancel()
        self._client.remove_listener(self._state_changed)
        async with asyncio.TaskGroup() as tasks:
            hanging_up = self._loop.call_later(CLOSE_S, self._dialer.hang_up)
            stopping = tasks.create_task(asyncio.to_thread(self._stop), name=f"close {self._name}")
            stopping.add_done_callback(lambda _: hanging_up.cancel())

    def _stop(self) -> None:
        with contextlib.suppress(OSError, KazooException):
            self._client.stop()
        self._client.close()

    async def _replace(self, path: str, data: bytes) -> bool:
        """Put our node in the place of another's, so that nobody sees a moment without one; say whether that was so."""
        transaction = self._client.transaction()
        transaction.delete(f"/{path}")
        transaction.create(f"/{path}", data, acl=self._acl, ephemeral=True)
        try:
            async with asyncio.timeout(self._call_s):
                results = await self._settled(transaction.commit_async())
        except (TimeoutError, KazooException) as error:
            raise self._failure(error, path) from error
        for result in results:
            if isinstance(result, NoAuthError):
                raise self._failure(result, path) from result
        return not any(isinstance(result, Exception) for result in results)

    async def _text_of(self, result: Any) -> str | None:
        try:
            value, _ = await self._settled(result)
        except NoNodeError:
            return None
        return _text(value)

    async def _call(self, name: str, path: str, *arguments: Any, expected: _Expected | None = None, **more: Any) -> Any:
        """Return what kazoo's `name` does. Raises `expected`, and DiscoveryError for all else."""
        try:
            async with asyncio.timeout(self._call_s):
                while True:
                    await self._connected.wait()
                    call = getattr(self._client, f"{name}_async")
                    with contextlib.suppress(ConnectionLoss, ConnectionClosedError, SessionExpiredError):
                        return await self._settled(call(f"/{path}", *arguments, **more))
                    # All that we do may be done twice. kazoo tells of the loss a moment before it tells of its state.
                    await asyncio.sleep(RETRY_S)
        except (TimeoutError, KazooException) as error:
            if expected and isinstance(error, expected):
                raise
            raise self._failure(error, path) from error

    async def _settled(self, result: Any) -> Any:
        """Return what one of kazoo's results comes to."""
        future: asyncio.Future[None] = self._loop.create_future()

        def settle() -> None:
            if not future.done():
                future.set_result(None)

        result.rawlink(lambda _: self._on_loop(settle))
        await future
        return result.get(block=False)

    def _failure(self, error: Exception, path: str) -> DiscoveryError:
        if isinstance(error, TimeoutError):
            problem = self._dialer.problem or self._journal.problem
            return DiscoveryError(f"{self._name} does not answer" + (f": {problem}" if problem else ""))
        if isinstance(error, NoAuthError):
            return DiscoveryError(f"{self._name}: permission denied for /{path}")
        return DiscoveryError(f"{self._name}: {str(error) or type(error).__name__} at /{path}")

    def _state_changed(self, state: str) -> None:
        """Take note of kazoo's state, on kazoo's thread, which must not be held up."""
        if state == KazooState.CONNECTED:
            for path, data in list(self._lasting.items()):
                # Still there if only the connection was lost; an error is for the next `hold` to find.
                self._client.create_async(f"/{path}", data, ephemeral=True, makepath=True)
        self._on_loop(self._note_state, state)

    def _note_state(self, state: str) -> None:
        if state == KazooState.CONNECTED:
            self._connected.set()
            if self._forgetting:
                self._forgetting.cancel()
                self._forgetting = None
        else:
            self._connected.clear()
            if self._forgetting is None:
                self._forgetting = self._loop.call_later(2 * self.timeout_s, self._forget)
        self._changed.set()

    def _forget(self) -> None:
        """Let go of how far we have seen: a server that began anew, without its data, lets no one in who saw more."""
        self._client.last_zxid = 0

    def _wake(self, _event: object) -> None:
        """Take note of a change, on kazoo's thread."""
        self._on_loop(self._changed.set)

    def _on_loop(self, function: Any, *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is there to hear it
            self._loop.call_soon_threadsafe(function, *arguments)


class _Dialer(SequentialThreadingHandler):  # type: ignore[misc]
    """kazoo's threads, with connections that are ours: kazoo's TLS also trusts every authority of the system."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        super().__init__()
        self.problem = ""
        """Why the last try to connect failed; empty if it did not, or only took too long."""
        self._tls = tls
        self._socket: socket.socket | None = None

    def create_connection(
        self, address: tuple[str, int], hostname: str | None = None, timeout: float | None = None, **_: object
    ) -> socket.socket:
        """Return a connection to `address`, with TLS as `hostname` if we speak that. Raises OSError."""
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        made = self._socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            made.settimeout(timeout)
            made.connect(address)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls:
                made = self._socket = self._tls.wrap_socket(made, server_hostname=hostname)
        except OSError as error:
            made.close()
            if not isinstance(error, TimeoutError):
                self.problem = error.strerror or str(error)
            raise
        self.problem = ""
        return made

    def hang_up(self) -> None:
        """End the connection under the thread that waits for it."""
        if self._socket:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


class _Journal:
    """What kazoo would log, and the two things in it that it tells nowhere else."""

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        """The session timeout that the server grants."""
        self.problem = ""
        """Which host has no address."""

    def log(self, _level: int, message: str, *arguments: Any, **_more: object) -> None:
        if message.startswith("Session created"):
            self.timeout_s = arguments[2] / 1000
            self.problem = ""

    def warning(self, message: str, *arguments: object, **_more: object) -> None:
        if message.startswith("Cannot resolve"):
            self.problem = message % arguments

    def debug(self, *_: object, **_more: object) -> None:
        """Keep nothing."""

    info = error = exception = debug


def _text(value: bytes | None) -> str:
    try:
        return (value or b"").decode()
    except UnicodeDecodeError:
        return ""
