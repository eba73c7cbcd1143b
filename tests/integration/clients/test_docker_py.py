"""docker-py at the proxy over two engines gets what it gets from one of these engines itself.

Where it does not, the difference is listed with its reason, and has to be there.
"""

from typing import Any

import docker
import pytest

from tests.integration.clients.calls import CALLS, Call, told
from tests.integration.clients.pools import Pool
from tests.integration.conftest import remove_images
from tests.integration.sdk import connected, forgets_sockets, unguided

pytestmark = forgets_sockets

# call -> why the proxy's answer is another one
DIFFERENCES: dict[str, str] = {}


@pytest.fixture
def answers(two: Pool) -> dict[str, tuple[Any, Any]]:
    """Return what each call says of one engine, and of the proxy."""
    engine = two.engines[0]
    with unguided():
        client = docker.DockerClient(f"tcp://{engine.address}", version="auto")
        alone = {name: told(function, client) for name, function in CALLS.items()}
        client.close()
    engine.empty()
    remove_images(engine)
    assert two.manager
    with connected(two.manager) as client:
        return {name: (alone[name], whatever(function, client)) for name, function in CALLS.items()}


def whatever(function: Call, client: docker.DockerClient) -> Any:
    """Return what a call returns, its error, or how our own look at the answer failed."""
    try:
        return told(function, client)
    except Exception as error:  # noqa: BLE001  it is a difference like another
        return f"{type(error).__name__}: {error}"


def test_same_answers(answers: dict[str, tuple[Any, Any]]) -> None:
    """Every call says the same, but for the differences that are listed."""
    different = {name: pair for name, pair in answers.items() if pair[0] != pair[1]}
    for name, (alone, proxied) in different.items():
        print(f"{name}\n  engine: {alone}\n  proxy:  {proxied}")
    assert different.keys() == DIFFERENCES.keys()
