"""How each client wants to read the names of containers."""

from __future__ import annotations

import enum
import re
from typing import TYPE_CHECKING

import msgspec

from swarmproxy.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from swarmproxy.model.container import Container


class NameStyle(enum.Enum):
    """Which names a container has in a listing."""

    NODE = "node"  # /node/name: classic's way to show where a container runs
    BOTH = "both"  # /name and then /node/name
    PLAIN = "plain"  # /name, as one daemon would say


_CLI = re.compile(r"Docker-Client/(\d+)\.(\d+)[^ ]* ", re.ASCII)
_CLI_SKIPS_SLASHES = (29, 4)
_NAMED_AT_MOST = 5

# The first product of a user agent that is not the docker CLI, and what it can read:
_STYLE_OF_PRODUCT = {
    "compose": NameStyle.BOTH,  # v2: takes the first name with no slash but the leading one
    "docker-compose": NameStyle.BOTH,  # v1: takes the last part of the name with the fewest slashes
    "docker-sdk-python": NameStyle.BOTH,  # its users mostly read the first
}


def style_for(user_agent: str, option: str = "auto") -> NameStyle:
    """Return how to name containers to the client with this `user_agent`.

    `option` is the operator's `swarm.names`: auto, or one style for all. A docker CLI prints `node/name` up
    to 29.3; later ones skip every name with a slash, as do clients that we do not know, so these get both.
    Raises ConfigError on another option.
    """
    if option != "auto":
        try:
            return NameStyle(option)
        except ValueError:
            raise ConfigError(f"swarm.names must be auto, node, both or plain, not {option!r}") from None
    if cli := _CLI.match(f"{user_agent} "):
        version = (int(cli[1]), int(cli[2]))
        return NameStyle.BOTH if version >= _CLI_SKIPS_SLASHES else NameStyle.NODE
    return _STYLE_OF_PRODUCT.get(user_agent.partition("/")[0], NameStyle.BOTH)


def is_docker_cli(user_agent: str) -> bool:
    """Return whether a person reads what this client prints, in columns that have no place for a node."""
    return user_agent.startswith("Docker-Client/")


def shows_node(user_agent: str, option: str = "auto") -> bool:
    """Return whether lists call a network or volume of one node `node/name` to the client with this `user_agent`.

    It has one name only. The docker CLI prints it, as classic did; programs compare it with the name they know, and
    find the node elsewhere.
    """
    if option != "auto":
        return option != NameStyle.PLAIN.value
    return is_docker_cli(user_agent)


def few_of(names: Iterable[str]) -> str:
    """Return `names` as a message lists them, in order: the first few, however many nodes there are."""
    ordered = sorted(names)
    return ", ".join(ordered[:_NAMED_AT_MOST]) + (", …" if len(ordered) > _NAMED_AT_MOST else "")


def names_json(container: Container, node_name: str, style: NameStyle) -> bytes:
    """Return the JSON list of the container's names in `style`.

    The container's own name comes first, then what links call it (`/other/alias`).
    """
    own = f"/{container.name}"
    links = [name for name in container.names if name != own]
    return msgspec.json.encode(styled([own, *links] if container.name else links, node_name, style))


def styled(names: Sequence[str], node_name: str, style: NameStyle) -> list[str]:
    """Return the names of a container, which begin with a slash, in `style`.

    Under BOTH a link's name is given once and without the node: with the node it would look like a name of its own on
    no node there is.
    """
    match style:
        case NameStyle.PLAIN:
            return list(names)
        case NameStyle.NODE:
            return [f"/{node_name}{name}" for name in names]
        case NameStyle.BOTH:
            return [
                each for name in names for each in ((name, f"/{node_name}{name}") if name.count("/") == 1 else (name,))
            ]
