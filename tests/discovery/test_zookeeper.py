"""Discovery through a real ZooKeeper, without and with TLS and a user of our own."""

import asyncio
import re
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from discovery import DiscoveryError, Entry, open_backend, parse_entry
from discovery.zookeeper_election import _Candidacy as Candidacy
from discovery.zookeeper_session import Ensemble, Session, parse_url
from tests.discovery.member import Member
from tests.discovery.readers import STEADY_S, backend_of, campaigning, watching
from tests.discovery.servers.process import serve
from tests.discovery.servers.zookeeper import DIGEST, Zookeeper
from tests.discovery.store_contract import (
    LEADER,
    NODES,
    BasicContract,
    CredentialsContract,
    ElectionContract,
    TlsContract,
)
from tests.hosts.certificates import Certificates


class Interrupted(Session):
    """A session in which something happens just before the first value is read."""

    def __init__(self, ensemble: Ensemble, timeout_s: float, call_s: float, happen: Callable[[], None]) -> None:
        super().__init__(ensemble, timeout_s, call_s)
        self._happens = [happen]

    async def read(self, path: str) -> tuple[str, int] | None:
        while self._happens:
            await asyncio.to_thread(self._happens.pop())
        return await super().read(path)


class TestPlain(ElectionContract):
    """ZooKeeper without TLS, open to everybody."""

    @pytest.fixture(scope="class")
    @classmethod
    def store(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zookeeper]:
        yield from serve(Zookeeper(tmp_path_factory.mktemp("zookeeper") / "plain"))

    async def test_as_classic_registers(self, store: Zookeeper, prefix: str) -> None:
        """An entry is an ephemeral node, open to all, below nodes that stay."""
        backend = backend_of(store, prefix, ttl_s=STEADY_S)
        await backend.register(parse_entry("a:1"))
        with store.client() as client:
            node, directory = client.exists(f"/{prefix}/{NODES}/a:1"), client.exists(f"/{prefix}/{NODES}")
            rights, _ = client.get_acls(f"/{prefix}/{NODES}/a:1")
        assert node.ephemeralOwner
        assert not directory.ephemeralOwner
        assert [str(one.id) for one in rights] == ["Id(scheme='world', id='anyone')"]
        await backend.unregister(parse_entry("a:1"))

    async def test_as_classic_leads(self, store: Zookeeper, prefix: str) -> None:
        """Candidates have names that Go's client can read; the leader's address stays when nobody leads."""
        async with campaigning(store, prefix, "one:1", ttl_s=STEADY_S) as first:
            await first.until(leading=True)
            async with campaigning(store, prefix, "two:1", ttl_s=STEADY_S) as second:
                await second.until(leading=False, leader="one:1")
                for name in store.children(f"{prefix}/{LEADER}"):
                    assert re.fullmatch(r"_c_[0-9a-f]{32}-lock-[0-9]{10}", name)
        assert store.children(f"{prefix}/{LEADER}") == []
        assert store.read(f"{prefix}/{LEADER}") is not None

    async def test_lock_of_another(self, store: Zookeeper, prefix: str) -> None:
        """Who is before us leads as long as it is there, and what its predecessor wrote is not its address."""
        with store.client() as client:
            client.ensure_path(f"/{prefix}/{LEADER}/kazoo__lock__0000000001")
            names = [
                client.create(f"/{prefix}/{LEADER}/_c_{uuid.uuid4().hex}-lock-", ephemeral=True, sequence=True)
                for _ in range(2)
            ]
            client.set(f"/{prefix}/{LEADER}", b"classic:1")
            async with campaigning(store, prefix, "one:1") as candidate:
                await candidate.until(leading=False, leader="classic:1")
                client.delete(names[0])
                await candidate.until(leading=False, leader="")
                client.set(f"/{prefix}/{LEADER}", b"classic:2")
                await candidate.until(leading=False, leader="classic:2")
                client.delete(names[1])
                await candidate.until(leading=True, leader="one:1")

    async def test_succession_at_a_glance(self, store: Zookeeper, prefix: str) -> None:
        """Who takes over and writes its address between our two questions is the leader, and not left behind."""
        with store.client() as client:
            client.ensure_path(f"/{prefix}/{LEADER}")
            names = [
                client.create(f"/{prefix}/{LEADER}/_c_{uuid.uuid4().hex}-lock-", ephemeral=True, sequence=True)
                for _ in range(2)
            ]
            client.set(f"/{prefix}/{LEADER}", b"classic:1")

            def succeed() -> None:
                client.delete(names[0])
                client.set(f"/{prefix}/{LEADER}", b"classic:2")

            ensemble, place = parse_url(f"{store.address}/{prefix}", {})
            session = Interrupted(ensemble, store.ttl_s, store.ttl_s, succeed)
            try:
                candidacy = Candidacy(session, place.leader, "one:1", store.ttl_s)
                for _ in range(3):
                    standing = await candidacy.step()
                    assert (standing.leading, standing.leader) == (False, "classic:2")
            finally:
                await session.close()

    async def test_address_of_another(self, store: Zookeeper, prefix: str) -> None:
        """A leader puts its address right when somebody else wrote over it."""
        async with campaigning(store, prefix, "one:1") as first:
            await first.until(leading=True)
            async with campaigning(store, prefix, "two:1") as second:
                await second.until(leading=False, leader="one:1")
                store.write({f"{prefix}/{LEADER}": "stray:1"})
                await second.until(leading=False, leader="one:1")

    async def test_written_later(self, store: Zookeeper, prefix: str) -> None:
        """A node that is still empty, as classic's agents make theirs, counts by its name."""
        async with watching(backend_of(store, prefix)) as watched:
            await watched.until()
            with store.client() as client:
                client.create(f"/{prefix}/{NODES}/a:1", b"", ephemeral=True, makepath=True)
                await watched.until("a:1")
                client.set(f"/{prefix}/{NODES}/a:1", b"a:1")
                await watched.stays_silent(1.5)
            await watched.until()

    async def test_registered_twice(self, store: Zookeeper, prefix: str) -> None:
        """Who comes back under its address takes the node from its earlier life, and it is never gone."""
        before, after = backend_of(store, prefix, ttl_s=STEADY_S), backend_of(store, prefix, ttl_s=STEADY_S)
        await before.register(parse_entry("a:1"))
        async with watching(backend_of(store, prefix)) as watched:
            await watched.until("a:1")
            await after.register(parse_entry("a:1"))
            await watched.stays_silent(0.5)
        await after.unregister(parse_entry("a:1"))
        await before.unregister(parse_entry("a:1"))

    async def test_lost_session(self, store: Zookeeper, prefix: str) -> None:
        """When the session was lost a new one takes its place, with all that was registered, before any heartbeat."""
        backend = backend_of(store, prefix)
        await backend.register(parse_entry("a:1"))
        await backend.register(parse_entry("b:1"))
        async with watching(backend_of(store, prefix)) as watched:
            await watched.until("a:1", "b:1")
            store.kill()
            store.wipe()
            await watched.error()
            store.start()
            await watched.until("a:1", "b:1")
        await backend.unregister(parse_entry("a:1"))
        await backend.unregister(parse_entry("b:1"))

    async def test_frozen_agent(self, store: Zookeeper, prefix: str) -> None:
        """An agent that hangs for longer than its TTL is gone, and back when it goes on."""
        member = Member("register", "a:1", store.url(prefix), store.ttl_s, store.options)
        try:
            async with watching(backend_of(store, prefix)) as watched:
                await watched.until("a:1")
                member.freeze()
                await watched.until()
                member.thaw()
                await watched.until("a:1")
        finally:
            member.kill()

    async def test_floor(self, store: Zookeeper, prefix: str) -> None:
        """A TTL that is too short for the server is an error that names the least one, for agents and managers."""
        with pytest.raises(DiscoveryError) as error:
            await backend_of(store, prefix, ttl_s=1).register(parse_entry("a:1"))
        assert str(error.value) == (
            f"zookeeper at {store.address} refuses a TTL of 1 s: it has to be 3 s or more "
            "(the server's minSessionTimeout)"
        )
        assert await backend_of(store, prefix).fetch() == ()

    async def test_several_hosts(self, store: Zookeeper, prefix: str) -> None:
        """One host of several is enough."""
        backend = open_backend(f"zk://nowhere.invalid,127.0.0.1:1,{store.address}/{prefix}", heartbeat_s=10)
        assert await backend.fetch() == ()

    async def test_leaves_no_threads(self, store: Zookeeper, prefix: str) -> None:
        """What kazoo runs on has ended when we have."""
        before = {thread for thread in threading.enumerate() if not thread.name.startswith("asyncio")}
        backend = backend_of(store, prefix, ttl_s=STEADY_S)
        await backend.register(parse_entry("a:1"))
        async with watching(backend) as watched, campaigning(store, prefix, "one:1", ttl_s=STEADY_S) as candidate:
            await watched.until("a:1")
            await candidate.until(leading=True)
            assert set(threading.enumerate()) > before
        await backend.unregister(parse_entry("a:1"))
        assert {thread for thread in threading.enumerate() if not thread.name.startswith("asyncio")} == before


class TestSecure(BasicContract, TlsContract, CredentialsContract):
    """ZooKeeper with TLS, and a user."""

    @pytest.fixture(scope="class")
    @classmethod
    def store(cls, tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[Zookeeper]:
        yield from serve(Zookeeper(tmp_path_factory.mktemp("zookeeper") / "secure", certificates=certificates))

    @pytest.fixture
    def wrong_ca(self, certificates: Certificates) -> Mapping[str, str]:
        """Return the options of somebody who trusts another authority."""
        return {"kv.cacertfile": str(certificates.stranger.directory.parent / "stranger-ca" / "ca.pem")}

    @pytest.fixture(params=["keeper:wrong", ""])
    def wrong_credentials(self, request: pytest.FixtureRequest) -> Mapping[str, str]:
        """Return the options of somebody who may not look."""
        return {"zk.digest": request.param}

    async def test_digest_in_a_file(self, store: Zookeeper, prefix: str, tmp_path: Path) -> None:
        """User and password may stand in a file, and what they make is nobody else's."""
        (tmp_path / "digest").write_text(f"{DIGEST}\n")
        options = {"zk.digest": "", "zk.digest.file": str(tmp_path / "digest")}
        backend = backend_of(store, prefix, options=options)
        await backend.register(parse_entry("a:1"))
        assert await backend_of(store, prefix).fetch() == (Entry("a", 1),)
        with pytest.raises(DiscoveryError, match=f"permission denied for /{prefix}/{NODES}"):
            await backend_of(store, prefix, options={"zk.digest": ""}).fetch()
        await backend.unregister(parse_entry("a:1"))

    async def test_name_of_the_host(self, store: Zookeeper) -> None:
        """A certificate for another host is refused."""
        url = f"zk://127.1:{store.address.partition(':')[2]}/x"
        with pytest.raises(DiscoveryError, match=r"(?i)hostname mismatch"):
            await open_backend(url, heartbeat_s=1, options=store.options).fetch()
