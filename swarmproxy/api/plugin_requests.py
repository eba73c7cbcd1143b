"""What a request about a plugin becomes on its way to the node that it names."""

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from swarmproxy.api.forwarded import Owner, Route
from swarmproxy.api.selection import NODE, NODE_HEADER, parameters_of
from swarmproxy.cluster import plugins
from swarmproxy.cluster.cluster import Cluster
from swarmproxy.engine.engine import Engine
from swarmproxy.model.apiversion import Version
from swarmproxy.model.image import familiar

# A client goes on with this name after an install, so it has to hold the node again.
_INSTALLED_AS = b"Docker-Plugin-Name"


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginRequest:
    """A request as it goes to `engine`. `headers` are for the client's answer."""

    engine: Engine
    path: str
    query: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


async def plugin_request(
    cluster: Cluster, scope: MutableMapping[str, Any], version: Version, route: Route, name: str
) -> PluginRequest:
    """Return where the request goes, and how it reads there: no engine hears of nodes.

    Raises BadRequest, with what to do, if it has to name a node and does not; NotFound, Unavailable.
    """
    parameters = parameters_of(scope["query_string"])
    node = next((value for key, value in parameters if key == NODE and value), "") or _header(scope)
    own = {key: value for key, value in parameters if key != NODE}
    remote, installed_as = own.get("remote", ""), own.get("name", "")
    for key in ("remote", "name"):
        if key in own:
            own[key] = plugins.split(cluster, own[key])[1]
    query = urlencode(own).encode("ascii")
    if route.owner is Owner.PLUGIN:
        place = await plugins.find(cluster, f"{node}/{name}" if node else name, version)
        path = f"/plugins/{quote(place.name, safe='/:@')}"
        return PluginRequest(engine=place.engine, path=f"{path}/{route.action}" if route.action else path, query=query)
    if route.action == "privileges":  # the registry says what a plugin wants: every node is told the same
        asked = node or plugins.split(cluster, remote)[0]
        engine = plugins.on_node(cluster, asked) if asked else cluster.any_healthy()
    else:
        engine = plugins.place_of_new(cluster, installed_as, remote, node=node)
    headers: tuple[tuple[bytes, bytes], ...] = ()
    if route.action == "pull":
        known_as = own.get("name") or familiar(own.get("remote", ""))
        headers = ((_INSTALLED_AS, f"{engine.name}/{known_as}".encode()),)
    return PluginRequest(engine=engine, path=f"/plugins/{route.action}", query=query, headers=headers)


def _header(scope: MutableMapping[str, Any]) -> str:
    wanted = NODE_HEADER.encode()
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == wanted), "")
