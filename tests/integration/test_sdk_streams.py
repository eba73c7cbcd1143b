"""docker-py's streams: logs, exec, attach, archives and exports, in both directions."""

import io
import socket
import tarfile
import threading
from typing import Any

import docker
import pytest
from docker.errors import APIError, NotFound
from docker.utils.socket import frames_iter

from tests.hosts.images import add_file
from tests.integration.sdk import forgets_sockets, sleeper
from tests.waiting import wait_until

pytestmark = forgets_sockets

LARGE = bytes(range(256)) * 4096 * 8  # 8 MiB


def archive(**files: bytes) -> bytes:
    """Return a tar of `files`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            add_file(tar, name, content)
    return buffer.getvalue()


def raw(stream: Any) -> socket.socket:
    """Return the socket below what docker-py returns."""
    found: socket.socket = getattr(stream, "_sock", stream)
    return found


def test_logs(endpoint: docker.DockerClient) -> None:
    """Logs hold what was written, apart by stream, with `tail` and time stamps."""
    container = endpoint.containers.run("busybox", ["sh", "-c", "echo one; echo two >&2; echo three"], detach=True)
    container.wait()
    assert container.logs(stderr=False) == b"one\nthree\n"
    assert container.logs(stdout=False) == b"two\n"
    assert len(container.logs(tail=1).splitlines()) == 1
    assert container.logs(stderr=False, timestamps=True).splitlines()[0].endswith(b"Z one")


def test_logs_follow(sdk: docker.DockerClient) -> None:
    """Followed logs come line by line as they are written, and end with the container."""
    script = 'for i in 1 2 3; do echo "line $i"; while [ ! -e "/go$i" ]; do sleep 0.05; done; done'
    container = sdk.containers.run("busybox", ["sh", "-c", script], detach=True)
    stream = container.logs(stream=True, follow=True)
    for number in (1, 2, 3):
        assert next(stream) == f"line {number}\n".encode()
        container.exec_run(["touch", f"/go{number}"])
    assert list(stream) == []


def test_logs_left(sdk: docker.DockerClient) -> None:
    """A client that leaves followed logs leaves nothing open at the engine."""
    container = sleeper(sdk, "web")
    stream = container.logs(stream=True, follow=True)
    stream.close()
    container.remove(force=True)
    assert sdk.containers.list(all=True) == []


def test_exec(endpoint: docker.DockerClient) -> None:
    """Exec returns the output and the exit status, as one, apart, or as a stream."""
    container = sleeper(endpoint)
    script = ["sh", "-c", "echo out; echo err >&2; exit 4"]
    assert container.exec_run(script, stderr=False) == (4, b"out\n")
    assert container.exec_run(script, demux=True) == (4, (b"out\n", b"err\n"))
    streamed = container.exec_run(["seq", "1000"], stream=True).output
    assert b"".join(streamed).split() == [b"%d" % number for number in range(1, 1001)]
    where = {"workdir": "/tmp", "environment": {"A": "b"}, "user": "65534"}
    assert container.exec_run(["sh", "-c", "pwd; echo $A; id -u"], **where).output == b"/tmp\nb\n65534\n"


def test_exec_tty(sdk: docker.DockerClient) -> None:
    """An exec with a terminal has one, of the size that the client sets."""
    container = sleeper(sdk)
    # It says nothing before it is asked: docker-py loses what it reads together with the head of an answer.
    exec_id = sdk.api.exec_create(container.id, ["sh", "-c", "read x; tty; stty size"], tty=True, stdin=True)["Id"]
    stream = raw(sdk.api.exec_start(exec_id, tty=True, socket=True))
    sdk.api.exec_resize(exec_id, height=33, width=99)
    stream.sendall(b"go\n")
    seen = b""
    while piece := stream.recv(4096):
        seen += piece
    stream.close()
    assert b"/dev/pts/" in seen
    assert b"33 99" in seen
    assert sdk.api.exec_inspect(exec_id)["ExitCode"] == 0


def test_exec_detached(sdk: docker.DockerClient) -> None:
    """A detached exec returns at once and runs on."""
    container = sleeper(sdk)
    assert container.exec_run(["sh", "-c", "sleep 0.2; touch /done"], detach=True).exit_code is None
    wait_until(lambda: container.exec_run(["ls", "/done"]).exit_code == 0, "the end of the exec")


def test_exec_stdin(sdk: docker.DockerClient) -> None:
    """An exec reads what the client sends and, when its side ends, answers with all of it."""
    container = sleeper(sdk)
    stream = container.exec_run(["cat"], stdin=True, socket=True).output
    echoed = swap(stream, LARGE)
    assert echoed == LARGE


def swap(stream: Any, data: bytes) -> bytes:
    """Send `data` and the end of it, and return what comes back on stdout meanwhile."""
    connection = raw(stream)

    def send() -> None:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send)
    sender.start()
    back = b"".join(payload for kind, payload in frames_iter(connection, tty=False) if kind == 1)
    sender.join()
    stream.close()
    connection.close()
    return back


def test_exec_errors(sdk: docker.DockerClient) -> None:
    """An exec in a stopped container, and one that is not known, are refused in the daemon's words."""
    stopped = sdk.containers.create("busybox", name="stopped")
    with pytest.raises(APIError, match="is not running") as caught:
        stopped.exec_run(["true"])
    assert caught.value.status_code == 409
    with pytest.raises(NotFound, match="No such exec instance"):
        sdk.api.exec_start("0" * 64)
    with pytest.raises(NotFound, match="No such exec instance"):
        sdk.api.exec_inspect("0" * 64)


def test_attach_socket(sdk: docker.DockerClient) -> None:
    """An attached container reads what the client sends until its side ends, and its answer arrives whole."""
    container = sdk.containers.create("busybox", ["sh", "-c", "cat; echo over"], stdin_open=True)
    stream = container.attach_socket(params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
    container.start()
    assert swap(stream, LARGE) == LARGE + b"over\n"
    assert container.wait()["StatusCode"] == 0


def test_attach(sdk: docker.DockerClient) -> None:
    """An attached client gets what the container writes from its start to its end."""
    container = sdk.containers.create("busybox", ["sh", "-c", "sleep 0.2; seq 1000"])
    # before the start: docker-py loses what comes in one piece with the 101, from an engine too
    stream = container.attach(stream=True)
    container.start()
    assert b"".join(stream).split() == [b"%d" % number for number in range(1, 1001)]


def test_archives(endpoint: docker.DockerClient) -> None:
    """Files go into a container, also a stopped one, and come out of it byte for byte."""
    container = endpoint.containers.create("busybox", name="box")
    assert container.put_archive("/tmp", archive(small=b"hello", large=LARGE))
    chunks, stat = container.get_archive("/tmp/large")
    assert (stat["name"], stat["size"]) == ("large", len(LARGE))
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        [member] = tar.getmembers()
        content = tar.extractfile(member)
        assert content is not None
        assert content.read() == LARGE
    with pytest.raises(NotFound, match="Could not find the file /nowhere"):
        container.get_archive("/nowhere")
    with pytest.raises(NotFound, match="Could not find the file /nowhere"):
        container.put_archive("/nowhere", archive(small=b"hello"))


def test_export(sdk: docker.DockerClient) -> None:
    """An exported container is its whole file system."""
    container = sdk.containers.create("busybox", name="box")
    container.put_archive("/", archive(mark=LARGE))
    with tarfile.open(fileobj=io.BytesIO(b"".join(container.export()))) as tar:
        assert {"mark", "bin/busybox"} <= set(tar.getnames())
        content = tar.extractfile("mark")
        assert content is not None
        assert content.read() == LARGE
