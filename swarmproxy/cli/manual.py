"""`swarmproxy manual`: the manual page, made of the commands and flags as they are.

Source of the layout: man-pages(7) and groff_man(7).
"""

from collections.abc import Iterable, Iterator

import click

from swarmproxy import __version__
from swarmproxy.cli.commands import GoCommand, GoGroup, rows_of
from swarmproxy.errors import ConfigError

NAME = "swarmproxy"
ENVIRONMENT = (
    ("SWARM_DISCOVERY", "stands in for the argument that says where nodes come from"),
    ("DOCKER_HOST, DOCKER_TLS_VERIFY, DOCKER_CERT_PATH", "the manager that node, rebalance and explain talk to"),
    ("NOTIFY_SOCKET, WATCHDOG_USEC", "set by systemd for a service of Type=notify"),
)
SIGNALS = (
    ("SIGTERM, SIGINT", "end in order: short requests end, streams are closed. A second one ends at once."),
    ("SIGHUP", "manage and hub read anew what may change while they run, such as certificates. Nothing is cut off."),
)


def page(app: click.Group) -> str:
    """Return the manual page, in roff."""
    return "\n".join(_lines(app)) + "\n"


def _lines(app: click.Group) -> Iterator[str]:
    context = click.Context(app, info_name=NAME)
    yield f'.TH {NAME.upper()} 1 "" "{NAME} {__version__}" "User Commands"'
    yield from (".SH NAME", f"{NAME} \\- {_text(_lower(app.help or ''))}")
    yield from (".SH SYNOPSIS", f".B {NAME}", "[\\fIoptions\\fR] \\fIcommand\\fR [\\fIargument\\fR...]")
    yield from (".SH DESCRIPTION", "Any Docker client that talks to", f".B {NAME} manage")
    yield "uses many Docker daemons as if they were one."
    yield "Flags are read as Go reads them: \\-flag and \\-\\-flag are the same."
    yield from (".SH OPTIONS", *_rows(rows_of(app, context)))
    yield ".SH COMMANDS"
    for name, command in _commands(app):
        inner = click.Context(command, info_name=name, parent=context)
        alias = f", {command.alias}" if isinstance(command, GoCommand) and command.alias else ""
        yield f'.SS "{_text(name + alias)}"'
        yield from (_text(command.help or "") + ".", *_rows(rows_of(command, inner)))
        if isinstance(command, GoCommand):
            if command.operands:
                yield from (".PP", f"Argument: \\fI{_text(command.operands)}\\fR")
            yield from _rows(command.notes)
    yield from (
        ".SH ENVIRONMENT",
        "Variables that stand in for a flag are named in brackets behind it.",
        *_rows(ENVIRONMENT),
    )
    yield from (".SH SIGNALS", *_rows(SIGNALS))
    yield from (".SH EXIT STATUS", "0 when all went well, 1 when it did not, 130 when interrupted.")
    yield from (".SH SEE ALSO", ".BR docker (1),", ".BR dockerd (8)")


def _commands(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield each command with its whole name: those of families too, the families themselves if they have none."""
    for name, command in group.commands.items():
        if isinstance(command, GoGroup):
            yield from _commands(command, f"{before}{name} ")
        else:
            yield before + name, command


def _rows(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    for left, right in rows:
        yield from (".TP", f"\\fB{_text(left)}\\fR", _text(right))


def _text(text: str) -> str:
    """Return `text` so that roff prints it as it is."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


@click.pass_context
def _manual(ctx: click.Context, /, args: tuple[str, ...]) -> None:
    """Print the page."""
    if args:
        raise ConfigError("the `manual` command takes no arguments")
    app = ctx.find_root().command
    assert isinstance(app, click.Group)  # noqa: S101  # which ours is
    click.echo(page(app), nl=False)


manual = GoCommand(
    "manual",
    discovery=False,
    callback=_manual,
    help="Print the manual page",
    notes=(("", "swarmproxy manual > swarmproxy.1 && man ./swarmproxy.1"),),
)
