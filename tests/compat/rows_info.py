"""`docker info` and `docker version`."""

import os
import re
from typing import Any

from swarmproxy import __version__
from swarmproxy.model.info import human_size, natural_key
from tests.api.image_front import Front
from tests.cluster.image_daemon import ImageDaemon
from tests.compat.daemon import Daemon
from tests.compat.row import Table
from tests.compat.swarm import NOBODY, swarm
from tests.engine.harness import eventually
from tests.model.whole_table import system_status

table = Table("docker info and docker version")

GIB = 1 << 30
ENABLED = (
    "MemoryLimit SwapLimit CpuCfsPeriod CpuCfsQuota CPUShares CPUSet IPv4Forwarding BridgeNfIptables OomKillDisable"
)


async def _info(manager: Front) -> dict[str, Any]:
    answer: dict[str, Any] = (await manager.client.get("/info")).json()
    return answer


async def _rows(manager: Front, title: str) -> dict[str, str]:
    """Return what `SystemStatus` says below the row that is called `title`."""
    rows = (await _info(manager))["SystemStatus"]
    start = [label for label, _ in rows].index(f" {title}")
    below: dict[str, str] = {}
    for label, value in rows[start + 1 :]:
        if not label.startswith("  └ "):
            break
        below[label.removeprefix("  └ ")] = value
    return below


@table.changed(
    "version",
    "who answers `docker version`",
    classic="`swarm/1.2.9` in Version and ServerVersion, `Docker Swarm - Community` as platform.",
    why="Another program, which says so; `name/version` is kept, as it tells managers from engines.",
)
async def version(standing: Front) -> None:
    """`swarmproxy/` and our version, in both; the platform is `swarmproxy`."""
    said = (await standing.client.get("/version")).json()
    assert said["Version"] == (await _info(standing))["ServerVersion"] == f"swarmproxy/{__version__}"
    assert said["Platform"] == {"Name": "swarmproxy"}


@table.kept("version-fields", "the members of `/version`")
async def version_fields(standing: Front) -> None:
    """Platform, Version, ApiVersion, GitCommit, GoVersion, Os, Arch, KernelVersion and BuildTime are there."""
    said = (await standing.client.get("/version")).json()
    assert {"GitCommit", "GoVersion", "BuildTime"} <= set(said)
    assert (said["Os"], said["KernelVersion"]) == ("linux", os.uname().release)


@table.changed(
    "version-more",
    "MinAPIVersion and Components",
    classic="Not there.",
    why="Clients of today read them: SDKs negotiate by the one and print the other.",
)
async def version_more(standing: Front) -> None:
    """The oldest version that is served, and one component."""
    said = (await standing.client.get("/version")).json()
    assert said["MinAPIVersion"] == "1.21"
    assert [each["Name"] for each in said["Components"]] == ["swarmproxy"]


@table.kept("experimental", "`--experimental`")
async def experimental() -> None:
    """Shown as `Experimental` of `/version` only if given, and as `ExperimentalBuild` of `/info`; it does no more."""
    async with swarm(experimental=True) as manager:
        assert (await manager.client.get("/version")).json()["Experimental"] is True
        assert (await _info(manager))["ExperimentalBuild"] is True
    async with swarm() as manager:
        assert "Experimental" not in (await manager.client.get("/version")).json()


@table.kept("containers", "Containers, ContainersRunning, ContainersPaused, ContainersStopped")
async def containers(standing: Front) -> None:
    """Sums over all nodes that were ever accepted, those that are down included; what is paused does not run."""
    info = await _info(standing)
    counts = [info[f"Containers{kind}"] for kind in ("", "Running", "Paused", "Stopped")]
    assert counts == [7, 5, 1, 1]


@table.kept("images", "Images")
async def images() -> None:
    """The sum over nodes of images with a tag or a digest: one that two nodes hold counts twice."""
    first, second = ImageDaemon("a"), ImageDaemon("b")
    first.hold("bare")
    async with swarm(first, second) as manager:
        assert (await _info(manager))["Images"] == 2


@table.kept("sizes", "NCPU and MemTotal")
async def sizes() -> None:
    """Sums over all nodes with overcommit: 5 % of fewer than 20 CPUs is none."""
    async with swarm(Daemon("a", cpus=20, memory_bytes=100 * GIB), Daemon("b", cpus=4)) as manager:
        info = await _info(manager)
        assert (info["NCPU"], info["MemTotal"]) == (21 + 4, 105 * GIB + 8 * GIB * 105 // 100)


@table.kept("listeners", "NEventsListener")
async def listeners() -> None:
    """How many event streams are open."""
    async with swarm(Daemon()) as manager:
        assert (await _info(manager))["NEventsListener"] == 0
        async with manager.client.stream("GET", "/events"):
            await eventually(lambda: manager.cluster.hub.readers)
            assert (await _info(manager))["NEventsListener"] == 1


@table.kept("limits", "what limits the nodes know")
async def limits(standing: Front) -> None:
    """The limits of memory, CPU and network are said to be there, so that the docker CLI does not warn."""
    info = await _info(standing)
    assert all(info[member] is True for member in ENABLED.split())
    assert info["KernelMemory"] is False


@table.changed(
    "pids-limit",
    "PidsLimit",
    classic="false.",
    why="All engines that we speak to have it, and the docker CLI prints a warning where it is missing.",
)
async def pids_limit(standing: Front) -> None:
    """True."""
    assert (await _info(standing))["PidsLimit"] is True


@table.changed(
    "os",
    "OSType, Labels and Plugins",
    classic='`""`, `null` and lists of `null`.',
    why="Compose refuses an empty OSType; the drivers that any node has can be asked for.",
)
async def system(standing: Front) -> None:
    """`linux`, `[]` and the drivers of all nodes."""
    info = await _info(standing)
    assert (info["OSType"], info["Labels"], info["Plugins"]["Volume"]) == ("linux", [], ["local"])


@table.kept("host", "Name, OperatingSystem, KernelVersion, SystemTime")
async def host(standing: Front) -> None:
    """Those of the manager's own machine; ID is empty, Driver too, and DriverStatus null."""
    info = await _info(standing)
    assert (info["Name"], info["KernelVersion"]) == (os.uname().nodename, os.uname().release)
    assert (info["ID"], info["OperatingSystem"], info["Driver"], info["DriverStatus"]) == ("", "linux", "", None)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", info["SystemTime"])


@table.kept("status-head", "the first rows of SystemStatus")
async def status_head(standing: Front) -> None:
    """Role, Strategy, Filters and Nodes, where pending nodes count."""
    rows = (await _info(standing))["SystemStatus"]
    assert [label for label, _ in rows[:4]] == ["Role", "Strategy", "Filters", "Nodes"]
    assert dict(map(tuple, rows[:4])) | {"Filters": ""} == {
        "Role": "primary",
        "Strategy": "spread",
        "Filters": "",
        "Nodes": "4",
    }


@table.kept("status-replica", "the first rows of a replica")
def status_replica() -> None:
    """Role `replica`, then Primary with the leader's address."""
    assert system_status("replica", "spread", [], [], primary="10.0.0.1:4000")[:2] == [
        ["Role", "replica"],
        ["Primary", "10.0.0.1:4000"],
    ]


@table.kept("filters", "the row Filters")
async def filters(standing: Front) -> None:
    """Those that are active: `health, port, containerslots, dependency, affinity, constraint, whitelist`."""
    rows = dict(map(tuple, (await _info(standing))["SystemStatus"][:4]))
    assert rows["Filters"] == "health, port, containerslots, dependency, affinity, constraint, whitelist"


@table.kept("status-node", "the rows of a node")
async def status_node(standing: Front) -> None:
    """Address, ID with the address behind `|`, status, counts, sizes with four digits, sorted labels, UTC, version."""
    rows = await _rows(standing, "node-1")
    assert list(rows) == [
        "ID",
        "Status",
        "Containers",
        "Reserved CPUs",
        "Reserved Memory",
        "Labels",
        "UpdatedAt",
        "ServerVersion",
    ]
    address = dict(map(tuple, (await _info(standing))["SystemStatus"]))[" node-1"]
    assert rows["ID"] == f"ID-node-1|{address}"
    assert (rows["Status"], rows["Containers"]) == ("Healthy", "3 (2 Running, 0 Paused, 1 Stopped)")
    assert (rows["Reserved CPUs"], rows["Reserved Memory"]) == ("2 / 4", "1 GiB / 8.4 GiB")
    assert rows["Labels"].startswith(
        "architecture=x86_64, engineversion=28.5.2, kernelversion=6.1.0, operatingsystem=Debian"
    )
    assert rows["Labels"].endswith("ostype=linux, storage=ssd, storagedriver=overlay2")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", rows["UpdatedAt"])
    assert rows["ServerVersion"] == "28.5.2"


@table.kept("status-down", "the rows of a node that is down")
async def status_down(standing: Front) -> None:
    """`Unhealthy`, the bare number of containers, and a row Error."""
    rows = await _rows(standing, "node-10")
    assert (rows["Status"], rows["Containers"]) == ("Unhealthy", "1")
    assert rows["Error"]


@table.kept("status-pending", "the rows of a node that was never reached")
async def status_pending(standing: Front) -> None:
    """`(unknown)`, empty ID, labels and version, `Pending`, zeros, and a row Error."""
    info = await _info(standing)
    assert [" (unknown)", str(NOBODY)] in info["SystemStatus"]
    rows = await _rows(standing, "(unknown)")
    assert (rows["ID"], rows["Labels"], rows["ServerVersion"]) == ("", "", "")
    assert (rows["Status"], rows["Containers"], rows["Reserved CPUs"]) == ("Pending", "0", "0 / 0")
    assert rows["Reserved Memory"] == "0 B / 0 B"
    assert rows["Error"]


@table.changed(
    "label-architecture",
    "labels that nodes have of themselves",
    classic="storagedriver, kernelversion, operatingsystem, ostype.",
    why="Clusters of today mix amd64 and arm64, and versions during an upgrade; a daemon's own label outranks them.",
)
async def label_architecture(standing: Front) -> None:
    """Also `architecture`, in the kernel's words, and `engineversion`."""
    labels = (await _rows(standing, "node-2"))["Labels"]
    assert "architecture=x86_64, engineversion=28.5.2" in labels


@table.kept("order", "the order of nodes")
def order() -> None:
    """Natural: node-2 before node-10, spaces do not count, nodes without a name first."""
    assert sorted(["node-10", "b", "node-2", "", "node - 3"], key=natural_key) == [
        "",
        "b",
        "node-2",
        "node - 3",
        "node-10",
    ]


@table.kept("human-sizes", "sizes of memory")
def human_sizes() -> None:
    """Base 1024 and four digits: `0 B`, `20 MiB`, `8.4 GiB`."""
    assert [human_size(size) for size in (0, 20 << 20, 8 * GIB * 105 // 100)] == ["0 B", "20 MiB", "8.4 GiB"]


@table.mended(
    "debug",
    "Debug",
    classic="false, also under `--debug`.",
    why="`docker info` said that a manager was not in debug mode when it was.",
)
async def debug() -> None:
    """What was asked for."""
    async with swarm(debug=True) as manager:
        assert (await _info(manager))["Debug"] is True
    async with swarm() as manager:
        assert (await _info(manager))["Debug"] is False
