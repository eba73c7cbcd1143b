"""A manager that is told to end: streams end, what was begun is finished, the exit status is 0."""

import contextlib
import http.client
import json
import os
import signal
import threading

import pytest

from tests.conftest import StartManager
from tests.hosts.engine import Engine
from tests.hosts.manager import Manager
from tests.integration.faults import exec_of, hijacked, row_of, run, stream
from tests.waiting import wait_until

MEMORY = 64 * 1024**2


def is_refusing(manager: Manager) -> bool:
    """Say whether nobody can connect any more."""
    try:
        manager.request("GET", "/_ping")
    except (OSError, http.client.HTTPException):
        return True
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_streams(engines: list[Engine], start_manager: StartManager, number: signal.Signals) -> None:
    """Told to end, a manager with open streams of every kind ends with status 0, and its clients with it."""
    manager = start_manager(engines)
    quiet = run(manager, "quiet")
    talker = run(manager, "talker", "sh", "-c", "while :; do echo word; sleep 0.05; done")
    cat = exec_of(manager, quiet, "cat")
    with contextlib.ExitStack() as opened:
        streams = [
            opened.enter_context(stream(manager, method, path))
            for method, path in (
                ("GET", "/events"),
                ("POST", f"/containers/{quiet}/wait"),
                ("GET", f"/containers/{quiet}/logs?stdout=1&follow=1"),
                ("GET", f"/containers/{talker}/logs?stdout=1&follow=1"),
                ("GET", f"/containers/{talker}/stats"),
            )
        ]
        shell = opened.enter_context(
            contextlib.closing(hijacked(manager, f"/exec/{cat}/start", b'{"Detach":false,"Tty":false}'))
        )
        idle = opened.enter_context(contextlib.closing(manager.connect()))
        idle.request("GET", "/_ping")
        idle.getresponse().read()
        os.kill(manager.pid, number)
        assert manager.wait_for_end() == 0
        for answer in streams:
            with contextlib.suppress(http.client.HTTPException, ConnectionError):
                while answer.read1(1 << 20):
                    pass
        with contextlib.suppress(ConnectionError):
            assert shell.recv(1) == b""
    assert not manager.socket_path.exists()


def test_create_in_flight(engines: list[Engine], start_manager: StartManager) -> None:
    """A create that was begun before the signal is finished and answered, while nobody new is let in."""
    manager = start_manager([engines[0]])
    answers: list[tuple[int, bytes]] = []

    def create() -> None:
        body = json.dumps({"Image": "busybox", "HostConfig": {"Memory": MEMORY}}).encode()
        answers.append(
            manager.request("POST", "/containers/create?name=last", body, {"Content-Type": "application/json"})
        )

    engines[0].freeze()
    try:
        thread = threading.Thread(target=create)
        thread.start()
        wait_until(lambda: row_of(manager, engines[0], "Reserved Memory").startswith("64 MiB"), "the create to begin")
        os.kill(manager.pid, signal.SIGTERM)
        wait_until(lambda: is_refusing(manager), "the listeners to close")
    finally:
        engines[0].thaw()
    thread.join()
    [(status, answer)] = answers
    assert (status, set(json.loads(answer))) == (201, {"Id", "Warnings"})
    assert manager.wait_for_end() == 0
    assert engines[0].get_json("/containers/last/json")["Id"] == json.loads(answer)["Id"]


def test_second_signal(engines: list[Engine], start_manager: StartManager) -> None:
    """A second signal ends the manager at once, whatever is in flight."""
    manager = start_manager(engines)
    deaf = run(manager, "deaf", "sh", "-c", "trap '' TERM; while :; do sleep 0.1; done", Init=False)
    with contextlib.closing(manager.connect()) as connection:
        connection.request("POST", f"/containers/{deaf}/stop?t=60")
        os.kill(manager.pid, signal.SIGTERM)
        wait_until(lambda: is_refusing(manager), "the listeners to close")
        os.kill(manager.pid, signal.SIGTERM)
        assert manager.wait_for_end() == 1
    manager.kill()
