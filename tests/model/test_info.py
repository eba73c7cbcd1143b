"""The node table of `docker info`."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmproxy.model.info import NodeLine, human_size, natural_key, totals
from tests.model.whole_table import system_status

GIB = 1 << 30
HEALTHY = NodeLine(
    name="node-10",
    address="10.0.0.10:2375",
    id="E10|10.0.0.10:2375",
    status="Healthy",
    running=2,
    paused=1,
    stopped=3,
    reserved_cpus=1,
    total_cpus=4,
    reserved_memory_bytes=20 << 20,
    total_memory_bytes=8 * GIB + 8 * GIB * 5 // 100,
    labels={"storage": "ssd", "ostype": "linux"},
    updated_at=1_700_000_000.7,
    server_version="28.5.2",
)
DOWN = NodeLine(name="node-2", address="10.0.0.2:2375", status="Unhealthy", stopped=1, error="no route to host")
PENDING = NodeLine(name="", address="10.0.0.3:2375")


@pytest.mark.parametrize("availability", ["pause", "drain"])
def test_availability(availability: str) -> None:
    """A node that takes no containers says so behind its status; of all others the table is classic's."""
    rows = system_status("primary", "spread", [], [replace(HEALTHY, availability=availability)])
    assert rows[6:9] == [
        ["  └ Status", "Healthy"],
        ["  └ Availability", availability],
        ["  └ Containers", "6 (2 Running, 1 Paused, 3 Stopped)"],
    ]


def test_rows() -> None:
    """The rows are those of classic, letter for letter, in the natural order of names."""
    assert system_status("primary", "spread", ["health", "port"], [HEALTHY, DOWN, PENDING]) == [
        ["Role", "primary"],
        ["Strategy", "spread"],
        ["Filters", "health, port"],
        ["Nodes", "3"],
        [" (unknown)", "10.0.0.3:2375"],
        ["  └ ID", ""],
        ["  └ Status", "Pending"],
        ["  └ Containers", "0"],
        ["  └ Reserved CPUs", "0 / 0"],
        ["  └ Reserved Memory", "0 B / 0 B"],
        ["  └ Labels", ""],
        ["  └ UpdatedAt", "1970-01-01T00:00:00Z"],
        ["  └ ServerVersion", ""],
        [" node-2", "10.0.0.2:2375"],
        ["  └ ID", ""],
        ["  └ Status", "Unhealthy"],
        ["  └ Containers", "1"],
        ["  └ Reserved CPUs", "0 / 0"],
        ["  └ Reserved Memory", "0 B / 0 B"],
        ["  └ Labels", ""],
        ["  └ Error", "no route to host"],
        ["  └ UpdatedAt", "1970-01-01T00:00:00Z"],
        ["  └ ServerVersion", ""],
        [" node-10", "10.0.0.10:2375"],
        ["  └ ID", "E10|10.0.0.10:2375"],
        ["  └ Status", "Healthy"],
        ["  └ Containers", "6 (2 Running, 1 Paused, 3 Stopped)"],
        ["  └ Reserved CPUs", "1 / 4"],
        ["  └ Reserved Memory", "20 MiB / 8.4 GiB"],
        ["  └ Labels", "ostype=linux, storage=ssd"],
        ["  └ UpdatedAt", "2023-11-14T22:13:20Z"],
        ["  └ ServerVersion", "28.5.2"],
    ]


def test_replica() -> None:
    """A replica names the primary, even when there is none."""
    assert system_status("replica", "spread", [], [], primary="10.0.0.1:2376")[:2] == [
        ["Role", "replica"],
        ["Primary", "10.0.0.1:2376"],
    ]
    assert ["Primary", ""] in system_status("replica", "spread", [], [])


def test_totals() -> None:
    """Sums are over all engines, healthy or not."""
    summed = totals([HEALTHY, DOWN, PENDING])
    assert (summed.containers, summed.running, summed.paused, summed.stopped) == (7, 2, 1, 4)
    assert (summed.cpus, summed.memory_bytes) == (4, HEALTHY.total_memory_bytes)


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (20 << 20, "20 MiB"),
        (9019431321, "8.4 GiB"),
        (1 << 50, "1 PiB"),
    ],
)
def test_human_size(size_bytes: int, text: str) -> None:
    """Sizes are in units of 1024 with four significant digits."""
    assert human_size(size_bytes) == text


def test_natural_order() -> None:
    """Runs of digits are numbers, and spaces do not count."""
    names = ["node-10", "node-2", "node 1", "", "a2b10", "a2b9", "10", "9"]
    assert sorted(names, key=natural_key) == ["", "9", "10", "a2b9", "a2b10", "node 1", "node-2", "node-10"]


@given(st.lists(st.text()))
def test_any_names_can_be_sorted(names: list[str]) -> None:
    """No name upsets the order."""
    assert len(sorted(names, key=natural_key)) == len(names)
