"""What one engine holds, as placements look it up: by name, by value of a label, by port, by name of an image."""

from __future__ import annotations

from sys import intern
from typing import TYPE_CHECKING

from swarmproxy.model.container import SHORT_ID_LENGTH
from swarmproxy.model.image import split_reference
from swarmproxy.model.ports import Ports, claims_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from swarmproxy.model.container import Container
    from swarmproxy.model.image import Image

MAX_LABELS = 16  # of which values are kept ready, for each engine


class Holdings:
    """The containers of an engine, counted in and out: a look-up costs the same however many there are.

    The values of a label are counted from the first time that somebody asks for them: most labels are never asked
    for, and there may be many.
    """

    __slots__ = ("_values", "containers", "names", "ports")

    def __init__(self, containers: Iterable[Container] = ()) -> None:
        self.containers: dict[str, Container] = {}
        self.names: dict[str, int] = {}  # how often each name is there
        self.ports = Ports()
        self._values: dict[str, dict[str, int]] = {}  # label: its values, and how many containers have each
        for container in containers:
            self.put(container)

    def put(self, container: Container) -> None:
        """Take a container in, or what became of one."""
        self.drop(container.id)
        self.containers[container.id] = container
        if container.name:
            _count(self.names, container.name)
        for label, values in self._values.items():
            _count(values, container.labels.get(label, ""))
        self.ports.add(claims_of(container))

    def drop(self, container_id: str) -> Container | None:
        """Forget a container and return it; None if it is not there."""
        container = self.containers.pop(container_id, None)
        if container is None:
            return None
        if container.name:
            _uncount(self.names, container.name)
        for label, values in self._values.items():
            _uncount(values, container.labels.get(label, ""))
        self.ports.take(claims_of(container))
        return container

    def values_of(self, label: str) -> Mapping[str, int]:
        """Return the values that containers give to `label`, an empty one for those without it."""
        values = self._values.get(label)
        if values is None:
            if len(self._values) >= MAX_LABELS:
                del self._values[next(iter(self._values))]
            values = self._values[label] = {}
            for container in self.containers.values():
                value = container.labels.get(label, "")
                values[value] = values.get(value, 0) + 1
        return values


def image_names(images: Iterable[Image]) -> frozenset[str]:
    """Return every text that means one of `images`: IDs long, short and without `sha256:`, tags, digests, repositories.

    The texts are shared between engines, which hold the same images as a rule.
    """
    names: set[str] = set()
    for image in images:
        digits = image.id.removeprefix("sha256:")
        names.update((image.id, digits, digits[:SHORT_ID_LENGTH]))
        for reference in (*image.tags, *image.digests):
            names.update((reference, split_reference(reference)[0]))
        names.update(split_reference(digest)[1] for digest in image.digests)
    return frozenset(map(intern, names))


def _count(counts: dict[str, int], text: str) -> None:
    counts[text] = counts.get(text, 0) + 1


def _uncount(counts: dict[str, int], text: str) -> None:
    left = counts[text] - 1
    if left:
        counts[text] = left
    else:
        del counts[text]
