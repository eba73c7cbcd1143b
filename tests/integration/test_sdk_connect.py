"""docker-py finds the cluster, agrees on a version with it, and asks what it is."""

import docker
import pytest
from docker.errors import APIError, NotFound

from tests.hosts.certificates import Certificates
from tests.hosts.fleet import Fleet
from tests.hosts.manager import Manager
from tests.integration.sdk import connected, forgets_sockets, sleeper, unguided

pytestmark = forgets_sockets

VERSIONS = ["auto", "1.24", "1.30", "1.41", "1.44", "1.51"]


@pytest.mark.parametrize("version", VERSIONS)
def test_versions(front: Manager, version: str) -> None:
    """Whatever version a client asks for, older or newer than the engines have, containers run."""
    with connected(front, version=version) as client:
        assert client.containers.run("busybox", ["echo", "hello"], remove=True) == b"hello\n"
        kept = sleeper(client, "kept")
        assert [each.name for each in client.containers.list()] == ["kept"]
        assert client.containers.get("kept").attrs["State"]["Running"] is True
        kept.remove(force=True)


def test_negotiated_version(sdk: docker.DockerClient, fleet: Fleet) -> None:
    """A client that negotiates by /version gets the newest version that all engines have."""
    assert sdk.api.api_version == fleet.engines[0].get_json("/version")["ApiVersion"]


@pytest.mark.parametrize(("version", "what"), [("1.99", "too new"), ("2.0", "too new")])
def test_impossible_version(front: Manager, version: str, what: str) -> None:
    """A version that nobody speaks is refused with 400 in the daemon's words."""
    with (
        connected(front, version=version) as client,
        pytest.raises(APIError, match=f"client version .* is {what}") as e,
    ):
        client.containers.list()
    assert e.value.status_code == 400


def test_from_env(front: Manager) -> None:
    """DOCKER_HOST is all that a client on TCP or on a unix socket has to be told."""
    for host in (f"tcp://{front.address}", f"unix://{front.socket_path}"):
        client = docker.from_env(environment={"DOCKER_HOST": host})
        assert client.ping()
        client.close()


def test_from_env_with_tls(secure_manager: Manager, certificates: Certificates) -> None:
    """DOCKER_TLS_VERIFY and DOCKER_CERT_PATH are all that a client with TLS has to be told besides."""
    environment = {
        "DOCKER_HOST": f"tcp://{secure_manager.address}",
        "DOCKER_TLS_VERIFY": "1",
        "DOCKER_CERT_PATH": str(certificates.client.directory),
    }
    with unguided():
        client = docker.from_env(environment=environment)
        assert client.ping()
        assert client.containers.list() == []
        client.close()


def test_endpoints(endpoint: docker.DockerClient) -> None:
    """A container is run, read, executed in, stopped and removed over TCP, a unix socket and TLS."""
    container = sleeper(endpoint, "web", labels={"tier": "front"})
    assert container.exec_run(["echo", "inside"]).output == b"inside\n"
    assert endpoint.containers.list(filters={"label": "tier=front"}) == [container]
    container.stop()
    assert container.wait()["StatusCode"] == 0
    container.reload()
    assert container.status == "exited"
    container.remove()
    with pytest.raises(NotFound, match="No such container: web"):
        endpoint.containers.get("web")


def test_info(sdk: docker.DockerClient, fleet: Fleet) -> None:
    """Info sums up the engines and shows each of them as classic did."""
    sleeper(sdk, "running")
    sdk.containers.create("busybox", name="created")
    info = sdk.info()
    engines = [engine.get_json("/info") for engine in fleet.engines]
    counted = ("Containers", "ContainersRunning", "ContainersPaused", "ContainersStopped")
    assert [info[key] for key in counted] == [2, 1, 0, 1]
    assert info["NCPU"] == sum(engine["NCPU"] for engine in engines)
    assert info["MemTotal"] == sum(int(engine["MemTotal"] * 105 // 100) for engine in engines)
    assert info["Swarm"]["LocalNodeState"] == "inactive"
    rows = dict(info["SystemStatus"])
    assert (rows["Role"], rows["Strategy"], rows["Nodes"]) == ("primary", "spread", "2")
    assert {" " + engine.name for engine in fleet.engines} <= set(rows)
    ids = [value for key, value in info["SystemStatus"] if key == "  └ ID"]
    assert ids == [f"{found['ID']}|{engine.own_address}" for found, engine in zip(engines, fleet.engines, strict=True)]


def test_version(sdk: docker.DockerClient) -> None:
    """Version names us, the API that is spoken, and the oldest one."""
    version = sdk.version()
    assert version["Version"].startswith("swarmproxy/")
    assert version["ApiVersion"] == sdk.api.api_version
    assert version["MinAPIVersion"] == "1.21"
    assert [component["Name"] for component in version["Components"]] == ["swarmproxy"]


def test_login_is_an_engine_s_business(sdk: docker.DockerClient) -> None:
    """A login goes to an engine, whose refusal comes back as it is."""
    with pytest.raises(APIError) as caught:
        sdk.login(username="somebody", password="", registry="127.0.0.1:1", reauth=True)
    assert caught.value.status_code >= 400
    assert "127.0.0.1:1" in caught.value.explanation


def test_unknown_page(sdk: docker.DockerClient) -> None:
    """A route that no daemon has is refused as a daemon does it, never answered with nothing."""
    for method in ("GET", "POST", "DELETE"):
        answer = sdk.api.request(method, sdk.api._url("/no/such/page"))
        assert (answer.status_code, answer.json()) == (404, {"message": "page not found"})
