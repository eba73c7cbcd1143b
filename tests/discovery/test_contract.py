"""What every backend promises, run against each of them."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from discovery import Backend, DiscoveryError, Entry, Listing, open_backend, parse_entry

Make = Callable[[list[str]], Backend]


def _nodes(_: Path, addresses: list[str]) -> Backend:
    return open_backend(f"nodes://{','.join(addresses)}", heartbeat_s=1)


def _file(directory: Path, addresses: list[str]) -> Backend:
    path = directory / "cluster"
    path.write_text("\n".join(addresses))
    return open_backend(f"file://{path}", heartbeat_s=1)


@pytest.fixture(params=[_nodes, _file], ids=["nodes", "file"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    return lambda addresses: request.param(tmp_path, addresses)


ADDRESSES = ["10.0.0.2:2375", "10.0.0.[4:5]:2375", "[::1]:2376", "unix:///run/docker.sock", "10.0.0.2:2375"]
EXPECTED = (
    Entry("10.0.0.2", 2375),
    Entry("10.0.0.4", 2375),
    Entry("10.0.0.5", 2375),
    Entry("::1", 2376),
    Entry(path="/run/docker.sock"),
    Entry("10.0.0.2", 2375),
)


async def test_fetch(make: Make) -> None:
    """All entries come in the order of the source, duplicates included."""
    assert await make(ADDRESSES).fetch() == EXPECTED


async def test_fetch_nothing(make: Make) -> None:
    """A source that names nobody has an empty list, which is no error."""
    assert await make([]).fetch() == ()


async def test_watch_begins_with_all(make: Make) -> None:
    """The first listing is all entries, read just now, without an error."""
    before = time.time()
    async with asyncio.timeout(30):
        listing = await anext(make(ADDRESSES).watch())
    assert (listing.entries, listing.error) == (EXPECTED, "")
    assert before - 1 <= listing.read_at <= time.time() + 1


async def test_watch_says_nothing_without_a_change(make: Make) -> None:
    """A source that stays as it is is listed once, heartbeats or not."""
    listings = make(ADDRESSES).watch()
    async with asyncio.timeout(30):
        await anext(listings)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.5):
            await anext(listings)


async def _next(listings: AsyncIterator[Listing]) -> Listing:
    return await anext(listings)


async def test_watch_ends_when_cancelled(make: Make) -> None:
    """A cancelled reader is let go at once."""
    listings = make(ADDRESSES).watch()
    async with asyncio.timeout(30):
        await anext(listings)
        async with asyncio.TaskGroup() as tasks:
            task: asyncio.Task[Listing] = tasks.create_task(_next(listings), name="wait for a change")
            await asyncio.sleep(0.05)
            task.cancel()


async def test_two_watch_independently(make: Make) -> None:
    """Two readers of one backend each get the whole list."""
    backend = make(ADDRESSES)
    async with asyncio.timeout(30):
        assert (await anext(backend.watch())).entries == (await anext(backend.watch())).entries


async def test_a_thousand(make: Make) -> None:
    """A thousand entries are listed."""
    assert len(await make([f"10.0.{number}.[1:10]:2375" for number in range(100)]).fetch()) == 1000


async def test_too_many(make: Make) -> None:
    """A list has a bound, whatever it is made of."""
    with pytest.raises(DiscoveryError, match="more than 65536 addresses"):
        await make(["a:[1:65000]", "b:[1:65000]"]).fetch()


async def test_source_names_the_kind(make: Make) -> None:
    """A backend says where its list comes from."""
    source = make(["a:1"]).source
    assert source.startswith(("nodes://", "file:///"))


async def test_register_where_nobody_can(make: Make) -> None:
    """A list that somebody else writes takes no entry and says so; one that never was is taken away."""
    backend = make(ADDRESSES)
    with pytest.raises(DiscoveryError, match=r"^not implemented in this discovery service$"):
        await backend.register(parse_entry("me:2375"))
    await backend.unregister(parse_entry("me:2375"))
    assert await backend.fetch() == EXPECTED
