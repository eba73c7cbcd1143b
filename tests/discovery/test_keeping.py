"""The managers' document in a file, and in each kind of store."""

import os
import resource
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from discovery import ChangedElsewhereError, DiscoveryError, Keeper, open_keeper
from tests.discovery.keeper_contract import ONE, TWO, KeeperContract, Open, StoreKeeperContract
from tests.discovery.servers.consul import Consul
from tests.discovery.servers.etcd import Etcd
from tests.discovery.servers.process import serve
from tests.discovery.servers.zookeeper import Zookeeper


@contextmanager
def _files_up_to(size_bytes: int) -> Iterator[None]:
    """Let no file become larger than this, as a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def _keeper(path: Path) -> Keeper:
    keeper = open_keeper("nodes://a:1", state_file=path)
    assert keeper is not None
    return keeper


class TestFile(KeeperContract):
    """A file of one manager."""

    @pytest.fixture
    def open_one(self, tmp_path: Path) -> Open:
        return lambda: _keeper(tmp_path / "state.json")

    async def test_mode(self, tmp_path: Path) -> None:
        """The file, what is set aside included, is its owner's alone, and nothing else is left behind."""
        keeper = _keeper(tmp_path / "state.json")
        await keeper.write(ONE)
        await keeper.write(TWO)
        aside = await keeper.set_aside(b"?")
        assert sorted(tmp_path.iterdir()) == [tmp_path / "state.json", Path(aside)]
        assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}

    async def test_replaced_whole(self, tmp_path: Path) -> None:
        """A write puts a new file in the place of the old one, which a reader that has it open still sees whole."""
        keeper = _keeper(tmp_path / "state.json")
        await keeper.write(ONE)
        with (tmp_path / "state.json").open("rb") as old:
            await keeper.write(TWO)
            assert old.read() == ONE

    async def test_full_disk(self, tmp_path: Path) -> None:
        """A write that fails is an error and leaves the old document, and no rubbish."""
        keeper = _keeper(tmp_path / "state.json")
        await keeper.write(ONE)
        before = os.sysconf("SC_PAGESIZE")  # any size that the document is over
        with _files_up_to(before), pytest.raises(DiscoveryError, match=r"cannot be written: File too large"):
            await keeper.write(b"x" * (before + 1))
        assert await keeper.read() == ONE
        assert list(tmp_path.iterdir()) == [tmp_path / "state.json"]

    async def test_edited(self, tmp_path: Path) -> None:
        """What somebody wrote into the file by hand is not written over unseen."""
        keeper = _keeper(tmp_path / "state.json")
        await keeper.write(ONE)
        (tmp_path / "state.json").write_bytes(b"by hand")
        with pytest.raises(ChangedElsewhereError):
            await keeper.write(TWO)
        assert await keeper.read() == b"by hand"
        await keeper.write(TWO)

    async def test_unreadable(self, tmp_path: Path) -> None:
        """A file that cannot be read is an error, which is not the same as none."""
        (tmp_path / "state.json").mkdir()
        with pytest.raises(DiscoveryError, match=r"state\.json cannot be read: Is a directory"):
            await _keeper(tmp_path / "state.json").read()

    def test_no_directory(self, tmp_path: Path) -> None:
        """A file in no directory is refused at once."""
        with pytest.raises(DiscoveryError, match=r"there is no directory .*/none"):
            _keeper(tmp_path / "none" / "state.json")


class TestEtcd(StoreKeeperContract):
    """etcd's v3 store."""

    @pytest.fixture(scope="class")
    @classmethod
    def store(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
        yield from serve(Etcd(tmp_path_factory.mktemp("etcd")))


class TestEtcdV2(StoreKeeperContract):
    """etcd's v2 store."""

    @pytest.fixture(scope="class")
    @classmethod
    def store(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
        yield from serve(Etcd(tmp_path_factory.mktemp("etcd"), api="v2", serves_v2=True))


class TestConsul(StoreKeeperContract):
    """consul."""

    @pytest.fixture(scope="class")
    @classmethod
    def store(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consul]:
        yield from serve(Consul(tmp_path_factory.mktemp("consul") / "plain"))


class TestZookeeper(StoreKeeperContract):
    """ZooKeeper."""

    @pytest.fixture(scope="class")
    @classmethod
    def store(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zookeeper]:
        yield from serve(Zookeeper(tmp_path_factory.mktemp("zookeeper") / "plain"))


def test_nowhere() -> None:
    """Without a store and without a file nothing is kept; a bad place is an error at once."""
    for url in ("nodes://a:1", "file:///etc/cluster", "token://hub:1/x"):
        assert open_keeper(url) is None
    with pytest.raises(DiscoveryError):
        open_keeper("zk://")
