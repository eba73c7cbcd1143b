"""How each kind of fault is done to the stand, and how it is mended."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from tests.chaos.hosts import Host
from tests.chaos.ledger import Ledger
from tests.chaos.schedule import Fault, Kind
from tests.chaos.stand import LABEL, Stand
from tests.hosts.engine import Engine
from tests.hosts.manager import STOP_DEADLINE_S, Manager
from tests.integration.faults import rewrite
from tests.integration.group import role_of

T = TypeVar("T")
Mend = Callable[[], None]
FURTHEST_S = 7200.0  # that a clock jumps
PAGE_BYTES = 4096
HEAD_START_S = 0.03  # of clients, so that the fault befalls what they have asked for


class Faults:
    """Does faults to a stand, one at a time to each part of it."""

    def __init__(self, stand: Stand, ledger: Ledger) -> None:
        self._stand = stand
        self._ledger = ledger
        self.done: Counter[str] = Counter()

    def begin(self, fault: Fault) -> Mend | None:
        """Return what ends `fault`, which is there from now on; None if its subject is in trouble already."""
        match fault.kind.subject:
            case "engine":
                engine = pick(self._stand.engines, fault.choice)
                if not engine.runs and not self._stand.troubles.now(engine.name):
                    return None  # it has ended by itself: see `calm.bring_up`
                return self._begin(fault, engine.name, lambda: self._engine(fault, engine))
            case "manager":
                at = self._choose_manager(fault)
                return self._begin(fault, self._stand.managers[at].address, lambda: self._manager(fault, at))
            case _:
                return self._begin(fault, "store", lambda: self._store(fault))

    def _begin(self, fault: Fault, subject: str, begin: Callable[[], Mend]) -> Mend | None:
        troubles = self._stand.troubles
        if troubles.now(subject):
            return None
        self._stand.sound_alarm()
        time.sleep(HEAD_START_S)
        troubles.begin(subject)
        mend = begin()
        self._stand.sound_alarm()
        self.done[fault.kind] += 1
        print(f"{time.strftime('%H:%M:%S')} {fault.kind}: {subject}, {fault.lasts_s:.1f} s", flush=True)

        def end() -> None:
            mend()
            troubles.end(subject)

        return end

    # -- engines

    def _engine(self, fault: Fault, engine: Engine) -> Mend:
        match fault.kind:
            case Kind.ENGINE_POWER:
                engine.kill()
                return lambda: start(engine)
            case Kind.ENGINE_CRASH:
                engine.crash()
                return lambda: start(engine)
            case Kind.ENGINE_FROZEN:
                engine.freeze()
                return engine.thaw
            case Kind.ENGINE_LINK:
                engine.disconnect()
                return engine.reconnect
            case Kind.ENGINE_FULL:
                return self._fill(engine)
            case _:
                engine.crash()
                self._ledger.destroy(forget(engine))
                return lambda: start(engine)

    def _fill(self, engine: Engine) -> Mend:
        """Take all that is left of the engine's disk."""
        filler = engine.directory / "data" / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(PAGE_BYTES))

        def clear() -> None:
            filler.unlink()
            if not engine.runs:  # it may not survive that
                engine.crash()
                start(engine)

        return clear

    # -- managers

    def _choose_manager(self, fault: Fault) -> int:
        if fault.befalls_leader:
            for at, manager in enumerate(self._stand.managers):
                if not self._stand.troubles.now(manager.address) and role_of(manager, timeout_s=1)[0] == "primary":
                    return at
        return pick(range(len(self._stand.managers)), fault.choice)

    def _manager(self, fault: Fault, at: int) -> Mend:
        manager, host = self._stand.managers[at], self._stand.hosts[at]
        match fault.kind:
            case Kind.MANAGER_KILL:
                manager.kill()
                return lambda: restart(manager)
            case Kind.MANAGER_END:
                # Before it serves it is not there to take its leave, and the signal just ends it.
                manager.wait_until(lambda: role_of(manager)[0], "a manager that can be told to end")
                os.kill(manager.pid, signal.SIGTERM)
                return lambda: self._restart_ended(manager)
            case Kind.MANAGER_FROZEN:
                os.kill(manager.pid, signal.SIGSTOP)
                return lambda: self._thaw(manager)
            case Kind.MANAGER_LINK:
                host.disconnect()
                return host.reconnect
            case Kind.MANAGER_CLOCK:
                rewrite(self._stand.clocks[at], f"{fault.amount * FURTHEST_S:+.0f}\n")
                return lambda: None  # it stays where it jumped to, until it jumps again
            case Kind.MANAGER_FROM_STORE:
                host.lose(self._stand.store_ip)
                return lambda: host.find(self._stand.store_ip)
            case _:
                engines = [each.cable.ip for each in self._stand.engines]
                lost = engines if fault.choice < 0.5 else engines[:1]
                for address in lost:
                    host.lose(address)
                return lambda: find(host, lost)

    def _thaw(self, manager: Manager) -> None:
        """Let a manager go on that was asked meanwhile whether it leads: it may not, if another does."""
        with contextlib.closing(manager.connect()) as connection:
            asked = False
            with contextlib.suppress(OSError):  # it may not even listen yet
                connection.request("GET", "/info")
                asked = True
            others = [each for each in self._stand.managers if each is not manager]
            leading = [each for each in others if role_of(each, timeout_s=1)[0] == "primary"]
            os.kill(manager.pid, signal.SIGCONT)
            if not asked:
                return
            with contextlib.suppress(OSError, http.client.HTTPException):
                rows = dict(json.loads(connection.getresponse().read())["SystemStatus"])
                if leading and rows["Role"] == "primary" and role_of(leading[0])[0] == "primary":
                    self._ledger.violate(f"two leaders: {leading[0].address} and {manager.address}, which was stopped")

    def _restart_ended(self, manager: Manager) -> None:
        try:  # not by a second signal, which ends it at once
            if code := manager.wait_for_end(STOP_DEADLINE_S):
                self._ledger.violate(f"{manager.address} was told to end, and its exit status is {code}")
        except subprocess.TimeoutExpired:
            self._ledger.violate(f"{manager.address} was told to end and does not")
            manager.kill()
        restart(manager)

    # -- the store

    def _store(self, fault: Fault) -> Mend:
        store = self._stand.store
        match fault.kind:
            case Kind.STORE_KILL:
                store.kill()
                return store.start
            case Kind.STORE_FROZEN:
                store.freeze()
                return store.thaw
            case _:
                store.kill()
                store.wipe()
                return store.start


def pick(among: Sequence[T], choice: float) -> T:
    """Return the one of `among` that `choice` (0..1) stands for."""
    return among[int(choice * len(among)) % len(among)]


def find(host: Host, addresses: Sequence[str]) -> None:
    """Let packets to `addresses` through again."""
    for address in addresses:
        host.find(address)


def start(engine: Engine) -> None:
    """Start an engine that is off; whoever needs it waits for it."""
    engine.poweron()


def restart(manager: Manager) -> None:
    """Start a manager that has ended."""
    manager.start()


def forget(engine: Engine) -> set[str]:
    """Delete all that an engine had, which is off: it is another one from now on. Return the keys that it held."""
    keys = set()
    for config in (engine.directory / "data" / "containers").glob("*/config.v2.json"):
        with contextlib.suppress(ValueError, KeyError, TypeError):  # cut off in the middle, or nobody's we know
            keys.add(json.loads(config.read_text())["Config"]["Labels"][LABEL])
    for part in ("data", "etc-docker"):
        for entry in (engine.directory / part).iterdir():
            remove(entry)
    (engine.directory / "loaded").unlink(missing_ok=True)  # it may be new since nobody waited for it
    return keys


def remove(path: Path) -> None:
    """Delete a file or a directory."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
