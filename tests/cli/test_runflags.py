"""Flags of `docker run` become the body that docker would send, as far as a placement reads it."""

from typing import Any

import msgspec
import pytest

from swarmproxy.cli.runflags import RunFlags, create_body
from swarmproxy.errors import ConfigError
from swarmproxy.model.container import DeviceRequest
from swarmproxy.model.spec import ContainerSpec

NONE: dict[str, Any] = {
    **dict.fromkeys(("env", "label", "publish", "expose", "volume", "volumes_from", "link"), ()),
    **dict.fromkeys(("memory", "memory_reservation", "cpu_shares", "cpus", "cpuset_cpus", "gpus"), ""),
    **dict.fromkeys(("network", "ipc", "pid"), ""),
}


def spec(**flags: Any) -> ContainerSpec:
    return ContainerSpec.parse(msgspec.json.encode(create_body("busybox", RunFlags(**{**NONE, **flags}))))


@pytest.mark.parametrize(
    ("flags", "field", "value"),
    [
        ({}, "image", "busybox"),
        ({"env": ("constraint:node==a", "A=b")}, "env", ("A=b",)),
        ({"label": ("tier=front", "plain")}, "labels", {"tier": "front", "plain": ""}),
        ({"memory": "512m"}, "memory_bytes", 512 * 1024**2),
        ({"memory": "1.5GiB"}, "memory_bytes", 3 * 1024**3 // 2),
        ({"memory": "1024"}, "memory_bytes", 1024),
        ({"memory_reservation": "1g"}, "memory_reservation_bytes", 1024**3),
        ({"cpu_shares": "2"}, "cpus", 2),
        ({"cpus": "1.5"}, "nano_cpus", 1_500_000_000),
        ({"cpuset_cpus": "0-2"}, "cpuset", "0-2"),
        ({"gpus": "all"}, "device_requests", (DeviceRequest(count=-1, capabilities=(("gpu",),)),)),
        ({"gpus": "2"}, "device_requests", (DeviceRequest(count=2, capabilities=(("gpu",),)),)),
        (
            {"gpus": "device=0,1"},
            "device_requests",
            (DeviceRequest(device_ids=("0", "1"), capabilities=(("gpu",),)),),
        ),
        ({"network": "blue"}, "networks", ("blue",)),
        ({"network": "container:c"}, "network_mode", "container:c"),
        ({"network": "host", "expose": ("80", "53/udp")}, "exposed", ("80/tcp", "53/udp")),
        ({"ipc": "container:c"}, "ipc_mode", "container:c"),
        ({"volume": ("data:/data", "/anonymous")}, "volumes", ("data",)),
        ({"volumes_from": ("c:ro",)}, "volumes_from", ("c:ro",)),
        ({"link": ("c:alias",)}, "links", ("c:alias",)),
    ],
)
def test_body(flags: dict[str, Any], field: str, value: object) -> None:
    """Each flag says what docker's says."""
    assert getattr(spec(**flags), field) == value


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("80", [("80/tcp", "", "")]),
        ("8080:80/udp", [("80/udp", "", "8080")]),
        ("127.0.0.1:8080:80", [("80/tcp", "127.0.0.1", "8080")]),
        ("127.0.0.1::80", [("80/tcp", "127.0.0.1", "")]),
        ("[::1]:8080:80", [("80/tcp", "::1", "8080")]),
        ("8000-8002:80", [("80/tcp", "", "8000-8002")]),
        ("8000-8001:80-81", [("80/tcp", "", "8000"), ("81/tcp", "", "8001")]),
    ],
)
def test_publish(text: str, bound: list[tuple[str, str, str]]) -> None:
    """Ports are bound as docker binds them."""
    published = spec(publish=(text,)).published
    assert [(each.container_port, each.host_ip, each.host_port) for each in published] == bound


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"memory": "much"}, '--memory: "much" is not a size such as 512m'),
        ({"cpus": "many"}, '--cpus: "many" is not a number'),
        ({"gpus": "some"}, '--gpus: "some" is neither a number nor all nor device=...'),
        ({"publish": ("http",)}, '--publish: "http" is not [ip:][port:]port[/protocol]'),
        ({"publish": ("1-3:80-81",)}, '--publish: the ranges of "1-3:80-81" differ in length'),
        ({"publish": ("70000:80",)}, '--publish: there are no ports "70000"'),
    ],
)
def test_bad_flag(flags: dict[str, Any], message: str) -> None:
    """A flag that cannot be read is refused in a sentence that names it."""
    with pytest.raises(ConfigError) as refused:
        spec(**flags)
    assert str(refused.value) == message
