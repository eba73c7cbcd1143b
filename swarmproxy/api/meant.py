"""The objects of the cluster that a request means, as far as a policy looks at them."""

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from swarmproxy.cluster.asking import ask
from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.index import Located
from swarmproxy.errors import NotFound
from swarmproxy.model.apiversion import DEFAULT
from swarmproxy.model.volume import Volume
from swarmproxy.policy.decision import Thing
from swarmproxy.policy.needs import Use

_OF_SWARM = frozenset(("services", "tasks", "secrets", "configs"))


class _Exec(msgspec.Struct):
    ContainerID: str = ""


class _Options(msgspec.Struct):
    Options: dict[str, str] | None = None


_options = msgspec.json.Decoder(_Options)
_exec = msgspec.json.Decoder(_Exec)
_members = msgspec.json.Decoder(dict[str, Any])


async def things_meant(cluster: Cluster, uses: Iterable[Use]) -> dict[Use, Sequence[Thing]]:
    """Return what each of `uses` means; nothing for what is not there. What no swarm is there to have is left out.

    Raises SwarmError for a name that several objects have, and if an engine has to be asked and does not answer.
    """
    found: dict[Use, Sequence[Thing]] = {}
    uses = list(uses)
    if any(use.kind in ("networks", "volumes") for use in uses):
        await cluster.settled()
    for use in uses:
        if use.kind not in _OF_SWARM:
            found[use] = await _things(cluster, use)
        elif cluster.swarms.is_used:
            found[use] = await _of_swarm(cluster, use)
    return found


def container_meant(cluster: Cluster, name: str) -> Located | None:
    """Return the container that a client calls `name`, None if there is none. Raises as `Index.find`."""
    try:
        return cluster.find(name)
    except NotFound:
        return None


async def _things(cluster: Cluster, use: Use) -> Sequence[Thing]:
    match use.kind:
        case "containers":
            located = container_meant(cluster, use.name)
            return [_container(located)] if located is not None else []
        case "exec":
            return await _of_exec(cluster, use.name)
        case "networks":
            return [
                Thing(kind=use.kind, name=held.network.name, labels=held.network.labels, driver=held.network.driver)
                for held in cluster.networks.candidates(use.name)[0]
            ]
        case "volumes":
            candidates = cluster.volumes.candidates(use.name)
            return [_volume(held.volume) for held in candidates]
        case "images":
            await cluster.images_settled()
            try:
                held = cluster.images.holders(use.name)
            except NotFound:
                return []
            names = {name: None for each in held for name in (*each.image.tags, *each.image.digests)}
            return [Thing(kind=use.kind, name=use.name, names=tuple(names))]
    return []


def _container(located: Located) -> Thing:
    container = located.container
    return Thing(
        kind="containers",
        name=container.name,
        labels=container.labels,
        network_mode=container.network_mode,
        host_paths=tuple(source for source, _ in container.mounts if source.startswith("/")),
    )


def _volume(volume: Volume) -> Thing:
    options = _options.decode(b"{%b}" % volume.fields).Options or {}
    return Thing(kind="volumes", name=volume.name, labels=volume.labels, driver=volume.driver, options=options)


async def _of_exec(cluster: Cluster, exec_id: str) -> Sequence[Thing]:
    """Return the container of an exec instance: its engine knows."""
    try:
        engine = await cluster.execs.find(exec_id, cluster.healthy)
    except NotFound:
        return []
    answer = await ask(engine, DEFAULT, "GET", f"/exec/{quote(exec_id, safe='')}/json")
    if answer.status != 200:
        return []
    located = cluster.index.by_id.get(_exec.decode(answer.body).ContainerID)
    return [_container(located)] if located is not None else []


async def _of_swarm(cluster: Cluster, use: Use) -> Sequence[Thing]:
    """Return what a manager says of an object of swarm mode. A task is its service's."""
    answer = await cluster.swarms.ask_manager(DEFAULT, "GET", f"/{use.kind}/{quote(use.name, safe='')}")
    if answer.status != 200:
        return []
    members = _members.decode(answer.body)
    if use.kind == "tasks":
        service = await _of_swarm(cluster, Use("services", str(members.get("ServiceID") or ""), use.where))
        return [Thing(kind=use.kind, name=each.name, labels=each.labels) for each in service]
    spec = members.get("Spec") or {}
    return [Thing(kind=use.kind, name=spec.get("Name") or "", labels=spec.get("Labels") or {})]
