"""Where engines are announced in a benchmark: a file, or a real store of the tests."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from benchmarks.membership import CONSUL, ETCD, FILE, ZOOKEEPER
from tests.discovery.servers.consul import Consul
from tests.discovery.servers.etcd import Etcd
from tests.discovery.servers.process import Store
from tests.discovery.servers.zookeeper import Zookeeper
from tests.hosts.suites import fetch_store

_KINDS: dict[str, type[Etcd | Consul | Zookeeper]] = {ETCD: Etcd, CONSUL: Consul, ZOOKEEPER: Zookeeper}
# It warns of the connection that it has just been told to close.
logging.getLogger("kazoo").addHandler(logging.NullHandler())


class Place(Protocol):
    """One source of engines, which we change behind the manager's back."""

    def url(self, cluster: str) -> str:
        """Return the discovery URL of `cluster`."""

    def announce(self, cluster: str, addresses: Sequence[str]) -> None:
        """Add entries that nobody has to renew."""

    def withdraw(self, cluster: str, address: str) -> None:
        """Take one of them away."""


class FilePlace:
    """A file for each cluster, replaced as a whole at each change."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._entries: dict[str, list[str]] = {}

    def url(self, cluster: str) -> str:
        return f"file://{self._directory / cluster}"

    def announce(self, cluster: str, addresses: Sequence[str]) -> None:
        self._write(cluster, [*self._entries.get(cluster, ()), *addresses])

    def withdraw(self, cluster: str, address: str) -> None:
        self._write(cluster, [each for each in self._entries[cluster] if each != address])

    def _write(self, cluster: str, entries: list[str]) -> None:
        self._entries[cluster] = entries
        path = self._directory / f"{cluster}.new"
        path.write_text("".join(f"{entry}\n" for entry in entries))
        path.rename(self._directory / cluster)


class StorePlace:
    """A store, in which each cluster has its prefix."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def url(self, cluster: str) -> str:
        return self._store.url(cluster)

    def announce(self, cluster: str, addresses: Sequence[str]) -> None:
        self._store.write({f"{cluster}/docker/swarm/nodes/{address}": address for address in addresses})

    def withdraw(self, cluster: str, address: str) -> None:
        self._store.remove(f"{cluster}/docker/swarm/nodes/{address}")


@contextmanager
def open_place(name: str, directory: Path) -> Iterator[Place]:
    """Yield the place, ready to be used. Raises AssertionError or SuiteUnavailableError if a store does not start."""
    if name == FILE:
        directory.mkdir()
        yield FilePlace(directory)
        return
    if name == CONSUL:
        fetch_store("consul")  # Debian 12 has none
    store = _KINDS[name](directory)
    try:
        store.start()
        yield StorePlace(store)
    finally:
        store.close()
