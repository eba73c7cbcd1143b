"""What a manager needs of its process: descriptors for all engines, and garbage collection that is no burden."""

import gc
import logging
import resource

log = logging.getLogger("swarmproxy.process")

RESERVED = 1000  # descriptors for clients and streams, besides those of engines
COLLECT_AFTER = (50_000, 20, 50)  # new objects, young collections, middle ones
"""Reading a thousand engines makes millions of objects. Nearly all go when nobody refers to them any more."""


def begin() -> None:
    """Call before the modules are loaded. No garbage is collected until `settle`.

    To look through modules while they are loaded, and then through all of them at once, takes a fifth of the time that
    they take, and finds 0.7 MiB. What is loaded stays, and a start makes no garbage either.
    """
    gc.disable()


def prepare() -> None:
    """Call once, when all modules have been loaded."""
    gc.freeze()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def settle() -> None:
    """Call when the engines have been read. Garbage is looked for among what is made from now on.

    What a thousand engines hold stays as a rule, and to look through it takes 0.2 s, in which nobody is answered.
    """
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    gc.enable()


def descriptors() -> int:
    """How many files and connections this process may have open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def warn_of_descriptors(engines: int) -> None:
    """Log that they are too few for so many engines: each takes one all the time, and one more now and then."""
    wanted = 2 * engines + RESERVED
    if 0 <= descriptors() < engines + RESERVED:
        extra = {"engines": engines, "limit": descriptors(), "wanted": wanted}
        log.warning(
            "too few file descriptors for so many engines: raise the limit (ulimit -n, LimitNOFILE)", extra=extra
        )
