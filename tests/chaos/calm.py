"""What must be true once all faults are mended: the managers' picture, the ledger, and that everything works."""

import contextlib
import http.client
import io
import json
import tarfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from tests.chaos.clients import Client
from tests.chaos.ledger import Fate, Ledger
from tests.chaos.stand import Listed, Stand, listed
from tests.chaos.watching import read_all
from tests.hosts.engine import Engine
from tests.hosts.fleet import at_once
from tests.hosts.manager import Manager

CALM_S = 30.0
"""Within this time of quiet the picture is that of the engines: promised, and no matter of the machine's speed."""
POLL_S = 0.5
STARTS = 3
UP_S = 120.0  # a guard: daemons that start on a busy machine


def wait_until_up(stand: Stand) -> None:
    """Return when every engine, every manager and the store answer by themselves. Raises AssertionError."""
    at_once(partial(bring_up, engine) for engine in stand.engines)
    end = time.monotonic() + UP_S
    while not all(does_answer(manager) for manager in stand.managers):
        assert time.monotonic() < end, "a manager does not answer"
        time.sleep(POLL_S)


def bring_up(engine: Engine) -> None:
    """Return when an engine answers. Raises RuntimeError.

    One that ended by itself is started again: a disk that was full may end it a while later, and on a busy machine
    dockerd may give up waiting for its containerd.
    """
    for _ in range(STARTS):
        if not engine.runs:
            engine.crash()
            engine.poweron()
        try:
            engine.wait()
        except RuntimeError:
            if engine.runs:
                raise
        else:
            return
    raise RuntimeError(f"engine {engine.name} ended {STARTS} times:\n{engine.log[-4000:]}")


def does_answer(manager: Manager) -> bool:
    """Say whether a manager serves at all."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        return manager.request("GET", "/_ping", timeout_s=2)[0] == http.client.OK
    return False


def settle(stand: Stand, ledger: Ledger) -> float:
    """Return after how many seconds of quiet all was as it must be; what is not after CALM_S is violated."""
    begun = time.monotonic()
    while True:
        if ended := [engine for engine in stand.engines if not engine.runs]:  # by itself: see bring_up
            at_once(partial(bring_up, engine) for engine in ended)
            begun = time.monotonic()
        truth = read_all(stand)
        found = [f"engine {engine.name} does not answer" for engine in stand.engines if engine.name not in truth]
        found += ledger.problems(truth)
        for manager in stand.managers:
            found += wrong_picture(stand, manager, truth)
        took_s = time.monotonic() - begun
        if not found:
            return took_s
        if took_s > CALM_S:
            for each in found:
                ledger.violate(f"after {took_s:.0f} s of quiet: {each}")
            return took_s
        time.sleep(POLL_S)


def wrong_picture(stand: Stand, manager: Manager, truth: Mapping[str, Sequence[Listed]]) -> list[str]:
    """Return in what a manager's picture differs from what the engines hold: its own, and what `ps` through it says."""
    try:
        status, body = manager.request("GET", "/containers/json?all=1", timeout_s=CALM_S)
        if status != http.client.OK:
            return [f"{manager.address} answers {status} to ps: {body.decode(errors='replace')[:200]}"]
        states = manager.states()
        counted = manager.get_json("/info")["Containers"]
    except (OSError, http.client.HTTPException, AssertionError) as error:
        return [f"{manager.address} does not answer: {error!r}"]
    held = Counter(each for found in truth.values() for each in found)
    shown = Counter(listed(body))
    if more := shown - held:
        try:
            held = Counter(as_inspected(stand, truth))
        except (OSError, http.client.HTTPException) as error:
            return [f"an engine does not answer: {error!r}"]
        more = shown - held
    found = [f"{manager.address} shows {each}" for each in more]
    found += [f"{manager.address} does not show {each}" for each in held - shown]
    if states.count("Healthy") != len(stand.engines):
        found.append(f"{manager.address} has engines that are {', '.join(states)}")
    if counted != held.total():
        found.append(f"{manager.address} counts {counted} containers, and there are {held.total()}")
    return found


def as_inspected(stand: Stand, truth: Mapping[str, Sequence[Listed]]) -> Iterator[Listed]:
    """Yield what the engines hold, in the states that they tell of each container by itself.

    An engine that cannot write to its disk goes on, and does not take a change into its list any more.
    Source: moby, container/container.go, CheckpointTo.
    """
    engines = {engine.name: engine for engine in stand.engines}
    for name, containers in truth.items():
        for each in containers:
            status, body = engines[name].request("GET", f"/containers/{each.id}/json")
            state = json.loads(body)["State"]["Status"] if status == http.client.OK else each.state
            yield replace(each, state=state)


def check_execs(stand: Stand, ledger: Ledger, truth: Mapping[str, Sequence[Listed]]) -> None:
    """See that each exec was done once if its client was told so, and else at most once."""
    engines = {engine.name: engine for engine in stand.engines}
    records = {record.key: record for record in ledger.records() if record.execs and not record.moves}
    for name, containers in truth.items():
        for each in containers:
            if (record := records.get(each.key)) is not None:
                try:
                    written = Counter(read_file(engines[name], each.id).split())
                except (OSError, http.client.HTTPException) as error:
                    if engines[name].runs:
                        ledger.violate(f"engine {name} does not tell what exec {each.key} wrote: {error!r}")
                    break
                for word, fate in record.execs.items():
                    if written[word] > 1 or (written[word] == 0 and fate is Fate.DONE):
                        ledger.violate(f"exec {word} was done {written[word]} times, and its client was told: {fate}")


def read_file(engine: Engine, container: str) -> str:
    """Return what the execs of a container have written."""
    status, body = engine.request("GET", f"/containers/{container}/archive?path=/ledger")
    if status != http.client.OK:
        return ""
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        member = tar.extractfile("ledger")
        return member.read().decode() if member else ""


def clean_up(stand: Stand, ledger: Ledger, client: Client, truth: Mapping[str, Sequence[Listed]]) -> None:
    """Remove through the managers what no client counts on, and what moves: of that there would be ever more."""
    records = {record.key: record for record in ledger.records()}
    found = [each for containers in truth.values() for each in containers]
    for number, each in enumerate(found):
        record = records[each.key]
        if record.moves or not record.is_there:
            record.id = each.id  # another than its client was told, if it has moved
            client.remove(stand.managers[number % len(stand.managers)], record)


def work(stand: Stand, client: Client) -> None:
    """Do everything at each manager: `client` demands that it works."""
    for number, manager in enumerate(stand.managers):
        record = client.create(manager, named=number % 2 == 0)
        if not record.is_there:
            continue
        path = f"/containers/{record.id}"
        client.execute(manager, record)
        for operation in ("kill", "start"):
            client.ask(manager, operation, "POST", f"{path}/{operation}")
        for operation, what in (("inspect", "json"), ("top", "top"), ("logs", "logs?stdout=1")):
            client.ask(manager, operation, "GET", f"{path}/{what}")
        client.remove(manager, record)


def crashes(manager: Manager, *, since: int) -> tuple[list[str], int]:
    """Return the tracebacks in a manager's log from its byte `since` on, and where the log ends."""
    log = (manager.directory / "log").read_bytes()
    text = log[since:].decode(errors="replace")
    return [text[max(0, at - 500) : at + 3000] for at in occurrences(text, "Traceback")], len(log)


def occurrences(text: str, word: str) -> list[int]:
    """Return where `word` stands in `text`."""
    found, at = [], text.find(word)
    while at >= 0:
        found.append(at)
        at = text.find(word, at + 1)
    return found
