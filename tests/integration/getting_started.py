"""The walk of docs/getting-started.md: every command that stands there, typed into one shell.

    python -m tests.hosts.sandbox -- python -m tests.integration.getting_started

writes into the document what each prints; `test_getting_started.py` checks that it still is the same.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.processes import free_port
from tests.clients import cli
from tests.discovery.servers.etcd import Etcd
from tests.hosts import sandbox
from tests.hosts.certificates import Pair
from tests.hosts.fleet import Fleet, at_once
from tests.hosts.manager import REPOSITORY
from tests.hosts.network import Network
from tests.integration.documents import Reader, steps

DOCUMENT = REPOSITORY / "docs" / "getting-started.md"
ENGINES_RUN = "<!-- engines and the store run from here on -->"
NODES = {"node-1": "10.0.0.11", "node-2": "10.0.0.12", "node-3": "10.0.0.13"}
STORE = "127.0.0.1:2379"
PORTS = ("2376", "2377", "2378", "9101", "9102", "9103", "9201", "9202", "9203")

_BLOCK = re.compile(r"^```(console|toml \S+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_READS = re.compile(r"^(swarmproxy list|docker_as \w+ (ps|info)|curl|cat) ?")
# What differs from run to run.
_CHANCE = (
    (re.compile(r"\b[0-9a-f]{64}\b|\b[0-9a-f]{12}\b"), "ID"),
    (re.compile(r"\bnode-[1-3](?=/)"), "NODE"),  # equal nodes are taken in the order of their addresses
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z"), "TIME"),
    (re.compile(r'"(duration_s|request_id|remote|bytes_in|bytes_out|sent_bytes|received_bytes)":[^,}]+'), r'"\1":_'),
    (re.compile(r"\s+"), " "),
)
_READER = Reader(reads=_READS, chance=_CHANCE, patience_s=60.0)


class Shell:
    """A bash in which one command is typed after the other. `real` gives what stands for the document's addresses."""

    def __init__(self, directory: Path, real: dict[str, str]) -> None:
        self._real = real
        programs = directory / "bin"
        programs.mkdir(parents=True)
        for name, command in (("docker", str(cli("28").path)), ("swarmproxy", f"{sys.executable} -m swarmproxy")):
            (programs / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
            (programs / name).chmod(0o755)
        environment = {**cli("28").environment, "PATH": f"{programs}:{os.environ['PATH']}"}
        environment["PYTHONPATH"] = str(REPOSITORY)
        self._process = subprocess.Popen(
            ["bash", "--norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=directory,
            env=environment,
            start_new_session=True,
        )

    def type(self, command: str) -> str:
        """Return what `command` prints, in the document's addresses."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{replaced(command, self._real)}\necho; echo ---done---\n")
        self._process.stdin.flush()
        lines: list[str] = []
        while (line := self._process.stdout.readline()) not in ("---done---\n", ""):
            lines.append(line)
        return replaced("".join(lines).removesuffix("\n"), {real: name for name, real in self._real.items()})

    def close(self) -> None:
        """End the shell and all that was started in it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()


def replaced(text: str, words: dict[str, str]) -> str:
    """Return `text` with each of `words` replaced by what it stands for, the longest first."""
    known = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.sub(rf"(?<![\d.])({known})\b", lambda found: words[found[1]], text)


@contextlib.contextmanager
def hosts(network: Network) -> Iterator[tuple[Shell, Callable[[], None]]]:
    """Yield a shell, and what powers the nodes and the store on once their certificates are made."""
    directory = sandbox.run_dir() / "getting-started"
    directory.mkdir()
    store = Etcd(directory / "etcd")
    with Fleet(directory / "engines", network=network) as fleet:
        nodes = [fleet.make(name) for name in NODES]
        real = {STORE: store.address} | {f"127.0.0.1:{port}": f"127.0.0.1:{free_port()}" for port in PORTS}
        real |= {port: address.rpartition(":")[2] for port, address in zip(PORTS, list(real.values())[1:], strict=True)}
        real |= {f"{ip}:2376": f"{node.cable.ip}:2376" for ip, node in zip(NODES.values(), nodes, strict=True)}
        real |= {ip: node.cable.ip for ip, node in zip(NODES.values(), nodes, strict=True)}
        shell = Shell(directory, real)

        def power_on() -> None:
            for node in nodes:
                tls = pair(directory / "pki", node.name)
                fleet.drop(node)
                again = fleet.make(node.name, tls=tls, client=pair(directory / "pki", "manager"))
                assert again.cable.ip == node.cable.ip
            store.start()
            at_once(engine.poweron for engine in fleet.engines)
            at_once(engine.wait for engine in fleet.engines)

        try:
            yield shell, power_on
        finally:
            shell.close()
            store.close()


def pair(pki: Path, name: str) -> Pair:
    """Return what the document calls NAME.pem and NAME-key.pem under the names that docker gives them."""
    made = Pair(pki / name)
    made.directory.mkdir(exist_ok=True)
    for source, to in ((f"{name}.pem", made.cert), (f"{name}-key.pem", made.key), ("ca.pem", made.ca)):
        shutil.copy(pki / source, to)
    return made


def parts(text: str) -> list[str]:
    """Return the document before and after the nodes run."""
    before, mark, after = text.partition(ENGINES_RUN)
    return [before, mark + after]


def write_file(shell: Shell, kind: str, content: str) -> None:
    """Make the file that a block shows."""
    shell.type(f"cat > {kind.partition(' ')[2]} <<'END'\n{content}END")


def walk(network: Network) -> None:
    """Do all that stands in the document. Raises AssertionError where something else is printed now."""
    with hosts(network) as (shell, power_on):
        for part in parts(DOCUMENT.read_text()):
            if part.startswith(ENGINES_RUN):
                power_on()
            for kind, content in _BLOCK.findall(part):
                if kind == "console":
                    for step in steps(content):
                        _READER.check(shell.type, step)
                else:
                    write_file(shell, kind, content)


def record() -> None:
    """Write into the document what its commands print."""

    def recorded(found: re.Match[str]) -> str:
        kind, content = found.groups()
        if kind != "console":
            write_file(shell, kind, content)
            return found[0]
        lines = []
        for step in steps(content):
            if _READS.match(step.command):
                time.sleep(4)
            lines += [f"$ {step.command}", *(line.rstrip() for line in shell.type(step.command).splitlines())]
        return "```console\n" + "\n".join(lines) + "\n```"

    with hosts(Network().create()) as (shell, power_on):
        written = ""
        for part in parts(DOCUMENT.read_text()):
            if part.startswith(ENGINES_RUN):
                power_on()
            written += _BLOCK.sub(recorded, part)
    DOCUMENT.write_text(written)
    print(f"wrote {DOCUMENT}")


if __name__ == "__main__":
    record()
