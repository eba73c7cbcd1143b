"""All that can be asked, by kind, in groups that a role allows or denies as one.

A kind is called `containers/top`: what it is about, and what is done. Each stands in exactly one group.
"""

from __future__ import annotations

from swarmproxy.policy.globs import fits

OPEN = frozenset(("ping", "options"))
"""What everybody may ask who can connect: it tells nothing of the cluster, and clients ask it before all else."""

_TABLE = {
    "@read": (
        "version info events system/df containers/list containers/inspect containers/top "
        "containers/logs containers/stats containers/changes containers/wait containers/checkpoints exec/inspect "
        "images/list images/inspect images/attestations networks/list networks/inspect volumes/list volumes/inspect "
        "plugins/list plugins/inspect "
        "swarm/inspect nodes/list nodes/inspect services/list services/inspect services/logs tasks/list tasks/inspect "
        "tasks/logs secrets/list secrets/inspect configs/list configs/inspect "
        "swarmproxy/nodes/list swarmproxy/nodes/inspect swarmproxy/rebalance/plan swarmproxy/api"
    ),
    "@run": (
        "containers/create containers/start containers/stop containers/restart containers/kill containers/pause "
        "containers/unpause containers/remove containers/update containers/rename containers/resize containers/prune "
        "swarmproxy/explain"
    ),
    "@shell": "containers/attach containers/exec exec/start exec/resize",
    "@files": "containers/archive containers/put-archive containers/export",
    "@checkpoints": "containers/checkpoint",
    "@pull": "auth distribution/inspect images/search images/pull",
    "@images": (
        "commit images/history images/import images/load images/prune images/push images/remove images/save images/tag"
    ),
    "@build": "build build/cancel build/prune session",
    "@buildkit": "grpc",
    "@networks": "networks/create networks/remove networks/connect networks/disconnect networks/prune",
    "@volumes": "volumes/create volumes/remove volumes/update volumes/prune",
    "@services": (
        "services/create services/update services/remove secrets/create secrets/update secrets/remove "
        "configs/create configs/update configs/remove"
    ),
    "@swarm": (
        "swarm/init swarm/join swarm/leave swarm/update swarm/unlock swarm/unlockkey nodes/update nodes/remove"
    ),
    "@plugins": (
        "plugins/privileges plugins/pull plugins/create plugins/enable plugins/disable plugins/set plugins/push "
        "plugins/upgrade plugins/remove"
    ),
    "@nodes": (
        "swarmproxy/nodes/drain swarmproxy/nodes/pause swarmproxy/nodes/activate swarmproxy/nodes/label "
        "swarmproxy/rebalance"
    ),
}  # fmt: skip
GROUPS: dict[str, frozenset[str]] = {group: frozenset(kinds.split()) for group, kinds in _TABLE.items()}
KINDS: frozenset[str] = frozenset().union(*GROUPS.values())

OF_OBJECTS = ("containers", "networks", "volumes", "services", "tasks", "secrets", "configs")
"""The objects that have labels, and so an owner. Images are shared by all, and exec instances are their container's."""

LISTED_BY_LABEL = frozenset(
    ("events", *(f"{each}/list" for each in OF_OBJECTS), "containers/prune", "networks/prune", "volumes/prune")
)
"""Where a filter by label leaves what is a role's own."""

OF_ALL = frozenset(
    ("system/df", "images/prune", "build/prune", "swarmproxy/rebalance", "swarmproxy/rebalance/plan", "volumes/update")
)
"""What tells of, or changes, the objects of all owners at once and cannot be narrowed: not for a role with an owner."""


def covered(pattern: str) -> frozenset[str]:
    """Return the kinds that `pattern` of a role means: a group, a kind, or a glob. Empty if there is none."""
    if pattern.startswith("@"):
        return GROUPS.get(pattern, frozenset())
    return frozenset(kind for kind in KINDS if fits(pattern, kind))
