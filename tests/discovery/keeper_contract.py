"""What every keeper promises of the managers' document, run against a real server of each kind, and a file."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable

import pytest

from discovery import ChangedElsewhereError, DiscoveryError, Keeper, open_backend, open_keeper, parse_entry
from tests.discovery.readers import GUARD_S, STEADY_S
from tests.discovery.servers.process import Store

STATE = "docker/swarm/swarmproxy/state"
Open = Callable[[], Keeper]

ONE, TWO = b'{"version": 1, "a": "\xc3\xa4 b&c=d+%"}\n', b"{}"


class KeeperContract:
    """Keeping one document while all is well. A kind gives the class a fixture `open_one`, each time another place."""

    @pytest.fixture
    async def keepers(self, open_one: Open) -> AsyncIterator[tuple[Keeper, Keeper]]:
        """Yield two managers' keepers of one document."""
        first, second = open_one(), open_one()
        async with asyncio.timeout(GUARD_S):
            yield first, second
            await first.close()
            await second.close()

    async def test_nothing(self, keepers: tuple[Keeper, Keeper]) -> None:
        """Where nobody ever wrote there is no document."""
        assert await keepers[0].read() is None

    async def test_kept(self, keepers: tuple[Keeper, Keeper]) -> None:
        """What was written is read again, byte for byte, by everybody; the same again is no conflict."""
        first, second = keepers
        for data in (ONE, TWO, TWO, ONE):
            await first.write(data)
            assert await first.read() == data
            assert await second.read() == data

    async def test_former_leader(self, keepers: tuple[Keeper, Keeper]) -> None:
        """Who has not seen the last document cannot write over it, and can once it has read it."""
        first, second = keepers
        await first.write(ONE)
        with pytest.raises(ChangedElsewhereError):
            await second.write(TWO)
        assert await second.read() == ONE
        await second.write(TWO)
        with pytest.raises(ChangedElsewhereError):
            await first.write(ONE)
        with pytest.raises(ChangedElsewhereError):
            await first.write(b'{"more": 1}')
        assert await first.read() == TWO
        await first.write(ONE)
        assert await second.read() == ONE

    async def test_large(self, keepers: tuple[Keeper, Keeper]) -> None:
        """A document of half a megabyte less a little is kept."""
        data = json.dumps({f"key-{number}": "x" * 1000 for number in range(470)}).encode()
        await keepers[0].write(data)
        assert await keepers[1].read() == data

    async def test_set_aside(self, keepers: tuple[Keeper, Keeper]) -> None:
        """What is set aside is told where it is, and does not touch the document."""
        first, second = keepers
        await first.write(ONE)
        place = await first.set_aside(b"{broken")
        assert ".unreadable-2" in place
        assert await second.read() == ONE
        await first.write(TWO)


class StoreKeeperContract(KeeperContract):
    """The same in a store, that also lists nodes, and may be down. For a class with a fixture `store`."""

    @pytest.fixture
    def prefix(self, request: pytest.FixtureRequest) -> str:
        """Return a place in the store of this test's own."""
        return f"{request.node.originalname.replace('_', '-')}/clusters"

    @pytest.fixture
    def open_one(self, store: Store, prefix: str) -> Open:
        def open_one() -> Keeper:
            keeper = open_keeper(store.url(prefix), options=store.options)
            assert keeper is not None
            return keeper

        return open_one

    async def test_place(self, store: Store, prefix: str, keepers: tuple[Keeper, Keeper]) -> None:
        """The document stands at a key of ours, and is no node."""
        backend = open_backend(store.url(prefix), heartbeat_s=1, ttl_s=STEADY_S, options=store.options)
        await backend.register(parse_entry("a:1"))
        await keepers[0].write(ONE)
        await keepers[0].set_aside(TWO)
        assert store.read(f"{prefix}/{STATE}") == ONE.decode()
        assert [str(entry) for entry in await backend.fetch()] == ["a:1"]
        await backend.unregister(parse_entry("a:1"))

    async def test_foreign(self, store: Store, prefix: str, keepers: tuple[Keeper, Keeper]) -> None:
        """What somebody else writes or removes is seen, and not written over unseen."""
        first, _ = keepers
        await first.write(ONE)
        store.write({f"{prefix}/{STATE}": "by hand"})
        with pytest.raises(ChangedElsewhereError):
            await first.write(TWO)
        assert await first.read() == b"by hand"
        store.remove(f"{prefix}/{STATE}")
        with pytest.raises(ChangedElsewhereError):
            await first.write(TWO)
        assert await first.read() is None
        await first.write(TWO)

    async def test_down(self, store: Store, keepers: tuple[Keeper, Keeper]) -> None:
        """A store that is down or hangs is an error within a bounded time, and afterwards it goes on.

        What was not acknowledged may come to stand there all the same, also a while later: whole, or not at all.
        """
        first, second = keepers
        await first.write(ONE)
        store.kill()
        try:
            with pytest.raises(DiscoveryError):
                await first.write(TWO)
        finally:
            store.start()
        assert await second.read() in (ONE, TWO)
        store.freeze()
        try:
            with pytest.raises(DiscoveryError):
                await second.read()
        finally:
            store.thaw()
        assert await first.read() in (ONE, TWO)
        await first.write(TWO)
