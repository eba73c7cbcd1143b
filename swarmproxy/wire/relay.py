"""A request forwarded to an engine, its answer forwarded to the client, below ASGI: the app only decides."""

import asyncio
import functools
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from swarmproxy.errors import BadRequest, EngineUnreachable, TooLarge
from swarmproxy.wire.exchange import Application, AsgiExchange, ClientConnection, Message
from swarmproxy.wire.fetch import Answer, request_bytes
from swarmproxy.wire.forward import Forwarding, RelayOptions
from swarmproxy.wire.framing import Piece
from swarmproxy.wire.head import Fields, RequestHead, changed
from swarmproxy.wire.holding import Held, Holding
from swarmproxy.wire.pool import Pool
from swarmproxy.wire.whole import Asking

__all__ = ["DEFAULT", "Exchange", "RelayOptions", "Shortcut"]

DEFAULT = RelayOptions()
MAX_UPGRADE_BODY_BYTES = 1024 * 1024
MAX_ADAPTED_BYTES = 64 * 1024 * 1024
Shortcut = Callable[["Exchange"], bool]
"""Answers a request whose body, if it has one, is there: at once, by what its exchange has for that.

Or returns False: the application answers.
"""

_CAN_BE_SENT_AGAIN = frozenset((b"GET", b"HEAD"))


class Exchange(AsgiExchange):
    """A request that an application answers, or has relayed: `scope["extensions"]["swarmproxy.exchange"]`."""

    __slots__ = ("_asking", "_failure", "_finished", "_forward", "_on_end", "_sent_before")

    def __init__(self, connection: ClientConnection, request: RequestHead) -> None:
        super().__init__(connection, request)
        self._forward: Forwarding | None = None
        self._asking: Asking | None = None
        self._finished: asyncio.Future[None] | None = None  # somebody waits for that, since the client does not
        self._on_end: Callable[[int], None] | None = None  # of `relay_at_once`
        self._sent_before = False  # by it, in vain
        self._failure: Exception | None = None  # that is final

    async def relay(self, pool: Pool, target: bytes, *, options: RelayOptions = DEFAULT) -> int:
        """Forward this request to the engine of `pool`, and its answer to the client; return the status.

        `target` is the path and query for the engine. It returns when the exchange is over, for a hijacked
        stream when both sides are closed; with 0 if the client went away before the engine's head came.
        A GET or HEAD that meets a closed pooled connection is sent once more.
        Raises EngineUnreachable while nothing was written to the client, which the caller then answers;
        afterwards a failure aborts the client's connection. Raises TooLarge if a request to upgrade has a
        body over `MAX_UPGRADE_BODY_BYTES`, and Held as `RelayOptions.holds` says: it may be relayed once more then.
        """
        if (self.adapt is None and self.review is None) or options.upgrade:
            return await self._relay(pool, target, options)
        try:
            return await self._relay(pool, target, replace(options, holds=_every, held_bytes=MAX_ADAPTED_BYTES))
        except Held as held:
            if options.holds is not None and options.holds(held.status):
                raise
            if len(held.body) >= MAX_ADAPTED_BYTES:
                raise TooLarge("the answer is too large to be looked through") from held
            await self.answer(held.status, held.lines, held.body)
            return held.status

    async def _relay(self, pool: Pool, target: bytes, options: RelayOptions) -> int:
        if self.answer_begun or self._forward is not None:
            raise RuntimeError("the request is answered already")
        if self._failure is not None:
            raise self._failure
        body = options.body
        if body is None and self.request.has_body:
            if self.body_read:
                raise RuntimeError("the body was read already: pass it on")
            if options.upgrade:
                # The whole of it goes ahead of the stream, in one form that every engine can tell from it.
                body = await self.read_body(MAX_UPGRADE_BODY_BYTES, "a request to upgrade")
        again = self.request.method in _CAN_BE_SENT_AGAIN and (body is not None or not self.request.has_body)
        connection = pool.take_idle(only_once=not again) if not self._sent_before else None
        while True:
            fresh = connection is None
            if connection is None:
                connection = await pool.acquire(fresh=True)
            if self.gone and not (options.finish and self.body_complete and not options.upgrade):
                connection.release()  # nothing was asked of the engine yet
                return 0
            done: asyncio.Future[int] = self.connection.loop.create_future()
            kind = Forwarding if options.holds is None else Holding
            self._forward = forward = kind(self, connection, options, functools.partial(_resolve, done))
            try:
                forward.send_head(target, body)
                if self.gone:
                    forward.client_lost()  # before we had a connection
                if body is None and self.request.has_body:
                    self._forward_body(forward)
                if connection.write_paused:
                    forward.pause_writing()
                if self.connection.write_paused:
                    forward.client_paused()
                if options.upgrade and not pool.idle:
                    await pool.prepare()  # a stream keeps its connection, and more requests follow it, as a rule
                return await done
            except EngineUnreachable:
                if fresh or not again or forward.began or forward.is_late or self.gone:
                    raise
                connection = None
            except asyncio.CancelledError:
                forward.cancel()
                raise
            finally:
                self._forward = None

    def relay_at_once(self, pool: Pool, target: bytes, options: RelayOptions, on_end: Callable[[int], None]) -> bool:
        """As `relay` for a request without body, if a connection waits for one; return whether it is on its way.

        Nothing waits here, so it costs no task. `on_end` gets the status when the exchange is over, 0 if there is none.
        If the engine fails before it answers, the application is asked after all, and `relay` goes on from there.
        """
        again = self.request.method in _CAN_BE_SENT_AGAIN
        connection = pool.take_idle(only_once=not again)
        if connection is None:
            return False
        self._on_end = on_end
        self._forward = forward = Forwarding(self, connection, options, self._ended_at_once)
        forward.send_head(target, None)
        if connection.write_paused:
            forward.pause_writing()
        if self.connection.write_paused:
            forward.client_paused()
        return True

    def _ended_at_once(self, status: int, error: Exception | None) -> None:
        forward, self._forward = self._forward, None
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end(status)
        if self._finished is not None:
            self._finished.set_result(None)
            self._finished = None
        if error is not None:
            silent = forward is not None and not forward.began and not forward.is_late
            again = self.request.method in _CAN_BE_SENT_AGAIN and silent
            self._sent_before = True
            self._failure = None if again else error
            self.connection.ask_application(self)

    def ask_at_once(
        self,
        pool: Pool,
        method: str,
        target: str,
        then: Callable[[Answer | EngineUnreachable], None],
        *,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        timeout_s: float,
    ) -> bool:
        """Ask the engine of `pool` for what our own answer is to be made of; return whether that is on its way.

        It is if a connection waits; it costs no task. `then` gets what `fetch` would return or raise, and answers at
        once, unless the client is gone. If the engine ends a connection that it kept, the application is asked after
        all, for what can be asked for twice.
        """
        again = method in ("GET", "HEAD")
        connection = pool.take_idle(only_once=not again)
        if connection is None:
            return False

        def came(asking: Asking) -> None:
            self._asking = None
            if asking.answers:
                whole = asking.answers.popleft()
                then(Answer(whole.head.status, whole.headers, whole.body))
            elif asking.is_late:
                then(EngineUnreachable(f"engine {pool.address} did not answer within {timeout_s:g} s"))
            elif asking.is_amid_answer or not again:
                then(asking.error or EngineUnreachable(f"engine {pool.address} ended its answer"))
            else:
                self.connection.ask_application(self)

        self._asking = Asking(connection, came, timeout_s=timeout_s)
        connection.transport.write(request_bytes(pool, method, target, headers, body))
        self.connection.stay_awake()
        return True

    def run(self, app: Application, scope: Message, tasks: "set[asyncio.Task[None]]") -> Coroutine[Any, Any, None]:
        """As its base; if the engine is finishing something for a client that has gone, wait for that instead."""
        return super().run(app if self._finished is None else self._see_to_the_end, scope, tasks)

    async def _see_to_the_end(self, *_: object) -> None:
        if self._finished is not None:
            await self._finished

    def whole_body(self) -> bytes:
        """Return the body of a request that came whole, for who answers at once; whoever else is asked has it too."""
        return bytes(self._body)

    async def read_body(self, max_bytes: int, what: str) -> bytes:
        """Return the whole body, to be passed on in `RelayOptions.body`.

        Raises TooLarge, which names `what`, and BadRequest if the client leaves before: a part is not the whole.
        """
        parts = bytearray()
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise BadRequest("the client left before its request was complete")
            parts += message.get("body", b"")
            if len(parts) > max_bytes:
                raise TooLarge(f"the body of {what} is over {max_bytes} bytes")
            if not message.get("more_body"):
                return bytes(parts)

    def replace_fields(self, fields: Fields) -> None:
        """Have the request go on with other headers."""
        self.request = msgspec.structs.replace(self.request, fields=fields)

    def give_back(self, body: bytes) -> None:
        """Have `body` read, or relayed, in the place of the client's, which was read whole."""
        fields = changed(self.request.fields, without=frozenset((b"content-length",)), length=len(body))
        self.request = msgspec.structs.replace(self.request, fields=fields, has_body=bool(body))
        self._body = bytearray(body)
        self._body_told = self.body_read = False

    def _forward_body(self, forward: Forwarding) -> None:
        """Send what is here of the body, and let the rest come."""
        if not self.body_complete:
            self.want_body()
        here = bytes(self._body)
        self._body.clear()
        if here or self.body_complete:
            forward.send_body((here,) if here else (), last=self.body_complete)

    # What the connection tells.

    def body_received(self, pieces: Sequence[Piece], *, last: bool) -> None:
        """Send the payload on, or keep it until it is known where to."""
        if self._forward is None or self.answer_ended:
            super().body_received(pieces, last=last)
            return
        self.body_complete = last
        self._forward.send_body(pieces, last=last)

    def client_lost(self) -> None:
        """End the engine's work, or let it finish."""
        super().client_lost()
        if self._forward is not None:
            self._forward.client_lost()
        if self._forward is not None and self._on_end is not None:  # the engine finishes what it has begun
            self._finished = self.connection.loop.create_future()
            self.connection.ask_application(self)  # so that the server waits for it, see `run`
        if self._asking is not None:
            self._asking.end()
            self._asking = None

    def client_paused(self) -> None:
        """Hold back the engine."""
        if self._forward is not None:
            self._forward.client_paused()

    def client_resumed(self) -> None:
        """Let the engine go on."""
        super().client_resumed()
        if self._forward is not None:
            self._forward.client_resumed()

    def end_stream(self) -> bool:
        """End a hijacked stream in order; return whether this is one."""
        return self._forward is not None and self._forward.end_stream()


def _every(_status: int) -> bool:
    return True


def _resolve(done: "asyncio.Future[int]", status: int, error: Exception | None) -> None:
    """Let whoever waits for `done` go on, unless it was cancelled."""
    if done.done():
        return
    if error is None:
        done.set_result(status)
    else:
        done.set_exception(error)
