"""How much each client may ask for."""

import ipaddress
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from swarmproxy.errors import SwarmError

log = logging.getLogger("swarmproxy.hub")

MAX_CLIENTS = 10_000
IPV6_PREFIX = 64
"""One client of IPv6 has a whole network of this size."""


class TooManyRequests(SwarmError):
    """A client asked for more than its share; it may ask again after `retry_after_s`."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("too many requests from this address, try again later")
        self.retry_after_s = retry_after_s


@dataclass(slots=True)
class _Bucket:
    left: float
    looked_s: float
    limited: bool = False


class Rates:
    """A token bucket for each client: `per_s` on average, `burst` at once. 0 of them is no limit.

    It remembers MAX_CLIENTS clients, those that came last.
    """

    def __init__(self, what: str, per_s: float, burst: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._per_s = per_s
        self._burst = burst
        self._monotonic = monotonic
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, host: str) -> None:
        """Count one request of `host`, which is empty for a unix socket's clients: they are trusted.

        Raises TooManyRequests; one line a client is logged when that begins.
        """
        if not host or self._per_s <= 0:
            return
        now_s = self._monotonic()
        client = client_of(host)
        bucket = self._buckets.get(client)
        if bucket is None:
            bucket = self._buckets[client] = _Bucket(self._burst, now_s)
            if len(self._buckets) > MAX_CLIENTS:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(client)
        bucket.left = min(self._burst, bucket.left + (now_s - bucket.looked_s) * self._per_s)
        bucket.looked_s = now_s
        if bucket.left >= 1:
            bucket.left -= 1
            bucket.limited = bucket.limited and bucket.left < self._burst / 2
            return
        if not bucket.limited:
            bucket.limited = True
            log.warning("too many requests", extra={"client": client, "of": self._what})
        raise TooManyRequests((1 - bucket.left) / self._per_s)


def client_of(host: str) -> str:
    """Return what counts as one client: an IPv4 address, mapped or not, or a network of IPv6."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, IPV6_PREFIX), strict=False))
