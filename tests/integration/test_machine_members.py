"""Members from a store of docker-machine: each engine is spoken to with the files that the store has for it."""

import json
from pathlib import Path

from tests.conftest import StartManager
from tests.hosts.certificates import Certificates
from tests.hosts.engine import Engine


def test_store(
    tls_engines: list[Engine], certificates: Certificates, tmp_path: Path, start_manager: StartManager
) -> None:
    """`machine://PATH` is all that the manager has to be told of engines that demand TLS."""
    for engine in tls_engines:
        host, _, port = engine.address.rpartition(":")
        directory = tmp_path / "machines" / engine.name
        directory.mkdir(parents=True)
        for path in (certificates.client.ca, certificates.client.cert, certificates.client.key):
            (directory / path.name).write_bytes(path.read_bytes())
        driver = {"IPAddress": host, "EnginePort": int(port)}
        (directory / "config.json").write_text(json.dumps({"Driver": driver, "Name": engine.name}))
    manager = start_manager(discovery=f"machine://{tmp_path}", healthy=2)
    manager.docker("run", "-d", "--name", "one", "busybox", "sleep", "600")
    assert sum(engine.count_running() for engine in tls_engines) == 1
