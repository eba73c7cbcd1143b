"""What a reader of the page may know under a policy: what the lists of the reader's role would show, and no more."""

from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.requests import Request

from swarmproxy.api.forwarding import exchange_of
from swarmproxy.api.identifying import holder_of_token, identity_of
from swarmproxy.model.container import Container
from swarmproxy.model.event import Event
from swarmproxy.model.filters import labels_match
from swarmproxy.page.audience import Audience
from swarmproxy.policy.decision import Refused, required_labels
from swarmproxy.policy.document import Policy
from swarmproxy.policy.identity import Identity
from swarmproxy.policy.role import Role


@dataclass(slots=True)
class Permitted:
    """An identity and its role. A policy that is read anew counts at once, also on a page that is open."""

    identity: Identity
    policy: Callable[[], Policy]
    _of: Policy | None = None  # what follows was worked out for this policy
    _role: Role | None = None
    _labels: dict[str, str] = field(default_factory=dict)  # of all that the role has to do with
    _may_list: bool = False
    _may_hear: bool = False

    @property
    def has_role(self) -> bool:
        """Whether the policy knows this reader."""
        return self._current() is not None

    @property
    def sees_nodes(self) -> bool:
        """See Audience."""
        return _allows(self._current(), "info")

    def may_see(self, container: Container) -> bool:
        """See Audience."""
        role = self._current()
        if role is None or not self._may_list:
            return False
        return not role.is_narrow or (labels_match(container.labels, self._wanted) and _is_named(role, container))

    def may_hear(self, event: Event) -> bool:
        """See Audience. Events cannot be narrowed to names, so a role with names only hears none."""
        role = self._current()
        if role is None or not self._may_hear:
            return False
        return not role.is_narrow or (bool(self._labels) and labels_match(event.attributes, self._wanted))

    @property
    def _wanted(self) -> tuple[tuple[str, str | None], ...]:
        return tuple(self._labels.items())

    def _current(self) -> Role | None:
        """Return the role that the policy of now gives."""
        policy = self.policy()
        if policy is not self._of:
            self._of, self._role, self._labels = policy, policy.role_of(self.identity), {}
            self._may_list, self._may_hear = _allows(self._role, "containers/list"), _allows(self._role, "events")
            if self._role is not None:
                try:
                    self._labels = required_labels(self._role, self.identity)
                except Refused:  # it does not say whose objects are meant
                    self._may_list = self._may_hear = False
        return self._role


def _allows(role: Role | None, kind: str) -> bool:
    return role is not None and (role.everything or kind in role.kinds)


def _is_named(role: Role, container: Container) -> bool:
    return any(role.fits_name(name.removeprefix("/")) for name in container.names or (container.name,))


def permitted_by(policy: Callable[[], Policy]) -> Callable[[Request], Audience]:
    """Return what tells who reads. It raises Forbidden for those whom the policy gives no role."""

    def audience_of(request: Request) -> Audience:
        exchange = exchange_of(request.scope)
        transport = exchange.connection.transport
        holder = holder_of_token(policy(), exchange.request.fields, transport)
        reader = Permitted(holder or identity_of(transport), policy)
        if not reader.has_role:
            raise Refused("default", f"{reader.identity.title} has no role")
        return reader

    return audience_of
