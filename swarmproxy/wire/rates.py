"""How much each client may ask for."""

import ipaddress
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from swarmproxy.errors import TooManyRequests

log = logging.getLogger("swarmproxy.wire")

MAX_CLIENTS = 10_000
IPV6_PREFIX = 64
"""One client of IPv6 has a whole network of this size."""


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

    def take(self, client: str) -> None:
        """Count one request of `client`. Raises TooManyRequests; one line a client is logged when that begins."""
        if self._per_s <= 0:
            return
        now_s = self._monotonic()
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
        after_s = (1 - bucket.left) / self._per_s
        raise TooManyRequests(f"too many requests from {client}, try again later", retry_after_s=after_s)


def client_of(host: str) -> str:
    """Return what counts as one client: an IPv4 address, mapped or not, or a network of IPv6."""
    if ":" not in host:
        return host
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, IPV6_PREFIX), strict=False))
