"""Whole answers as bytes, with the headers that dockerd sends."""

import msgspec

from benchmarks.fleet.bodies import API_VERSION, SERVER_VERSION
from benchmarks.framing import LAST_CHUNK, as_chunk

__all__ = [
    "LAST_CHUNK",
    "RAW",
    "UPGRADED",
    "as_chunk",
    "json_reply",
    "no_such_container",
    "not_found",
    "reply",
    "stream_head",
]

REASONS = {200: b"OK", 201: b"Created", 204: b"No Content", 304: b"Not Modified", 404: b"Not Found", 409: b"Conflict"}
COMMON = (
    f"Api-Version: {API_VERSION}\r\nDocker-Experimental: false\r\nOstype: linux\r\n"
    f"Server: Docker/{SERVER_VERSION} (linux)\r\n"
).encode()
JSON_TYPE = b"Content-Type: application/json\r\n"
UPGRADED = (
    b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n"
    b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
)
RAW = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n"
_WITH_JSON = {
    status: b"HTTP/1.1 %d %b\r\n%b%bContent-Length: %%d\r\n\r\n%%b\n" % (status, reason, COMMON, JSON_TYPE)
    for status, reason in REASONS.items()
}


def json_reply(text: bytes, status: int = 200) -> bytes:
    """Return a whole answer with the JSON `text`."""
    return _WITH_JSON[status] % (len(text) + 1, text)


def reply(status: int, body: bytes = b"", headers: bytes = b"") -> bytes:
    """Return a whole answer with a length."""
    length = b"" if status in {204, 304} else b"Content-Length: %d\r\n" % len(body)
    return b"HTTP/1.1 %d %b\r\n%b%b%b\r\n%b" % (status, REASONS[status], COMMON, headers, length, body)


def not_found(message: str) -> bytes:
    return json_reply(msgspec.json.encode({"message": message}), 404)


def no_such_container(name: bytes) -> bytes:
    return not_found(f"No such container: {name.decode()}")


def stream_head(content_type: bytes) -> bytes:
    """Return the head of an answer whose chunks come later."""
    return b"HTTP/1.1 200 OK\r\n%bContent-Type: %b\r\nTransfer-Encoding: chunked\r\n\r\n" % (COMMON, content_type)
