"""Click's command and group, with Go's flags and the layout of classic Swarm's help."""

import os
from collections.abc import Callable, Iterable
from typing import Any

import click
from click.core import ParameterSource

from swarmproxy import __version__
from swarmproxy.cli.goflags import GO_BOOL, GoBool, canonical

_DISCOVERY = (
    ("<discovery>", "discovery service to use [$SWARM_DISCOVERY]"),
    ("", " * [nodes://]<ip1>,<ip2>"),
    ("", " * file://path/to/file"),
    ("", " * token://<host>/<token>"),
    ("", " * consul://<ip>/<path>"),
    ("", " * etcd://<ip1>,<ip2>/<path>"),
    ("", " * zk://<ip1>,<ip2>/<path>"),
    ("", " * machine://path/to/store"),
)


class GoCommand(click.Command):
    """One command of ours. Its positionals arrive as `args`, and are called `operands` in the help.

    `notes` stand under its flags there. With `flags_anywhere`, flags may stand between and behind the positionals.
    """

    def __init__(
        self,
        name: str,
        *,
        alias: str = "",
        discovery: bool = True,
        operands: str = "",
        flags_anywhere: bool = False,
        notes: Iterable[tuple[str, str]] = (),
        **rest: Any,
    ) -> None:
        super().__init__(name, **rest)
        self.params.append(click.Argument(["args"], nargs=-1))
        self.alias = alias
        self.discovery = discovery
        self.operands = "<discovery>" if discovery else operands
        self.flags_anywhere = flags_anywhere
        self.notes = tuple(notes)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the flags as Go does."""
        return super().parse_args(ctx, canonical(ctx, args, positionals_first=True, flags_anywhere=self.flags_anywhere))

    def get_help_option(self, ctx: click.Context) -> click.Option:  # noqa: ARG002
        """Return `--help, -h`."""
        return _HELP

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write usage, summary, arguments, options and notes."""
        usage = f"Usage: {ctx.command_path}"
        if any(isinstance(param, click.Option) for param in self.params):
            usage += " [OPTIONS]"
        formatter.write(f"{usage} {self.operands}".rstrip() + "\n")
        formatter.write(f"\n{self.help}\n")
        if self.discovery:
            formatter.write(f"\nArguments:\n{columns(_DISCOVERY)}")
        formatter.write(f"\nOptions:\n{columns(rows_of(self, ctx))}")
        if self.notes:
            formatter.write(f"\n{columns(self.notes)}")


class GoGroup(click.Group):
    """The program, or a family of commands: flags, then a command by its name or alias."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the flags as Go does."""
        return super().parse_args(ctx, canonical(ctx, args, positionals_first=False))

    def get_help_option(self, ctx: click.Context) -> click.Option:  # noqa: ARG002
        """Return `--help, -h`."""
        return _HELP

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command that goes by this name or alias."""
        for command in self.commands.values():
            if isinstance(command, GoCommand) and command.alias and command.alias == cmd_name:
                return command
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that `args` begin with; an unknown one ends the program, as in classic.

        In a family, which classic had none of, that is an error.
        """
        command = self.get_command(ctx, args[0])
        if command is None and ctx.resilient_parsing:  # a shell completes what follows
            return None, None, []
        if command is None and ctx.parent is not None:
            raise click.UsageError(f"unknown command: {ctx.command_path} {args[0]}", ctx)
        if command is None:
            click.echo(f"No help topic for '{args[0]}'")
            ctx.exit(0)
        return command.name, command, args[1:]

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write usage, description, version, options and commands."""
        formatter.write(f"Usage: {ctx.command_path} [OPTIONS] COMMAND [arg...]\n\n{self.help}\n")
        if ctx.parent is None:
            formatter.write(f"\nVersion: {version()}\n")
        formatter.write(f"\nOptions:\n{columns(rows_of(self, ctx))}")
        rows = [
            (", ".join(filter(None, (name, getattr(command, "alias", "")))), command.help or "")
            for name, command in self.commands.items()
        ]
        formatter.write(f"\nCommands:\n{columns(rows)}")
        formatter.write(f"\nRun '{ctx.command_path} COMMAND --help' for more information on a command.\n")


def family(name: str, text: str) -> GoGroup:
    """Return a family of commands, without any so far; it shows its help when none is asked for."""
    return GoGroup(name, help=text, callback=_show_family, invoke_without_command=True)


@click.pass_context
def _show_family(ctx: click.Context, /) -> None:
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def version() -> str:
    """Return the version, and the commit that an image was built from."""
    return f"{__version__} ({os.environ.get('SWARMPROXY_COMMIT') or 'release'})"


def callback_flag(
    *spellings: str, callback: Callable[[click.Context, click.Parameter, bool], None], usage: str
) -> click.Option:
    """Return a boolean flag that acts before all others are looked at."""
    return click.Option(
        spellings,
        type=GO_BOOL,
        default=False,
        is_eager=True,
        expose_value=False,
        callback=callback,
        help=usage,
    )


def columns(rows: Iterable[tuple[str, str]]) -> str:
    """Return two columns as lines with an indent of two."""
    rows = list(rows)
    width = max(len(left) for left, _ in rows)
    return "".join(f"  {left:<{width}}  {right}".rstrip() + "\n" for left, right in rows)


def given(ctx: click.Context, name: str) -> bool:
    """Say whether the flag behind the parameter `name` stands on the command line."""
    return ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE


def _row(option: click.Option) -> tuple[str, str]:
    """Return a flag's spellings with its default, and what it is for."""
    spellings = ", ".join(option.opts)
    if option.multiple:
        spellings += f" [{option.opts[0]} option {option.opts[0]} option]"
    elif not isinstance(option.type, GoBool) and option.default != "":
        spellings += f' "{option.default}"'
    usage = option.help or ""
    return spellings, f"{usage} [${option.envvar}]" if isinstance(option.envvar, str) else usage


def rows_of(command: click.Command, ctx: click.Context) -> list[tuple[str, str]]:
    """Return the flags of `command`, each with what it is for."""
    return [_row(param) for param in command.get_params(ctx) if isinstance(param, click.Option)]


def program(ctx: click.Context) -> str:
    """Return the name that we were called by."""
    return ctx.find_root().info_name or "swarmproxy"


def _show_help(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        click.echo(ctx.get_help())
        ctx.exit(0)


_HELP = callback_flag("--help", "-h", callback=_show_help, usage="show help")
