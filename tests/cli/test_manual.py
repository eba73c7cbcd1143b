"""The manual page is made of the commands and flags as they are, and can be read by man."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from swarmproxy.cli.app import app
from swarmproxy.cli.manual import page

PROGRAM = Path(sys.executable).with_name("swarmproxy")


def options(command: click.Command) -> Iterator[str]:
    """Yield each spelling of a flag, of a command and of those below it."""
    yield from (spelling for param in command.params if isinstance(param, click.Option) for spelling in param.opts)
    if isinstance(command, click.Group):
        for each in command.commands.values():
            yield each.name or ""
            yield from options(each)


def rendered(text: str) -> str:
    """Return what a reader sees of a page."""
    plain = re.sub(r"\\f[BIR]|\\&", "", text)
    return plain.replace("\\-", "-").replace("\\e", "\\")


def test_nothing_is_missing() -> None:
    """Every command, flag and alias stands on the page."""
    words = set(re.findall(r"[\w-]+", rendered(page(app))))
    assert {each for each in options(app) if each.strip("-")} - words == set()


def test_printed() -> None:
    """The program prints the page, and man has nothing to say against it."""
    done = subprocess.run([PROGRAM, "manual"], check=True, capture_output=True)
    assert done.stdout.decode() == page(app)
    formatted = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-b"], input=done.stdout, check=True, capture_output=True
    )
    assert formatted.stderr == b""
    assert b"swarm.mode=use" in re.sub(rb"\x1b\[\d*m|.\x08", b"", formatted.stdout)


@pytest.mark.parametrize("text", ["\\fBbold", ".TH", "'quoted", "a-b"])
def test_escaped(text: str) -> None:
    """What roff would take for its own is printed as it stands."""
    command = click.Group("app", help="x", commands=[click.Command("c", help=text)])
    assert f"\n{text}." in rendered(page(command))


def test_no_arguments() -> None:
    """An argument is refused."""
    done = subprocess.run([PROGRAM, "manual", "manage"], check=False, capture_output=True, text=True)
    assert (done.returncode, "takes no arguments" in done.stdout) == (1, True)
