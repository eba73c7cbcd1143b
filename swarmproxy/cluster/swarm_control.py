"""What we ask of swarms on our own account.

Of managers: the nodes, the tokens, and what a node is to be. Of members: what they are now, and to unlock.
"""

from collections.abc import Sequence
from typing import TypeVar
from urllib.parse import quote

import msgspec

from swarmproxy.cluster.asking import refusal
from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.fanout import on_all
from swarmproxy.cluster.swarms import NO_MANAGER, Swarms
from swarmproxy.engine.engine import Engine
from swarmproxy.errors import Conflict, EngineError, NoSwarm, ProtocolViolation
from swarmproxy.model.apiversion import Version
from swarmproxy.model.members import NOT_JSON
from swarmproxy.model.swarm import Reserved, reservations
from swarmproxy.model.swarm_node import JoinTokens, SwarmNode, SwarmTokens, UnlockKey
from swarmproxy.wire.fetch import Answer

T = TypeVar("T")

VERSION: Version = (1, 41)
GONE = 404
READ_S = 60.0
UNLOCK_S = 60.0


async def list_nodes(swarms: Swarms) -> list[SwarmNode]:
    """Return all nodes of the swarm, members of ours or not. Raises as `Swarms.ask_manager`, and EngineError."""
    return _decoded(await _ask(swarms, "GET", "/nodes"), list[SwarmNode])


async def list_reservations(swarms: Swarms) -> dict[str, Reserved]:
    """Return what the tasks of each service reserve, by its ID. Raises as `list_nodes`."""
    return reservations((await _ask(swarms, "GET", "/services")).body)


async def find_node(swarms: Swarms, node_id: str) -> SwarmNode | None:
    """Return one node of the swarm; None if it has none of this ID. Raises as `list_nodes`."""
    try:
        return _decoded(await _ask(swarms, "GET", f"/nodes/{quote(node_id, safe='')}"), SwarmNode)
    except EngineError as error:
        if error.status == GONE:
            return None
        raise


async def read_tokens(swarms: Swarms) -> JoinTokens:
    """Return what lets engines join now: read each time, since operators rotate them. Raises as `list_nodes`."""
    return _decoded(await _ask(swarms, "GET", "/swarm"), SwarmTokens).tokens


async def read_unlock_key(swarms: Swarms) -> str:
    """Return what unlocks managers of the swarm; empty if it does not lock them. Raises as `list_nodes`."""
    return _decoded(await _ask(swarms, "GET", "/swarm/unlockkey"), UnlockKey).key


async def change_node(swarms: Swarms, node: SwarmNode, **changes: str) -> None:
    """Change `Role` or `Availability` of `node`. Raises as `list_nodes`, also if somebody changed it meanwhile."""
    body = msgspec.json.encode({**node.spec, **changes})
    await _ask(swarms, "POST", f"/nodes/{quote(node.id, safe='')}/update?version={node.version.index}", body)


async def remove_node(swarms: Swarms, node_id: str) -> None:
    """Take a node that has left off the swarm's list. Raises as `list_nodes`."""
    try:
        await _ask(swarms, "DELETE", f"/nodes/{quote(node_id, safe='')}?force=1")
    except EngineError as error:
        if error.status != GONE:
            raise


async def unlock(cluster: Cluster, body: bytes) -> None:
    """Give the key in `body` to every member that is locked.

    Raises NoSwarm or Conflict if none is, and the failure if one does not take it.
    """
    locked = cluster.swarms.locked()
    if not locked:
        raise Conflict("swarm is not locked") if cluster.swarms.all() else NoSwarm(NO_MANAGER)
    outcome = await on_all(locked, lambda engine: engine.client.unlock_swarm(body), timeout_s=UNLOCK_S)
    await read_anew(locked)
    if outcome.error is not None:
        raise outcome.error


async def read_anew(engines: Sequence[Engine]) -> None:
    """Have `engines` say again what they are; one that does not is its health's business."""
    await on_all(engines, lambda engine: engine.refresh_specs(), timeout_s=READ_S)


async def _ask(swarms: Swarms, method: str, path: str, body: bytes = b"") -> Answer:
    answer = await swarms.ask_manager(VERSION, method, path, body=body)
    if answer.status >= 400:
        raise refusal(answer, path.partition("?")[0])
    return answer


def _decoded(answer: Answer, type_: type[T]) -> T:
    try:
        return msgspec.json.decode(answer.body, type=type_)
    except NOT_JSON as error:
        # The reason only: a swarm's tokens must not get into a message.
        raise ProtocolViolation(f"a manager of the swarm answers with something unreadable: {error}") from error
