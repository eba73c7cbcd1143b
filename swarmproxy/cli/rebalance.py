"""`rebalance`: show which containers of a running manager would move to even the nodes out, and move them."""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click
import msgspec

from swarmproxy.cli.client import API, ManagerCommand, complain
from swarmproxy.cli.goflags import GO_INT
from swarmproxy.cli.options import flag, text
from swarmproxy.cli.table import table
from swarmproxy.errors import ConfigError

if TYPE_CHECKING:
    from swarmproxy.cli.manager_client import ManagerClient

SHORT_ID = 12


class _Move(msgspec.Struct, rename={"source": "from", "target": "to"}):
    container: str
    name: str
    source: str
    target: str
    to_id: str = ""
    reason: str = ""


class _Load(msgspec.Struct):
    cpu_percent: float = 0.0
    memory_percent: float = 0.0
    containers: int = 0


class _Plan(msgspec.Struct):
    moves: list[_Move]
    before: dict[str, _Load] = {}
    after: dict[str, _Load] = {}


class _Step(_Move):
    status: str = ""
    error: str = ""
    left_behind: list[str] = []  # data that stays on the old node, in words


class _End(msgspec.Struct):
    moved: int
    failed: int


def _rebalance(
    client: "ManagerClient", *, args: tuple[str, ...], plan: bool, yes: bool, max_moves: int, output_format: str
) -> int:
    if args:
        raise ConfigError("rebalance takes no arguments")
    if output_format not in ("text", "json"):
        raise ConfigError(f'--format should be text or json, not "{output_format}"')
    if max_moves < 0:
        raise ConfigError(f"--max-moves should not be a negative number, {max_moves} is invalid")
    if not plan and not yes and not sys.stdin.isatty():
        raise ConfigError("nobody is there to be asked: --plan only shows the moves, --yes makes them")
    query = {"max_moves": str(max_moves)} if max_moves else {}
    answer = client.ask("GET", f"{API}/rebalance", query=query)
    found = client.convert(answer, _Plan)
    if plan and output_format == "json":
        click.echo(msgspec.json.encode(answer).decode())
        return 0
    if output_format == "text":
        click.echo(_as_text(found), nl=False)
    if plan or not found.moves:
        return 0
    if not yes and not click.confirm(f"Move {_counted(len(found.moves))}?", err=True):
        return 1
    return _carry_out(client, found.moves, as_json=output_format == "json")


def _carry_out(client: "ManagerClient", moves: Iterable[_Move], *, as_json: bool) -> int:
    """Have the moves made that were shown, and no others, telling of each; return the exit code."""
    body = {"moves": [{"container": each.container, "to": each.to_id or each.target} for each in moves]}
    for line in client.stream("POST", f"{API}/rebalance", body=body):
        if as_json:
            click.echo(msgspec.json.encode(line).decode())
        status = line.get("status") if isinstance(line, dict) else None
        if status == "done":
            end = client.convert(line, _End)
            if not as_json:
                click.echo(f"{_counted(end.moved)} moved, {end.failed} failed")
            return 1 if end.failed else 0
        if status in ("moved", "failed") and not as_json:
            _tell(client.convert(line, _Step))
    return complain("the manager ended its answer before it was done: see `docker ps` for what was moved")


def _tell(step: _Step) -> None:
    if step.status == "failed":
        complain(f"{step.name} stays on {step.source}: {step.error}")
        return
    rest = f", without {', '.join(step.left_behind)}" if step.left_behind else ""
    click.echo(f"{step.name}: {step.source} -> {step.target}{rest}")


def _as_text(found: _Plan) -> str:
    if not found.moves:
        return "Nothing to move.\n"
    moves = [[each.container[:SHORT_ID], each.name, each.source, each.target, each.reason] for each in found.moves]
    nodes = [_change(name, found.before[name], found.after[name]) for name in found.before if name in found.after]
    text = table(("CONTAINER", "NAME", "FROM", "TO", "REASON"), moves)
    return f"{text}\n{table(('NODE', 'CONTAINERS', 'CPU', 'MEMORY'), nodes)}" if nodes else text


def _change(name: str, before: _Load, after: _Load) -> list[str]:
    return [
        name,
        f"{before.containers} -> {after.containers}",
        f"{before.cpu_percent:.0f}% -> {after.cpu_percent:.0f}%",
        f"{before.memory_percent:.0f}% -> {after.memory_percent:.0f}%",
    ]


def _counted(count: int) -> str:
    return f"{count} container{'' if count == 1 else 's'}"


rebalance = ManagerCommand(
    "rebalance",
    callback=_rebalance,
    params=[
        flag("--plan", help="only show what would move"),
        flag("--yes", "-y", help="do not ask before it begins"),
        click.Option(
            ["--max-moves"], type=GO_INT, default=0, help="the most containers to move (0: as the manager likes)"
        ),
        text("output_format", "--format", default="text", help="text, or json, one object a line"),
    ],
    help="Move containers so that the nodes are as evenly used, or as full, as the strategy wants",
)
