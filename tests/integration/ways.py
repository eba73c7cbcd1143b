"""Which clients a test is run with, where the usual pairing will not do."""

import pytest

VERSIONS = ("20.10", "28")
ENDPOINTS = ("tcp", "unix", "tls")

every_way = pytest.mark.parametrize(
    "docker", [f"{version}-{endpoint}" for endpoint in ENDPOINTS for version in VERSIONS], indirect=True
)
each_endpoint = pytest.mark.parametrize("docker", ["28-tcp", "20.10-unix", "28-tls"], indirect=True)
one_way = pytest.mark.parametrize("docker", ["28-unix"], indirect=True)
