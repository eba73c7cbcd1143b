"""Whether a manager can do its work now, and if not, why."""

from swarmproxy.cluster.cluster import Cluster
from swarmproxy.engine.engine import State
from swarmproxy.errors import SwarmError
from swarmproxy.leader.replica import Replica


class Readiness:
    """Says why requests should not be sent here now."""

    def __init__(self, cluster: Cluster, replica: Replica | None) -> None:
        self._cluster = cluster
        self._replica = replica
        self.is_draining = False

    async def reasons(self) -> list[str]:
        """Return why this manager is not ready, in one sentence each; nothing if it is.

        An engine that does not answer is no reason: the others are served.
        """
        if self.is_draining:
            return ["the manager is about to end"]
        found: list[str] = []
        source = self._cluster.source
        if not source.read_at:
            found.append(f"the list of members has not been read yet{': ' if source.error else ''}{source.error}")
        new = [each for each in self._cluster.engines() if each.state is State.PENDING and not each.error]
        if new:
            found.append(f"{len(new)} engines have not been looked at yet")
        if self._replica is not None:
            try:
                await self._replica.find_leader()
            except SwarmError as error:
                found.append(str(error))
        return found
