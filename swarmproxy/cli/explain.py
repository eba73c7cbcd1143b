"""`swarmproxy explain`: where a container would go, and why not elsewhere."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from swarmproxy.cli.client import API, ManagerCommand
from swarmproxy.cli.options import text
from swarmproxy.cli.runflags import RunFlags, create_body, options
from swarmproxy.cli.table import table
from swarmproxy.errors import ConfigError
from swarmproxy.model.members import NOT_JSON

if TYPE_CHECKING:
    from swarmproxy.cli.manager_client import ManagerClient

NOT_PLACED = 1


def _explain(
    client: "ManagerClient", *, args: tuple[str, ...], name: str, platform: str, file: str, **flags: Any
) -> int:
    """Ask the manager and print what it says; exit with 1 if no node will do."""
    query = {key: value for key, value in {"name": name, "platform": platform}.items() if value}
    body = _body(args, file, RunFlags(**flags))
    answer = client.ask("POST", f"{API}/containers/create", query={"dry-run": "1", **query}, body=body)
    click.echo(_as_text(answer), nl=False)
    return 0 if answer["Node"] else NOT_PLACED


def _body(args: Sequence[str], file: str, flags: RunFlags) -> object:
    if not file:
        if len(args) != 1:
            raise ConfigError("explain takes one image, and all flags before or behind it: explain [OPTIONS] IMAGE")
        return create_body(args[0], flags)
    if args or flags.given:
        raise ConfigError(f"--file says all of the container, {' '.join([*args, *flags.given])} cannot be added to it")
    try:
        body = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        msgspec.json.decode(body)
    except OSError as error:
        raise ConfigError(f"--file: {file} cannot be read: {error.strerror}") from error
    except NOT_JSON as error:
        raise ConfigError(f"--file: {file} is no JSON: {error}") from error
    return msgspec.Raw(body)


def _as_text(answer: dict[str, Any]) -> str:
    if answer["Node"]:
        lines = [f"The container would go to {answer['Node']}.\n"]
    else:
        lines = [f"The container would be refused:\n{answer['Refusal']}\n"]
    if answer["GivenUp"]:
        lines.append(f"No node satisfies the soft {', '.join(answer['GivenUp'])}: given up.\n")
    if answer["Ranked"]:
        ranked = [[str(each[name]) for name in _RANKED] for each in answer["Ranked"]]
        lines += ["\n", table(["RANK", "NODE", "ADDRESS", "CONTAINERS", "WEIGHT"], ranked)]
    if answer["Refused"]:
        refused = [[each[name] for name in _REFUSED] for each in answer["Refused"]]
        lines += ["\n", table(["NODE", "ADDRESS", "REFUSED BY", "REASON"], refused)]
    return "".join(lines)


_RANKED = ("Rank", "Node", "Address", "Containers", "Weight")
_REFUSED = ("Node", "Address", "Filter", "Reason")


explain = ManagerCommand(
    "explain",
    callback=_explain,
    params=[
        text("--name", help="name of the container"),
        text("--platform", help="platform of the image, such as linux/arm64"),
        text("--file", help="JSON body of a create in place of image and flags, - for stdin"),
        *options(),
    ],
    help="Show where a container would go, and why not elsewhere",
    operands="IMAGE",
)
