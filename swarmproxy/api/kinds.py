"""The kind of a request: few words for all that can be asked, for those that count, record and rule.

A kind is made of the path without version and names, and of the method where that alone says what is done:
`containers/list`, `containers/top`, `images/pull`, `swarm/init`. What we do not know is `other`.
"""

OTHER = "other"
MALFORMED = "malformed"

_Table = dict[tuple[str, str], str]


def _table(words: str) -> _Table:
    """Return what each of `words`, `METHOD:rest` or `METHOD:rest=what`, is called."""
    table: _Table = {}
    for word in words.split():
        method, _, rest = word.partition(":")
        rest, _, called = rest.partition("=")
        table[method, rest] = called or rest
    return table


_OF_SWARM_OBJECT = "GET:=inspect DELETE:=remove POST:update GET:logs"
# By what stands first in the path: what follows it as a whole, and what follows the name of one object.
_PATHS: dict[str, tuple[_Table, _Table]] = {
    first: (_table(whole), _table(of_one))
    for first, whole, of_one in (
        (
            "containers",
            "GET:json=list GET:ps=list POST:create POST:prune",
            "GET:json=inspect DELETE:=remove GET:top GET:logs GET:stats GET:changes GET:export GET:archive HEAD:archive"
            " PUT:archive POST:attach GET:attach/ws=attach POST:resize POST:exec POST:update POST:rename POST:start"
            " POST:pause POST:unpause POST:restart POST:kill POST:wait POST:stop GET:checkpoints POST:checkpoints",
        ),
        ("exec", "", "GET:json=inspect POST:start POST:resize"),
        (
            "images",
            "GET:json=list POST:create=pull POST:load GET:get=save GET:search POST:prune",
            "GET:json=inspect DELETE:=remove GET:history GET:get=save GET:attestations POST:tag POST:push",
        ),
        ("networks", "GET:=list POST:create POST:prune", "GET:=inspect DELETE:=remove POST:connect POST:disconnect"),
        ("volumes", "GET:=list POST:create POST:prune", "GET:=inspect DELETE:=remove PUT:=update"),
        (
            "plugins",
            "GET:=list GET:privileges POST:pull POST:create",
            "GET:json=inspect DELETE:=remove POST:enable POST:disable POST:set POST:push POST:upgrade",
        ),
        ("swarm", "GET:=inspect POST:init POST:join POST:leave POST:update POST:unlock GET:unlockkey", ""),
        ("nodes", "GET:=list", _OF_SWARM_OBJECT),
        ("services", "GET:=list POST:create", _OF_SWARM_OBJECT),
        ("tasks", "GET:=list", _OF_SWARM_OBJECT),
        ("secrets", "GET:=list POST:create", _OF_SWARM_OBJECT),
        ("configs", "GET:=list POST:create", _OF_SWARM_OBJECT),
        ("distribution", "", "GET:json=inspect"),
        ("build", "POST:cancel POST:prune", ""),
    )
}
# Source: the routes of `operators`, an API of our own below this prefix.
_OURS = "/swarmproxy/v1/"
_OUR_PATHS = _table(
    "GET:nodes=nodes/list GET:rebalance=rebalance/plan POST:rebalance POST:containers/create=explain"
    " GET:openapi.json=api"
)
_OF_OUR_NODE = _table("GET:=inspect POST:drain POST:pause POST:activate POST:labels=label")
_ALONE = {
    ("GET", "/_ping"): "ping",
    ("HEAD", "/_ping"): "ping",
    ("GET", "/version"): "version",
    ("GET", "/info"): "info",
    ("GET", "/events"): "events",
    ("GET", "/system/df"): "system/df",
    ("POST", "/auth"): "auth",
    ("POST", "/commit"): "commit",
    ("POST", "/session"): "session",
    ("POST", "/grpc"): "grpc",
    ("POST", "/build"): "build",
}


def kind_of(method: str, path: str) -> tuple[str, str]:
    """Return the kind of a request for `path`, which has no version, and the name of the object in it."""
    if alone := _ALONE.get((method, path)):
        return alone, ""
    if path.startswith(_OURS):
        return _kind_of_ours(method, path[len(_OURS) :])
    first, _, rest = path[1:].partition("/")
    tables = _PATHS.get(first)
    if tables is None:
        return ("options" if method == "OPTIONS" else OTHER), ""
    whole, of_one = tables
    if called := whole.get((method, rest)):
        return f"{first}/{called}", ""
    if first == "containers" and method == "DELETE" and "/checkpoints/" in rest:
        return "containers/checkpoints", rest.rpartition("/checkpoints/")[0]
    name, slash, action = rest.rpartition("/")
    if action == "ws" and name.endswith("/attach"):
        name, action = name[: -len("/attach")], "attach/ws"
    if slash and name and (called := of_one.get((method, action))):
        return f"{first}/{called}", name
    if rest and (called := of_one.get((method, ""))):
        return f"{first}/{called}", rest
    return ("options" if method == "OPTIONS" else OTHER), ""


def _kind_of_ours(method: str, rest: str) -> tuple[str, str]:
    if called := _OUR_PATHS.get((method, rest)):
        return f"swarmproxy/{called}", ""
    first, _, rest = rest.partition("/")
    name, slash, action = rest.rpartition("/")
    if first == "nodes" and slash and name and (called := _OF_OUR_NODE.get((method, action))):
        return f"swarmproxy/nodes/{called}", name
    if first == "nodes" and rest and method == "GET":
        return "swarmproxy/nodes/inspect", rest
    return OTHER, ""


def kinds() -> frozenset[str]:
    """Return all that `kind_of` can return."""
    found = {*_ALONE.values(), OTHER, MALFORMED, "options", "containers/checkpoints", "swarmproxy/nodes/inspect"}
    for first, tables in _PATHS.items():
        found |= {f"{first}/{called}" for table in tables for called in table.values()}
    found |= {f"swarmproxy/{called}" for called in _OUR_PATHS.values()}
    return frozenset(found | {f"swarmproxy/nodes/{called}" for called in _OF_OUR_NODE.values()})
