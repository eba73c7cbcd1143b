"""A role: which kinds of request, on which objects, and with which limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from swarmproxy.policy.globs import fits_any
from swarmproxy.policy.kinds import GROUPS, KINDS, covered
from swarmproxy.policy.limits import UNLIMITED, Limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swarmproxy.policy.identity import Identity

OWNER = "swarmproxy.owner"
"""The label that says whose an object is. No client sets it: it is set for the client."""

PLACES = ("{cn}", "{ou}", "{o}", "{user}", "{token}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """The objects that a role has to do with. What is said must all be so; saying nothing is all objects."""

    names: tuple[str, ...] = ()  # globs
    labels: Mapping[str, str] = field(default_factory=dict)  # key to glob
    shared: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by kind: what may be used, but not changed


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What those may do who have it."""

    name: str
    kinds: frozenset[str] = frozenset()
    everything: bool = False  # also what we do not know
    environment: bool = False  # environments, tokens and contents of configs are shown
    owner: str = ""  # of all that it makes, and of all that it sees; may hold places such as {ou}
    reach: Reach = field(default_factory=Reach)
    limits: Limits = field(default_factory=Limits)

    @property
    def is_narrow(self) -> bool:
        """Whether it has to do with some objects only."""
        return bool(self.owner or self.reach.names or self.reach.labels)

    def owner_for(self, identity: Identity) -> str:
        """Return the owner's name of what `identity` makes; empty if objects get none, or if the identity lacks it."""
        values = {
            "{cn}": identity.cn,
            "{ou}": identity.ou[0] if len(identity.ou) == 1 else "",
            "{o}": identity.o[0] if len(identity.o) == 1 else "",
            "{user}": identity.user,
            "{token}": identity.token,
        }
        owner = self.owner
        for place, value in values.items():
            if place in owner and not value:
                return ""
            owner = owner.replace(place, value)
        return owner

    def fits_name(self, name: str) -> bool:
        """Return whether an object of this name is within the reach."""
        return not self.reach.names or fits_any(self.reach.names, name)


def kinds_of(allow: tuple[str, ...], deny: tuple[str, ...]) -> frozenset[str]:
    """Return the kinds that are allowed and not denied. `deny` wins, in whatever order they stand."""
    found: set[str] = set()
    for pattern in allow:
        found |= covered(pattern)
    for pattern in deny:
        found -= covered(pattern)
    return frozenset(found)


ADMIN = Role(name="admin", kinds=KINDS, everything=True, environment=True, limits=UNLIMITED)
READ_ONLY = Role(name="read-only", kinds=GROUPS["@read"])
BUILT_IN: dict[str, Role] = {role.name: role for role in (ADMIN, READ_ONLY)}
