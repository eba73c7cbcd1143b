"""docker-py at the proxy over two engines gets what it gets from one of these engines itself.

Where it does not, the difference is listed with its reason, and has to be there.
"""

from typing import Any

import docker
import pytest

from tests.integration.clients import calls, calls_containers, calls_networks
from tests.integration.clients.calls import CALLS, Call, told
from tests.integration.clients.pools import Pool
from tests.integration.sdk import connected, forgets_sockets, unguided

pytestmark = forgets_sockets

MODULES = (calls, calls_containers, calls_networks)  # importing them adds their calls, in this order
# what differs, "call" or "call.part" -> why the proxy's answer is another one
DIFFERENCES: dict[str, str] = {
    "info": "what one daemon says of itself has no sum; the nodes are told in SystemStatus, as in classic",
    "image_prune": "each node says what it removed",
    "image_errors.get": "20.10 says it twice; the words are those of newer engines",
    "image_errors.save": "told before any engine is asked, and which image it is",
    "image_errors.used": "an image may be in use on some nodes: each refusal names its node",
    "container_start": "inspect has `Node`, as in classic",
    "container_errors.kill": "told before any engine is asked",
    "container_errors.bad_filter": "20.10 begins it with a capital; the words are those of newer engines",
    "network_create": "inspect has `Node` for a network that is on one node",
}


@pytest.fixture
def answers(two: Pool) -> dict[str, tuple[Any, Any]]:
    """Return what each call says of one engine, and of the proxy."""
    engine = two.engines[0]
    with unguided():
        client = docker.DockerClient(f"tcp://{engine.address}", version="auto")
        alone = {name: told(function, client) for name, function in CALLS.items()}
        client.close()
    engine.empty()
    assert two.manager
    with connected(two.manager) as client:
        return {name: (alone[name], whatever(function, client)) for name, function in CALLS.items()}


def whatever(function: Call, client: docker.DockerClient) -> Any:
    """Return what a call returns, its error, or how our own look at the answer failed."""
    try:
        return told(function, client)
    except Exception as error:  # noqa: BLE001  it is a difference like another
        return f"{type(error).__name__}: {error}"


def parts(name: str, answer: Any) -> dict[str, Any]:
    """Return the parts of an answer that are compared by themselves."""
    return {f"{name}.{key}": value for key, value in answer.items()} if isinstance(answer, dict) else {name: answer}


def test_same_answers(answers: dict[str, tuple[Any, Any]]) -> None:
    """Every call says the same, but for the differences that are listed."""
    different = {}
    for name, (alone, proxied) in answers.items():
        told_alone, told_proxied = parts(name, alone), parts(name, proxied)
        for key in told_alone | told_proxied:
            if told_alone.get(key) != told_proxied.get(key):
                different[key] = f"{key}\n  engine: {told_alone.get(key)}\n  proxy:  {told_proxied.get(key)}"
    print("\n".join(different.values()))
    assert different.keys() == DIFFERENCES.keys()
