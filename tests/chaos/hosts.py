"""A machine of its own for a manager: a network namespace on the bridge, from which one can lose others."""

import os
import subprocess
import time
from pathlib import Path
from typing import Self

from tests.hosts.network import Cable

NOBODY = "02:42:0a:4d:ff:ff"
START_DEADLINE_S = 60.0


class Host:
    """A place on the network that lives until it is closed. Programs enter it and may die without harm to it."""

    def __init__(self, cable: Cable) -> None:
        self.cable = cable
        self._anchor = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "sleep", "infinity"], stdin=subprocess.DEVNULL
        )

    def __enter__(self) -> Self:
        end = time.monotonic() + START_DEADLINE_S
        while self._namespace.readlink() == Path("/proc/self/ns/net").readlink():
            assert time.monotonic() < end, "no network namespace"
            time.sleep(0.005)
        self.cable.plug(self._anchor.pid)
        for command in self.cable.inside():
            self._run(*command)
        return self

    def __exit__(self, *exception: object) -> None:
        self.cable.unplug()
        self._anchor.kill()
        self._anchor.wait()

    @property
    def _namespace(self) -> Path:
        return Path(f"/proc/{self._anchor.pid}/ns/net")

    def entering(self) -> list[str]:
        """Return what to put before a command so that it runs here, as the same process."""
        return ["nsenter", f"--net={self._namespace}", "--"]

    def disconnect(self) -> None:
        """Lose all packets from and to here."""
        self.cable.switch(on=False)

    def reconnect(self) -> None:
        """Let packets through again."""
        self.cable.switch(on=True)

    def lose(self, address: str) -> None:
        """Lose all packets from here to an IP address, without a word: they go to a MAC address that nobody has."""
        self._run("ip", "neighbour", "replace", address, "lladdr", NOBODY, "nud", "permanent", "dev", "eth0")

    def find(self, address: str) -> None:
        """Let packets to `address` through again."""
        self._run("ip", "neighbour", "delete", address, "dev", "eth0")

    def _run(self, *command: str) -> None:
        subprocess.run([*self.entering(), *command], check=True, capture_output=True, env=os.environ)
