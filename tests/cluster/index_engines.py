"""Engines that only have a name, for indexes."""

from swarmproxy.cluster.cluster import Cluster
from swarmproxy.engine.engine import Engine, Facts
from swarmproxy.engine.settings import EngineSettings
from swarmproxy.wire.address import Address


def engine(name: str) -> Engine:
    """Return an engine called `name`, with the ID `id-of-NAME|NAME:2375`, that was never asked anything."""
    made = Engine(Address(name, 2375), settings=EngineSettings(), observer=Cluster(_nobody, lambda: 0.0))
    made.facts = Facts(id=f"id-of-{name}", name=name, ip="127.0.0.1", cpus=1, memory_bytes=1)
    return made


def _nobody(_cluster: Cluster, address: Address) -> Engine:
    raise AssertionError(address)
