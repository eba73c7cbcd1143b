"""What nobody uses, removed on all nodes: each says what it removed, and the sum is told."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import msgspec

from swarmproxy.cluster.asking import ask_and_check, version_for
from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.fanout import on_all
from swarmproxy.cluster.participants import taking_part
from swarmproxy.cluster.settled import reread
from swarmproxy.engine.engine import Engine
from swarmproxy.errors import EngineError, SwarmError
from swarmproxy.model.apiversion import Version
from swarmproxy.model.filters import parse_filters
from swarmproxy.model.members import NOT_JSON
from swarmproxy.model.versions import Case, Subject, adapt_query

TIMEOUT_S = 600.0
FILTERS = "filters"

Removed = list[Any] | None
Work = Callable[[Engine], Awaitable[dict[str, Any]]]
_decoder = msgspec.json.Decoder(dict[str, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One of the engine's prunes."""

    path: str
    removed: str  # the member of the answer that lists what is gone
    objects: str  # as a sentence names them
    subject: Subject | None = None  # of what changed between versions


CONTAINERS = Kind(path="/containers/prune", removed="ContainersDeleted", objects="containers")
IMAGES = Kind(path="/images/prune", removed="ImagesDeleted", objects="images")
BUILD_CACHE = Kind(path="/build/prune", removed="CachesDeleted", objects="cache records", subject=Subject.BUILD_PRUNE)


async def prune(
    cluster: Cluster, kind: Kind, parameters: Mapping[str, str], version: Version, *, nodes: Sequence[str] = ()
) -> dict[str, Any]:
    """Prune objects of `kind` on all healthy engines, or on `nodes`; return the sum of what they did.

    `parameters` are the query of a client that speaks `version`. When this returns the state is that after the
    prune. Raises as `summed_up` and `taking_part`.
    """

    async def work(engine: Engine) -> dict[str, Any]:
        answer = await ask_prune(engine, kind, adapted(engine, kind, parameters, version), version)
        if kind is CONTAINERS:
            for container_id in answer.get(kind.removed) or ():
                cluster.removed(engine, container_id)
        elif kind is IMAGES:
            await reread(engine, "images")
        return answer

    return await summed_up(taking_part(cluster, nodes), kind, work)


def adapted(engine: Engine, kind: Kind, parameters: Mapping[str, str], version: Version) -> Case:
    """Return the parameters as `engine` understands them. Raises BadRequest, EngineUnreachable."""
    if kind.subject is None:
        return Case(members=dict(parameters))
    return adapt_query(kind.subject, parameters, client=version, engine=version_for(engine, version))


async def ask_prune(engine: Engine, kind: Kind, case: Case, version: Version) -> dict[str, Any]:
    """Return what one engine answers. Raises EngineError, EngineUnreachable, SwarmError if it cannot be read."""
    parameters = {name: value for name, value in case.members.items() if name != FILTERS}
    if filters := parse_filters(case.members.get(FILTERS, "")):
        # in the form that engines of all versions read
        parameters[FILTERS] = msgspec.json.encode(
            {key: dict.fromkeys(values, True) for key, values in filters.items()}
        ).decode()
    path = f"{kind.path}?{urlencode(parameters)}" if parameters else kind.path
    body = await ask_and_check(engine, version, "POST", path, timeout_s=TIMEOUT_S)
    try:
        return _decoder.decode(body)
    except NOT_JSON as error:
        raise SwarmError(f"the answer cannot be read: {error}") from error


async def summed_up(engines: Sequence[Engine], kind: Kind, work: Work) -> dict[str, Any]:
    """Do `work` on `engines` and return the sum of their answers, which have the members of `kind`.

    Raises what the engines raised, each named, if any of them did not do it; and says then what the others removed.
    """
    outcome = await on_all(engines, work, timeout_s=TIMEOUT_S)
    removed: list[Any] = []
    reclaimed_bytes = 0
    for _, answer in outcome.done:
        removed += answer.get(kind.removed) or ()
        reclaimed_bytes += answer.get("SpaceReclaimed") or 0
    error = outcome.error
    if error is None:
        return {kind.removed: removed, "SpaceReclaimed": reclaimed_bytes}
    if not outcome.done:
        raise error
    text = f"{error}\n(the other nodes removed {len(removed)} {kind.objects})"
    raise EngineError(error.status, text) if isinstance(error, EngineError) else SwarmError(text)
