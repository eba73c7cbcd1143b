"""`swarmproxy explain` against a running manager: it says what `docker run` then does."""

import json
import subprocess
import sys

from tests.conftest import StartEngines, StartManager
from tests.hosts.manager import REPOSITORY, Manager
from tests.integration.client import Docker
from tests.integration.ways import one_way


def explain(manager: Manager, *arguments: str, stdin: str = "") -> tuple[int, str]:
    """Return exit status and output of the command."""
    host = ("-H", f"tcp://{manager.address}")
    done = subprocess.run(
        [sys.executable, "-m", "swarmproxy", "explain", *host, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin"},
    )
    return done.returncode, done.stdout + done.stderr


@one_way
def test_where(docker: Docker) -> None:
    """The node that it names is the one where the container then runs."""
    docker.start("first")
    code, said = explain(docker.manager, "-m", "16m", "-e", "affinity:container!=first", "busybox")
    assert code == 0
    docker.start("second", "-m", "16m", "-e", "affinity:container!=first")
    assert said.startswith(f"The container would go to {docker.inspect('second', '{{.Node.Name}}')}.\n")
    assert "by affinity container!=first" in said


@one_way
def test_why_not(docker: Docker) -> None:
    """What cannot be placed is refused in the words that `docker run` gets, with a reason for each node."""
    docker.start("first", "-p", "8080:80")
    home = docker.inspect("first", "{{.Node.Name}}")
    other = next(engine.name for engine in docker.engines if engine.name != home)
    flags = ("-p", "8080:81", "-e", f"constraint:node=={home}")
    code, said = explain(docker.manager, *flags, "busybox")
    assert code == 1
    reasons = {
        line.split()[0]: line.split("  ")[-1].strip()
        for line in said.splitlines()
        if line.split()[:1] in ([home], [other])
    }
    assert reasons == {home: "by port 8080/tcp", other: f"by constraint node=={home}"}
    complaint = docker.refused("run", "-d", *flags, "busybox")
    assert f"0 of 2 nodes: 1 by constraint node=={home}, 1 by port 8080/tcp" in complaint
    body = json.dumps({"Image": "busybox", "Env": ["constraint:node==nowhere"]})
    assert "2 by constraint node==nowhere" in explain(docker.manager, "--file", "-", stdin=body)[1]
    assert explain(docker.manager, "--name", "first", "busybox")[1].startswith("Error: Conflict.")


def test_node_down(start_engines: StartEngines, start_manager: StartManager) -> None:
    """A node that does not answer is counted as one that is unhealthy."""
    engines = start_engines(2)
    manager = start_manager(engines, arguments=["--engine-refresh-min-interval", "1s"])
    engines[0].crash()
    manager.wait_until(lambda: manager.states().count("Healthy") == 1, "the loss to be noticed")
    code, said = explain(manager, "-m", "1000g", "busybox")
    assert (code, "0 of 2 nodes: 1 out of memory, 1 unhealthy" in said) == (1, True)
