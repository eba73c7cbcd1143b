"""Networks as engines list them."""

import json

import pytest

from swarmproxy.errors import SwarmError
from swarmproxy.model.network import from_engine, item_json, list_from_engine

ITEM = {
    "Name": "blue",
    "Id": "b1ue",
    "Created": "2026-01-02T03:04:05.000000006Z",
    "Scope": "swarm",
    "Driver": "overlay",
    "Attachable": True,
    "IPAM": {"Config": [{"Subnet": "10.0.0.0/24"}]},
    "Labels": {"a": "b", "c": None},
    "Unheard": {"of": 1},
}


def test_reading() -> None:
    """What the cluster acts on is read, and all the engine said comes back, under the name of a node if given."""
    network = from_engine(json.dumps(ITEM).encode())
    assert (network.id, network.name, network.driver, network.scope) == ("b1ue", "blue", "overlay", "swarm")
    assert not network.ingress
    assert network.labels == {"a": "b", "c": ""}
    assert network.created_ns % 1_000_000_000 == 6
    assert not network.is_local
    assert json.loads(item_json(network)) == ITEM
    assert json.loads(item_json(network, "node-1")) == {**ITEM, "Name": "node-1/blue"}


def test_reading_little() -> None:
    """What is missing or null counts as empty, and a network without a scope is of one node."""
    network = from_engine(b'{"Id": "x", "Labels": null, "Driver": null}')
    assert (network.name, network.driver, network.labels, network.is_local) == ("", "", {}, True)
    assert not network.is_predefined
    assert from_engine(b'{"Id": "x", "Name": "bridge"}').is_predefined
    assert list_from_engine(b"null") == []


@pytest.mark.parametrize("body", [b"{}", b"[{}]", b"[1]", b'[{"Id": "x", "Created": "yesterday"}]', b"\xff"])
def test_unreadable(body: bytes) -> None:
    """A list that cannot be read is an error, not a crash."""
    with pytest.raises(SwarmError):
        list_from_engine(body)
