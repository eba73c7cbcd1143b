"""What a manager reads before it leads, or after it has lost the lead."""

from swarmproxy.cluster.cluster import Cluster
from swarmproxy.errors import NotFound
from tests.cluster.image_daemon import ImageDaemon, clustered, engine_of


def known(cluster: Cluster) -> set[str]:
    """Return which of the new objects the cluster has heard of."""
    found = set()
    for name, find in {
        "web": cluster.find,
        "blue": cluster.networks.find,
        "data": cluster.volumes.find,
        "made:1": cluster.images.holders,
    }.items():
        try:
            find(name)
        except NotFound:
            continue
        found.add(name)
    return found


async def test_all_that_is_held() -> None:
    """What was made without an event that reached this manager is known when it has caught up, whatever it is.

    An engine that hangs keeps nobody from knowing what the others hold.
    """
    daemon, deaf = ImageDaemon("n0"), ImageDaemon("n1")
    async with clustered([daemon, deaf], step_timeout_s=2.0, list_timeout_s=2.0) as cluster:
        deaf.hangs |= {"/containers/json", "/images/json", "/networks", "/volumes"}
        daemon.add("web", tell=False)
        daemon.networks.append({"Name": "blue", "Id": "b1" * 32, "Scope": "local"})
        daemon.volumes.append({"Name": "data", "Driver": "local", "Scope": "local"})
        daemon.hold("ff" * 32, "made:1")
        assert known(cluster) == set()
        await cluster.catch_up()
        assert known(cluster) == {"web", "blue", "data", "made:1"}
        assert engine_of(cluster, deaf).networks
