"""etcd's v2 store, which classic's agents and managers use, alone and beside v3."""

from collections.abc import Iterator, Mapping

import pytest

from discovery import DiscoveryError, open_roster, parse_entry
from tests.discovery.readers import backend_of, campaigning, watching
from tests.discovery.servers.etcd import Etcd
from tests.discovery.servers.process import serve
from tests.discovery.store_contract import LEADER, NODES, BasicContract, ElectionContract, TlsContract
from tests.hosts.certificates import Certificates


class TestV2(ElectionContract):
    """v2 alone: `etcd.api=v2`."""

    @pytest.fixture(scope="class")
    @classmethod
    def store(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
        yield from serve(Etcd(tmp_path_factory.mktemp("etcd"), api="v2", serves_v2=True))

    async def test_history_lost(self, store: Etcd, prefix: str) -> None:
        """When more has happened elsewhere than etcd remembers, nothing is missed."""
        async with watching(backend_of(store, prefix)) as watched:
            await watched.until()
            for number in range(1100):  # etcd remembers a thousand
                store.write({"elsewhere": str(number)})
            store.write({f"{prefix}/{NODES}/a:1": "a:1"})
            await watched.until("a:1")

    async def test_directory_removed(self, store: Etcd, prefix: str) -> None:
        """When the whole directory is removed, all nodes in it are gone."""
        store.write({f"{prefix}/{NODES}/{name}:1": f"{name}:1" for name in "ab"})
        async with watching(backend_of(store, prefix)) as watched:
            await watched.until("a:1", "b:1")
            store.remove(f"{prefix}/{NODES}?recursive=true")
            await watched.until()


class TestV2Tls(BasicContract, TlsContract):
    """v2 alone, over TLS and only for clients with a certificate."""

    @pytest.fixture(scope="class")
    @classmethod
    def store(cls, tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[Etcd]:
        directory = tmp_path_factory.mktemp("etcd")
        yield from serve(
            Etcd(directory, api="v2", serves_v2=True, certificates=certificates, demands_certificates=True)
        )

    @pytest.fixture
    def wrong_ca(self, certificates: Certificates) -> Mapping[str, str]:
        return {"kv.cacertfile": str(certificates.stranger.directory.parent / "stranger-ca" / "ca.pem")}


class TestAuto(BasicContract):
    """Both stores: `etcd.api=auto`."""

    @pytest.fixture(scope="class")
    @classmethod
    def store(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
        yield from serve(Etcd(tmp_path_factory.mktemp("etcd"), api="auto", serves_v2=True))

    async def test_classic_agent(self, store: Etcd, prefix: str) -> None:
        """Nodes of both stores are listed, each once, and come and go as they do."""
        v2, v3 = ({"etcd.api": api} for api in ("v2", "v3"))
        classic, ours = backend_of(store, prefix, options=v2), backend_of(store, prefix, options=v3)
        both = backend_of(store, prefix)
        async with watching(backend_of(store, prefix)) as watched:
            await watched.until()
            await classic.register(parse_entry("a:1"))
            await watched.until("a:1")
            await ours.register(parse_entry("b:1"))
            await watched.until("a:1", "b:1")
            await both.register(parse_entry("c:1"))
            await watched.until("a:1", "b:1", "c:1")
            assert [str(entry) for entry in await classic.fetch()] == ["a:1", "c:1"]
            assert [str(entry) for entry in await ours.fetch()] == ["b:1", "c:1"]
            await classic.unregister(parse_entry("a:1"))
            await ours.unregister(parse_entry("b:1"))
            await watched.until("c:1")
            await both.unregister(parse_entry("c:1"))
            await watched.until()

    async def test_leader_in_v2(self, store: Etcd, prefix: str) -> None:
        """The leader is where `etcd.leader` says, so that classic's managers may take part."""
        async with campaigning(store, prefix, "one:1", options={"etcd.leader": "v2"}) as candidate:
            await candidate.until(leading=True)
            assert store.read(f"{prefix}/{LEADER}") is None
            async with campaigning(store, prefix, "two:1", options={"etcd.api": "v2"}) as other:
                await other.until(leading=False, leader="one:1")

    @pytest.mark.parametrize("leader", ["v2", "v3"])
    async def test_roster_of_one_store(self, store: Etcd, prefix: str, leader: str) -> None:
        """The managers announce themselves where their lock is: all of them use that."""
        options = {"etcd.api": "auto", "etcd.leader": leader}
        auto = open_roster(store.url(prefix), ttl_s=store.ttl_s, options=options)
        await auto.register(parse_entry("10.0.0.7:2376"))
        for api in ("v2", "v3"):
            found = await open_roster(store.url(prefix), ttl_s=store.ttl_s, options={"etcd.api": api}).fetch()
            assert [str(entry) for entry in found] == (["10.0.0.7:2376"] if api == leader else [])
        await auto.unregister(parse_entry("10.0.0.7:2376"))


class TestV2IsOff:
    """A server that only has v3, as all are by default."""

    @pytest.fixture(scope="class")
    @classmethod
    def store(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
        yield from serve(Etcd(tmp_path_factory.mktemp("etcd")))

    async def test_asked_for(self, store: Etcd) -> None:
        """Who asks for v2 is told how to turn it on."""
        with pytest.raises(DiscoveryError, match="does not serve the v2 API: start it with --enable-v2"):
            await backend_of(store, "off", options={"etcd.api": "v2"}).fetch()

    async def test_auto(self, store: Etcd) -> None:
        """`auto` makes do with v3."""
        backend = backend_of(store, "off", options={"etcd.api": "auto"})
        async with watching(backend) as watched:
            await watched.until()
            await backend.register(parse_entry("a:1"))
            await watched.until("a:1")
            await watched.stays_silent(1.2)  # it looks again at each heartbeat
            await backend.unregister(parse_entry("a:1"))
            await watched.until()
