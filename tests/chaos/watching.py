"""Looks at managers and engines all the time: who leads, and whether anything is doubled."""

import threading
import time

from tests.chaos.ledger import Ledger
from tests.chaos.stand import Listed, Stand
from tests.hosts.manager import Manager
from tests.integration.group import role_of

LEADERS_EVERY_S = 0.5
ENGINES_EVERY_S = 4.0
ASK_S = 0.5


class LeaderWatch(threading.Thread):
    """Asks all managers again and again who leads."""

    def __init__(self, stand: Stand, ledger: Ledger) -> None:
        super().__init__(name="watch of leaders", daemon=True)
        self._stand = stand
        self._ledger = ledger
        self._ends = threading.Event()
        self.rounds = 0
        self.changes = 0  # another one leads than did before
        self.longest_without_s = 0.0

    def end(self) -> None:
        self._ends.set()
        self.join()

    def run(self) -> None:
        """Go on until told to end."""
        last, seen_at = "", time.monotonic()
        while not self._ends.wait(LEADERS_EVERY_S):
            self.rounds += 1
            leaders = [manager for manager in self._stand.managers if self._leads(manager)]
            # The first led before the second did: if it leads still, both did.
            if len(leaders) > 1 and self._leads(leaders[0]):
                self._ledger.violate(f"two leaders: {leaders[0].address} and {leaders[1].address}")
            if leaders:
                self.longest_without_s = max(self.longest_without_s, time.monotonic() - seen_at)
                self.changes += leaders[-1].address != last
                last, seen_at = leaders[-1].address, time.monotonic()

    def _leads(self, manager: Manager) -> bool:
        return role_of(manager, timeout_s=ASK_S)[0] == "primary"


class EngineWatch(threading.Thread):
    """Reads the engines' own lists and compares them to the ledger."""

    def __init__(self, stand: Stand, ledger: Ledger) -> None:
        super().__init__(name="watch of engines", daemon=True)
        self._stand = stand
        self._ledger = ledger
        self._ends = threading.Event()

    def end(self) -> None:
        self._ends.set()
        self.join()

    def run(self) -> None:
        """Go on until told to end."""
        while not self._ends.wait(ENGINES_EVERY_S):
            for problem in self._ledger.always_wrong(read_all(self._stand)):
                self._ledger.violate(problem)


def read_all(stand: Stand) -> dict[str, list[Listed]]:
    """Return what each engine that answers holds, by its name."""
    read = {engine.name: stand.read(engine) for engine in stand.engines}
    return {name: containers for name, containers in read.items() if containers is not None}
