"""What only a swarm's managers know is kept ready, and their word on a node and the operators' become the same."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import pytest

from swarmproxy.cluster import swarm_keeping
from swarmproxy.cluster.bookkeeping import Bookkeeping
from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.operators import Agreement, Availability, NodeBook, NodeRecord
from swarmproxy.cluster.swarm_keeping import SwarmKeeping, merged
from swarmproxy.cluster.swarms import NO_LEADER
from swarmproxy.model.labels import SERVICE_ID, TASK
from tests.cluster.image_daemon import ImageDaemon, clustered, engine_of
from tests.engine.harness import eventually

MIB = 1024**2


class ManagerDaemon(ImageDaemon):
    """A scripted manager of a swarm that it is alone in."""

    def __init__(self) -> None:
        super().__init__("node-1")
        self.info_fields["Swarm"] = {
            "NodeID": "n1",
            "LocalNodeState": "active",
            "ControlAvailable": True,
            "RemoteManagers": [{"NodeID": "n1", "Addr": "10.0.0.1:2377"}],
        }
        self.answers["/nodes/n1/update"] = 200, b""
        self.say_node()
        self.say_services(reserved_mib=0)

    def say_node(self, availability: str = "active") -> None:
        node = {"ID": "n1", "Version": {"Index": 7}, "Spec": {"Role": "manager", "Availability": availability}}
        self.answers["/nodes"] = 200, json.dumps([node | {"ManagerStatus": {"Leader": True}}]).encode()

    def say_root(self, root: str) -> None:
        tls = {"TLSInfo": {"TrustRoot": root}}
        self.info_fields["Swarm"] = {**self.info_fields["Swarm"], "Cluster": {"ID": "c1", **tls}}
        node = {"ID": "n1", "Spec": {"Role": "manager"}, "Status": {"State": "ready"}, "Description": tls}
        self.answers["/nodes"] = 200, json.dumps([node | {"ManagerStatus": {"Leader": True}}]).encode()

    def say_services(self, *, reserved_mib: int) -> None:
        fpga = {"DiscreteResourceSpec": {"Kind": "fpga", "Value": 2}}
        reserved = {"MemoryBytes": reserved_mib * MIB, "NanoCPUs": 10**9, "GenericResources": [fpga]}
        resources = {"Reservations": reserved} if reserved_mib else {}
        service = {"ID": "s1", "Spec": {"Name": "web", "TaskTemplate": {"Resources": resources}}}
        self.answers["/services"] = 200, json.dumps([service]).encode()

    @property
    def told(self) -> list[str]:
        """What it was told of its node's availability."""
        updates = [body for asked, body in zip(self.requests, self.bodies, strict=True) if asked.endswith("/update")]
        return [json.loads(body)["Availability"] for body in updates]


@asynccontextmanager
async def kept(daemon: ManagerDaemon, *, leads: bool = True) -> AsyncIterator[tuple[Cluster, Bookkeeping]]:
    """Run what is tested over one daemon."""
    async with clustered([daemon]) as cluster:
        books = Bookkeeping(cluster.book)
        keeping = SwarmKeeping(cluster, books, leads=lambda: leads)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(keeping.run(), name="keeping")
            yield cluster, books
            running.cancel()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swarm_keeping, "PAUSE_S", 0.01)


def availability(cluster: Cluster) -> str:
    return cluster.book.availability_of(cluster.engines()[0])


async def set_availability(cluster: Cluster, books: Bookkeeping, value: Availability) -> None:
    await books.change(lambda: replace(cluster.book.record_of(cluster.engines()[0]), availability=value))


async def test_both_ways() -> None:
    """What an operator says goes to the swarm, and what the swarm says into the book; neither comes back."""
    async with kept(daemon := ManagerDaemon()) as (cluster, books):
        await eventually(lambda: cluster.swarms.is_leader(engine_of(cluster, daemon)))
        await set_availability(cluster, books, "drain")
        await eventually(lambda: daemon.told == ["drain"])
        daemon.say_node("drain")
        await eventually(lambda: cluster.book.record_of(cluster.engines()[0]).agreed == Agreement("n1", "drain"))
        daemon.say_node("active")
        daemon.emit("node", "update", "n1", {"name": "node-1", "availability.new": "active"}, scope="swarm")
        await eventually(lambda: availability(cluster) == "active")
        daemon.say_node("pause")
        daemon.emit("node", "update", "n1", {"name": "node-1", "availability.new": "pause"}, scope="swarm")
        await eventually(lambda: availability(cluster) == "pause")
        assert daemon.told == ["drain"]


async def test_only_the_leader_acts() -> None:
    """A manager of ours that does not lead knows who leads the swarm, and changes nothing."""
    daemon = ManagerDaemon()
    daemon.say_node("drain")
    async with kept(daemon, leads=False) as (cluster, books):
        await set_availability(cluster, books, "pause")
        await eventually(lambda: cluster.swarms.is_leader(engine_of(cluster, daemon)))
        daemon.emit("service", "update", "s1", scope="swarm")
        await eventually(lambda: daemon.asked("GET /services") == 2)
        assert (availability(cluster), daemon.told) == ("pause", [])


async def test_reservations() -> None:
    """What tasks reserve counts on their node while they run, as services now say; a past task holds nothing."""
    daemon = ManagerDaemon()
    for name, state in (("web.1.a", "running"), ("web.1.b", "exited"), ("other", "running")):
        held = daemon.add(name, state=state, Memory=16 * MIB)
        if name != "other":
            daemon.containers[held]["labels"] = {TASK: "", SERVICE_ID: "s1"}
    async with kept(daemon) as (cluster, _):

        def used() -> tuple[int, int, int]:
            [node] = cluster.nodes.all()
            return node.used_memory_bytes // MIB, node.used_nano_cpus, node.used_resources.get("fpga", 0)

        await eventually(lambda: used() == (32, 0, 0) and daemon.asked("GET /services") == 1)
        daemon.say_services(reserved_mib=64)
        daemon.emit("service", "update", "s1", scope="swarm")
        await eventually(lambda: used() == (16 + 64, 10**9, 2))
        assert daemon.asked("GET /services") == 2  # events of other kinds cost no reading
        daemon.info_fields["Swarm"] = {"LocalNodeState": "inactive"}
        await engine_of(cluster, daemon).refresh_specs()
        await eventually(lambda: used() == (32, 0, 0))


async def test_member_is_read_again() -> None:
    """An engine whose node has another role says itself what it is now."""
    async with kept(daemon := ManagerDaemon()) as (cluster, _):
        daemon.info_fields["Swarm"] = {**daemon.info_fields["Swarm"], "ControlAvailable": False}
        daemon.emit("node", "update", "n1", {"name": "node-1", "role.new": "worker"}, scope="swarm")
        await eventually(lambda: not cluster.swarms.all()[0].managers)


async def test_new_root() -> None:
    """Once the nodes trust another root than their managers told of, these are read again: info has to say which."""
    daemon = ManagerDaemon()
    daemon.say_root("old")
    async with kept(daemon) as (cluster, _):

        def told() -> str:
            return str(json.loads(cluster.swarms.info())["Cluster"]["TLSInfo"]["TrustRoot"])

        assert told() == "old"
        daemon.say_root("new")
        daemon.emit("node", "update", "n1", {"name": "node-1"}, scope="swarm")
        await eventually(lambda: told() == "new")


async def test_no_leader() -> None:
    """Info says that a swarm has no leader, as its managers do, and that it has one again."""
    daemon = ManagerDaemon()
    others = [{"NodeID": node, "Addr": ""} for node in ("n1", "n2", "n3")]  # that do not answer: nobody is waited for
    nodes, before = daemon.answers["/nodes"], {**daemon.info_fields["Swarm"], "RemoteManagers": others}
    daemon.info_fields["Swarm"] = before
    async with kept(daemon) as (cluster, _):

        def says(error: str) -> bool:
            return bool(json.loads(cluster.swarms.info()).get("Error", "") == error)

        for error in (NO_LEADER, ""):
            daemon.answers["/nodes"] = (500, json.dumps({"message": NO_LEADER}).encode()) if error else nodes
            daemon.info_fields["Swarm"] = {**before, "Error": error}
            daemon.emit("node", "update", "n1", {"name": "node-1"}, scope="swarm")
            await eventually(partial(says, error))


@pytest.mark.parametrize(
    ("book", "swarm", "agreed", "wanted"),
    [
        ("active", "active", None, "active"),
        ("drain", "active", None, "drain"),
        ("active", "pause", None, "pause"),
        ("drain", "active", "active", "drain"),
        ("active", "drain", "drain", "active"),
        ("drain", "active", "drain", "active"),
        ("pause", "drain", "active", "drain"),
    ],
)
def test_merged(book: Availability, swarm: Availability, agreed: Availability | None, wanted: str) -> None:
    """Whoever has changed is right; if both have, or nobody knows, no maintenance is undone."""
    assert merged(book, swarm, agreed) == wanted


def test_agreement_is_kept() -> None:
    """What was agreed outlives a manager, until there is nothing to remember."""
    book, again = NodeBook(), NodeBook()
    book.put(NodeRecord(id="ID", availability="active", agreed=Agreement("n1", "drain")))
    again.load(book.document())
    assert again.records() == book.records()
    book.put(NodeRecord(id="ID", availability="active", agreed=Agreement("n1", "active")))
    assert book.records() == []
