"""The interface of all filters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from swarmproxy.model.node import Node
    from swarmproxy.model.spec import ContainerSpec


class Filter(Protocol):
    """Says which nodes will do for a container."""

    @property
    def name(self) -> str:
        """What `--filter` and `docker info` call it."""
        ...

    def keep(self, spec: ContainerSpec, nodes: Sequence[Node], *, soft: bool) -> Sequence[Node]:
        """Return those of `nodes` that will do, in their order; soft expressions count only if `soft`.

        Raises BadRequest if an expression cannot be read, NoNodeFits to refuse in words of its own.
        """
        ...

    def describe(self, spec: ContainerSpec) -> list[str]:
        """Return what the filter demands for `spec`, for the text of a refusal. Raises BadRequest."""
        ...

    def judge(self, spec: ContainerSpec, *, soft: bool) -> Callable[[Node], str]:
        """Return what says why a node will not do, in the few words that refusals count, and "" if it will.

        Agrees with `keep`, and is asked only when somebody wants to know. Raises BadRequest as `keep`.
        """
        ...
