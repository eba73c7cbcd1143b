"""A process of its own that registers, or campaigns, through our discovery, so that it can be killed or frozen.

`python -m tests.discovery.member register|campaign ADDRESS URL TTL_S OPTIONS`, OPTIONS being a JSON object. It prints
`registered` at each heartbeat, or each standing as `leading|following LEADER`, and never resigns.
"""

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from queue import Empty, SimpleQueue

from discovery import DiscoveryError, open_backend, parse_entry
from discovery.opening import open_election

REPOSITORY = Path(__file__).parents[2]
GUARD_S = 60.0


class Member:
    """Such a process, seen from the test that started it."""

    def __init__(self, what: str, address: str, url: str, ttl_s: float, options: Mapping[str, str]) -> None:
        arguments = [what, address, url, str(ttl_s), json.dumps(dict(options))]
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "tests.discovery.member", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            cwd=REPOSITORY,
            text=True,
        )
        self._lines: SimpleQueue[str] = SimpleQueue()
        self._reader = threading.Thread(target=self._read, name=f"output of {address}")
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                self._lines.put(line.strip())

    async def says(self, text: str) -> None:
        """Return once it has printed the line `text`."""
        deadline = time.monotonic() + GUARD_S
        while True:
            try:
                if self._lines.get_nowait() == text:
                    return
            except Empty:
                assert self._process.poll() is None, "the member has ended"
                assert time.monotonic() < deadline, f"the member never says: {text}"
                await asyncio.sleep(0.005)

    def freeze(self) -> None:
        """Stop it where it stands."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it by SIGKILL, without a chance to say goodbye."""
        self._process.kill()
        self._process.wait()
        self._reader.join()


async def register(address: str, url: str, ttl_s: float, options: Mapping[str, str]) -> None:
    """Register and renew for ever."""
    heartbeat_s = ttl_s / 3
    backend = open_backend(url, heartbeat_s=heartbeat_s, ttl_s=ttl_s, options=options)
    while True:
        with contextlib.suppress(DiscoveryError):  # as `swarmproxy join`, which tries again
            await backend.register(parse_entry(address))
            print("registered", flush=True)
        await asyncio.sleep(heartbeat_s)


async def campaign(address: str, url: str, ttl_s: float, options: Mapping[str, str]) -> None:
    """Campaign for ever."""
    async for standing in open_election(url, ttl_s=ttl_s, options=options).campaign(address):
        print("leading" if standing.leading else "following", standing.leader, flush=True)


if __name__ == "__main__":
    _what, _address, _url, _ttl_s, _options = sys.argv[1:]
    asyncio.run(
        {"register": register, "campaign": campaign}[_what](_address, _url, float(_ttl_s), json.loads(_options))
    )
