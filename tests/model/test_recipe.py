"""What an engine tells of a container becomes what it is made from elsewhere."""

import json
from typing import Any

import pytest

from swarmproxy.errors import SwarmError
from swarmproxy.model.container import from_engine
from swarmproxy.model.labels import CONSTRAINTS, ID, RESCHEDULE_POLICIES
from swarmproxy.model.recipe import Recipe, distil, recreate
from swarmproxy.model.spec import ContainerSpec

CONTAINER_ID = "abcdef012345" + "6" * 52
POLICY = {ID: "1" * 64, RESCHEDULE_POLICIES: '["on-node-failure"]'}


def inspect(
    *,
    config: dict[str, Any] | None = None,
    host: dict[str, Any] | None = None,
    networks: dict[str, Any] | None = None,
    mounts: list[dict[str, Any]] | None = None,
) -> bytes:
    """Return an inspect as an engine gives it."""
    return json.dumps(
        {
            "Id": CONTAINER_ID,
            "Name": "/web",
            "State": {"Status": "running", "Running": True, "Pid": 4711},
            "Config": {"Image": "busybox", "Labels": POLICY, "Env": ["PATH=/bin", "A=1"]} | (config or {}),
            "HostConfig": {"NetworkMode": "default"} | (host or {}),
            "NetworkSettings": {"IPAddress": "172.17.0.2", "Networks": networks or {}},
            "Mounts": mounts or [],
        }
    ).encode()


def made(kept: bytes, **options: Any) -> tuple[dict[str, Any], Recipe]:
    """Return the create body, decoded, and the recipe."""
    recipe = recreate(distil(kept), container_id=CONTAINER_ID, **{"cores": 0, **options})
    return json.loads(recipe.body), recipe


def test_config_and_labels_stay() -> None:
    """Config is at the top of the body, HostConfig beside it, and the cluster reads the same spec from them."""
    body, recipe = made(inspect(host={"Memory": 7, "CpuShares": 512, "RestartPolicy": {"Name": "always"}}), cores=2)
    assert (body["Image"], body["Env"], body["Labels"]) == ("busybox", ["PATH=/bin", "A=1"], POLICY)
    assert body["HostConfig"]["RestartPolicy"] == {"Name": "always"}
    spec = ContainerSpec.parse(recipe.body)
    assert (spec.cpus, spec.memory_bytes, spec.labels[ID]) == (2, 7, "1" * 64)
    assert spec.expressions.reschedule_policies == ("on-node-failure",)


def test_a_label_that_cannot_be_read_does_not_hold_it_back() -> None:
    """A container that classic made with a broken label moves as well; the copy has no such label."""
    body, recipe = made(inspect(config={"Labels": {**POLICY, CONSTRAINTS: "storage==ssd", "tier": "["}}))
    assert body["Labels"] == {**POLICY, "tier": "["}
    assert ContainerSpec.parse(recipe.body).expressions.constraints == ()


def test_kept_form_is_small_and_steady() -> None:
    """What changes by itself, such as the state and assigned addresses, is not kept."""
    kept = distil(inspect(networks={"bridge": {"IPAddress": "172.17.0.2", "EndpointID": "e" * 64}}))
    assert b"4711" not in kept
    assert b"172.17.0.2" not in kept
    assert distil(kept) == kept


@pytest.mark.parametrize(
    ("config", "host", "expected"),
    [
        ({"Hostname": CONTAINER_ID[:12]}, {}, None),
        ({"Hostname": "mail", "Domainname": "example.org"}, {}, "mail"),
        ({"Hostname": "node-1"}, {"NetworkMode": "host"}, None),
        ({"Hostname": "mine"}, {"NetworkMode": "host"}, "mine"),
        ({"Hostname": "other"}, {"NetworkMode": "container:db"}, None),
        ({"Hostname": "node-1"}, {"UTSMode": "host"}, None),
    ],
)
def test_host_name(config: dict[str, Any], host: dict[str, Any], expected: str | None) -> None:
    """A host name that the engine made up is not taken along."""
    body, _ = made(inspect(config=config, host=host), node_name="node-1")
    assert body.get("Hostname") == expected


def test_default_bridge() -> None:
    """On the default network there is nothing to ask for."""
    body, recipe = made(inspect(networks={"bridge": {"IPAMConfig": None, "Aliases": None, "IPAddress": "172.17.0.2"}}))
    assert body["HostConfig"]["NetworkMode"] == "bridge"
    assert body["NetworkingConfig"] == {"EndpointsConfig": {}}
    assert (recipe.attachments, recipe.networks) == ((), ())


def test_networks() -> None:
    """Aliases, chosen addresses, links and options stay; what the engine assigned and its own alias do not."""
    networks = {
        "front": {
            "NetworkID": "f" * 64,
            "IPAMConfig": {"IPv4Address": "10.9.0.7"},
            "Aliases": ["www", CONTAINER_ID[:12]],
            "Links": ["db:database"],
            "DriverOpts": {"a": "b"},
            "IPAddress": "10.9.0.7",
            "Gateway": "10.9.0.1",
            "MacAddress": "02:42:0a:09:00:07",
        },
        "back": {"NetworkID": "b" * 64, "IPAMConfig": {}, "Aliases": ["api"], "IPAddress": "10.8.0.3"},
    }
    body, recipe = made(inspect(host={"NetworkMode": "front"}, networks=networks))
    front = {"IPAMConfig": {"IPv4Address": "10.9.0.7"}, "Aliases": ["www"], "Links": ["db:database"]}
    assert body["NetworkingConfig"] == {"EndpointsConfig": {"front": {**front, "DriverOpts": {"a": "b"}}}}
    [back] = recipe.attachments
    assert (back.network, back.settings) == ("back", {"Aliases": ["api"]})
    assert recipe.networks == ("front", "back")
    assert recipe.has_fixed_address
    other = recipe.without_addresses()
    assert not other.has_fixed_address
    assert json.loads(other.body)["NetworkingConfig"]["EndpointsConfig"]["front"]["Aliases"] == ["www"]


@pytest.mark.parametrize(
    ("mode", "names", "expected"),
    [
        ("f" * 64, ("front",), "front"),  # by its id, which is another on another node
        ("front", ("back", "front"), "front"),
        ("gone", ("back", "front"), "back"),  # taken off the network it was created on
        ("default", ("back",), "back"),
        ("default", (), "default"),
        ("none", ("none",), "none"),
        ("host", ("host",), "host"),
    ],
)
def test_network_mode(mode: str, names: tuple[str, ...], expected: str) -> None:
    """The network that the container begins on is named so that it is found on another node."""
    networks = {name: {"NetworkID": name[0] * 64} for name in names}
    body, recipe = made(inspect(host={"NetworkMode": mode}, networks=networks))
    assert body["HostConfig"]["NetworkMode"] == expected
    assert {each.network for each in recipe.attachments} == set(names) - {expected}


def test_other_containers() -> None:
    """IDs of other containers become names that hold when those have moved too; links are said as a user says them."""
    host = {
        "NetworkMode": "container:dbid",
        "IpcMode": "container:dbid",
        "PidMode": "host",
        "VolumesFrom": ["dataid:ro", "plain"],
        "Links": ["/dbid:/web/database"],
    }
    config = {"ExposedPorts": {"80/tcp": {}}, "MacAddress": "02:42:ac:11:00:02"}
    names = {"dbid": "db", "dataid": "data"}
    body, _ = made(inspect(host=host, config=config), lasting_name=lambda name: names.get(name, name))
    assert {key: body["HostConfig"][key] for key in host} == {
        "NetworkMode": "container:db",
        "IpcMode": "container:db",
        "PidMode": "host",
        "VolumesFrom": ["data:ro", "plain"],
        "Links": ["db:database"],
    }
    assert not {"ExposedPorts", "MacAddress"} & body.keys()


def test_what_stays_behind() -> None:
    """Volumes and binds are named: their data is not moved."""
    mounts = [
        {"Type": "volume", "Name": "data", "Source": "/var/lib/docker/volumes/data/_data", "Destination": "/data"},
        {"Type": "volume", "Name": "a" * 64, "Destination": "/cache"},
        {"Type": "bind", "Source": "/srv", "Destination": "/srv"},
        {"Type": "tmpfs", "Destination": "/tmp"},
    ]
    _, recipe = made(inspect(mounts=mounts))
    assert recipe.left_behind == ("volume data at /data", f"anonymous volume {'a' * 64} at /cache", "bind /srv at /srv")


def test_how_it_ends_and_begins() -> None:
    """The time that it has to end, and whether its engine would start it again, are told."""
    _, recipe = made(inspect(config={"StopTimeout": 3}, host={"RestartPolicy": {"Name": "unless-stopped"}}))
    assert (recipe.stop_grace_s, recipe.is_restarted) == (3.0, True)
    _, recipe = made(inspect(host={"RestartPolicy": {"Name": "on-failure"}}))
    assert (recipe.stop_grace_s, recipe.is_restarted) == (10.0, False)


def test_kept_for_those_that_move() -> None:
    """Only containers with the policy keep what they are made from, and one of --rm or without identity stays."""
    item = json.dumps({"Id": CONTAINER_ID}).encode()
    assert from_engine(item, inspect()).is_movable
    assert from_engine(item, inspect(config={"Labels": {ID: "1" * 64}})).recipe == b""
    assert not from_engine(item, inspect(config={"Labels": {RESCHEDULE_POLICIES: '["on-node-failure"]'}})).is_movable
    assert not from_engine(item, inspect(config={"Labels": {**POLICY, RESCHEDULE_POLICIES: '["off"]'}})).is_movable
    assert not from_engine(item, inspect(host={"AutoRemove": True})).is_movable


def test_unreadable() -> None:
    """What cannot be read is an error in words."""
    with pytest.raises(SwarmError, match="cannot be read"):
        distil(b"[]")
    with pytest.raises(SwarmError, match="cannot be read"):
        recreate(b'{"Config": 1}', container_id=CONTAINER_ID, cores=0)
