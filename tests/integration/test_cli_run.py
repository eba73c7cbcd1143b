"""`docker run`: placing, output, input, exit status, signals."""

import hashlib
import json
import os
import signal
from pathlib import Path

import pytest

from tests.integration.client import Docker
from tests.integration.ways import each_endpoint, every_way
from tests.waiting import PATIENCE_S, wait_until

PIPED_BYTES = 100 * 1024 * 1024


@every_way
def test_detached(docker: Docker) -> None:
    """Two containers started in the background run on different nodes, and `ps` shows both."""
    ids = {docker.start(name) for name in ("aa", "bb")}
    assert [engine.count_running() for engine in docker.engines] == [1, 1]
    assert set(docker.ps("--no-trunc", column="{{.ID}}")) == ids


@every_way
def test_foreground(docker: Docker) -> None:
    """A container in the foreground gives its output, its errors and its exit status; `--rm` removes it."""
    done = docker("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 3", check=False)
    assert (done.code, done.stdout, done.stderr) == (3, "out\n", "err\n")
    assert docker.ps("-a") == []


@every_way
def test_stdin(docker: Docker) -> None:
    """The end of stdin reaches the container, whose output then still comes."""
    command = ("run", "-i", "--rm", "busybox", "sh", "-c", "cat; sleep 0.3; echo end")
    assert docker(*command, stdin="x\n").stdout == "x\nend\n"


@pytest.mark.parametrize("docker", ["28-tcp", "20.10-unix", "20.10-tls", "28-tls"], indirect=True)
def test_pipe(docker: Docker) -> None:
    """100 MB go through a container byte for byte, in both directions at the same time."""
    data = os.urandom(PIPED_BYTES)
    script = "tee /tmp/got; sha256sum < /tmp/got >&2"
    done = docker(
        *("run", "-i", "--rm", "--log-driver", "none", "busybox", "sh", "-c", script),
        stdin=data,
        timeout_s=2 * PATIENCE_S,
    )
    sum_here = hashlib.sha256(data).hexdigest()
    assert done.stderr.split()[0] == sum_here
    assert hashlib.sha256(done.out).hexdigest() == sum_here


@each_endpoint
def test_conversation(docker: Docker) -> None:
    """Each line comes back while stdin stays open, and the client ends with its container all the same."""
    script = "while read line; do echo $line; [ $line = quit ] && exit 0; done"
    with docker.background("run", "-i", "--rm", "busybox", "sh", "-c", script) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        for line in (b"one\n", b"two\n", b"quit\n"):
            client.stdin.write(line)
            client.stdin.flush()
            assert client.stdout.readline() == line
        assert client.wait(PATIENCE_S) == 0


def test_exit_status_without_a_start(docker: Docker) -> None:
    """Exit status 127 is a command that is not there, 126 one that cannot run, 125 the daemon's own refusal."""
    for arguments, code in (
        (("busybox", "no-such-command"), 127),
        (("busybox", "/etc"), 126),
        (("registry.invalid/none:1",), 125),
    ):
        assert docker("run", "--rm", *arguments, check=False).code == code


def test_stays(docker: Docker) -> None:
    """Without `--rm` the container stays, with its exit status, its output and its command."""
    docker("run", "--name", "ended", "busybox", "sh", "-c", "echo said; exit 4", check=False)
    assert docker.ps("-a", column="{{.Status}}")[0].startswith("Exited (4)")
    assert docker.ps() == []
    assert docker("logs", "ended").stdout == "said\n"
    assert json.loads(docker.inspect("ended", "{{json .Args}}")) == ["-c", "echo said; exit 4"]


@each_endpoint
def test_signals_are_passed_on(docker: Docker) -> None:
    """A signal to the client reaches the container, whose exit status becomes the client's."""
    script = "trap 'echo got it; exit 9' TERM; echo ready; while :; do sleep 0.1; done"
    with docker.background("run", "--rm", "busybox", "sh", "-c", script) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"ready\n"
        client.send_signal(signal.SIGTERM)
        assert client.stdout.readline() == b"got it\n"
        assert client.wait(PATIENCE_S) == 9


@pytest.mark.parametrize("docker", ["20.10-tls"], indirect=True)  # newer ones ignore one interrupt
def test_signals_kept_back(docker: Docker) -> None:
    """With `--sig-proxy=false` an interrupted client leaves its container running."""
    command = ("sh", "-c", "echo ready; sleep 1d")
    with docker.background("run", "--name", "kept", "--sig-proxy=false", "busybox", *command) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"ready\n"
        client.send_signal(signal.SIGINT)
        client.wait(PATIENCE_S)
    assert docker.inspect("kept", "{{.State.Running}}") == "true"


def test_attach(docker: Docker) -> None:
    """`attach` gives the output from now on, takes input, and ends with the container's exit status."""
    script = "while read line; do echo got $line; [ $line = end ] && exit 6; done"
    docker.start("open", "-i", command=("sh", "-c", script))
    with docker.background("attach", "open") as client:
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(b"hello\n")
        client.stdin.flush()
        assert client.stdout.readline() == b"got hello\n"
        client.stdin.write(b"end\n")
        client.stdin.flush()
        assert client.stdout.readline() == b"got end\n"
        assert client.wait(PATIENCE_S) == 6


def test_two_readers(docker: Docker) -> None:
    """Two attached clients each see all output."""
    docker.start("open", "-i", command=("cat",))
    listen = ("attach", "--no-stdin", "open")
    with docker.background(*listen) as first, docker.background("attach", "open") as second:
        assert first.stdout is not None
        assert second.stdin is not None
        assert second.stdout is not None
        # two streams besides what `run -d` left: both are attached
        wait_until(lambda: attached(docker, "open") >= 2, "two attached clients")
        second.stdin.write(b"both\n")
        second.stdin.flush()
        assert [each.stdout.readline() for each in (first, second) if each.stdout] == [b"both\n"] * 2


def attached(docker: Docker, name: str) -> int:
    """Return how often clients attached to `name` so far."""
    done = docker("events", "--since", "5m", "--until", "0s", "--filter", f"container={name}")
    return sum(" attach " in line for line in done.lines)


def test_environment_and_files(docker: Docker, tmp_path: Path) -> None:
    """Variables, working directory, user, host name and an id file are as asked for."""
    id_file = tmp_path / "id"
    done = docker(
        *("run", "--name", "kept", "--cidfile", str(id_file), "-e", "WHO=me", "-w", "/tmp", "-u", "nobody"),
        *("-h", "there", "busybox", "sh", "-c", "echo $WHO $PWD $(whoami) $(hostname)"),
    )
    assert done.stdout == "me /tmp nobody there\n"
    assert id_file.read_text() == docker.inspect("kept", "{{.Id}}")


def test_published_port(docker: Docker) -> None:
    """A published port is shown at the address of the container's node."""
    docker.start("web", "-p", "8080:80", "-e", "constraint:node==*-2")
    ip = docker.engines[1].cable.ip
    assert f"{ip}:8080" in docker("port", "web", "80").lines
    assert f"{ip}:8080->80/tcp" in docker.ps(column="{{.Ports}}")[0]
