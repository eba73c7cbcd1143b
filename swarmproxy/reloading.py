"""What is read again on SIGHUP: certificates, the policy, the file of the audit log. No connection ends for it."""

import asyncio
import logging
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from swarmproxy.errors import ConfigError

log = logging.getLogger("swarmproxy.reloading")


@dataclass(frozen=True, slots=True)
class Reloader:
    """Something that was read from files: `reload` reads it again, or raises ConfigError and leaves it as it was."""

    what: str
    reload: Callable[[], None]


def reload_on_hangup(reloaders: Sequence[Reloader]) -> None:
    """Have SIGHUP call all `reloaders`, also those that are added later; one that fails is logged, with the reason."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload_all, reloaders)


def reload_all(reloaders: Sequence[Reloader]) -> None:
    """Call each of `reloaders`, whatever becomes of the others."""
    done = []
    for each in reloaders:
        try:
            each.reload()
        except ConfigError as error:
            fields = {"what": each.what, "error": str(error)}
            log.error("reload failed, the former stays in use", extra=fields)  # noqa: TRY400
        except Exception:
            log.exception("reload failed", extra={"what": each.what})
        else:
            done.append(each.what)
    log.info("reloaded", extra={"what": ", ".join(done) or "nothing"})
