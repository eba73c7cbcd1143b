"""The end of a client's input reaches an engine that reads it, and no other."""

import json
import select
import socket
import subprocess

import pytest

from tests.hosts.fleet import Fleet
from tests.hosts.manager import Manager
from tests.integration.rawhttp import ask, connected, read_answer, request_bytes
from tests.waiting import wait_until

STREAM = ("Connection: Upgrade", "Upgrade: tcp")


def ends_told(fleet: Fleet) -> int:
    """Return how many connections to engines the manager has ended on its side only."""
    command = ["ss", "-Htn", "state", "fin-wait-1", "state", "fin-wait-2"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return sum(listed.split().count(engine.own_address) for engine in fleet.engines)


@pytest.fixture
def container(front: Manager) -> str:
    """Return the ID of a container that takes input, for ever."""
    return front.docker("run", "-d", "-i", "busybox", "sleep", "1d").stdout.strip()


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("stdin=1&stdout=1", True),
        ("stdin=0&stdin=true", True),
        ("stdin=0&stdout=1", False),
        ("stdin=None&stdout=1", False),
        ("stdout=1", False),
    ],
)
def test_attach(front: Manager, fleet: Fleet, container: str, query: str, told: bool) -> None:
    """It is so for a container, as the request to attach says."""
    check(front, fleet, f"/containers/{container}/attach?stream=1&{query}", None, told=told)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"AttachStdin": True}, True),
        ({"attachstdin": True}, True),
        ({"AttachStdin": False}, False),
        ({}, False),
    ],
)
def test_exec(front: Manager, fleet: Fleet, container: str, config: dict[str, bool], told: bool) -> None:
    """It is so for an exec instance, as it was made."""
    body = json.dumps({"AttachStdout": True, "Cmd": ["sleep", "1d"], **config}).encode()
    made = json.loads(ask(front, "POST", f"/containers/{container}/exec", body).body)["Id"]
    check(front, fleet, f"/exec/{made}/start", b'{"Detach":false,"Tty":false}', told=told)


def check(front: Manager, fleet: Fleet, target: str, body: bytes | None, *, told: bool) -> None:
    """See whether the end of what a client sends on a stream is passed on."""
    before = ends_told(fleet)
    with connected(front) as client, client.makefile("rb") as reader:
        client.sendall(request_bytes("POST", target, body, *STREAM))
        assert read_answer(reader, head=True).status == 101
        client.shutdown(socket.SHUT_WR)

        def is_told() -> bool:  # an engine may end its side as well then
            return ends_told(fleet) > before or bool(select.select([client], [], [], 0)[0])

        for _ in range(3):  # in between the manager reads from all who have sent something
            assert ask(front, "GET", "/_ping").status == 200
        if told:
            wait_until(is_told, "the end of input to be passed on")
        assert is_told() is told
