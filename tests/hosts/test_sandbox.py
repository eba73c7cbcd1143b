"""Whatever happens to a sandbox, nothing of it is left on the machine."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.hosts import rundir, sandbox

pytestmark = pytest.mark.engines

REPOSITORY = Path(__file__).parents[2]
PATIENCE_S = 30.0
ENGINE_WITH_CONTAINER = """
from tests.hosts.fleet import Fleet
import time
with Fleet(count=1) as fleet:
    fleet.engines[0].docker("run", "-d", "busybox", "sleep", "1d")
    print("running", flush=True)
    time.sleep(1000)
"""


@pytest.fixture
def base(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the sandboxes of this test have their run directories."""
    # Not tmp_path, which is long: the path of a unix socket has at most 107 bytes.
    path = Path(tempfile.mkdtemp(prefix="", dir=sandbox.run_dir())) / "runs"
    monkeypatch.setenv("SWARMPROXY_RUN_BASE", str(path))
    return path


@contextmanager
def sandboxed(*command: str) -> Iterator["subprocess.Popen[str]"]:
    """Run `command` in a sandbox of its own."""
    arguments = [sys.executable, "-m", "tests.hosts.sandbox", "--", *command]
    environment = {key: value for key, value in os.environ.items() if key not in {sandbox.RUN_DIR, "TMPDIR"}}
    environment["PYTHONPATH"] = str(REPOSITORY)
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment, cwd="/") as process:
        try:
            yield process
        finally:
            process.kill()


def is_swept(base: Path, cgroup: str) -> bool:
    """Say whether neither files nor cgroups of the sandboxes at `base` are left."""
    return not base.exists() and not rundir.cgroups(cgroup) and not processes(str(base))


def processes(text: str) -> list[Path]:
    """Return the processes whose command line has `text` in it, but for watchers of a sandbox."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if text in (command := path.read_text()) and "rundir.py" not in command:
                found.append(path)
    return found


def wait_for(condition: Callable[[], bool]) -> bool:
    """Return whether `condition` came true in time."""
    end = time.monotonic() + PATIENCE_S
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def test_exit_status(base: Path) -> None:
    """A sandbox ends with its command's exit status, and a signal's as a shell would tell it."""
    for script, status in (("exit 5", 5), ("kill -9 $$", 137)):
        with sandboxed("sh", "-c", script) as process:
            assert process.wait(PATIENCE_S) == status
    assert not base.exists()


def test_namespaces_of_its_own(base: Path) -> None:
    """The command sees its own processes and no network but the loopback."""
    with sandboxed("sh", "-c", "echo /proc/[0-9]*; ls /sys/class/net >/dev/null; ip -o link | wc -l") as process:
        out, _ = process.communicate(timeout=PATIENCE_S)
    seen, links = out.splitlines()
    assert len(seen.split()) <= 3
    assert int(links) < int(subprocess.check_output("ip -o link | wc -l", shell=True, text=True)) + 2  # noqa: S602


@pytest.mark.parametrize("victim", ["launcher", "sandbox"])
def test_killed(base: Path, victim: str) -> None:
    """`kill -9` of a sandbox with a running container, or of what launched it, leaves nothing."""
    with sandboxed(sys.executable, "-c", ENGINE_WITH_CONTAINER) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        [directory] = base.iterdir()
        cgroup = rundir.cgroup_of(directory)
        assert rundir.cgroups(cgroup)
        assert processes(str(base))
        if victim == "launcher":
            process.kill()
        else:
            child = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[-1])
            os.kill(child, signal.SIGKILL)
        process.wait(PATIENCE_S)
    assert wait_for(lambda: is_swept(base, cgroup))


def test_terminated(base: Path) -> None:
    """A sandbox that is told to end does so, and has cleaned up when it is gone."""
    with sandboxed("sh", "-c", "echo running; sleep 1000") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        process.terminate()
        process.wait(PATIENCE_S)
    assert is_swept(base, "/none")


def test_side_by_side(base: Path) -> None:
    """Two sandboxes run engines with the same addresses at the same time."""
    with (
        sandboxed(sys.executable, "-c", ENGINE_WITH_CONTAINER) as first,
        sandboxed(sys.executable, "-c", ENGINE_WITH_CONTAINER) as second,
    ):
        for process in (first, second):
            assert process.stdout is not None
            assert process.stdout.readline() == "running\n"
        assert len(list(base.iterdir())) == 2
    assert wait_for(lambda: not base.exists())


def test_next_run_sweeps(base: Path) -> None:
    """What a dead sandbox without a watcher left is removed by the next one; a living one's is not."""
    dead, lock = rundir.create("dead", base)
    os.close(lock)
    (dead / "data").mkdir()
    alive, held = rundir.create("alive", base)
    with sandboxed("true") as process:
        assert process.wait(PATIENCE_S) == 0
    assert not dead.exists()
    assert alive.exists()
    with pytest.raises(BlockingIOError):
        rundir.create("alive", base)
    os.close(held)
    assert rundir.try_sweep(alive, wait=False)
