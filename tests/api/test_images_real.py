"""Images on two real engines, by real clients."""

import io
import tarfile
from contextlib import closing

import docker
import pytest

from tests.conftest import StartEngines, StartManager
from tests.hosts.engine import Engine
from tests.hosts.images import busybox_archive
from tests.hosts.manager import Manager
from tests.hosts.registry import serving

BRIDGE_IP = "10.77.0.1"
PULLERS = {"arguments": ("--insecure-registry", f"{BRIDGE_IP}/16")}


def tags_of(engine: Engine) -> set[str]:
    return {tag for image in engine.get_json("/images/json") for tag in image["RepoTags"] or ()}


def test_load_list_tag_remove(manager: Manager, engines: list[Engine]) -> None:
    """An archive is loaded on both nodes, listed once, tagged and removed on both."""
    archive = busybox_archive("loaded:1", labels={"made": "here"})
    done = manager.docker("load", stdin=archive)
    assert done.stdout == "Loaded image: loaded:1\n"
    assert all("loaded:1" in tags_of(engine) for engine in engines)
    listed = manager.docker("images", "--filter", "label=made=here", "--format", "{{.Repository}}:{{.Tag}}")
    assert listed.stdout == "loaded:1\n"

    manager.docker("tag", "loaded:1", "reg.example:5000/dir/other:2")
    assert all("reg.example:5000/dir/other:2" in tags_of(engine) for engine in engines)
    status, saved = manager.request("GET", "/images/reg.example:5000%2Fdir%2Fother:2/get")
    assert (status, saved[257:262]) == (200, b"ustar")

    done = manager.docker("rmi", "loaded:1", "reg.example:5000/dir/other:2")
    assert done.stdout.splitlines()[:2] == ["Untagged: loaded:1", "Untagged: reg.example:5000/dir/other:2"]
    assert not any({"loaded:1", "reg.example:5000/dir/other:2"} & tags_of(engine) for engine in engines)
    done = manager.docker("rmi", "loaded:1", check=False)
    assert (done.code, done.stderr.strip()) == (1, "Error: No such image: loaded:1")


def test_load_with_docker_py(manager: Manager, engines: list[Engine]) -> None:
    """docker-py loads an archive and gets its image back."""
    with closing(docker.DockerClient(f"tcp://{manager.address}", timeout=60)) as client:
        images = client.images.load(busybox_archive("bypy:1", labels={"by": "py"}))
        assert [image.tags for image in images] == [["bypy:1"]]
        assert client.images.get("bypy:1").labels == {"by": "py"}
        client.images.remove("bypy:1")
        with pytest.raises(docker.errors.ImageNotFound):
            client.images.get("bypy:1")


def test_load_on_one_node(manager: Manager, engines: list[Engine]) -> None:
    """What is loaded on one node is there only, and found through the cluster all the same."""
    archive = busybox_archive("lonely:1", labels={"lonely": "yes"})
    name = engines[1].name
    status, body = manager.request("POST", f"/images/load?quiet=1&node={name}", archive)
    assert (status, body) == (200, b'{"stream":"Loaded image: lonely:1\\n"}\r\n')
    assert ["lonely:1" in tags_of(engine) for engine in engines] == [False, True]
    assert manager.docker("inspect", "--format", "{{.RepoTags}}", "lonely:1").stdout == "[lonely:1]\n"
    manager.docker("rmi", "lonely:1")


def test_load_of_nonsense(manager: Manager, engines: list[Engine]) -> None:
    """What is no archive fails on every node, and says why."""
    done = manager.docker("load", stdin=b"nonsense" * 100_000, check=False)
    assert done.code == 1
    assert done.stderr.strip()


def test_import(manager: Manager, engines: list[Engine]) -> None:
    """A file system is imported on both nodes."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("empty"))
    manager.docker("import", "-", "imported:1", stdin=layer.getvalue())
    assert all("imported:1" in tags_of(engine) for engine in engines)


def test_pull_of_what_is_nowhere(manager: Manager, engines: list[Engine]) -> None:
    """A pull that no node can do fails as it does on one engine."""
    done = manager.docker("pull", "registry.invalid/nothing:1", check=False)
    assert done.code == 1
    assert "registry.invalid" in done.stderr


def test_remove_an_image_in_use(manager: Manager, engines: list[Engine]) -> None:
    """An image that a container runs from is kept on that node, which is named."""
    manager.docker("load", stdin=busybox_archive("used:1", labels={"u": "1"}))
    engines[0].docker("run", "-d", "--name", "user", "used:1", "sleep", "600")
    done = manager.docker("rmi", "used:1", check=False)
    assert done.code == 1
    assert f"{engines[0].name}: conflict: unable to remove repository reference" in done.stderr
    assert ["used:1" in tags_of(engine) for engine in engines] == [True, False]


def test_pull_on_all_nodes(start_engines: StartEngines, start_manager: StartManager) -> None:
    """A pull brings the image to every node, and `docker run` finds it there; a node may be chosen."""
    engines = start_engines(2, **PULLERS)
    manager = start_manager(engines)
    with serving(BRIDGE_IP) as registry:
        name = f"{registry.address}/app:1"
        done = manager.docker("pull", name)
        for engine in engines:
            assert f"{engine.name}: Pulling {name}... : downloaded" in done.stdout.splitlines()
            assert name in tags_of(engine)
        assert manager.docker("run", "--rm", name, "echo", "hello").stdout == "hello\n"

        other = f"{registry.address}/app:2"
        missing = ("pull", f"{registry.address}/missing:1")
        done, alone = manager.docker(*missing, check=False), engines[0].docker(*missing, check=False)
        assert (done.code, done.stdout, done.stderr) == (alone.code, alone.stdout, alone.stderr)
        status, _ = manager.request("POST", f"/images/create?fromImage={other}&node={engines[1].name}")
        assert status == 200
        assert [other in tags_of(engine) for engine in engines] == [False, True]


def test_pull_with_credentials(start_engines: StartEngines, start_manager: StartManager) -> None:
    """The client's credentials reach every node, and the log never shows them."""
    engines = start_engines(2, **PULLERS)
    manager = start_manager(engines, environment={"DEBUG": "1"})
    with (
        serving(BRIDGE_IP, credentials="me:secret-of-mine") as registry,
        closing(docker.DockerClient(f"tcp://{manager.address}", timeout=60)) as client,
    ):
        repository = f"{registry.address}/private"
        with pytest.raises(docker.errors.APIError, match=r"basic auth|authentication required|unauthorized"):
            client.images.pull(repository, tag="1")
        credentials = {"username": "me", "password": "secret-of-mine"}
        image = client.images.pull(repository, tag="1", auth_config=credentials)
        assert f"{repository}:1" in image.tags
        assert all(f"{repository}:1" in tags_of(engine) for engine in engines)
        done = manager.docker("pull", f"{repository}:1", check=False)
        assert done.code == 1
    encoded = docker.auth.encode_header(credentials).decode()
    assert "secret-of-mine" not in manager.log
    assert encoded[:40] not in manager.log
