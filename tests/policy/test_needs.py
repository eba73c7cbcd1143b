"""What requests ask for, which limits grant it, and what else they use."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmproxy.errors import BadRequest
from swarmproxy.policy.asked import Asked
from swarmproxy.policy.document import parse
from swarmproxy.policy.limits import UNLIMITED, Limits, canonical_image
from swarmproxy.policy.needs import Need, Use

STRICT = Limits()


def asked(kind: str, body: Any = None, **parameters: str) -> Asked:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Asked.read(kind, "", {name: (value,) for name, value in parameters.items()}, sent)


def refusals(limits: Limits, request: Asked) -> list[str]:
    """Return the limits that refuse a request."""
    return [need.what for need in request.found()[0] if limits.refuses(need)]


def host(**members: Any) -> Asked:
    return asked("containers/create", {"Image": "nginx", "HostConfig": members})


def limits(**given: Any) -> Limits:
    lines = "\n".join(f"{name} = {json.dumps(value)}" for name, value in given.items())
    return parse(f"version = 1\n[roles.x]\nallow = []\n[roles.x.limits]\n{lines}").roles["x"].limits


LEADS_OUT: list[tuple[dict[str, Any], str]] = [
    ({"Privileged": True}, "privileged"),
    ({"privileged": True}, "privileged"),
    ({"PRIVILEGED": 1}, "privileged"),
    ({"CapAdd": ["SYS_ADMIN"]}, "capabilities"),
    ({"CapAdd": "ALL"}, "capabilities"),
    ({"capadd": ["cap_net_admin"]}, "capabilities"),
    ({"Capabilities": ["SYS_ADMIN"]}, "capabilities"),
    ({"Devices": [{"PathOnHost": "/dev/sda"}]}, "devices"),
    ({"DeviceCgroupRules": ["b *:* rwm"]}, "devices"),
    ({"DeviceRequests": [{"Count": -1, "Capabilities": [["gpu"]]}]}, "device_requests"),
    ({"NetworkMode": "host"}, "host_namespaces"),
    ({"NetworkMode": "ns:/proc/1/ns/net"}, "host_namespaces"),
    ({"IpcMode": "host"}, "host_namespaces"),
    ({"PidMode": "host"}, "host_namespaces"),
    ({"UTSMode": "host"}, "host_namespaces"),
    ({"UsernsMode": "host"}, "host_namespaces"),
    ({"CgroupnsMode": "host"}, "host_namespaces"),
    ({"SecurityOpt": ["seccomp=unconfined"]}, "security_options"),
    ({"SecurityOpt": ["apparmor=unconfined"]}, "security_options"),
    ({"SecurityOpt": ["label=disable"]}, "security_options"),
    ({"SecurityOpt": ["no-new-privileges=false"]}, "security_options"),
    ({"MaskedPaths": []}, "privileged"),
    ({"ReadonlyPaths": []}, "privileged"),
    ({"OomScoreAdj": -1000}, "privileged"),
    ({"Annotations": {"run.oci.x": "1"}}, "privileged"),
    ({"Binds": ["/:/host"]}, "binds"),
    ({"Binds": ["/etc:/etc:ro"]}, "binds"),
    ({"binds": ["/etc:/etc"]}, "binds"),
    ({"Binds": ["/srv:/srv:rshared"]}, "privileged"),
    ({"Binds": ["/var/run/docker.sock:/s"]}, "docker_socket"),
    ({"Binds": ["/run:/r"]}, "docker_socket"),
    ({"Binds": ["/:/r"]}, "docker_socket"),
    ({"Binds": ["/var:/r"]}, "docker_socket"),
    ({"Binds": ["/run/docker/plugins:/r"]}, "docker_socket"),
    ({"Mounts": [{"Type": "bind", "Source": "/etc", "Target": "/e"}]}, "binds"),
    ({"Mounts": [{"type": "bind", "source": "/etc", "target": "/e"}]}, "binds"),
    ({"Mounts": [{"Type": "Bind", "Source": "/etc", "Target": "/e"}]}, "unknown"),
    ({"Mounts": [{"Type": "npipe", "Source": "x"}]}, "unknown"),
    ({"Mounts": [{"Type": "volume", "Source": "/etc", "Target": "/e"}]}, "binds"),
    (
        {"Mounts": [{"Type": "bind", "Source": "/srv", "BindOptions": {"Propagation": "shared"}}]},
        "privileged",
    ),
    (
        {
            "Mounts": [
                {
                    "Type": "volume",
                    "Target": "/x",
                    "VolumeOptions": {
                        "DriverConfig": {"Name": "local", "Options": {"type": "none", "o": "bind", "device": "/etc"}}
                    },
                }
            ]
        },
        "binds",
    ),
    ({"VolumeDriver": "nfs", "Binds": ["data:/data"]}, "volume_drivers"),
    ({"Runtime": "nvidia"}, "runtimes"),
    ({"Sysctls": {"net.ipv4.ip_forward": "1"}}, "sysctls"),
    ({"CgroupParent": "/system.slice"}, "cgroup_parent"),
    ({"LogConfig": {"Type": "fluentd", "Config": {"fluentd-address": "unix:///run/x"}}}, "log_drivers"),
    ({"LxcConf": [{"Key": "lxc.mount", "Value": "/"}]}, "privileged"),
    ({"SomethingNew": True}, "unknown"),
]


@pytest.mark.parametrize(("members", "limit"), LEADS_OUT)
def test_leads_out(members: dict[str, Any], limit: str) -> None:
    """What leads out of a container is refused by the limit that is meant for it, and by none where there are none."""
    assert limit in refusals(STRICT, host(**members))
    assert refusals(UNLIMITED, host(**members)) == []


@pytest.mark.parametrize(("members", "limit"), LEADS_OUT)
@pytest.mark.parametrize("kind", ["containers/start"])
def test_start_with_host_config(kind: str, members: dict[str, Any], limit: str) -> None:
    """Engines obey the HostConfig in a start of API 1.23, so it is looked at."""
    assert limit in refusals(STRICT, asked(kind, members))


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"Privileged": False, "CapAdd": None, "Devices": [], "NetworkMode": "default", "IpcMode": "private"},
        {"CapDrop": ["ALL"], "SecurityOpt": ["no-new-privileges"], "ReadonlyRootfs": True},
        {"Binds": ["data:/data", "/anonymous"], "Mounts": [{"Type": "tmpfs", "Target": "/t"}]},
        {"PortBindings": {"80/tcp": [{"HostPort": "8080"}]}, "PublishAllPorts": True},
        {"LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}}, "MaskedPaths": None, "Annotations": None},
        {"RestartPolicy": {"Name": "always"}, "Ulimits": [{"Name": "nofile", "Hard": 1, "Soft": 1}]},
    ],
)
def test_harmless(members: dict[str, Any]) -> None:
    """What stays in the container needs no rule."""
    assert refusals(STRICT, host(**members)) == []


GRANTED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"Privileged": True}, {"privileged": True}),
    ({"CapAdd": ["CAP_NET_ADMIN"]}, {"capabilities": ["net_admin"]}),
    ({"Devices": [{"PathOnHost": "/dev/ttyUSB0"}]}, {"devices": ["/dev/ttyUSB*"]}),
    ({"DeviceRequests": [{"Driver": "nvidia", "Count": 1}]}, {"device_requests": ["nvidia"]}),
    ({"NetworkMode": "host"}, {"host_namespaces": ["network"]}),
    ({"SecurityOpt": ["seccomp=unconfined"]}, {"security_options": ["seccomp=*"]}),
    ({"Binds": ["/srv/a:/a"]}, {"binds": ["/srv/a"]}),
    ({"Binds": ["/srv/a/:/a"]}, {"binds": ["/srv/a"]}),
    ({"Binds": ["/srv/a:/a:ro,z"]}, {"binds": ["/srv/a:ro"]}),
    ({"Binds": ["/srv/a:/a"]}, {"binds": ["/srv/*"]}),
    ({"Mounts": [{"Type": "bind", "Source": "/srv/a/b/c", "ReadOnly": True}]}, {"binds": ["/srv/**:ro"]}),
    ({"Binds": ["/var/run/docker.sock:/s"]}, {"binds": ["/var/run/docker.sock"], "docker_socket": True}),
    ({"Runtime": "runsc"}, {"runtimes": ["runsc"]}),
    ({"Sysctls": {"net.core.somaxconn": "1"}}, {"sysctls": ["net.*"]}),
    ({"CgroupParent": "/a"}, {"cgroup_parent": ["/a"]}),
    ({"LogConfig": {"Type": "syslog"}}, {"log_drivers": ["syslog"]}),
    ({"Memory": 1024**3, "NanoCpus": 10**9, "PidsLimit": 10}, {"memory": "1g", "cpus": 1, "pids": 10}),
    ({"Memory": 1, "CpuQuota": 50000}, {"memory": "1g", "cpus": 0.5}),
]


@pytest.mark.parametrize(("members", "given"), GRANTED)
def test_granted(members: dict[str, Any], given: dict[str, Any]) -> None:
    """What is listed is granted."""
    assert refusals(limits(**given), host(**members)) == []


NOT_GRANTED = [
    ({"CapAdd": ["ALL"]}, {"capabilities": ["NET_ADMIN"]}, "capabilities"),
    ({"Devices": [{"PathOnHost": "/dev/tty/../sda"}]}, {"devices": ["/dev/tty*"]}, "devices"),
    ({"PidMode": "host"}, {"host_namespaces": ["network"]}, "host_namespaces"),
    ({"Binds": ["/srv/a:/a"]}, {"binds": ["/srv/a:ro"]}, "binds"),
    ({"Binds": ["/srv/ab:/a"]}, {"binds": ["/srv/a"]}, "binds"),
    ({"Binds": ["/srv/a/b:/a"]}, {"binds": ["/srv/a"]}, "binds"),
    ({"Binds": ["/srv/a/b:/a"]}, {"binds": ["/srv/*"]}, "binds"),
    ({"Binds": ["/srv:/a"]}, {"binds": ["/srv/*"]}, "binds"),
    ({"Binds": ["/srv/:/a"]}, {"binds": ["/srv/*"]}, "binds"),
    ({"Binds": ["/run/docker.sock:/s"]}, {"binds": ["/run/docker.sock"]}, "docker_socket"),
    ({"Memory": 2 * 1024**3}, {"memory": "1g"}, "memory"),
    ({}, {"memory": "1g"}, "memory"),
    ({"Memory": 1024, "MemorySwap": -1}, {"memory": "1g"}, "memory"),
    ({}, {"cpus": 1}, "cpus"),
    ({"CpuQuota": 200000, "CpuPeriod": 100000}, {"cpus": 1.5}, "cpus"),
    ({"CpuShares": 512}, {"cpus": 1}, "cpus"),
    ({"PidsLimit": -1}, {"pids": 10}, "pids"),
    ({"PortBindings": {"80/tcp": [{"HostPort": "80"}]}}, {"host_ports": ["8000-8999"]}, "host_ports"),
    ({"PortBindings": {"80/tcp": [{"HostPort": "8000-9000"}]}}, {"host_ports": ["8000-8999"]}, "host_ports"),
    ({"PortBindings": {"80/tcp": [{"HostPort": ""}]}}, {"host_ports": ["8000-8999"]}, "host_ports"),
    ({"PublishAllPorts": True}, {"host_ports": ["8000-8999"]}, "host_ports"),
]


@pytest.mark.parametrize(("members", "given", "limit"), NOT_GRANTED)
def test_not_granted(members: dict[str, Any], given: dict[str, Any], limit: str) -> None:
    """What is not listed is refused, however near to it."""
    assert limit in refusals(limits(**given), host(**members))


@pytest.mark.parametrize(
    ("allowed", "image", "granted"),
    [
        ("nginx", "nginx", True),
        ("nginx", "nginx:1.25", True),
        ("nginx", "docker.io/library/nginx@sha256:" + "a" * 64, True),
        ("nginx:1.*", "nginx:2.0", False),
        ("nginx", "evil/nginx", False),
        ("nginx", "registry.corp/nginx", False),
        ("docker.io/nginx", "nginx", True),
        ("registry.corp/*", "registry.corp/a/b:1", True),
        ("registry.corp/*", "registry.corp.evil.com/a", False),
        ("registry.corp:5000/team-a/*", "registry.corp:5000/team-b/x", False),
        ("team/*", "team/app", True),
        ("team/*", "team.corp/app", False),
        ("nginx", "cafe", False),  # may be the ID of any image
        ("nginx", "sha256:" + "a" * 64, False),
    ],
)
def test_images(allowed: str, image: str, *, granted: bool) -> None:
    """An image is allowed by its whole name, registry included, whatever short form is used."""
    assert (not limits(images=[allowed]).refuses(Need("images", image, ""))) is granted


def test_image_by_id() -> None:
    """An ID stands for the names that the image has."""
    allowed = limits(images=["nginx"])
    assert not allowed.refuses(Need("images", "cafe", ""), ("nginx:1",))
    assert allowed.refuses(Need("images", "cafe", ""), ("other:1",))
    assert canonical_image("localhost/x") == "localhost/x:latest"


def test_uses() -> None:
    """Other objects are found wherever a body names them."""
    body = {
        "Image": "x",
        "hostconfig": {
            "VolumesFrom": ["data:ro"],
            "Links": ["db:db"],
            "PidMode": "container:a",
            "NetworkMode": "blue",
            "Binds": ["vol:/v"],
            "Mounts": [{"Type": "volume", "Source": "vol2", "Target": "/w"}],
        },
        "NetworkingConfig": {"EndpointsConfig": {"green": {}}},
    }
    found = {(use.kind, use.name, use.shares) for use in asked("containers/create", body).found()[1]}
    assert found == {
        ("containers", "data", "mounts"),
        ("containers", "db", ""),
        ("containers", "a", "pid"),
        ("networks", "blue", ""),
        ("networks", "green", ""),
        ("volumes", "vol", ""),
        ("volumes", "vol2", ""),
    }


SERVICES = [
    ({"Mounts": [{"Type": "bind", "Source": "/etc", "Target": "/e"}]}, "binds"),
    ({"CapabilityAdd": ["CAP_SYS_ADMIN"]}, "capabilities"),
    ({"Privileges": {"Seccomp": {"Mode": "unconfined"}}}, "security_options"),
    ({"Privileges": {"CredentialSpec": {"File": "x"}}}, "security_options"),
    ({"Sysctls": {"net.x": "1"}}, "sysctls"),
    ({"Strange": 1}, "unknown"),
]


@pytest.mark.parametrize(("spec", "limit"), SERVICES)
@pytest.mark.parametrize("kind", ["services/create", "services/update"])
def test_services(kind: str, spec: dict[str, Any], limit: str) -> None:
    """A service is under the same limits as a container."""
    assert limit in refusals(STRICT, asked(kind, {"TaskTemplate": {"ContainerSpec": {"Image": "x", **spec}}}))


def test_service_networks_and_more() -> None:
    """The host's network, plugins, ports and amounts of a service."""
    body = {
        "TaskTemplate": {
            "Networks": [{"Target": "host"}, {"Target": "blue"}],
            "Runtime": "plugin",
            "ContainerSpec": {"Secrets": [{"SecretID": "s1", "SecretName": "key"}]},
            "Resources": {"Limits": {"MemoryBytes": 10}},
        },
        "EndpointSpec": {"Ports": [{"PublishedPort": 80}]},
    }
    request = asked("services/create", body)
    assert set(refusals(limits(memory=5, cpus=1, host_ports=["random"]), request)) == {
        "host_namespaces",
        "privileged",
        "memory",
        "cpus",
        "host_ports",
    }
    uses = request.found()[1]
    assert Use("networks", "blue", "TaskTemplate.Networks") in uses
    assert any(use.kind == "secrets" and use.name == "s1" for use in uses)


OTHERS = [
    (asked("containers/exec", {"Privileged": True}), "privileged"),
    (asked("containers/exec", {"privileged": True}), "privileged"),
    (asked("volumes/create", {"DriverOpts": {"type": "none", "o": "bind", "device": "/"}}), "binds"),
    (asked("volumes/create", {"DriverOpts": {"type": "tmpfs", "o": "rbind", "device": "/etc"}}), "binds"),
    (asked("volumes/create", {"driveropts": {"TYPE": "ext4", "Device": "/dev/sda1"}}), "volume_drivers"),
    (asked("volumes/create", {"DriverOpts": {"type": "nfs", "o": "addr=1", "device": ":/x"}}), "volume_drivers"),
    (asked("volumes/create", {"Driver": "rclone"}), "volume_drivers"),
    (asked("networks/create", {"Driver": "macvlan"}), "network_drivers"),
    (asked("networks/create", {"Options": {"com.docker.network.bridge.name": "docker0"}}), "network_drivers"),
    (asked("containers/update", {"Devices": [{"PathOnHost": "/dev/x"}]}), "devices"),
    (asked("build", networkmode="host"), "host_namespaces"),
    (asked("build", cgroupparent="/x"), "cgroup_parent"),
    (asked("build", securityopt='["seccomp=unconfined"]'), "security_options"),
    (asked("plugins/pull"), "privileged"),
    (asked("plugins/enable"), "privileged"),
]


@pytest.mark.parametrize(("request_", "limit"), OTHERS)
def test_others(request_: Asked, limit: str) -> None:
    """The same limits hold for all other ways to the same ends."""
    assert limit in refusals(STRICT, request_)


def test_updates() -> None:
    """An update is bounded in what it sets; what it leaves as it is was bounded before."""
    bounded = limits(memory="1g", cpus=1, pids=10)
    assert refusals(bounded, asked("containers/update", {"RestartPolicy": {"Name": "no"}})) == []
    assert refusals(bounded, asked("containers/update", {"Memory": 2 * 1024**3})) == ["memory"]
    assert refusals(bounded, asked("containers/update", {"PidsLimit": -1, "CpuQuota": -1})) == ["cpus", "pids"]


TWO_WAYS = [
    b'{"HostConfig":{"Privileged":false},"hostconfig":{"Privileged":true}}',
    b'{"HostConfig":{"Privileged":false,"privileged":true}}',
    b'{"HostConfig":{"Privileged":false,"Privileged":true}}',
    '{"Ho\u017ftConfig":{"Privileged":true}}'.encode(),
    '{"HostConfig":{"\u212aernelMemory":1}}'.encode(),
    b'{"HostConfig":{}} {"HostConfig":{"Privileged":true}}',
    b'{"Memory":NaN}',
    b'{"a":' * 200 + b"1" + b"}" * 200,
    b'{"Labels":{"a":"1","a":"2"}}',
    b"\xff\xfe{}",
    b"[]",
    b'"x"',
    b"",
    b'{"HostConfig":[]}',
    b'{"HostConfig":{"Binds":"x","Mounts":"y"}}',
    b'{"HostConfig":{"CapAdd":[1]}}',
    b'{"HostConfig":{"Memory":"1g"}}',
    b'{"HostConfig":{"Memory":1%s}}' % (b"0" * 400),
    b'{"HostConfig":{"NanoCpus":1%s}}' % (b"0" * 5000),
]


@pytest.mark.parametrize("body", TWO_WAYS)
def test_read_in_two_ways(body: bytes) -> None:
    """A body that Go could read otherwise than we do is refused."""
    with pytest.raises(BadRequest):
        asked("containers/create", body).found()


@pytest.mark.parametrize("path", ["/srv/../etc", "/srv/./a", "/srv//a", "/srv/a/..", "/srv\x00/a"])
def test_unclean_paths(path: str) -> None:
    """A path that could be resolved to another one is not resolved, but refused."""
    with pytest.raises(BadRequest):
        host(Binds=[f"{path}:/x"]).found()


NAMES = st.sampled_from(["HostConfig", "hostCONFIG", "Binds", "Mounts", "CapAdd", "Privileged", "Type", "bind", "x"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner),
    max_leaves=12,
)


@given(VALUES)
def test_never_crashes(value: Any) -> None:
    """Whatever a client sends is understood or refused."""
    try:
        asked("containers/create", value).found()
    except BadRequest:
        return


@given(st.text(alphabet="PRIVILEGEDprivileged", min_size=10, max_size=10) | st.just("pRiViLeGeD"))
def test_case_of_names(name: str) -> None:
    """However the case of a name is, it is the same member."""
    assert ("privileged" in refusals(STRICT, host(**{name: True}))) is (name.lower() == "privileged")
