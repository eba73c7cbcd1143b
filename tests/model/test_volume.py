"""Volumes as engines list them."""

import json

import pytest

from swarmproxy.errors import SwarmError
from swarmproxy.model.volume import from_engine, item_json, list_from_engine

ITEM = {
    "Name": "data",
    "Driver": "nfs",
    "Mountpoint": "/mnt/data",
    "Scope": "global",
    "Labels": {"a": "b", "c": None},
    "Options": {"o": "ro"},
    "Unheard": {"of": 1},
}


def test_reading() -> None:
    """What the cluster acts on is read, and all the engine said comes back, under the name of a node if given."""
    volume = from_engine(json.dumps(ITEM).encode())
    assert (volume.name, volume.driver, volume.scope, volume.is_local) == ("data", "nfs", "global", False)
    assert volume.labels == {"a": "b", "c": ""}
    assert json.loads(item_json(volume)) == ITEM
    assert json.loads(item_json(volume, "node-1")) == {**ITEM, "Name": "node-1/data"}


@pytest.mark.parametrize(("driver", "is_local"), [(None, True), ("local", True), ("rexray", False)])
def test_reading_old(driver: str | None, is_local: bool) -> None:
    """Where the engine does not tell the scope, the driver does."""
    assert from_engine(json.dumps({"Name": "x", "Driver": driver, "Labels": None}).encode()).is_local is is_local


def test_reading_none() -> None:
    """No volumes are null in the engine's list."""
    assert list_from_engine(b'{"Volumes": null, "Warnings": null}') == []


@pytest.mark.parametrize("body", [b"[]", b'{"Volumes": [{}]}', b'{"Volumes": [1]}', b"\xff"])
def test_unreadable(body: bytes) -> None:
    """A list that cannot be read is an error, not a crash."""
    with pytest.raises(SwarmError):
        list_from_engine(body)
