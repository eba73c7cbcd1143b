"""The walk of docs/swarm-mode.md: every command that stands there, run through the proxy on five engines over TLS.

    python -m tests.hosts.sandbox -- python -m tests.integration.swarm_walk

writes into the document what each prints; `test_swarm_walk.py` checks that it still is the same.
"""

import contextlib
import os
import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.clients import cli
from tests.hosts import sandbox
from tests.hosts.certificates import Certificates
from tests.hosts.fleet import Fleet, at_once
from tests.hosts.manager import REPOSITORY, Manager
from tests.hosts.network import Network
from tests.integration.documents import Reader, Run, steps

DOCUMENT = REPOSITORY / "docs" / "swarm-mode.md"
ENGINES = (("20.10", "a"), ("20.10", "a"), ("28", "b"), ("20.10", "b"), ("28", "c"))
SETTLING_S = 6.0

_CONSOLE = re.compile(r"(?<=^```console\n)(.*?)(?=^```$)", re.DOTALL | re.MULTILINE)
_READS = re.compile(r"^docker (ps|exec|info|run|node ls|service (ls|ps|inspect)) ?")
_SECRET = re.compile(r"(SWMTKN-1|SWMKEY-1)-[-0-9A-Za-z+/]+")
# What differs from run to run.
_CHANCE = (
    (re.compile(r"\b[0-9a-z]{25}\b"), "ID"),
    (re.compile(r"^[0-9a-z]{12}\b"), "ID"),
    (re.compile(r"\b([Aa]bout|[Ll]ess than) an? (second|minute)|\b\d+ (second|minute)s?\b"), "TIME"),
    (re.compile(r"\b\d+\.\d+\.\d+\+\w+"), "VERSION"),
    (re.compile(r"\bnode-[1-5](?=/|\s+Running)"), "NODE"),  # tasks are put on equal nodes as SwarmKit likes
    (re.compile(r"\b10\.0\.\d+\.\d+\b"), "ADDRESS"),
    (re.compile(r"\b[\d.]+:2377\b"), "MANAGER:2377"),  # the hosts of a run have the addresses that are free
    (re.compile(r"\b(Leader|Reachable)\b"), "MANAGER"),  # who leads may change at any time
    (re.compile(r"\s+"), " "),
)
_READER = Reader(reads=_READS, chance=_CHANCE, patience_s=45.0)


def record(run: Run, block: str) -> str:
    """Run the commands of `block` and return it with what they print now."""
    lines = []
    for step in steps(block):
        if _READS.match(step.command):
            time.sleep(SETTLING_S)
        printed = run(step.command)
        lines += [f"$ {step.command}", *(line.rstrip() for line in printed.splitlines())]
    return "\n".join(lines) + "\n"


@contextlib.contextmanager
def pool(network: Network, certificates: Certificates) -> Iterator[Run]:
    """Yield what runs a command in front of a manager over five engines, with TLS everywhere."""
    tls, client = certificates.server, certificates.client
    with Fleet(sandbox.run_dir() / "walk", network=network, prefix="node", tls=tls, client=client) as fleet:
        for version, zone in ENGINES:
            fleet.make(version=version, labels={"zone": zone})
        at_once(engine.poweron for engine in fleet.engines)
        at_once(engine.wait for engine in fleet.engines)
        directory = sandbox.run_dir() / "managers" / "walk"
        arguments = ("--cluster-opt", "swarm.mode=auto")
        manager = Manager(directory, fleet.engines, tls=tls, client=client, engine_client=client, arguments=arguments)
        try:
            manager.start().wait()
            yield shell(manager, directory)
        finally:
            manager.stop()
        assert "Traceback" not in manager.log, manager.log
        assert not _SECRET.search(manager.log), "a token is in the log"


def shell(manager: Manager, directory: Path) -> Run:
    """Return what runs a line as a user's shell does whose `docker` is the client at `manager`."""
    tool = cli("28")
    program = directory / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.join(tool.command(manager.address, tls=manager.client))} "$@"\n')
    program.chmod(0o755)
    environment = {**tool.environment, "PATH": f"{program.parent}:{os.environ['PATH']}"}

    def run(line: str) -> str:
        done = subprocess.run(
            ["sh", "-c", f"{line} 2>&1"],
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=120,
            env=environment,
        )
        return _SECRET.sub(r"\1-...", done.stdout)

    return run


def main() -> None:
    """Write into the document what its commands print."""
    certificates = Certificates.make(sandbox.run_dir() / "certificates")
    with pool(Network().create(), certificates) as run:
        DOCUMENT.write_text(_CONSOLE.sub(lambda found: record(run, found[0]), DOCUMENT.read_text()))
    print(f"wrote {DOCUMENT}")


def walk(run: Run) -> None:
    """Run all that stands in the document. Raises AssertionError where something else is printed now."""
    for block in _CONSOLE.findall(DOCUMENT.read_text()):
        for step in steps(block):
            _READER.check(run, step)


if __name__ == "__main__":
    main()
