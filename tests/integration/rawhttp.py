"""HTTP by hand, for requests that no library would send."""

import contextlib
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from tests.hosts.manager import Manager

PATIENCE_S = 60.0  # a guard against hanging, never part of what a test says


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; the names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def message(self) -> str:
        """What an error says. Raises AssertionError unless it has exactly Docker's form."""
        assert self.headers.get("content-type") == "application/json", self
        decoded = json.loads(self.body)
        assert set(decoded) == {"message"}, self
        assert decoded["message"], self
        return str(decoded["message"])


@contextmanager
def connected(manager: Manager) -> Iterator[socket.socket]:
    """Lend a connection to the TCP endpoint of `manager`."""
    host, port = manager.address.split(":")
    with contextlib.closing(socket.create_connection((host, int(port)), timeout=PATIENCE_S)) as connection:
        yield connection


def request_bytes(method: str, target: str, body: bytes | None = None, *headers: str) -> bytes:
    """Return a request; a `body` is said to be JSON."""
    lines = [f"{method} {target} HTTP/1.1", "Host: x", *headers]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


def ask(manager: Manager, method: str, target: str, body: bytes | None = None, *headers: str) -> Answer:
    """Return the answer to one request on a connection of its own."""
    return send(manager, request_bytes(method, target, body, *headers), head=method == "HEAD")


def send(manager: Manager, data: bytes, *, end: bool = False, head: bool = False) -> Answer:
    """Return the answer to `data`, with the end of the client's side behind it if asked for."""
    with connected(manager) as connection, connection.makefile("rb") as reader:
        with contextlib.suppress(ConnectionError):  # refused before it has been sent: the answer is there
            connection.sendall(data)
            if end:
                connection.shutdown(socket.SHUT_WR)
        return read_answer(reader, head=head)


def read_answer(reader: BinaryIO, *, head: bool = False) -> Answer:
    """Return the next answer of a connection. Raises EOFError if there is none."""
    first = reader.readline()
    if not first:
        raise EOFError("closed without an answer")
    headers = {}
    while (line := reader.readline()) not in (b"\r\n", b""):
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    status = int(first.split()[1])
    if head or status in (204, 304):
        return Answer(status, headers, b"")
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(reader.readline(), 16):
            body += reader.read(size)
            reader.readline()
        reader.readline()
        return Answer(status, headers, body)
    if "content-length" in headers:
        return Answer(status, headers, reader.read(int(headers["content-length"])))
    return Answer(status, headers, reader.read())
