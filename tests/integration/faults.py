"""What tests of faults look at: states in the node table, raw answers, streams that end too early."""

import contextlib
import http.client
import itertools
import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.hosts.engine import Engine
from tests.hosts.manager import Manager
from tests.waiting import wait_until

STAMP = re.compile(r'time="([^"]+)"')


def rewrite(path: Path, text: str) -> None:
    """Let a file hold `text` from one moment to the next: whoever watches it never finds it empty."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(text)
    new.rename(path)


def row_of(manager: Manager, engine: Engine | str, label: str) -> str:
    """Return what the node table says under `label` ("Status", "Error", ...) of an engine; empty for no such row.

    Raises AssertionError if the engine is not in the table.
    """
    address = engine if isinstance(engine, str) else engine.own_address
    rows = manager.system_status()
    begin = next((index for index, (_, value) in enumerate(rows) if value == address), None)
    assert begin is not None, rows
    block = itertools.takewhile(lambda row: row[0].startswith("  └ "), rows[begin + 1 :])
    return dict(block).get(f"  └ {label}", "")


def wait_for(manager: Manager, engine: Engine | str, state: str) -> None:
    """Return when the node table says that `engine` is in `state`."""
    wait_until(lambda: row_of(manager, engine, "Status") == state, f"{engine} to be {state}")


def logged_at(manager: Manager, message: str) -> float:
    """Return the moment, in unix seconds, of the first line of the log that holds `message`."""
    line = next(line for line in manager.log.splitlines() if message in line)
    found = STAMP.search(line)
    assert found is not None, line
    return datetime.fromisoformat(found[1]).timestamp()


def refusal(manager: Manager, method: str, path: str, body: object = None) -> tuple[int, str]:
    """Return the status and the message of an error."""
    content = json.dumps(body).encode() if body is not None else None
    status, answer = manager.request(method, path, content, {"Content-Type": "application/json"})
    assert status >= 400, (status, answer)
    return status, str(json.loads(answer)["message"])


def create(manager: Manager, name: str, *command: str, node: str = "", **host: Any) -> str:
    """Return the id of a new container, on `node` if given."""
    body = {"Image": "busybox", "Cmd": list(command or ("sleep", "1d")), "HostConfig": {"Init": True, **host}}
    if node:
        body["Env"] = [f"constraint:node=={node}"]
    path = f"/containers/create?name={name}"
    status, answer = manager.request("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    assert status == 201, answer
    return str(json.loads(answer)["Id"])


def run(manager: Manager, name: str, *command: str, node: str = "", **host: Any) -> str:
    """Return the id of a new container that runs."""
    container_id = create(manager, name, *command, node=node, **host)
    assert manager.request("POST", f"/containers/{container_id}/start")[0] == 204
    return container_id


def ps(manager: Manager, *, all: bool = False) -> dict[str, tuple[str, str]]:  # noqa: A002 - Docker's word
    """Return the state and the status of each listed container by name."""
    listed = manager.get_json(f"/containers/json?all={int(all)}")
    return {each["Names"][0].lstrip("/"): (each["State"], each["Status"]) for each in listed}


@contextmanager
def stream(manager: Manager, method: str, path: str, body: bytes | None = None) -> Iterator[http.client.HTTPResponse]:
    """Lend an answer of which nothing but the head has been read."""
    with contextlib.closing(manager.connect()) as connection:
        connection.request(method, path, body, {"Content-Type": "application/json"} if body is not None else {})
        answer = connection.getresponse()
        with contextlib.closing(answer):
            assert answer.status == 200, answer.read()
            yield answer


def is_cut(answer: http.client.HTTPResponse) -> bool:
    """Read to the end, and say whether it was a cut: neither the last chunk nor all that was announced came."""
    try:
        while answer.read1(1 << 20):
            pass
    except (http.client.IncompleteRead, ConnectionError):
        return True
    return False


def hijacked(manager: Manager, path: str, body: bytes) -> socket.socket:
    """Return a connection on which the manager has answered 101."""
    host, port = manager.address.split(":")
    connection = socket.create_connection((host, int(port)), timeout=60)
    connection.sendall(
        f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        assert byte, f"the connection ended after {head!r}"
        head += byte
    assert head.startswith(b"HTTP/1.1 101 "), head
    return connection


def exec_of(manager: Manager, container: str, *command: str) -> str:
    """Return the id of a new exec instance with stdin."""
    body = {"Cmd": list(command), "AttachStdin": True, "AttachStdout": True}
    status, answer = manager.request(
        "POST", f"/containers/{container}/exec", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    assert status == 201, answer
    return str(json.loads(answer)["Id"])
