"""Heads of HTTP/1.1 messages: parsed strictly, and written anew without what belongs to one hop.

A head that two parsers could read differently is refused, not repaired. Most heads on a connection repeat the
same fields, so parsed fields are kept by their bytes (never those that carry credentials).
"""

import re
from dataclasses import dataclass, field, replace

import msgspec

from swarmproxy.errors import BadRequest, ProtocolViolation, TooLarge

MAX_FIELDS = 256
_KEPT_BYTES = 1024
_KEPT_HEADS = 512

Headers = tuple[tuple[bytes, bytes], ...]

_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) ([\x21-\x7e]+) HTTP/1\.([01])\r\n")
_ANSWER_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?\r\n")
_FIELDS = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]++:[\t\x20-\x7e\x80-\xff]*+\r\n)*+\r\n")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_AUTHORITY = re.compile(rb"https?://[^/?#]*", re.IGNORECASE)
_BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")

# What concerns one hop only, or is written anew for the next one.
_HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"content-length",
        b"expect",
        b"host",
        b"keep-alive",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of one head, and what they say about the message and the connection."""

    headers: Headers  # lower-case names
    end_to_end: Headers  # those that pass on, names as they came
    lines: bytes  # `end_to_end` ready to be sent
    length: int  # Content-Length, -1 without
    chunked: bool
    options: frozenset[bytes]  # tokens of Connection, lower-case
    upgrade: bytes  # the protocol asked for or given, b"" if Connection does not name Upgrade
    expects_continue: bool


class RequestHead(msgspec.Struct, frozen=True, gc=False):
    """The head of a request."""

    method: bytes
    target: bytes  # path and query as they came, always with a leading slash, or `*`
    http_1_1: bool
    fields: Fields
    keep_alive: bool  # the client's connection may serve another request
    has_body: bool


@dataclass(frozen=True, slots=True)
class AnswerHead:
    """The head of an answer."""

    status: int
    status_line: bytes  # as HTTP/1.1, with the line end
    keep_alive: bool
    fields: Fields
    whole: bytes = field(repr=False)  # for an HTTP/1.1 client when the framing passes as it is

    @property
    def content_type(self) -> bytes:
        """Return the media type without parameters, lower-case."""
        for name, value in self.fields.headers:
            if name == b"content-type":
                return value.partition(b";")[0].strip().lower()
        return b""

    def named(self) -> dict[str, str]:
        """Return the headers, names in lower case; the values of a repeated one are joined by commas."""
        found: dict[str, str] = {}
        for raw_name, raw_value in self.fields.headers:
            name, value = raw_name.decode("ascii"), raw_value.decode("utf-8", "replace")
            found[name] = f"{found[name]}, {value}" if name in found else value
        return found


_kept_requests: dict[bytes, Fields] = {}
_kept_answers: dict[bytes, AnswerHead] = {}


def has_bare_line_feed(data: bytes | bytearray, at: int) -> bool:
    """Return whether a line in `data`, from `at` on, ends without a carriage return."""
    return _BARE_LINE_FEED.search(data, at) is not None


def parse_request(head: bytes) -> RequestHead:
    """Return the parsed head of a request, given with its empty line.

    Raises BadRequest for whatever could be read in two ways: both lengths, two lengths, folded lines, bare
    line feeds, spaces before a colon, control characters; TooLarge for too many headers.
    Source: RFC 9112, sections 2.2, 3, 5.1, 5.2, 6.1 and 6.3.
    """
    line = _REQUEST_LINE.match(head)
    if line is None:
        raise BadRequest("malformed HTTP request line")
    block = head[line.end() :]
    fields = _kept_requests.get(block)
    if fields is None:
        try:
            fields = _parse_fields(block)
        except ProtocolViolation as violation:
            raise BadRequest(str(violation)) from violation
        if sum(name == b"host" for name, _ in fields.headers) > 1:
            raise BadRequest("more than one Host header")
        if len(block) <= _KEPT_BYTES and b"auth" not in block.lower():
            if len(_kept_requests) >= _KEPT_HEADS:
                _kept_requests.clear()
            _kept_requests[block] = fields
    method, target, minor = line.groups()
    if minor == b"0" and fields.chunked:
        raise BadRequest("HTTP/1.0 knows no Transfer-Encoding")
    if target[0] != 0x2F:
        target = _origin_form(method, target)
    if b"#" in target:
        raise BadRequest("a fragment in the request target")
    http_1_1 = minor == b"1"
    keep_alive = http_1_1 and b"close" not in fields.options
    return RequestHead(method, target, http_1_1, fields, keep_alive, fields.chunked or fields.length > 0)


def parse_answer(head: bytes) -> AnswerHead:
    """Return the parsed head of an answer, given with its empty line. Raises ProtocolViolation."""
    answer = _kept_answers.get(head)
    if answer is not None:
        return answer
    line = _ANSWER_LINE.match(head)
    if line is None:
        raise ProtocolViolation("malformed HTTP status line")
    try:
        fields = _parse_fields(head[line.end() :])
    except TooLarge as error:
        raise ProtocolViolation(str(error)) from error
    minor, status, reason = line.groups()
    if minor == b"0" and fields.chunked:
        raise ProtocolViolation("HTTP/1.0 knows no Transfer-Encoding")
    options = fields.options
    status_line = b"HTTP/1.1 %s %s\r\n" % (status, reason or b"")
    answer = AnswerHead(
        int(status),
        status_line,
        b"keep-alive" in options if minor == b"0" else b"close" not in options,
        fields,
        b"".join((status_line, fields.lines, framing_line(fields), b"\r\n")),
    )
    if len(head) <= _KEPT_BYTES:
        if len(_kept_answers) >= _KEPT_HEADS:
            _kept_answers.clear()
        _kept_answers[head] = answer
    return answer


def changed(fields: Fields, *, without: frozenset[bytes], more: Headers = (), length: int | None = None) -> Fields:
    """Return `fields` less those named in `without` (lower case), with `more`, and with a body of `length` if given."""
    end_to_end = (*(pair for pair in fields.end_to_end if pair[0].lower() not in without), *more)
    return replace(
        fields,
        headers=(*(pair for pair in fields.headers if pair[0] not in without), *more),
        end_to_end=end_to_end,
        lines=b"".join([b"%s: %s\r\n" % pair for pair in end_to_end]),
        length=fields.length if length is None else length,
        chunked=fields.chunked if length is None else False,
    )


def framing_line(fields: Fields) -> bytes:
    """Return the header line that tells the body's end as `fields` do, or nothing."""
    if fields.chunked:
        return b"Transfer-Encoding: chunked\r\n"
    return b"Content-Length: %d\r\n" % fields.length if fields.length >= 0 else b""


def _origin_form(method: bytes, target: bytes) -> bytes:
    """Return the path of a target in absolute form, or `*` for OPTIONS. Raises BadRequest otherwise."""
    if target == b"*" and method == b"OPTIONS":
        return target
    absolute = _AUTHORITY.match(target)
    if absolute is None:
        raise BadRequest("malformed request target")
    path = target[absolute.end() :]
    return path if path.startswith(b"/") else b"/" + path


def _parse_fields(block: bytes) -> Fields:
    if _FIELDS.fullmatch(block) is None:
        raise ProtocolViolation("malformed HTTP header")
    lines = block.split(b"\r\n")[:-2]
    if len(lines) > MAX_FIELDS:
        raise TooLarge(f"more than {MAX_FIELDS} headers")
    named = [(name, value.strip(b" \t")) for name, _, value in (line.partition(b":") for line in lines)]
    headers = tuple((name.lower(), value) for name, value in named)
    length, chunked, expects_continue, upgrade = -1, False, False, b""
    options: set[bytes] = set()
    for name, value in headers:
        if name == b"content-length":
            if _LENGTH.fullmatch(value) is None or length not in (-1, int(value)):
                raise ProtocolViolation("malformed Content-Length")
            length = int(value)
        elif name == b"transfer-encoding":
            if chunked or value.lower() != b"chunked":
                raise ProtocolViolation("unsupported Transfer-Encoding")
            chunked = True
        elif name == b"connection":
            options.update(token.strip(b" \t") for token in value.lower().split(b","))
        elif name == b"expect":
            if value.lower() != b"100-continue":
                raise ProtocolViolation("unsupported Expect")
            expects_continue = True
        elif name == b"upgrade":
            upgrade = value
    if chunked and length >= 0:
        raise ProtocolViolation("both Content-Length and Transfer-Encoding")
    end_to_end = tuple(
        (name, value)
        for (name, value), (lower, _) in zip(named, headers, strict=True)
        if lower not in _HOP_BY_HOP and lower not in options and not lower.startswith(b"proxy-")
    )
    return Fields(
        headers,
        end_to_end,
        b"".join([b"%s: %s\r\n" % pair for pair in end_to_end]),
        length,
        chunked,
        frozenset(options),
        upgrade if b"upgrade" in options else b"",
        expects_continue,
    )
