"""What the documents say to type is something that the program and the Makefile know."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from swarmproxy.cli.app import app
from tests.cli.test_program import _run
from tests.docs.links import DOCUMENTS, REPOSITORY

_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_COMMAND = re.compile(r"(?:^|\$\(|&& )(?:\S*/bin/)?swarmproxy +(.*)", re.MULTILINE)
_INLINE = re.compile(r"`(?:eval \$\()?swarmproxy ([a-z][^`|]*)`")
_END = re.compile(r" (?:>|&&|\||&) |\)(?= |$)")
_RUN = ("completion", "env", "manual", "policy token", "manage --help")
"""Those that need neither a host, nor files, nor a manager: they are run, the others are read only."""


def commands() -> Iterator[tuple[str, str]]:
    """Yield what follows the program's name wherever it is started, in blocks and in text, with the document's name."""
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        lines = _INLINE.findall(text)
        for block in _BLOCK.findall(text):
            lines += _COMMAND.findall(block.replace("\\\n", " "))
        for line in lines:
            yield document.name, _END.split(line, maxsplit=1)[0].partition(" #")[0].strip().removesuffix(")")


COMMANDS = [
    pytest.param(line, id=f"{name}: {line}"[:90]) for name, line in sorted(set(commands())) if not line.startswith(_RUN)
]


def read(args: list[str]) -> str:
    """Read `args` as the program does, but do nothing of it; return the command. Raises click.UsageError."""
    group: click.Group = app
    context = app.make_context("swarmproxy", args)
    while True:
        name, command, args = group.resolve_command(context, [*context._protected_args, *context.args])
        assert command is not None
        assert name is not None
        context = command.make_context(name, args, parent=context)
        if not isinstance(command, click.Group):
            return name
        group = command


@pytest.mark.parametrize("line", COMMANDS)
def test_command(line: str) -> None:
    """The command is there, with the flags that it is given."""
    assert read(shlex.split(line))


def test_unknown_is_found() -> None:
    """A command or a flag that the program does not have is seen."""
    with pytest.raises(click.UsageError):
        read(["manage", "--planned", "a:1"])
    assert len(COMMANDS) > 25


def test_commands_that_need_no_host(tmp_path: Path) -> None:
    """Those that need nothing but the program are run: exit code 0, and something on stdout."""
    runnable = {line for _, line in commands() if line.startswith(_RUN)}
    for line in sorted(runnable):
        code, out, _ = _run(*shlex.split(line), HOME=str(tmp_path))
        assert (code, bool(out)) == (0, True), line
    assert {line.split()[0] for line in runnable} >= {"completion", "env", "manual", "manage", "policy"}


def test_make_targets() -> None:
    """Every `make` that a document names is a target."""
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        named = set(re.findall(r"`make ([a-z-]+)", text))
        for block in _BLOCK.findall(text):
            named |= set(re.findall(r"^make ([a-z-]+)", block, re.MULTILINE))
        assert named <= targets, document.name
