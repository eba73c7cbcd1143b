"""How a swarm of the nodes comes to be and ends: `docker swarm init`, `join`, `leave` and `unlock`.

Source of the words where there is no swarm: moby, daemon/cluster/errors.go.
"""

from fastapi import APIRouter, Request, Response

from swarmproxy.api.parts import parts_of
from swarmproxy.api.requests import body_bytes, cluster_of, flag, json_reply
from swarmproxy.cluster.forming import ALREADY, NO_SWARM, Forming
from swarmproxy.cluster.swarm_control import unlock
from swarmproxy.cluster.swarms import NO_MANAGER
from swarmproxy.errors import NoSwarm, NotSupported

router = APIRouter()

NOT_FORMED = (
    "swarmproxy makes no swarm of its nodes unless it is started with --cluster-opt swarm.mode=auto: do that, or run "
    "`docker swarm init` and `docker swarm join` on the engines themselves"
)
SWITCHED_OFF = "swarm mode is switched off: swarmproxy runs with --cluster-opt swarm.mode=off"
NOT_TAKEN_APART = (
    "swarmproxy takes no swarm apart unless it is started with --cluster-opt swarm.mode=auto: run `docker swarm leave` "
    "on the engines themselves"
)
NO_FOREIGN_SWARM = (
    "swarmproxy forms one swarm of its own nodes, by `docker swarm init`. To have them in another swarm, run "
    "`docker swarm join` on one of them with a token for managers: the others follow"
)
LIMIT = 1024 * 1024


@router.post("/swarm/init")
async def init(request: Request) -> Response:
    """Form a swarm of all nodes, and answer as its first manager."""
    return json_reply(await _forming(request).init(await body_bytes(request, limit=LIMIT)))


@router.post("/swarm/join")
async def join(request: Request) -> Response:
    """Refuse: the nodes are in a swarm of their own, or in none."""
    _forming(request)
    raise NoSwarm(ALREADY) if cluster_of(request).swarms.all() else NotSupported(NO_FOREIGN_SWARM)


@router.post("/swarm/leave")
async def leave(request: Request) -> Response:
    """Have all nodes leave their swarm."""
    forming = parts_of(request).forming
    if forming is None:
        used = parts_of(request).settings.swarm_mode != "off" and cluster_of(request).swarms.all()
        raise NotSupported(NOT_TAKEN_APART) if used else NoSwarm(NO_SWARM)
    await forming.leave(force=flag(request.query_params, "force"))
    return Response(status_code=200)


@router.post("/swarm/unlock")
async def unlock_all(request: Request) -> Response:
    """Give the key to all nodes that wait for it."""
    if parts_of(request).settings.swarm_mode == "off":
        raise NoSwarm(NO_MANAGER)
    await unlock(cluster_of(request), await body_bytes(request, limit=LIMIT))
    return Response(status_code=200)


def _forming(request: Request) -> Forming:
    """Return what forms swarms. Raises NoSwarm if the nodes are in one, NotSupported if we form none."""
    forming = parts_of(request).forming
    if forming is not None:
        return forming
    if parts_of(request).settings.swarm_mode == "off":
        raise NotSupported(SWITCHED_OFF)
    raise NoSwarm(ALREADY) if cluster_of(request).swarms.all() else NotSupported(NOT_FORMED)
