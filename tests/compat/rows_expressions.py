"""The language of constraints, affinities and whitelists."""

import json

import pytest

from swarmproxy.errors import BadRequest
from swarmproxy.model.image import Image
from swarmproxy.model.node import Node
from swarmproxy.model.spec import ContainerSpec
from swarmproxy.scheduler.expression import Expression
from swarmproxy.scheduler.filters.affinity import AffinityFilter
from tests.compat.daemon import Daemon
from tests.compat.row import Table
from tests.compat.swarm import create, message, swarm

table = Table("Expressions")

NODES = {
    "node0": {"name": "node0", "group": "1", "region": "us-west"},
    "node1": {"name": "node1", "group": "1", "region": "us-east"},
    "node2": {"name": "node2", "group": "2", "region": "eu"},
    "node3": {},
}
CHOSEN = {
    "name==node1": "node1",
    "group==1": "node0 node1",
    "region==us": "",
    "region==us*": "node0 node1",
    "region==*us*": "node0 node1",
    "region!=us*": "node2 node3",
    "name!=n*": "node3",
    "name!=does_not_exist": "node0 node1 node2 node3",
    "name==/node[12]/": "node1 node2",
    "name!=/node[12]/": "node0 node3",
    "name==/(?i)NODE0/": "node0",
    "region!=~can*": "node0 node1 node2 node3",
}


def _holding(text: str) -> str:
    expression = Expression.parse(text)
    return " ".join(name for name, labels in NODES.items() if expression.holds([labels.get(expression.key, "")]))


def _refusal(text: str) -> str:
    with pytest.raises(BadRequest) as caught:
        Expression.parse(text)
    return str(caught.value)


@table.kept("examples", "the examples of classic's documentation and tests")
def examples() -> None:
    """Hold for the same nodes."""
    assert {text: _holding(text) for text in CHOSEN} == CHOSEN


@table.kept("errors", "what cannot be read")
def errors() -> None:
    """An operator is missing, or the key or the value is not of the characters allowed; said in the same words."""
    assert _refusal("node=node0").startswith("One of operator ==, != is expected")
    for key, text in {"node ": "node ==x", "no*de": "no*de==x", "1node": "1node==x", "n": "n==x"}.items():
        assert _refusal(text) == f"Key '{key}' is invalid"
    for value in ("", "~us~", "a,b", "a%b", "{a}", "a=b", "'a'"):
        assert _refusal(f"region=={value}") == f"Value '{value}' is invalid"


@table.kept("legal", "what looks odd and is legal")
def legal() -> None:
    """Any case, dots, dashes and underscores in keys; spaces in values."""
    for text in ("NoDe==x", "no.de==x", "_node==_x", "node==node 1", "node==a|b", "node==^a$"):
        assert str(Expression.parse(text)) == text


@table.kept("soft", "a value that begins with `~`")
def soft() -> None:
    """Soft; the tilde is no part of the value, and the text of a refusal does not show it."""
    expression = Expression.parse("region==~us*")
    assert (expression.soft, expression.value, str(expression)) == (True, "us*", "region==us*")


@table.kept("patterns", "patterns")
def patterns() -> None:
    """`*` is any text and the whole must match; all else means what it means in a regular expression."""
    assert Expression.parse("kk==a.c").holds(["abc"])
    assert not Expression.parse("kk==bc").holds(["abc"])
    assert Expression.parse("kk==/bc/").holds(["abc"])
    assert not Expression.parse("kk==/BC/").holds(["abc"])


@table.changed(
    "bad-pattern",
    "a regular expression that is none",
    classic="Logged, and taken for one that matches nothing: `!=` accepted every node.",
    why="The container went where its author did not want it.",
)
def bad_pattern() -> None:
    """Refused."""
    assert _refusal("kk!=/(/").startswith("Value '/(/' is invalid")
    assert _refusal("kk==/(?=a)b/").startswith("Value '/(?=a)b/' is invalid")


@table.mended(
    "slash",
    "the value `/`",
    classic="A panic that kept the scheduler's lock: all later creates hung for ever.",
    why="One client stopped the cluster for all.",
)
async def slash() -> None:
    """400 with the filter's name, and the next create goes through."""
    async with swarm(Daemon()) as manager:
        status, text = message(await create(manager, Env=["constraint:node==/"]))
        assert status == 400
        assert text.startswith("error from constraint filter: Value '/' is invalid")
        assert (await create(manager)).status_code == 201


@table.changed(
    "status",
    "the status for an expression that cannot be read",
    classic="500.",
    why="The mistake is the client's.",
)
async def status() -> None:
    """400 `error from constraint filter: ...`."""
    async with swarm(Daemon()) as manager:
        said = message(await create(manager, Env=["constraint:node=x"]))
        assert said == (400, "error from constraint filter: One of operator ==, != is expected in 'node=x'")


@table.changed(
    "costly",
    "a pattern that is made to take long",
    classic="Linear, as all of Go's.",
    why="Ours is bounded: beyond the bound the request is refused, and no other request waits.",
)
def costly() -> None:
    """Matched in bounded work."""
    assert not Expression.parse("kk==/(a|aa)+b/").holds(["a" * 5000])


@table.mended(
    "digest",
    "an affinity to an image's digest, `affinity:image==app@sha256:...`",
    classic="Refused: `@` was not allowed in a value, so that no digest could be written.",
    why="A digest is the only name of an image that always means the same one.",
)
def digest() -> None:
    """The digest counts as a name of the image, with and without its repository."""
    held = Image(id="sha256:ab", digests=("app@sha256:cd",))
    nodes = [Node(id="1", name="a", images={held.id: held}), Node(id="2", name="b")]
    for value in ("app@sha256:cd", "sha256:cd", "*@sha256:cd"):
        spec = ContainerSpec.parse(json.dumps({"Env": [f"affinity:image=={value}"]}).encode())
        kept = AffinityFilter().keep(spec, nodes, soft=True)
        assert [node.name for node in kept] == ["a"]


@table.changed(
    "bounds",
    "an expression of megabytes, or hundreds of expressions",
    classic="Compared with every node under the scheduler's lock, however long it took.",
    why="One create must not hold up all others.",
)
async def bounds() -> None:
    """400 beyond 4096 characters for one expression, and beyond 64 expressions of one kind."""
    async with swarm(Daemon()) as manager:
        status, text = message(await create(manager, Env=["constraint:kk==" + "a" * 5000]))
        assert (status, "may be 4096 characters long" in text) == (400, True)
        status, text = message(await create(manager, Env=[f"constraint:k{n}!=x" for n in range(65)]))
        assert (status, "at most 64" in text) == (400, True)
        assert (await create(manager, Env=["constraint:kk!=x"])).status_code == 201


@table.kept("unicode", "letters beyond ASCII, NUL and control characters")
def unicode() -> None:
    """Refused, in the key and in the value."""
    for text in ("kk==caf\u00e9", "kk==a\x00", "k\u00e9y==a", "kk==\u2460"):
        assert "is invalid" in _refusal(text)
