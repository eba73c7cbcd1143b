"""An engine that takes connections and answers nothing harms nobody else, and is found out."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TypeVar

import pytest

from tests.conftest import StartManager
from tests.hosts.engine import Engine
from tests.hosts.manager import Manager
from tests.integration.faults import create, logged_at, ps, refusal, row_of, run, wait_for
from tests.integration.sdk import connected, forgets_sockets

T = TypeVar("T")

pytestmark = forgets_sockets
FOUND_OUT_WITHIN_S = 15
ROUNDING_S = 1  # of the time stamps in the log
LATE_S = 5  # what a busy machine may waste in three pings and the waits between them
AT_ONCE_S = 6  # far less than it takes to find out


@pytest.fixture
def frozen(engines: list[Engine]) -> Iterator[Engine]:
    """Yield the first of the two engines, to be frozen: it is thawed before they are emptied."""
    yield engines[0]
    engines[0].thaw()


@pytest.fixture
def other(engines: list[Engine]) -> Engine:
    """Return the engine that stays well."""
    return engines[1]


def test_frozen(
    frozen: Engine,
    other: Engine,
    engines: list[Engine],
    start_manager: StartManager,
    request: pytest.FixtureRequest,
) -> None:
    """Lists, info, creates and execs do not wait for a hung engine; it is flagged in time and comes back."""
    manager = start_manager(engines)
    hung = run(manager, "hung", node=frozen.name)
    run(manager, "well", node=other.name)
    readers = [manager.connect() for _ in range(100)]
    for reader in readers:
        request.addfinalizer(reader.close)
        reader.request("GET", f"/containers/{hung}/logs?stdout=1&follow=1")
        reader.getresponse()
    frozen.freeze()

    # what does not concern it
    took_s: list[float] = []

    def timed(act: Callable[[], T]) -> T:
        begun = time.monotonic()
        try:
            return act()
        finally:
            took_s.append(time.monotonic() - begun)

    assert set(timed(lambda: ps(manager))) == {"hung", "well"}
    timed(lambda: manager.get_json("/info"))
    timed(lambda: manager.get_json("/images/json"))
    timed(lambda: run(manager, "new", node=other.name))
    with connected(manager) as client:
        well = client.containers.get("well")
        assert timed(lambda: well.exec_run(["echo", "hello"])).output == b"hello\n"
    assert set(timed(lambda: ps(manager))) >= {"new", "well"}
    # nobody has waited until it was found out, which a busy machine may have done by now
    assert row_of(manager, frozen, "Status") == "Healthy" or max(took_s) < AT_ONCE_S, took_s

    for leaving in readers:  # clients that end their streams do not make it look alive
        if row_of(manager, frozen, "Status") == "Unhealthy":
            break
        leaving.close()
        time.sleep(0.5)
    assert row_of(manager, frozen, "Status") == "Unhealthy"
    silent_since = datetime.fromisoformat(row_of(manager, frozen, "UpdatedAt")).timestamp()
    assert logged_at(manager, "Flagging engine as unhealthy") - silent_since <= FOUND_OUT_WITHIN_S + ROUNDING_S + LATE_S
    assert set(ps(manager)) == {"new", "well"}
    assert (
        refusal(manager, "GET", "/containers/hung/json")[1] == f"Container hung running on unhealthy node {frozen.name}"
    )
    for number in range(3):
        created = create(manager, f"another-{number}")
        assert manager.get_json(f"/containers/{created}/json")["Node"]["Name"] == other.name

    frozen.thaw()
    wait_for(manager, frozen, "Healthy")
    assert set(ps(manager)) == {"hung", "new", "well"}


def test_caught_in_the_middle(
    frozen: Engine, other: Engine, engines: list[Engine], start_manager: StartManager
) -> None:
    """A request that waits for a hung engine gets its answer when the engine goes on, and holds up no other."""
    manager = start_manager(engines)
    hung = run(manager, "hung", node=frozen.name)
    frozen.freeze()
    answers: list[int] = []

    def ask() -> None:
        answers.append(manager.request("GET", f"/containers/{hung}/top", timeout_s=60)[0])

    threads = [threading.Thread(target=ask) for _ in range(50)]
    for thread in threads:
        thread.start()
    well = run(manager, "well", node=other.name)
    assert manager.request("GET", f"/containers/{well}/top")[0] == 200
    assert answers == []
    frozen.thaw()
    for thread in threads:
        thread.join()
    assert answers == [200] * 50


def test_frozen_from_the_start(
    frozen: Engine, other: Engine, engines: list[Engine], start_manager: StartManager
) -> None:
    """An engine that hangs when the manager starts is Pending with the reason, and joins when it goes on."""
    frozen.freeze()
    manager: Manager = start_manager(engines, healthy=1)
    assert row_of(manager, other, "Status") == "Healthy"
    run(manager, "works")
    assert set(ps(manager)) == {"works"}
    assert row_of(manager, frozen.own_address, "Status") == "Pending"
    frozen.thaw()
    wait_for(manager, frozen, "Healthy")


def test_impatient_clients(frozen: Engine, engines: list[Engine], start_manager: StartManager) -> None:
    """A client that gives up on a hung engine costs nothing: the next request is served."""
    manager = start_manager(engines)
    hung = run(manager, "hung", node=frozen.name)
    frozen.freeze()
    for _ in range(20):
        with pytest.raises(TimeoutError):
            manager.request("GET", f"/containers/{hung}/json", timeout_s=0.1)
    frozen.thaw()
    assert manager.get_json(f"/containers/{hung}/json")["Id"] == hung
