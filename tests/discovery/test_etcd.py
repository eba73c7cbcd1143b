"""etcd of this machine's release (3.4) through v3: plain, with TLS and certificates, with TLS and a password."""

from collections.abc import Iterator, Mapping

import pytest

from discovery import parse_entry
from tests.discovery.readers import HEARTBEAT_S, STEADY_S, backend_of, campaigning, watching
from tests.discovery.servers.etcd import USER, Etcd
from tests.discovery.servers.process import serve
from tests.discovery.store_contract import (
    LEADER,
    NODES,
    BasicContract,
    CredentialsContract,
    ElectionContract,
    TlsContract,
)
from tests.hosts.certificates import Certificates


class TestPlain(ElectionContract):
    """v3 without TLS."""

    @pytest.fixture(scope="class")
    @classmethod
    def store(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
        yield from serve(Etcd(tmp_path_factory.mktemp("etcd")))

    async def test_heartbeats_write_nothing(self, store: Etcd, prefix: str) -> None:
        """A renewed entry is not written again, so that a heartbeat wakes no manager."""
        backend = backend_of(store, prefix, ttl_s=STEADY_S)
        await backend.register(parse_entry("a:1"))
        before = store.revision()
        await backend.register(parse_entry("a:1"))
        assert store.revision() == before
        await backend.unregister(parse_entry("a:1"))

    async def test_compacted(self, store: Etcd, prefix: str) -> None:
        """A watch whose history was compacted away while nobody looked lists again."""
        store.write({f"{prefix}/{NODES}/a:1": "a:1"})
        async with watching(backend_of(store, prefix)) as watched:
            await watched.until("a:1")
            store.kill()
            store.start()
            store.write({f"{prefix}/{NODES}/b:1": "b:1"})
            store.remove(f"{prefix}/{NODES}/a:1")
            store.compact()
            await watched.until("b:1")
            store.write({f"{prefix}/{NODES}/c:1": "c:1"})
            await watched.until("b:1", "c:1")

    async def test_lock_that_never_ends(self, store: Etcd, prefix: str) -> None:
        """A leader's key without a lease, which would block every election, is named until it is removed."""
        store.write({f"{prefix}/{LEADER}": "stray:1"})
        async with campaigning(store, prefix, "one:1") as candidate:
            standing = await candidate.until(leading=False)
            assert standing.error == (
                f"key {prefix}/{LEADER} in etcd ('stray:1') has no lease and blocks every election: remove it"
            )
            await candidate.stays_silent(HEARTBEAT_S)
            store.remove(f"{prefix}/{LEADER}")
            await candidate.until(leading=True)


class TestTls(BasicContract, TlsContract, CredentialsContract):
    """v3 over TLS, and only for clients with a certificate."""

    @pytest.fixture(scope="class")
    @classmethod
    def store(cls, tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[Etcd]:
        directory = tmp_path_factory.mktemp("etcd")
        yield from serve(Etcd(directory, certificates=certificates, demands_certificates=True))

    @pytest.fixture
    def wrong_ca(self, certificates: Certificates) -> Mapping[str, str]:
        return _wrong_ca(certificates)

    @pytest.fixture
    def wrong_credentials(self, certificates: Certificates) -> Mapping[str, str]:
        return {"kv.certfile": str(certificates.stranger.cert), "kv.keyfile": str(certificates.stranger.key)}


class TestPassword(BasicContract, TlsContract, CredentialsContract):
    """v3 over TLS, and only for users with a password."""

    @pytest.fixture(scope="class")
    @classmethod
    def store(cls, tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[Etcd]:
        directory = tmp_path_factory.mktemp("etcd")
        yield from serve(Etcd(directory, certificates=certificates, demands_password=True))

    @pytest.fixture
    def wrong_ca(self, certificates: Certificates) -> Mapping[str, str]:
        return _wrong_ca(certificates)

    @pytest.fixture
    def wrong_credentials(self) -> Mapping[str, str]:
        return {"etcd.user": USER, "etcd.password": "wrong"}


def _wrong_ca(certificates: Certificates) -> Mapping[str, str]:
    """Return the options that trust somebody else's authority."""
    return {"kv.cacertfile": str(certificates.stranger.directory.parent / "stranger-ca" / "ca.pem")}
