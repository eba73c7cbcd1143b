"""The answers that the server gives of itself, below any application."""

import http

import msgspec

_STATUS_LINES = {s.value: b"HTTP/1.1 %d %s\r\n" % (s, s.phrase.encode()) for s in http.HTTPStatus}


def status_line(status: int) -> bytes:
    """Return the first line of an answer."""
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


def error_answer(status: int, message: str, *, request_id: str = "", close: bool = True) -> bytes:
    """Return a whole answer in the form of Docker's own errors."""
    body = msgspec.json.encode({"message": message}) + b"\n"
    return b"".join(
        (
            status_line(status),
            b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(body),
            b"X-Request-Id: %s\r\n" % request_id.encode() if request_id else b"",
            b"Connection: close\r\n" if close else b"",
            b"\r\n",
            body,
        )
    )
