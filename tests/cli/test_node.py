"""`swarmproxy node`, against a manager's front end."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from swarmproxy.cluster.bookkeeping import IN_MEMORY
from tests.api.image_front import Front, front
from tests.cli.test_program import GUARD_S, _environment
from tests.cluster.image_daemon import ImageDaemon

PROGRAM = Path(sys.executable).with_name("swarmproxy")


class Operator:
    """Runs commands at a manager."""

    def __init__(self, manager: Front) -> None:
        self.manager = manager

    async def __call__(self, *args: str) -> tuple[int | None, str, str]:
        """Return the exit code and the two outputs of `swarmproxy node ...`."""
        environment = _environment() | {"DOCKER_HOST": f"tcp://127.0.0.1:{self.manager.port}", "DOCKER_TLS_VERIFY": ""}
        process = await asyncio.create_subprocess_exec(
            str(PROGRAM),
            "node",
            *args,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(GUARD_S):
            out, err = await process.communicate()
        return process.returncode, out.decode(), err.decode()


@pytest.fixture
async def node() -> AsyncIterator[Operator]:
    """Yield the commands at a manager of two nodes."""
    async with front([ImageDaemon("node-0"), ImageDaemon("node-1")]) as manager:
        yield Operator(manager)


async def test_ls(node: Operator) -> None:
    """The table has a line for each node; labels that every node has are left out; JSON has all."""
    await node("label", "node-0", "storage=nvme", "zone=a")
    code, out, err = await node("ls")
    assert (code, err) == (0, "")
    head, first, second = out.splitlines()
    assert head.split() == ["NAME", "ADDRESS", "STATE", "AVAILABILITY", "CONTAINERS", "CPUS", "MEMORY", "LABELS"]
    address = str(node.manager.cluster.engines()[0].address)
    assert first.split()[:6] == ["node-0", address, "Healthy", "active", "0", "0/4"]
    assert first.endswith("   storage=nvme,zone=a")
    assert second.endswith("GiB   storage=ssd")
    code, out, err = await node("ls", "--format", "json")
    assert (code, err) == (0, "")
    assert [each["Name"] for each in json.loads(out)] == ["node-0", "node-1"]


async def test_inspect(node: Operator) -> None:
    """Nodes are shown as a list of JSON objects; one that is not there is an error beside it."""
    code, out, err = await node("inspect", "node-1", "nobody", "node-0")
    assert (code, err) == (1, "Error: No such node: nobody\n")
    assert [each["Name"] for each in json.loads(out)] == ["node-1", "node-0"]


async def test_availability(node: Operator) -> None:
    """Each node is named on stdout when it is done, what to know is on stderr, and one that fails stops no other."""
    assert await node("drain", "nobody", "node-1") == (
        1,
        "node-1\n",
        f"Error: No such node: nobody\nWARNING: {IN_MEMORY}\n",
    )
    assert await node("pause", "node-0") == (0, "node-0\n", f"WARNING: {IN_MEMORY}\n")
    book, engines = node.manager.cluster.book, node.manager.cluster.engines()
    assert [book.availability_of(engine) for engine in engines] == ["pause", "drain"]
    assert (await node("activate", "node-0", "node-1"))[:2] == (0, "node-0\nnode-1\n")
    assert book.records() == []


async def test_label(node: Operator) -> None:
    """Labels are set and removed in one go; a value may be empty, and have `=` in it."""
    assert (await node("label", "node-0", "one=1", "two=a=b", "three="))[0] == 0
    assert (await node("label", "node-0", "one-", "two=b"))[:2] == (0, "node-0\n")
    [record] = node.manager.cluster.book.records()
    assert record.labels == {"two": "b", "three": ""}


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ("ls x", "node ls takes no arguments"),
        ("ls --format xml", '--format should be text or json, not "xml"'),
        ("drain", "node drain takes the names, IDs or addresses of nodes: NODE [NODE...]"),
        ("inspect", "node inspect takes the names, IDs or addresses of nodes: NODE [NODE...]"),
        ("label node-0", "node label takes a node, and what to set or to remove: NODE KEY=VALUE KEY-"),
        ("label node-0 x", "x neither sets a label (KEY=VALUE) nor removes one (KEY-)"),
        ("label node-0 ostype=x", "label ostype cannot be set: it is what the node says of itself"),
        ("label node-0 ostype-", "label ostype cannot be removed: it is what the node says of itself"),
        (
            "label node-0 storage-",
            "label storage is the engine's own: it can be given another value, and not be removed",
        ),
    ],
)
async def test_errors(node: Operator, args: str, error: str) -> None:
    """What is wrong is said in one line."""
    assert await node(*args.split()) == (1, "", f"Error: {error}\n")
