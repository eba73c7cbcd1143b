"""docs/getting-started.md, followed to the letter."""

import pytest

from tests.hosts.network import Network
from tests.integration.getting_started import walk

pytestmark = pytest.mark.long


def test_the_document(network: Network) -> None:
    """From certificates to three managers with policy, metrics and the page: every command prints what stands there."""
    walk(network)
