"""Log lines as classic Swarm wrote them, `time="…" level=info msg="…" key=value`, or as JSON objects."""

import json
import logging
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal, TextIO

from swarmproxy.errors import ConfigError

LogFormat = Literal["text", "json"]

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "fatal": logging.CRITICAL,
    "panic": logging.CRITICAL + 10,
}
_NAMES = {number: name for name, number in _LEVELS.items()}

_PLAIN = re.compile(r"[A-Za-z0-9._/@^+:\[\],-]+")
_OWN_FIELDS = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "color_message"})
_TAKEN = frozenset({"time", "level", "msg"})
_SECRET = re.compile(r"(?i)authorization|registry.?(auth|config)|password|secret|token|cookie")
_HIDDEN = "(hidden)"

_LIBRARIES = ("httpx", "httpcore", "asyncio", "uvicorn.error", "uvicorn.asgi")


def parse_level(text: str) -> int:
    """Return the number of the logging level that `text` names, in any case. Raises ConfigError."""
    try:
        return _LEVELS[text.lower()]
    except KeyError:
        raise ConfigError(f'not a valid logrus Level: "{text}"') from None


def parse_format(text: str) -> LogFormat:
    """Return the log format that `text` names. Raises ConfigError."""
    if text == "text":
        return "text"
    if text == "json":
        return "json"
    raise ConfigError(f'--log-format should be text or json, not "{text}"')


def configure(level: int, log_format: LogFormat, stream: TextIO) -> None:
    """Send what this process logs at `level` and above to `stream`, one line a record.

    Replaces what an earlier call set. Libraries are heard from warnings on: their debug lines show headers.
    """
    handler = _Lines(stream)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] == "uvicorn":
            logging.getLogger(name).handlers.clear()
            logging.getLogger(name).propagate = True
    for name in _LIBRARIES:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    logging.getLogger("uvicorn.access").setLevel(logging.CRITICAL)  # one line a request is not ours to write
    logging.captureWarnings(capture=True)


class _Lines(logging.StreamHandler[TextIO]):
    """A stream that may be closed by its reader, which is no reason to stop, nor to say so at every line."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        if not isinstance(sys.exception(), OSError):
            super().handleError(record)


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """Return what was passed as `extra`, with secrets hidden, and the traceback if there is one."""
    fields: dict[str, object] = {}
    for key, value in vars(record).items():
        if key not in _OWN_FIELDS:
            fields[f"fields.{key}" if key in _TAKEN else key] = _without_secrets(key, value)
    if record.exc_info:
        fields["traceback"] = logging.Formatter().formatException(record.exc_info)
    return fields


class TextFormatter(logging.Formatter):
    """Writes records as logrus does when it is not on a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Return `time=… level=… msg=… key=value …`, one line whatever is in the values."""
        moment = datetime.fromtimestamp(record.created, UTC).astimezone().isoformat(timespec="seconds")
        head = {
            "time": moment.replace("+00:00", "Z"),
            "level": _level_name(record),
            "msg": record.getMessage(),
        }
        pairs = [*head.items(), *fields_of(record).items()]
        return " ".join(f"{key}={_quoted(value, always=key in ('time', 'msg'))}" for key, value in pairs)


class JsonFormatter(logging.Formatter):
    """Writes records as JSON objects."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one object on one line: time (RFC 3339, UTC), level, msg, and the fields."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "time": moment.replace("+00:00", "Z"),
            "level": _level_name(record),
            "msg": record.getMessage(),
            **fields_of(record),
        }
        return json.dumps(line, default=str)


def _level_name(record: logging.LogRecord) -> str:
    return _NAMES.get(record.levelno, record.levelname.lower())


def _without_secrets(key: str, value: object) -> object:
    if _SECRET.search(key):
        return _HIDDEN
    if isinstance(value, Mapping):
        return {str(name): _without_secrets(str(name), each) for name, each in value.items()}
    return value


def _quoted(value: object, *, always: bool) -> str:
    text = _as_text(value)
    if not always and _PLAIN.fullmatch(text):
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())


def _as_text(value: object) -> str:
    """Return `value` as a person writes it, not as Python does."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={_as_text(each)}" for name, each in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_as_text, value))
    return str(value)
