"""The network between engines: one bridge, and a cable to each engine."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field

FIRST_SLOT, LAST_SLOT = 2, 250


def ip(*arguments: str) -> str:
    """Return what `ip` prints. Raises RuntimeError with its complaint."""
    done = subprocess.run(["ip", *arguments], check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def is_link(name: str) -> bool:
    """Say whether this network namespace has an interface called `name`."""
    return any(link["ifname"] == name for link in json.loads(ip("-json", "link", "show") or "[]"))


@dataclass(frozen=True, slots=True)
class Cable:
    """An engine's connection to the bridge: the same address and MAC for as long as the engine exists."""

    slot: int
    bridge: str
    ip: str
    mac: str

    @property
    def leg(self) -> str:
        """The name of our end."""
        return f"{self.bridge}v{self.slot}"

    def plug(self, pid: int) -> None:
        """Lay the cable from the bridge to `eth0` of the network namespace of `pid`."""
        self.unplug()
        far = ("name", "eth0", "address", self.mac, "netns", str(pid))
        ip("link", "add", self.leg, "type", "veth", "peer", *far)
        ip("link", "set", self.leg, "master", self.bridge, "up")

    def unplug(self) -> None:
        """Take the cable away, with whatever is in flight."""
        try:
            ip("link", "delete", self.leg)
        except RuntimeError:
            # It also goes by itself when the other end's namespace does.
            if is_link(self.leg):
                raise

    def switch(self, *, on: bool) -> None:
        """Let packets through, or lose them all without a word."""
        ip("link", "set", self.leg, "up" if on else "down")

    def inside(self) -> list[list[str]]:
        """Return the commands that bring up the engine's end.

        There is no default route: what is not on the bridge is unreachable at once, instead of after a
        time-out.
        """
        return [
            ["ip", "link", "set", "lo", "up"],
            ["ip", "address", "add", f"{self.ip}/24", "dev", "eth0"],
            ["ip", "link", "set", "eth0", "up"],
        ]


@dataclass(slots=True)
class Network:
    """A bridge in the current network namespace, at `subnet`.1, and the slots on it."""

    bridge: str = "hosts0"
    subnet: str = "10.77.0"
    taken: set[int] = field(default_factory=set)

    def create(self) -> "Network":
        """Bring the bridge up, unless it is, and return this network."""
        if not is_link(self.bridge):
            # With a fixed MAC: a bridge else takes its lowest port's, which changes as engines come and go.
            ip("link", "add", self.bridge, "address", "02:42:0a:4d:00:01", "type", "bridge")
        ip("address", "replace", f"{self.subnet}.1/24", "dev", self.bridge)
        ip("link", "set", self.bridge, "up")
        return self

    def lease(self) -> Cable:
        """Return the cable of a free slot."""
        slot = next(slot for slot in range(FIRST_SLOT, LAST_SLOT) if slot not in self.taken)
        self.taken.add(slot)
        return Cable(slot, self.bridge, f"{self.subnet}.{slot}", f"02:42:0a:4d:01:{slot:02x}")

    def release(self, cable: Cable) -> None:
        """Give the slot of `cable` back."""
        cable.unplug()
        self.taken.discard(cable.slot)


def free_subnet(wanted: Sequence[str]) -> str:
    """Return the first of `wanted` ("10.77.0", ...) that no route of ours covers. Raises RuntimeError."""
    routes = {route["dst"] for route in json.loads(ip("-json", "route", "show") or "[]")}
    for subnet in wanted:
        if f"{subnet}.0/24" not in routes:
            return subnet
    raise RuntimeError(f"all of {', '.join(wanted)} are in use on this machine")
