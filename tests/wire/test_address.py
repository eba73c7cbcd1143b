"""Addresses of daemons."""

import pytest

from swarmproxy.errors import BadRequest
from swarmproxy.wire.address import Address


@pytest.mark.parametrize(
    ("text", "address", "shown"),
    [
        ("10.0.0.1:2375", Address("10.0.0.1", 2375), "10.0.0.1:2375"),
        ("tcp://node-1.example:2376", Address("node-1.example", 2376), "node-1.example:2376"),
        ("tcp://node_1:1/", Address("node_1", 1), "node_1:1"),
        ("[::1]:2375", Address("::1", 2375), "[::1]:2375"),
        ("tcp://[fe80::1%eth0]:2375", Address("fe80::1%eth0", 2375), "[fe80::1%eth0]:2375"),
        ("unix:///var/run/docker.sock", Address(path="/var/run/docker.sock"), "unix:///var/run/docker.sock"),
        ("ssh://build-1/", Address("build-1", ssh=True), "ssh://build-1"),
        ("ssh://me@10.0.0.1:2222", Address("10.0.0.1", 2222, user="me", ssh=True), "ssh://me@10.0.0.1:2222"),
        ("ssh://[::1]/run/d.sock", Address("::1", path="/run/d.sock", ssh=True), "ssh://[::1]/run/d.sock"),
    ],
)
def test_parse(text: str, address: Address, shown: str) -> None:
    """Each form is understood, and shown in the one form that is parsed again."""
    assert Address.parse(text) == address
    assert str(address) == shown
    assert Address.parse(shown) == address


@pytest.mark.parametrize(
    "text",
    [
        *[
            "",
            "host",
            "host:",
            ":2375",
            "host:0",
            "host:65536",
            "host:1x",
            "::1:2375",
            "http://h:1",
            "unix://x",
            "a b:1",
        ],
        *["ssh://", "ssh://-oProxyCommand=x", "ssh://-l@host", "ssh://host:0", "ssh://a b", "ssh://@host"],
    ],
)
def test_refused(text: str) -> None:
    """Anything else is refused with what was given."""
    with pytest.raises(BadRequest):
        Address.parse(text)
