"""Which containers a listing shows."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmproxy.errors import BadRequest
from swarmproxy.model.container import Container, PortBinding
from swarmproxy.model.filters import parse_filters, parse_flag
from swarmproxy.model.image import Image
from swarmproxy.model.labels import TASK
from swarmproxy.model.listing import ContainerQuery, Place, matches, order, select

IMAGES = {
    "sha256:base": Image(id="sha256:base", tags=("busybox:latest",)),
    "sha256:child": Image(id="sha256:child", parent_id="sha256:base", tags=("mine:1",)),
}


def place(row: tuple[Container, Place]) -> tuple[int, str]:
    return order(row[0])


HERE = Place("node-1", images=IMAGES)
WEB = Container(
    id="aa11",
    name="web",
    names=("/web",),
    image="mine:1",
    image_id="sha256:child",
    state="running",
    started_ns=1,
    health="healthy",
    labels={"app": "shop", "tier": ""},
    networks={"bridge": "f00d"},
    mounts=(("data", "/var/data"), ("/etc", "/host/etc")),
    published=(PortBinding(container_port="80/tcp", host_port="8080"),),
    exposed=("80/tcp", "53/udp"),
)
DONE = Container(id="bb22", name="done", state="exited", exit_code=137, started_ns=1, labels={TASK: "t"})
NEW = Container(id="cc33", name="new", state="created")


def query(filters: object = None, **parameters: str) -> ContainerQuery:
    if filters is not None:
        parameters["filters"] = msgspec.json.encode(filters).decode()
    return ContainerQuery.parse(parameters)


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("name", "web", ["web"]),
        ("name", "^/?(web|new)$", ["web", "new"]),
        ("name", "node-1/web", []),
        ("name", "web(", []),
        ("id", "^aa", ["web"]),
        ("id", "2", ["done"]),
        ("label", "app", ["web"]),
        ("label", "app=shop", ["web"]),
        ("label", "app=sho", []),
        ("label", "tier=", ["web"]),
        ("status", "exited", ["done"]),
        ("status", "created", ["new"]),
        ("health", "healthy", ["web"]),
        ("health", "none", ["done", "new"]),
        ("is-task", "true", ["done"]),
        ("is-task", "0", ["web", "new"]),
        ("publish", "80", ["web"]),
        ("publish", "80/udp", []),
        ("publish", "70-90/tcp", ["web"]),
        ("expose", "53/udp", ["web"]),
        ("expose", "53", []),
        ("network", "bridge", ["web"]),
        ("network", "f00", ["web"]),
        ("network", "ridge", []),
        ("volume", "data", ["web"]),
        ("volume", "/var/data", ["web"]),
        ("volume", "/var", []),
        ("ancestor", "mine:1", ["web"]),
        ("ancestor", "busybox", ["web"]),
        ("ancestor", "mine", []),
        ("exited", "137", ["done"]),
        ("exited", "0", []),
        ("isolation", "default", ["web", "done", "new"]),
        ("node", "node", ["web", "done", "new"]),
        ("node", "^node-2$", []),
    ],
)
def test_filter(key: str, value: str, shown: list[str]) -> None:
    """Each filter of the API, and classic's `node`, picks the containers that a daemon would."""
    parsed = query({key: [value]}, all="1")
    assert [c.name for c in (WEB, DONE, NEW) if matches(c, HERE, parsed)] == shown


def test_labels_must_all_match_and_other_values_are_alternatives() -> None:
    """Several labels are all wanted; of several values of another filter any will do."""
    assert not matches(WEB, HERE, query({"label": ["app=shop", "missing"]}))
    assert matches(WEB, HERE, query({"name": ["nothing", "web"], "status": ["exited", "running"]}))
    assert not matches(WEB, HERE, query({"name": ["web"], "network": ["host"]}))


def test_many_patterns() -> None:
    """Any number of values is looked for, plain and otherwise, and together they are bounded."""
    names = query(
        {"name": [f"x{n}y" for n in range(1000)] + ["^w.b$", "(?i)NEW", "a(", "w[f]b", r"\Qx", r"d+o\Ee"]}, all="1"
    )
    assert [c.name for c in (WEB, DONE, NEW) if matches(c, HERE, names)] == ["web", "new"]
    with pytest.raises(BadRequest, match="too large"):
        query({"name": [f"{n}(a{{9}}){{9}}" for n in range(100)]})


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"colour": ["red"]}, "invalid filter 'colour'"),
        ({"status": ["foo"]}, "invalid filter 'status=foo'"),
        ({"health": ["ill"]}, "invalid filter 'health=ill'"),
        ({"is-task": ["maybe"]}, r"invalid filter 'is-task=\[maybe\]'"),
        ({"is-task": ["true", "false"]}, "invalid filter 'is-task="),
        ({"exited": ["x"]}, "invalid filter 'exited=x'"),
        ({"publish": ["1.2.3.4:80"]}, "filter for 'publish' should not contain ':': 1.2.3.4:80"),
        ({"expose": ["http"]}, "error while looking up for expose http"),
        ({"expose": ["90-80"]}, "error while looking up for expose 90-80"),
        ({"name": ["(a{999}){999}"]}, "too large"),
        (["name"], "invalid filter: "),
        ({"name": "web"}, "invalid filter: "),
        ({"name": [1]}, "invalid filter: "),
    ],
)
def test_bad_filter(filters: object, message: str) -> None:
    """A filter that is not known or has a bad value is refused in the daemon's words."""
    with pytest.raises(BadRequest, match=message):
        query(filters)


def test_bad_json_and_limit() -> None:
    """Text that is no JSON, and a limit that is no number, are the client's mistake."""
    with pytest.raises(BadRequest, match="invalid filter: "):
        ContainerQuery.parse({"filters": "{"})
    with pytest.raises(BadRequest, match="invalid limit"):
        query(limit="ten")


def test_what_is_shown_without_all() -> None:
    """Only running containers of healthy nodes are shown, unless all or a number of them is asked for."""
    down = Place("node-1", node_healthy=False)
    assert [matches(c, HERE, query()) for c in (WEB, DONE, NEW)] == [True, False, False]
    assert not matches(WEB, down, query())
    for parameters in ({"all": "1"}, {"limit": "5"}, {"before": "x"}, {"since": "x"}):
        assert matches(WEB, down, query(**parameters))
        assert matches(DONE, HERE, query(**parameters))
    assert matches(DONE, HERE, query({"status": ["exited"]}))
    assert not matches(DONE, HERE, query({"before": ["x"]}))
    assert all(matches(Container(id="a", state=state), HERE, query()) for state in ("paused", "restarting"))


def test_parameters() -> None:
    """The scalar parameters are read as Docker reads them."""
    parsed = query({"before": ["a"], "since": ["b"]}, all="True", limit="-1", size="1", before="old")
    assert (parsed.all, parsed.limit, parsed.size) == (True, 0, True)
    assert (parsed.before, parsed.since) == ("a", "b")
    assert [parse_flag(text) for text in ("", "0", "No", " false ", "none", "1", "x")] == [False] * 5 + [True] * 2


ROWS = [(Container(id=f"c{n}", created_ns=n // 2, state="running"), HERE) for n in range(10)]


def test_order_limit_before_and_since() -> None:
    """The newest comes first; `before` and `since` bound the listing before the limit is counted."""
    by_id = {container.id: container for container, _ in ROWS}

    def ids(parsed: ContainerQuery, before: str = "", since: str = "") -> list[str]:
        rows = select(sorted(ROWS, key=place), parsed, before=by_id.get(before), since=by_id.get(since))
        return [container.id for container, _ in rows]

    assert ids(query()) == ["c8", "c9", "c6", "c7", "c4", "c5", "c2", "c3", "c0", "c1"]
    assert ids(query(limit="3")) == ["c8", "c9", "c6"]
    assert ids(query(limit="2"), before="c9") == ["c6", "c7"]
    assert ids(query(), since="c6") == ["c8", "c9"]
    assert ids(query(), before="c9", since="c5") == ["c6", "c7", "c4"]


@given(created=st.lists(st.integers(0, 5), max_size=20), limit=st.integers(1, 25))
def test_limit_is_the_head_of_the_whole(created: list[int], limit: int) -> None:
    """A limited listing is the beginning of the whole one, and no row behind it is read."""
    rows = sorted(
        ((Container(id=str(n), created_ns=at, state="running"), HERE) for n, at in enumerate(created)), key=place
    )
    assert select(rows, query(all="1")) == rows
    remaining = iter(rows)
    assert select(remaining, query(limit=str(limit))) == rows[:limit]
    assert list(remaining) == rows[limit:]


@given(st.dictionaries(st.text(max_size=5), st.lists(st.text(max_size=5), max_size=4, unique=True), max_size=4))
def test_both_forms_of_filters_mean_the_same(filters: dict[str, list[str]]) -> None:
    """A list of values and a map of values to true are one and the same; empty ones filter nothing."""
    as_lists = msgspec.json.encode(filters).decode()
    as_maps = msgspec.json.encode({key: dict.fromkeys(values, True) for key, values in filters.items()}).decode()
    expected = {key: tuple(values) for key, values in filters.items() if values}
    assert parse_filters(as_lists) == parse_filters(as_maps) == expected


def test_no_filters() -> None:
    """No text, and null for values, mean no filter."""
    assert parse_filters("") == parse_filters('{"label":null}') == {}
