"""The clocks of a client's connection."""

import asyncio

from swarmproxy.wire.exchange import ClientConnection
from swarmproxy.wire.limits import Limits
from swarmproxy.wire.relay import Exchange
from swarmproxy.wire.sockets import StallTimer

_EARLY_S = 0.001  # the loop counts in milliseconds


class Clocks(ClientConnection):
    """A deadline that is put off with each request, and the timers of what is watched while there is reason to."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: Limits) -> None:
        self.loop = loop
        self._limits = limits
        self._exchange: Exchange | None = None  # in progress
        self.input_ended = False
        self.write_paused = False
        self._input_ended_at = 0.0
        self._deadline = 0.0
        self._timer_at = 0.0
        self._timer: asyncio.TimerHandle | None = None  # of the deadline, later of the connection's end
        self._watch: asyncio.TimerHandle | None = None
        self._stall: StallTimer | None = None

    def deadline_passed(self) -> None:
        """Give up waiting for a request."""
        raise NotImplementedError

    def put_off(self, seconds: float) -> None:
        """Let the deadline pass `seconds` from now. One timer serves most requests: fired early, it waits on."""
        self._deadline = deadline = self.loop.time() + seconds
        if self._timer is None or deadline < self._timer_at:
            self.stop_timer()
            self._timer_at = deadline
            self._timer = self.loop.call_later(seconds, self._look_at_deadline)

    def _look_at_deadline(self) -> None:
        self._timer = None
        left_s = self._deadline - self.loop.time()
        if left_s > _EARLY_S:
            self.put_off(left_s)
        else:
            self.deadline_passed()

    def stop_timer(self) -> None:
        """Let neither the deadline nor an end pass."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def close_now(self) -> None:
        """Close behind what was written; not for ever."""
        self.stop_timer()
        self._timer = self.loop.call_later(self._limits.stall_s, self.transport.abort)
        self.transport.close()

    def watch_silence(self) -> None:
        """End the answer if nothing moves: the client ended its side and may be gone, or we stop."""
        if self._watch is not None:
            self._watch.cancel()
        if self._exchange is not None:
            self._exchange.moving = False
        self._watch = self.loop.call_later(self._limits.silence_s, self._look_for_silence)

    def _look_for_silence(self) -> None:
        exchange = self._exchange
        if exchange is None:
            return
        late = self.input_ended and self.loop.time() - self._input_ended_at > self._limits.patience_s
        silent = not exchange.moving and not self.transport.get_write_buffer_size()
        if silent if exchange.answer_begun else late:
            self.close_now()
        else:
            self.watch_silence()

    def pause_writing(self) -> None:
        """Hold back whoever answers; not for ever."""
        self.write_paused = True
        if self._stall is None:
            self._stall = StallTimer(self.transport, self._limits.stall_s, self.transport.abort)
        self._stall.start()
        if self._exchange is not None:
            self._exchange.client_paused()

    def resume_writing(self) -> None:
        """Let the answer go on."""
        self.write_paused = False
        if self._stall is not None:
            self._stall.stop()
        if self._exchange is not None:
            self._exchange.client_resumed()

    def stop_clocks(self) -> None:
        """Watch nothing any more."""
        self.stop_timer()
        if self._watch is not None:
            self._watch.cancel()
        if self._stall is not None:
            self._stall.stop()
