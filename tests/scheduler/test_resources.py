"""Generic resources and cpusets, by table."""

import json
from dataclasses import replace

import pytest

from swarmproxy.model.container import Container
from swarmproxy.model.labels import RESOURCES, SERVICE_ID, TASK
from swarmproxy.model.node import Node
from swarmproxy.model.spec import ContainerSpec
from swarmproxy.model.swarm import Reserved
from swarmproxy.scheduler.resources import (
    NANO,
    Claims,
    claims_of_container,
    claims_of_spec,
    claims_of_tasks,
    demand_of,
    nano_of,
    shortage,
    used_nano,
    with_claims,
)


def wanting(*env: str, **host: object) -> ContainerSpec:
    return ContainerSpec.parse(json.dumps({"Image": "busybox", "Env": list(env), "HostConfig": host}).encode())


NODE = Node(id="n", name="n", cpus=4, gpus=2, resources={"fpga": 2, "NVIDIA-GPU": 2})
GPUS = [{"Count": 1, "Capabilities": [["gpu"]]}]


@pytest.mark.parametrize(
    ("spec", "lacking"),
    [
        (wanting("resource:fpga=2"), ""),
        (wanting("resource:fpga==2"), ""),
        (wanting("resource:fpga"), ""),
        (wanting("resource:fpga=0"), ""),
        (wanting("resource:fpga=3"), "fpga"),
        (wanting("resource:fpga=2", "resource:fpga=1"), "fpga"),
        (wanting("resource:tpu=1"), "tpu"),
        (wanting("resource:FPGA=1"), "FPGA"),
        (wanting("resource:NVIDIA-GPU=2"), ""),
        (wanting("resource:NVIDIA-GPU=3"), "GPUs"),
        (wanting("resource:NVIDIA-GPU=1", DeviceRequests=GPUS), ""),
        (wanting(CpusetCpus="0-3"), ""),
        (wanting(CpusetCpus="1,3"), ""),
        (wanting(CpusetCpus="0-4"), "cores for its cpuset"),
        (wanting(CpusetCpus="all"), ""),
    ],
)
def test_shortage(spec: ContainerSpec, lacking: str) -> None:
    """A node has to have as many of each kind as is asked for, and the cores of a cpuset."""
    assert shortage(demand_of(spec), NODE, overcommit_percent=50) == lacking


def test_gpus_are_counted_once() -> None:
    """A wish for a kind of GPU and `--gpus` mean the same devices, so neither can overbook the other."""
    by_kind, by_flag = wanting("resource:NVIDIA-GPU=2"), wanting(DeviceRequests=GPUS)
    full = with_claims(NODE, claims_of_spec(by_kind))
    assert shortage(demand_of(by_flag), full, overcommit_percent=0) == "GPUs"
    half = with_claims(NODE, claims_of_spec(by_flag))
    assert shortage(demand_of(by_kind), half, overcommit_percent=0) == "GPUs"
    both = claims_of_spec(wanting("resource:NVIDIA-GPU=1", DeviceRequests=GPUS))
    assert (both.gpus, both.resources) == (1, {"NVIDIA-GPU": 1})


def test_all_gpus_are_all_there_are_now() -> None:
    """Who has all GPUs leaves none to others, also where an operator has since said that there are more."""
    every = wanting(DeviceRequests=[{"Driver": "nvidia", "Count": -1}])
    one = wanting(DeviceRequests=GPUS)
    full = replace(with_claims(NODE, claims_of_spec(every)), gpus=8)
    assert {shortage(demand_of(spec), full, overcommit_percent=0) for spec in (every, one)} == {"GPUs"}
    empty = with_claims(full, Claims() - claims_of_spec(every))
    assert shortage(demand_of(every), empty, overcommit_percent=0) == ""
    begun = with_claims(empty, claims_of_spec(one))
    assert shortage(demand_of(every), begun, overcommit_percent=0) == "GPUs"


@pytest.mark.parametrize(
    ("cpuset", "host", "lacking"),
    [
        ("0-1", {}, ""),  # shared
        ("2", {}, ""),
        ("2-3", {}, "CPU"),
        ("0-3", {"NanoCpus": 10**9}, ""),
        ("0-1", {"NanoCpus": 2 * 10**9}, "CPU"),
        ("0-1", {"CpuShares": 2}, "CPU"),
        ("", {"NanoCpus": 10**9}, ""),
        ("", {"NanoCpus": 10**9 + 1}, "CPU"),
        ("0-4000000000", {}, "cores for its cpuset"),
        ("3-x", {}, ""),
    ],
)
def test_cores_of_cpusets(cpuset: str, host: dict[str, int], lacking: str) -> None:
    """The cores of cpusets count once each, unless shares or NanoCpus say how much it is."""
    two = Container(id="c", cpuset="0,1")
    busy = with_claims(NODE, claims_of_container(two, engine_cpus=4) + claims_of_spec(wanting(CpusetCpus="0-1")))
    busy = with_claims(busy, claims_of_spec(wanting(NanoCpus=10**9)))
    assert used_nano(busy) == 3 * 10**9
    assert shortage(demand_of(wanting(CpusetCpus=cpuset, **host)), busy, overcommit_percent=0) == lacking


def test_cores_given_back() -> None:
    """A core is free again when the last container that is pinned to it has gone."""
    one, other = claims_of_spec(wanting(CpusetCpus="0,1")), claims_of_spec(wanting(CpusetCpus="1,2"))
    both = with_claims(with_claims(NODE, one), other)
    assert used_nano(both) == 3 * 10**9
    assert nano_of(Claims() - one, both) == -(10**9)
    assert used_nano(with_claims(both, Claims() - one)) == 2 * 10**9
    assert used_nano(with_claims(both, Claims() - one - other)) == 0


def test_claims_of_a_container() -> None:
    """A container claims what its label says, also one that another manager made; one that cannot be read, nothing."""
    spec = wanting("resource:fpga=2")
    made = Container(id="c", labels={RESOURCES: spec.labels[RESOURCES]})
    assert claims_of_container(made, engine_cpus=4) == claims_of_spec(spec)
    for odd in ("fpga=1", '["fpga=many"]', "[1]", ""):
        assert claims_of_container(Container(id="c", labels={RESOURCES: odd}), engine_cpus=4) == Claims(containers=1)
    claims = claims_of_spec(spec)
    assert (claims + claims).resources == {"fpga": 4}
    assert (claims - claims).resources == {}


def test_claims_of_tasks() -> None:
    """A task claims what its service reserves where its container does not say so; a past one, nothing."""
    labels = {TASK: "", SERVICE_ID: "web"}
    limited = Container(id="a", labels=labels, state="running", memory_bytes=3, nano_cpus=NANO)
    past = Container(id="b", labels=labels, state="exited")
    other = Container(id="c", state="running")
    reserved = {"web": Reserved(memory_bytes=5, nano_cpus=3 * NANO, resources={"fpga": 1, "NVIDIA-GPU": 2})}
    claims = claims_of_tasks([limited, past, other], reserved)
    assert (claims.memory_bytes, claims.nano_cpus, claims.containers) == (2, 2 * NANO, 0)
    assert (claims.gpus, claims.resources) == (2, {"fpga": 1, "NVIDIA-GPU": 2})
    assert shortage(demand_of(wanting("resource:fpga=2")), with_claims(NODE, claims), overcommit_percent=0) == "fpga"
    assert shortage(demand_of(wanting(DeviceRequests=GPUS)), with_claims(NODE, claims), overcommit_percent=0) == "GPUs"
