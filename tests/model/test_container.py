"""Containers from what engines say."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmproxy.errors import SwarmError
from swarmproxy.model.container import (
    Container,
    DeviceRequest,
    PortBinding,
    cores_of_shares,
    from_engine,
    shares_of_cores,
)
from swarmproxy.model.labels import TASK

NS = 1_000_000_000
ID = "c0" * 32
ITEM = {
    "Id": ID,
    "Names": ["/other/alias", "/web"],
    "Image": "nginx:alpine",
    "ImageID": "sha256:" + "ab" * 32,
    "Command": "nginx",
    "Created": 1_700_000_000,
    "Ports": [
        {"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
        {"IP": "::", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
        {"IP": "127.0.0.1", "PrivatePort": 81, "PublicPort": 81, "Type": "tcp"},
        {"PrivatePort": 82, "Type": "tcp"},
    ],
    "Labels": {"a": "b"},
    "State": "running",
    "Status": "Up 3 minutes",
    "HostConfig": {"NetworkMode": "bridge"},
    "NetworkSettings": {"Networks": {"bridge": {"NetworkID": "n1", "GwPriority": 0}}},
    "Mounts": [],
    "FromTheFuture": {"x": [1, 2.50]},
}
INSPECT: dict[str, object] = {
    "Id": ID,
    "Name": "/web",
    "Created": "2023-11-14T22:13:20.5Z",
    "Image": "sha256:" + "ab" * 32,
    "State": {
        "Status": "running",
        "Running": True,
        "ExitCode": 0,
        "StartedAt": "2023-11-14T22:13:21.000000005Z",
        "FinishedAt": "0001-01-01T00:00:00Z",
        "Health": {"Status": "healthy", "Log": None},
    },
    "Config": {"Image": "nginx:alpine", "Labels": {"a": "b"}, "ExposedPorts": {"80/tcp": {}, "82/tcp": {}}},
    "HostConfig": {
        "Memory": 1 << 20,
        "MemoryReservation": 5,
        "CpuShares": 103,
        "NanoCpus": 7,
        "CpusetCpus": "0-1",
        "IpcMode": "container:queue",
        "PidMode": "host",
        "VolumesFrom": ["data:ro"],
        "Links": ["/db:/web/database"],
        "NetworkMode": "bridge",
        "AutoRemove": True,
        "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}], "82/tcp": None},
        "DeviceRequests": [
            {"Driver": "nvidia", "Count": -1, "DeviceIDs": None, "Capabilities": [["gpu"]], "Options": {}}
        ],
    },
    "NetworkSettings": {
        "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "82/tcp": None},
        "Networks": {"bridge": {"NetworkID": "n1"}},
    },
    "Mounts": [
        {"Type": "volume", "Name": "data", "Source": "/var/lib/x", "Destination": "/data"},
        {"Type": "bind", "Source": "/etc", "Destination": "/host"},
    ],
}


def make(item: object = ITEM, inspect: object = INSPECT, *, skew_ns: int = 0, ip: str = "") -> Container:
    return from_engine(msgspec.json.encode(item), msgspec.json.encode(inspect), skew_ns=skew_ns, ip=ip)


def with_state(**state: object) -> object:
    return INSPECT | {"State": state}


def test_what_is_acted_on_is_read() -> None:
    """A container carries what the cluster acts on, from list item and inspection."""
    container = make()
    assert (container.id, container.short_id, container.name) == (ID, ID[:12], "web")
    assert container.names == ("/other/alias", "/web")
    assert (container.image, container.created, container.state) == ("nginx:alpine", 1_700_000_000, "running")
    assert container.started_ns == 1_700_000_001 * NS + 5
    assert container.finished_ns == 0
    assert container.health == "healthy"
    assert container.auto_remove
    assert (container.memory_bytes, container.memory_reservation_bytes) == (1 << 20, 5)
    assert (container.cpu_shares, container.nano_cpus, container.cpuset) == (103, 7, "0-1")
    assert container.needs == ("queue", "data", "db")
    assert container.device_requests == (DeviceRequest(driver="nvidia", count=-1, capabilities=(("gpu",),)),)
    assert container.networks == {"bridge": "n1"}
    assert container.mounts == (("data", "/data"), ("/etc", "/host"))
    assert container.published == (
        PortBinding(container_port="80/tcp", host_port="8080"),
        PortBinding(container_port="80/tcp", host_ip="0.0.0.0", host_port="8080"),
    )
    assert container.exposed == ("80/tcp", "82/tcp")


def test_fields_are_all_of_the_item_but_names_and_status() -> None:
    """Nothing that an engine lists is lost, however new; names and status are left to the view."""
    text = b'{"Names":[],' + make().fields + b"}"
    assert msgspec.json.decode(text) == {key: value for key, value in ITEM.items() if key != "Status"} | {"Names": []}
    assert b'"x":[1,2.5]' in text


def test_unspecified_addresses_become_the_engines() -> None:
    """A port published on every address is shown under the engine's, once; other addresses stay."""
    ports = msgspec.json.decode(b"{" + make(ip="10.0.0.7").fields + b"}")["Ports"]
    assert ports == [
        {"IP": "10.0.0.7", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
        {"IP": "127.0.0.1", "PrivatePort": 81, "PublicPort": 81, "Type": "tcp"},
        {"PrivatePort": 82, "Type": "tcp"},
    ]


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ({"Running": True, "StartedAt": "2023-01-01T00:00:00Z"}, "running"),
        ({"Running": True, "Paused": True, "Restarting": True}, "paused"),
        ({"Running": True, "Restarting": True}, "restarting"),
        ({"Dead": True, "Status": "dead"}, "dead"),
        ({"Status": "removing", "Dead": False}, "removing"),
        ({"StartedAt": "0001-01-01T00:00:00Z"}, "created"),
        ({"StartedAt": ""}, "created"),
        ({"StartedAt": "2023-01-01T00:00:00Z"}, "exited"),
        ({}, "created"),
    ],
)
def test_state(state: dict[str, object], text: str) -> None:
    """The state follows from the engine's booleans as in classic, and the listed state agrees with it."""
    container = make(inspect=with_state(**state))
    assert container.state == text
    assert f'"State":"{text}"'.encode() in container.fields


def test_skew_never_shifts_a_zero_time() -> None:
    """On an engine whose clock is off, a container that never ran has still never run."""
    skewed = make(inspect=with_state(StartedAt="0001-01-01T00:00:00Z"), skew_ns=5 * NS)
    assert (skewed.started_ns, skewed.finished_ns, skewed.state) == (0, 0, "created")
    assert skewed.created == 1_700_000_005
    assert skewed.created_ns // 10**9 == skewed.created
    assert b'"Created":1700000005' in skewed.fields
    assert make(skew_ns=-3 * NS).started_ns == 1_699_999_998 * NS + 5


@pytest.mark.parametrize("inspect", [{}, dict.fromkeys(INSPECT, None)])
def test_missing_and_null_members(inspect: dict[str, object]) -> None:
    """Whatever an engine leaves out or sends as null counts as empty."""
    container = make({"Id": ID, "Names": None, "Ports": None}, inspect, ip="10.0.0.1")
    assert (container.id, container.name, container.names, container.state) == (ID, "", (), "created")
    nested = {key: dict.fromkeys(value, None) if isinstance(value, dict) else value for key, value in INSPECT.items()}
    assert make(inspect=nested | {"Mounts": [None]}).networks == {}


@pytest.mark.parametrize(
    ("labels", "host", "nano_cpus"),
    [
        ({TASK: "t"}, {"CpuQuota": 150_000, "CpuPeriod": 100_000}, 1_500_000_000),
        ({TASK: "t"}, {"CpuQuota": 50_000}, 500_000_000),
        ({TASK: "t"}, {"CpuQuota": -1}, 0),
        ({TASK: "t"}, {"CpuQuota": 50_000, "NanoCpus": 7}, 7),
        ({}, {"CpuQuota": 50_000}, 0),
    ],
)
def test_quota(labels: dict[str, str], host: dict[str, int], nano_cpus: int) -> None:
    """The CPU limit of a service's task is a quota to its engine; one that a user gives counts as little as ever."""
    assert make(inspect=INSPECT | {"Config": {"Labels": labels}, "HostConfig": host}).nano_cpus == nano_cpus


def test_the_own_name_is_the_one_without_links() -> None:
    """Without an inspected name, the name with the fewest slashes is the container's own."""
    assert make(inspect={}).name == "web"


@pytest.mark.parametrize(
    ("item", "inspect"), [(b"[]", b"{}"), (b"{", b"{}"), (b"{}", b"{}"), (b'{"Id":"a"}', b'{"State":7}')]
)
def test_unreadable(item: bytes, inspect: bytes) -> None:
    """What is no description of a container is refused with an error of ours."""
    with pytest.raises(SwarmError, match="the engine describes a container"):
        from_engine(item, inspect)


@given(cores=st.integers(0, 10_000), cpus=st.integers(1, 1024))
def test_shares_read_back_as_cores(cores: int, cpus: int) -> None:
    """Cores scaled to an engine's shares and read back are the same cores."""
    assert cores_of_shares(shares_of_cores(cores, cpus), cpus) == cores


def test_shares_of_one_core_of_ten() -> None:
    """One core of ten is 103 shares."""
    assert shares_of_cores(1, 10) == 103
    assert cores_of_shares(103, 10) == 1
