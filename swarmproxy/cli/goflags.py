"""Flags as Go's `flag` package reads them, for click: start scripts of classic Swarm keep working.

One dash or two, `--f v` or `--f=v`; booleans take a value only with `=`; `--` ends the flags, and so does a
positional, unless it stands before all of them.
"""

import re
from collections.abc import Sequence
from typing import Any

import click
from click.core import ParameterSource

_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_INTEGER = re.compile(r"([+-]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))")


class TwoForms(click.UsageError):
    """Both the long and the short spelling of one flag were given."""


class GoBool(click.ParamType[bool]):
    """A boolean in one of Go's spellings. In the environment, anything else is false."""

    name = "bool"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bool:
        """Return the boolean that `value` spells. Raises click.UsageError."""
        if isinstance(value, bool):
            return value
        if value in _TRUE or value in _FALSE:
            return value in _TRUE
        if param and ctx and ctx.get_parameter_source(param.name or "") is ParameterSource.ENVIRONMENT:
            return False
        raise click.UsageError(f'invalid boolean value "{value}" for {_go_name(param)}: parse error', ctx)


class GoInt(click.ParamType[int]):
    """A whole number, decimal or with one of Go's prefixes."""

    name = "int"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number that `value` spells. Raises click.UsageError."""
        if isinstance(value, int):
            return value
        number = parse_int(value)
        if number is None:
            raise click.UsageError(f'invalid value "{value}" for flag {_go_name(param)}: parse error', ctx)
        return number


class CommaList(click.ParamType[str]):
    """A text that may be given several times; in the environment, separated by commas."""

    name = "list"
    envvar_list_splitter = ","

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ARG002
        """Return the text without spaces around it."""
        return str(value).strip()


GO_BOOL = GoBool()
GO_INT = GoInt()
COMMA_LIST = CommaList()


def parse_int(text: str) -> int | None:
    """Return the 64 bit number that `text` spells in Go, a base prefix allowed; None if it spells none."""
    found = _INTEGER.fullmatch(text) if len(text) < 80 else None
    if found is None:
        return None
    bases = zip((16, 2, 8, 10), found.groups()[1:], strict=True)
    number = next(int(digits, base) for base, digits in bases if digits is not None)
    number = -number if found[1] == "-" else number
    return number if -(2**63) <= number < 2**63 else None


def canonical(
    ctx: click.Context, args: Sequence[str], *, positionals_first: bool, flags_anywhere: bool = False
) -> list[str]:
    """Return `args` in the one form that click reads the same way: `--flag=value` each, `--`, positionals.

    With `positionals_first`, those before the first flag count as if they came last. With `flags_anywhere` a
    positional ends nothing, as with docker's own commands, and all keep their order.
    Raises click.UsageError in Go's words. While a shell completes a line, what cannot be read yet is left to click.
    """
    try:
        return _canonical(ctx, args, positionals_first=positionals_first, flags_anywhere=flags_anywhere)
    except click.UsageError:
        if ctx.resilient_parsing:
            return list(args)
        raise


def _canonical(ctx: click.Context, args: Sequence[str], *, positionals_first: bool, flags_anywhere: bool) -> list[str]:
    names = {
        spelling.lstrip("-"): option
        for option in ctx.command.get_params(ctx)
        if isinstance(option, click.Option)
        for spelling in option.opts
    }
    rest = list(args)
    before: list[str] = []
    if positionals_first and not flags_anywhere and any(_is_flag(arg) for arg in _up_to_terminator(rest)):
        while not _is_flag(rest[0]):
            before.append(rest.pop(0))
    flags: list[str] = []
    seen: set[str] = set()
    between: list[str] = []
    while rest and (flags_anywhere or (_is_flag(rest[0]) and rest[0] != "-")):
        flag = rest.pop(0)
        if not _is_flag(flag) or flag == "-":
            between.append(flag)
            continue
        if flag == "--":
            break
        name, option, value = _split(ctx, flag, names)
        if value is None and isinstance(option.type, GoBool):
            value = "true"
        elif value is None:
            if not rest:
                raise click.UsageError(f"flag needs an argument: -{name}", ctx)
            value = rest.pop(0)
        seen.add(name)
        flags.append(f"{option.opts[0]}={value}")
    _refuse_two_forms(ctx, seen)
    return [*flags, "--", *between, *rest, *before]


def _is_flag(arg: str) -> bool:
    return arg.startswith("-")


def _up_to_terminator(args: list[str]) -> list[str]:
    return args[: args.index("--")] if "--" in args else args


def _split(ctx: click.Context, flag: str, names: dict[str, click.Option]) -> tuple[str, click.Option, str | None]:
    """Return the name, the option it belongs to, and the value after `=` if there is one."""
    text = flag[2:] if flag.startswith("--") else flag[1:]
    if not text or text[0] in "-=":
        raise click.UsageError(f"bad flag syntax: {flag}", ctx)
    name, equals, value = text.partition("=")
    if name not in names:
        raise click.UsageError(f"flag provided but not defined: -{name}", ctx)
    return name, names[name], value if equals else None


def _refuse_two_forms(ctx: click.Context, seen: set[str]) -> None:
    for option in ctx.command.get_params(ctx):
        used = [name for spelling in option.opts if (name := spelling.lstrip("-")) in seen]
        if isinstance(option, click.Option) and len(used) > 1:
            raise TwoForms(f"Cannot use two forms of the same flag: {used[1]} {used[0]}", ctx)


def _go_name(param: click.Parameter | None) -> str:
    return f"-{param.opts[0].lstrip('-')}" if param else "flag"
