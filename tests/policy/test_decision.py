"""Decisions on whole requests, the marks of an owner, and what is taken out of answers."""

import json
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmproxy.errors import BadRequest, Forbidden, NotFound
from swarmproxy.model.filters import parse_filters
from swarmproxy.policy.asked import WITH_BODY, Asked
from swarmproxy.policy.body import encode
from swarmproxy.policy.decision import OutOfReach, Refused, Thing, check_parameters, decide
from swarmproxy.policy.document import parse
from swarmproxy.policy.identity import ANONYMOUS, Identity
from swarmproxy.policy.marking import mark, narrowed
from swarmproxy.policy.needs import Use, words
from swarmproxy.policy.redaction import REDACTED, redacted
from swarmproxy.policy.role import OWNER, READ_ONLY

A = Identity(kind="certificate", cn="joe", ou=("a",))
ROLES = parse("""
version = 1
[roles.team]
allow = ["*"]
owner = "{ou}"
objects.labels = { stage = "test" }
objects.shared = { networks = ["shared-*"], containers = ["db"] }
[roles.free]
allow = ["*"]
owner = "{ou}"
limits.unlimited = true
""").roles
TEAM = ROLES["team"]
OWN = {OWNER: "a", "stage": "test"}


def ask(kind: str, name: str = "", body: Any = None, **parameters: str) -> Asked:
    sent = json.dumps(body).encode() if body is not None else None
    return Asked.read(kind, name, {key: (value,) for key, value in parameters.items()}, sent)


def thing(kind: str, labels: dict[str, str], name: str = "x", **more: Any) -> dict[Use, list[Thing]]:
    return {Use(kind, name, "path"): [Thing(kind=kind, name=name, labels=labels, **more)]}


@pytest.mark.parametrize("kind", ["containers", "networks", "volumes", "services", "tasks", "secrets", "configs"])
@pytest.mark.parametrize("labels", [{}, {OWNER: "b", "stage": "test"}, {OWNER: "a"}, {OWNER: "A", "stage": "test"}])
def test_reach(kind: str, labels: dict[str, str]) -> None:
    """An object is a role's own if it has every label of the role, exactly."""
    asked = ask(f"{kind}/inspect", "x")
    decide(TEAM, A, asked, [], thing(kind, OWN))
    with pytest.raises(OutOfReach) as refused:
        decide(TEAM, A, asked, [], thing(kind, labels))
    assert refused.value.rule == "roles.team.owner"
    with pytest.raises(OutOfReach):  # one of several that the name means
        decide(
            TEAM,
            A,
            asked,
            [],
            {Use(kind, "x", "path"): [thing(kind, each)[Use(kind, "x", "path")][0] for each in (OWN, labels)]},
        )


def test_not_there() -> None:
    """What is not there is answered as an engine does, unless it would be made."""
    with pytest.raises(NotFound):
        decide(TEAM, A, ask("containers/inspect", "x"), [], {Use("containers", "x", "path"): []})
    decide(TEAM, A, ask("volumes/create", body={}), [], {Use("volumes", "x", "Name", may_be_new=True): []})


@pytest.mark.parametrize(
    ("kind", "name", "allowed"),
    [
        ("networks/inspect", "shared-1", True),
        ("networks/connect", "shared-1", True),
        ("networks/remove", "shared-1", False),
        ("networks/inspect", "unshared-1", False),
        ("containers/inspect", "db", True),
        ("containers/logs", "db", True),
        ("containers/exec", "db", False),
        ("containers/remove", "db", False),
    ],
)
def test_shared(kind: str, name: str, *, allowed: bool) -> None:
    """What is shared may be looked at and joined, and is changed by its owner only."""
    things = thing(kind.partition("/")[0], {}, name)
    if allowed:
        decide(TEAM, A, ask(kind, name), [], things)
    else:
        with pytest.raises(OutOfReach):
            decide(TEAM, A, ask(kind, name), [], things)


def test_owner_is_needed() -> None:
    """An identity that does not say whose it is gets nothing from a role with an owner."""
    for identity in (ANONYMOUS, Identity(kind="certificate", cn="joe", ou=("a", "b"))):
        with pytest.raises(Refused, match=r"has no \{ou\} to tell whose"):
            decide(TEAM, identity, ask("containers/list"), [], {})


@pytest.mark.parametrize(
    "body",
    [
        {"Labels": {OWNER: "b"}},
        {"labels": {OWNER: "b"}},
        {"Labels": {"stage": "prod"}},
        {"Labels": {"com.docker.swarm.id": "1"}},
        {"HostConfig": {"Mounts": [{"Type": "volume", "VolumeOptions": {"Labels": {OWNER: "b"}}}]}},
    ],
)
@pytest.mark.parametrize("role", ["team", "free"])
def test_forged(role: str, body: dict[str, Any]) -> None:
    """No label says that an object is somebody else's, or what the cluster alone says."""
    asked = ask("containers/create", body={"Image": "x", **body})
    if role == "free" and "stage" in body.get("Labels", {}):
        return
    with pytest.raises(Refused, match="the label"):
        decide(ROLES[role], A, asked, [], {})


def test_expressions_are_allowed() -> None:
    """Labels that say where a container goes are its user's to set."""
    labels = {"com.docker.swarm.constraints": '["node==x"]', **OWN, "mine": "1"}
    assert decide(TEAM, A, ask("containers/create", body={"Labels": labels}), [], {}).labels == OWN


def test_labels_that_are_none() -> None:
    """Labels of another kind are refused, not overlooked."""
    wrong: tuple[Any, ...] = ([], "x", {"a": 1})
    for labels in wrong:
        with pytest.raises(BadRequest):
            decide(TEAM, A, ask("containers/create", body={"labels": labels}), [], {})


def test_marks_everywhere() -> None:
    """A service, its tasks and their volumes all get the labels; the body is otherwise as it was."""
    spec: dict[str, Any] = {
        "Image": "x",
        "Mounts": [{"Type": "volume", "Source": "v"}, {"Type": "tmpfs"}],
        "labels": {"l": "1"},
    }
    body: dict[str, Any] = {"Name": "web", "TaskTemplate": {"ContainerSpec": spec}, "Mode": {"Replicated": {}}}
    marked = mark(ask("services/create", body=body), OWN)
    container = marked["TaskTemplate"]["ContainerSpec"]
    assert marked["Labels"] == OWN
    assert container["labels"] == {"l": "1", **OWN}
    assert container["Mounts"] == [
        {"Type": "volume", "Source": "v", "VolumeOptions": {"Labels": OWN}},
        {"Type": "tmpfs"},
    ]
    assert (marked["Name"], marked["Mode"], container["Image"]) == ("web", {"Replicated": {}}, "x")
    assert body["TaskTemplate"]["ContainerSpec"] is spec
    assert "Labels" not in body


def test_binds_that_cannot_be_marked() -> None:
    """A bind that says more than a mount can is refused, with what to do."""
    with pytest.raises(BadRequest, match="make it first"):
        mark(ask("containers/create", body={"HostConfig": {"Binds": ["v:/x:z"]}}), OWN)


@given(st.dictionaries(st.sampled_from(["label", "name", "status"]), st.lists(st.text(min_size=1), max_size=3)))
def test_narrowing_never_widens(filters: dict[str, list[str]]) -> None:
    """All that the client filters by stays, and the labels come on top."""
    before = parse_filters(json.dumps(filters))
    if any(value.partition("=")[0] in OWN for value in before.get("label", ())):
        return
    after = parse_filters(narrowed(json.dumps(filters), OWN, ()))
    assert set(after["label"]) == {*before.get("label", ()), f"{OWNER}=a", "stage=test"}
    assert {**after, "label": ()} == {**before, "label": ()}


def test_one_value_of_our_labels() -> None:
    """Swarm mode takes labels for a map: another value of ours, or none, would win over it as chance has it."""
    for theirs in ([OWNER], [f"{OWNER}=a"], [f"{OWNER}=a", OWNER]):
        after = parse_filters(narrowed(json.dumps({"label": [*theirs, "x=y"]}), OWN, ()))
        assert set(after["label"]) == {"x=y", f"{OWNER}=a", "stage=test"}
    for foreign in (f"{OWNER}=b", f"{OWNER}=", "stage=prod"):
        with pytest.raises(BadRequest, match="is set by the policy"):
            narrowed(json.dumps({"label": [foreign]}), OWN, ())


MEMBERS = st.sampled_from(
    sorted(
        words(
            """HostConfig hostCONFIG Binds Mounts Type Source VolumeOptions DriverConfig Options Labels TaskTemplate
            ContainerSpec Networks Target Privileges Secrets EndpointSpec Ports Resources Limits MemoryBytes NetworkMode
            Name Driver DriverOpts IPAM Config Memory PortBindings HostPort CheckpointDir Container LogConfig Devices
            device o type"""
        )
    )
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["bind", "/x", "v:/x", "host"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBERS, inner, max_size=5),
    max_leaves=20,
)


@given(
    st.sampled_from(sorted(WITH_BODY)), st.dictionaries(MEMBERS, VALUES, max_size=6), st.sampled_from(["team", "free"])
)
def test_whatever_is_sent(kind: str, body: dict[str, Any], role: str) -> None:
    """A body of any shape is refused, or decided; then what is made has its owner, and nobody else's."""
    try:
        asked = ask(kind, "x", body)
        needs, uses = asked.found()
        things = {use: (Thing(kind=use.kind, name="x", labels=OWN),) for use in uses}
        allowed = decide(ROLES[role], A, asked, needs, things)
        made = mark(asked, allowed.labels)
    except (BadRequest, Forbidden, NotFound):
        return
    if asked.makes:
        again = Asked.read(kind, "x", {}, encode(made))  # what the engine gets can be read, in one way
        assert again.folded["labels"][OWNER] == "a"


@pytest.mark.parametrize("query", ["filters=a&filters=b", "fromImage=a&%66romImage=b", "a=1;filters=b", "tag=1&tag=2"])
def test_queries_in_two_ways(query: str) -> None:
    """A query that engines may take apart in another way is refused."""
    parameters: dict[str, list[str]] = {}
    for key, value in parse_qsl(query):
        parameters.setdefault(key, []).append(value)
    with pytest.raises(BadRequest):
        check_parameters(parameters, query.encode())


@pytest.mark.parametrize("arguments", ["e", "aux e", "-o pid,environ", "eww", "-eo args", "auxe", "axe"])
def test_top(arguments: str) -> None:
    """A role that sees no environments gets none from `docker top`."""
    with pytest.raises(Forbidden):
        decide(READ_ONLY, A, ask("containers/top", "x", ps_args=arguments), [], {})
    decide(READ_ONLY, A, ask("containers/top", "x"), [], {})


SECRETS = [
    ("containers/inspect", {"Config": {"Env": ["A=planted", "B"], "Labels": {"env": "kept"}}}),
    ("images/inspect", {"Config": {"Env": ["A=planted"]}, "ContainerConfig": {"Env": ["A=planted"]}}),
    ("services/list", [{"Spec": {"TaskTemplate": {"ContainerSpec": {"Env": ["A=planted"]}}}}]),
    ("services/inspect", {"PreviousSpec": {"TaskTemplate": {"ContainerSpec": {"Env": ["A=planted"]}}}}),
    ("tasks/list", [{"Spec": {"ContainerSpec": {"Env": ["A=planted"]}}}]),
    ("swarm/inspect", {"JoinTokens": {"Worker": "planted", "Manager": "planted"}, "Spec": {"Orchestration": {}}}),
    ("swarm/inspect", {"Spec": {"CAConfig": {"SigningCAKey": "planted"}}}),
    ("configs/list", [{"Spec": {"Name": "kept", "Data": "planted"}}]),
    ("configs/inspect", {"Spec": {"Data": "planted"}}),
    ("plugins/inspect", {"Settings": {"Env": ["A=planted"]}, "Config": {"Env": [{"Name": "A", "Value": "planted"}]}}),
    ("system/df", {"BuildCache": [{"Description": "RUN planted"}], "Images": [{"Labels": {"description": "kept"}}]}),
]


@pytest.mark.parametrize(("kind", "answer"), SECRETS)
def test_planted(kind: str, answer: Any) -> None:
    """What is planted does not come out, and all else does."""
    assert kind in REDACTED
    found = redacted(kind, json.dumps(answer).encode())
    assert b"planted" not in found
    assert (b"kept" in found) is ("kept" in json.dumps(answer))
    assert isinstance(json.loads(found), type(answer))
