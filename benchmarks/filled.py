"""A cluster of any size without daemons: the manager's own objects, filled as real engines would fill them."""

from __future__ import annotations

import functools
import random
from typing import NoReturn

from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.images import Pulls
from swarmproxy.cluster.placement import Placement
from swarmproxy.engine.engine import Engine, Facts, State
from swarmproxy.engine.settings import EngineSettings
from swarmproxy.model.container import Container, PortBinding
from swarmproxy.model.image import Image
from swarmproxy.model.labels import ID
from swarmproxy.scheduler.filters import choose
from swarmproxy.scheduler.scheduler import place
from swarmproxy.scheduler.strategy import Strategy
from swarmproxy.scheduling import shuffle
from swarmproxy.wire.address import Address

GIB = 1 << 30
PER_NODE = 30  # containers, five more or less
SERVICES = 200
IMAGES = 20  # on each node, of SERVICES


class FilledCluster:
    """A cluster of `nodes` healthy engines, each with PER_NODE containers, and what places more there."""

    def __init__(self, nodes: int, *, seed: int = 1) -> None:
        self.cluster = Cluster(_never, lambda: 0.0)
        self._dice = random.Random(seed)
        self.placements = {strategy: self._placement(strategy) for strategy in Strategy}
        settings = EngineSettings()
        for number in range(nodes):
            address = Address(host=f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", port=2375)
            engine = Engine(address, settings=settings, observer=self.cluster)
            engine.facts = _facts(number, address.host)
            engine._inventory.resize(engine.facts.cpus)
            engine._inventory.images = {image.id: image for image in _images(self._dice)}
            self.cluster.joined(engine)
            for slot in range(PER_NODE + self._dice.randrange(-5, 6)):
                self.put(engine, _container(number * 2 * PER_NODE + slot, self._dice))
            engine._health.enter(State.HEALTHY)
        self.cluster.nodes.all()

    def put(self, engine: Engine, container: Container) -> None:
        """Let `engine` say that it has `container`."""
        inventory = engine._inventory
        with inventory.reading() as number:
            inventory.put(container, 0, number)

    def _placement(self, strategy: Strategy) -> Placement:
        """Return what `manage` builds."""
        ranking = functools.partial(
            place,
            strategy=strategy,
            filters=choose(),
            overcommit_percent=5,
            shuffle=shuffle,
        )
        return Placement(self.cluster, ranking, Pulls(), lambda: f"{self._dice.getrandbits(256):064x}")


def _never(_cluster: Cluster, address: Address) -> NoReturn:
    raise AssertionError(address)


def _facts(number: int, ip: str) -> Facts:
    labels = {
        "storagedriver": "overlay2",
        "kernelversion": "6.1.0-18-amd64",
        "operatingsystem": "Debian GNU/Linux 12 (bookworm)",
        "ostype": "linux",
        "architecture": "x86_64",
        "region": f"region-{number % 5}",
        "zone": f"zone-{number % 20}",
        "storage": ("ssd", "disk")[number // 2 % 2],
    }
    return Facts(
        id=f"ENGINE:{number:06}", name=f"node-{number:05}", ip=ip, cpus=64, memory_bytes=256 * GIB, labels=labels
    )


def _images(dice: random.Random) -> list[Image]:
    return [
        Image(id=f"sha256:{service:064x}", tags=(f"registry.example.com/team/service-{service}:1.{service}",))
        for service in dice.sample(range(SERVICES), IMAGES)
    ]


def _container(number: int, dice: random.Random) -> Container:
    service = dice.randrange(SERVICES)
    # one container in ten publishes a port of its own
    ports = (PortBinding(container_port="80/tcp", host_port=str(20_000 + number % 10_000)),) if number % 10 == 0 else ()
    name = f"service-{service}-{number}"
    return Container(
        id=f"{dice.getrandbits(256):064x}",
        name=name,
        names=(f"/{name}",),
        image=f"registry.example.com/team/service-{service}:1.{service}",
        created=number,
        created_ns=number * 10**9,
        state="running",
        started_ns=1,
        labels={
            ID: f"{dice.getrandbits(256):064x}",
            "com.example.service": f"service-{service}",
            "tier": f"t{service % 7}",
        },
        memory_bytes=GIB,
        nano_cpus=500_000_000,
        network_mode="bridge",
        published=ports,
    )
