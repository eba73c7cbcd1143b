"""What every store promises, run against a real server of each kind: see test_etcd.py for how a kind takes part.

A kind subclasses ElectionContract, with TlsContract and CredentialsContract where they apply, in a file of its own,
and gives the class a fixture `store` (scope="class", on a classmethod). Another way to the same kind of server, such
as TLS, may do with BasicContract. Servers live through many tests, each of which has a prefix of its own. Timings are
printed (`pytest -s`); the limits are only guards.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, aclosing

import pytest

from discovery import DiscoveryError, Entry, parse_entry
from discovery.election import Standing
from discovery.opening import open_election
from tests.discovery.member import Member
from tests.discovery.readers import GUARD_S, STEADY_S, backend_of, campaigning, watching
from tests.discovery.servers.process import Store

NODES = "docker/swarm/nodes"
LEADER = "docker/swarm/leader"

StartMember = Callable[[str, str], Member]


class BasicContract:
    """Registering, listing and leading while all is well: what every way of reaching a kind of store has to pass."""

    @pytest.fixture
    def prefix(self, request: pytest.FixtureRequest) -> str:
        """Return a place in the store of this test's own."""
        return f"{request.node.originalname.replace('_', '-')}/clusters"

    @pytest.fixture
    def start_member(self, store: Store, prefix: str) -> Iterator[StartMember]:
        """Yield a function that starts a process that registers or campaigns; it is killed after the test."""
        members: list[Member] = []

        def start(what: str, address: str) -> Member:
            members.append(Member(what, address, store.url(prefix), store.ttl_s, store.options))
            return members[-1]

        yield start
        for member in members:
            member.kill()

    async def test_empty(self, store: Store, prefix: str) -> None:
        """A place in the store where nobody ever was is an empty list, and looking at it writes nothing."""
        backend = backend_of(store, prefix)
        assert await backend.fetch() == ()
        async with watching(backend) as watched:
            assert (await watched.next()).entries == ()
        assert store.read(f"{prefix}/{NODES}") is None

    async def test_register(self, store: Store, prefix: str) -> None:
        """Who registers stands under its address, as classic's agents do, and is listed."""
        backend, before = backend_of(store, prefix, ttl_s=STEADY_S), time.time()
        await backend.register(parse_entry("10.0.0.1:2375"))
        assert store.read(f"{prefix}/{NODES}/10.0.0.1:2375") == "10.0.0.1:2375"
        assert await backend.fetch() == (Entry("10.0.0.1", 2375),)
        async with watching(backend_of(store, prefix)) as watched:
            listing = await watched.until("10.0.0.1:2375")
        assert before - 1 <= listing.read_at <= time.time() + 1
        await backend.unregister(parse_entry("10.0.0.1:2375"))

    async def test_come_and_go(self, store: Store, prefix: str) -> None:
        """A watch tells of each who comes and goes at once, and is silent when nothing changes."""
        one, two = backend_of(store, prefix, ttl_s=STEADY_S), backend_of(store, prefix, ttl_s=STEADY_S)
        async with watching(backend_of(store, prefix, ttl_s=0)) as watched:
            await watched.until()
            started = time.monotonic()
            await one.register(parse_entry("a:1"))
            await watched.until("a:1")
            print(f"registered and seen after {time.monotonic() - started:.3f} s")
            await two.register(parse_entry("b:1"))
            await watched.until("a:1", "b:1")
            await asyncio.sleep(store.ttl_s / 4)
            await one.register(parse_entry("a:1"))
            await two.register(parse_entry("b:1"))
            await watched.stays_silent(store.ttl_s / 3)
            started = time.monotonic()
            await one.unregister(parse_entry("a:1"))
            await watched.until("b:1")
            print(f"unregistered and seen after {time.monotonic() - started:.3f} s")
            await two.unregister(parse_entry("b:1"))
            await watched.until()

    async def test_unregister_a_stranger(self, store: Store, prefix: str) -> None:
        """Taking away what we did not register does nothing."""
        one, two = backend_of(store, prefix, ttl_s=STEADY_S), backend_of(store, prefix, ttl_s=STEADY_S)
        await one.register(parse_entry("a:1"))
        await two.unregister(parse_entry("a:1"))
        assert await two.fetch() == (Entry("a", 1),)
        await one.unregister(parse_entry("a:1"))
        await one.unregister(parse_entry("a:1"))
        assert await two.fetch() == ()

    async def test_garbage(self, store: Store, prefix: str) -> None:
        """What is no address, below the key where addresses stand, harms no other."""
        garbage = {"x": "x", "y": "", "z": "http://z:1", "w": "w:99999", "v": "v:1\nu:1", "dir/deep": "nothing"}
        store.write({f"{prefix}/{NODES}/{key}": value for key, value in garbage.items()})
        store.write({f"{prefix}/{NODES}/good:1": "good:1"})
        store.write({f"{prefix}/{NODES}2/other:1": "other:1"})
        assert [str(entry) for entry in await backend_of(store, prefix).fetch()] == ["good:1"]
        async with watching(backend_of(store, prefix)) as watched:
            await watched.until("good:1")
            store.write({f"{prefix}/{NODES}/bad": "bad", f"{prefix}/{NODES}/more:1": "more:1"})
            await watched.until("good:1", "more:1")

    @pytest.mark.parametrize("address", ["bücher.example:2375", "[2001:db8::1]:2376", "unix:///run/docker.sock"])
    async def test_odd_addresses(self, store: Store, prefix: str, address: str) -> None:
        """Every address that we know can be registered, listed and taken away."""
        backend = backend_of(store, prefix, ttl_s=STEADY_S)
        await backend.register(parse_entry(address))
        assert [str(entry) for entry in await backend.fetch()] == [address]
        await backend.unregister(parse_entry(address))
        assert await backend.fetch() == ()

    async def test_path(self, store: Store, prefix: str) -> None:
        """`kv.path` puts the nodes elsewhere below the prefix, and there may be no prefix at all."""
        backend = backend_of(store, prefix, ttl_s=STEADY_S, options={"kv.path": "/other/place/"})
        await backend.register(parse_entry("a:1"))
        assert store.read(f"{prefix}/other/place/a:1") == "a:1"
        assert await backend_of(store, prefix).fetch() == ()
        await backend.unregister(parse_entry("a:1"))
        store.write({f"{NODES}/bare:1": "bare:1"})
        assert await backend_of(store, "").fetch() == (Entry("bare", 1),)

    async def test_cancelled(self, store: Store, prefix: str) -> None:
        """A reader that is cancelled while it waits is let go at once, and leaves no thread behind."""
        before = set(threading.enumerate())
        async with watching(backend_of(store, prefix)) as watched:
            await watched.next()
            await asyncio.sleep(0.1)
            started = time.monotonic()
        assert time.monotonic() - started < 5
        async with asyncio.timeout(GUARD_S):
            # The loop's own pool keeps its threads.
            while any(not thread.name.startswith("asyncio") for thread in set(threading.enumerate()) - before):  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    def test_source(self, store: Store, prefix: str) -> None:
        """A backend says where its list comes from, and tells no secret."""
        source = backend_of(store, prefix).source
        assert source.startswith(f"{store.scheme}://")
        assert source.endswith(f"/{prefix}")
        assert not any(secret in source for key, secret in store.options.items() if "password" in key or "token" in key)

    async def test_one_leader(self, store: Store, prefix: str) -> None:
        """The first candidate leads, the others know whom they follow, and classic finds it in the usual place."""
        async with campaigning(store, prefix, "one:1", ttl_s=STEADY_S) as first:
            standing = await first.until(leading=True)
            assert standing == Standing(leading=True, leader="one:1")
            assert store.read(f"{prefix}/{LEADER}") == "one:1"
            async with campaigning(store, prefix, "two:1", ttl_s=STEADY_S) as second:
                standing = await second.until(leading=False, leader="one:1")
                assert standing.error == ""
                await second.stays_silent(store.ttl_s / 2)
            await first.stays_silent(0)

    async def test_many_candidates(self, store: Store, prefix: str) -> None:
        """Of many who want it at the same moment exactly one leads."""
        async with AsyncExitStack() as stack:
            names = [f"c{number}:1" for number in range(5)]
            candidates = [
                await stack.enter_async_context(campaigning(store, prefix, name, ttl_s=STEADY_S)) for name in names
            ]
            leader = (await candidates[0].until_known()).leader
            for name, candidate in zip(names, candidates, strict=True):
                await candidate.until(leading=name == leader, leader=leader)

    async def test_resign(self, store: Store, prefix: str) -> None:
        """A leader that resigns is replaced at once."""
        async with campaigning(store, prefix, "one:1", ttl_s=STEADY_S) as first:
            await first.until(leading=True)
            async with campaigning(store, prefix, "two:1", ttl_s=STEADY_S) as second:
                await second.until(leading=False, leader="one:1")
                started = time.monotonic()
                await first.resign()
                resigned = time.monotonic()
                await second.until(leading=True)
            print(f"resigned in {resigned - started:.3f} s, replaced after {time.monotonic() - started:.3f} s")

    async def test_closed(self, store: Store, prefix: str) -> None:
        """Who closes the iterator of a campaign in the middle has resigned."""
        election = open_election(store.url(prefix), ttl_s=store.ttl_s, options=store.options)
        async with asyncio.timeout(GUARD_S), aclosing(election.campaign("one:1")) as standings:  # type: ignore[type-var]
            async for standing in standings:
                if standing.leading:
                    break
        async with campaigning(store, prefix, "two:1") as second:
            started = time.monotonic()
            await second.until(leading=True)
            print(f"replaced after {time.monotonic() - started:.3f} s")

    async def test_lock_removed(self, store: Store, prefix: str) -> None:
        """A leader whose lock somebody removes does not go on as if nothing had happened."""
        async with campaigning(store, prefix, "one:1") as first:
            await first.until(leading=True)
            store.remove(f"{prefix}/{LEADER}")
            await first.until(leading=False)
            await first.until(leading=True)


class StoreContract(BasicContract):
    """Registering and listing when members and servers die, hang and come back."""

    async def test_renewed(self, store: Store, prefix: str, start_member: StartMember) -> None:
        """Who renews in time stays longer than the time to live, and what somebody removed comes back."""
        member = start_member("register", "a:1")
        async with watching(backend_of(store, prefix, ttl_s=0)) as watched:
            await watched.until("a:1")
            await watched.stays_silent(store.ttl_s * 1.5)
            store.remove(f"{prefix}/{NODES}/a:1")
            await watched.until()
            await watched.until("a:1")
        member.kill()

    async def test_killed_agent(self, store: Store, prefix: str, start_member: StartMember) -> None:
        """Who is killed is gone after its time to live."""
        member = start_member("register", "a:1")
        async with watching(backend_of(store, prefix, ttl_s=0)) as watched:
            await watched.until("a:1")
            await member.says("registered")
            member.kill()
            started = time.monotonic()
            await watched.until()
        print(f"killed agent gone after {time.monotonic() - started:.2f} s, ttl {store.ttl_s} s")

    async def test_restart(self, store: Store, prefix: str) -> None:
        """A store that is down removes nobody, is told once, and is followed again when it is back."""
        store.write({f"{prefix}/{NODES}/a:1": "a:1"})
        async with watching(backend_of(store, prefix)) as watched:
            await watched.until("a:1")
            went = time.time()
            store.kill()
            try:
                listing = await watched.error()
                assert [str(entry) for entry in listing.entries] == ["a:1"]
                assert 0 < listing.read_at <= time.time()
                print(f"outage told after {time.time() - went:.2f} s: {listing.error}")
                await watched.stays_silent(2)
                with pytest.raises(DiscoveryError):
                    await backend_of(store, prefix).fetch()
            finally:
                store.start()
            started = time.monotonic()
            assert (await watched.until("a:1")).read_at > went
            print(f"followed again after {time.monotonic() - started:.2f} s")
            store.write({f"{prefix}/{NODES}/b:1": "b:1"})
            await watched.until("a:1", "b:1")

    async def test_changes_while_it_is_down(self, store: Store, prefix: str) -> None:
        """What changed while we could not look is seen when we can again."""
        store.write({f"{prefix}/{NODES}/{name}:1": f"{name}:1" for name in "ab"})
        async with watching(backend_of(store, prefix)) as watched:
            await watched.until("a:1", "b:1")
            store.kill()
            store.start()
            store.remove(f"{prefix}/{NODES}/a:1")
            store.write({f"{prefix}/{NODES}/c:1": "c:1"})
            await watched.until("b:1", "c:1")

    async def test_frozen(self, store: Store, prefix: str) -> None:
        """A store that hangs with open connections is found out, removes nobody, and may go on."""
        store.write({f"{prefix}/{NODES}/a:1": "a:1"})
        async with watching(backend_of(store, prefix)) as watched:
            await watched.until("a:1")
            started = time.monotonic()
            store.freeze()
            try:
                listing = await watched.error()
                print(f"frozen store told after {time.monotonic() - started:.2f} s: {listing.error}")
                assert [str(entry) for entry in listing.entries] == ["a:1"]
                with pytest.raises(DiscoveryError):
                    await backend_of(store, prefix).register(parse_entry("c:1"))
            finally:
                store.thaw()
            store.write({f"{prefix}/{NODES}/b:1": "b:1"})
            while "b:1" not in map(str, (await watched.next()).entries):
                pass

    async def test_a_thousand(self, store: Store, prefix: str) -> None:
        """A thousand entries are listed, and one more costs little."""
        store.write(
            {f"{prefix}/{NODES}/10.0.{n // 100}.{n % 100}:2375": f"10.0.{n // 100}.{n % 100}:2375" for n in range(1000)}
        )
        async with watching(backend_of(store, prefix)) as watched:
            while len((listing := await watched.next()).entries) < 1000:
                assert listing.error  # a store that is slow to begin with; a part of the list is never taken for all
            cpu = time.process_time()
            for number in range(20):
                store.write({f"{prefix}/{NODES}/b:{number + 1}": f"b:{number + 1}"})
                while len((await watched.next()).entries) < 1001 + number:
                    pass
            print(
                f"each change cost {(time.process_time() - cpu) / 20 * 1000:.1f} ms of CPU, the test's writing included"
            )
        assert len(await backend_of(store, prefix).fetch()) == 1020


class ElectionContract(StoreContract):
    """Leading when managers and servers do, besides all of StoreContract."""

    async def test_killed_leader(self, store: Store, prefix: str, start_member: StartMember) -> None:
        """A leader that is killed is replaced after its time to live."""
        leader = start_member("campaign", "one:1")
        await leader.says("leading one:1")
        async with campaigning(store, prefix, "two:1") as second:
            await second.until(leading=False, leader="one:1")
            leader.kill()
            started = time.monotonic()
            await second.until(leading=True, leader="two:1")
        print(f"killed leader replaced after {time.monotonic() - started:.2f} s, ttl {store.ttl_s} s")

    async def test_frozen_leader(self, store: Store, prefix: str, start_member: StartMember) -> None:
        """A leader that is frozen is replaced, and when it goes on it knows that it leads no more."""
        leader = start_member("campaign", "one:1")
        await leader.says("leading one:1")
        async with campaigning(store, prefix, "two:1") as second:
            await second.until(leading=False, leader="one:1")
            leader.freeze()
            await second.until(leading=True, leader="two:1")
            leader.thaw()
            await leader.says("following two:1")
            await second.stays_silent(0)

    async def test_long_reign(self, store: Store, prefix: str) -> None:
        """A leader that renews in time leads for longer than the time to live, and says nothing about it."""
        ttl_s = max(store.ttl_s, 5.0)  # of which a busy machine may waste half
        async with campaigning(store, prefix, "one:1", ttl_s=ttl_s) as first:
            await first.until(leading=True)
            await first.stays_silent(ttl_s * 1.5)

    async def test_outage_ends_the_reign(self, store: Store, prefix: str) -> None:
        """A leader whose store hangs stops leading within the time to live, and says why."""
        ttl_s = max(store.ttl_s, 4.0)  # a tenth of it is what a busy machine may waste
        async with campaigning(store, prefix, "one:1", ttl_s=ttl_s) as first:
            await first.until(leading=True)
            started = time.monotonic()
            store.freeze()
            try:
                standing = await first.until(leading=False)
                took_s = time.monotonic() - started
            finally:
                store.thaw()
            print(f"stopped leading after {took_s:.2f} s, ttl {ttl_s} s: {standing.error}")
            assert standing.error
            assert took_s < ttl_s
            await first.until(leading=True)

    async def test_store_restarted(self, store: Store, prefix: str) -> None:
        """After a restart of the store there is one leader again."""
        async with campaigning(store, prefix, "one:1") as first:
            await first.until(leading=True)
            store.kill()
            await asyncio.sleep(store.ttl_s)
            store.start()
            await first.until(leading=True)
            assert store.read(f"{prefix}/{LEADER}") == "one:1"


class TlsContract:
    """The store is reached over TLS, and has to be the right one."""

    async def test_wrong_ca(self, store: Store, wrong_ca: Mapping[str, str]) -> None:
        """A server that our authority did not sign for is an error, and an error once."""
        backend = backend_of(store, "tls", options=wrong_ca)
        with pytest.raises(DiscoveryError, match=r"(?i)certificate|tls|ssl"):
            await backend.fetch()
        async with watching(backend) as watched:
            errors = [(await watched.next()).error, *(each.error for each in await watched.more(2))]
            assert all(errors)  # a store that is late says so first, and then the reason
            assert len(set(errors)) == len(errors)


class CredentialsContract:
    """The store wants to know who asks."""

    async def test_wrong_credentials(self, store: Store, wrong_credentials: Mapping[str, str]) -> None:
        """Who may not look gets an error, not an empty cluster, and each error once."""
        store.write({f"guarded/{NODES}/a:1": "a:1"})
        backend = backend_of(store, "guarded", options=wrong_credentials)
        with pytest.raises(DiscoveryError):
            await backend.fetch()
        with pytest.raises(DiscoveryError):
            await backend.register(parse_entry("b:1"))
        async with watching(backend) as watched:
            errors = [(await watched.next()).error, *(each.error for each in await watched.more(2))]
            print(f"wrong credentials: {errors}")
            assert all(errors)  # a store that is late says so first, and then the reason
            assert len(set(errors)) == len(errors)
