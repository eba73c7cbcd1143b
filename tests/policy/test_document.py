"""The policy file: what it may say, and how it is told what is wrong."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmproxy.errors import ConfigError
from swarmproxy.policy.document import Policy, parse
from swarmproxy.policy.identity import ANONYMOUS, Identity, hash_of, of_certificate
from swarmproxy.policy.kinds import GROUPS, KINDS, covered
from swarmproxy.policy.role import ADMIN, READ_ONLY


def holder(name: str = "board") -> Identity:
    return Identity(kind="token", token=name)


GOOD = f"""
version = 1
default = "read-only"

[[bind]]
role = "team"
certificate = {{ ou = "team-*" }}

[[bind]]
role = "admin"
certificate = {{ cn = "root", o = "ops" }}
manager = true

[[bind]]
role = "team"
unix = {{ group = "docker" }}

[[bind]]
role = "read-only"
token = "{hash_of("secret")}"
name = "board"

[roles.team]
allow = ["@run", "@read", "images/*"]
deny = ["images/remove", "containers/kill"]
owner = "{{ou}}"
objects = {{ labels = {{ stage = "test" }}, shared = {{ networks = ["bridge"] }} }}

[roles.team.limits]
capabilities = ["cap_net_admin"]
memory = "2g"
cpus = 1.5
binds = ["/srv/shared:ro"]
"""


def policy() -> Policy:
    return parse(GOOD)


def test_roles() -> None:
    """A role may what it is allowed and not denied, in whatever order the two stand."""
    team = policy().roles["team"]
    assert team.kinds == (GROUPS["@run"] | GROUPS["@read"] | covered("images/*")) - {"images/remove", "containers/kill"}
    assert team.limits.capabilities == ("NET_ADMIN",)
    assert (team.limits.memory, team.limits.cpus, team.limits.binds) == (2 * 1024**3, 1.5, ("/srv/shared:ro",))
    assert team.reach.labels == {"stage": "test"}
    assert team.reach.shared == {"networks": ("bridge",)}
    assert not team.everything
    assert ADMIN.kinds == KINDS


def of_unit(ou: str, cn: str = "x") -> Identity:
    return Identity(kind="certificate", cn=cn, ou=(ou,))


@pytest.mark.parametrize(
    ("identity", "role"),
    [
        (of_unit("team-a"), "team"),
        (of_unit("steam-a"), "read-only"),
        (Identity(kind="certificate", cn="root", o=("ops",)), "admin"),
        (Identity(kind="certificate", cn="root", o=("dev",)), "read-only"),
        (Identity(kind="certificate", cn="root", o=("ops",), ou=("team-a",)), "team"),  # the first that fits
        (Identity(kind="unix", user="joe", groups=("users", "docker")), "team"),
        (Identity(kind="unix", user="docker", groups=("users",)), "read-only"),
        (holder(), "read-only"),
        (ANONYMOUS, "read-only"),
    ],
)
def test_who_has_which_role(identity: Identity, role: str) -> None:
    """The first binding that means an identity gives its role; the default is for all others."""
    found = policy().role_of(identity)
    assert found is not None
    assert found.name == role


def test_nobody_without_default() -> None:
    """Without a default, an identity that no binding means has no role."""
    assert parse("version = 1").role_of(ANONYMOUS) is None


def test_tokens() -> None:
    """A token is known by its hash, and its holder by the name of the token."""
    assert policy().holder_of("secret") == holder()
    assert policy().holder_of("Secret") is None
    assert policy().holder_of(hash_of("secret")) is None
    assert policy().has_tokens


def test_certificate() -> None:
    """An identity has the names of the certificate, as Python's ssl module tells them."""
    shown = {
        "subject": ((("organizationalUnitName", "a"),), (("organizationalUnitName", "b"),), (("commonName", "joe"),)),
        "subjectAltName": (("DNS", "joe.example.org"), ("URI", "spiffe://x/joe"), ("IP Address", "10.0.0.1")),
    }
    names = ("DNS:joe.example.org", "URI:spiffe://x/joe", "IP:10.0.0.1")
    assert of_certificate(shown) == Identity(kind="certificate", cn="joe", ou=("a", "b"), san=names)
    assert of_certificate({}) == of_certificate(None) == ANONYMOUS
    assert Identity.decode(of_certificate(shown).encode()) == of_certificate(shown)


def test_owner_needs_its_place() -> None:
    """An identity without the name that the owner is made of, or with several, owns nothing."""
    team = policy().roles["team"]
    assert team.owner_for(of_unit("team-a")) == "team-a"
    assert team.owner_for(Identity(kind="unix", user="joe")) == ""
    assert team.owner_for(Identity(kind="certificate", ou=("team-a", "team-b"))) == ""


def test_built_in_read_only() -> None:
    """The ready role changes nothing, and neither copies files, nor attaches, nor sees environments."""
    assert READ_ONLY.kinds == GROUPS["@read"]
    never = ("archive", "export", "attach", "exec", "save", "get", "create", "unlockkey", "history", "put-archive")
    assert not [kind for kind in READ_ONLY.kinds if kind.rpartition("/")[2] in never]
    assert not READ_ONLY.environment


def test_each_kind_is_in_one_group() -> None:
    """Groups do not overlap."""
    assert sum(map(len, GROUPS.values())) == len(KINDS)


WRONG = [
    ("", "version is missing"),
    ("version = 2", "line 1: version: this is swarmproxy's format 1, 2 is not known"),
    ("version = true", "line 1: version: this should be a whole number, not True"),
    ("version = 1\nfoo = 1", "line 2: foo: this is not known here: there are version, default, hide, bind, roles"),
    ('version = 1\ndefault = "x"', "line 2: default: there is no role 'x'"),
    ("version = 1\n[roles.admin]\nallow = []", "line 2: roles.admin: this role is built in and cannot be changed"),
    ("version = 1\n[roles.Team]\nallow = []", "line 2: roles.Team: a role's name has small letters"),
    ("version = 1\n[roles.a]\ndeny = []", "line 2: roles.a: allow is missing"),
    ('version = 1\n[roles.a]\nallow = ["@foo"]', "line 3: roles.a.allow: '@foo' means nothing"),
    ('version = 1\n[roles.a]\nallow = ["containers/tp"]', "line 3: roles.a.allow: 'containers/tp' means nothing"),
    ('version = 1\n[roles.a]\nallow = "*"', "line 3: roles.a.allow: this should be a list, not '*'"),
    ('version = 1\n[roles.a]\nallow = [""]', "line 3: roles.a.allow: this should be a list of texts"),
    ('version = 1\n[roles.a]\nallow = []\nowner = "{x}"', "line 4: roles.a.owner: {x} is not known: there are {cn}"),
    ("version = 1\n[roles.a]\nallow = []\nlimits.privileged = 1", "line 4: roles.a.limits.privileged: this should be"),
    ("version = 1\n[roles.a]\nallow = []\n[roles.a.limits]\nfoo = 1", "line 5: roles.a.limits.foo: this is not known"),
    (
        "version = 1\n[roles.a]\nallow = []\n[roles.a.limits]\nunlimited = true\ncpus = 1",
        "line 6: roles.a.limits.cpus: with unlimited = true, nothing else limits",
    ),
    ('version = 1\n[roles.a]\nallow = []\nlimits.memory = "2x"', "roles.a.limits.memory: '2x' is no size"),
    ("version = 1\n[roles.a]\nallow = []\nlimits.cpus = -1", "roles.a.limits.cpus: this should be a number above 0"),
    ('version = 1\n[roles.a]\nallow = []\nlimits.host_ports = ["0"]', "limits.host_ports: '0' is neither a port"),
    ('version = 1\n[roles.a]\nallow = []\nlimits.host_namespaces = ["net"]', "host_namespaces: 'net' is none of"),
    ('version = 1\n[roles.a]\nallow = []\nlimits.binds = ["srv"]', "limits.binds: 'srv' is no absolute path"),
    ('version = 1\n[roles.a]\nallow = []\nlimits.binds = ["/a/../b"]', "limits.binds: '/a/../b' is no absolute path"),
    ('version = 1\n[roles.a]\nallow = []\nlimits.binds = ["/a/*/b"]', "limits.binds: '/a/*/b' has a pattern that is"),
    ('version = 1\n[roles.a]\nallow = []\nlimits.binds = ["/a/**"]', "limits.binds: '/a/**' has to end with :ro"),
    (
        'version = 1\n[roles.a]\nallow = []\nlimits.binds = ["/a", "/a/*"]',
        "limits.binds: '/a/*' is reached through '/a'",
    ),
    ('version = 1\n[roles.a]\nallow = []\nlimits.binds = ["/a", "/a/b/c:ro"]', "'/a/b/c:ro' is reached through '/a'"),
    ('version = 1\n[roles.a]\nallow = []\nlimits.binds = ["/a/*", "/a/b/c"]', "'/a/b/c' is reached through '/a/*'"),
    ('version = 1\n[roles.a]\nallow = []\nlimits.binds = ["/a/**:ro", "/a/b"]', "'/a/**:ro' is reached through '/a/b'"),
    ('version = 1\n[[bind]]\nrole = "x"\nunix = { uid = 0 }', "line 3: bind[1].role: there is no role 'x'"),
    ('version = 1\n[[bind]]\nrole = "admin"', "line 2: bind[1]: exactly one of certificate, unix and token"),
    ('version = 1\n[[bind]]\nrole = "admin"\nunix = {}', "line 4: bind[1].unix: it says nothing"),
    ('version = 1\n[[bind]]\nrole = "admin"\ncertificate = {}', "line 4: bind[1].certificate: it says nothing"),
    (
        'version = 1\n[[bind]]\nrole = "admin"\nunix = { uid = 0 }\n\n[[bind]]\nrole = "admin"\nunix = { who = 1 }',
        "line 8: bind[2].unix.who: this is not known here: there are user, group, uid, gid",
    ),
    ('version = 1\n[[bind]]\nrole = "admin"\ntoken = "x"\nname = "y"', "line 4: bind[1].token: this should be sha256:"),
    (f'version = 1\n[[bind]]\nrole = "admin"\ntoken = "{hash_of("")}"', "line 2: bind[1]: name is missing"),
    ('version = 1\n[[bind]]\nrole = "admin"\nunix = { uid = 0 }\nmanager = true', "managers know each other by"),
    ("version = ", "the policy is no TOML: "),
    ("version = 1\nversion = 1", "the policy is no TOML: "),
]


@pytest.mark.parametrize(("text", "problem"), WRONG)
def test_wrong(text: str, problem: str) -> None:
    """What is wrong is said with its line and its place."""
    with pytest.raises(ConfigError) as refused:
        parse(text)
    assert problem in str(refused.value)


@given(st.integers(0, len(GOOD)), st.integers(0, 12), st.text("[]{}=\"'.,#\n 0aT@*\\", max_size=6))
def test_any_text(at: int, length: int, text: str) -> None:
    """A text is a policy, or it is said why it is none."""
    with suppress(ConfigError):
        assert parse(GOOD[:at] + text + GOOD[at + length :]).roles["admin"] is ADMIN


def test_all_that_is_wrong() -> None:
    """Everything that is wrong is said at once."""
    text = 'version = 3\ndefault = "x"\n[roles.a]\nallow = ["y"]\n'
    with pytest.raises(ConfigError) as refused:
        parse(text)
    assert len(str(refused.value).splitlines()) == 3
