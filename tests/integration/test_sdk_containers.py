"""docker-py's container calls do with a cluster what they do with one daemon."""

import docker
import pytest
from docker.errors import APIError, ContainerError, ImageNotFound, NotFound

from tests.hosts.fleet import Fleet
from tests.integration.sdk import forgets_sockets, node_of, sleeper
from tests.waiting import wait_until

pytestmark = forgets_sockets


def test_run(sdk: docker.DockerClient) -> None:
    """Run returns what the container wrote to stdout, to stderr, or to both."""
    script = ["sh", "-c", "echo out; echo err >&2"]
    assert sdk.containers.run("busybox", script, remove=True) == b"out\n"
    assert sdk.containers.run("busybox", script, remove=True, stdout=False, stderr=True) == b"err\n"
    both = sdk.containers.run("busybox", script, remove=True, stdout=True, stderr=True)
    assert sorted(both.splitlines()) == [b"err", b"out"]
    assert sdk.containers.list(all=True) == []


def test_run_failed(sdk: docker.DockerClient) -> None:
    """A command that fails raises ContainerError with its exit status and what it said."""
    with pytest.raises(ContainerError) as caught:
        sdk.containers.run("busybox", ["sh", "-c", "echo bad >&2; exit 3"], remove=True)
    assert (caught.value.exit_status, caught.value.stderr) == (3, b"bad\n")
    assert sdk.containers.list(all=True) == []


def test_run_stream(sdk: docker.DockerClient) -> None:
    """Run with `stream` yields the output while it is written."""
    stream = sdk.containers.run("busybox", ["sh", "-c", "for i in 1 2 3; do echo $i; done"], stream=True)
    assert b"".join(stream) == b"1\n2\n3\n"


def test_run_auto_remove(sdk: docker.DockerClient) -> None:
    """A container with auto_remove is gone from the list once it has ended."""
    container = sleeper(sdk, auto_remove=True)
    container.kill()
    wait_until(lambda: sdk.api.containers(all=True) == [], "the container to go")
    with pytest.raises(NotFound):
        container.reload()


def test_command_not_found(sdk: docker.DockerClient) -> None:
    """A command that is not in the image is refused by the engine, in its words and with its status."""
    with pytest.raises(APIError, match="executable file not found") as caught:
        sdk.containers.run("busybox", ["no-such-program"])
    assert caught.value.status_code == 400
    assert [each.status for each in sdk.containers.list(all=True)] == ["created"]


def test_get(sdk: docker.DockerClient) -> None:
    """A container is found by id, unique prefix, name, and `node/name`."""
    container = sleeper(sdk, "web")
    node = node_of(container)
    for text in (container.id, container.short_id, container.id[:20], container.id[:5], "web", "/web", f"{node}/web"):
        assert sdk.containers.get(text).id == container.id, text
    with pytest.raises(NotFound, match="No such container: nobody"):
        sdk.containers.get("nobody")
    with pytest.raises(NotFound, match="No such container: elsewhere/web"):
        sdk.containers.get("elsewhere/web")


def test_inspect_is_the_engine_s(sdk: docker.DockerClient, fleet: Fleet) -> None:
    """Inspect is what the engine says of the container, with `Node` added."""
    container = sleeper(sdk, "web", environment={"A": "1"}, hostname="inner")
    attrs = sdk.containers.get("web").attrs
    node = attrs.pop("Node")
    [engine] = [each for each in fleet.engines if each.name == node["Name"]]
    assert attrs == engine.get_json(f"/v1.41/containers/{container.id}/json")
    assert (node["Addr"], node["IP"]) == (engine.own_address, engine.cable.ip)
    assert node["ID"] == f"{engine.get_json('/info')['ID']}|{engine.own_address}"


def test_names(sdk: docker.DockerClient) -> None:
    """docker-py, which reads the first name, sees plain names; the node is in the second."""
    container = sleeper(sdk, "web")
    [listed] = sdk.api.containers()
    assert listed["Names"] == ["/web", f"/{node_of(container)}/web"]


def test_list_filters(sdk: docker.DockerClient) -> None:
    """Every filter of the API works on the containers of all nodes, and so does `node`."""
    running = sleeper(sdk, "running", labels={"color": "red"}, ports={"80/tcp": None})
    created = sdk.containers.create("busybox", name="created", labels={"color": "blue"})
    failed = sdk.containers.create("busybox", ["sh", "-c", "exit 3"], name="failed")
    failed.start()
    failed.wait()
    expected: dict[str, list[tuple[str, set[str] | None]]] = {
        "status": [("running", {"running"}), ("created", {"created"}), ("exited", {"failed"})],
        "name": [("run", {"running"}), ("^/?created$", {"created"})],
        "label": [("color", {"running", "created"}), ("color=blue", {"created"})],
        "id": [(running.id, {"running"}), (created.id[:12], {"created"})],
        "exited": [("3", {"failed"})],
        "ancestor": [("busybox", {"running", "created", "failed"}), ("alpine", set())],
        "before": [("failed", {"running", "created"})],
        "since": [("running", {"created", "failed"})],
        "network": [("bridge", {"running", "created", "failed"}), ("none", set())],
        "expose": [("80/tcp", {"running"})],
        "health": [("none", {"running", "created", "failed"})],
        "node": [(f"^{node_of(running)}$", None)],
    }
    for key, cases in expected.items():
        for value, names in cases:
            found = {each.name for each in sdk.containers.list(all=True, filters={key: value})}
            if names is None:
                names = {each.name for each in (running, created, failed) if node_of(each) == node_of(running)}
            assert found == names, (key, value)
    assert [each.name for each in sdk.containers.list(limit=2)] == ["failed", "created"]
    with pytest.raises(APIError, match="invalid filter 'colour'") as caught:
        sdk.containers.list(filters={"colour": "red"})
    assert caught.value.status_code == 400


def test_size(sdk: docker.DockerClient) -> None:
    """A list with sizes asks the engines for them, on all nodes."""
    for name in ("one", "two"):
        sleeper(sdk, name).exec_run(["sh", "-c", "head -c 5000 /dev/zero > /big"])
    sizes = {each["Names"][0]: each["SizeRw"] for each in sdk.api.containers(size=True)}
    assert sizes == {"/one": 5000, "/two": 5000}
    assert all("SizeRw" not in each for each in sdk.api.containers())


def test_life(sdk: docker.DockerClient) -> None:
    """Each change of a container is in the very next list."""
    container = sdk.containers.create("busybox", ["sleep", "1d"], name="cat", init=True)

    def state() -> str:
        [listed] = sdk.api.containers(all=True)
        return str(listed["State"])

    assert state() == "created"
    container.start()
    assert state() == "running"
    container.pause()
    assert state() == "paused"
    container.unpause()
    assert state() == "running"
    container.restart(timeout=1)
    assert state() == "running"
    container.kill("KILL")
    container.wait()
    wait_until(lambda: state() == "exited", "the end")
    container.start()
    container.stop(timeout=1)
    assert state() == "exited"
    container.remove()
    assert sdk.api.containers(all=True) == []


def test_rename(sdk: docker.DockerClient) -> None:
    """A new name holds at once in the whole cluster, and one that is taken on any node is refused."""
    first, second = sleeper(sdk, "first"), sleeper(sdk, "second")
    assert node_of(first) != node_of(second)
    with pytest.raises(APIError, match='The container name "/second" is already in use') as caught:
        first.rename("second")
    assert caught.value.status_code == 409
    first.rename("third")
    assert {each.name for each in sdk.containers.list()} == {"second", "third"}
    assert sdk.containers.get("third").id == first.id
    with pytest.raises(NotFound):
        sdk.containers.get("first")
    second.rename("first")


def test_update(sdk: docker.DockerClient) -> None:
    """An update reaches the container, and the memory it reserves is counted anew."""
    container = sleeper(sdk, "web", mem_limit="64m", memswap_limit="64m")
    container.update(mem_limit="96m", memswap_limit="96m")
    container.reload()
    assert container.attrs["HostConfig"]["Memory"] == 96 * 1024**2
    reserved = [value for key, value in sdk.info()["SystemStatus"] if key == "  └ Reserved Memory"]
    assert sorted(each.split(" / ")[0] for each in reserved) == ["0 B", "96 MiB"]


def test_top_and_diff(sdk: docker.DockerClient) -> None:
    """Top lists the processes, diff the changed files."""
    container = sleeper(sdk, "web")
    container.exec_run(["touch", "/new-file"])
    assert any("trap exit" in " ".join(process) for process in container.top()["Processes"])
    assert {"Path": "/new-file", "Kind": 1} in container.diff()


def test_stats(sdk: docker.DockerClient) -> None:
    """Stats come once, or as a stream that goes on until the client leaves it."""
    container = sleeper(sdk, "web")
    assert container.stats(stream=False)["id"] == container.id
    stream = container.stats(decode=True)
    assert [next(stream)["name"] for _ in range(2)] == ["/web", "/web"]
    stream.close()


@pytest.mark.parametrize("condition", ["not-running", "next-exit", "removed"])
def test_wait(sdk: docker.DockerClient, condition: str) -> None:
    """Wait answers with the exit status when its condition holds."""
    script = "while [ ! -e /go ]; do sleep 0.05; done; exit 5"
    container = sdk.containers.run("busybox", ["sh", "-c", script], detach=True, auto_remove=condition == "removed")
    container.exec_run(["touch", "/go"])
    if condition == "next-exit":
        wait_until(lambda: sdk.containers.list() == [], "the end")
        container.start()  # /go is there: it ends again
    assert container.wait(condition="not-running" if condition == "next-exit" else condition)["StatusCode"] == 5


def test_prune(sdk: docker.DockerClient) -> None:
    """Prune removes the stopped containers of all nodes and says which."""
    stopped = [sdk.containers.create("busybox", name=name) for name in ("one", "two", "three")]
    assert len({node_of(each) for each in stopped}) == 2
    kept = sleeper(sdk, "kept")
    pruned = sdk.containers.prune()
    assert sorted(pruned["ContainersDeleted"]) == sorted(each.id for each in stopped)
    assert sdk.containers.list(all=True) == [kept]
    assert sdk.containers.prune(filters={"label": "nobody"})["ContainersDeleted"] in (None, [])


def test_commit(sdk: docker.DockerClient) -> None:
    """A committed container is an image, in the next list and to be run."""
    container = sleeper(sdk, "web")
    container.exec_run(["sh", "-c", "echo made > /here"])
    image = container.commit(repository="made", tag="1")
    assert "made:1" in {tag for each in sdk.images.list() for tag in each.tags}
    assert sdk.images.get("made:1").id == image.id
    assert sdk.containers.run("made:1", ["cat", "/here"], remove=True) == b"made\n"


def test_low_level(sdk: docker.DockerClient) -> None:
    """The low-level API creates, starts, resizes and inspects."""
    host = sdk.api.create_host_config(port_bindings={80: None}, mem_limit="32m")
    created = sdk.api.create_container(
        "busybox", ["sleep", "1d"], name="low", tty=True, stdin_open=True, ports=[80], host_config=host
    )
    assert set(created) == {"Id", "Warnings"}
    sdk.api.start(created["Id"])
    sdk.api.resize("low", height=40, width=100)
    attrs = sdk.api.inspect_container("low")
    assert attrs["Id"] == created["Id"]
    assert {each["HostIp"] for each in attrs["NetworkSettings"]["Ports"]["80/tcp"]} == {attrs["Node"]["IP"]}
    sdk.api.remove_container("low", force=True)


def test_errors(sdk: docker.DockerClient) -> None:
    """Errors are docker-py's own kinds, with the daemon's words."""
    container = sleeper(sdk, "web")
    with pytest.raises(APIError, match='The container name "/web" is already in use by') as caught:
        sdk.containers.create("busybox", name="web")
    assert caught.value.status_code == 409
    with pytest.raises(APIError, match="You cannot remove a running container") as caught:
        container.remove()
    assert caught.value.status_code == 409
    with pytest.raises(APIError, match="is not paused"):
        container.unpause()
    with pytest.raises(APIError, match="Invalid container name"):
        sdk.containers.create("busybox", name="no good")
    with pytest.raises(ImageNotFound, match="No such image: nothing"):
        sdk.images.get("nothing")
    with pytest.raises(APIError) as caught:
        sdk.containers.create("10.77.0.1:1/missing")
    assert "10.77.0.1:1" in caught.value.explanation
