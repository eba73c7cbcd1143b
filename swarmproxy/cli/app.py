"""The program: global flags, the commands, and what becomes of errors."""

import errno
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import click

from swarmproxy import logs
from swarmproxy.cli.commands import GoCommand, GoGroup, callback_flag, given, version
from swarmproxy.cli.completion import completion
from swarmproxy.cli.environment import environment
from swarmproxy.cli.explain import explain
from swarmproxy.cli.goflags import TwoForms
from swarmproxy.cli.hub import hub
from swarmproxy.cli.manage import manage
from swarmproxy.cli.manual import manual
from swarmproxy.cli.members import create, join, list_entries
from swarmproxy.cli.node import node
from swarmproxy.cli.options import Globals, flag, text
from swarmproxy.cli.policy import policy
from swarmproxy.cli.rebalance import rebalance
from swarmproxy.errors import SwarmError

log = logging.getLogger("swarmproxy")


def _show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        click.echo(f"{ctx.info_name} version {version()}")
        ctx.exit(0)


@click.pass_context
def _start(ctx: click.Context, /, *, debug: bool, log_level: str, log_format: str, experimental: bool) -> None:
    """Set up the log, then let the command run."""
    if debug and not given(ctx, "log_level"):
        log_level = "debug"
    obj = Globals(
        debug=debug,
        experimental=experimental,
        log_level=logs.parse_level(log_level),
        log_format=logs.parse_format(log_format),
    )
    obj.log_to(sys.stdout)
    ctx.obj = obj
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


app = GoGroup(
    "swarmproxy",
    help="Many Docker daemons behind one Docker API endpoint",
    callback=_start,
    invoke_without_command=True,
    params=[
        flag("--debug", envvar="DEBUG", help="debug mode"),
        text("--log-level", "-l", default="info", help="log level: debug, info, warn, error, fatal or panic"),
        text("--log-format", default="text", help="log lines as text or as json"),
        flag("--experimental", help="enable experimental features"),
        callback_flag("--version", "-v", callback=_show_version, usage="print the version"),
    ],
)
for command in (
    create,
    list_entries,
    manage,
    join,
    hub,
    node,
    rebalance,
    explain,
    policy,
    environment,
    completion,
    manual,
):
    app.add_command(command)


@click.pass_context
def _help(ctx: click.Context, args: tuple[str, ...]) -> None:
    """Show the help of the program, of one command, or of one in a family."""
    with ExitStack() as contexts:
        inner = ctx.find_root()
        for name in args:
            if not isinstance(inner.command, click.Group):
                break
            if (found := inner.command.get_command(inner, name)) is None:
                click.echo(f"No help topic for '{' '.join(args)}'")
                return
            inner = contexts.enter_context(click.Context(found, info_name=found.name, parent=inner))
        click.echo(inner.get_help())


app.add_command(
    GoCommand(
        "help",
        alias="h",
        discovery=False,
        callback=_help,
        help="Shows a list of commands or help for one command",
    )
)


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command that `args` (by default, those of the process) name, and exit with its code.

    A bad flag is answered with the help and exit code 1, any other error with a log line and exit code 1.
    """
    program = Path(sys.argv[0]).name
    if program == "__main__.py":
        program = "swarmproxy"
    logs.configure(logging.INFO, "text", sys.stdout)  # until the flags say how
    try:
        code = app.main(args=args, prog_name=program, standalone_mode=False)
        sys.stdout.flush()
    except click.UsageError as error:
        click.echo(error.message if isinstance(error, TwoForms) else "Incorrect Usage.")
        click.echo()
        if error.ctx:
            click.echo(error.ctx.get_help())
        log.critical(error.message)
        code = 1
    except SwarmError as error:
        log.critical(str(error))
        code = 1
    except click.Abort:
        code = 130
    except OSError as error:
        if error.errno != errno.EPIPE:
            raise
        # Nobody reads us any more. What is still buffered must not fail once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code or 0)
