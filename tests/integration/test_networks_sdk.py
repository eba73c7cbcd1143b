"""Networks as docker-py's users use them, through a manager over real engines."""

import json
from concurrent.futures import ThreadPoolExecutor

import docker as docker_sdk
import pytest
from docker.errors import APIError, NotFound

from tests.hosts.manager import Manager
from tests.integration.sdk import connected, node_of, sleeper


def test_life(endpoint: docker_sdk.DockerClient) -> None:
    """A network without a driver is a bridge on one node; it is named as it was, and says where it is."""
    network = endpoint.networks.create("blue", labels={"a": "b"})
    assert (network.name, network.attrs["Driver"], network.attrs["Scope"]) == ("blue", "bridge", "local")
    assert endpoint.networks.list(names=["blue"]) == [network]
    assert endpoint.networks.list(ids=[network.id])[0].name == "blue"
    assert endpoint.networks.list(filters={"label": "a=b"}) == [network]
    web = sleeper(endpoint, "web", network="blue")
    assert node_of(web) == network.attrs["Node"]["Name"]
    network.reload()
    assert network.containers == [web]
    network.disconnect(web)
    network.connect(web, aliases=["www"])
    web.reload()
    assert "www" in web.attrs["NetworkSettings"]["Networks"]["blue"]["Aliases"]
    network.disconnect(web, force=True)
    network.remove()
    assert endpoint.networks.list(names=["blue"]) == []
    with pytest.raises(NotFound):
        endpoint.networks.get("blue")


def test_details(sdk: docker_sdk.DockerClient, front: Manager) -> None:
    """All that a create asks for reaches the engine, also what we do not know."""
    pool = docker_sdk.types.IPAMConfig(pool_configs=[docker_sdk.types.IPAMPool(subnet="172.30.0.0/24")])
    network = sdk.networks.create("blue", ipam=pool, internal=True, options={"com.docker.network.bridge.name": "br-x"})
    network.reload()
    assert network.attrs["IPAM"]["Config"] == [{"Subnet": "172.30.0.0/24"}]
    assert network.attrs["Internal"]
    body = json.dumps({"name": "green", "labels": {"a": "b"}, "EnableIPv6": False, "Unheard": {"of": 1}}).encode()
    status, answer = front.request("POST", "/v1.30/networks/create", body)
    assert status == 201, answer
    assert sdk.networks.get(json.loads(answer)["Id"]).attrs["Labels"] == {"a": "b"}


def test_same_name_unasked(sdk: docker_sdk.DockerClient) -> None:
    """Who does not ask for a check may have two of one name, as of an old engine; then only IDs tell them apart."""
    first, second = (sdk.networks.create("blue") for _ in range(2))
    with pytest.raises(APIError) as refused:
        sdk.networks.get("blue")
    assert refused.value.status_code == 400
    assert "network blue is ambiguous (2 matches found based on name: " in refused.value.explanation
    with pytest.raises(APIError) as refused:
        sdk.networks.create("blue", check_duplicate=True)
    assert (refused.value.status_code, refused.value.explanation) == (409, "network with name blue already exists")
    for network in (first, second):
        sdk.networks.get(network.id).remove()
    assert sdk.networks.list(names=["blue"]) == []


def test_same_name_at_once(sdk: docker_sdk.DockerClient, front: Manager) -> None:
    """Of many who want one name at the same time one gets it, on whatever node."""

    def create(_number: int) -> int:
        with connected(front) as client:
            try:
                client.networks.create("blue", check_duplicate=True)
            except APIError as error:
                return int(error.status_code)
        return 201

    with ThreadPoolExecutor(8) as clients:
        assert sorted(clients.map(create, range(8))) == [201] + [409] * 7
    assert len(sdk.networks.list(names=["blue"])) == 1


def test_seen_at_once(sdk: docker_sdk.DockerClient) -> None:
    """Whoever was told of a network finds it in the next list, and joins it; one that was removed is not listed."""
    for number in range(10):
        network = sdk.networks.create(f"n{number}")
        assert network in sdk.networks.list()
        sdk.containers.create("busybox", network=network.name)
        network.remove()
        assert network not in sdk.networks.list()


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("POST", "/networks/create", "", 400, "invalid JSON: got EOF while reading request body"),
        ("POST", "/networks/create", "{", 400, "invalid JSON: Input data was truncated"),
        (
            "POST",
            "/networks/create",
            '{"Name": 1}',
            400,
            "invalid JSON: Expected `str | null`, got `int` - at `$.Name`",
        ),
        ("POST", "/networks/create", '{"Name": ""}', 500, "invalid name: "),
        ("POST", "/networks/x/connect", "[]", 400, "invalid JSON: Expected `object`, got `array`"),
        ("POST", "/networks/x/connect", '{"Container": "nobody"}', 404, "No such container: nobody"),
        ("POST", "/networks/x/disconnect", "{}", 404, "network x not found"),
        ("GET", "/networks/x", "", 404, "network x not found"),
        ("GET", "/networks/bridge?scope=swarm", "", 404, "network bridge not found"),
        ("DELETE", "/networks/x", "", 404, "network x not found"),
        ("DELETE", "/networks/none", "", 403, "none is a pre-defined network and cannot be removed"),
        ("GET", "/networks?filters={", "", 400, "invalid filter: Input data was truncated"),
        ("POST", '/networks/prune?filters={"x":["y"]}', "", 400, "Invalid filter 'x'"),
    ],
)
def test_refusals(front: Manager, method: str, path: str, body: str, status: int, message: str) -> None:
    """Errors are Docker's own, with its statuses."""
    got, answer = front.request(method, path.replace("{", "%7B").replace('"', "%22"), body.encode())
    assert (got, json.loads(answer)) == (status, {"message": message})
