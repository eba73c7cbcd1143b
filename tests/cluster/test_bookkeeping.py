"""What operators said is kept before it counts, and known before a manager leads."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from discovery import DiscoveryError, Keeper, open_keeper
from swarmproxy.cluster import bookkeeping
from swarmproxy.cluster.bookkeeping import Bookkeeping
from swarmproxy.cluster.operators import Availability, NodeBook, NodeRecord, find_node
from swarmproxy.errors import Conflict, NotFound, SwarmError, Unavailable
from tests.cluster.members import member
from tests.engine.harness import eventually

ENGINE = member(1)
SOON: dict[str, Any] = {"look_s": 0.01, "retry_s": 0.01}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the document is kept."""
    return tmp_path / "state.json"


class Unsteady:
    """A keeper whose store fails on demand: before it has written, or after, when only its answer is lost."""

    def __init__(self, path: Path) -> None:
        self._file = _file(path)
        self.is_down = False
        self.loses_answers = False

    async def read(self) -> bytes | None:
        if self.is_down:
            raise DiscoveryError("the store is down")
        return await self._file.read()

    async def write(self, data: bytes) -> None:
        if not self.is_down:
            await self._file.write(data)
        if self.is_down or self.loses_answers:
            raise DiscoveryError("the store does not answer")

    async def set_aside(self, data: bytes) -> str:
        return await self._file.set_aside(data)

    async def close(self) -> None:
        """Do nothing."""


def _file(path: Path) -> Keeper:
    keeper = open_keeper("nodes://a:1", state_file=path)
    assert keeper is not None
    return keeper


def _said(path: Path) -> dict[str, Any]:
    """Return the nodes of the document."""
    nodes: dict[str, Any] = json.loads(path.read_bytes())["nodes"]
    return nodes


def _says(kept: Bookkeeping, availability: Availability) -> Callable[[], NodeRecord]:
    return lambda: replace(kept.book.record_of(ENGINE), availability=availability)


async def _manager(keeper: Keeper | None, **options: Any) -> Bookkeeping:
    """Return the books of a manager that leads."""
    kept = Bookkeeping(NodeBook(), keeper, **options)
    await kept.catch_up()
    return kept


async def test_survives(path: Path) -> None:
    """What was said before is known to the next manager; it is written before it counts."""
    kept = await _manager(_file(path))
    written: list[str] = []
    kept.book.on_change.append(lambda _, after: written.append(_said(path)[after.id]["availability"]))
    await kept.change(_says(kept, "drain"))
    await kept.change(lambda: kept.book.record_of(ENGINE).relabelled({"storage": "ssd"}))
    assert written == ["drain", "drain"]
    again = await _manager(_file(path))
    assert (again.book.availability_of(ENGINE), dict(again.book.labels_of(ENGINE))) == ("drain", {"storage": "ssd"})
    assert (again.problem, again.warnings) == ("", [])


async def test_refused_change(path: Path) -> None:
    """A change that makes no sense is not kept."""
    kept = await _manager(_file(path))
    with pytest.raises(NotFound):
        await kept.change(lambda: find_node(kept.book, [], "nobody")[0])
    assert not path.exists()


async def test_in_memory(caplog: pytest.LogCaptureFixture) -> None:
    """Without a place to keep it, it counts all the same; the operator is told each time, and the log once."""
    kept = await _manager(None)
    for availability in ("drain", "pause"):
        await kept.change(_says(kept, availability))
    assert kept.book.availability_of(ENGINE) == "pause"
    assert kept.warnings == [bookkeeping.IN_MEMORY]
    assert [record.getMessage() for record in caplog.records].count(
        f"what operators say of nodes is {bookkeeping.IN_MEMORY}"
    ) == 1
    await kept.run()  # has nothing to do


async def test_down(path: Path) -> None:
    """A store that is down is a clear error, and nothing has changed."""
    keeper = Unsteady(path)
    kept = await _manager(keeper)
    await kept.change(_says(kept, "pause"))
    keeper.is_down = True
    with pytest.raises(Unavailable, match=r"^nothing was changed, for it cannot be kept: the store does not answer$"):
        await kept.change(_says(kept, "drain"))
    assert kept.book.availability_of(ENGINE) == "pause"
    keeper.is_down = False
    await kept.change(_says(kept, "active"))
    assert _said(path) == {}


async def test_lost_answer(path: Path) -> None:
    """A change that was refused because the store's answer was lost is taken back there, too."""
    keeper = Unsteady(path)
    kept = await _manager(keeper, **SOON)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(kept.run(), name="bookkeeping")
        keeper.loses_answers = True
        with pytest.raises(Unavailable):
            await kept.change(_says(kept, "drain"))
        assert (kept.book.availability_of(ENGINE), _said(path)["ENGINE-1"]["availability"]) == ("active", "drain")
        keeper.loses_answers = False
        await eventually(lambda: _said(path) == {})
        await kept.change(_says(kept, "pause"))
        assert _said(path)["ENGINE-1"]["availability"] == "pause"
        running.cancel()


async def test_unknown_at_first(path: Path) -> None:
    """A manager that cannot read what was said writes nothing over it, says so, and reads it as soon as it can."""
    before = await _manager(_file(path))
    await before.change(_says(before, "drain"))
    keeper = Unsteady(path)
    keeper.is_down = True
    kept = await _manager(keeper, **SOON)
    assert kept.problem == "what operators said of nodes cannot be read: the store is down"
    with pytest.raises(Unavailable):
        await kept.change(_says(kept, "pause"))
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(kept.run(), name="bookkeeping")
        keeper.is_down = False
        await eventually(lambda: kept.book.availability_of(ENGINE) == "drain")
        assert kept.problem == ""
        running.cancel()


@pytest.mark.parametrize("document", [b"", b"{broken", b'{"version": 9}', b"\xff"])
async def test_unreadable(path: Path, document: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """A document that nobody can read is told of and kept aside, whole, and the next one is good."""
    path.write_bytes(document)
    kept = await _manager(_file(path))
    [aside] = path.parent.glob("*unreadable*")
    assert aside.read_bytes() == document
    assert str(aside) in kept.problem
    assert "what operators said of nodes is not readable and was set aside" in caplog.text
    assert _said(path) == {}
    await kept.change(_says(kept, "drain"))
    assert kept.problem == ""
    assert (await _manager(_file(path))).book.availability_of(ENGINE) == "drain"


async def test_replica(path: Path) -> None:
    """A manager that does not lead knows what the leader was told, and writes nothing, whatever it finds."""
    leader = await _manager(_file(path), is_shared=True)
    replica = Bookkeeping(NodeBook(), _file(path), leads=lambda: False, is_shared=True, **SOON)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(replica.run(), name="bookkeeping")
        await leader.change(_says(leader, "drain"))
        await eventually(lambda: replica.book.availability_of(ENGINE) == "drain")
        path.write_bytes(b"{broken")
        await eventually(lambda: bool(replica.problem))
        assert replica.book.availability_of(ENGINE) == "drain"
        assert path.read_bytes() == b"{broken"
        running.cancel()


async def test_former_leader(path: Path) -> None:
    """Once another manager has taken over, what a former leader still writes comes too late, and it learns of it."""
    former = await _manager(_file(path), is_shared=True)
    await former.change(_says(former, "pause"))
    successor = await _manager(_file(path), is_shared=True)
    assert successor.book.availability_of(ENGINE) == "pause"
    with pytest.raises(Conflict, match="nothing was changed, look at the nodes and try again"):
        await former.change(_says(former, "drain"))
    assert former.book.availability_of(ENGINE) == "pause"


async def test_leads_no_more(path: Path) -> None:
    """A manager that has lost the lead writes nothing."""
    leads = [True]
    kept = await _manager(_file(path), leads=lambda: leads[0])
    leads[0] = False
    with pytest.raises(SwarmError, match="leads no more"):
        await kept.change(_says(kept, "drain"))
    assert not path.exists()


async def test_one_after_the_other(path: Path) -> None:
    """Of many changes at once none is lost."""
    kept = await _manager(_file(path))
    keys = [f"key-{number}" for number in range(20)]

    def label(key: str) -> Callable[[], NodeRecord]:
        return lambda: kept.book.record_of(ENGINE).relabelled({key: "x"})

    await asyncio.gather(*(kept.change(label(key)) for key in keys))
    assert sorted(_said(path)["ENGINE-1"]["labels"]) == sorted(keys)
