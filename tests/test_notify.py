"""What systemd is told, as a service of Type=notify tells it: by datagrams to a socket."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from swarmproxy import notify
from tests.hosts.manager import REPOSITORY

GUARD_S = 60.0


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Yield the socket at which we play systemd."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        path = tmp_path / "notify"
        listener.bind(str(path))
        listener.settimeout(GUARD_S)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
        yield listener


@pytest.mark.parametrize(
    "arguments",
    [
        ("manage", "-H", "tcp://127.0.0.1:0", "nodes://127.0.0.1:1"),
        ("hub", "-H", "tcp://127.0.0.1:0"),
        ("join", "--advertise", "127.0.0.1:1", "etcd://127.0.0.1:1/lab"),
    ],
)
def test_life_of_a_service(systemd: socket.socket, arguments: Sequence[str]) -> None:
    """Each service says when it is ready and that it ends; those that serve please the watchdog meanwhile."""
    serves = arguments[0] != "join"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    if serves:
        environment |= {"WATCHDOG_USEC": "200000"}
    with subprocess.Popen([sys.executable, "-m", "swarmproxy", *arguments], env=environment) as process:
        try:
            assert systemd.recv(1000) == b"READY=1"
            beats = [systemd.recv(1000) for _ in range(2)] if serves else []
            assert set(beats) <= {b"WATCHDOG=1"}
            process.send_signal(signal.SIGTERM)
            while (told := systemd.recv(1000)) != b"STOPPING=1":
                assert told.startswith((b"WATCHDOG=1", b"STATUS=")), told
            assert process.wait(GUARD_S) == 0
        finally:
            process.kill()


def test_abstract_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket with an `@` before its name is one without a file."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0swarmproxy-{os.getpid()}")
        monkeypatch.setenv("NOTIFY_SOCKET", f"@swarmproxy-{os.getpid()}")
        notify.tell("READY=1", "STATUS=all is well")
        assert listener.recv(1000) == b"READY=1\nSTATUS=all is well"


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A socket that is not there is a line in the log; without one there is nothing to say."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    notify.tell(notify.READY)
    assert caplog.messages == ["systemd cannot be told"]
    monkeypatch.delenv("NOTIFY_SOCKET")
    notify.tell(notify.READY)
    assert len(caplog.messages) == 1


@pytest.mark.parametrize(
    ("usec", "pid", "longest_s"),
    [("30000000", "", 30.0), ("30000000", "own", 30.0), ("30000000", "1", None), ("", "", None), ("0", "", None)],
)
def test_watchdog(usec: str, pid: str, longest_s: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The watchdog's time counts if it is meant for this process."""
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()) if pid == "own" else pid)
    assert notify.watchdog_s() == longest_s


async def test_no_watchdog(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a watchdog there is only the end to wait for."""
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    end = asyncio.Event()
    end.set()
    await notify.beat_until(end)
