"""The client's side of HTTP/1.1, below uvicorn: requests strictly read, in order; answers never lost.

uvicorn accepts the connections, holds the tasks and asks for the end (`shutdown`). Reading and writing are
done here, because its own protocols skip the body of requests to upgrade, drop clients that half-close, and
give no way to the bytes below ASGI.

Draining: `shutdown` ends idle connections and hijacked streams at once, lets an answer come to its end, and
ends one that has begun and then stays silent (`logs -f`, events) after `Limits.silence_s`.
"""

import asyncio
import enum
import re
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.utils import get_local_addr, get_remote_addr
from uvicorn.server import ServerState

from swarmproxy.errors import BadRequest, ProtocolViolation, TooLarge
from swarmproxy.wire.admission import Admission, Visit
from swarmproxy.wire.clocks import Clocks
from swarmproxy.wire.exchange import Application, AsgiExchange, Message
from swarmproxy.wire.framing import Chunked, Counted, Piece, Scanner
from swarmproxy.wire.head import RequestHead, has_bare_line_feed, parse_request
from swarmproxy.wire.journal import Journal, note_unread
from swarmproxy.wire.limits import Limits
from swarmproxy.wire.relay import Exchange, Shortcut
from swarmproxy.wire.sockets import tune
from swarmproxy.wire.status import error_answer
from swarmproxy.wire.wakeful import Wakeful

_FEW = 4  # requests at a time: with more of them the loop does not get to sleep
_HEAD_END = b"\r\n\r\n"
_EMPTY_LINES = re.compile(rb"(?:\r\n)+")
_ASGI = {"version": "3.0", "spec_version": "2.3"}


class _State(enum.Enum):
    """What the next bytes of a client are."""

    HEAD = enum.auto()
    BODY = enum.auto()
    BEHIND = enum.auto()  # behind a request that is not answered yet: a stream's begin, or the next request
    IGNORED = enum.auto()  # we are closing


class ServerProtocol(Clocks):
    """One connection of a client, as uvicorn makes it."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None,
        limits: Limits,
        wakeful: Wakeful,
        shortcut: Shortcut | None,
        admission: Admission,
        journal: Journal | None = None,
    ) -> None:
        if not config.loaded:
            config.load()
        self._app = cast("Application", config.loaded_app)
        self._root_path = config.root_path
        self._server_state = server_state
        self._app_state = app_state
        super().__init__(_loop or asyncio.get_event_loop(), limits)
        self.stall_s = self._limits.stall_s
        self._wakeful = wakeful
        self._shortcut = shortcut
        self._journal = journal
        self._admission = admission
        self.visit: Visit | None = None  # under TLS it began with the handshake
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)  # from `connection_made` on
        self._state = _State.HEAD
        self._held = bytearray()  # a head that is not complete, or what came behind a request
        self._body: Scanner = Counted(0)
        self._body_moved = False  # or could not, since somebody looked last
        self._limited = False
        self._beginning = False  # a request is handed over just now
        self._read_paused = False
        self._draining = False

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers that uvicorn adds to each answer."""
        return self._server_state.default_headers

    # The connection.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first request."""
        self.transport = cast("asyncio.Transport", transport)
        self._server_state.connections.add(self)  # type: ignore[arg-type]
        secure = transport.get_extra_info("sslcontext") is not None
        if not secure:
            tune(transport)
        self._scope: Message = {
            "type": "http",
            "asgi": _ASGI,
            "server": get_local_addr(self.transport),
            "client": get_remote_addr(self.transport),
            "scheme": "https" if secure else "http",
            "root_path": self._root_path,
        }
        if self.visit is None:
            self.visit = self._admission.enter(transport)
        self._limited = self.visit.limited
        if self.visit.hopeless:
            self.transport.abort()
        elif self.visit.refusal is not None:
            self.put_off(self._limits.linger_s)
        else:
            self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Take what the client sends."""
        state = self._state
        if state is _State.HEAD:
            self._read_head(data)
        elif state is _State.BODY:
            self._read_body(data, 0)
        elif state is _State.BEHIND:
            self._hold(data)

    def eof_received(self) -> bool:
        """Note that the client sends no more; it still gets the answer to what it sent."""
        if self.input_ended:
            return not self.transport.is_closing()
        self.input_ended = True
        self._input_ended_at = self.loop.time()
        if self._exchange is None or self._state is _State.IGNORED:
            return False
        if self._state is _State.BODY:
            self._fail_request(400, "the request ends before its body does")
            return True
        self.watch_silence()
        return True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Tell the request in progress."""
        self._server_state.connections.discard(self)
        if self.visit is not None:
            self.visit.end()
        self._state = _State.IGNORED
        self._held.clear()
        self.stop_clocks()
        if (exchange := self._leave_exchange()) is not None:
            exchange.client_lost()

    def stay_awake(self) -> None:
        """Expect the engine or the client to say something at once, if there is little else to do."""
        if self._wakeful.busy < _FEW:
            self._wakeful.stay_awake(self.loop)

    def pause_reading(self) -> None:
        """Take no more from the client until `resume_reading`."""
        if not self._read_paused:
            self._read_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Take from the client again."""
        self._body_moved = True  # from now on it is the client's turn
        if self._read_paused and not self.input_ended:
            self._read_paused = False
            self.transport.resume_reading()

    # Requests.

    def _read_head(self, data: bytes) -> None:
        seen = len(self._held)
        if not seen and data.find(_HEAD_END) + 4 == len(data) and not data.startswith(b"\r\n"):
            self._take_head(data)
            self._take_held(answered=True)
            return
        self._held += data
        if not seen or _HEAD_END in self._held[max(0, seen - 3) :]:
            self._take_held(answered=False)
        else:
            self._wait_for_rest_of_head(seen)

    def _take_held(self, *, answered: bool) -> None:
        """Take the requests that are here, until one is not answered at once; wait for the next if one was `answered`.

        One after the other: if each took the next, they would be calls within calls.
        """
        while self._exchange is None and self._state is _State.HEAD:
            if (empty := _EMPTY_LINES.match(self._held)) is not None:  # some clients end a body with one
                del self._held[: empty.end()]
            end = self._held.find(_HEAD_END) + 4
            if end >= 4:
                head = bytes(self._held[:end])
                del self._held[:end]
                self._take_head(head)
                answered = True
            elif self.input_ended:
                self._close()
            elif self._held:
                self._wait_for_rest_of_head(0)
                return
            else:
                if answered:  # empty lines gain no time
                    self._wait_for_head()
                    self.stay_awake()
                return

    def _take_head(self, head: bytes) -> None:
        if len(head) > self._limits.head_bytes:
            self._refuse_head(431, "the request's headers are too large")
            return
        try:
            request = parse_request(head)
        except TooLarge as error:
            self._refuse_head(431, str(error))
        except BadRequest as error:
            self._refuse_head(400, str(error))
        else:
            self._beginning = True
            try:
                self._begin(request)
            finally:
                self._beginning = False

    def _wait_for_rest_of_head(self, seen: int) -> None:
        if has_bare_line_feed(self._held, max(0, seen - 1)):
            self._refuse_head(400, "malformed HTTP header: a bare line feed")
        elif len(self._held) > self._limits.head_bytes:
            self._refuse_head(431, "the request's headers are too large")
        elif self._held and not seen:
            self.put_off(self._limits.head_timeout_s)

    def _begin(self, request: RequestHead) -> None:
        exchange = Exchange(self, request)
        self._exchange = exchange
        self._wakeful.busy += 1
        if self._journal is not None:
            self._journal.begun(exchange)
        self._state = _State.BEHIND
        if self._draining:
            exchange.keep_alive = False
        if request.has_body:
            self._state = _State.BODY
            self._body = Chunked() if request.fields.chunked else Counted(request.fields.length)
            if self._held:
                rest = bytes(self._held)
                self._held.clear()
                self._read_body(rest, 0)
                if self._exchange is not exchange:
                    return  # its body is malformed
        elif self._held:
            self._hold(b"")
        if self._limited and self.visit is not None and self.visit.turns_away(exchange):
            return
        if self._state is _State.BODY:
            self._wait_for_body()
        shortcut = self._shortcut if exchange.body_complete and not self.write_paused else None
        if shortcut is None or not shortcut(exchange):
            self.ask_application(exchange)

    def ask_application(self, exchange: AsgiExchange) -> None:
        """Have the application answer, in a task of its own."""
        scope = exchange.scope(self._scope)
        scope["state"] = self._app_state.copy()
        tasks = self._server_state.tasks  # their parent: uvicorn waits for them, and cancels them at the end
        tasks.add(self.loop.create_task(exchange.run(self._app, scope, tasks), name="request"))

    def _read_body(self, data: bytes, at: int) -> None:
        pieces: list[Piece] = []
        try:
            end = self._body.scan(data, at, pieces)
        except ProtocolViolation as violation:
            self._fail_request(400, str(violation))
            return
        exchange = self._exchange
        self._body_moved = True
        if end >= 0:
            self._state = _State.BEHIND
        if exchange is not None and (pieces or end >= 0):
            exchange.received_bytes += sum(map(len, pieces))
            exchange.body_received(pieces, last=end >= 0)
        if 0 <= end < len(data):
            self.data_received(data[end:])

    def _hold(self, data: bytes) -> None:
        self._held += data
        if len(self._held) > self._limits.held_bytes:
            self.pause_reading()

    # Ends.

    def exchange_ended(self, *, keep_alive: bool) -> None:
        """Go on with the next request, or close without losing the answer."""
        self._server_state.total_requests += 1
        self._leave_exchange()
        if self.transport.is_closing():
            return
        if not keep_alive or self._draining or self._state is not _State.BEHIND:
            self._close()
            return
        self._state = _State.HEAD
        if self._read_paused:
            self.resume_reading()
        if not self._beginning:  # else it was answered at once, and whoever took it goes on
            self._take_held(answered=True)

    def _leave_exchange(self) -> Exchange | None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            self._wakeful.busy -= 1
            if self._journal is not None:
                self._journal.ended(exchange)
        return exchange

    def become_stream(self) -> tuple[bytes, bool]:
        """Leave HTTP for good; return what came behind the request, and whether the client ended."""
        early = bytes(self._held)
        self._held.clear()
        self.stop_clocks()
        return early, self.input_ended

    def _refuse_head(self, status: int, message: str) -> None:
        note_unread(self._journal, self, status)
        self._refuse(status, message)

    def _refuse(self, status: int, message: str) -> None:
        """Answer a request that cannot be understood, and close."""
        self._held.clear()
        self.transport.write(error_answer(status, message))
        self._close()

    def _fail_request(self, status: int, message: str) -> None:
        """End the request in progress because the rest of it cannot be understood."""
        if self._exchange is not None and not self._exchange.answer_begun:
            self._exchange.status = status
        exchange = self._leave_exchange()
        if exchange is None:
            return
        answered = exchange.answer_begun
        exchange.client_lost()
        if answered:
            self.transport.abort()
        else:
            self._refuse(status, message)

    def _close(self) -> None:
        """Close behind what was written; a client that still sends may do so for a while.

        A connection that is closed before all input was read is reset, and its peer loses the answer.
        """
        self._state = _State.IGNORED
        self._held.clear()
        self.stop_timer()
        if not self.input_ended and not self.transport.is_closing():
            self.transport.write_eof()
            self.resume_reading()
            self._timer = self.loop.call_later(self._limits.linger_s, self.close_now)
        else:
            self.close_now()

    def shutdown(self) -> None:
        """End this connection when its request is answered: the server stops. Called by uvicorn."""
        self._draining = True
        exchange = self._exchange
        if exchange is None:
            if self._state is not _State.IGNORED:
                self.close_now()
        elif not exchange.end_stream():
            exchange.keep_alive = False
            self.watch_silence()

    # Clocks.

    def _wait_for_head(self) -> None:
        self.put_off(self._limits.keep_alive_s)

    def _wait_for_body(self) -> None:
        self._body_moved = False
        self.put_off(self._limits.body_timeout_s)

    def deadline_passed(self) -> None:
        """Give up waiting for a request, or the rest of one."""
        if self._state is _State.BODY:
            exchange = self._exchange
            if self._body_moved or self._read_paused or exchange is None or exchange.wants_continue:
                self._wait_for_body()  # it comes, or is not asked for just now
            else:
                self._fail_request(408, "the rest of the request's body did not come in time")
        elif self._state is _State.HEAD and self._held:
            self._refuse_head(408, "the request's headers did not come in time")
        elif self._state is _State.HEAD:
            self.close_now()
