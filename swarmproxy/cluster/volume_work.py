"""What is done with volumes that there are: shown, inspected, removed and pruned, wherever they are."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from swarmproxy.cluster.asking import ask, ask_and_check, refusal
from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.failures import combined
from swarmproxy.cluster.fanout import on_all
from swarmproxy.cluster.participants import taking_part
from swarmproxy.cluster.prune import Kind, adapted, ask_prune, summed_up
from swarmproxy.cluster.settled import reread
from swarmproxy.cluster.volumes import HeldVolume, ambiguous
from swarmproxy.engine.engine import Engine, State
from swarmproxy.errors import EngineUnreachable, NotFound, ProtocolViolation, Unavailable
from swarmproxy.model.apiversion import Version
from swarmproxy.model.filters import Filters, labels_match, parse_filters, parse_labels
from swarmproxy.model.members import NOT_JSON
from swarmproxy.model.versions import ANONYMOUS_VOLUME, Subject
from swarmproxy.model.volume import Volume, alike, list_from_engine
from swarmproxy.model.volume_listing import Shown, VolumeQuery

REMOVE_TIMEOUT_S = 60.0
PRUNED = Kind(path="/volumes/prune", removed="VolumesDeleted", objects="volumes", subject=Subject.VOLUMES_PRUNE)

_members = msgspec.json.Decoder(dict[str, Any])


def shown(cluster: Cluster, query: VolumeQuery) -> Iterator[HeldVolume]:
    """Yield the volumes that `query` shows, by name and then by node."""
    used = _used(cluster) if query.needs_use else frozenset()
    for held in cluster.volumes.called(query.may_name):
        nodes = [(engine.name, engine.id) for engine in held.engines]
        is_used = any((engine, held.volume.name) in used for engine in held.engines)
        if query.shows(Shown(held.volume, nodes, is_used)):
            yield held


def _used(cluster: Cluster) -> frozenset[tuple[Engine, str]]:
    """Return what the containers of each engine mount, in every state: also paths, which no volume is called like."""
    return frozenset(
        (engine, source)
        for engine in cluster.engines()
        for container in engine.containers.values()
        for source, _ in container.mounts
    )


async def inspect(cluster: Cluster, name: str, version: Version) -> tuple[list[Engine], dict[str, Any]]:
    """Return what an engine says now of the volume that a client calls `name`, and all that have it, that engine first.

    It bears the name that it was asked for by. Of volumes that several nodes have under one name, as a create makes
    them, that of the first node is told; those that differ in driver, options or labels are not one volume to
    anybody. Raises NotFound, Conflict, Unavailable if no node that has it answers.
    """
    held = one_or_alike(cluster, name)
    engines = [engine for each in held for engine in each.healthy]
    if not engines:
        nodes = ", ".join(f"{engine.title}, which is {engine.state.value}" for engine in held[0].engines)
        raise Unavailable(f"volume {name} is on {nodes}")
    path = f"/volumes/{quote(held[0].volume.name, safe='')}"
    body = await ask_and_check(engines[0], version, "GET", path)
    try:
        others = [engine for each in held for engine in each.engines if engine is not engines[0]]
        return [engines[0], *others], _members.decode(body) | {"Name": name}
    except NOT_JSON as error:
        raise ProtocolViolation(f"the engine describes a volume in a way that cannot be read: {error}") from error


def one_or_alike(cluster: Cluster, name: str) -> list[HeldVolume]:
    """Return the volumes that `name` means: one, or those that a create made on several nodes.

    Raises NotFound, Conflict.
    """
    found = cluster.volumes.candidates(name)
    if not found:
        raise NotFound(f"get {name}: no such volume")
    if len(found) > 1 and not alike([each.volume for each in found]):
        raise ambiguous(name, found)
    return found


async def remove(cluster: Cluster, name: str, version: Version, *, force: bool) -> None:
    """Remove the volume that a client calls `name`: under its plain name on all nodes that have it.

    When this returns the state is that after the removal. Raises NotFound unless by force, Conflict, and what the
    engines refuse, each named.
    """
    try:
        found = one_or_alike(cluster, name)
    except NotFound:
        if force:
            return
        raise
    engines: list[Engine] = []
    for each in found:  # one that all nodes share is removed once
        engines += each.engines if each.volume.is_local else (each.healthy or each.engines)[:1]
    lost = [engine for engine in engines if engine.state is not State.HEALTHY]
    path = f"/volumes/{quote(found[0].volume.name, safe='')}{'?force=1' if force else ''}"

    async def remove_on(engine: Engine) -> bool:
        answer = await ask(engine, version, "DELETE", path, timeout_s=REMOVE_TIMEOUT_S)
        await reread(engine, "volumes")
        if answer.status >= 400 and answer.status != 404:
            raise refusal(answer, path)
        return answer.status != 404

    outcome = await on_all([engine for engine in engines if engine not in lost], remove_on, timeout_s=REMOVE_TIMEOUT_S)
    failures = [(engine.title, error) for engine, error in outcome.failed]
    failures += [
        (engine.title, EngineUnreachable(f"the node is {engine.state.value}, and the volume still there"))
        for engine in lost
    ]
    if failures:
        raise combined(failures, asked=len(engines))
    for each in found:
        if not each.volume.is_local:
            await on_all(each.healthy, lambda engine: reread(engine, "volumes"), timeout_s=REMOVE_TIMEOUT_S)
    if not any(gone for _, gone in outcome.done):
        raise NotFound(f"get {name}: no such volume")


async def prune(
    cluster: Cluster, parameters: Mapping[str, str], version: Version, *, nodes: Sequence[str], with_node: bool
) -> dict[str, Any]:
    """Remove unused volumes on all healthy engines, or on `nodes`; return the sum of what they did.

    Volumes are called `node/name` if `with_node`. Whether those with names of their own go too is what the client's
    API version says. Raises as `summed_up` and `taking_part`.
    """

    async def work(engine: Engine) -> dict[str, Any]:
        before = engine.volumes
        case = adapted(engine, PRUNED, parameters, version)
        if case.only_anonymous:
            answer = await _prune_anonymous(engine, parse_filters(case.members.get("filters", "")), version)
        else:
            answer = await ask_prune(engine, PRUNED, case, version)
        names: list[str] = answer.get(PRUNED.removed) or []
        await reread(engine, "volumes")
        shared = {name for name, volume in before.items() if not volume.is_local}
        titles = [f"{engine.name}/{name}" if with_node and name not in shared else name for name in names]
        return answer | {PRUNED.removed: titles}

    return await summed_up(taking_part(cluster, nodes), PRUNED, work)


async def _prune_anonymous(engine: Engine, filters: Filters, version: Version) -> dict[str, Any]:
    """Do by single removals what an engine's own prune cannot: spare the volumes that somebody gave a name.

    Their sizes are not known.
    """
    query = urlencode({"filters": '{"dangling":["true"]}'})
    unused = list_from_engine(await ask_and_check(engine, version, "GET", f"/volumes?{query}"))
    removed = []
    for volume in unused:
        if ANONYMOUS_VOLUME.fullmatch(volume.name) is None or not _wanted(volume, filters):
            continue
        answer = await ask(engine, version, "DELETE", f"/volumes/{volume.name}", timeout_s=REMOVE_TIMEOUT_S)
        if answer.status < 400:
            removed.append(volume.name)
        elif answer.status not in (404, 409):  # somebody else was faster
            raise refusal(answer, "/volumes")
    return {PRUNED.removed: removed, "SpaceReclaimed": 0}


def _wanted(volume: Volume, filters: Filters) -> bool:
    """Return whether the filters `label` and `label!` let a volume be pruned."""
    unwanted = parse_labels(filters.get("label!", ()))
    return labels_match(volume.labels, parse_labels(filters.get("label", ()))) and not any(
        labels_match(volume.labels, [each]) for each in unwanted
    )
