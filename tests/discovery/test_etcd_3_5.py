"""etcd 3.5, of a later Debian release, through v3."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from discovery import open_backend, parse_entry
from tests.discovery.readers import watching
from tests.discovery.servers.etcd import Etcd
from tests.discovery.servers.process import serve
from tests.discovery.store_contract import NODES, ElectionContract
from tests.hosts import suites
from tests.hosts.certificates import Certificates


class TestLater(ElectionContract):
    """v3 without TLS."""

    @pytest.fixture(scope="class")
    @classmethod
    def store(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
        yield from serve(Etcd(tmp_path_factory.mktemp("etcd"), program=_program()))


@pytest.fixture
def forgetful(tmp_path: Path, certificates: Certificates) -> Iterator[Etcd]:
    """Yield a server whose tokens live for a second."""
    server = Etcd(
        tmp_path,
        program=_program(),
        certificates=certificates,
        demands_password=True,
        more=["--auth-token-ttl", "1"],
    )
    yield from serve(server)


async def test_expired_token(forgetful: Etcd) -> None:
    """When our token has expired, a new one is had without a word, to watch as well as to register."""
    backend = open_backend(forgetful.url("p"), heartbeat_s=4, ttl_s=60, options=forgetful.options)
    async with watching(backend) as watched:
        await watched.until()
        await backend.register(parse_entry("a:1"))
        await watched.until("a:1")
        await watched.stays_silent(5)
        await backend.register(parse_entry("a:1"))
        forgetful.write({f"p/{NODES}/b:1": "b:1"})
        assert {str(entry) for entry in (await watched.next()).entries} == {"a:1", "b:1"}
        await backend.unregister(parse_entry("a:1"))
        await watched.until("b:1")


def _program() -> Path:
    return suites.fetch_store("etcd-3.5") / "usr/bin/etcd"
