"""The page as the operator asked for it. Nobody else needs what it needs: it is imported only where there is one."""

import logging
from collections.abc import Callable

from swarmproxy.api.guard import Guard
from swarmproxy.cluster.cluster import Cluster
from swarmproxy.leader.replica import Replica
from swarmproxy.page import app
from swarmproxy.page.audience import EVERYBODY
from swarmproxy.page.overview import SINGLE, ManagerView, managers_of
from swarmproxy.page.permitted import permitted_by
from swarmproxy.settings import Listen, Settings

log = logging.getLogger("swarmproxy.page")


def build(
    settings: Settings,
    address: Listen,
    cluster: Cluster,
    *,
    problem: Callable[[], str],
    replica: Replica | None,
    guard: Guard | None,
) -> app.Guarded:
    """Return the application that is served at `address`; see app.build."""

    def managers() -> list[ManagerView]:
        if replica is None:
            return [SINGLE]
        return managers_of(replica.leadership, replica.roster.addresses if replica.roster is not None else ())

    is_for_all = guard is None and not settings.page_tls
    if is_for_all and not address.is_local:
        log.warning("the cluster page can be read by everybody who reaches it", extra={"addr": str(address)})
    return app.build(
        cluster,
        overcommit=settings.overcommit,
        managers=managers,
        problem=problem,
        audience_of=permitted_by(lambda: guard.policy) if guard is not None else lambda _request: EVERYBODY,
        is_local=is_for_all and address.is_local and not address.path,
    )
