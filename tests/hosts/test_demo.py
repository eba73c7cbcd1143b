"""`make demo` and `make demo-stop`, as typed, but inside of the sandbox of the tests."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients import docker
from tests.hosts import rundir, sandbox
from tests.hosts.demo import BRIDGE
from tests.hosts.network import ip

pytestmark = pytest.mark.engines

REPOSITORY = Path(__file__).parents[2]


def demo(command: str, base: Path) -> "subprocess.CompletedProcess[str]":
    """Return what the demonstration prints."""
    environment = {**os.environ, "SWARMPROXY_RUN_BASE": str(base)}
    command_line = [sys.executable, "-m", "tests.hosts.demo", command]
    return subprocess.run(
        command_line, check=False, capture_output=True, text=True, env=environment, cwd=REPOSITORY, timeout=180
    )


@pytest.fixture
def base() -> Iterator[Path]:
    """Yield a directory for the demonstration, which is ended in any case."""
    path = Path(tempfile.mkdtemp(prefix="", dir=sandbox.run_dir())) / "runs"
    yield path
    demo("down", path)


def test_demo(base: Path) -> None:
    """The demonstration shows three healthy nodes, runs on each, stays up, starts anew, and leaves nothing behind."""
    mounts = Path("/proc/self/mountinfo").read_text()
    for _ in range(2):
        shown = demo("up", base)
        assert shown.returncode == 0, shown.stdout + shown.stderr
        assert shown.stdout.count("Status: Healthy") == 3
        assert all(f"node-{number}/web-" in shown.stdout for number in (1, 2, 3))
        assert "hello from " in shown.stdout
    address = shown.stdout.split("docker -H ")[-1].split()[0]
    assert docker("20.10", address, "info", "--format", "{{.ContainersRunning}}").stdout == "0\n"
    assert demo("down", base).stdout == "the demonstration is gone\n"
    assert demo("down", base).stdout == "no demonstration is running\n"
    assert BRIDGE not in ip("link", "show")
    assert Path("/proc/self/mountinfo").read_text() == mounts
    assert not base.exists()
    assert not rundir.cgroups("/swarmproxy-hosts-demo")
