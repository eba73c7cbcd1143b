"""Log lines."""

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest

from swarmproxy import logs
from swarmproxy.errors import ConfigError
from swarmproxy.logs import LogFormat

log = logging.getLogger("tests.logs")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Leave logging as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(capture=False)


def _text(log_format: LogFormat = "text", level: int = logging.DEBUG) -> io.StringIO:
    stream = io.StringIO()
    logs.configure(level, log_format, stream)
    return stream


def test_text() -> None:
    """A line has time, level, message and fields, quoted where they need it, as logrus writes them."""
    stream = _text()
    log.warning(
        "engine %s is slow",
        "a",
        extra={"addr": "10.0.0.1:2375", "error": 'no "way"', "count": 3, "empty": ""},
    )
    assert re.fullmatch(
        r'time="\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)" level=warning msg="engine a is slow" '
        r'addr=10.0.0.1:2375 error="no \\"way\\"" count=3 empty=""\n',
        stream.getvalue(),
    )


def test_several_values() -> None:
    """Lists and mappings are written without the brackets and quotes of Python."""
    stream = _text()
    log.info("moved", extra={"left": ("volume data", "bind /srv"), "labels": {"storage": "ssd"}, "none": ()})
    assert stream.getvalue().endswith(' msg="moved" left="volume data, bind /srv" labels="storage=ssd" none=""\n')


def test_json() -> None:
    """With json, a line is one object with the same content."""
    stream = _text("json")
    log.error("failed", extra={"addr": "a:1", "retry_in_s": 4.5, "path": object})
    line = json.loads(stream.getvalue())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {
        "level": "error",
        "msg": "failed",
        "addr": "a:1",
        "retry_in_s": 4.5,
        "path": "<class 'object'>",
    }


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_one_line_each(log_format: LogFormat) -> None:
    """Nothing that a value holds breaks the line, forges a field or is sent raw to a terminal."""
    stream = _text(log_format)
    log.info('a\nlevel=fatal "\x1b[31m\u2028\x9b\ud800', extra={"field": "x\r\ny=1", "level": "mine"})
    try:
        int("two\nlines")
    except ValueError:
        log.exception("caught")
    lines = stream.getvalue().split("\n")
    assert len(lines) == 3
    assert lines[2] == ""
    assert all(character.isprintable() for line in lines for character in line)
    assert "Traceback" in lines[1]
    assert "fields.level" in lines[0]


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_secrets(log_format: LogFormat) -> None:
    """Credentials are never written, nor those among headers."""
    stream = _text(log_format)
    headers = {"Authorization": "Bearer hunter2", "X-Registry-Auth": "hunter2", "Accept": "fine"}
    log.info("request", extra={"headers": headers, "x_registry_config": "hunter2", "password": "hunter2"})
    assert "hunter2" not in stream.getvalue()
    assert "fine" in stream.getvalue()


@pytest.mark.parametrize(
    ("text", "number"),
    [("debug", 10), ("INFO", 20), ("warn", 30), ("Warning", 30), ("error", 40), ("fatal", 50), ("panic", 60)],
)
def test_levels(text: str, number: int) -> None:
    """The levels are those of logrus, in any case."""
    assert logs.parse_level(text) == number


def test_bad_level_and_format() -> None:
    """A level or format that does not exist is refused."""
    with pytest.raises(ConfigError, match=r'^not a valid logrus Level: "loud"$'):
        logs.parse_level("loud")
    with pytest.raises(ConfigError, match=r'^--log-format should be text or json, not "xml"$'):
        logs.parse_format("xml")


def test_libraries() -> None:
    """Libraries are heard from warnings on, and a request line of uvicorn or httpx not at all."""
    logging.getLogger("uvicorn.error").addHandler(logging.StreamHandler(io.StringIO()))
    stream = _text(level=logging.INFO)
    for name in ("httpx", "httpcore.http11", "uvicorn.error", "uvicorn.access", "asyncio"):
        logging.getLogger(name).info("chatter")
    assert stream.getvalue() == ""
    logging.getLogger("uvicorn.error").warning("trouble")
    assert stream.getvalue().count("trouble") == 1


def test_level_is_kept() -> None:
    """What is below the level is not written."""
    stream = _text(level=logging.WARNING)
    log.info("no")
    log.warning("yes")
    assert "no" not in stream.getvalue()
    assert "yes" in stream.getvalue()


def test_closed_stream(capsys: pytest.CaptureFixture[str]) -> None:
    """A reader of the log who went away stops nothing and is not complained of."""

    class Broken(io.StringIO):
        def write(self, _: str, /) -> int:
            raise BrokenPipeError

    logs.configure(logging.INFO, "text", Broken())
    log.info("to nobody")
    assert capsys.readouterr().err == ""
