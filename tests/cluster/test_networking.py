"""Which networks a query shows, and what that costs among a thousand nodes."""

import json
import time

from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.networking import shown, with_containers
from swarmproxy.model.network import from_engine, item_json
from swarmproxy.model.network_listing import NetworkQuery
from swarmproxy.wire.address import Address
from tests.cluster.index_engines import engine
from tests.cluster.steps import steps_of


def nobody(_cluster: Cluster, address: Address) -> None:
    raise AssertionError(address)


def cluster_of(nodes: int) -> Cluster:
    """Return a cluster of `nodes` engines with the three networks that each has, every tenth with a project."""
    cluster = Cluster(nobody, time.time)  # type: ignore[arg-type]
    for number in range(nodes):
        names = ["bridge", "host", "none"] + ([f"p{number}_default"] if number % 10 == 0 else [])
        networks = [
            from_engine(
                json.dumps(
                    {
                        "Name": name,
                        "Id": f"{number:08x}{name.encode().hex():0<56}"[:64],
                        "Labels": {"project": f"p{number}"} if number % 10 == 0 else None,
                    }
                ).encode()
            )
            for name in names
        ]
        cluster.networks.replace(engine(f"node-{number}"), {}, {each.id: each for each in networks})
    return cluster


def listed(cluster: Cluster, **filters: list[str]) -> list[str]:
    query = NetworkQuery.parse(json.dumps(filters))
    return [json.loads(item_json(held.network))["Name"] for held in shown(cluster, query)]


def test_cost_of_answers() -> None:
    """A look-up costs the same among ten times as many nodes, and a list grows no faster than its answer."""
    small, large = cluster_of(100), cluster_of(1000)

    def cost(cluster: Cluster, **filters: list[str]) -> int:
        query = NetworkQuery.parse(json.dumps(filters))
        return steps_of(lambda: [item_json(held.network) for held in shown(cluster, query)])

    def cost_of_find(cluster: Cluster) -> int:
        return steps_of(lambda: [cluster.networks.find("p90_default") for _ in range(100)])

    assert cost_of_find(large) < cost_of_find(small) * 5
    assert cost(large, label=["project=p90"]) < cost(small, label=["project=p90"]) * 5
    assert cost(large) < cost(small) * 10 * 4
    assert cost(large, name=["^p990_default$"]) * 3 < cost(large)


def test_shown() -> None:
    """Names are looked at once each, and `node/name` where a slash is asked for."""
    cluster = cluster_of(20)
    assert listed(cluster, name=["_default"]) == ["p0_default", "p10_default"]
    assert listed(cluster, name=["node-10/"]) == ["bridge", "host", "none", "p10_default"]
    assert listed(cluster, name=["node-1/", "p0"]) == ["p0_default", "bridge", "host", "none"]
    assert listed(cluster, dangling=["1"]) == ["p0_default", "p10_default"]
    assert listed(cluster, label=["project=p10"], name=["default"]) == ["p10_default"]
    assert len(listed(cluster, label=["project"])) == 8
    assert listed(cluster, label=["project=p1"]) == []
    assert len(listed(cluster)) == 62


def test_containers_of_all_nodes() -> None:
    """Containers of all answers are in one, without the balancers of the nodes, and all else as the first says."""
    first = {"Name": "mesh", "Containers": {"a": {"Name": "aa"}, "lb-mesh": {"Name": "mesh-endpoint"}}, "Unheard": 1}
    second = {"Name": "other", "Containers": {"b": {"Name": "bb"}, "a": {"Name": "no"}}}
    bodies = [json.dumps(each).encode() for each in (second, {"Containers": None}, {})]
    merged = json.loads(with_containers(json.dumps(first).encode(), bodies))
    assert merged == {"Name": "mesh", "Containers": {"a": {"Name": "aa"}, "b": {"Name": "bb"}}, "Unheard": 1}
