"""SIGHUP: files are read again, and nothing that is open ends."""

import os
import shutil
import signal
from pathlib import Path
from subprocess import Popen

from tests.clients import cli
from tests.conftest import StartManager
from tests.hosts.certificates import Certificates, Pair
from tests.hosts.engine import Engine
from tests.hosts.manager import Manager
from tests.integration.client import Docker

RELOADED = 'msg="reloaded"'


def copy_of(pair: Pair, directory: Path) -> Pair:
    """Return the pair in `directory`, in which its files, or those of another one before, are `pair`'s now."""
    shutil.copytree(pair.directory, directory, dirs_exist_ok=True)
    return Pair(directory)


def reload(manager: Manager) -> None:
    """Send SIGHUP and return when it has done its work."""
    before = manager.log.count(RELOADED)
    os.kill(manager.pid, signal.SIGHUP)
    manager.wait_until(lambda: manager.log.count(RELOADED) > before, f"{RELOADED} in the log")


def says(process: "Popen[bytes]", line: bytes) -> None:
    """Type `line` into `cat` and read it back."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(line + b"\n")
    process.stdin.flush()
    assert process.stdout.readline() == line + b"\n"


def test_certificates(
    tls_engines: list[Engine], start_manager: StartManager, certificates: Certificates, tmp_path: Path
) -> None:
    """Renewed certificates, of another authority, hold for new connections; open streams of the CLI go on.

    Files that cannot be used are named in the log, and those before stay in use.
    """
    other = Certificates.make(tmp_path / "other")
    server = copy_of(certificates.server, tmp_path / "server")
    engine_client = copy_of(certificates.client, tmp_path / "engine-client")
    manager = start_manager(tls_engines, tls=server, client=certificates.client, engine_client=engine_client)

    def docker(client: Pair) -> Docker:
        return Docker(cli=cli("20.10"), manager=manager, engines=tls_engines, host=manager.address, tls=client)

    old, new = docker(certificates.client), docker(other.client)
    old.start("quiet")
    old.start("ticker", command=("sh", "-c", "while :; do echo tick; sleep 0.05; done"))
    with (
        old.background("logs", "-f", "--tail", "1", "ticker") as logs,
        old.background("exec", "-i", "quiet", "cat") as shell,
    ):
        says(shell, b"before")
        copy_of(other.server, server.directory)
        copy_of(certificates.stranger, engine_client.directory)  # whom the engines do not trust
        reload(manager)
        manager.client = other.client
        assert len(new.ps()) == 2
        assert "certificate" in old("ps", check=False).stderr

        engine_client.cert.write_text("not a certificate")
        copy_of(certificates.client, server.directory)
        server.key.unlink()
        reload(manager)
        assert manager.log.count("reload failed, the former stays in use") == 2
        assert "Couldn't load X509 key pair" in manager.log
        assert len(new.ps()) == 2

        copy_of(other.server, server.directory)
        copy_of(certificates.client, engine_client.directory)
        reload(manager)
        assert new("exec", "quiet", "echo", "new").stdout == "new\n"
        says(shell, b"after")
        assert logs.stdout is not None
        for _ in range(20):
            assert logs.stdout.readline() == b"tick\n"
        assert logs.poll() is None
