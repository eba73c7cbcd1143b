"""From create to rm: what becomes of a container."""

from tests.integration.client import Docker
from tests.integration.ways import each_endpoint, every_way, one_way
from tests.waiting import PATIENCE_S, wait_until


@every_way
def test_stop_and_start(docker: Docker) -> None:
    """`stop`, `start` and `restart` do what they say, and `ps` shows it at once."""
    docker.start("aa", "--init")
    docker("stop", "aa")
    assert docker.ps() == []
    assert docker.ps("-a", column="{{.State}}") == ["exited"]
    docker("start", "aa")
    assert len(docker.ps()) == 1
    started_at = docker.inspect("aa", "{{.State.StartedAt}}")
    docker("restart", "-t", "0", "aa")
    assert docker.inspect("aa", "{{.State.StartedAt}}") > started_at
    assert docker.ps(column="{{.State}}") == ["running"]


def test_start_attached(docker: Docker) -> None:
    """`start -a` gives the output and the exit status of a container that was only created."""
    docker("create", "-i", "--name", "aa", "busybox", "sh", "-c", "cat; exit 3")
    assert docker.ps("-a", column="{{.State}}") == ["created"]
    done = docker("start", "-ai", "aa", stdin="given\n", check=False)
    assert (done.code, done.stdout) == (3, "given\n")


def test_kill(docker: Docker) -> None:
    """`kill -s` sends that signal, `kill` alone the one that ends."""
    docker.start("aa", command=("sh", "-c", "trap 'echo signalled' USR1; while :; do sleep 0.1; done"))
    wait_until(lambda: "sleep" in docker("top", "aa").stdout, "the shell's trap")
    docker("kill", "-s", "USR1", "aa")
    wait_until(lambda: docker("logs", "aa").stdout == "signalled\n", "the signal")
    docker("kill", "aa")
    assert docker.ps("-a", column="{{.Status}}")[0].startswith("Exited (137)")


def test_pause(docker: Docker) -> None:
    """`pause` and `unpause` are seen by `ps` and `info` at once."""
    docker.start("aa")
    docker("pause", "aa")
    assert "(Paused)" in docker.ps(column="{{.Status}}")[0]
    assert "Paused: 1" in docker("info").stdout
    docker("unpause", "aa")
    assert "(Paused)" not in docker.ps(column="{{.Status}}")[0]


def test_rename(docker: Docker) -> None:
    """A new name holds at once; one that another node's container has is refused in the daemon's words."""
    docker.start("aa")
    taken_by = docker.start("bb")
    docker("rename", "aa", "cc")
    assert {name.rpartition("/")[2] for name in docker.ps()} == {"bb", "cc"}
    assert (
        f'Conflict. The container name "/bb" is already in use by container "{taken_by}". '
        "You have to remove (or rename) that container to be able to reuse that name."
    ) in docker.refused("rename", "cc", "bb")
    docker.start("aa")  # the old name is free


@each_endpoint
def test_name_in_use(docker: Docker) -> None:
    """A name is one container's in the whole cluster, and free again when that is removed."""
    for name in ("aa", "bb"):
        docker.start(name)
    for name in ("aa", "bb"):
        assert f'The container name "/{name}" is already in use by container' in docker.refused(
            "create", "--name", name, "busybox"
        )
    docker("rm", "-f", "aa", "bb")
    for name in ("aa", "bb"):
        docker.start(name)


def test_update(docker: Docker) -> None:
    """`update` changes what a container may use, and what `info` counts as reserved."""
    docker.start("aa", "-m", "64m")
    docker("update", "--memory", "96m", "--memory-swap", "-1", "aa")
    assert docker.inspect("aa", "{{.HostConfig.Memory}}") == str(96 * 1024 * 1024)
    wait_until(lambda: "Reserved Memory: 96 MiB / " in docker("info").stdout, "the new reservation")


@each_endpoint
def test_wait(docker: Docker) -> None:
    """Several clients that wait for one container are all told its exit status."""
    docker.start("aa", command=("sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.1; done"))
    wait_until(lambda: "sleep" in docker("top", "aa").stdout, "the shell's trap")
    with docker.background("wait", "aa") as first, docker.background("wait", "aa") as second:
        docker("kill", "-s", "TERM", "aa")
        for client in (first, second):
            assert client.communicate(timeout=PATIENCE_S)[0] == b"5\n"
    assert docker("wait", "aa").stdout == "5\n"  # one that has ended already


def test_wait_and_remove(docker: Docker) -> None:
    """One who waits is told the exit status of a container that is removed; later it is not found."""
    said = b""
    while not said:  # one who asks too late finds nothing to wait for
        docker.start("aa")
        with docker.background("wait", "aa") as client:
            docker("rm", "-f", "aa")
            said = client.communicate(timeout=PATIENCE_S)[0]
    assert said == b"137\n"
    assert "No such container: aa" in docker.refused("wait", "aa")


def test_remove(docker: Docker) -> None:
    """`rm` refuses a running container; `rm -f -v` removes it with its volume, and its name is free at once."""
    docker.start("aa", "-v", "/data")
    assert "running container" in docker.refused("rm", "aa")
    [volume] = [each for engine in docker.engines for each in engine.get_json("/volumes")["Volumes"] or ()]
    assert docker.inspect("aa", "{{(index .Mounts 0).Name}}") == volume["Name"]
    docker("rm", "-f", "-v", "aa")
    assert docker.ps("-a") == []
    assert not any(engine.get_json("/volumes")["Volumes"] for engine in docker.engines)
    docker.start("aa")


def test_removed_by_itself(docker: Docker) -> None:
    """A container with `--rm` in the background is gone when it ends, and its name is free."""
    docker.start("aa", "--rm", "--init")
    docker("stop", "aa")
    wait_until(lambda: docker.ps("-a") == [], "the end of the container")
    docker.start("aa")


def test_prune(docker: Docker) -> None:
    """`container prune` removes what has ended on all nodes, and says what."""
    ended = {docker("create", "busybox").stdout.strip() for _ in range(4)}
    assert all(engine.get_json("/containers/json?all=1") for engine in docker.engines)
    docker.start("kept")
    said = docker("container", "prune", "-f").stdout
    assert all(container_id in said for container_id in ended)
    assert "Total reclaimed space: 0B" in said
    assert docker.ps("-aq", "--no-trunc", column="{{.ID}}") == docker.ps("-q", "--no-trunc", column="{{.ID}}")
    assert [len(engine.get_json("/containers/json?all=1")) for engine in docker.engines].count(1) == 1


@one_way
def test_several_at_once(docker: Docker) -> None:
    """A command on several containers does those that are there, and names the one that is not."""
    docker.start("aa", "--init")
    for command in ("pause", "unpause", "restart", "stop", "start", "update -c 2", "kill", "wait", "rm"):
        done = docker(*command.split(), "aa", "nope", check=False)
        assert (done.code, done.lines) == (1, ["137" if command == "wait" else "aa"])
        assert "No such container: nope" in done.stderr
