"""Disk usage: read in the versions of engines, told in those of clients."""

import json
from typing import Any

import pytest

from swarmproxy.errors import BadRequest, ProtocolViolation
from swarmproxy.model.disk_usage import Naming, Query, merge, read
from swarmproxy.model.names import NameStyle

OLD: dict[str, Any] = {
    "LayersSize": 1000,
    "BuilderSize": 7,
    "Images": [
        {"Id": "sha256:a", "RepoTags": ["busybox:latest"], "Size": 600, "SharedSize": 100, "Containers": 1},
        {"Id": "sha256:b", "RepoTags": ["reg:5000/b:1"], "Size": 400, "SharedSize": 100, "Containers": 0},
        {"Id": "sha256:c", "RepoTags": None, "Size": -1, "SharedSize": -1, "Containers": 0},
    ],
    "Containers": [
        {"Id": "1", "Names": ["/web"], "State": "running", "SizeRw": 10, "Unheard": {"of": 1}},
        {"Id": "2", "Names": ["/old"], "State": "exited", "SizeRw": 5},
    ],
    "Volumes": [
        {"Name": "data", "Scope": "local", "UsageData": {"Size": 50, "RefCount": 1}},
        {"Name": "idle", "Scope": "local", "UsageData": {"Size": 30, "RefCount": 0}},
        {"Name": "shared", "Scope": "global", "UsageData": {"Size": -1, "RefCount": -1}},
    ],
    "BuildCache": [
        {"ID": "x", "Size": 4, "InUse": False, "Shared": True},
        {"ID": "y", "Size": 3, "InUse": False, "Shared": False},
        {"ID": "z", "Size": 2, "InUse": True, "Shared": False},
    ],
}
NEW = {
    "ImageUsage": {"ActiveCount": 1, "TotalCount": 3, "Reclaimable": 300, "TotalSize": 1000, "Items": OLD["Images"]},
    "ContainerUsage": {
        "ActiveCount": 1,
        "TotalCount": 2,
        "Reclaimable": 5,
        "TotalSize": 15,
        "Items": OLD["Containers"],
    },
    "VolumeUsage": {"ActiveCount": 1, "TotalCount": 3, "Reclaimable": 30, "TotalSize": 80, "Items": OLD["Volumes"]},
    "BuildCacheUsage": {
        "ActiveCount": 1,
        "TotalCount": 3,
        "Reclaimable": 3,
        "TotalSize": 5,
        "Items": OLD["BuildCache"],
    },
}


def told(query: Query, *answers: Any, style: NameStyle = NameStyle.BOTH, tags: bool = False) -> dict[str, Any]:
    """Return what a client is told of nodes n0, n1, ... that gave these answers."""
    nodes = [
        read(json.dumps(answer).encode(), query, Naming(node=f"n{number}", style=style, tags=tags))
        for number, answer in enumerate(answers)
    ]
    merged: dict[str, Any] = json.loads(merge(nodes, query))
    return merged


def test_old_client() -> None:
    """Items of all nodes stand in one list, each with its node; a volume that all share stands there once."""
    answer = told(Query(version=(1, 41)), OLD, OLD)
    assert (answer["LayersSize"], answer["BuilderSize"]) == (2000, 14)
    assert [image["Node"] for image in answer["Images"]] == ["n0"] * 3 + ["n1"] * 3
    assert answer["Images"][0]["RepoTags"] == ["busybox:latest"]
    assert [each["Names"] for each in answer["Containers"]] == [
        ["/web", "/n0/web"],
        ["/old", "/n0/old"],
        ["/web", "/n1/web"],
        ["/old", "/n1/old"],
    ]
    assert answer["Containers"][0]["Unheard"] == {"of": 1}
    assert [each["Name"] for each in answer["Volumes"]] == ["n0/data", "n0/idle", "shared", "n1/data", "n1/idle"]
    assert len(answer["BuildCache"]) == 6
    assert "ImageUsage" not in answer


def test_names_for_a_command_line() -> None:
    """A docker CLI gets the node in front of names and tags, which is all it prints; a tag it could not read stays."""
    answer = told(Query(version=(1, 51)), OLD, style=NameStyle.NODE, tags=True)
    assert [image["RepoTags"] for image in answer["Images"]] == [["n0/busybox:latest"], ["reg:5000/b:1"], []]
    assert [each["Names"] for each in answer["Containers"]] == [["/n0/web"], ["/n0/old"]]
    assert "BuilderSize" not in answer


@pytest.mark.parametrize("answers", [(OLD, OLD), (NEW, OLD), (NEW, NEW)])
def test_sums(answers: tuple[Any, ...]) -> None:
    """Engines old and new give the same sums and items to a client of API 1.53."""
    answer = told(Query(version=(1, 53), verbose=True), *answers)
    expected = {
        "ImageUsage": {"ActiveCount": 2, "TotalCount": 6, "Reclaimable": 600, "TotalSize": 2000},
        "ContainerUsage": {"ActiveCount": 2, "TotalCount": 4, "Reclaimable": 10, "TotalSize": 30},
        "VolumeUsage": {"ActiveCount": 2, "TotalCount": 5, "Reclaimable": 60, "TotalSize": 160},
        "BuildCacheUsage": {"ActiveCount": 2, "TotalCount": 6, "Reclaimable": 6, "TotalSize": 10},
    }
    items = {kind: usage.pop("Items") for kind, usage in answer.items()}
    assert answer == expected
    assert {kind: len(of_kind) for kind, of_kind in items.items()} == {
        "ImageUsage": 6,
        "ContainerUsage": 4,
        "VolumeUsage": 5,
        "BuildCacheUsage": 6,
    }


@pytest.mark.parametrize(
    ("version", "verbose", "lists", "sums", "items"),
    [
        ((1, 51), None, True, False, False),
        ((1, 52), None, True, True, False),
        ((1, 52), False, False, True, False),
        ((1, 52), True, False, True, True),
        ((1, 53), None, False, True, False),
        ((1, 53), True, False, True, True),
    ],
)
def test_shape_of_each_version(
    version: tuple[int, int], verbose: bool | None, lists: bool, sums: bool, items: bool
) -> None:
    """Lists up to 1.51, both in 1.52 unless `verbose` is said, sums alone from 1.53 on."""
    for engine in (OLD, NEW):
        answer = told(Query(version=version, verbose=verbose), engine)
        assert ("Images" in answer, "ImageUsage" in answer) == (lists, sums)
        if lists:
            assert (answer["LayersSize"], len(answer["Images"])) == (1000, 3)
        if sums:
            assert ("Items" in answer["ImageUsage"]) is items


def test_kinds() -> None:
    """Only the kinds that were asked for are told, also by an engine that gave all; to old clients that is null."""
    query = Query.parse(["volume", "image"], "", (1, 42))
    answer = told(query, OLD)
    assert (len(answer["Images"]), len(answer["Volumes"])) == (3, 3)
    assert (answer["Containers"], answer["BuildCache"]) == (None, None)
    assert query.parameters((1, 42)) == [("type", "image"), ("type", "volume")]
    assert query.parameters((1, 41)) == []
    assert set(told(Query.parse(["volume"], "1", (1, 53)), OLD)) == {"VolumeUsage"}


def test_parameters() -> None:
    """An engine that knows them is asked for items only if a client is to see them."""
    assert Query.parse(["nonsense"], "nonsense", (1, 41)) == Query(version=(1, 41))
    assert Query(version=(1, 53)).parameters((1, 53)) == [("verbose", "0")]
    assert Query(version=(1, 51)).parameters((1, 53)) == [("verbose", "1")]
    assert Query(version=(1, 53), verbose=True).parameters((1, 51)) == []


@pytest.mark.parametrize(
    ("types", "verbose", "message"),
    [(["x"], "", "unknown object type: x"), ([], "maybe", "invalid value for verbose: maybe")],
)
def test_bad_parameters(types: list[str], verbose: str, message: str) -> None:
    """What a daemon refuses is refused in its words."""
    with pytest.raises(BadRequest, match=f"^{message}$"):
        Query.parse(types, verbose, (1, 52))


@pytest.mark.parametrize("body", [b"[]", b"no", b'{"Images": [1]}', b'{"Volumes": [{"Name": 1}]}'])
def test_unreadable(body: bytes) -> None:
    """An answer of another form is the engine's fault, and said so."""
    with pytest.raises(ProtocolViolation, match="cannot be read"):
        read(body, Query(version=(1, 41)), Naming(node="n0", style=NameStyle.BOTH))
