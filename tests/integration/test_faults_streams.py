"""An engine that dies in the middle of an answer: what came looks cut, never whole."""

import contextlib
import os
import signal

from tests.conftest import StartEngines, StartManager
from tests.integration.faults import exec_of, hijacked, is_cut, refusal, run, stream, wait_for

LARGE = "head -c 300000000 /dev/zero > /large; echo ready; while :; do echo word; sleep 0.1; done"


def test_crash(start_engines: StartEngines, start_manager: StartManager) -> None:
    """When a daemon crashes its logs, stats, export and wait are cut, an exec ends, and new requests are refused."""
    [engine] = start_engines(1)
    manager = start_manager([engine])
    busy = run(manager, "busy", "sh", "-c", LARGE)
    cat = exec_of(manager, busy, "cat")
    with contextlib.ExitStack() as opened:
        logs = opened.enter_context(stream(manager, "GET", f"/containers/{busy}/logs?stdout=1&follow=1"))
        assert logs.read(14)[8:] == b"ready\n"
        export = opened.enter_context(stream(manager, "GET", f"/containers/{busy}/export"))
        stats = opened.enter_context(stream(manager, "GET", f"/containers/{busy}/stats"))
        wait = opened.enter_context(stream(manager, "POST", f"/containers/{busy}/wait"))
        shell = opened.enter_context(
            contextlib.closing(hijacked(manager, f"/exec/{cat}/start", b'{"Detach":false,"Tty":false}'))
        )
        assert export.read(1 << 20)
        assert stats.read(1)
        shell.sendall(b"echoed\n")
        assert shell.recv(8 + 7)
        os.kill(engine._dockerd_pid(), signal.SIGKILL)
        for what, answer in (("logs", logs), ("export", export), ("stats", stats), ("wait", wait)):
            assert is_cut(answer), what
        with contextlib.suppress(ConnectionError):
            while shell.recv(4096):
                pass
    wait_for(manager, engine, "Unhealthy")
    assert refusal(manager, "GET", f"/containers/{busy}/logs?stdout=1")[0] == 500


def test_cut_cable(start_engines: StartEngines, start_manager: StartManager) -> None:
    """A reader of logs behind a cable that is cut goes on where it was when the cable is whole again."""
    [engine] = start_engines(1)
    manager = start_manager([engine])
    counter = run(manager, "counter", "sh", "-c", "i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done")
    with stream(manager, "GET", f"/containers/{counter}/logs?stdout=1&follow=1") as logs:
        assert logs.read(10)[8:] == b"1\n"
        engine.disconnect()
        wait_for(manager, engine, "Unhealthy")
        engine.reconnect()
        wait_for(manager, engine, "Healthy")
        for number in range(2, 200):
            frame = logs.read(8)
            assert logs.read(int.from_bytes(frame[4:], "big")) == f"{number}\n".encode()
