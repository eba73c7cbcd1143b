"""The document about swarm mode says what is true."""

import pytest

from tests.hosts.certificates import Certificates
from tests.hosts.network import Network
from tests.integration.swarm_walk import pool, walk

pytestmark = pytest.mark.long


def test_the_document(network: Network, certificates: Certificates) -> None:
    """Every command in docs/swarm-mode.md prints what stands there, on five engines of two versions, over TLS."""
    with pool(network, certificates) as run:
        walk(run)
