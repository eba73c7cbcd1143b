"""Keeps one engine's address on the discovery service."""

import asyncio
import logging
import random
import signal

from discovery import Backend, DiscoveryRefusedError, Entry
from swarmproxy import notify
from swarmproxy.durations import format_duration
from swarmproxy.errors import ConfigError, EngineUnreachable, SwarmError
from swarmproxy.registration import register, unregister
from swarmproxy.wire.address import Address
from swarmproxy.wire.fetch import fetch
from swarmproxy.wire.pool import Pool

log = logging.getLogger("swarmproxy.join")

GOODBYE_S = 5.0
"""How long taking the entry away may hold up our end; without it the entry dies with its TTL."""
RETRY_S = 5.0
"""After a failure we try again this soon, if a heartbeat is not sooner."""
CHECK_S = 3.0
TLS_ONLY = b"HTTPS server"
"""In what a daemon with TLS answers to a client without: proof enough of a daemon. Source: Go's net/http."""


async def run(backend: Backend, entry: Entry, *, heartbeat_s: float, delay_s: float, check: bool = False) -> None:
    """Register `entry`, after a random part of `delay_s`, and again at every heartbeat until told to end.

    SIGTERM and SIGINT end it, and take the entry away. An error is logged and ends nothing, but with `check`
    EngineUnreachable is raised when no engine answers at `entry` to begin with; otherwise that is a warning.
    Raises ConfigError if the service can never take the entry as it is asked to.
    """
    await _look_for_engine(entry, check=check)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(_keep(backend, entry, heartbeat_s, delay_s), name=f"register {entry}")
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, task.cancel)
    except* DiscoveryRefusedError as refusals:
        raise ConfigError(str(refusals.exceptions[0])) from refusals


async def _look_for_engine(entry: Entry, *, check: bool) -> None:
    problem = await find_problem(entry)
    if problem and check:
        raise EngineUnreachable(f"no engine answers at --advertise {entry}: {problem}")
    if problem:
        log.warning("no engine answers at the advertised address", extra={"addr": str(entry), "error": problem})


async def find_problem(entry: Entry) -> str:
    """Return why there seems to be no engine at `entry`, "" if there is one, with or without TLS."""
    try:
        pool = Pool(Address.parse(str(entry)), connect_timeout_s=CHECK_S)
        try:
            answer = await fetch(pool, "GET", "/_ping", timeout_s=CHECK_S, max_body_bytes=65536)
        finally:
            await pool.close()
    except SwarmError as error:
        return str(error)
    if answer.status in (401, 403) or TLS_ONLY in answer.body or (answer.status == 200 and answer.body[:2] == b"OK"):
        return ""
    return f"what answers there is none, its /_ping has status {answer.status}"


async def _keep(backend: Backend, entry: Entry, heartbeat_s: float, delay_s: float) -> None:
    """Register for ever. Each change is one line in the log: registered, not any more and why, registered again."""
    if delay_s > 0:
        pause_s = random.uniform(0, delay_s)  # noqa: S311 - spreads load, hides nothing
        log.info("Add a random delay %s to avoid synchronized registration", format_duration(pause_s))
        await asyncio.sleep(pause_s)
    fields = {"addr": str(entry), "discovery": backend.source}
    log.info("Registering on the discovery service every %s...", format_duration(heartbeat_s), extra=fields)
    before: str | None = None
    notify.tell(notify.READY)
    try:
        while True:
            problem = await register(backend, entry, heartbeat_s)
            if problem and problem != before:
                log.error("%s", problem, extra=fields)
            elif not problem and before != "":
                log.info("registered" if before is None else "registered again", extra=fields)
            if problem != before:
                notify.tell(f"STATUS={problem or f'{entry} is registered'}")
            before = problem
            retry_s = RETRY_S * random.uniform(0.5, 1)  # noqa: S311 - not all agents at once
            await asyncio.sleep(min(heartbeat_s, retry_s) if problem else heartbeat_s)
    finally:
        notify.tell(notify.STOPPING)
        log.info("leaving the discovery service", extra=fields)
        if problem := await unregister(backend, entry, GOODBYE_S):
            log.warning("the entry could not be taken away", extra={"addr": str(entry), "error": problem})
