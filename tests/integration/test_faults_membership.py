"""Members that come, go, appear twice, or are no engines."""

from pathlib import Path

import pytest

from tests.conftest import StartManager
from tests.hosts.engine import Engine
from tests.hosts.manager import Manager
from tests.integration.faults import ps, refusal, rewrite, row_of, run, stream, wait_for
from tests.waiting import wait_until


@pytest.fixture
def listing(tmp_path: Path, engines: list[Engine]) -> Path:
    """Return a file that names the first of the two engines."""
    path = tmp_path / "cluster"
    path.write_text(f"# mine\n{engines[0].own_address}\n")
    return path


def nodes(manager: Manager) -> list[str]:
    """Return the addresses of the node table, in its order."""
    rows = manager.system_status()
    return [rows[index - 1][1] for index, (key, _) in enumerate(rows) if key == "  └ ID"]


def test_file(listing: Path, engines: list[Engine], start_manager: StartManager) -> None:
    """An engine written to the file joins with its containers, one taken out leaves with them, and runs on."""
    first, second = engines
    second.docker("run", "-d", "--name", "own", "busybox", "sleep", "1d")
    manager = start_manager(discovery=f"file://{listing}", healthy=1)
    run(manager, "mine")
    assert set(ps(manager)) == {"mine"}
    rewrite(listing, f"{first.own_address}\n{second.own_address}  # new\n")
    wait_until(lambda: set(ps(manager)) == {"mine", "own"}, "the second engine")
    assert manager.states() == ["Healthy", "Healthy"]
    rewrite(listing, f"{second.own_address}\n")
    wait_until(lambda: set(ps(manager, all=True)) == {"own"}, "the first engine to leave")
    assert nodes(manager) == [second.own_address]
    assert refusal(manager, "GET", "/containers/mine/json") == (404, "No such container: mine")
    assert first.count_running() == 1
    run(manager, "next")
    assert second.count_running() == 2


def test_bad_line(listing: Path, engines: list[Engine], start_manager: StartManager) -> None:
    """A bad line removes nobody: it is told with its number, until it is mended."""
    manager = start_manager(discovery=f"file://{listing}", healthy=1)
    good = listing.read_text()
    rewrite(listing, "\n\nno such:thing:at:all\n")
    wait_until(lambda: manager.get_json("/info")["Warnings"], "the warning")
    assert "line 3" in manager.get_json("/info")["Warnings"][0]
    assert nodes(manager) == [engines[0].own_address]
    listing.unlink()
    wait_until(lambda: "no such file" in manager.get_json("/info")["Warnings"][0], "the other warning")
    assert nodes(manager) == [engines[0].own_address]
    rewrite(listing, good + engines[1].own_address)
    wait_until(lambda: manager.states() == ["Healthy", "Healthy"], "the second engine")
    assert not manager.get_json("/info")["Warnings"]


def test_short_absence(listing: Path, engines: list[Engine], start_manager: StartManager) -> None:
    """An engine that is gone from the list for a moment takes no part meanwhile, and its open streams go on."""
    manager = start_manager(discovery=f"file://{listing}", healthy=1)
    good = listing.read_text()
    talker = run(manager, "talker", "sh", "-c", "while :; do echo word; sleep 0.1; done")
    with stream(manager, "GET", f"/containers/{talker}/logs?stdout=1&follow=1") as answer:
        assert answer.read(8 + 5)
        rewrite(listing, engines[1].own_address)
        wait_until(lambda: nodes(manager) == [engines[1].own_address], "the engine to leave")
        assert ps(manager, all=True) == {}
        assert answer.read(8 + 5)
        rewrite(listing, good)
        wait_until(lambda: set(ps(manager)) == {"talker"}, "the engine to return")
        assert answer.read(8 + 5)
        assert manager.states() == ["Healthy"]


def test_one_daemon_twice(engines: list[Engine], start_manager: StartManager) -> None:
    """A daemon behind two addresses counts once: the second is refused with the reason, nothing is touched."""
    engine = engines[0]
    engine.docker("run", "-d", "--name", "own", "busybox", "sleep", "1d")
    manager = start_manager([engine.own_address, engine.address, f"unix://{engine.socket_path}"], healthy=1)
    assert sorted(manager.states()) == ["Healthy", "Pending", "Pending"]
    refused = [address for address in nodes(manager) if row_of(manager, address, "Status") == "Pending"]
    assert len(refused) == 2
    engine_id = engine.get_json("/info")["ID"]
    for address in refused:
        assert f"Engine ID {engine_id} of {address} is in the cluster already" in row_of(manager, address, "Error")
    assert set(ps(manager, all=True)) == {"own"}
    assert engine.count_running() == 1


def test_second_address_takes_over(listing: Path, engines: list[Engine], start_manager: StartManager) -> None:
    """A daemon that was refused as a duplicate joins when its other address leaves."""
    engine = engines[0]
    rewrite(listing, f"{engine.own_address}\n{engine.address}\n")
    manager = start_manager(discovery=f"file://{listing}", healthy=1)
    run(manager, "mine")
    [winner] = [address for address in nodes(manager) if row_of(manager, address, "Status") == "Healthy"]
    [loser] = {engine.own_address, engine.address} - {winner}
    rewrite(listing, f"{loser}\n")
    wait_for(manager, loser, "Healthy")
    assert set(ps(manager)) == {"mine"}


def test_manager_as_member(engines: list[Engine], start_manager: StartManager) -> None:
    """A manager is no engine, and is refused as a member with the reason."""
    inner = start_manager([engines[0]])
    outer = start_manager([inner.address, engines[1]], healthy=1)
    assert row_of(outer, inner.address, "Status") == "Pending"
    assert "is a Docker Engine, not a Swarm manager" in row_of(outer, inner.address, "Error")
    assert row_of(outer, engines[1], "Status") == "Healthy"
