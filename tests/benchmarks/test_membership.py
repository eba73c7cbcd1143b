"""Tests of benchmarks/membership.py, places.py and changes.py."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks.changes import ChangeError, Manager, measure_membership
from benchmarks.membership import (
    ADDED,
    CPU,
    ETCD,
    FILE,
    KILLED,
    LEADER_KILLED,
    LEADER_RESIGNED,
    MEMBERSHIP_ROWS,
    PLACES,
    STORES,
    TTL_S,
    MembershipRow,
    membership_table,
    select_membership_rows,
)
from benchmarks.places import FilePlace
from benchmarks.rows import ROWS
from tests.benchmarks.test_processes import DEADLINE_S, children_of, is_running
from tests.program import Program
from tests.waiting import wait_until


def cells_of(row: MembershipRow, samples: dict[str, list[float]]) -> list[str]:
    """Return the cells of the row in a table of its own."""
    line = membership_table([row], {row.key: samples}).splitlines()[2]
    return [cell.strip() for cell in line.strip("|").split("|")]


def in_all(places: Sequence[str], sample: float) -> dict[str, list[float]]:
    return {place: [sample] for place in places}


def test_keys_are_the_tables_own() -> None:
    """No key is used twice, in either table, and `membership*` selects this one."""
    keys = [row.key for row in (*ROWS, *MEMBERSHIP_ROWS)]
    assert len(set(keys)) == len(keys)
    assert select_membership_rows("membership*") == select_membership_rows("") == list(MEMBERSHIP_ROWS)
    assert select_membership_rows("top-*, *-cpu") == [CPU]
    assert not select_membership_rows("top-*")


@pytest.mark.parametrize(
    ("row", "samples", "cell", "verdict"),
    [
        (ADDED, [20.0, 99.0, 300.0], "99.0 / 300.0", "ok"),  # the median counts
        (ADDED, [20.0, 101.0, 300.0], "101.0 / 300.0", "MISS"),
        (KILLED, [-0.5, -0.25, 1.0], "-0.25 / +1.00", "ok"),  # the worst counts
        (KILLED, [-0.5, -0.25, 1.01], "-0.25 / +1.01", "MISS"),
        (LEADER_RESIGNED, [0.25, 0.25, 1.5], "0.25 / 1.50", "MISS"),
    ],
)
def test_goals(row: MembershipRow, samples: list[float], cell: str, verdict: str) -> None:
    """A row shows median and worst of each place, and reaches its goal when all places do."""
    cells = cells_of(row, {**in_all(row.places, 0.0), ETCD: samples})
    assert cells[2 + PLACES.index(ETCD)] == cell
    assert cells[-1] == verdict


def test_a_missing_place_misses() -> None:
    """A row misses its goal if a place was not measured, but a file has neither TTL nor leader."""
    assert cells_of(LEADER_KILLED, in_all(STORES, 0.5))[-1] == "ok"
    assert cells_of(LEADER_KILLED, in_all(STORES[1:], 0.5))[-1] == "MISS"
    assert cells_of(ADDED, in_all(STORES, 0.5))[-1] == "MISS"


def test_file_place(tmp_path: Path) -> None:
    """What is announced in a file stands in it until it is withdrawn, each cluster for itself."""
    place = FilePlace(tmp_path)
    place.announce("one", ["10.0.0.1:1", "10.0.0.2:1"])
    place.announce("two", ["10.0.0.3:1"])
    place.announce("one", ["10.0.0.4:1"])
    place.withdraw("one", "10.0.0.2:1")
    assert place.url("one") == f"file://{tmp_path / 'one'}"
    assert (tmp_path / "one").read_text().split() == ["10.0.0.1:1", "10.0.0.4:1"]
    assert (tmp_path / "two").read_text().split() == ["10.0.0.3:1"]


def test_measures_what_it_says(tmp_path: Path) -> None:
    """Nodes and leaders come and go in a file and a real etcd, and each row gets its samples."""
    rows = [ADDED, KILLED, LEADER_KILLED, LEADER_RESIGNED]
    samples, failures = measure_membership(rows, rounds=2, logs=tmp_path, tell=print, places=(FILE, ETCD))
    assert not failures
    assert {key: list(taken) for key, taken in samples.items()} == {
        ADDED.key: [FILE, ETCD],
        KILLED.key: [ETCD],
        LEADER_KILLED.key: [ETCD],
        LEADER_RESIGNED.key: [ETCD],
    }
    assert [len(samples[key][ETCD]) for key in (ADDED.key, KILLED.key, LEADER_KILLED.key)] == [2, 2, 1]
    assert all(value > 0 for taken in samples[ADDED.key].values() for value in taken)
    assert all(value > -TTL_S for key in (KILLED.key, LEADER_KILLED.key) for value in samples[key][ETCD])


def test_a_manager_that_ends_is_reported(tmp_path: Path) -> None:
    """Waiting for a manager ends when its process has."""
    with ExitStack() as stack, pytest.raises(ChangeError, match="a manager that answers"):
        Manager(stack, tmp_path / "log", "nonsense://").wait_until_it_serves()


def test_leaves_nothing(tmp_path: Path) -> None:
    """A run that is told to end takes engines, managers, agents and stores along."""
    command = (sys.executable, "-m", "benchmarks", "--rows", "membership-killed", "--results", tmp_path)
    with Program(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        wait_until(lambda: len(children_of(run.pid)) >= 5, "children")  # two of engines, store, manager, agent
        started = children_of(run.pid)
        os.kill(run.pid, signal.SIGTERM)
        run.wait(DEADLINE_S)
    wait_until(lambda: not [pid for pid in started if is_running(pid)], "the kernel to end them")
