"""`docker ps`: names, filters, columns."""

from collections.abc import Callable

import pytest

from tests.hosts.images import busybox_archive
from tests.integration.client import Docker
from tests.integration.ways import each_endpoint, every_way
from tests.waiting import wait_until


@every_way
def test_names(docker: Docker) -> None:
    """The NAMES column shows the node in front of the name."""
    docker.start("aa")
    [engine] = [engine for engine in docker.engines if engine.count_running()]
    assert docker.ps() == [f"{engine.name}/aa"]
    assert docker("ps").lines[1].split()[-1] == f"{engine.name}/aa"


@pytest.mark.parametrize("docker", ["28-tcp"], indirect=True)
def test_names_for_others(docker: Docker) -> None:
    """A client that we do not know gets the plain name first, then the one with the node."""
    docker.start("aa", "-e", "constraint:node==node-2")
    [container] = docker.manager.get_json("/containers/json")
    assert container["Names"] == ["/aa", "/node-2/aa"]


Filtered = tuple[tuple[str, ...], str]


def test_filters(docker: Docker) -> None:
    """Each filter shows the containers it is said to show, of all nodes."""
    first, second = (engine.name for engine in docker.engines)
    for engine in docker.engines:
        engine.load(busybox_archive("other:1", labels={"made": "here"}))
    docker.start("aa", "-e", f"constraint:node=={first}", "-l", "tier=web", "-p", "80", "--expose", "9000")
    aa = docker.inspect("aa", "{{.Id}}")
    on_second = ("-e", f"constraint:node=={second}")
    docker("run", "-d", "--name", "bb", *on_second, "-v", "data:/data", "other:1", "sleep", "1d")
    docker("run", "--name", "cc", "-l", "tier=db", "--network", "none", "busybox", "sh", "-c", "exit 3", check=False)
    docker("create", "--name", "dd", "-l", "tier=db", "busybox")
    shown: list[Filtered] = [
        ((), "bb aa"),
        (("-a",), "dd cc bb aa"),
        (("-n", "2"), "dd cc"),
        (("-l",), "dd"),
        (("-a", "-f", "name=b"), "bb"),
        (("-a", "-f", "name=^/?[ac]+$"), "cc aa"),
        (("-a", "-f", "label=tier"), "dd cc aa"),
        (("-a", "-f", "label=tier=db"), "dd cc"),
        (("-a", "-f", "label=tier=db", "-f", "name=cc"), "cc"),
        (("-f", "status=exited"), "cc"),
        (("-f", "status=created"), "dd"),
        (("-f", "status=running", "-f", "status=exited"), "cc bb aa"),
        (("-f", f"node={first}"), "aa"),
        (("-f", f"node={second}"), "bb"),
        (("-f", "ancestor=other:1"), "bb"),
        (("-f", "ancestor=busybox"), "aa"),
        (("-f", "network=bridge"), "bb aa"),
        (("-a", "-f", "network=none"), "cc"),
        (("-a", "-f", "volume=data"), "bb"),
        (("-a", "-f", "volume=/data"), "bb"),
        (("-a", "-f", "before=cc"), "bb aa"),
        (("-a", "-f", "since=bb"), "dd cc"),
        (("-a", "-f", f"id={aa[:9]}"), "aa"),
        (("-a", "-f", "exited=3"), "cc"),
        (("-a", "-f", "exited=0"), ""),
        (("-a", "-f", "publish=80"), "aa"),
        (("-a", "-f", "expose=9000/tcp"), "aa"),
        (("-a", "-f", "health=none"), "dd cc bb aa"),
        (("-a", "-f", "name=nothing"), ""),
    ]
    found = [(options, names_only(docker, *options)) for options, _ in shown]
    assert found == shown


@each_endpoint
def test_order(docker: Docker) -> None:
    """The newest container comes first, also among those of one second on different nodes."""
    names = [f"number-{number}" for number in range(6)]
    for name in names:
        docker("create", "--name", name, "busybox")
    assert names_only(docker, "-a").split() == names[::-1]
    assert names_only(docker, "-l") == names[-1]
    assert names_only(docker, "-n", "3", "-f", "before=number-4") == "number-3 number-2 number-1"


def test_columns(docker: Docker) -> None:
    """Short and full ids, sizes, templates and tables come out as with one daemon."""
    full = docker.start("aa", "-l", "tier=web", command=("sh", "-c", "echo 12345 > /tmp/five; sleep 1d"))
    assert docker("ps", "-q").lines == [full[:12]]
    assert docker("ps", "-q", "--no-trunc").lines == [full]
    assert docker.ps(column='{{.Label "tier"}} {{.Image}} {{.State}}') == ["web busybox running"]
    assert docker.ps(column="{{.Status}}")[0].startswith("Up ")
    wait_until(lambda: docker("exec", "aa", "cat", "/tmp/five").stdout == "12345\n", "the file")
    assert docker.ps("-s", column="{{.Size}}")[0].startswith("6B (virtual ")
    assert docker("ps").lines[0].split()[:2] == ["CONTAINER", "ID"]


@each_endpoint
def test_bad_filters(docker: Docker) -> None:
    """A filter that is none is refused as by a daemon."""
    assert "invalid" in docker.refused("ps", "-f", "nonsense=1").lower()
    assert "invalid" in docker.refused("ps", "-f", "status=sleeping").lower()
    assert "No such container: nope" in docker.refused("ps", "-f", "before=nope")


def test_changes_made_elsewhere(docker: Docker) -> None:
    """What happens on an engine behind the manager's back is soon seen."""
    engine = docker.engines[0]
    steps: list[tuple[tuple[str, ...], Callable[[], bool]]] = [
        (("run", "-d", "--name", "stray", "busybox", "sleep", "1d"), lambda: names_only(docker) == "stray"),
        (("rename", "stray", "found"), lambda: names_only(docker) == "found"),
        (("kill", "found"), lambda: docker.ps("-a", column="{{.State}}") == ["exited"]),
        (("rm", "found"), lambda: docker.ps("-a") == []),
    ]
    for command, is_seen in steps:
        engine.docker(*command)
        wait_until(is_seen, " ".join(command))


def names_only(docker: Docker, *options: str) -> str:
    """Return the names that `ps` lists, in its order and without their nodes."""
    return " ".join(name.rpartition("/")[2] for name in docker.ps(*options))
