"""Clients that work with the cluster through any of its managers, and keep a ledger of what they were told."""

import contextlib
import http.client
import json
import random
import select
import threading
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tests.chaos.ledger import Fate, Ledger, Record
from tests.chaos.stand import LABEL, Stand
from tests.hosts.manager import Manager

PATIENCE_S = 60.0  # nobody waits longer for an answer
PACE_S = 3.5  # between two operations of a client, on average
MOST_OWN = 6  # containers that a client keeps
POLICY = "reschedule:on-node-failure"
JSON_TYPE = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a manager said: `status` 0 is nothing at all, and then `accepted` tells whether it took the request.

    With `cut` it began to answer, and the connection ended before the answer did.
    """

    status: int
    body: bytes = b""
    accepted: bool = True
    cut: bool = False

    @property
    def fate(self) -> Fate:
        """What may have become of what was asked for."""
        if 200 <= self.status < 400:
            return Fate.DONE
        return Fate.REFUSED if 400 <= self.status < 500 or not self.accepted else Fate.UNKNOWN

    @property
    def result(self) -> str:
        """The column of the table that it counts in."""
        if self.status:
            return "ok" if self.status < 400 else f"{self.status // 100}xx"
        return "cut" if self.cut else "unanswered" if self.accepted else "not accepted"


class Asking:
    """Asks managers, each request once and on a connection of its own, and sees that it is answered once.

    With `demands` also that it is not refused.
    """

    def __init__(self, stand: Stand, ledger: Ledger, *, demands: bool = False) -> None:
        self._stand = stand
        self._ledger = ledger
        self._demands = demands

    def ask(self, manager: Manager, operation: str, method: str, path: str, body: Any = None) -> Answer:
        """Return the answer, which counts as one to `operation`."""
        begun = time.monotonic()
        answer = self._exchange(manager, method, path, None if body is None else json.dumps(body).encode())
        self._ledger.count(operation, answer.result)
        what = f"{method} {path} at {manager.address}"
        if answer.status == 0 and answer.accepted and not self._is_excused(manager, answer, begun):
            self._ledger.violate(f"{answer.result} after {time.monotonic() - begun:.1f} s: {what}")
        if answer.status >= 400 and not is_error(answer.body):
            self._ledger.violate(f"no error in Docker's form: {what}: {answer.status} {answer.body[:200]!r}")
        if self._demands and answer.fate is not Fate.DONE:
            self._ledger.violate(f"in quiet: {operation}: {what}: {answer.status} {answer.body[:300]!r}")
        return answer

    def _is_excused(self, manager: Manager, answer: Answer, since: float) -> bool:
        """Say whether the manager could not answer; what it passes on may also be cut at its other end."""
        parts = [manager.address]
        if answer.cut:
            parts = [each.address for each in self._stand.managers] + [each.name for each in self._stand.engines]
        return any(self._stand.troubles.within(part, since, time.monotonic()) for part in parts)

    def _exchange(self, manager: Manager, method: str, path: str, body: bytes | None) -> Answer:
        with contextlib.closing(manager.connect(timeout_s=PATIENCE_S)) as connection:
            try:
                connection.connect()
            except OSError:
                return Answer(0, accepted=False)
            try:
                connection.request(method, path, body, JSON_TYPE if body is not None else {})
                answer = connection.getresponse()
            except (OSError, http.client.HTTPException):
                return Answer(0)
            try:
                said = Answer(answer.status, answer.read())
            except (OSError, http.client.HTTPException):
                return Answer(0, cut=True)
            if connection.sock is not None and select.select([connection.sock], [], [], 0)[0]:
                with contextlib.suppress(OSError):
                    if more := connection.sock.recv(4096):
                        self._ledger.violate(f"answered twice: {method} {path}: {more[:200]!r}")
            return said


def is_error(body: bytes) -> bool:
    """Say whether that is Docker's form of an error."""
    try:
        return isinstance(json.loads(body)["message"], str)
    except (ValueError, KeyError, TypeError):
        return False


class Client(threading.Thread):
    """Makes containers and works with them; each is known to one client only."""

    def __init__(self, number: int, seed: int, stand: Stand, ledger: Ledger, *, demands: bool = False) -> None:
        super().__init__(name=f"client {number}", daemon=True)
        self._number = number
        self._dice = random.Random(f"{seed} client {number}")
        self._stand = stand
        self._ledger = ledger
        self._asking = Asking(stand, ledger, demands=demands)
        self._own: list[Record] = []
        self._made = 0
        self._goes = threading.Event()
        self._ends = threading.Event()
        self._rests = threading.Event()

    def go(self) -> None:
        """Work from now on."""
        self._rests.clear()
        self._goes.set()

    def pause(self) -> None:
        """Begin nothing new."""
        self._goes.clear()

    def rest(self) -> None:
        """Return when nothing is under way, after `pause`. Raises AssertionError if that does not come to an end."""
        assert self._rests.wait(2 * PATIENCE_S), f"{self.name} does not get an answer"

    def end(self) -> None:
        """End for good, after `pause`."""
        self._ends.set()
        self._goes.set()
        self.join()

    def run(self) -> None:
        """Do one thing after the other, until told to end."""
        while not self._ends.is_set():
            if not self._goes.is_set():
                self._rests.set()
                self._goes.wait()
                continue
            self._act(self._dice.choice(self._stand.managers))
            with self._stand.alarm:
                self._stand.alarm.wait(self._dice.expovariate(1 / PACE_S))

    def _act(self, manager: Manager) -> None:
        self._own = [record for record in self._own if record.is_there]
        fixed = [record for record in self._own if not record.moves]
        roll = self._dice.random()
        if len(self._own) < 2 or (roll < 0.2 and len(self._own) < MOST_OWN):
            self.create(manager, moves=self._dice.random() < 0.25)
        elif not fixed or roll < 0.5:
            self._look(manager, self._dice.choice(self._own))
        elif roll < 0.7:
            self.execute(manager, self._dice.choice(fixed))
        elif roll < 0.85:
            self.remove(manager, self._dice.choice(fixed))
        else:
            verb = self._dice.choice(("kill", "start"))
            self.ask(manager, verb, "POST", f"/containers/{self._dice.choice(fixed).id}/{verb}")

    def ask(self, manager: Manager, operation: str, method: str, path: str, body: Any = None) -> Answer:
        return self._asking.ask(manager, operation, method, path, body)

    def create(self, manager: Manager, *, moves: bool = False, named: bool | None = None) -> Record:
        """Make a container and start it; half of them have no name, and nothing but their label tells one from two."""
        self._made += 1
        key = f"c{self._number}-{self._made}"
        has_name = self._dice.random() < 0.5 if named is None else named
        record = self._ledger.enter(key, name=key if has_name else "", moves=moves)
        body = {
            "Image": "busybox",
            "Cmd": ["sleep", "1d"],
            "Labels": {LABEL: key},
            "Env": [POLICY] if moves else [],
            "HostConfig": {"Init": True, "Memory": self._stand.memory_bytes},
        }
        query = f"?name={key}" if has_name else ""
        answer = self.ask(manager, "create", "POST", f"/containers/create{query}", body)
        record.created = answer.fate
        if answer.status == http.client.CONFLICT:  # the name was never asked for before
            self._ledger.violate(f"done twice: create {key} at {manager.address}: {answer.body.decode()}")
        if record.created is Fate.DONE:
            record.id = str(json.loads(answer.body)["Id"])
            self._own.append(record)
            self.ask(manager, "start", "POST", f"/containers/{record.id}/start")
        return record

    def execute(self, manager: Manager, record: Record) -> Answer:
        """Have a container write down a word of its own."""
        word = f"{record.key}-{len(record.execs) + 1}"
        command = ["sh", "-c", f"echo {word} >> /ledger && echo {word}"]
        body = {"AttachStdout": True, "AttachStderr": True, "Cmd": command}
        answer = self.ask(manager, "exec", "POST", f"/containers/{record.id}/exec", body)
        if answer.status != http.client.CREATED:
            return answer
        record.execs[word] = Fate.UNKNOWN
        path = f"/exec/{json.loads(answer.body)['Id']}/start"
        answer = self.ask(manager, "exec start", "POST", path, {"Detach": False, "Tty": False})
        record.execs[word] = Fate.DONE if word.encode() in answer.body else Fate.UNKNOWN
        return answer

    def remove(self, manager: Manager, record: Record) -> Answer:
        """Remove a container for good."""
        record.removed = Fate.UNKNOWN
        answer = self.ask(manager, "remove", "DELETE", f"/containers/{record.id}?force=1")
        # A 404 need not mean that it is gone: a manager that began while its engine was away does not know of it.
        record.removed = Fate.DONE if answer.fate is Fate.DONE else Fate.UNKNOWN
        return answer

    def _look(self, manager: Manager, record: Record) -> None:
        what = self._dice.choice(("ps", "inspect", "top", "info"))
        match what:
            case "ps":
                filters = quote(json.dumps({"label": [LABEL]}))
                answer = self.ask(manager, "ps", "GET", f"/containers/json?all=1&filters={filters}")
                if answer.status == http.client.OK:
                    ids = [each["Id"] for each in json.loads(answer.body)]
                    if len(ids) != len(set(ids)):
                        self._ledger.violate(f"a container stands in one list twice: {manager.address}")
            case "info":
                self.ask(manager, "info", "GET", "/info")
            case _:
                path = "json" if what == "inspect" else "top"
                self.ask(manager, what, "GET", f"/containers/{record.id}/{path}")
