"""What a create asks for, and what its engine gets."""

from contextlib import suppress
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmproxy.errors import BadRequest
from swarmproxy.model.container import Container, DeviceRequest, PortBinding
from swarmproxy.model.labels import ID
from swarmproxy.model.spec import ContainerSpec, Dependency, body_for_engine, rewrite


def parse(body: object) -> ContainerSpec:
    return ContainerSpec.parse(msgspec.json.encode(body))


HOST: dict[str, object] = {
    "Memory": 100,
    "MemoryReservation": 50,
    "CpuShares": 2,
    "NanoCpus": 5,
    "CpusetCpus": "0-1",
    "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}, {"HostPort": ""}]},
    "PublishAllPorts": True,
    "NetworkMode": "node-1/net",
    "VolumesFrom": ["c0:ro"],
    "Links": ["c1:alias"],
    "IpcMode": "container:c2",
    "PidMode": "host",
    "DeviceRequests": [{"Count": 2, "Capabilities": [["gpu"]]}],
    "AutoRemove": True,
    "Binds": ["data:/data", "/etc:/host", "anonymous", "./x:/y"],
    "Mounts": [{"Type": "volume", "Source": "more", "Target": "/m"}, {"Type": "bind", "Source": "/z"}],
    "Future": {"x": 1.50},
}
BODY: dict[str, object] = {
    "Image": "nginx",
    "Labels": {"app": "shop"},
    "Env": ["A=1", "constraint:storage==ssd", "affinity:image==~redis", "B=constraint:x"],
    "ExposedPorts": {"80/tcp": {}},
    "HostConfig": HOST,
    "NetworkingConfig": {"EndpointsConfig": {"node-1/net": {"Aliases": ["a"]}, "other": None}},
    "StopSignal": "SIGINT",
}


def test_what_is_acted_on_is_read() -> None:
    """A spec carries what the cluster acts on, with expressions moved from the environment to labels."""
    spec = parse(BODY)
    assert (spec.image, spec.env, spec.exposed) == ("nginx", ("A=1", "B=constraint:x"), ("80/tcp",))
    assert spec.labels == {
        "app": "shop",
        "com.docker.swarm.constraints": '["storage==ssd"]',
        "com.docker.swarm.affinities": '["image==~redis"]',
    }
    assert (spec.memory_bytes, spec.memory_reservation_bytes, spec.cpus, spec.nano_cpus) == (100, 50, 2, 5)
    assert (spec.cpuset, spec.network_mode, spec.ipc_mode, spec.pid_mode) == (
        "0-1",
        "node-1/net",
        "container:c2",
        "host",
    )
    assert spec.published == (
        PortBinding(container_port="80/tcp", host_ip="127.0.0.1", host_port="8080"),
        PortBinding(container_port="80/tcp"),
    )
    assert spec.device_requests == (DeviceRequest(count=2, capabilities=(("gpu",),)),)
    assert (spec.volumes_from, spec.links, spec.volumes) == (("c0:ro",), ("c1:alias",), ("data", "more"))
    assert spec.auto_remove
    assert spec.networks == ("node-1/net", "other")


def test_body_for_engine() -> None:
    """The engine gets scaled shares, labels, the swarm ID and its own network names, all else as it was."""
    body = body_for_engine(
        parse(BODY),
        swarm_id="5" * 64,
        engine_cpus=10,
        rename_network=lambda name: name.removeprefix("node-1/"),
    )
    sent = msgspec.json.decode(body)
    assert sent["HostConfig"].pop("CpuShares") == 205
    assert sent["HostConfig"].pop("NetworkMode") == "net"
    assert sent["NetworkingConfig"] == {"EndpointsConfig": {"net": {"Aliases": ["a"]}, "other": None}}
    assert sent["Env"] == ["A=1", "B=constraint:x"]
    assert sent["Labels"].pop(ID) == "5" * 64
    host = {key: value for key, value in HOST.items() if key not in ("CpuShares", "NetworkMode")}
    assert sent["HostConfig"] == host
    assert sent["StopSignal"] == "SIGINT"


def test_the_swarm_id_survives() -> None:
    """A container that has a swarm ID keeps it: it is being moved."""
    body = body_for_engine(parse({"Labels": {ID: "old"}}), swarm_id="new", engine_cpus=1)
    assert msgspec.json.decode(body) == {"Labels": {ID: "old"}}


def test_names_of_members_in_any_case() -> None:
    """Go reads member names without regard to case, and so do we; a member keeps its spelling."""
    spec = parse(
        {
            "image": "nginx",
            "ENV": ["constraint:a==b"],
            "hostconfig": {
                "memory": 7,
                "cpushares": 1,
                "portBindings": {"80/tcp": [{"hostPort": "9"}]},
                "deviceREQUESTS": [{"count": 1, "capabilities": [["gpu"]]}],
                "mounts": [{"type": "volume", "source": "v"}],
            },
            "networkingconfig": {"endpointsconfig": {"n": {}}},
        }
    )
    assert (spec.image, spec.memory_bytes, spec.cpus, spec.env) == ("nginx", 7, 1, ())
    assert (spec.published[0].host_port, spec.device_requests[0].count) == ("9", 1)
    assert (spec.volumes, spec.networks) == (("v",), ("n",))
    sent = msgspec.json.decode(
        body_for_engine(spec, swarm_id="s", engine_cpus=4, rename_network=lambda name: f"{name}2")
    )
    assert sent["ENV"] == []
    assert sent["hostconfig"]["cpushares"] == 256
    assert sent["networkingconfig"] == {"endpointsconfig": {"n2": {}}}
    assert "HostConfig" not in sent


def test_legacy_members_outrank_the_host_configuration() -> None:
    """What stood at the top before API 1.18 moves into HostConfig when it is set."""
    spec = parse(
        {
            "Memory": 9,
            "memorySwap": -1,
            "CpuShares": 3,
            "Cpuset": "1",
            "HostConfig": {"Memory": 5, "CpuShares": 0, "Dns": ["x"]},
        }
    )
    assert (spec.memory_bytes, spec.cpus, spec.cpuset) == (9, 3, "1")
    assert msgspec.json.decode(spec.raw) == {
        "HostConfig": {"Memory": 9, "CpuShares": 3, "Dns": ["x"], "MemorySwap": -1, "CpusetCpus": "1"}
    }
    spec = parse({"Memory": 0, "CpuShares": 0, "Cpuset": "", "HostConfig": {"Memory": 5}})
    assert spec.memory_bytes == 5


def test_null_everywhere() -> None:
    """Null is the same as leaving a member out."""
    spec = parse(dict.fromkeys(BODY, None))
    assert spec == ContainerSpec(raw=spec.raw)
    assert replace(parse({"HostConfig": dict.fromkeys(HOST, None)}), raw=b"") == ContainerSpec(raw=b"")
    body = body_for_engine(spec, swarm_id="s", engine_cpus=1)
    assert msgspec.json.decode(body) == dict.fromkeys(BODY, None) | {"Labels": {ID: "s"}}


def test_dependencies() -> None:
    """What it depends on is every container that an option names, with the option as a user writes it."""
    assert parse(BODY).dependencies == (
        Dependency("--volumes-from=c0:ro", "c0"),
        Dependency("--link=c1:alias", "c1"),
        Dependency("--ipc=container:c2", "c2"),
    )
    host = {"NetworkMode": "container:node-1/c3", "IpcMode": "shareable", "PidMode": "container:"}
    assert parse({"HostConfig": host}).dependencies == (
        Dependency("--net=container:node-1/c3", "node-1/c3"),
        Dependency("--pid=container:", ""),
    )


WEB_ID = "ab12" * 16


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("web", "web"),
        ("/web", "/web"),
        (WEB_ID, WEB_ID),
        ("ab12ab", "ab12ab"),
        ("other/alias", "other/alias"),
        ("node-1/web", "web"),
        ("5a" * 32, "web"),
    ],
)
def test_own_names(name: str, own: str) -> None:
    """A container that is found gets a name that its engine understands; one that it does understand stays."""
    web = Container(id=WEB_ID, name="web", names=("/web", "/other/alias"))
    host = {
        "VolumesFrom": [name, f"{name}:ro", "lost"],
        "Links": [f"{name}:db", "lost:x"],
        "NetworkMode": f"container:{name}",
        "IpcMode": f"container:{name}",
        "PidMode": f"container:{name}",
        "Memory": 7,
    }
    spec = replace(parse({"HostConfig": host}), found={name: web})
    assert msgspec.json.decode(body_for_engine(spec, swarm_id="s", engine_cpus=1))["HostConfig"] == {
        "VolumesFrom": [own, f"{own}:ro", "lost"],
        "Links": [f"{own}:db", "lost:x"],
        "NetworkMode": f"container:{own}",
        "IpcMode": f"container:{own}",
        "PidMode": f"container:{own}",
        "Memory": 7,
    }


@pytest.mark.parametrize(("link", "sent"), [("web", "web"), ("node-1/web", "web:web"), ("5a5a", "web:5a5a")])
def test_link_without_an_alias(link: str, sent: str) -> None:
    """The alias of a link is what the client wrote, without the node."""
    web = Container(id=WEB_ID, name="web", names=("/web",))
    spec = replace(parse({"HostConfig": {"Links": [link]}}), found={link: web})
    assert msgspec.json.decode(body_for_engine(spec, swarm_id="s", engine_cpus=1))["HostConfig"] == {"Links": [sent]}


def test_links_within_networks() -> None:
    """Links of a network, where newer clients write them, are renamed as well; all else of an endpoint stays."""
    web = Container(id=WEB_ID, name="web", names=("/web",))
    endpoints = {
        "blue": {"Links": ["node-1/web:db", "node-1/web", "other:x"], "Aliases": ["a"]},
        "red": {},
        "none": None,
    }
    spec = replace(parse({"NetworkingConfig": {"EndpointsConfig": endpoints}}), found={"node-1/web": web})
    assert spec.network_links == ("node-1/web:db", "node-1/web", "other:x")
    assert spec.dependencies == ()
    sent = msgspec.json.decode(body_for_engine(spec, swarm_id="s", engine_cpus=1))["NetworkingConfig"]
    blue = {"Links": ["web:db", "web:web", "other:x"], "Aliases": ["a"]}
    assert sent == {"EndpointsConfig": {"blue": blue, "red": {}, "none": None}}
    untouched = replace(spec, found={})
    assert b'"Links":["node-1/web:db"' in body_for_engine(untouched, swarm_id="s", engine_cpus=1).replace(b" ", b"")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "got EOF"),
        (b" \n", "got EOF"),
        (b"{", "invalid JSON: "),
        (b"{} {}", "invalid JSON: "),
        (b"[]", "invalid JSON: Expected `object`, got `array`"),
        (b"null", "invalid JSON: "),
        (b'{"Env":"A=1"}', r"invalid JSON: .*Env"),
        (b'{"Labels":["a"]}', r"invalid JSON: .*Labels"),
        (b'{"HostConfig":{"Memory":"1g"}}', r"invalid JSON: .*HostConfig\.Memory"),
        (b'{"HostConfig":{"PortBindings":{"80/tcp":{"HostPort":"1"}}}}', r"invalid JSON: .*PortBindings"),
        (b'{"HostConfig":{"Memory":-1}}', "invalid Memory: -1 is negative"),
        (b'{"HostConfig":{"NanoCpus":-1}}', "invalid NanoCpus"),
        (b'{"CpuShares":-1}', "invalid CpuShares"),
        (b'{"HostConfig":{"DeviceRequests":[{"Count":-2}]}}', "invalid DeviceRequests"),
        (b"[" * 100_000, "invalid JSON: "),
        (b'{"Env":["reschedule:sometimes"]}', "invalid reschedule policy: sometimes"),
        (b'{"Env":["reschedule:off","reschedule:off"]}', "too many reschedule policies"),
    ],
)
def test_bad_body(body: bytes, message: str) -> None:
    """A body that the API does not allow is refused, saying where it is wrong."""
    with pytest.raises(BadRequest, match=message):
        ContainerSpec.parse(body)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
UNKNOWN = st.dictionaries(st.text(max_size=8).map(lambda name: f"X{name}"), VALUES, max_size=4)


@given(top=UNKNOWN, host=UNKNOWN, env=st.lists(st.text(max_size=12), max_size=4))
def test_rewriting_keeps_what_is_unknown(top: dict[str, object], host: dict[str, object], env: list[str]) -> None:
    """Members that we know nothing of reach the engine as they were."""
    spec = parse(top | {"HostConfig": host, "Env": env})
    sent = msgspec.json.decode(rewrite(spec, labels={"a": "b"}, env=["E=1"], host={"CpuShares": 9}))
    assert sent == top | {"HostConfig": host | {"CpuShares": 9}, "Env": ["E=1"], "Labels": {"a": "b"}}


@given(UNKNOWN)
def test_rewriting_nothing(top: dict[str, object]) -> None:
    """Where there is nothing to change, the members' text stays byte for byte."""
    body = msgspec.json.encode(top)
    assert rewrite(ContainerSpec.parse(body)) == body


NAMES = [
    "Image",
    "env",
    "Labels",
    "HostConfig",
    "NetworkingConfig",
    "Memory",
    "Binds",
    "Mounts",
    "PortBindings",
]


@given(st.dictionaries(st.sampled_from(NAMES), VALUES) | VALUES | st.fixed_dictionaries({"HostConfig": VALUES}))
def test_any_json_is_read_or_refused(body: object) -> None:
    """No JSON makes the parser fail in another way than BadRequest."""
    with suppress(BadRequest):
        parse(body)


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """No bytes make the parser fail in another way than BadRequest."""
    with suppress(BadRequest):
        ContainerSpec.parse(body)
