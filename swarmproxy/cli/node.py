"""`node`: the operator's hand on the nodes of a running manager."""

from typing import TYPE_CHECKING

import click
import msgspec

from swarmproxy.cli.client import API, ManagerCommand, complain, segment
from swarmproxy.cli.commands import family
from swarmproxy.cli.options import text
from swarmproxy.cli.table import table
from swarmproxy.errors import ConfigError, SwarmError
from swarmproxy.model.info import human_size
from swarmproxy.model.labels import OF_EVERY_NODE

if TYPE_CHECKING:
    from swarmproxy.cli.manager_client import ManagerClient


class _Held(msgspec.Struct, rename="pascal"):
    running: int = 0
    paused: int = 0
    stopped: int = 0


class _Amount(msgspec.Struct, rename="pascal"):
    reserved: int = 0
    total: int = 0


class _Node(msgspec.Struct, rename="pascal"):
    id: str = msgspec.field(name="ID")
    name: str
    address: str
    state: str
    availability: str
    containers: _Held
    cpus: _Amount = msgspec.field(name="CPUs")
    memory_bytes: _Amount
    labels: dict[str, str]


class _Changed(msgspec.Struct, rename="pascal"):
    node: _Node
    warnings: list[str] = []


def _ls(client: "ManagerClient", *, args: tuple[str, ...], output_format: str) -> int:
    """Print the nodes. The table leaves out labels that every node has, such as ostype."""
    if args:
        raise ConfigError("node ls takes no arguments")
    if output_format not in ("text", "json"):
        raise ConfigError(f'--format should be text or json, not "{output_format}"')
    answer = client.ask("GET", f"{API}/nodes")
    if output_format == "json":
        click.echo(msgspec.json.encode(answer).decode())
        return 0
    nodes = client.convert(answer, list[_Node])
    click.echo(table(_COLUMNS, map(_row, nodes)), nl=False)
    return 0


_COLUMNS = ("NAME", "ADDRESS", "STATE", "AVAILABILITY", "CONTAINERS", "CPUS", "MEMORY", "LABELS")


def _row(node: _Node) -> list[str]:
    held, memory = node.containers, node.memory_bytes
    labels = [f"{key}={value}" for key, value in sorted(node.labels.items()) if key not in OF_EVERY_NODE]
    return [
        node.name or "(unknown)",
        node.address or "-",
        node.state,
        node.availability,
        str(held.running + held.paused + held.stopped),
        f"{node.cpus.reserved}/{node.cpus.total}",
        f"{human_size(memory.reserved)} / {human_size(memory.total)}",
        ",".join(labels),
    ]


def _inspect(client: "ManagerClient", *, args: tuple[str, ...]) -> int:
    _demand_nodes("inspect", args)
    found, code = [], 0
    for name in args:
        try:
            found.append(client.ask("GET", f"{API}/nodes/{segment(name)}"))
        except SwarmError as error:
            code = complain(error)
    click.echo(msgspec.json.format(msgspec.json.encode(found), indent=4))
    return code


def _make(action: str) -> ManagerCommand:
    """Return the command that does `action` to each node, also when it fails for another."""

    def run(client: "ManagerClient", *, args: tuple[str, ...]) -> int:
        _demand_nodes(action, args)
        code = 0
        for name in args:
            try:
                _show(client.convert(client.ask("POST", f"{API}/nodes/{segment(name)}/{action}"), _Changed))
            except SwarmError as error:
                code = complain(error)
        return code

    return ManagerCommand(action, callback=run, operands="NODE [NODE...]", help=_HELP[action])


_HELP = {
    "drain": "Place no more containers on nodes, and move those with a reschedule policy away",
    "pause": "Place no more containers on nodes; those that they have stay",
    "activate": "Place containers on nodes again",
}


def _label(client: "ManagerClient", *, args: tuple[str, ...]) -> int:
    if len(args) < 2:
        raise ConfigError("node label takes a node, and what to set or to remove: NODE KEY=VALUE KEY-")
    wanted: dict[str, str] = {}
    removed: list[str] = []
    for word in args[1:]:
        key, equals, value = word.partition("=")
        if equals:
            wanted[key] = value
        elif word.endswith("-"):
            removed.append(word[:-1])
        else:
            raise ConfigError(f"{word} neither sets a label (KEY=VALUE) nor removes one (KEY-)")
    body = {"Set": wanted, "Remove": removed}
    _show(client.convert(client.ask("POST", f"{API}/nodes/{segment(args[0])}/labels", body=body), _Changed))
    return 0


def _demand_nodes(action: str, args: tuple[str, ...]) -> None:
    if not args:
        raise ConfigError(f"node {action} takes the names, IDs or addresses of nodes: NODE [NODE...]")


def _show(changed: _Changed) -> None:
    """Print which node it was, and what the operator should know on stderr."""
    click.echo(changed.node.name or changed.node.id)
    for warning in changed.warnings:
        click.echo(f"WARNING: {warning}", err=True)


node = family("node", "Look at the nodes of a running manager, and say which take containers")
for command in (
    ManagerCommand(
        "ls",
        alias="list",
        callback=_ls,
        help="List nodes",
        params=[text("output_format", "--format", default="text", help="text, a table, or json, one list")],
    ),
    ManagerCommand("inspect", callback=_inspect, operands="NODE [NODE...]", help="Show nodes as JSON"),
    _make("drain"),
    _make("pause"),
    _make("activate"),
    ManagerCommand(
        "label",
        callback=_label,
        operands="NODE KEY=VALUE|KEY- ...",
        help="Set and remove labels of a node, which constraints see at once",
    ),
):
    node.add_command(command)
