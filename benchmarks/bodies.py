"""The JSON of a scripted engine: what dockerd 28.5 sends, in size and in shape."""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

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


@dataclass(slots=True)
class Container:
    """A container of a scripted engine."""

    id: str
    name: str
    created: int  # unix seconds
    labels: dict[str, str] = field(default_factory=dict)
    state: str = "created"
    memory_bytes: int = 0
    image: str = IMAGE

    @property
    def status(self) -> str:
        return "Up 2 minutes" if self.state == "running" else "Created"


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


def networks(engine: str) -> list[Json]:
    return [
        {
            "Name": name,
            "Id": hex_id("network", engine, name),
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


def info(engine: str, *, containers: int, running: int, cpus: int, memory_bytes: int) -> Json:
    return {
        "ID": hex_id("engine", engine)[:36],
        "Containers": containers,
        "ContainersRunning": running,
        "ContainersPaused": 0,
        "ContainersStopped": containers - running,
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
        "SystemTime": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
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
        "NCPU": cpus,
        "MemTotal": memory_bytes,
        "GenericResources": None,
        "DockerRootDir": "/var/lib/docker",
        "HttpProxy": "",
        "HttpsProxy": "",
        "NoProxy": "",
        "Name": engine,
        "Labels": ["zone=a", "disk=ssd"],
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


def _endpoint(engine: str, container: Container) -> Json:
    """Return the container's place in the default network."""
    running = container.state == "running"
    return {
        "IPAMConfig": None,
        "Links": None,
        "Aliases": None,
        "MacAddress": "02:42:ac:11:00:02" if running else "",
        "DriverOpts": None,
        "GwPriority": 0,
        "NetworkID": hex_id("network", engine, "bridge"),
        "EndpointID": hex_id("endpoint", container.id) if running else "",
        "Gateway": "172.17.0.1" if running else "",
        "IPAddress": "172.17.0.2" if running else "",
        "IPPrefixLen": 16 if running else 0,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "DNSNames": None,
    }


def list_item(engine: str, container: Container) -> Json:
    return {
        "Id": container.id,
        "Names": ["/" + container.name],
        "Image": container.image,
        "ImageID": IMAGE_ID,
        "Command": "sleep 3600",
        "Created": container.created,
        "Ports": [],
        "Labels": container.labels,
        "State": container.state,
        "Status": container.status,
        "HostConfig": {"NetworkMode": "bridge"},
        "NetworkSettings": {"Networks": {"bridge": _endpoint(engine, container)}},
        "Mounts": [],
    }


def inspect(engine: str, container: Container) -> Json:
    running = container.state == "running"
    created = datetime.fromtimestamp(container.created, UTC).isoformat().replace("+00:00", ".123456789Z")
    home = f"/var/lib/docker/containers/{container.id}"
    return {
        "Id": container.id,
        "Created": created,
        "Path": "sleep",
        "Args": ["3600"],
        "State": {
            "Status": container.state,
            "Running": running,
            "Paused": False,
            "Restarting": False,
            "OOMKilled": False,
            "Dead": False,
            "Pid": 4242 if running else 0,
            "ExitCode": 0,
            "Error": "",
            "StartedAt": created if running else NEVER,
            "FinishedAt": NEVER,
        },
        "Image": IMAGE_ID,
        "ResolvConfPath": f"{home}/resolv.conf",
        "HostnamePath": f"{home}/hostname",
        "HostsPath": f"{home}/hosts",
        "LogPath": f"{home}/{container.id}-json.log",
        "Name": "/" + container.name,
        "RestartCount": 0,
        "Driver": "overlay2",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "docker-default",
        "ExecIDs": None,
        "HostConfig": _host_config(container),
        "GraphDriver": {"Data": {"ID": container.id, "MergedDir": f"{home}/merged"}, "Name": "overlay2"},
        "Mounts": [],
        "Config": {
            "Hostname": container.id[:12],
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
            "Image": container.image,
            "Volumes": None,
            "WorkingDir": "/",
            "Entrypoint": None,
            "OnBuild": None,
            "Labels": container.labels,
        },
        "NetworkSettings": {
            "Bridge": "",
            "SandboxID": hex_id("sandbox", container.id) if running else "",
            "SandboxKey": "/var/run/docker/netns/" + container.id[:12] if running else "",
            "Ports": {},
            "Networks": {"bridge": _endpoint(engine, container)},
        },
    }


def _host_config(container: Container) -> Json:
    return {
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
        "Memory": container.memory_bytes,
        "NanoCpus": 0,
        "CgroupParent": "",
        "DeviceRequests": None,
        "MemoryReservation": 0,
        "MemorySwap": 2 * container.memory_bytes,
        "PidsLimit": None,
        "Ulimits": None,
    }


def event(container: Container, action: str, time_ns: int) -> Json:
    return {
        "status": action,
        "id": container.id,
        "from": container.image,
        "Type": "container",
        "Action": action,
        "Actor": {
            "ID": container.id,
            "Attributes": {**container.labels, "image": container.image, "name": container.name},
        },
        "scope": "local",
        "time": time_ns // 1_000_000_000,
        "timeNano": time_ns,
    }
