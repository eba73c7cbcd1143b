"""Real `swarmproxy join` processes, each of which keeps an engine's address in a store."""

import signal
import subprocess
import sys
from pathlib import Path

from tests.discovery.servers.process import Store
from tests.hosts.engine import Engine

REPOSITORY = Path(__file__).parents[2]
GUARD_S = 30.0


class Agent:
    """An agent that announces `engine` in `store`, below `prefix`, with the shortest time to live."""

    def __init__(self, log: Path, store: Store, prefix: str, engine: Engine) -> None:
        """Start it."""
        self._log = log
        times = ["--heartbeat", "1s", "--ttl", f"{store.ttl_s:g}s", "--delay", "0s"]
        command = ["-m", "swarmproxy", "join", "--advertise", engine.own_address, *times, store.url(prefix)]
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", sys.executable, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=REPOSITORY,
            )

    @property
    def log(self) -> str:
        """What it wrote."""
        return self._log.read_text(errors="replace")

    def kill(self) -> None:
        """End it by SIGKILL."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it by SIGTERM. Raises AssertionError, with its log, unless it exits with status 0."""
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(GUARD_S)
        assert code == 0, f"exit status {code}:\n{self.log}"
