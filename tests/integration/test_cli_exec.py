"""`docker exec`."""

import hashlib
import os

from tests.integration.client import Docker
from tests.integration.ways import each_endpoint, every_way
from tests.waiting import PATIENCE_S, wait_until

PIPED_BYTES = 20 * 1024 * 1024


@every_way
def test_output(docker: Docker) -> None:
    """A command in a container gives its output, its errors and its exit status."""
    docker.start("aa")
    done = docker("exec", "aa", "sh", "-c", "echo out; echo err >&2; exit 5", check=False)
    assert (done.code, done.stdout, done.stderr) == (5, "out\n", "err\n")


@each_endpoint
def test_pipe(docker: Docker) -> None:
    """20 MB go through a command byte for byte, and its end of input is the client's."""
    docker.start("aa")
    data = os.urandom(PIPED_BYTES)
    done = docker("exec", "-i", "aa", "cat", stdin=data)
    assert hashlib.sha256(done.out).hexdigest() == hashlib.sha256(data).hexdigest()


@each_endpoint
def test_many_small_ones(docker: Docker) -> None:
    """Input of a few bytes reaches each of many commands, whenever it comes."""
    docker.start("aa")
    for number in range(10):
        assert docker("exec", "-i", "aa", "cat", stdin=f"{number}\n").stdout == f"{number}\n"


def test_conversation(docker: Docker) -> None:
    """Each line comes back while the client's stdin stays open."""
    docker.start("aa")
    with docker.background("exec", "-i", "aa", "cat") as client:
        assert client.stdin is not None
        assert client.stdout is not None
        for line in (b"one\n", b"two\n"):
            client.stdin.write(line)
            client.stdin.flush()
            assert client.stdout.readline() == line
        client.stdin.close()
        assert client.wait(PATIENCE_S) == 0


def test_options(docker: Docker) -> None:
    """Variables, working directory and user are as asked for."""
    docker.start("aa")
    done = docker("exec", "-e", "WHO=me", "-w", "/tmp", "-u", "nobody", "aa", "sh", "-c", "echo $WHO $PWD; id -u")
    assert done.lines == ["me /tmp", "65534"]


def test_detached(docker: Docker) -> None:
    """A detached command runs on by itself."""
    docker.start("aa")
    assert docker("exec", "-d", "aa", "sh", "-c", "sleep 0.5; touch /tmp/done").stdout == ""
    wait_until(lambda: docker("exec", "aa", "ls", "/tmp").stdout == "done\n", "the detached command")


def test_on_a_node(docker: Docker) -> None:
    """`node/name` is the container on that node."""
    docker.start("aa")
    [name] = docker.ps()
    node = name.partition("/")[0]
    assert node in {engine.name for engine in docker.engines}
    assert docker("exec", f"{node}/aa", "echo", "there").stdout == "there\n"
    [other] = {engine.name for engine in docker.engines} - {node}
    assert f"No such container: {other}/aa" in docker.refused("exec", f"{other}/aa", "true")


def test_refusals(docker: Docker) -> None:
    """A command that is not there is exit status 126 or 127, a stopped or paused container an error."""
    docker.start("aa")
    assert docker("exec", "aa", "no-such-command", check=False).code in (126, 127)
    docker("pause", "aa")
    assert "paused" in docker.refused("exec", "aa", "true")
    docker("unpause", "aa")
    docker("kill", "aa")
    assert "is not running" in docker.refused("exec", "aa", "true")
