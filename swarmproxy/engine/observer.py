"""Who is told what becomes of engines: on the event loop, so it must neither block nor raise."""

from collections.abc import Mapping
from typing import Protocol, TypeVar

from swarmproxy.engine.health import State
from swarmproxy.model.container import Container
from swarmproxy.model.event import Event
from swarmproxy.model.image import Image
from swarmproxy.model.network import Network
from swarmproxy.model.volume import Volume

E = TypeVar("E", contravariant=True)  # the engine


class ListObserver(Protocol[E]):
    """Is told of the lists that engines give as a whole, at once after one was taken in."""

    def images_read(self, engine: E, before: Mapping[str, Image], /) -> None:
        """Take in `engine.images`, of which `before` was known. None is left when it becomes Pending."""

    def networks_read(self, engine: E, before: Mapping[str, Network], /) -> None:
        """Take in `engine.networks`, likewise."""

    def volumes_read(self, engine: E, before: Mapping[str, Volume], /) -> None:
        """Take in `engine.volumes`, likewise."""


class Observer(ListObserver[E], Protocol[E]):
    """Is told of containers, events and states."""

    def container_seen(self, engine: E, container: Container, /) -> None:
        """Take in a container that is new or has changed."""

    def container_gone(self, engine: E, container_id: str, /) -> None:
        """Forget a container. Not called when the engine is Disconnected: everything of it goes then."""

    def happened(self, engine: E, event: Event, /) -> None:
        """Hear of an event: each once, in the engine's order, before what it changes has been read."""

    def state_changed(self, engine: E, before: State, after: State, /) -> None:
        """Hear of another state. All containers have been seen when an engine becomes Healthy at first."""
