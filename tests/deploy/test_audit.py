"""The audit of what is installed, with a scripted vulnerability service: real ones do not know of what we invent."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from deploy.audit import CANARY, UNKNOWN, VULNERABLE, installed
from tests.hosts.manager import REPOSITORY

CANARY_IS_KNOWN = {CANARY: ["CVE-2018-18074"]}
PYTEST = ("pytest", pytest.__version__)


@contextmanager
def service(known: Mapping[tuple[str, str], list[str]], status: int = 200) -> Iterator[str]:
    """Yield the URL of a service that speaks OSV's protocol and knows of these vulnerabilities."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name, version = asked["package"]["name"], asked["version"]
            affected = [{"package": {"name": name, "ecosystem": "PyPI"}, "versions": [version]}]
            vulns = [
                {"id": each, "summary": "invented", "details": "invented", "affected": affected}
                for each in known.get((name, version), [])
            ]
            body = json.dumps({"vulns": vulns} if vulns else {}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, name="vulnerability service")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def audit(*arguments: str) -> tuple[int, str]:
    """Return how the audit ends, and what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "deploy.audit", *arguments], check=False, capture_output=True, text=True, cwd=REPOSITORY
    )
    return done.returncode, done.stdout + done.stderr


def test_nothing_known() -> None:
    """All packages of this environment are asked about."""
    with service(CANARY_IS_KNOWN) as url:
        assert audit("--service", url) == (0, f"no known vulnerability in {len(installed())} packages\n")
    assert {"pytest", "httpx", "kazoo"} <= installed().keys()


def test_vulnerable() -> None:
    """A package with a vulnerability is a failure that names both, also where nobody need be reached."""
    with service({**CANARY_IS_KNOWN, PYTEST: ["PYSEC-1", "PYSEC-2"]}) as url:
        assert audit("--service", url, "--or-tell") == (
            VULNERABLE,
            f"VULNERABLE: pytest {pytest.__version__}: PYSEC-1, PYSEC-2\n",
        )


@pytest.mark.parametrize(("known", "status"), [({}, 200), (CANARY_IS_KNOWN, 503)], ids=["ignorant", "down"])
def test_not_audited(known: Mapping[tuple[str, str], list[str]], status: int) -> None:
    """A service that is down, or knows of nothing, is no clean bill: it is told, and fails unless asked not to."""
    with service(known, status) as url:
        code, said = audit("--service", url)
        assert (code, said.startswith(f"NOT AUDITED, {len(installed())} packages: ")) == (UNKNOWN, True)
        assert audit("--service", url, "--or-tell") == (0, said)
