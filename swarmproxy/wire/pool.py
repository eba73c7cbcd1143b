"""Connections to one engine: dialled when needed, kept for the next request, ended when it leaves."""

import asyncio
import select
import ssl
from contextlib import suppress
from typing import cast

from swarmproxy.errors import EngineUnreachable, Exhausted
from swarmproxy.wire import descriptors, ssh
from swarmproxy.wire.address import Address
from swarmproxy.wire.idle import Idle
from swarmproxy.wire.sockets import is_unacknowledged, read_left_over, tune
from swarmproxy.wire.tls import RenewableContext
from swarmproxy.wire.tls_transport import TlsClientProtocol

PREPARE_S = 1.0


class EngineSide:
    """Whoever uses a connection just now: told of everything that happens on it, in order."""

    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        """Take bytes from the engine."""
        raise NotImplementedError

    def eof_received(self) -> bool:
        """Take the engine's end of output; return whether the connection stays open for our input."""
        raise NotImplementedError

    def connection_lost(self, error: Exception | None) -> None:
        """Take the end of the connection."""
        raise NotImplementedError

    def pause_writing(self) -> None:
        """Stop writing: the engine does not keep up."""

    def resume_writing(self) -> None:
        """Write again."""

    def overdue(self) -> None:
        """Take it that what `EngineConnection.expect` set has passed."""


class EngineConnection(asyncio.Protocol):
    """One connection to an engine. `user` is the exchange it serves, None while idle."""

    __slots__ = (
        "_alarm",
        "_alarm_at",
        "_due",
        "_loop",
        "_pool",
        "idle_since",
        "lost",
        "reused",
        "session_kept",
        "transport",
        "user",
        "write_paused",
    )

    def __init__(self, pool: "Pool", loop: asyncio.AbstractEventLoop) -> None:
        self._pool = pool
        self._loop = loop
        self._due = 0.0  # when the user is overdue, by the loop's clock; 0: never
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = 0.0
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)  # from `connection_made` on
        self.user: EngineSide | None = None
        self.lost = False
        self.reused = False  # served a request before: the engine may be closing it at this moment
        self.session_kept = False
        self.idle_since = 0.0
        self.write_paused = False

    @property
    def address(self) -> Address:
        """Return where the engine listens."""
        return self._pool.address

    @property
    def host_header(self) -> bytes:
        """Return the line that names the engine."""
        return self._pool.host_header

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)
        if self._pool.tls is None:
            tune(transport)

    def data_received(self, data: bytes) -> None:
        """Pass on; an idle connection has nothing to say."""
        if self.user is not None:
            self.user.data_received(data)
        else:
            self.abort()

    def eof_received(self) -> bool:
        """Pass on; an idle connection is over."""
        if self.user is not None:
            return self.user.eof_received()
        self._pool.forget(self)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave the pool, and tell whoever used the connection, after the engine's last words."""
        self._pool.forget(self)
        try:
            if exc is not None and self.user is not None and self._pool.tls is None:
                if data := read_left_over(self.transport):
                    self.user.data_received(data)
                if isinstance(exc, BrokenPipeError) and self.user is not None:
                    self.user.eof_received()
        finally:
            self.lost = True
            if self._alarm is not None:
                self._alarm.cancel()
                self._alarm = None
            user, self.user = self.user, None
            if user is not None:
                user.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass on."""
        self.write_paused = True
        if self.user is not None:
            self.user.pause_writing()

    def resume_writing(self) -> None:
        """Pass on."""
        self.write_paused = False
        if self.user is not None:
            self.user.resume_writing()

    def expect(self, timeout_s: float) -> None:
        """Call the user's `overdue` in `timeout_s`, unless `expect_nothing` comes first.

        One timer serves all requests of the connection: a timer each would cost more than parsing them.
        """
        self._due = due = self._loop.time() + timeout_s
        if self._alarm is not None and due < self._alarm_at:
            self._alarm.cancel()
            self._alarm = None
        if self._alarm is None:
            self._set_alarm(timeout_s)

    def expect_nothing(self) -> None:
        """Take back what `expect` has set."""
        self._due = 0.0

    def _set_alarm(self, after_s: float) -> None:
        self._alarm_at = self._loop.time() + after_s
        self._alarm = self._loop.call_later(after_s, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        if not self._due:
            return
        left_s = self._due - self._loop.time()
        if left_s > 0.001:  # set for an earlier request
            self._set_alarm(left_s)
            return
        self._due = 0.0
        if self.user is not None:
            self.user.overdue()

    def is_usable(self) -> bool:
        """Return whether the engine has not closed it, as far as the loop knows."""
        return not self.lost and not self.transport.is_closing()

    def is_stale(self) -> bool:
        """Return whether bytes or an end wait on an idle connection, so that it is of no more use.

        Costs a system call: for requests that must not be sent twice.
        """
        sock = self.transport.get_extra_info("socket")
        if sock is None or sock.fileno() < 0:
            return True
        poll = select.poll()
        poll.register(sock.fileno(), select.POLLIN | select.POLLRDHUP)
        return bool(poll.poll(0))

    def release(self) -> None:
        """Give the connection back: its exchange is complete on both sides."""
        self.user = None
        self._due = 0.0
        self._pool.give_back(self)

    def close(self) -> None:
        """End the connection in order: its exchange is complete, and it is of no more use."""
        self.user = None
        self._pool.forget(self)
        self.transport.close()

    def abort(self) -> None:
        """End the connection at once: its exchange is not complete."""
        self.user = None
        self._pool.forget(self)
        self.transport.abort()


class Pool:
    """The connections to one engine: at most `max_busy` in use, at most `max_idle` waiting.

    Those that wait are also in `all_idle`, which pools may share.
    """

    def __init__(
        self,
        address: Address,
        *,
        tls: RenewableContext | None = None,
        connect_timeout_s: float = 10.0,
        max_idle: int = 64,
        max_busy: int = 4096,
        all_idle: Idle | None = None,
    ) -> None:
        self.address = address
        is_local = bool(address.path or address.ssh)
        self.tls = None if is_local else tls  # what a unix socket's file mode or ssh guards has no certificate
        self.host_header = b"Host: %s\r\n" % (b"docker" if is_local else str(address).encode())
        self._connect_timeout_s = connect_timeout_s
        self._max_idle = max_idle
        self._max_busy = max_busy
        self._connections: set[EngineConnection] = set()
        self._idle: list[EngineConnection] = []  # the longest idle first
        self._dialling = 0
        self._all_idle = all_idle or Idle()
        self._session: ssl.SSLSession | None = None
        self._session_of: ssl.SSLContext | None = None  # no other may resume it
        self._closed = False

    @property
    def busy(self) -> int:
        """Return how many connections are in use or being dialled."""
        return len(self._connections) - len(self._idle) + self._dialling

    @property
    def idle(self) -> int:
        """Return how many connections wait for a request."""
        return len(self._idle)

    def take_idle(self, *, only_once: bool = False) -> EngineConnection | None:
        """Return a connection that waits, or None; `only_once`: for a request that cannot be sent again."""
        while self._idle:
            connection = self._idle.pop()
            self._all_idle.take(connection)
            if connection.is_usable() and not (only_once and connection.is_stale()):
                return connection
            connection.abort()
        return None

    async def acquire(self, *, fresh: bool = False) -> EngineConnection:
        """Return a connection for one exchange, dialled if `fresh` or if none waits.

        Its user ends with `release` or `abort`. Raises EngineUnreachable.
        """
        if not fresh and (connection := self.take_idle()) is not None:
            return connection
        if self._closed:
            raise EngineUnreachable(f"engine {self.address} has left the cluster")
        if self.busy >= self._max_busy:
            raise EngineUnreachable(f"engine {self.address} has {self._max_busy} connections in use")
        self._dialling += 1
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                connection = await self._dial()
        except TimeoutError as error:
            raise EngineUnreachable(f"engine {self.address} does not take connections: time out") from error
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError, a bad name may be a ValueError
            if isinstance(error, OSError) and descriptors.means_exhausted(error):
                raise _exhausted(self.address) from error
            raise EngineUnreachable(f"engine {self.address} cannot be reached: {_reason(error)}") from error
        finally:
            self._dialling -= 1
        if not connection.is_usable():  # by the engine, or by `close`
            connection.abort()
            raise EngineUnreachable(f"engine {self.address} closed the connection")
        return connection

    async def prepare(self) -> None:
        """Have a connection wait for the next request, unless that takes long: then who needs it may dial."""
        with suppress(EngineUnreachable, TimeoutError):
            async with asyncio.timeout(PREPARE_S):
                (await self.acquire(fresh=True)).release()

    async def reach(self) -> None:
        """Return when a connection waits, so that it is known that the engine takes them. Raises EngineUnreachable."""
        connection = self.take_idle(only_once=True) or await self.acquire(fresh=True)
        connection.release()

    async def _dial(self) -> EngineConnection:
        """Return a new connection; the name is resolved anew each time."""
        loop = asyncio.get_running_loop()
        connection = EngineConnection(self, loop)
        protocol: asyncio.Protocol = connection
        shaking: TlsClientProtocol | None = None
        address = self.address
        if self.tls is not None:
            context = self.tls.current
            protocol = shaking = TlsClientProtocol(
                connection,
                context,
                server_hostname=address.host or None,
                session=self._session if self._session_of is context else None,
                timeout_s=self._connect_timeout_s,
            )
        if address.ssh:
            transport = await ssh.dial(address, protocol)
        elif address.path:
            transport, _ = await loop.create_unix_connection(lambda: protocol, address.path)
        else:
            transport, _ = await loop.create_connection(lambda: protocol, address.host, address.port)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.fileno() >= descriptors.for_engines():
            transport.abort()
            raise _exhausted(address)
        if shaking is not None:
            try:
                await shaking.established
            except BaseException:
                transport.abort()
                raise
        self._connections.add(connection)
        if self._closed:
            transport.abort()
        return connection

    def give_back(self, connection: EngineConnection) -> None:
        """Keep a connection for the next request, or end it if there are enough."""
        if self._closed or not connection.is_usable() or len(self._idle) >= self._max_idle:
            connection.close()
            return
        connection.reused = True
        if self.tls is not None and not connection.session_kept:
            connection.session_kept = self._keep_session(connection)
        self._idle.append(connection)
        self._all_idle.put(connection)

    def _keep_session(self, connection: EngineConnection) -> bool:
        """Keep the TLS session for the next connection; return whether it can be resumed already."""
        secure: ssl.SSLObject = connection.transport.get_extra_info("ssl_object")
        session = secure.session
        # In TLS 1.3 the ticket comes some time after the handshake.
        if session is None or not (session.has_ticket or secure.version() == "TLSv1.2"):
            return False
        self._session, self._session_of = session, secure.context
        return True

    def forget(self, connection: EngineConnection) -> None:
        """Drop a connection that is over."""
        self._connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
            self._all_idle.take(connection)

    def drop_silent(self) -> None:
        """End the connections that are of no use with an engine that answers nobody.

        These are the idle ones, and those whose bytes its host does not take: TCP would send them again for a quarter
        of an hour, with no keepalive meanwhile. Who waits for an engine that only hangs, waits on.
        """
        for connection in list(self._idle):
            connection.abort()
        for connection in list(self._connections):
            if is_unacknowledged(connection.transport):
                connection.transport.abort()

    async def close(self) -> None:
        """End all connections, idle and busy: the engine left. Their exchanges fail as if it had died."""
        self._closed = True
        for connection in self._idle:
            self._all_idle.take(connection)
        self._idle.clear()
        for connection in list(self._connections):
            connection.transport.abort()
        await asyncio.sleep(0)  # let the exchanges hear of it


def _exhausted(address: Address) -> Exhausted:
    """Return the error for a connection to an engine that we have no descriptor for, and log that."""
    descriptors.tell()
    return Exhausted(f"This manager has no file descriptor left for a connection to engine {address}")


def _reason(error: Exception) -> str:
    """Return the part of an error that helps a user."""
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    return str(error) or type(error).__name__
