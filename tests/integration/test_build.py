"""Building over two engines 20.10: on one node, found afterwards, and ended when its client goes."""

import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.hosts.fleet import Fleet
from tests.hosts.manager import Manager
from tests.integration.builders import FILES, WAYS, build, holders, packed, start, written
from tests.integration.client import Docker
from tests.waiting import wait_until

MIB = 1024 * 1024
LONG = "314159"  # seconds that nothing else sleeps
every_builder = pytest.mark.parametrize("how", WAYS)


@pytest.fixture
def context(tmp_path: Path) -> str:
    """Return a directory to build."""
    return written(tmp_path / "context", FILES)


@every_builder
def test_built_and_used(front: Manager, fleet: Fleet, context: str, how: str) -> None:
    """What is built is on one node and listed at once; `tag`, `run`, `history` and `rmi` find it."""
    build(front, how, "-t", "made:1", context)
    assert "made:1" in front.docker("images", "--format", "{{.Repository}}:{{.Tag}}").lines
    [node] = holders(fleet.engines, "made:1")
    front.docker("tag", "made:1", "made:2")
    assert holders(fleet.engines, "made:2") == [node]
    for _ in range(2):  # the other node becomes the emptier one
        front.docker("run", "-d", "busybox", "sleep", "1d")
        assert front.docker("run", "made:1").stdout == "hello\n"
    assert "/greeting" in front.docker("history", "--no-trunc", "made:2").stdout
    for tag in ("made:2", "made:1"):
        front.docker("rmi", "-f", tag)
    assert holders(fleet.engines, "made:1") == []


@every_builder
def test_failed(front: Manager, tmp_path: Path, how: str) -> None:
    """A step that fails makes the client fail with the step's own output."""
    directory = written(tmp_path / "bad", {"Dockerfile": "FROM busybox\nRUN echo because; exit 7\n"})
    done = build(front, how, "-t", "bad:1", directory, check=False)
    assert done.code != 0
    assert "because" in done.stdout + done.stderr


@pytest.mark.parametrize("how", ["legacy-20.10", "buildkit-20.10", "buildx-28"])
def test_contexts(front: Manager, context: str, how: str) -> None:
    """A Dockerfile comes from stdin, alone or beside a directory, and so does a whole context."""
    build(front, how, "-t", "made:1", "-f", "-", context, stdin="FROM busybox\nCOPY greeting /other\nCMD cat /other\n")
    assert front.docker("run", "--rm", "made:1").stdout == "hello\n"
    build(front, how, "-t", "made:2", "-", stdin="FROM busybox\nRUN echo alone > /greeting\nCMD cat /greeting\n")
    assert front.docker("run", "--rm", "made:2").stdout == "alone\n"
    build(front, how, "-t", "made:3", "-", stdin=packed({**FILES, "greeting": "packed\n"}))
    assert front.docker("run", "--rm", "made:3").stdout == "packed\n"


@pytest.mark.parametrize(("how", "by"), [("legacy-28", "argument"), ("buildkit-20.10", "label")])
def test_constrained(front: Manager, fleet: Fleet, context: str, how: str, by: str) -> None:
    """A constraint among build arguments or labels places the build, and the engine does not hear of it."""
    for engine in reversed(fleet.engines):
        option = (
            ("--build-arg", f"constraint:node=={engine.name}")
            if by == "argument"
            else ("--label", f'com.docker.swarm.constraints=["node=={engine.name}"]')
        )
        done = build(front, how, "-t", "made:1", "--label", "kept=yes", *option, context)
        assert "not consumed" not in done.stdout + done.stderr
        assert holders(fleet.engines, "made:1") == [engine]
        assert engine.get_json("/images/made:1/json")["Config"]["Labels"] == {"kept": "yes"}
        front.docker("rmi", "made:1")
    done = build(front, how, "--build-arg", "constraint:node==nowhere", context, check=False)
    assert done.code != 0
    assert "node==nowhere" in done.stdout + done.stderr


@pytest.mark.parametrize("how", ["legacy-28", "buildx-28"])
def test_large_context(front: Manager, tmp_path: Path, how: str) -> None:
    """A context of 64 MiB is passed on as it comes: the manager does not hold it."""
    directory = written(tmp_path / "large", {"Dockerfile": "FROM scratch\nCOPY large /large\n"})
    with (tmp_path / "large" / "large").open("wb") as large:
        large.truncate(64 * MIB)
    before = peak_bytes(front.pid)
    build(front, how, "-t", "large:1", directory)
    assert front.get_json("/images/large:1/json")["Size"] == 64 * MIB
    assert peak_bytes(front.pid) - before < 16 * MIB


def test_side_by_side(front: Manager, fleet: Fleet, tmp_path: Path) -> None:
    """Two builds of one client with buildx, at the same time, both work."""
    directories = [
        written(
            tmp_path / name, {**FILES, "greeting": f"{name}\n", "Dockerfile": FILES["Dockerfile"] + "RUN sleep 1\n"}
        )
        for name in ("one", "two")
    ]
    with ThreadPoolExecutor() as pool:
        done = [pool.submit(build, front, "buildx-28", "-t", f"{Path(each).name}:1", each) for each in directories]
        for each in done:
            each.result()
    for name in ("one", "two"):
        assert front.docker("run", "--rm", f"{name}:1").stdout == f"{name}\n"


@pytest.mark.parametrize("how", ["legacy-20.10", "buildkit-20.10", "buildx-28"])
def test_spread(front: Manager, fleet: Fleet, tmp_path: Path, how: str) -> None:
    """Builds of two clients (here one on TCP and one on the unix socket) at the same time are on different nodes."""
    slow = written(tmp_path / "slow", {"Dockerfile": f"FROM busybox\nRUN sleep 3; true {LONG} {how}\n"})
    quick = written(tmp_path / "quick", FILES)
    with start(front, how, "-t", "slow:1", slow) as first:
        wait_until(sleepers, "the first build")
        with start(front, how, "-t", "quick:1", quick, host=f"unix://{front.socket_path}") as second:
            assert second.wait(60) == 0
        assert first.wait(60) == 0
    assert sorted(engine.name for tag in ("slow:1", "quick:1") for engine in holders(fleet.engines, tag)) == sorted(
        engine.name for engine in fleet.engines
    )


@every_builder
def test_cancelled(front: Manager, tmp_path: Path, how: str) -> None:
    """Control-C ends the client, and the step that runs on the engine."""
    directory = written(tmp_path / "slow", {"Dockerfile": f"FROM busybox\nRUN sleep {LONG}\n"})
    with start(front, how, "-t", "slow:1", directory) as process:
        wait_until(sleepers, "the step")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) != 0
    wait_until(lambda: not sleepers(), "the end of the step")


def test_secret(front: Manager, tmp_path: Path) -> None:
    """A secret reaches the build from the client's own files."""
    directory = written(
        tmp_path / "secret",
        {"Dockerfile": "FROM busybox\nRUN --mount=type=secret,id=key cat /run/secrets/key > /seen\nCMD cat /seen\n"},
    )
    (tmp_path / "key").write_text("hush\n")
    build(front, "buildx-28", "--secret", f"id=key,src={tmp_path / 'key'}", "-t", "made:1", directory)
    assert front.docker("run", "--rm", "made:1").stdout == "hush\n"


@pytest.mark.parametrize("docker", ["28-tls"], indirect=True)
def test_secure(docker: Docker, context: str) -> None:
    """Through TLS on both sides, legacy builder and buildx work as well."""
    build(docker.manager, "legacy-28", "-t", "made:1", context)
    build(docker.manager, "buildx-28", "-t", "made:2", context)
    build(docker.manager, "buildkit-20.10", "-t", "made:3", context)
    for tag in ("made:1", "made:2", "made:3"):
        assert docker("run", "--rm", tag).stdout == "hello\n"


def peak_bytes(pid: int) -> int:
    """Return the most memory that a process ever had."""
    status = (Path("/proc") / str(pid) / "status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


def sleepers() -> list[str]:
    """Return the processes, on any engine, of steps that take long."""
    return subprocess.run(["pgrep", "-f", LONG], check=False, capture_output=True, text=True).stdout.split()
