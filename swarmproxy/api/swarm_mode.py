"""Swarm mode's routes, answered as by an engine that is in no swarm: clients know what to make of that.

Source: moby, daemon/cluster/cluster.go and errors.go.
"""

from fastapi import APIRouter, Response

from swarmproxy.cluster.swarms import NO_MANAGER
from swarmproxy.errors import NoSwarm

router = APIRouter()

KINDS = ("nodes", "services", "tasks", "secrets", "configs")


@router.get("/swarm")
@router.get("/swarm/unlockkey")
@router.post("/swarm/update")
async def manage() -> Response:
    """Answer that no manager is here."""
    raise NoSwarm(NO_MANAGER)


def _add_routes() -> None:
    """Add what each kind of object of a swarm has: list, create, inspect, remove, update and logs."""
    for kind in KINDS:
        router.add_api_route(f"/{kind}", manage, methods=["GET"])
        router.add_api_route(f"/{kind}/{{name}}", manage, methods=["GET"])
        if kind in ("services", "tasks"):
            router.add_api_route(f"/{kind}/{{name}}/logs", manage, methods=["GET"])
        if kind == "tasks":
            continue
        router.add_api_route(f"/{kind}/{{name}}", manage, methods=["DELETE"])
        router.add_api_route(f"/{kind}/{{name}}/update", manage, methods=["POST"])
        if kind != "nodes":
            router.add_api_route(f"/{kind}/create", manage, methods=["POST"])


_add_routes()
