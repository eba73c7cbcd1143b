"""Several managers of one cluster, of which one leads."""

import contextlib
import http.client
import itertools
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tests.conftest import StartManager
from tests.discovery.servers.process import Store
from tests.discovery.store_contract import NODES
from tests.hosts.engine import Engine
from tests.hosts.manager import PORTS, Manager
from tests.waiting import nap

GUARD_S = 60.0
OBSERVE_EVERY_S = 0.05
STEADY = ("--replication-ttl", "60s")
"""For tests in which no lock is to end: one of a few seconds does now and then on a machine that is late."""

PREFIXES = itertools.count(1)


class Group:
    """Managers that find `engines` in `store`, under a prefix of their own, and each other by its lock."""

    def __init__(self, store: Store, engines: list[Engine], start_manager: StartManager) -> None:
        """Write the engines down, for good; no manager runs yet."""
        self.store = store
        self.engines = engines
        self.managers: list[Manager] = []
        self.prefix = f"group{next(PREFIXES)}"
        self._start_manager = start_manager
        addresses = [engine.own_address for engine in engines]
        store.write({f"{self.prefix}/{NODES}/{address}": address for address in addresses})

    def add(self, *, address: str = "", advertise: str = "", more: Sequence[str] = (), **options: Any) -> Manager:
        """Return one more manager, which sees all engines."""
        address = address or f"127.0.0.1:{next(PORTS)}"
        arguments = [
            *("--replication", "--replication-ttl", f"{self.store.ttl_s:g}s"),
            *("--advertise", advertise or address),
            *more,
        ]
        discovery = self.store.url(self.prefix)
        healthy = len(self.engines)
        self.managers.append(
            self._start_manager(discovery=discovery, arguments=arguments, address=address, healthy=healthy, **options)
        )
        return self.managers[-1]

    def start(self, count: int, **options: Any) -> tuple[Manager, list[Manager]]:
        """Return the leader of `count` managers, and the others, once they all agree."""
        for _ in range(count):
            self.add(**options)
        return self.agreed()

    def agreed(self, *, without: Manager | None = None) -> tuple[Manager, list[Manager]]:
        """Return the leader and the others, once all that run, but `without`, agree."""
        running = [manager for manager in self.managers if manager is not without]
        begun = time.monotonic()
        while True:
            roles = [role_of(manager) for manager in running]
            leaders = [manager for manager, (role, _) in zip(running, roles, strict=True) if role == "primary"]
            others = [manager for manager in running if manager not in leaders]
            primaries = {primary for role, primary in roles if role == "replica"}
            if len(leaders) == 1 and primaries <= {leaders[0].address}:
                return leaders[0], others
            assert time.monotonic() < begun + GUARD_S, roles
            nap(begun)


def role_of(manager: Manager, *, timeout_s: float = 30.0) -> tuple[str, str]:
    """Return a manager's role, and the leader that it names; empty if it does not answer."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        status, answer = manager.request("GET", "/info", timeout_s=timeout_s)
        assert status == 200, answer
        rows = dict(json.loads(answer)["SystemStatus"])
        return rows["Role"], rows.get("Primary", "")
    return "", ""


class Observer(threading.Thread):
    """Asks all managers again and again who leads."""

    def __init__(self, managers: list[Manager]) -> None:
        super().__init__(name="observer")
        self._managers = managers
        self._ending = threading.Event()
        self.rounds = 0
        self.conflicts: list[tuple[str, str]] = []
        """Managers of which one led before and after the other did."""

    def end(self) -> None:
        """Return when it has ended."""
        self._ending.set()
        self.join()

    def run(self) -> None:
        """Go on until told to end."""
        while not self._ending.is_set():
            self.rounds += 1
            leaders = [manager for manager in self._managers if self._leads(manager)]
            if len(leaders) > 1 and self._leads(leaders[0]):
                self.conflicts.append((leaders[0].address, leaders[1].address))
            time.sleep(OBSERVE_EVERY_S)

    def _leads(self, manager: Manager) -> bool:
        return role_of(manager, timeout_s=0.5)[0] == "primary"


def seconds_until(condition: Callable[[], object], what: str) -> float:
    """Return how long it took until `condition()` was true."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() < started + GUARD_S, f"waited in vain for {what}"
        time.sleep(OBSERVE_EVERY_S)
    return time.monotonic() - started


@contextlib.contextmanager
def frozen(manager: Manager) -> Iterator[None]:
    """Stop a manager where it stands for the length of the block."""
    os.kill(manager.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(manager.pid, signal.SIGCONT)


def names_on(engines: list[Engine]) -> list[str]:
    """Return the name of each container that is on an engine, as often as it is there."""
    return [each["Names"][0].lstrip("/") for engine in engines for each in engine.get_json("/containers/json?all=1")]
