"""What `manage` makes of its flags for the page."""

import logging
import re
import socket
import ssl
from pathlib import Path

import httpx
import pytest

from swarmproxy.page import opening
from swarmproxy.settings import Listen, Settings
from tests.hosts.certificates import Certificates
from tests.hosts.manager import Manager
from tests.page.scene import Scene

POLICY = """
version = 1
[[bind]]
role = "read-only"
certificate = { cn = "*" }
"""


@pytest.mark.parametrize(
    ("address", "tls", "warns", "answers_to_all"),
    [
        ("127.0.0.1:80", False, False, False),
        ("localhost:80", False, False, False),
        ("unix:///page.sock", False, False, True),
        ("0.0.0.0:80", False, True, True),
        (":80", False, True, True),
        (":80", True, False, True),
        ("127.0.0.1:80", True, False, True),
    ],
)
async def test_address(
    address: str, *, tls: bool, warns: bool, answers_to_all: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """A page that all of a network can read is warned of; one for this machine answers to this machine's name only."""
    scene, where = Scene(1), Listen.parse(address)
    settings = Settings(discovery="nodes://", page_addr=where, page_tls=tls)
    with caplog.at_level(logging.WARNING, "swarmproxy.page"):
        app = opening.build(settings, where, scene.cluster, problem=lambda: "", replica=None, guard=None)
    assert ("can be read by everybody" in caplog.text) is warns
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://pool.example.com") as client:
        assert (await client.get("/")).status_code == (200 if answers_to_all else 421)


def test_over_tls(certificates: Certificates, tmp_path: Path) -> None:
    """With the manager's TLS a browser needs a certificate, and under a policy the certificate says what it sees."""
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY)
    manager = Manager(
        tmp_path / "manager",
        discovery="nodes://127.0.0.1:9",
        address="127.0.0.1:0",
        tls=certificates.server,
        client=certificates.client,
        arguments=("--page-addr", "127.0.0.1:0", "--page-tls", "--policy", str(policy)),
    ).start()

    def listeners() -> list[str]:
        return re.findall(r"addr=127\.0\.0\.1:(\d+) proto=tcp", manager.log)

    def opened(context: ssl.SSLContext) -> httpx.Client:
        return httpx.Client(verify=context, base_url=f"https://localhost:{listeners()[-1]}", trust_env=False)

    try:
        manager.wait_until(lambda: len(listeners()) == 2, "its listeners")
        trusting, known = (ssl.create_default_context(cafile=certificates.client.ca) for _ in range(2))
        known.load_cert_chain(certificates.client.cert, certificates.client.key)
        with opened(known) as client, opened(trusting) as stranger:
            manager.wait_until(lambda: "127.0.0.1:9" in client.get("/").text, "the page")
            with pytest.raises(httpx.TransportError):
                stranger.get("/")
    finally:
        manager.stop()


def test_address_in_use(tmp_path: Path) -> None:
    """An address that another program has is said before anything begins."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        page = f"127.0.0.1:{other.getsockname()[1]}"
        arguments = ("--page-addr", page)
        manager = Manager(tmp_path, discovery="nodes://127.0.0.1:9", address="127.0.0.1:0", arguments=arguments)
        assert manager.start().wait_for_end() == 1
    assert f"listen on tcp://{page}: " in manager.log
