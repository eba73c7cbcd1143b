"""The cluster as a daemon: `/version` and `/info`."""

import datetime
import os
import platform
import socket
import time
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response

from swarmproxy import __version__
from swarmproxy.api.parts import parts_of
from swarmproxy.api.requests import cluster_of, json_reply
from swarmproxy.cluster.bookkeeping import Bookkeeping
from swarmproxy.cluster.cluster import Source
from swarmproxy.model import apiversion
from swarmproxy.model.info import head_rows
from swarmproxy.scheduler.filters import choose

router = APIRouter()
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@router.get("/version")
async def version(request: Request) -> Response:
    """Answer who we are and what API we speak. Clients that negotiate by `/version` read `ApiVersion`."""
    return version_now(request)


def version_now(request: Request) -> Response:
    """Return what `version` answers."""
    settings = parts_of(request).settings
    spoken = apiversion.text(cluster_of(request).api_version(request.headers.get("user-agent", "")))
    details = {
        "ApiVersion": spoken,
        "MinAPIVersion": apiversion.text(apiversion.OLDEST),
        "Os": "linux",
        "Arch": architecture(),
        "KernelVersion": platform.release(),
    }
    answer: dict[str, Any] = {
        "Platform": {"Name": "swarmproxy"},
        "Components": [
            {"Name": "swarmproxy", "Version": __version__, "Details": details},
        ],
        "Version": f"swarmproxy/{__version__}",
        **details,
        "GitCommit": "",
        "GoVersion": f"python{platform.python_version()}",
        "BuildTime": "",
    }
    if settings.experimental:
        answer["Experimental"] = True
    return json_reply(msgspec.json.encode(answer) + b"\n")


@router.get("/info")
async def info(request: Request) -> Response:
    """Answer the sums of all nodes, and the node table of classic in `SystemStatus`."""
    return info_now(request)


def info_now(request: Request) -> Response:
    """Return what `info` answers."""
    cluster = cluster_of(request)
    settings = parts_of(request).settings
    table = parts_of(request).node_table
    table.look()
    total = table.totals
    now = datetime.datetime.fromtimestamp(time.time(), datetime.UTC)
    source = cluster.source
    leadership = parts_of(request).leadership
    primary = leadership.standing.leader if leadership is not None and not leadership.leads else None
    above = head_rows(
        "primary" if primary is None else "replica",
        settings.strategy,
        [each.name for each in choose(settings.filters)],
        len(table),
        primary=primary or "",
    )
    answer: dict[str, Any] = {
        "ID": "",
        "Name": socket.gethostname(),
        "ServerVersion": f"swarmproxy/{__version__}",
        "Containers": total.containers,
        "ContainersRunning": total.running,
        "ContainersPaused": total.paused,
        "ContainersStopped": total.stopped,
        "Images": table.images,
        "NEventsListener": cluster.hub.readers,
        "NCPU": total.cpus,
        "MemTotal": total.memory_bytes,
        "SystemTime": now.isoformat().replace("+00:00", "Z"),
        "OperatingSystem": "linux",
        "OSType": "linux",
        "Architecture": architecture(),
        "KernelVersion": platform.release(),
        "Driver": "",
        "DriverStatus": None,
        "SystemStatus": msgspec.Raw(b"%b%b]" % (msgspec.json.encode(above)[:-1], table.rows())),
        "Plugins": msgspec.Raw(table.plugins),
        "MemoryLimit": True,
        "SwapLimit": True,
        "CpuCfsPeriod": True,
        "CpuCfsQuota": True,
        "CPUShares": True,
        "CPUSet": True,
        "PidsLimit": True,
        "IPv4Forwarding": True,
        "BridgeNfIptables": True,
        "BridgeNfIp6tables": True,
        "OomKillDisable": True,
        "KernelMemory": False,
        "Debug": settings.debug,
        "ExperimentalBuild": settings.experimental,
        "HttpProxy": os.environ.get("http_proxy", ""),
        "HttpsProxy": os.environ.get("https_proxy", ""),
        "NoProxy": os.environ.get("no_proxy", ""),
        "Labels": _source_labels(source),
        "Swarm": msgspec.Raw(cluster.swarms.info()),
        "Runtimes": None,
        "DefaultRuntime": "",
        "LiveRestoreEnabled": False,
        "SecurityOptions": None,
        "Warnings": _warnings(source, parts_of(request).books) or None,
    }
    return json_reply(msgspec.json.encode(answer) + b"\n")


def _warnings(source: Source, books: Bookkeeping) -> list[str]:
    """Return what keeps this answer from being all that there is to know."""
    return [*([f"discovery: {source.error}"] if source.error else ()), *([books.problem] if books.problem else ())]


def _source_labels(source: Source) -> list[str]:
    """Return where the list of members comes from, and when it was last known to be right."""
    labels = [f"com.docker.swarm.discovery={source.url}"] if source.url else []
    if source.read_at:
        read_at = datetime.datetime.fromtimestamp(source.read_at, datetime.UTC).isoformat(timespec="seconds")
        labels.append(f"com.docker.swarm.discovery.read-at={read_at.replace('+00:00', 'Z')}")
    return labels


def architecture() -> str:
    """Return the manager's own architecture by Docker's name."""
    return _ARCHITECTURES.get(platform.machine(), platform.machine())
