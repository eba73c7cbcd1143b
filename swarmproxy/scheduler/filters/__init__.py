"""Which nodes will do for a container. One module per filter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmproxy.errors import ConfigError
from swarmproxy.scheduler.filters.affinity import AffinityFilter
from swarmproxy.scheduler.filters.constraint import ConstraintFilter
from swarmproxy.scheduler.filters.dependency import DependencyFilter
from swarmproxy.scheduler.filters.health import HealthFilter
from swarmproxy.scheduler.filters.port import PortFilter
from swarmproxy.scheduler.filters.slots import SlotsFilter
from swarmproxy.scheduler.filters.whitelist import WhitelistFilter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from swarmproxy.scheduler.filters.filter import Filter

_ALL: tuple[Filter, ...] = (  # in classic's order
    HealthFilter(),
    PortFilter(),
    SlotsFilter(),
    DependencyFilter(),
    AffinityFilter(),
    ConstraintFilter(),
    WhitelistFilter(),
)
_BY_NAME = {each.name: each for each in _ALL}
NAMES = tuple(_BY_NAME)


def choose(names: Iterable[str] = NAMES) -> tuple[Filter, ...]:
    """Return the filters with these names in this order. Raises ConfigError for a name that is none."""
    try:
        return tuple(_BY_NAME[name] for name in names)
    except KeyError:
        raise ConfigError("filter not supported") from None
