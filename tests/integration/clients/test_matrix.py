"""The matrix of routes in docs/routes.md is what the routes answer today."""

import difflib

import pytest

from tests.hosts.certificates import Certificates
from tests.hosts.network import Network
from tests.integration.clients import matrix
from tests.integration.clients.matrix import COMMAND, DOCUMENT, ROWS, UNKNOWN, Outcome


@pytest.fixture(scope="module")
def outcome(network: Network, certificates: Certificates) -> Outcome:
    """Return what every route answers."""
    return matrix.measure(network, certificates)


def test_document(outcome: Outcome) -> None:
    """What is written there is so."""
    now = matrix.render(outcome).splitlines()
    difference = list(difflib.unified_diff(DOCUMENT.read_text().splitlines(), now, "written", "now", lineterm="", n=0))
    assert not difference, "\n".join([*difference, f"if that is right: {COMMAND}"])


def test_every_route_is_there(outcome: Outcome) -> None:
    """No route of the API is answered `page not found`, but those that there is not to be."""
    missing = {
        f"{ROWS[number].method} {ROWS[number].path}"
        for (_, _, number), said in outcome.items()
        if said == UNKNOWN and not ROWS[number].unknown
    }
    assert missing == set()
