"""The demonstration: three real engines as separate hosts, a manager over them, and a tour with the client.

    python -m tests.hosts.demo up      (again: from the beginning)
    python -m tests.hosts.demo down    (nothing stays: no process, mount, interface, cgroup or file)

The engines are on a bridge in the machine's own network namespace, so their published ports can be visited,
and the manager listens on its 127.0.0.1. All processes are in one sandbox. Needs root.
"""

import contextlib
import os
import shlex
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING

from tests.clients import cli
from tests.hosts import rundir, sandbox
from tests.hosts.fleet import Fleet
from tests.hosts.manager import Manager
from tests.hosts.network import Network, free_subnet

if TYPE_CHECKING:
    from subprocess import Popen

NAME = "demo"
BRIDGE = "swarmdemo"
SUBNETS = [f"10.{number}.0" for number in range(77, 88)]
PORTS = (2376, 12376, 22376)
NODES = 3
UP_DEADLINE_S = 120.0
DIRECTORY = rundir.BASE / NAME
LOG, PID, CLUSTER, SOCKET = "log", "pid", "cluster", "swarmproxy.sock"

RUN = ["run", "-d", "-p", "80:80"]
HELLO = ["busybox", "sh", "-c", 'cd /tmp; echo "hello from $(hostname)" | tee index.html; exec httpd -f']
CONTAINERS = [f"web-{number}" for number in range(1, NODES + 1)]
TOUR = [
    ("what the cluster looks like", ["info"]),
    *(
        ("a container, on the emptiest node", ["run", "-d", "--name", name, "-p", "80:80", *HELLO])
        for name in CONTAINERS
    ),
    ("one list, from all nodes", ["ps"]),
    ("a command in a container, wherever that runs", ["exec", CONTAINERS[1], "uname", "-n"]),
    ("its output", ["logs", CONTAINERS[1]]),
    ("away with them", ["rm", "-f", *CONTAINERS]),
    ("none left", ["ps", "-a"]),
]


def up() -> None:
    """Start the demonstration, show it, leave it running. Raises RuntimeError, then it is gone."""
    sandbox.demand_root()
    down()
    rundir.sweep_dead()
    began_at = time.monotonic()
    path, lock = rundir.create(NAME)
    # Written before the bridge exists: whatever happens now, the watcher knows what to remove.
    (path / rundir.BRIDGES).write_text(BRIDGE)
    rundir.watch(path)
    address = f"127.0.0.1:{free_port()}"
    try:
        with (path / LOG).open("wb") as log:
            command = [sys.executable, "-m", "tests.hosts.demo", "serve", free_subnet(SUBNETS), address]
            process = sandbox.start(
                command, path=path, lock=lock, own_network=False, dies_with_parent=False, output=log.fileno()
            )
        (path / PID).write_text(str(process.pid))
        print(f"starting {NODES} docker engines, each with network and files of its own, and swarmproxy")
        wait_until_serving(process, address)
        print(f"up after {time.monotonic() - began_at:.1f} s\n", flush=True)
        show(address)
    except BaseException as error:
        log_tail = (path / LOG).read_text(errors="replace")[-4000:]
        os.close(lock)
        down()
        if isinstance(error, KeyboardInterrupt):
            raise
        raise RuntimeError(f"the demonstration failed: {error}\n{log_tail}") from error
    os.close(lock)
    print(f"The cluster is yours:  docker -H {address} info")
    print(f"Its nodes are listed in {path / CLUSTER}: edit that and look again. `make demo-stop` ends it all.")


def free_port() -> int:
    """Return the first of PORTS that nobody listens on. Raises RuntimeError."""
    for port in PORTS:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError(f"the ports {PORTS} of 127.0.0.1 are all in use")


def wait_until_serving(process: "Popen[bytes]", address: str) -> None:
    """Wait until a client sees all nodes Healthy. Raises RuntimeError."""
    end = time.monotonic() + UP_DEADLINE_S
    docker = cli()
    while process.poll() is None and time.monotonic() < end:
        seen = docker.run(address, "info", check=False)
        if seen.code == 0 and seen.stdout.count("Status: Healthy") == NODES:
            return
        time.sleep(0.1)
    raise RuntimeError("it ended" if process.poll() is not None else f"no {NODES} healthy nodes in time")


def show(address: str) -> None:
    """Take the tour: each command, and what it prints. Raises RuntimeError when one fails."""
    docker = cli()
    for title, arguments in TOUR:
        print(f"# {title}\n$ docker -H {address} {shlex.join(arguments)}", flush=True)
        done = docker.run(address, *arguments, check=False)
        print(f"{done.stdout}{done.stderr}", flush=True)
        if done.code:
            raise RuntimeError(f"`docker {shlex.join(arguments)}` exits with {done.code}")


def serve(subnet: str, address: str) -> None:
    """Run the engines and the manager until we are killed. Inside of the sandbox."""
    path = sandbox.run_dir()
    cluster = path / CLUSTER
    network = Network(bridge=BRIDGE, subnet=subnet)
    with Fleet(path / "engines", count=NODES, network=network, local=False) as fleet:
        cluster.write_text("".join(f"{engine.own_address}\n" for engine in fleet.engines))
        manager = Manager(path, fleet.engines, address=address, discovery=f"file://{cluster}").start()
        code = manager.wait_for_end()
    raise RuntimeError(f"swarmproxy ended with status {code}:\n{manager.log}")


def down() -> bool:
    """End the demonstration, wait until nothing of it is left, and say whether it ran."""
    ran = rundir.is_alive(DIRECTORY)
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, ValueError):
        if ran:
            os.kill(int((DIRECTORY / PID).read_text()), signal.SIGKILL)
    rundir.try_sweep(DIRECTORY, wait=True)
    while DIRECTORY.exists():  # the watcher was faster, and is at it
        time.sleep(0.02)
    return ran


def main(arguments: list[str]) -> int:
    """Return the exit status for the command line."""
    try:
        match arguments:
            case ["up"]:
                up()
            case ["down"]:
                sandbox.demand_root()
                print("the demonstration is gone" if down() else "no demonstration is running")
            case ["serve", subnet, address]:
                serve(subnet, address)
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except (RuntimeError, PermissionError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
