"""What is told in another version of the API, row by row."""

import json
from pathlib import Path
from typing import Any

import pytest

from swarmproxy.errors import BadRequest
from swarmproxy.model import versions
from swarmproxy.model.apiversion import NEWEST, OLDEST
from swarmproxy.model.versions import CHANGES, Subject, adapt_answer, adapt_create, adapt_query, between

PACKAGE = Path(versions.__file__).parents[1]
MAC = "02:42:0a:00:00:01"


def create(
    body: dict[str, Any], client: str, engine: str, *, cgroup_v1: bool = True
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the adapted body, and the networks to connect."""
    adapted, joins = adapt_create(
        json.dumps(body).encode(), client=parse(client), engine=parse(engine), cgroup_v1=cgroup_v1
    )
    return json.loads(adapted), dict(joins)


def parse(text: str) -> tuple[int, int]:
    return int(text.split(".")[0]), int(text.split(".")[1])


def host(body: dict[str, Any], client: str, engine: str, **options: Any) -> dict[str, Any]:
    """Return the adapted HostConfig of a body that has nothing else."""
    adapted, _ = create({"HostConfig": body}, client, engine, **options)
    return dict(adapted["HostConfig"])


def test_rows_are_told_apart() -> None:
    """Every row says what changed and where that is written, and is of a version that somebody may speak."""
    assert len({(row.since, row.subject, row.what) for row in CHANGES}) == len(CHANGES)
    for row in CHANGES:
        assert OLDEST < row.since <= NEWEST, row
        assert row.whom, row
        module, _, source = row.source.rpartition("; ")
        assert source.startswith("moby, "), row
        assert bool(module) is bool(row.made_for), row
        assert not module or (PACKAGE / module).exists(), row


@pytest.mark.parametrize("version", [(1, 24), (1, 41), (1, 55)])
def test_same_version(version: tuple[int, int]) -> None:
    """Between equal versions nothing is done, and the bytes are the client's."""
    assert all(between(subject, version, version) == () for subject in Subject)
    body = b'{ "Image" : "a" }'
    assert adapt_create(body, client=version, engine=version, cgroup_v1=True) == (body, {})


def test_auto_remove() -> None:
    """Clients before 1.25 remove the container themselves."""
    assert host({"AutoRemove": True}, "1.24", "1.40")["AutoRemove"] is False
    assert host({"AutoRemove": True}, "1.25", "1.40")["AutoRemove"] is True


def test_ipc_mode() -> None:
    """Clients before 1.40 expect that others may join the IPC namespace, unless they say otherwise."""
    assert host({}, "1.38", "1.40")["IpcMode"] == "shareable"
    assert host({"IpcMode": "private"}, "1.38", "1.40")["IpcMode"] == "private"
    assert "IpcMode" not in host({}, "1.40", "1.44")
    adapted, _ = create({"Image": "a", "HostConfig": None}, "1.38", "1.44")
    assert adapted["HostConfig"]["IpcMode"] == "shareable"


def test_cgroup_namespace() -> None:
    """Clients before 1.41 expect the host's cgroup namespace where cgroups are of version 1."""
    assert host({}, "1.40", "1.44")["CgroupnsMode"] == "host"
    assert host({"CgroupnsMode": "private"}, "1.40", "1.44")["CgroupnsMode"] == "private"
    assert "CgroupnsMode" not in host({}, "1.40", "1.44", cgroup_v1=False)
    assert "CgroupnsMode" not in host({}, "1.41", "1.44")


def test_options_of_another_mount() -> None:
    """What clients before 1.42 could say of a mount without effect is left out; the rest of it stays."""
    mounts = [
        {"Type": "bind", "Source": "/a", "VolumeOptions": {"NoCopy": True}, "BindOptions": {"Propagation": "shared"}},
        {"Type": "tmpfs", "TmpfsOptions": {"SizeBytes": 1}, "VolumeOptions": {}},
    ]
    assert host({"Mounts": mounts}, "1.41", "1.44")["Mounts"] == [
        {"Type": "bind", "Source": "/a", "BindOptions": {"Propagation": "shared"}},
        {"Type": "tmpfs", "TmpfsOptions": {"SizeBytes": 1}},
    ]
    assert host({"Mounts": mounts}, "1.42", "1.44")["Mounts"] == mounts


def test_console_size() -> None:
    """The size that clients before 1.42 send was never obeyed."""
    assert "ConsoleSize" not in host({"ConsoleSize": [25, 80]}, "1.41", "1.44")
    assert host({"ConsoleSize": [25, 80]}, "1.42", "1.44")["ConsoleSize"] == [25, 80]


def test_read_only_bind() -> None:
    """A read-only bind of a client before 1.44 leaves what is mounted below it as it is."""
    mounts = [{"Type": "bind", "ReadOnly": True}, {"Type": "bind"}, {"Type": "volume", "ReadOnly": True}]
    changed = host({"Mounts": mounts}, "1.43", "1.44")["Mounts"]
    assert changed == [{"Type": "bind", "ReadOnly": True, "BindOptions": {"ReadOnlyNonRecursive": True}}, *mounts[1:]]
    assert host({"Mounts": mounts}, "1.44", "1.51")["Mounts"] == mounts


@pytest.mark.parametrize("mode", ["", "default", "bridge", "mine"])
def test_mac_address_to_endpoint(mode: str) -> None:
    """The container's MAC address goes to the network that it begins in."""
    adapted, _ = create({"MacAddress": MAC, "HostConfig": {"NetworkMode": mode}}, "1.40", "1.44")
    assert adapted["NetworkingConfig"]["EndpointsConfig"] == {mode or "default": {"MacAddress": MAC}}
    assert "MacAddress" not in adapted


def test_mac_address_to_the_endpoint_that_is_there() -> None:
    """The one endpoint of an old request is the one that is meant, and its settings stay."""
    body = {"MacAddress": MAC, "NetworkingConfig": {"EndpointsConfig": {"id-of-mine": {"Aliases": ["a"]}}}}
    adapted, _ = create({**body, "HostConfig": {"NetworkMode": "mine"}}, "1.40", "1.44")
    assert adapted["NetworkingConfig"]["EndpointsConfig"] == {"id-of-mine": {"Aliases": ["a"], "MacAddress": MAC}}


@pytest.mark.parametrize("mode", ["host", "none", "container:other"])
def test_mac_address_without_network(mode: str) -> None:
    """Where there is no network to have it, the engine is left to say so."""
    adapted, _ = create({"MacAddress": MAC, "HostConfig": {"NetworkMode": mode}}, "1.40", "1.44")
    assert adapted["MacAddress"] == MAC


def test_mac_address_to_container() -> None:
    """Before an older engine the address of the first network is the container's."""
    endpoints = {"mine": {"MacAddress": MAC}, "other": {"MacAddress": "02:42:0a:00:00:02"}}
    body = {"HostConfig": {"NetworkMode": "mine"}, "NetworkingConfig": {"EndpointsConfig": endpoints}}
    adapted, joins = create(body, "1.52", "1.41")
    assert adapted["MacAddress"] == MAC
    assert list(joins) == ["other"]


@pytest.mark.parametrize(
    ("mode", "first"), [("b", "b"), ("bridge", "bridge"), ("default", "bridge"), ("elsewhere", "a")]
)
def test_several_networks(mode: str, first: str) -> None:
    """An older engine is asked for one network, and for the others afterwards."""
    endpoints = {"a": {"Aliases": ["x"]}, "b": {"Aliases": ["x"]}, "bridge": {"Aliases": ["x"]}}
    body = {"HostConfig": {"NetworkMode": mode}, "NetworkingConfig": {"EndpointsConfig": endpoints}}
    adapted, joins = create(body, "1.44", "1.43")
    assert list(adapted["NetworkingConfig"]["EndpointsConfig"]) == [first]
    assert joins == {name: {"Aliases": ["x"]} for name in endpoints if name != first}
    adapted, joins = create(body, "1.55", "1.44")
    assert (list(adapted["NetworkingConfig"]["EndpointsConfig"]), joins) == (list(endpoints), {})


def test_unknown_members_stay() -> None:
    """What no row is about is told as it came, at every level."""
    body = {"New": 1, "HostConfig": {"New": 2, "IpcMode": "host"}, "NetworkingConfig": {"New": 3}}
    adapted, _ = create(body, "1.24", "1.44", cgroup_v1=False)
    assert (adapted["New"], adapted["HostConfig"]["New"], adapted["NetworkingConfig"]["New"]) == (1, 2, 3)


def test_bad_body() -> None:
    """A body that has not the form of a create is refused, not passed over."""
    with pytest.raises(BadRequest, match="invalid HostConfig"):
        create({"HostConfig": []}, "1.24", "1.44")


def test_virtual_size() -> None:
    """Clients before 1.44 read the size of an image from `VirtualSize`."""
    body = b'{"Id":"a","Size":5}'
    adapted = adapt_answer(Subject.IMAGE, body, client=(1, 40), engine=(1, 44))
    assert json.loads(adapted) == {"Id": "a", "Size": 5, "VirtualSize": 5}
    assert adapt_answer(Subject.IMAGE, body, client=(1, 44), engine=(1, 44)) == body


def prune(filters: str, client: str, engine: str) -> tuple[str, bool]:
    """Return the filters of `volumes prune`, and whether only anonymous ones may go."""
    parameters = {"filters": filters} if filters else {}
    case = adapt_query(Subject.VOLUMES_PRUNE, parameters, client=parse(client), engine=parse(engine))
    return case.members.get("filters", ""), case.only_anonymous


def test_volumes_prune() -> None:
    """Which volumes a prune may take is what the client's version says, whatever the engine would do."""
    assert prune("", "1.41", "1.44") == ('{"all":["true"]}', False)
    assert prune('{"label":["a"]}', "1.41", "1.44") == ('{"label":["a"],"all":["true"]}', False)
    assert prune("", "1.42", "1.41") == ("{}", True)
    assert prune('{"all":["1"]}', "1.42", "1.41") == ("{}", False)
    assert prune('{"all":{"false":true},"label":["a"]}', "1.42", "1.41") == ('{"label":["a"]}', True)
    assert prune('{"all":["1"]}', "1.51", "1.42") == ('{"all":["1"]}', False)
    with pytest.raises(BadRequest, match="invalid filters"):
        prune("[", "1.52", "1.41")


def test_build_prune() -> None:
    """What is to be kept has another name from 1.48 on."""

    def told(parameters: dict[str, str], client: str, engine: str) -> dict[str, Any]:
        return adapt_query(Subject.BUILD_PRUNE, parameters, client=parse(client), engine=parse(engine)).members

    assert told({"keep-storage": "5"}, "1.40", "1.48") == {"reserved-space": "5"}
    assert told({"reserved-space": "5", "all": "1"}, "1.48", "1.41") == {"all": "1", "keep-storage": "5"}
    assert told({}, "1.48", "1.41") == {}


def test_signal() -> None:
    """The signal of a stop is sent apart to an engine that does not know of it; an older client cannot give one."""

    def told(client: str, engine: str) -> tuple[dict[str, Any], str]:
        parameters = {"signal": "INT", "t": "5"}
        case = adapt_query(Subject.STOP, parameters, client=parse(client), engine=parse(engine))
        return case.members, case.signal

    assert told("1.42", "1.41") == ({"t": "5"}, "INT")
    assert told("1.51", "1.42") == told("1.41", "1.41") == ({"signal": "INT", "t": "5"}, "")


def test_containers_in_lists() -> None:
    """Clients before 1.28 read in the list who is in a network."""
    attached = {"c1": {"Name": "web"}}
    item = b'{"Name":"blue","Containers":{}}'
    adapted = adapt_answer(Subject.NETWORKS, item, client=(1, 27), engine=NEWEST, attached=attached)
    assert json.loads(adapted) == {"Name": "blue", "Containers": attached}
    assert adapt_answer(Subject.NETWORKS, item, client=(1, 28), engine=NEWEST, attached=attached) == item
