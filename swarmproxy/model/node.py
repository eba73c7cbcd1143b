"""The scheduler's picture of an engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swarmproxy.model.container import Container
    from swarmproxy.model.image import Image
    from swarmproxy.model.spec import ContainerSpec


@dataclass(frozen=True, slots=True)
class Pending:
    """A container that is being created: its engine does not list it yet."""

    spec: ContainerSpec
    name: str = ""  # empty: the engine will choose one


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """An engine as the scheduler sees it: a snapshot, replaced and never updated.

    Totals are what the engine reports, without overcommit. What is used counts containers in every state
    and the reservations of those being created. `held` and `images` may be the engine's own, so a node is
    good for one placement, during which nothing else runs.
    """

    id: str
    name: str
    address: str = ""  # host:port
    ip: str = ""
    healthy: bool = True
    health: int = 100  # 0..100
    availability: Literal["active", "pause", "drain"] = "active"
    cpus: int = 0
    memory_bytes: int = 0
    gpus: int = 0  # fewer than 0: not known, its engine decides
    labels: Mapping[str, str] = field(default_factory=dict)
    used_memory_bytes: int = 0
    used_cpus: int = 0  # whole cores asked for as CPU shares
    used_nano_cpus: int = 0
    used_gpus: int = 0
    containers: int = 0
    held: Mapping[str, Container] = field(default_factory=dict)  # in every state, by ID
    pending: tuple[Pending, ...] = ()
    images: Mapping[str, Image] = field(default_factory=dict)  # by ID
