"""A fleet of some size, two more engines that can be killed, and a manager over all of them."""

import contextlib
import http.client
import os
import re
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fleet.__main__ import address_of
from benchmarks.fleet.control import Control
from benchmarks.processes import Child, free_port, wait_for_port
from benchmarks.rows import DIRECT, HAPROXY
from benchmarks.stand import StandError, Target, find_haproxy, write_haproxy_config

OUR_MANAGER = shlex.quote(sys.executable) + " -m swarmproxy manage -H tcp://127.0.0.1:{port} {nodes}"
FRAGILE = 2  # engines that are processes of their own: one to be killed, one to be stopped
READY_DEADLINE_S = 300.0
ANSWER_DEADLINE_S = 60.0
OTHER_WORK = 5  # times as long as it needs to answer us is a manager left alone while it starts
_CONTAINERS = re.compile(rb'"Containers":\s*([0-9]+)')


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Engines that can be asked. `nodes` is their file, `size` their number."""

    size: int
    containers: int
    nodes: Path
    port: int
    control_path: Path
    control: Control
    refusing: Child
    hung: Child

    @property
    def in_one_process(self) -> int:
        return self.size - FRAGILE

    def direct(self) -> Target:
        """Return the first engine as something to measure."""
        return Target(DIRECT, self.port, None, address_of(0))


@contextmanager
def start_fleet(size: int, containers: int, directory: Path) -> Iterator[Fleet]:
    """Yield a fleet of `size` engines. Raises StandError, RuntimeError."""
    if size <= FRAGILE:
        raise StandError(f"a fleet has more than {FRAGILE} engines")
    with ExitStack() as stack:
        nodes, control_path = directory / "nodes", directory / "control"

        def start(name: str, *options: str) -> Child:
            command = (sys.executable, "-m", "benchmarks.fleet", "--containers", str(containers), *options)
            child = Child(command, directory / f"{name}.log", piped=True)
            stack.callback(child.stop)
            return child

        many = ("--engines", str(size - FRAGILE), "--nodes", str(nodes), "--control", str(control_path))
        children = [
            start("fleet", *many),
            *(start(f"fragile-{each}", "--ports", "--engines", "1", "--first", str(size + each)) for each in range(2)),
        ]
        port, *fragile = (int(child.read_line()) for child in children)
        with nodes.open("a") as file:
            file.writelines(f"127.0.0.1:{each}\n" for each in fragile)
        control = stack.enter_context(Control(control_path))  # before all descriptors of the fleet are taken
        stack.callback(children[2].process.send_signal, signal.SIGCONT)
        yield Fleet(
            size=size,
            containers=containers,
            nodes=nodes,
            port=port,
            control_path=control_path,
            control=control,
            refusing=children[1],
            hung=children[2],
        )


@contextmanager
def start_haproxy(fleet: Fleet, directory: Path) -> Iterator[Target]:
    """Yield HAProxy in front of the first engine. Raises StandError, RuntimeError."""
    port, config = free_port(), directory / "haproxy.cfg"
    write_haproxy_config(config, port, f"{address_of(0)}:{fleet.port}", None)
    child = Child((find_haproxy(), "-db", "-f", config), directory / "haproxy.log")
    try:
        wait_for_port(port, child, READY_DEADLINE_S)
        yield Target(HAPROXY, port, child)
    finally:
        child.stop()


@dataclass(frozen=True, slots=True)
class Ready:
    """A manager that has all engines, and in how many seconds from its start."""

    target: Target
    seconds: float


@contextmanager
def start_manager(name: str, command: str, fleet: Fleet, log: Path) -> Iterator[Ready]:
    """Yield the manager when all engines are healthy and all containers are known. Raises StandError.

    `{port}` and `{nodes}` in `command` stand for where it listens, and for the URL of its engines.
    """
    port = free_port()
    argv = [part.format(port=port, nodes=f"file://{fleet.nodes}") for part in shlex.split(command)]
    begun = time.monotonic()
    child = Child(argv, log)
    try:
        pause_s = least_s = max(0.02, fleet.size / 20_000)
        state = State(0, 0)
        while (state.healthy, state.containers) != (fleet.size, fleet.size * fleet.containers):
            if time.monotonic() > begun + READY_DEADLINE_S or not child.alive:
                said = f"{state.healthy} of {fleet.size} engines are healthy, {state.containers} containers known"
                raise StandError(f"{name} is not ready: {said}, see {log}")
            time.sleep(pause_s)
            asked = time.monotonic()
            with contextlib.suppress(OSError, http.client.HTTPException):
                state = look(port)
            pause_s = max(least_s, OTHER_WORK * (time.monotonic() - asked))
        yield Ready(Target(name, port, child), time.monotonic() - begun)
    finally:
        child.stop()


@dataclass(frozen=True, slots=True)
class State:
    """What a manager says of its cluster."""

    healthy: int
    containers: int


def look(port: int) -> State:
    """Return what `/info` says. Raises OSError, http.client.HTTPException."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_DEADLINE_S)
    try:
        connection.request("GET", "/info")
        body = connection.getresponse().read()
    finally:
        connection.close()
    found = _CONTAINERS.search(body)
    return State(body.count(b'"Healthy"'), int(found[1]) if found else 0)


def kill(child: Child, number: signal.Signals) -> None:
    """Send a signal to the process, which is the leader of its group."""
    os.killpg(child.process.pid, number)
