"""`swarmproxy node ...` as an operator types it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.hosts.manager import Manager
from tests.integration.faults import run
from tests.waiting import wait_until

REPOSITORY = Path(__file__).parents[2]
GUARD_S = 60.0


def swarmproxy(manager: Manager, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Return what a command does at `manager`; with `check` it has to succeed."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("SWARM_", "DOCKER_"))}
    done = subprocess.run(
        [sys.executable, "-m", "swarmproxy", *args],
        env={**environment, "PYTHONPATH": str(REPOSITORY), "DOCKER_HOST": f"tcp://{manager.address}"},
        capture_output=True,
        text=True,
        timeout=GUARD_S,
        check=False,
    )
    assert not check or done.returncode == 0, done.stderr
    return done


def nodes(manager: Manager) -> dict[str, Any]:
    """Return what `node ls` tells of each node, by name."""
    listed = json.loads(swarmproxy(manager, "node", "ls", "--format", "json").stdout)
    return {each["Name"]: each for each in listed}


def availability(manager: Manager) -> list[str]:
    """Return that of each node, by name."""
    return [each["Availability"] for _, each in sorted(nodes(manager).items())]


def run_some(manager: Manager, prefix: str, count: int = 3) -> None:
    """Run containers wherever the manager likes."""
    for number in range(count):
        run(manager, f"{prefix}-{number}")


def places(manager: Manager) -> dict[str, str]:
    """Return the node of each container, by its name."""
    listed = manager.get_json("/containers/json?all=1")
    return {
        name.rpartition("/")[2]: name.split("/")[1] for each in listed for name in each["Names"] if name.count("/") == 2
    }


def wait_for_availability(manager: Manager, *wanted: str) -> None:
    """Return when `info`, which every manager answers itself, says so of the nodes."""

    def said() -> list[str]:
        return [value for key, value in manager.system_status() if key == "  └ Availability"]

    wait_until(lambda: said() == list(wanted), f"info to say {wanted}")
