"""What systemd is told of a service of ours of Type=notify: that it is ready, alive, or about to end.

Started in another way we tell nobody anything. Source: sd_notify(3) and sd_watchdog_enabled(3).
"""

import asyncio
import logging
import os
import socket

log = logging.getLogger("swarmproxy.notify")

READY, STOPPING, ALIVE = "READY=1", "STOPPING=1", "WATCHDOG=1"


def tell(*lines: str) -> None:
    """Tell all of `lines` at once. That nobody listens is logged, and no reason to end."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)  # a manager of services that hangs must not make us hang
            sender.sendto("\n".join(lines).encode(), "\0" + path[1:] if path.startswith("@") else path)
    except OSError as error:
        log.warning("systemd cannot be told", extra={"socket": path, "lines": " ".join(lines), "error": str(error)})


def watchdog_s() -> float | None:
    """Return after how long without a word this process is ended by its watchdog; None: it has none."""
    own = os.environ.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
    text = os.environ.get("WATCHDOG_USEC", "")
    return int(text) / 1e6 if own and text.isdecimal() and int(text) else None


async def beat_until(end: asyncio.Event) -> None:
    """Tell the watchdog, if there is one, that the event loop turns, until `end` is set."""
    longest_s = watchdog_s()
    while longest_s is not None:
        tell(ALIVE)
        try:
            async with asyncio.timeout(longest_s / 2):
                await end.wait()
        except TimeoutError:
            continue
        break
    await end.wait()
