"""What a cluster adds to an engine's inspect."""

import json

import msgspec
import pytest

from swarmproxy.api.inspect import node_of, with_node
from swarmproxy.cluster.operators import NodeBook
from tests.cluster.members import member

ENGINE, BOOK = member(1), NodeBook()
PORTS = {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "80"}, {"HostIp": "10.0.0.1", "HostPort": "81"}], "9/udp": None}


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"Id": "a"},
        {"Id": "a", "Config": {"Labels": {"text": 'a "Node": and "HostIp" }'}}, "Unheard": [1, {"of": None}]},
        {"Id": "a", "Node": {"Name": "another"}},
        {"Id": "a", "Config": {"Labels": {"Node": "label"}}},
        {"Id": "a", "NetworkSettings": {"Ports": {}}},
        {"Id": "a", "NetworkSettings": None},
        {"Id": "a", "NetworkSettings": {"Ports": PORTS, "Unheard": 1}, "HostConfig": {"PortBindings": PORTS}},
    ],
)
@pytest.mark.parametrize(("before", "after"), [("", "\n"), (" ", ""), ("\n", " \n")])
def test_with_node(said: dict[str, object], before: str, after: str) -> None:
    """All is as the engine said it, but for the node, and its address where a port is bound to every address."""
    expected = json.loads(json.dumps({**said, "Node": node_of(ENGINE, BOOK)}))
    if "HostConfig" in said:
        expected["NetworkSettings"]["Ports"]["80/tcp"][0]["HostIp"] = "127.0.0.1"
    for text in (msgspec.json.encode(said), json.dumps(said, indent=1).encode()):
        answer = with_node(before.encode() + text + after.encode(), ENGINE, BOOK)
        assert json.loads(answer) == expected
        assert answer.endswith(b"}\n")
