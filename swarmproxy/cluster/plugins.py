"""Plugins of the engines' own: each belongs to one node, so whoever changes one says where.

A plugin is called `node/name`, as clients list it. Its plain name will do where one node only has it.
"""

from dataclasses import dataclass
from urllib.parse import quote

import msgspec

from swarmproxy.cluster.asking import ask, ask_and_check, refusal
from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.fanout import on_all
from swarmproxy.cluster.participants import taking_part
from swarmproxy.engine.engine import Engine
from swarmproxy.errors import BadRequest, EngineError, NotFound, ProtocolViolation
from swarmproxy.model.apiversion import Version
from swarmproxy.model.image import familiar
from swarmproxy.model.members import NOT_JSON

TIMEOUT_S = 30.0
DEFAULT_REGISTRY = "docker.io/"  # a CLI writes it in front of a name that it takes for a path of the registry

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_items = msgspec.json.Decoder(list[dict[str, msgspec.Raw]] | None)


@dataclass(frozen=True, slots=True)
class Place:
    """A plugin's engine, and what that calls it."""

    engine: Engine
    name: str


def split(cluster: Cluster, name: str) -> tuple[str, str]:
    """Return node and plugin of `node/plugin`; no node if none is called so. Ours go before the registry's."""
    bare = name.removeprefix(DEFAULT_REGISTRY)
    node, slash, plugin = bare.partition("/")
    if slash and plugin and any(node == engine.name for engine in cluster.engines()):
        return node, plugin
    return "", name


async def find(cluster: Cluster, name: str, version: Version) -> Place:
    """Return where the plugin `name` is installed.

    Raises NotFound, BadRequest if several nodes have it and none is named, Unavailable.
    """
    node, plugin = split(cluster, name)
    if node:
        return Place(on_node(cluster, node), plugin)
    engines = taking_part(cluster)
    if len(engines) == len(cluster.engines()) == 1:
        return Place(engines[0], plugin)

    async def has(engine: Engine) -> bool:
        path = f"/plugins/{quote(plugin, safe='/:@')}/json"
        answer = await ask(engine, version, "GET", path, timeout_s=TIMEOUT_S)
        if answer.status not in (200, 404):
            raise refusal(answer, path)
        return answer.status == 200

    outcome = await on_all(engines, has, timeout_s=TIMEOUT_S)
    holders = [engine for engine, there in outcome.done if there]
    if len(holders) == 1:
        return Place(holders[0], plugin)
    if holders:
        candidates = ", ".join(sorted(f"{engine.name}/{plugin}" for engine in holders))
        raise BadRequest(f"plugin {plugin} is on several nodes: name one of {candidates}")
    if outcome.error is not None:
        raise outcome.error
    raise NotFound(f'plugin "{plugin}" not found')


def place_of_new(cluster: Cluster, *names: str, node: str = "") -> Engine:
    """Return the engine that is to get a plugin: the one that is named, by `node` or in one of `names`.

    Raises BadRequest with what to do if none is and there are several, NotFound, Unavailable.
    """
    asked = node or next((found for name in names if (found := split(cluster, name)[0])), "")
    if asked:
        return on_node(cluster, asked)
    engines = cluster.engines()
    if len(engines) > 1:
        raise BadRequest(
            "a plugin is installed on one node: say on which with `--alias NODE/NAME`, or NODE/ in front of its name "
            f"(nodes: {', '.join(sorted(engine.name for engine in engines if engine.name))})"
        )
    return taking_part(cluster)[0]


def on_node(cluster: Cluster, node: str) -> Engine:
    """Return the healthy engine called `node`. Raises NotFound, Unavailable."""
    [engine] = taking_part(cluster, [node])
    return engine


async def list_all(cluster: Cluster, query: str, version: Version, *, nodes: tuple[str, ...] = ()) -> list[msgspec.Raw]:
    """Return the plugins of all healthy engines, or of `nodes`, as `node/name`; `query` is passed on.

    An engine that does not answer is left out unless none does.
    """
    engines = taking_part(cluster, nodes)

    async def of_one(engine: Engine) -> list[msgspec.Raw]:
        body = await ask_and_check(engine, version, "GET", f"/plugins{query}", timeout_s=TIMEOUT_S)
        try:
            return [_renamed(each, f"{engine.name}/") for each in _items.decode(body) or ()]
        except NOT_JSON as error:
            raise ProtocolViolation(f"the engine lists its plugins in a way that cannot be read: {error}") from error

    outcome = await on_all(engines, of_one, timeout_s=TIMEOUT_S)
    refused = any(isinstance(error, EngineError) for _, error in outcome.failed)
    if outcome.error is not None and (refused or not outcome.done):
        raise outcome.error
    return [item for _, items in outcome.done for item in items]


async def inspect(cluster: Cluster, name: str, version: Version) -> msgspec.Raw:
    """Return what the plugin's engine says of it, as `node/name` unless it was asked for by its name alone.

    Raises as `find`.
    """
    place = await find(cluster, name, version)
    path = f"/plugins/{quote(place.name, safe='/:@')}/json"
    body = await ask_and_check(place.engine, version, "GET", path, timeout_s=TIMEOUT_S)
    try:
        members = _members.decode(body)
        own_name = msgspec.json.decode(members["Name"], type=str) if "Name" in members else ""
        by_its_name = familiar(name) in (own_name, own_name.removesuffix(":latest"))
        return _renamed(members, "" if by_its_name else f"{place.engine.name}/")
    except NOT_JSON as error:
        raise ProtocolViolation(f"the engine describes its plugin in a way that cannot be read: {error}") from error


def _renamed(members: dict[str, msgspec.Raw], prefix: str) -> msgspec.Raw:
    """Return a plugin with `prefix` before its name."""
    if prefix and "Name" in members:
        name = msgspec.json.decode(members["Name"], type=str)
        members["Name"] = msgspec.Raw(msgspec.json.encode(prefix + name))
    return msgspec.Raw(msgspec.json.encode(members))
