"""The JSON of a simulated engine: what dockerd 28.5 sends, in size and in shape.

Thousands of engines share these texts: what differs from one to the next is a hole, filled in when it is sent.
"""

import hashlib
import re
from operator import attrgetter
from typing import Any

import msgspec

Json = dict[str, Any]

SERVER_VERSION = "28.5.2"
API_VERSION = "1.51"
MIN_API_VERSION = "1.24"
KERNEL = "6.12.48-amd64"
SYSTEM = "Debian GNU/Linux 13 (trixie)"
IMAGE = "busybox:latest"
MIB = 1 << 20
GIB = 1 << 30
NEVER = "0001-01-01T00:00:00Z"


def hex_id(*parts: object) -> str:
    """Return the 64 hex digits that stand for `parts`, the same in every run."""
    return hashlib.sha256(" ".join(map(str, parts)).encode()).hexdigest()


class Template:
    """JSON with holes: `<name>` in a string is an attribute of what it is filled with, `"<<name>>"` one that is JSON.

    The attributes are bytes. `<engine.name>` is the attribute of an attribute.
    """

    def __init__(self, value: object) -> None:
        text = msgspec.json.encode(value).replace(b"%", b"%%")
        holes = re.findall(rb"<+([a-z_.]+)>+", text)
        self._text = re.sub(rb"<[a-z_.]+>", b"%b", re.sub(rb'"<<[a-z_.]+>>"', b"%b", text))
        self._one = len(holes) == 1
        self._read = attrgetter(*(hole.decode() for hole in holes))

    def fill(self, source: object) -> bytes:
        """Return the JSON text about `source`."""
        found = self._read(source)
        return self._text % ((found,) if self._one else found)


IMAGE_ID = "sha256:" + hex_id("image", IMAGE)
TOP: Json = {
    "Processes": [["root", "4242", "4221", "0", "09:00", "?", "00:00:00", "sleep 3600"]],
    "Titles": ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"],
}
IMAGES: list[Json] = [
    {
        "Containers": -1,
        "Created": 1727386302,
        "Id": IMAGE_ID,
        "Labels": None,
        "ParentId": "",
        "RepoDigests": ["busybox@sha256:" + hex_id("digest", IMAGE)],
        "RepoTags": [IMAGE],
        "SharedSize": -1,
        "Size": 4269678,
    }
]
VOLUMES: Json = {"Volumes": [], "Warnings": None}


def image_inspect() -> Json:
    image = IMAGES[0]
    return {
        "Id": IMAGE_ID,
        "RepoTags": image["RepoTags"],
        "RepoDigests": image["RepoDigests"],
        "Created": "2024-09-26T21:31:42Z",
        "Architecture": "amd64",
        "Os": "linux",
        "Size": image["Size"],
        "RootFS": {"Type": "layers", "Layers": ["sha256:" + hex_id("layer")]},
        "Config": {"Cmd": ["sh"], "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], "WorkingDir": "/"},
    }


_NETWORKS: list[Json] = [
    {
        "Name": name,
        "Id": f"<{name}_id>",
        "Created": "2026-01-05T09:00:00.123456789Z",
        "Scope": "local",
        "Driver": driver,
        "EnableIPv4": True,
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Options": None, "Config": []},
        "Internal": False,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {},
        "Options": {},
        "Labels": {},
    }
    for name, driver in (("bridge", "bridge"), ("host", "host"), ("none", "null"))
]


_INFO: Json = {
    "ID": "<id>",
    "Containers": "<<count>>",
    "ContainersRunning": "<<running>>",
    "ContainersPaused": 0,
    "ContainersStopped": "<<stopped>>",
    "Images": len(IMAGES),
    "Driver": "overlay2",
    "DriverStatus": [["Backing Filesystem", "extfs"], ["Supports d_type", "true"]],
    "Plugins": {
        "Volume": ["local"],
        "Network": ["bridge", "host", "ipvlan", "macvlan", "null", "overlay"],
        "Authorization": None,
        "Log": ["json-file", "local", "none", "syslog"],
    },
    "MemoryLimit": True,
    "SwapLimit": True,
    "CpuCfsPeriod": True,
    "CpuCfsQuota": True,
    "CPUShares": True,
    "CPUSet": True,
    "PidsLimit": True,
    "IPv4Forwarding": True,
    "Debug": False,
    "NFd": 30,
    "NGoroutines": 45,
    "SystemTime": "<now>",
    "LoggingDriver": "json-file",
    "CgroupDriver": "systemd",
    "CgroupVersion": "2",
    "NEventsListener": 1,
    "KernelVersion": KERNEL,
    "OperatingSystem": SYSTEM,
    "OSVersion": "13",
    "OSType": "linux",
    "Architecture": "x86_64",
    "IndexServerAddress": "https://index.docker.io/v1/",
    "RegistryConfig": {"InsecureRegistryCIDRs": ["127.0.0.0/8"], "IndexConfigs": {}, "Mirrors": []},
    "NCPU": "<<cpus>>",
    "MemTotal": "<<memory_bytes>>",
    "GenericResources": None,
    "DockerRootDir": "/var/lib/docker",
    "HttpProxy": "",
    "HttpsProxy": "",
    "NoProxy": "",
    "Name": "<name>",
    "Labels": ["zone=<zone>", "disk=ssd"],
    "ExperimentalBuild": False,
    "ServerVersion": SERVER_VERSION,
    "Runtimes": {"runc": {"path": "runc"}},
    "DefaultRuntime": "runc",
    "Swarm": {"NodeID": "", "NodeAddr": "", "LocalNodeState": "inactive", "ControlAvailable": False},
    "LiveRestoreEnabled": False,
    "Isolation": "",
    "InitBinary": "docker-init",
    "SecurityOptions": ["name=seccomp,profile=builtin", "name=cgroupns"],
    "Warnings": None,
}


def version() -> Json:
    details = {
        "ApiVersion": API_VERSION,
        "Arch": "amd64",
        "BuildTime": "2025-11-05T14:42:55.000000000+00:00",
        "Experimental": "false",
        "GitCommit": "89c5e8f",
        "GoVersion": "go1.24.9",
        "KernelVersion": KERNEL,
        "MinAPIVersion": MIN_API_VERSION,
        "Os": "linux",
    }
    return {
        "Platform": {"Name": ""},
        "Components": [{"Name": "Engine", "Version": SERVER_VERSION, "Details": details}],
        "Version": SERVER_VERSION,
        **details,
        "Experimental": False,
    }


def _endpoint(*, running: bool) -> Json:
    """Return the container's place in the default network."""
    return {
        "IPAMConfig": None,
        "Links": None,
        "Aliases": None,
        "MacAddress": "02:42:ac:11:00:02" if running else "",
        "DriverOpts": None,
        "GwPriority": 0,
        "NetworkID": "<engine.bridge_id>",
        "EndpointID": "<id>" if running else "",
        "Gateway": "172.17.0.1" if running else "",
        "IPAddress": "172.17.0.2" if running else "",
        "IPPrefixLen": 16 if running else 0,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "DNSNames": None,
    }


def _list_item(*, running: bool) -> Json:
    return {
        "Id": "<id>",
        "Names": ["/<name>"],
        "Image": "<image>",
        "ImageID": IMAGE_ID,
        "Command": "sleep 3600",
        "Created": "<<created>>",
        "Ports": [],
        "Labels": "<<labels>>",
        "State": "<state>",
        "Status": "Up 2 minutes" if running else "<status>",
        "HostConfig": {"NetworkMode": "bridge"},
        "NetworkSettings": {"Networks": {"bridge": _endpoint(running=running)}},
        "Mounts": [],
    }


_HOST_CONFIG: Json = {
    "Binds": None,
    "ContainerIDFile": "",
    "LogConfig": {"Type": "json-file", "Config": {}},
    "NetworkMode": "bridge",
    "PortBindings": {},
    "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
    "AutoRemove": False,
    "VolumeDriver": "",
    "VolumesFrom": None,
    "ConsoleSize": [0, 0],
    "CapAdd": None,
    "CapDrop": None,
    "CgroupnsMode": "private",
    "Dns": [],
    "ExtraHosts": None,
    "IpcMode": "private",
    "Links": None,
    "OomScoreAdj": 0,
    "PidMode": "",
    "Privileged": False,
    "PublishAllPorts": False,
    "ReadonlyRootfs": False,
    "SecurityOpt": None,
    "ShmSize": 64 * MIB,
    "Runtime": "runc",
    "CpuShares": 0,
    "Memory": "<<memory_bytes>>",
    "NanoCpus": 0,
    "CgroupParent": "",
    "DeviceRequests": None,
    "MemoryReservation": 0,
    "MemorySwap": -1,
    "PidsLimit": None,
    "Ulimits": None,
}


def _inspect(*, running: bool) -> Json:
    home = "/var/lib/docker/containers/<id>"
    return {
        "Id": "<id>",
        "Created": "<created_at>",
        "Path": "sleep",
        "Args": ["3600"],
        "State": {
            "Status": "<state>",
            "Running": running,
            "Paused": False,
            "Restarting": False,
            "OOMKilled": False,
            "Dead": False,
            "Pid": 4242 if running else 0,
            "ExitCode": 0,
            "Error": "",
            "StartedAt": "<created_at>" if running else NEVER,
            "FinishedAt": NEVER,
        },
        "Image": IMAGE_ID,
        "ResolvConfPath": f"{home}/resolv.conf",
        "HostnamePath": f"{home}/hostname",
        "HostsPath": f"{home}/hosts",
        "LogPath": f"{home}/<id>-json.log",
        "Name": "/<name>",
        "RestartCount": 0,
        "Driver": "overlay2",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "docker-default",
        "ExecIDs": None,
        "HostConfig": _HOST_CONFIG,
        "GraphDriver": {"Data": {"ID": "<id>", "MergedDir": f"{home}/merged"}, "Name": "overlay2"},
        "Mounts": [],
        "Config": {
            "Hostname": "<short_id>",
            "Domainname": "",
            "User": "",
            "AttachStdin": False,
            "AttachStdout": False,
            "AttachStderr": False,
            "Tty": False,
            "OpenStdin": False,
            "StdinOnce": False,
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "Cmd": ["sleep", "3600"],
            "Image": "<image>",
            "Volumes": None,
            "WorkingDir": "/",
            "Entrypoint": None,
            "OnBuild": None,
            "Labels": "<<labels>>",
        },
        "NetworkSettings": {
            "Bridge": "",
            "SandboxID": "<id>" if running else "",
            "SandboxKey": "/var/run/docker/netns/<short_id>" if running else "",
            "Ports": {},
            "Networks": {"bridge": _endpoint(running=running)},
        },
    }


_EVENT: Json = {
    "status": "<action>",
    "id": "<container.id>",
    "from": "<container.image>",
    "Type": "container",
    "Action": "<action>",
    "Actor": {"ID": "<container.id>", "Attributes": "<<attributes>>"},
    "scope": "local",
    "time": "<<time_s>>",
    "timeNano": "<<time_ns>>",
}
_NETWORK_EVENT: Json = {
    "Type": "network",
    "Action": "<action>",
    "Actor": {
        "ID": "<container.engine.bridge_id>",
        "Attributes": {"container": "<container.id>", "name": "bridge", "type": "bridge"},
    },
    "scope": "local",
    "time": "<<time_s>>",
    "timeNano": "<<time_ns>>",
}
_STATS: Json = {
    "id": "<id>",
    "name": "/<name>",
    "read": "2026-01-05T09:00:01.000000000Z",
    "preread": "2026-01-05T09:00:00.000000000Z",
    "pids_stats": {"current": 1, "limit": 18446744073709551615},
    "num_procs": 0,
    "cpu_stats": {"cpu_usage": {"total_usage": 24000000}, "system_cpu_usage": 90000000000, "online_cpus": 8},
    "precpu_stats": {"cpu_usage": {"total_usage": 23000000}, "system_cpu_usage": 89000000000, "online_cpus": 8},
    "memory_stats": {"usage": 1200000, "limit": 16000000000, "stats": {}},
    "networks": {"eth0": {"rx_bytes": 1000, "tx_bytes": 1000}},
}
PULL_PROGRESS: list[Json] = [
    {"status": "Pulling from library/busybox", "id": "latest"},
    *(
        {"status": "Downloading", "progressDetail": {"current": part, "total": 8}, "id": "9ad63333ebc9"}
        for part in range(8)
    ),
    {"status": "Pull complete", "progressDetail": {}, "id": "9ad63333ebc9"},
    {"status": "Status: Downloaded newer image for busybox:latest"},
]

INFO = Template(_INFO)
NETWORKS = Template(_NETWORKS)
LIST_ITEM, LIST_ITEM_RUNNING = (Template(_list_item(running=running)) for running in (False, True))
INSPECT, INSPECT_RUNNING = (Template(_inspect(running=running)) for running in (False, True))
EVENT = Template(_EVENT)
NETWORK_EVENT = Template(_NETWORK_EVENT)
STATS = Template(_STATS)
