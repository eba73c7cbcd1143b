"""What one engine holds, as last read, and the sums that placement asks for."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec

from swarmproxy.errors import ProtocolViolation
from swarmproxy.model.container import Container
from swarmproxy.model.holdings import Holdings, image_names
from swarmproxy.model.image import Image
from swarmproxy.model.members import NOT_JSON
from swarmproxy.model.network import Network
from swarmproxy.model.volume import Volume
from swarmproxy.scheduler.resources import Claims, claims_of_container


@dataclass(slots=True)
class Usage:
    """What the containers of an engine, in every state, claim in sum. Kept by adding and taking away."""

    claims: Claims = field(default_factory=Claims)
    states: dict[str, int] = field(default_factory=dict)  # containers by state

    def add(self, container: Container, engine_cpus: int) -> None:
        """Count `container` in."""
        self.claims += claims_of_container(container, engine_cpus=engine_cpus)
        self.states[container.state] = self.states.get(container.state, 0) + 1

    def take(self, container: Container, engine_cpus: int) -> None:
        """Count `container`, which was counted in, out."""
        self.claims -= claims_of_container(container, engine_cpus=engine_cpus)
        self.states[container.state] -= 1


class Listed(msgspec.Struct, frozen=True, gc=False):
    """One element of the engine's list of containers."""

    id: str
    state: str
    item: bytes
    key: int  # equal for two readings in which nothing has changed but the time that went by


class _Item(msgspec.Struct, gc=False):
    Id: str
    State: str | None = None
    Status: str | None = None
    Names: msgspec.Raw = msgspec.Raw(b"")
    Image: str | None = None
    ImageID: str | None = None
    Ports: msgspec.Raw = msgspec.Raw(b"")
    Mounts: msgspec.Raw = msgspec.Raw(b"")
    Labels: msgspec.Raw = msgspec.Raw(b"")
    NetworkSettings: msgspec.Raw = msgspec.Raw(b"")


_list_decoder = msgspec.json.Decoder(list[msgspec.Raw] | None)
_item_decoder = msgspec.json.Decoder(_Item)


def read_list(body: bytes) -> list[Listed]:
    """Return the elements of an engine's `/containers/json`. Raises ProtocolViolation for anything else."""
    try:
        return [_read_item(bytes(item)) for item in _list_decoder.decode(body) or ()]
    except NOT_JSON as error:
        raise ProtocolViolation(f"the engine lists its containers in a way that cannot be read: {error}") from error


def _read_item(text: bytes) -> Listed:
    item = _item_decoder.decode(text)
    # the status holds a time that runs on, and in brackets the exit code or the health;
    # names, ports and mounts come in any order
    _, bracket, marked = (item.Status or "").partition("(")
    key = hash(
        (
            item.State,
            marked.partition(")")[0] if bracket else "",
            item.Image,
            item.ImageID,
            _unordered(item.Names, b'",'),
            _unordered(item.Ports, b"},"),
            _unordered(item.Mounts, b"},"),
            bytes(item.Labels),
            bytes(item.NetworkSettings),
        )
    )
    return Listed(item.Id, item.State or "", text, key)


def _unordered(value: msgspec.Raw, between: bytes) -> bytes | tuple[bytes, ...]:
    """Return what is the same for a list in any order; without `between` there is nothing to be in order."""
    text = bytes(value)
    return text if between not in text else tuple(sorted(map(bytes, _list_decoder.decode(text) or ())))


class Inventory:
    """The containers, images, networks and volumes of one engine.

    Readings overlap: a list that was asked for before a container was created may arrive after the container
    has been seen. So each reading is numbered when it begins, and an older one never undoes what a newer one
    found.
    """

    def __init__(
        self,
        *,
        seen: Callable[[Container], None],
        gone: Callable[[str], None],
        images_read: Callable[[Mapping[str, Image]], None],
        networks_read: Callable[[Mapping[str, Network]], None],
        volumes_read: Callable[[Mapping[str, Volume]], None],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._seen = seen
        self._gone = gone
        self._networks_read = networks_read  # with those of before
        self._images_read = images_read
        self._volumes_read = volumes_read
        self._changed = changed
        self._clock = 0
        self._readings = 0
        self._held: dict[str, tuple[int, int]] = {}  # container id: number of the reading, key of the item
        self._dropped: set[str] = set()  # while somebody reads: what must not come back
        self._cpus = 0
        self._images: dict[str, Image] = {}
        self.holdings = Holdings()
        self.image_names: frozenset[str] = frozenset()  # every text that means one of them
        self.networks: dict[str, Network] = {}
        self.volumes: dict[str, Volume] = {}
        self.usage = Usage()
        self.revision = 0  # rises with each change
        self.listing = 0  # rises with each change that a list of containers may contradict

    @property
    def containers(self) -> dict[str, Container]:
        """The containers by ID. Only to be read."""
        return self.holdings.containers

    @property
    def images(self) -> dict[str, Image]:
        """The images by ID. Replaced as a whole."""
        return self._images

    @images.setter
    def images(self, images: dict[str, Image]) -> None:
        self._images = images
        self.image_names = image_names(images.values())

    def touch(self) -> None:
        """Take note that something has changed: who keeps what follows from it makes that anew."""
        self.revision += 1
        self._changed()

    @contextmanager
    def reading(self) -> Iterator[int]:
        """Give the number of a reading that begins now."""
        self._clock += 1
        self._readings += 1
        try:
            yield self._clock
        finally:
            self._readings -= 1
            if not self._readings:
                self._dropped.clear()

    def is_current(self, listed: Listed) -> bool:
        """Return whether this element says what is known already."""
        held = self._held.get(listed.id)
        return held is not None and held[1] == listed.key

    def is_known_since(self, container_id: str, number: int) -> bool:
        """Return whether the container was read, or dropped, after reading `number` began."""
        held = self._held.get(container_id)
        return container_id in self._dropped or (held is not None and held[0] > number)

    def put(self, container: Container, key: int, number: int) -> Container | None:
        """Take in what reading `number` found; return what holds now, None if the container has gone."""
        if self.is_known_since(container.id, number):
            return self.containers.get(container.id)
        self._held[container.id] = (number, key)
        self.listing += 1
        before = self.containers.get(container.id)
        if before == container:
            return before
        if before is not None:
            self.usage.take(before, self._cpus)
        self.usage.add(container, self._cpus)
        self.holdings.put(container)
        self.touch()
        self._seen(container)
        return container

    def drop(self, container_id: str) -> None:
        """Forget a container that is no more. Its ID will never be used again."""
        if self._readings:
            self._dropped.add(container_id)
        self._held.pop(container_id, None)
        self.listing += 1
        container = self.holdings.drop(container_id)
        if container is not None:
            self.usage.take(container, self._cpus)
            self.touch()
            self._gone(container_id)

    def keep_only(self, listed: set[str], number: int) -> None:
        """Drop what a full list, which was reading `number`, does not name."""
        for container_id in [each for each in self.containers if each not in listed]:
            if self._held[container_id][0] <= number:
                self.drop(container_id)

    def doubt(self, container_id: str) -> None:
        """Have the container inspected with the next list, whatever that says."""
        if held := self._held.get(container_id):
            self._held[container_id] = (held[0], 0)
            self.listing += 1

    def resize(self, cpus: int) -> None:
        """Take in the size of the engine, which CPU shares depend on."""
        if cpus == self._cpus:
            return
        self._cpus = cpus
        self.usage = Usage()
        for container in self.containers.values():
            self.usage.add(container, cpus)
        self.touch()

    def take_images(self, images: Iterable[Image]) -> None:
        """Take in all images that the engine has."""
        before, self.images = self.images, {each.id: each for each in images}
        if self.images != before:
            self._images_read(before)

    def take_networks(self, networks: Iterable[Network]) -> None:
        """Take in all networks that the engine has."""
        before, self.networks = self.networks, {each.id: each for each in networks}
        if self.networks != before:
            self._networks_read(before)

    def take_volumes(self, volumes: Iterable[Volume]) -> None:
        """Take in all volumes that the engine has."""
        before, self.volumes = self.volumes, {each.name: each for each in volumes}
        if self.volumes != before:
            self._volumes_read(before)

    def clear(self) -> None:
        """Forget everything: another engine stands at the address."""
        for container_id in list(self.containers):
            self.drop(container_id)
        self.take_images(())
        self.take_networks(())
        self.take_volumes(())
        self.touch()
