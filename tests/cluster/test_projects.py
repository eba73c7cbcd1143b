"""Where a compose project is at home."""

import pytest

from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.projects import PROJECT, home_of
from swarmproxy.engine.engine import Engine
from swarmproxy.model.container import Container
from swarmproxy.model.network import Network
from swarmproxy.wire.address import Address
from tests.cluster.image_daemon import ImageDaemon, clustered, engine_of
from tests.cluster.index_engines import engine

ONE, TWO = engine("one"), engine("two")
MINE, OTHERS = {PROJECT: "mine"}, {PROJECT: "others"}


@pytest.fixture
def cluster() -> Cluster:
    def nobody(_cluster: Cluster, address: Address) -> Engine:
        raise AssertionError(address)

    return Cluster(nobody, lambda: 0.0)


def test_home(cluster: Cluster) -> None:
    """Containers say it least, local networks most; what is of another project, or of all nodes, says nothing."""
    assert home_of(cluster, MINE) == []
    cluster.index.put(ONE, Container(id="c1", labels=OTHERS))
    cluster.index.put(TWO, Container(id="c2", labels=MINE))
    assert home_of(cluster, MINE) == [TWO]
    shared = Network(id="n1", name="mine_mesh", scope="swarm", labels=MINE)
    cluster.networks.replace(ONE, {}, {"n1": shared})
    assert home_of(cluster, MINE) == [TWO]
    own = Network(id="n2", name="mine_default", labels=MINE)
    cluster.networks.replace(ONE, {"n1": shared}, {"n1": shared, "n2": own})
    assert home_of(cluster, MINE) == [ONE]
    assert home_of(cluster, {}) == []
    assert home_of(cluster, {PROJECT: ""}) == []


async def test_home_of_volumes() -> None:
    """A project that was down comes up where its volumes are, unless every node has them."""
    first, second = ImageDaemon("node-1"), ImageDaemon("node-2")
    data = {"Name": "data", "Driver": "local", "Scope": "local", "Labels": MINE}
    second.volumes.append(data)
    async with clustered([first, second]) as cluster:
        assert home_of(cluster, MINE) == [engine_of(cluster, second)]
        first.volumes.append(data)
        await engine_of(cluster, first).refresh_volumes()
        assert home_of(cluster, MINE) == []
