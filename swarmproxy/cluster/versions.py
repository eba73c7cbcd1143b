"""The versions of the API that the members speak, counted when somebody asks and they have changed."""

from collections.abc import Iterable

from swarmproxy.engine.engine import Engine, State
from swarmproxy.model import apiversion
from swarmproxy.model.apiversion import Version

PREFERS_BUILDKIT: Version = (1, 42)
_COUNTED = (State.HEALTHY, State.UNHEALTHY)


class Versions:
    """What the members speak together. `members` is only to be read."""

    def __init__(self, members: Iterable[Engine]) -> None:
        self._members = members
        self._newest_of_each: frozenset[str] | None = None  # None: to be counted

    def changed(self) -> None:
        """Take note that members came, went, or are known better."""
        self._newest_of_each = None

    def advertised(self, user_agent: str) -> Version:
        """Return the version that a client with this `user_agent` is told, and that an unversioned request is in."""
        return apiversion.advertised(self._count(), user_agent)

    def prefer_buildkit(self) -> bool:
        """Return whether all members would have clients build with BuildKit, as engines do from 23.0 on."""
        newest = self._count()
        return bool(newest) and min(map(apiversion.parse, newest)) >= PREFERS_BUILDKIT

    def _count(self) -> frozenset[str]:
        if self._newest_of_each is None:
            known = (each.facts for each in self._members if each.state in _COUNTED)
            self._newest_of_each = frozenset(facts.api_max for facts in known if facts is not None)
        return self._newest_of_each
