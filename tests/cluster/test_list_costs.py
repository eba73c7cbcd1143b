"""What lists cost among many nodes: as much as their answer has items, and not as there are nodes."""

import json

from swarmproxy.cluster.image_index import ImageIndex
from swarmproxy.cluster.volumes import VolumeIndex
from swarmproxy.model.disk_usage import Naming, NodeUsage, Query, merge, read
from swarmproxy.model.image import Image
from swarmproxy.model.image_listing import ImageQuery, list_merged
from swarmproxy.model.names import NameStyle
from swarmproxy.model.volume import Volume, item_json
from tests.cluster.index_engines import engine
from tests.cluster.steps import steps_of

SMALL, LARGE = 100, 1000
NEW = (1, 51)


def image(number: int) -> Image:
    item = {"Id": f"sha256:{number:064x}", "RepoTags": [f"app:{number}"], "RepoDigests": [f"app@sha256:{number:064x}"]}
    return Image(
        id=f"sha256:{number:064x}",
        tags=(f"app:{number}",),
        digests=(f"app@sha256:{number:064x}",),
        raw=json.dumps(item).encode(),
    )


def images_of(nodes: int, *, shared: bool) -> ImageIndex:
    """Return the images of `nodes` engines: the same twenty on each, or one of its own."""
    index = ImageIndex(lambda: 0.0)
    for number in range(nodes):
        held = [image(each) for each in range(20)] if shared else [image(number)]
        index.replace(engine(f"node-{number}"), {}, {each.id: each for each in held})
    return index


def cost_of_images(index: ImageIndex, **parameters: str) -> int:
    query = ImageQuery.parse(parameters, version=NEW, now_ns=0)

    def find(name: str) -> Image:
        return index.holders(name)[0].image

    list_merged(index.merged(), query, version=NEW, find=find)  # what is kept ready is made once
    return steps_of(lambda: list_merged(index.merged(), query, version=NEW, find=find))


def test_images() -> None:
    """The same images on ten times as many nodes cost the same to list; ten times as many images ten times as much."""
    assert cost_of_images(images_of(LARGE, shared=True)) == cost_of_images(images_of(SMALL, shared=True))
    small, large = (cost_of_images(images_of(nodes, shared=False)) for nodes in (SMALL, LARGE))
    assert large < small * 11


def volumes_of(nodes: int) -> VolumeIndex:
    """Return the volumes of `nodes` engines, one of its own on each."""
    index = VolumeIndex()
    for number in range(nodes):
        index.replace(engine(f"node-{number}"), {}, {f"data-{number}": Volume(name=f"data-{number}", fields=b'"A":1')})
    return index


def test_volumes() -> None:
    """A list of volumes costs as they are many, and to find one costs the same among ten times as many."""
    small, large = volumes_of(SMALL), volumes_of(LARGE)

    def cost_of_list(index: VolumeIndex) -> int:
        return steps_of(lambda: [item_json(held.volume, held.engines[0].name) for held in index])

    assert cost_of_list(large) < cost_of_list(small) * 11
    assert steps_of(lambda: large.find("data-9")) == steps_of(lambda: small.find("data-9"))


def usage_of(node: str) -> NodeUsage:
    """Return what an engine says of its disk: five volumes."""
    volumes = [{"Name": f"v{each}", "UsageData": {"Size": 5, "RefCount": 1}} for each in range(5)]
    query = Query.parse([], "", NEW)
    return read(json.dumps({"Volumes": volumes}).encode(), query, Naming(node=node, style=NameStyle.NODE))


def test_disk_usage() -> None:
    """What nodes said is added up at a cost that grows as they do."""
    query = Query.parse([], "", NEW)
    large = [usage_of(f"node-{number}") for number in range(LARGE)]
    small = large[:SMALL]
    assert steps_of(lambda: merge(large, query)) < steps_of(lambda: merge(small, query)) * 11
