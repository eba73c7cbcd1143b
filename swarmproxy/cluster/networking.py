"""What is done with networks: looked at and pruned on several nodes, joined on the container's."""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from swarmproxy.cluster.asking import ask, ask_and_check
from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.fanout import on_all
from swarmproxy.cluster.networks import HeldNetwork
from swarmproxy.cluster.participants import taking_part
from swarmproxy.cluster.prune import Kind, ask_prune, summed_up
from swarmproxy.cluster.references import engines_that_join
from swarmproxy.cluster.settled import reread
from swarmproxy.cluster.swarms import managers
from swarmproxy.engine.engine import Engine, State
from swarmproxy.errors import EngineUnreachable, Forbidden, NotFound, SwarmError
from swarmproxy.model.apiversion import Version
from swarmproxy.model.names import few_of
from swarmproxy.model.network import PREDEFINED
from swarmproxy.model.network_listing import NetworkQuery, Shown, endpoints_of
from swarmproxy.model.network_spec import EndpointSpec, with_members
from swarmproxy.model.versions import Case
from swarmproxy.wire.fetch import Answer

log = logging.getLogger("swarmproxy.cluster")

INSPECT_TIMEOUT_S = 15.0
SETTLING_S = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)  # for what is left of containers in a swarm's network
NETWORKS = Kind(path="/networks/prune", removed="NetworksDeleted", objects="networks")

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_containers = msgspec.json.Decoder(dict[str, msgspec.Raw] | None)


def shown(cluster: Cluster, query: NetworkQuery) -> list[HeldNetwork]:
    """Return the networks that `query` shows, in the order of their IDs."""
    used = _used(cluster) if query.needs_use else frozenset()
    index = cluster.networks
    found: Iterable[HeldNetwork] = index
    if query.label is not None:  # how compose looks for its own
        found = index.labelled(*query.label)
    elif query.names is not None and not query.with_nodes:  # nodes have many networks of few names
        found = [held for name in index.names() if query.names(name) for held in index.named(name)]
    kept = [
        held
        for held in found
        if query.shows(
            Shown(
                held.network,
                [(engine.name, engine.id) for engine in held.engines] if query.needs_nodes else (),
                held.network.id in used,
            )
        )
    ]
    return sorted(kept, key=lambda held: held.network.id)


def _used(cluster: Cluster) -> frozenset[str]:
    """Return the IDs of the networks that containers which run are in."""
    return frozenset(
        network_id
        for each in cluster.index.by_id.values()
        if each.container.is_running
        for network_id in each.container.networks.values()
    )


def attached(held: HeldNetwork) -> dict[str, dict[str, str]]:
    """Return the containers that run in a network, by ID, as they are known and as an inspect has them."""
    return {
        container.id: endpoint
        for engine in held.engines
        for container in engine.containers.values()
        if container.is_running and held.network.id in container.networks.values()
        for endpoint in endpoints_of(container, held.network.id)
    }


async def inspect(
    cluster: Cluster, name: str, query: str, version: Version, *, scope: str = ""
) -> tuple[list[HeldNetwork], bytes]:
    """Return the networks that `name` means, and what an engine says now of the first with the containers of all.

    They are one, or those that every engine has of its own: `bridge` is what one daemon would say, of one node, and
    holds the containers of all. `query` is passed on; `scope` leaves out networks of others. Raises as
    `NetworkIndex.find`, EngineError, EngineUnreachable, SwarmError if no engine that has it answers.
    """
    found = _meant(cluster, name, scope)
    ids = {engine: held.network.id for held in found for engine in held.healthy}
    if not ids:
        answering(found[0], name)
    is_local = found[0].network.is_local
    first = next(iter(() if is_local else managers(list(ids))), next(iter(ids)))
    attached = [
        engine
        for engine, network_id in ids.items()
        if engine is not first and any(network_id in each.networks.values() for each in engine.containers.values())
    ]

    async def look(engine: Engine) -> bytes:
        return await ask_and_check(engine, version, "GET", f"/networks/{ids[engine]}{query}")

    outcome = await on_all([first, *attached], look, timeout_s=INSPECT_TIMEOUT_S)
    bodies = dict(outcome.done)
    if first not in bodies:
        raise next(error for engine, error in outcome.failed if engine is first)
    body = bodies.pop(first)
    found.sort(key=lambda held: first not in held.engines)
    return found, with_containers(body, list(bodies.values())) if bodies or not is_local else body


def with_containers(body: bytes, others: Sequence[bytes]) -> bytes:
    """Return the inspect answer of a network of several nodes, with the containers that other engines name besides.

    Each engine's own balancer is left out (`lb-NETWORK`, the same key everywhere): it stays a moment longer than the
    last container, and compose took it for one and kept the network.
    """
    members = _members.decode(body)
    merged: dict[str, msgspec.Raw] = {}
    for each in (members, *map(_members.decode, others)):
        for container_id, endpoint in (_containers.decode(each.get("Containers", b"null")) or {}).items():
            if not container_id.startswith("lb-"):
                merged.setdefault(container_id, endpoint)
    members["Containers"] = msgspec.Raw(msgspec.json.encode(merged))
    return msgspec.json.encode(members)


def _meant(cluster: Cluster, name: str, scope: str) -> list[HeldNetwork]:
    found, by = cluster.networks.candidates(name)
    if scope:
        found = [each for each in found if each.network.scope == scope]
        if not found:
            raise NotFound(f"network {name} not found")
    if len(found) == 1:
        return found
    if by == "name" and all(each.network.is_predefined for each in found):
        return sorted(found, key=lambda each: each.engines[0].name)
    return [cluster.networks.find(name)]


def answering(held: HeldNetwork, name: str) -> list[Engine]:
    """Return the engines of a network that answer. Raises SwarmError if none does."""
    if not held.healthy:
        nodes = ", ".join(sorted(engine.name for engine in held.engines))
        raise SwarmError(f"network {name} is on a node that does not answer: {nodes}")
    return held.healthy


async def remove(cluster: Cluster, name: str, version: Version) -> Answer:
    """Remove a network on an engine that has it and may do so, and return what that says.

    Another one is asked if it cannot be reached. Raises as `inspect`, and Forbidden for the networks that every
    engine has.
    """
    found, by = cluster.networks.candidates(name)
    if len(found) > 1 and by == "name" and name in PREDEFINED:
        raise Forbidden(f"{name} is a pre-defined network and cannot be removed")
    held = cluster.networks.find(name)
    engines = answering(held, name)
    if held.network.scope == "swarm":  # any manager will do, listed with the network or not yet
        engines = [each for each in managers(cluster.swarms.mates(engines)) if each.state is State.HEALTHY] or engines
    path = f"/networks/{held.network.id}"
    answer = await _ask_until_reached(engines, version, "DELETE", path)
    if held.network.scope == "swarm":
        # a manager hears of a container's end later than who ended it
        for wait_s in SETTLING_S:
            if answer.status < 400 or answer.status >= 500 or _is_joined(cluster, held):
                break
            await asyncio.sleep(wait_s)
            answer = await _ask_until_reached(engines, version, "DELETE", path)
    if answer.status in (204, 404):
        cluster.networks.forget(held)
    await reread(engines[0], "networks")
    return answer


def _is_joined(cluster: Cluster, held: HeldNetwork) -> bool:
    """Return whether a container that we know, in whatever state, is in a network."""
    return any(held.network.id in each.container.networks.values() for each in cluster.index.by_id.values())


async def _ask_until_reached(engines: Sequence[Engine], version: Version, method: str, path: str) -> Answer:
    for engine in engines[:-1]:
        try:
            return await ask(engine, version, method, path)
        except EngineUnreachable as error:
            log.warning("another node is asked", extra={"engine": engine.name, "error": str(error)})
    return await ask(engines[-1], version, method, path)


async def connect(cluster: Cluster, name: str, body: bytes, version: Version) -> Answer:
    """Connect a container to a network, on the container's node, and return what its engine says.

    Raises NotFound, BadRequest, Forbidden if the network is on other nodes only, EngineUnreachable.
    """
    wanted = EndpointSpec.parse(body)
    located = cluster.find_on_healthy(wanted.container)
    engine = located.engine
    found, _ = cluster.networks.candidates(name)
    if not found:
        raise NotFound(f"network {name} not found")
    near = [held for held in found if engine in engines_that_join(cluster, held)]
    if not near:
        titles = few_of(held.title for held in found)
        raise Forbidden(
            f"container {wanted.container} is on node {engine.name}, where network {name} is not: it would be {titles}"
        )
    held = near[0] if len(near) == 1 else cluster.networks.find(name)
    # a worker of a swarm finds a network that it has not seen yet by its name only
    own = held.network.id if held.network.id in engine.networks else held.network.name
    sent = with_members(body, Container=located.container.id)
    answer = await ask(engine, version, "POST", f"/networks/{quote(own, safe='')}/connect", body=sent)
    await _after_change(engine, located.container.id, answer, held)
    return answer


async def disconnect(cluster: Cluster, name: str, body: bytes, version: Version) -> Answer:
    """Disconnect a container from a network, on the container's node, and return what its engine says.

    By force, what is left of a container in a network of several nodes is taken out by any node that has the
    network. Raises as `connect`.
    """
    wanted = EndpointSpec.parse(body)
    found, _ = cluster.networks.candidates(name)
    if not found:
        raise NotFound(f"network {name} not found")
    try:
        located = cluster.find(wanted.container)
    except NotFound:
        if not wanted.force:
            raise
        held = cluster.networks.find(name)
        path = f"/networks/{held.network.id}/disconnect"
        return await ask(answering(held, name)[0], version, "POST", path, body=body)
    engine, sent = located.engine, with_members(body, Container=located.container.id)
    near = [held for held in found if engine in held.engines]
    held = near[0] if len(near) == 1 else cluster.networks.find(name)
    if engine.state is not State.HEALTHY and wanted.force and not held.network.is_local and held.healthy:
        # others do not know the container by its ID: there the name stands for what it left
        engine, sent = held.healthy[0], with_members(body, Container=located.container.name)
    else:
        engine = cluster.find_on_healthy(wanted.container).engine
    path = f"/networks/{held.network.id}/disconnect"
    answer = await ask(engine, version, "POST", path, body=sent)
    await _after_change(engine, located.container.id, answer, held)
    return answer


async def _after_change(engine: Engine, container_id: str, answer: Answer, held: HeldNetwork) -> None:
    """Read what has changed before the client hears of it."""
    if answer.status >= 400:
        return
    try:
        if container_id in engine.containers:
            await engine.refresh_container(container_id)
        if not held.network.is_local:
            await engine.refresh_networks()
    except SwarmError as error:
        log.warning("state not read after a change", extra={"engine": engine.name, "error": str(error)})


async def prune(
    cluster: Cluster, parameters: Mapping[str, str], version: Version, *, nodes: Sequence[str] = (), with_node: bool
) -> list[str]:
    """Remove unused networks on all healthy engines, or on `nodes`; return their names.

    Local ones are called `node/name` if `with_node`. Raises as `summed_up` and `taking_part`.
    """

    async def work(engine: Engine) -> dict[str, Any]:
        shared = {each.name: each.id for each in engine.networks.values() if not each.is_local}
        answer = await ask_prune(engine, NETWORKS, Case(members=dict(parameters)), version)
        names = answer.get(NETWORKS.removed) or []
        for held in [held for name in names if name in shared for held in cluster.networks.with_prefix(shared[name])]:
            cluster.networks.forget(held)
        if names:
            await reread(engine, "networks")
        titles = [f"{engine.name}/{name}" if with_node and name not in shared else name for name in names]
        return {NETWORKS.removed: titles}

    pruned = await summed_up(taking_part(cluster, nodes), NETWORKS, work)
    return list(pruned[NETWORKS.removed])
