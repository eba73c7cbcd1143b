"""What containers claim of a node, and whether there is room for one more.

Classic counted memory limits and CPU shares. We also count memory reservations (where there is no limit),
NanoCpus, cpusets, GPUs and generic resources, and never go above a total: classic's integer percentages let a node be
overfull by up to 1 %.
Source: classic Swarm 1.2, scheduler/node and scheduler/strategy/weighted_node.go.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

import msgspec

from swarmproxy.errors import BadRequest
from swarmproxy.model.container import cores_of_shares
from swarmproxy.model.generic import gpus_among, read_wishes
from swarmproxy.model.labels import RESOURCES, SERVICE_ID, read_list

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from swarmproxy.model.container import Container, DeviceRequest
    from swarmproxy.model.node import Node
    from swarmproxy.model.spec import ContainerSpec
    from swarmproxy.model.swarm import Reserved

NANO = 1_000_000_000
ALL_DEVICES = -1
MAX_CORES = 8192  # of any Linux
NONE: Mapping[str, int] = MappingProxyType({})
_NO_CORES: Mapping[int, int] = MappingProxyType({})

_K = TypeVar("_K")


class Claims(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What one container, or several, hold of a node."""

    memory_bytes: int = 0
    cpus: int = 0  # whole cores, from CPU shares
    nano_cpus: int = 0  # what NanoCpus ask for above `cpus`
    pinned: Mapping[int, int] = _NO_CORES  # containers by core, of those with a cpuset and no more
    gpus: int = 0  # those counted, at least one of a container that wants all
    all_gpus: int = 0  # containers that want all, however many there are
    resources: Mapping[str, int] = NONE  # generic ones, by kind
    containers: int = 0

    def __add__(self, other: Claims) -> Claims:
        return Claims(
            memory_bytes=self.memory_bytes + other.memory_bytes,
            cpus=self.cpus + other.cpus,
            nano_cpus=self.nano_cpus + other.nano_cpus,
            pinned=_sum(self.pinned, other.pinned, 1),
            gpus=self.gpus + other.gpus,
            all_gpus=self.all_gpus + other.all_gpus,
            resources=_sum(self.resources, other.resources, 1),
            containers=self.containers + other.containers,
        )

    def __sub__(self, other: Claims) -> Claims:
        return Claims(
            memory_bytes=self.memory_bytes - other.memory_bytes,
            cpus=self.cpus - other.cpus,
            nano_cpus=self.nano_cpus - other.nano_cpus,
            pinned=_sum(self.pinned, other.pinned, -1),
            gpus=self.gpus - other.gpus,
            all_gpus=self.all_gpus - other.all_gpus,
            resources=_sum(self.resources, other.resources, -1),
            containers=self.containers - other.containers,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a create asks for, the same for all nodes: worked out once for one placement."""

    memory_bytes: int = 0
    nano_cpus: int = 0
    pinned: tuple[int, ...] = ()  # cores, each of which counts once however many containers share it
    gpus: int = 0
    all_gpus: bool = False
    resources: tuple[tuple[str, int], ...] = ()  # generic ones: kind and number
    highest_core: int = -1  # of a cpuset

    @property
    def is_nothing(self) -> bool:
        """Whether any node will do."""
        return self == _NOTHING


_NOTHING = Demand()


def claims_of_container(container: Container, *, engine_cpus: int) -> Claims:
    """Return what a container claims of its engine, whatever its state: it may be started again, but for past tasks."""
    if container.is_past_task:
        return _plain(0, 0, 0)
    memory_bytes = container.memory_bytes or container.memory_reservation_bytes
    cpus = cores_of_shares(container.cpu_shares, engine_cpus)
    if not (container.cpuset or container.device_requests or RESOURCES in container.labels):
        return _plain(memory_bytes, cpus, container.nano_cpus)
    return _claims(
        memory_bytes=memory_bytes,
        cpus=cpus,
        nano_cpus=container.nano_cpus,
        cpuset=container.cpuset,
        device_requests=container.device_requests,
        resources=_wishes_in(container.labels),
    )


def claims_of_tasks(containers: Iterable[Container], reserved: Mapping[str, Reserved]) -> Claims:
    """Return what the tasks of services among `containers` reserve beyond what their containers claim already.

    `reserved` is by ID of the service.
    """
    memory_bytes = nano_cpus = 0
    resources: Mapping[str, int] = NONE
    for container in containers:
        if (wanted := reserved.get(container.labels.get(SERVICE_ID, ""))) is None or container.is_past_task:
            continue
        memory_bytes += max(wanted.memory_bytes - (container.memory_bytes or container.memory_reservation_bytes), 0)
        nano_cpus += max(wanted.nano_cpus - container.nano_cpus, 0)
        resources = _sum(resources, wanted.resources, 1)
    return Claims(memory_bytes=memory_bytes, nano_cpus=nano_cpus, gpus=gpus_among(resources), resources=resources)


def claims_of_spec(spec: ContainerSpec) -> Claims:
    """Return what a container made from `spec` will claim of an engine."""
    return _claims(
        memory_bytes=spec.memory_bytes or spec.memory_reservation_bytes,
        cpus=spec.cpus,
        nano_cpus=spec.nano_cpus,
        cpuset=spec.cpuset,
        device_requests=spec.device_requests,
        resources=spec.resources,
    )


def with_claims(node: Node, claims: Claims) -> Node:
    """Return `node` with `claims` added to what is used: so a reservation shows before its engine knows."""
    return replace(
        node,
        used_memory_bytes=node.used_memory_bytes + claims.memory_bytes,
        used_cpus=node.used_cpus + claims.cpus,
        used_nano_cpus=node.used_nano_cpus + claims.nano_cpus,
        used_cores=_sum(node.used_cores, claims.pinned, 1),
        used_gpus=node.used_gpus + claims.gpus,
        used_all_gpus=node.used_all_gpus + claims.all_gpus,
        used_resources=_sum(node.used_resources, claims.resources, 1),
        containers=node.containers + claims.containers,
    )


def percent_of(overcommit: float) -> int:
    """Return overcommit as the whole percentage that all sums use; fractions of a percent are cut off."""
    return int(overcommit * 100)


def with_overcommit(amount: int, overcommit_percent: int) -> int:
    """Return what a node has to give of `amount`, cut off towards zero as Go divides.

    In whole cores, 5 % of fewer than 20 is none.
    """
    share = amount * abs(overcommit_percent) // 100
    return max(amount + share if overcommit_percent >= 0 else amount - share, 0)


def demand_of(spec: ContainerSpec) -> Demand:
    """Return what `spec` asks for."""
    claims = claims_of_spec(spec)
    return Demand(
        memory_bytes=claims.memory_bytes,
        nano_cpus=claims.cpus * NANO + claims.nano_cpus,
        pinned=tuple(claims.pinned),
        gpus=claims.gpus,
        resources=tuple(claims.resources.items()),
        highest_core=max(_cores_of(spec.cpuset), default=-1),
        all_gpus=claims.all_gpus > 0,
    )


def shortage(demand: Demand, node: Node, *, overcommit_percent: int) -> str:
    """Return what `node` has too little of to take the container without being overbooked; "" if it has room.

    A resource that is not asked for is not looked at: an overfull node still takes containers without limits.
    GPUs and generic resources are not overcommitted; a node that does not know its GPUs (fewer than 0) leaves the
    decision to its engine. The cores of a cpuset have to be there, and are nobody's alone, as with one daemon: a core
    counts as in use once. With shares or NanoCpus beside it, those say how much a container claims.
    """
    if demand.memory_bytes:
        total = with_overcommit(node.memory_bytes, overcommit_percent)
        if node.used_memory_bytes + demand.memory_bytes > total:
            return "memory"
    if demand.highest_core >= node.cpus:
        return "cores for its cpuset"
    if wanted := _wanted_nano(demand, node):
        total = with_overcommit(node.cpus, overcommit_percent) * NANO
        if used_nano(node) + wanted > total:
            return "CPU"
    if demand.gpus and node.gpus >= 0:
        gpus = max(demand.gpus, node.gpus) if demand.all_gpus else demand.gpus
        if node.used_all_gpus or node.used_gpus + gpus > node.gpus:
            return "GPUs"
    for kind, count in demand.resources:
        if node.used_resources.get(kind, 0) + count > node.resources.get(kind, 0):
            return kind
    return ""


def load(demand: Demand, node: Node, *, overcommit_percent: int) -> int:
    """Return how full `node`, which has room, would be: whole per cent of CPU plus whole per cent of memory.

    A resource that is not asked for counts as 100.
    """
    cpu = memory = 100
    if demand.nano_cpus or demand.pinned:
        total = with_overcommit(node.cpus, overcommit_percent) * NANO
        cpu = (used_nano(node) + _wanted_nano(demand, node)) * 100 // total
    if demand.memory_bytes:
        total = with_overcommit(node.memory_bytes, overcommit_percent)
        memory = (node.used_memory_bytes + demand.memory_bytes) * 100 // total
    return cpu + memory


def used_nano(node: Node) -> int:
    """Return the CPU time used on `node` in billionths of a core."""
    return (node.used_cpus + len(node.used_cores)) * NANO + node.used_nano_cpus


def nano_of(claims: Claims, node: Node) -> int:
    """Return by how much `claims` would change the CPU time used on `node`."""
    cores = sum(
        (node.used_cores.get(core, 0) + count > 0) - (core in node.used_cores) for core, count in claims.pinned.items()
    )
    return (claims.cpus + cores) * NANO + claims.nano_cpus


def _wanted_nano(demand: Demand, node: Node) -> int:
    return demand.nano_cpus + NANO * sum(core not in node.used_cores for core in demand.pinned)


def _wants_gpus(request: DeviceRequest) -> bool:
    return request.driver == "nvidia" or any("gpu" in group for group in request.capabilities)


def _wishes_in(labels: Mapping[str, str]) -> Mapping[str, int]:
    """Return the generic resources that a container carries; a label that cannot be read claims nothing."""
    text = labels.get(RESOURCES)
    if not text:
        return NONE
    try:
        return read_wishes(read_list(text))
    except BadRequest:
        return NONE


def _sum(some: Mapping[_K, int], others: Mapping[_K, int], sign: int) -> Mapping[_K, int]:
    if not others:
        return some
    kinds = {**some, **others}
    total = {kind: some.get(kind, 0) + sign * others.get(kind, 0) for kind in kinds}
    return {kind: count for kind, count in total.items() if count}


def _cores_of(cpuset: str) -> set[int]:
    """Return the cores of `0-2,5`; none for what its engine will refuse. Beyond all machines the last one is enough."""
    cores = set[int]()
    try:
        for part in filter(str.strip, cpuset.split(",")):
            first, _, last = part.partition("-")
            cores.update(range(int(first), min(int(last or first), MAX_CORES)), [int(last or first)])
    except ValueError:
        return set()
    return cores


@lru_cache(maxsize=1024)
def _plain(memory_bytes: int, cpus: int, nano_cpus: int) -> Claims:
    """Return what a container claims that has but these limits, as nearly all: many are alike."""
    return Claims(memory_bytes=memory_bytes, cpus=cpus, nano_cpus=max(nano_cpus - cpus * NANO, 0), containers=1)


def _claims(
    *,
    memory_bytes: int,
    cpus: int,
    nano_cpus: int,
    cpuset: str,
    device_requests: Iterable[DeviceRequest],
    resources: Mapping[str, int] = NONE,
) -> Claims:
    wanted = [request for request in device_requests if _wants_gpus(request)] if device_requests else []
    gpus = sum(len(each.device_ids) or each.count for each in wanted if each.count != ALL_DEVICES)
    wants_all = any(each.count == ALL_DEVICES for each in wanted)
    if wants_all:
        gpus = max(gpus, 1)
    return Claims(
        memory_bytes=memory_bytes,
        cpus=cpus,
        nano_cpus=max(nano_cpus - cpus * NANO, 0),  # shares and NanoCpus of one container are one claim
        pinned=dict.fromkeys(sorted(_cores_of(cpuset)), 1) if cpuset and not (cpus or nano_cpus) else _NO_CORES,
        gpus=max(gpus, gpus_among(resources)) if resources else gpus,
        all_gpus=int(wants_all),
        resources=resources,
        containers=1,
    )
