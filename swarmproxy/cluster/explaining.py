"""Where a create would go, without creating anything."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from swarmproxy.cluster.placement import CreateRequest, Placement
from swarmproxy.cluster.references import resolve
from swarmproxy.model.node import Node
from swarmproxy.model.spec import ContainerSpec
from swarmproxy.scheduler.explanation import Explanation


@dataclass(frozen=True, slots=True)
class Explainer:
    """Says what `placement` would do; `explain` is its scheduler's, with the same options."""

    placement: Placement
    explain: Callable[[ContainerSpec, Sequence[Node]], Explanation]

    async def explain_create(self, request: CreateRequest) -> Explanation:
        """Return what would become of a create now. Nothing is made, and nothing reserved.

        Raises BadRequest, Conflict and NotSupported as the create would.
        """
        cluster = self.placement.cluster
        spec = await self.placement.read(request)
        with cluster.reservations.name(request.name):
            return self.explain(resolve(spec, cluster), cluster.nodes.all())
