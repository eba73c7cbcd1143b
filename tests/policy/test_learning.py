"""What was asked for becomes the policy that allows it, and no more."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from swarmproxy.policy.asked import Asked
from swarmproxy.policy.decision import permit
from swarmproxy.policy.document import parse
from swarmproxy.policy.identity import ANONYMOUS, Identity, hash_of
from swarmproxy.policy.kinds import GROUPS
from swarmproxy.policy.learning import Learnt
from tests.policy.test_needs import GRANTED, LEADS_OUT, OTHERS, asked, host, refusals

JOE = Identity(kind="certificate", cn="joe", ou=("team-a",))


def learn(identity: Identity, *requests: Asked) -> Learnt:
    learnt = Learnt()
    for request in requests:
        learnt.note(identity, request.kind, request.found()[0])
    return learnt


HARMFUL = [host(**members) for members, limit in LEADS_OUT if limit != "unknown"]


@pytest.mark.parametrize(
    "request_", [*HARMFUL, *(host(**members) for members, _ in GRANTED), *(each for each, _ in OTHERS)]
)
def test_allows_what_was_asked(request_: Asked) -> None:
    """The policy is one, and allows the request that it was learnt from, to whom it came from."""
    learnt = parse(learn(JOE, request_).text())
    role = learnt.role_of(JOE)
    assert role is not None
    permit(role, request_.kind)
    assert refusals(role.limits, request_) == []
    assert learnt.role_of(Identity(kind="certificate", cn="joe", ou=("team-b",))) is None


def test_nothing_else() -> None:
    """What was not asked for is not allowed."""
    text = learn(JOE, host(CapAdd=["NET_ADMIN"], Memory=1000), host(Memory=2000), asked("containers/exec", {})).text()
    role = parse(text).roles["learnt-1"]
    assert role.kinds == {"containers/create", "containers/exec"}
    assert role.limits.memory == 2000
    assert role.limits.images == ("docker.io/library/nginx:latest",)
    assert refusals(role.limits, host(CapAdd=["SYS_ADMIN"], Memory=10)) == ["capabilities"]
    assert refusals(role.limits, host(Memory=2001)) == ["memory"]


def test_each_identity_has_its_role() -> None:
    """Certificates, users, tokens and nobody become bindings; a token is there by its hash."""
    learnt = Learnt()
    token = Identity(kind="token", token=hash_of("secret"))
    user = Identity(kind="unix", user="joe", uid=1000)
    for identity, kind in ((JOE, "info"), (token, "events"), (user, "version"), (ANONYMOUS, "images/list")):
        learnt.note(identity, kind)
    learnt.note(JOE, None, what="GET /nothing")
    learnt.note(JOE, "ping")
    text = learnt.text()
    policy = parse(text)
    found = {identity: policy.role_of(identity) for identity in (JOE, user, ANONYMOUS)}
    holder = policy.holder_of("secret")
    assert holder is not None
    found[token] = policy.role_of(holder)
    kinds: dict[Identity, Any] = {identity: role.kinds for identity, role in found.items() if role is not None}
    assert kinds == {JOE: {"info"}, token: {"events"}, user: {"version"}, ANONYMOUS: {"images/list"}}
    assert '# not known, and refused: "GET /nothing"' in text


def test_groups() -> None:
    """All kinds of a group are called by its name."""
    learnt = Learnt()
    for kind in (*GROUPS["@shell"], "info"):
        learnt.note(JOE, kind)
    assert 'allow = ["@shell", "info"]' in learnt.text()


def test_paths_that_do_not_go_together() -> None:
    """Paths that a policy may not hold side by side are left to a person, and the file is a policy all the same."""
    text = learn(JOE, host(Binds=["/srv:/a", "/srv/b:/b"])).text()
    assert parse(text).roles["learnt-1"].limits.binds == ()
    assert '# binds = ["/srv", "/srv/b"]' in text
    assert parse(learn(JOE, host(Binds=["/srv:/a", "/srv:/b:ro"])).text()).roles["learnt-1"].limits.binds == ("/srv",)


@example('x"\n[roles.admin]\nallow = ["*"]\n#')
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_names_cannot_break_out(name: str) -> None:
    """Whatever a name holds, it stays a text of the file."""
    policy = parse(learn(Identity(kind="certificate", cn=name), asked("info")).text())
    assert [binding.cn for binding in policy.bindings] == [name]


def test_bounded() -> None:
    """There is an end to what is kept, and the file says that."""
    learnt = Learnt()
    for number in range(1200):
        learnt.note(Identity(kind="certificate", cn=f"c{number}"), "info")
    text = learnt.text()
    assert "There was more than fits in here" in text
    assert len(parse(text).bindings) == 1000
