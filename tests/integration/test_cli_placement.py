"""Where containers go."""

from concurrent.futures import ThreadPoolExecutor

from tests.hosts.images import busybox_archive
from tests.integration.client import Docker
from tests.integration.ways import one_way
from tests.waiting import wait_until

MANY = 20


def test_too_large(docker: Docker) -> None:
    """A container that needs more memory than any node has is refused in classic's words."""
    assert "no resources available to schedule container" in docker.refused("run", "-d", "-m", "1000g", "busybox")
    assert docker.ps("-a") == []


def test_constraint(docker: Docker) -> None:
    """Containers with a constraint go to the node it names; one that no node meets is refused."""
    second = docker.engines[1].name
    for name in ("aa", "bb", "cc"):
        docker.start(name, "-e", f"constraint:node=={second}")
    assert set(docker.ps("-f", f"node={second}")) == {f"{second}/{name}" for name in ("aa", "bb", "cc")}
    complaint = docker.refused("run", "-d", "-e", "constraint:node==elsewhere", "busybox")
    assert "Unable to find a node that satisfies the following conditions" in complaint
    assert "node==elsewhere" in complaint


def test_reserved_memory(docker: Docker) -> None:
    """The node with less of its memory reserved gets the next container."""
    docker.start("large", "-m", "1g")
    for name in ("aa", "bb", "cc"):
        docker.start(name, "-m", "100m")
    assert len({docker.inspect(name, "{{.Node.Name}}") for name in ("aa", "bb", "cc")}) == 1
    assert docker.inspect("large", "{{.Node.Name}}") != docker.inspect("aa", "{{.Node.Name}}")


@one_way
def test_image_of_one_node(docker: Docker) -> None:
    """Of equally empty nodes, that with the image is taken; then the emptier one is, and the image is moved there."""
    first, second = docker.engines
    first.load(busybox_archive("greeting:1", cmd=["echo", "hello"], labels={"made": "here"}))
    wait_until(lambda: docker("images", "-q", "greeting").lines, "the image")
    for name, node in (("aa", first), ("bb", second)):
        assert docker("run", "--name", name, "greeting:1").stdout == "hello\n"
        assert docker.inspect(name, "{{.Node.Name}}") == node.name
    assert second.get_json("/images/greeting:1/json")["Id"] == first.get_json("/images/greeting:1/json")["Id"]


@one_way
def test_many_at_once(docker: Docker) -> None:
    """Twenty containers started at the same time are spread evenly, each with a name of its own."""
    with ThreadPoolExecutor(MANY) as clients:
        started = [clients.submit(docker, "run", "-d", "busybox", "sleep", "1d") for _ in range(MANY)]
        ids = {each.result().stdout.strip() for each in started}
    assert len(ids) == MANY
    assert [engine.count_running() for engine in docker.engines] == [MANY / 2, MANY / 2]
    assert len({name.rpartition("/")[2] for name in docker.ps()}) == MANY


@one_way
def test_one_name_many_times(docker: Docker) -> None:
    """Of many who ask for the same name at the same time one gets it, and the others are told that it is taken."""
    with ThreadPoolExecutor(10) as clients:
        asked = [clients.submit(docker, "create", "--name", "wanted", "busybox", check=False) for _ in range(10)]
        done = [each.result() for each in asked]
    assert sorted(each.code for each in done) == [0] + [1] * 9
    assert all('The container name "/wanted" is already in use' in each.stderr for each in done if each.code)
    assert len(docker.ps("-a")) == 1
