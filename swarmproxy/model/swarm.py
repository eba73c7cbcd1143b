"""An engine's part in a swarm of Docker's swarm mode, which some members may form among themselves."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SwarmPart:
    """What an engine in a swarm says of that."""

    node_id: str
    is_manager: bool = False  # and reaches enough of the others to decide
    managers: frozenset[str] = frozenset()  # node IDs; whoever shares one is in the same swarm

    def is_with(self, managers: frozenset[str]) -> bool:
        """Return whether this is the swarm that has any of `managers`."""
        return not managers.isdisjoint(self.managers)
