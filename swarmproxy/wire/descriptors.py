"""File descriptors, of which a process has so many: clients leave some to engines, and those leave some to ourselves.

The kernel gives out the lowest number that is free. So the number of a new connection says how many are in use, at the
cost of looking at it. Where somebody is to be told that there are none left, one must be left to tell it with.
"""

import errno
import logging
import resource
import sys
import time

log = logging.getLogger("swarmproxy.wire")

ENGINES_PART = 4  # one in so many is not for clients
SPARE = 32  # at most, that engines leave: for clients that are refused, for names to be looked up, for files
_TOLD_AGAIN_S = 60.0

_told_at = float("-inf")


def for_clients() -> int:
    """Return which descriptor is too high for the connection of a client: what is above may be needed for engines."""
    most = _most()
    return most - most // ENGINES_PART


def for_refused() -> int:
    """Return which descriptor is too high even for a client that is told so: a part of what engines may need."""
    most = _most()
    return most - most // ENGINES_PART * 3 // 4


def for_engines() -> int:
    """Return which descriptor is too high for a connection to an engine: we may need what is above to tell of it."""
    most = _most()
    return most - min(SPARE, most // (2 * ENGINES_PART))


def means_exhausted(error: OSError) -> bool:
    """Return whether `error` says that there are none left, in this process or on this machine."""
    return error.errno in (errno.EMFILE, errno.ENFILE)


def tell() -> None:
    """Log that there are too few, once a minute at most."""
    global _told_at
    now = time.monotonic()
    if now - _told_at >= _TOLD_AGAIN_S:
        _told_at = now
        log.error("too few file descriptors: raise the limit (ulimit -n, LimitNOFILE)", extra={"limit": _most()})


def _most() -> int:
    """Return how many this process may have. It may be told another number at any time."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return most if most >= 0 else sys.maxsize
