"""Managers announce themselves, and know of each other."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from discovery import DiscoveryError, DiscoveryRefusedError, Entry, Listing, open_roster
from swarmproxy.leader.roster import Roster
from tests.discovery.readers import backend_of
from tests.discovery.servers.consul import Consul
from tests.discovery.servers.etcd import Etcd
from tests.discovery.servers.process import Store, serve
from tests.discovery.servers.zookeeper import Zookeeper
from tests.engine.harness import eventually

ONE, TWO, THREE = "10.0.0.1:2376", "10.0.0.2:2376", "10.0.0.3:2376"


@pytest.fixture(scope="module", params=[Consul, Etcd, Zookeeper], ids=lambda kind: kind.scheme)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    yield from serve(request.param(tmp_path_factory.mktemp("store") / "server"))


@asynccontextmanager
async def running(roster: Roster) -> AsyncIterator[Roster]:
    """Yield `roster` while it runs."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(roster.run())
        try:
            yield roster
        finally:
            task.cancel()


def of(store: Store, address: str) -> AbstractAsyncContextManager[Roster]:
    """Return the roster of one manager, which runs."""
    options = {**store.options, "kv.path": "engines"}  # which does not move the managers
    backend = open_roster(store.url("roster"), ttl_s=store.ttl_s, options=options)
    return running(Roster(backend, address, ttl_s=store.ttl_s))


async def test_come_and_go(store: Store) -> None:
    """Each knows all; who ends is gone at once for the others; a store that comes back empty is told again."""
    async with of(store, TWO) as two, of(store, ONE) as one:
        await eventually(lambda: [one.addresses, two.addresses] == [[ONE, TWO]] * 2)
        async with of(store, THREE):
            await eventually(lambda: [one.addresses, two.addresses] == [[ONE, TWO, THREE]] * 2)
        await eventually(lambda: [one.addresses, two.addresses] == [[ONE, TWO]] * 2)
        store.kill()
        store.wipe()
        await asyncio.sleep(store.ttl_s / 2)
        assert one.addresses == [ONE, TWO]  # the last that was known
        store.start()
        async with of(store, THREE) as three:
            await eventually(lambda: [one.addresses, three.addresses] == [[ONE, TWO, THREE]] * 2)


async def test_place(store: Store) -> None:
    """They stand where neither classic nor the list of engines looks."""
    async with of(store, ONE) as one:
        await eventually(lambda: one.addresses == [ONE])
        assert store.read(f"roster/docker/swarm/swarmproxy/managers/{ONE}") == ONE
        for options in ({}, {"kv.path": "engines"}):
            assert await backend_of(store, "roster", options=options).fetch() == ()


class Refusing:
    """A store that lets nobody write, each time for a reason of `reasons`; the last one stays."""

    source = "scripted://"

    def __init__(self, *reasons: DiscoveryError) -> None:
        self.reasons = list(reasons)
        self.asked = 0

    async def watch(self) -> AsyncIterator[Listing]:
        yield Listing((Entry("10.0.0.9", 2376),))
        await asyncio.Event().wait()

    async def fetch(self) -> tuple[Entry, ...]:
        return ()

    async def register(self, _entry: Entry) -> None:
        self.asked += 1
        raise self.reasons.pop(0) if len(self.reasons) > 1 else self.reasons[0]

    async def unregister(self, _entry: Entry) -> None:
        raise DiscoveryError("no")


async def test_refused(caplog: pytest.LogCaptureFixture) -> None:
    """A store that does not take the address is warned of once for each reason, tried again, and ends nothing."""
    backend = Refusing(DiscoveryError("down"), DiscoveryError("down"), DiscoveryRefusedError("you may not"))
    roster = Roster(backend, ONE, ttl_s=0.03)
    with caplog.at_level(logging.WARNING):
        async with running(roster):
            await eventually(lambda: backend.asked > 5)
            assert roster.addresses == ["10.0.0.9:2376"]
    assert [record.__dict__["error"] for record in caplog.records] == ["down", "you may not"]


async def test_no_address() -> None:
    """What is no address is refused before anything begins."""
    with pytest.raises(DiscoveryError):
        Roster(Refusing(), "http://x:1", ttl_s=1)
