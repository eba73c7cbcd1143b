"""Images that a node cannot pull, on real engines: they are brought from the node that holds them."""

import json
from collections.abc import Iterator

import pytest

from tests.conftest import StartEngines, StartManager
from tests.hosts import registry
from tests.hosts.engine import Engine
from tests.hosts.images import busybox_archive
from tests.hosts.manager import Manager
from tests.hosts.network import Network
from tests.integration.faults import refusal
from tests.integration.test_rescheduling import POLICY, SOON, node_of, run
from tests.integration.test_rescheduling import held as running
from tests.waiting import wait_until

NOT_THERE = "missing/app:1"  # what the registry does not have


@pytest.fixture
def source(network: Network) -> Iterator[registry.Registry]:
    """Yield a registry that all engines reach."""
    with registry.serving(f"{network.subnet}.1") as serving:
        yield serving


def held(engine: Engine, tag: str) -> str:
    """Return the ID of the image with this tag; empty if the engine has none."""
    return next((each["Id"] for each in engine.get_json("/images/json") if tag in (each["RepoTags"] or ())), "")


def wait_for_image(manager: Manager, tag: str) -> None:
    manager.wait_until(
        lambda: any(tag in (each["RepoTags"] or ()) for each in manager.get_json("/images/json")), f"{tag} in the list"
    )


def create(manager: Manager, image: str, node: Engine) -> tuple[int, bytes]:
    body = {"Image": image, "Env": [f"constraint:node=={node.name}"]}
    return manager.request("POST", "/containers/create", json.dumps(body).encode())


def test_moved_for_a_create(engines: list[Engine], start_manager: StartManager, source: registry.Registry) -> None:
    """A container runs on the node that it was placed on, though only another one has its image."""
    tag = f"{source.address}/{NOT_THERE}"
    engines[1].load(busybox_archive(tag, labels={"moved": "yes"}))
    manager = start_manager(engines)
    wait_for_image(manager, tag)
    assert create(manager, tag, engines[0])[0] == 201
    assert held(engines[0], tag) == held(engines[1], tag) != ""
    [container] = engines[0].get_json("/containers/json?all=1")
    assert container["Image"] == tag
    assert "image moved" in manager.log


def test_moved_by_id(engines: list[Engine], start_manager: StartManager) -> None:
    """An image that is named by its ID, which no registry knows, is moved as well."""
    engines[1].load(busybox_archive("only:1", labels={"moved": "by id"}))
    image_id = held(engines[1], "only:1")
    manager = start_manager(engines)
    wait_for_image(manager, "only:1")
    assert create(manager, image_id, engines[0])[0] == 201
    assert image_id in {each["Id"] for each in engines[0].get_json("/images/json")}


def test_switched_off(engines: list[Engine], start_manager: StartManager, source: registry.Registry) -> None:
    """With swarm.imagemove=off containers go where their image is, even if another node is emptier, or are refused."""
    tag = f"{source.address}/{NOT_THERE}"
    engines[1].load(busybox_archive(tag))
    manager = start_manager(engines, arguments=["--cluster-opt", "swarm.imagemove=off"])
    wait_for_image(manager, tag)
    assert create(manager, tag, engines[0])[0] == 500
    assert held(engines[0], tag) == ""
    for count in (1, 2):
        assert manager.request("POST", "/containers/create", json.dumps({"Image": tag}).encode())[0] == 201
        assert len(engines[1].get_json("/containers/json?all=1")) == count


def test_nowhere(engines: list[Engine], start_manager: StartManager, source: registry.Registry) -> None:
    """An image that no node holds is refused with what the registry said."""
    manager = start_manager(engines)
    wanted = {"Image": f"{source.address}/{NOT_THERE}"}
    status, message = refusal(manager, "POST", "/containers/create", wanted)
    assert (status, "manifest unknown" in message) == (500, True)


def test_pull_moves(engines: list[Engine], start_manager: StartManager, source: registry.Registry) -> None:
    """A pull brings the image to the nodes that cannot pull it, and shows that; the registry's refusal is told too."""
    tag = f"{source.address}/{NOT_THERE}"
    engines[1].load(busybox_archive(tag))
    manager = start_manager(engines)
    wait_for_image(manager, tag)
    done = manager.docker("pull", tag, check=False)
    assert held(engines[0], tag) == held(engines[1], tag)
    assert f"Moving from {engines[1].name}" in done.stdout
    assert (done.code, "manifest unknown" in done.stderr) == (1, True)


def test_pull_of_one_is_enough(engines: list[Engine], start_manager: StartManager, source: registry.Registry) -> None:
    """Where one node can pull and another cannot, both have the image afterwards, and the pull is a success."""
    tag = f"{source.address}/app:1"
    source.unknown_to.add(engines[0].cable.ip)
    manager = start_manager(engines)
    done = manager.docker("pull", tag)
    assert f"Moving from {engines[1].name}" in done.stdout
    assert held(engines[0], tag) == held(engines[1], tag) != ""


def test_moved_with_a_container(
    engines: list[Engine], start_engines: StartEngines, start_manager: StartManager, source: registry.Registry
) -> None:
    """A container that moves, off a node that is drained or that has failed, has its image brought to where it goes."""
    tag = f"{source.address}/{NOT_THERE}"
    first, second = engines
    [lost] = start_engines(1)
    lost.load(busybox_archive(tag))
    manager = start_manager([*engines, lost], arguments=SOON)
    wait_for_image(manager, tag)
    run(manager, "web", node=lost.name, env=[POLICY, f"constraint:node!={second.name}"], Image=tag)
    assert manager.request("POST", f"/swarmproxy/v1/nodes/{lost.name}/drain")[0] == 200
    wait_until(lambda: node_of(manager, "web") == first.name, "the container to move")
    assert held(first, tag) == held(lost, tag) != ""
    assert manager.request("POST", f"/swarmproxy/v1/nodes/{lost.name}/activate")[0] == 200
    run(manager, "other", node=lost.name, env=[POLICY, f"constraint:node!={first.name}"], Image=tag)
    assert held(second, tag) == ""
    lost.crash()
    wait_until(lambda: node_of(manager, "other") == second.name, "the replacement")
    assert held(second, tag) == held(first, tag)
    wait_until(lambda: running(second) == {"other": "running"}, "its start")


OF_CONTAINERD = ["--feature", "containerd-snapshotter=true", "--storage-driver", "overlayfs"]


@pytest.mark.parametrize("arguments", [[], OF_CONTAINERD], ids=["overlay2", "containerd"])
def test_between_versions(
    engines: list[Engine], start_engines: StartEngines, start_manager: StartManager, arguments: list[str]
) -> None:
    """Images move between engines of different ages, and between stores that give them different IDs."""
    [newer] = start_engines(1, version="28", arguments=arguments)
    older = engines[0]
    older.load(busybox_archive("from-older:1", labels={"from": "older"}))
    newer.load(busybox_archive("from-newer:1", labels={"from": "newer"}))
    manager = start_manager([older, newer])
    for tag, to in (("from-older:1", newer), ("from-newer:1", older)):
        wait_for_image(manager, tag)
        assert create(manager, tag, to)[0] == 201
        assert held(to, tag)
        assert (held(older, tag) == held(newer, tag)) is not bool(arguments)
