"""Who may connect, and how often ask: caps that keep one client, or all of them, from taking what others need.

A client that is refused is told why in the answer to its first request, and its connection is closed. Of those, too,
there are only so many: beyond them, connections are closed as they come.
"""

import asyncio
import math
from dataclasses import dataclass

import msgspec

from swarmproxy.errors import TooManyRequests
from swarmproxy.wire import descriptors
from swarmproxy.wire.clients import account_of, host_of
from swarmproxy.wire.exchange import AsgiExchange
from swarmproxy.wire.limits import Limits
from swarmproxy.wire.rates import Rates

BURST_S = 10
"""A client may ask at once for what is its share of so long."""
_TOLD_AT_ONCE = 64  # clients that may be waiting to hear why they are refused
_AGAIN_S = 1


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a client is not served, and when it may come again."""

    status: int
    message: str
    retry_after_s: int = _AGAIN_S

    def answer(self, exchange: AsgiExchange) -> None:
        """Answer so."""
        lines = b"content-type: application/json\r\nretry-after: %d\r\n" % self.retry_after_s
        exchange.answer_at_once(self.status, lines, msgspec.json.encode({"message": self.message}) + b"\n")


class Admission:
    """Counts connections and requests. All listeners of a manager share one."""

    def __init__(self, limits: Limits) -> None:
        self._most = limits.connections
        self._most_of_one = limits.connections_per_client
        burst = limits.requests_burst or max(1, limits.requests_per_second * BURST_S)
        self.rates = Rates("requests", limits.requests_per_second, burst) if limits.requests_per_second else None
        self.open = 0  # connections that were not refused
        self._of: dict[str, int] = {}  # by client
        self._refused = 0
        self.refused_in_all = 0  # connections, since the begin

    def enter(self, transport: asyncio.BaseTransport) -> "Visit":
        """Count a new connection; the caller ends the visit with it."""
        host = host_of(transport)
        sock = transport.get_extra_info("socket")
        descriptor = sock.fileno() if sock is not None else -1
        refusal = self._refusal(descriptor, host)
        if refusal is None:
            self.open += 1
            self._of[host] = self._of.get(host, 0) + 1
            return Visit(self, host, None, hopeless=False)
        self._refused += 1
        self.refused_in_all += 1
        hopeless = self._refused > _TOLD_AT_ONCE or descriptor >= descriptors.for_refused()
        return Visit(self, host, refusal, hopeless=hopeless)

    def _refusal(self, descriptor: int, host: str) -> Refusal | None:
        too_high = descriptors.for_clients()
        if descriptor >= too_high:
            descriptors.tell()
            return Refusal(503, "The manager has too few file descriptors left, try again later")
        if self._most and self.open >= self._most:
            return Refusal(503, f"The manager serves {self._most} connections already, try again later")
        of_one = self._most_of_one or max(1, too_high // 2)
        if self._of.get(host, 0) >= of_one:
            return Refusal(429, f"{host or 'this client'} has {of_one} connections open already, try again later")
        return None

    def leave(self, visit: "Visit") -> None:
        """Forget a connection that is closed."""
        if visit.refusal is not None:
            self._refused -= 1
            return
        self.open -= 1
        left = self._of[visit.host] - 1
        if left:
            self._of[visit.host] = left
        else:
            del self._of[visit.host]


class Visit:
    """One connection, from its begin to its end. `hopeless`: it is to be closed without a word."""

    __slots__ = ("_account", "_admission", "_ended", "hopeless", "host", "limited", "refusal")

    def __init__(self, admission: Admission, host: str, refusal: Refusal | None, *, hopeless: bool) -> None:
        self._admission = admission
        self._ended = False
        self._account = ""
        self.host = host
        self.refusal = refusal
        self.hopeless = hopeless
        self.limited = refusal is not None or admission.rates is not None  # some requests may be turned away

    def turns_away(self, exchange: AsgiExchange) -> bool:
        """Answer a request that asks for too much; return whether that was so."""
        refusal = self.refusal
        if refusal is not None:
            exchange.keep_alive = False
        elif self._admission.rates is not None:
            if not self._account:
                self._account = account_of(exchange.connection.transport) or "this client"
            try:
                self._admission.rates.take(self._account)
            except TooManyRequests as error:
                refusal = Refusal(429, str(error), math.ceil(error.retry_after_s))
        if refusal is None:
            return False
        exchange.about.verdict, exchange.about.rule = "refused", "limit"
        refusal.answer(exchange)
        return True

    def end(self) -> None:
        """Note that the connection is closed. To be called at least once."""
        if not self._ended:
            self._ended = True
            self._admission.leave(self)
