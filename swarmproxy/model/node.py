"""The scheduler's picture of an engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from swarmproxy.model.holdings import Holdings
from swarmproxy.model.holdings import image_names as names_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

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
    and the reservations of those being created. `held`, `images` and what is found in them may be the engine's own, so
    a node is good until its engine changes.
    """

    id: str
    name: str
    address: str = ""  # host:port
    ip: str = ""
    healthy: bool = True
    health: int = 100  # 0..100
    availability: Literal["active", "pause", "drain"] = "active"
    platform: str = ""  # what it runs, such as linux/amd64; empty: not known
    cpus: int = 0
    memory_bytes: int = 0
    gpus: int = 0  # fewer than 0: not known, its engine decides
    labels: Mapping[str, str] = field(default_factory=dict)
    used_memory_bytes: int = 0
    used_cpus: int = 0  # whole cores asked for as CPU shares
    used_nano_cpus: int = 0
    used_cores: Mapping[int, int] = field(default_factory=dict)  # those of cpusets, with the containers on each
    used_gpus: int = 0
    used_all_gpus: int = 0  # containers that have all of them
    resources: Mapping[str, int] = field(default_factory=dict)  # generic ones, by kind
    used_resources: Mapping[str, int] = field(default_factory=dict)
    containers: int = 0
    held: Mapping[str, Container] = field(default_factory=dict)  # in every state, by ID
    pending: tuple[Pending, ...] = ()
    images: Mapping[str, Image] = field(default_factory=dict)  # by ID
    holdings: Holdings | None = field(default=None, compare=False, repr=False)  # `held`, where it is kept ready
    image_names: Collection[str] | None = field(default=None, compare=False, repr=False)  # of `images`, likewise

    @property
    def contents(self) -> Holdings:
        """`held`, as it is looked up."""
        return Holdings(self.held.values()) if self.holdings is None else self.holdings

    @property
    def names_of_images(self) -> Collection[str]:
        """Every text that means one of `images`."""
        return names_of(self.images.values()) if self.image_names is None else self.image_names
