"""Who looks at the page, and what of the cluster lists would show them."""

from typing import Protocol

from swarmproxy.model.container import Container
from swarmproxy.model.event import Event


class Audience(Protocol):
    """What one reader may know. Asked for each thing that is shown, so the answers come at once."""

    @property
    def sees_nodes(self) -> bool:
        """Whether `docker info` would tell this reader of the nodes."""

    def may_see(self, container: Container) -> bool:
        """Return whether `docker ps -a` would list `container` to this reader."""

    def may_hear(self, event: Event) -> bool:
        """Return whether `docker events` would tell this reader of `event`."""


class Everybody:
    """Without a policy, whoever reaches the page sees all of it."""

    sees_nodes = True

    def may_see(self, container: Container) -> bool:  # noqa: ARG002
        """See Audience."""
        return True

    def may_hear(self, event: Event) -> bool:  # noqa: ARG002
        """See Audience."""
        return True


EVERYBODY = Everybody()
