"""What the URL and the options of etcd discovery say."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from discovery.errors import DiscoveryError
from discovery.options import TLS_OPTIONS, parse_place, refuse_unknown, secret

APIS = ("v2", "v3", "auto")
DEFAULT_PORT = 2379

_KNOWN = frozenset({"etcd.api", "etcd.leader", "etcd.user", "etcd.password", "etcd.password.file"})


@dataclass(frozen=True, slots=True, kw_only=True)
class EtcdOptions:
    """Which etcd, which keys in it, and how to be let in."""

    endpoints: tuple[str, ...]
    """`host:port` each, IPv6 in brackets."""
    prefix: str
    nodes: str
    """The key that all nodes stand below; no slash at its ends."""
    leader: str
    """The key of the lock."""
    state: str
    """The key of the managers' document."""
    api: str
    """One of APIS: where the nodes are."""
    leader_api: str
    """`v2` or `v3`: the two are separate stores, and there is one leader only if all managers use the same."""
    tls: Mapping[str, str]
    """Those of TLS_OPTIONS that are given; none: no TLS."""
    user: str = ""
    password: str = field(default="", repr=False)

    @property
    def source(self) -> str:
        """Return the URL, which has no secret in it."""
        return f"etcd://{','.join(self.endpoints)}/{self.prefix}"


def parse_options(rest: str, options: Mapping[str, str]) -> EtcdOptions:
    """Return what `rest`, that which follows `etcd://`, and --discovery-opt say.

    `kv.path` (docker/swarm/nodes): where the nodes stand below the prefix. `kv.cacertfile`: trust this authority, and
    speak TLS; `kv.certfile` and `kv.keyfile`: our own certificate. `etcd.api`: `v3` (the default), `v2` (all that
    classic Swarm speaks; the server needs --enable-v2), or `auto` (nodes of both). `etcd.leader`: with `auto`, which
    of the two holds the leader's lock and the managers' document: `v3` (the default) or `v2`. `etcd.user` with
    `etcd.password`, or with `etcd.password.file`, which names a file with nothing but the password.
    Raises DiscoveryError.
    """
    refuse_unknown(options, "etcd", _KNOWN)
    place = parse_place(rest, default_port=DEFAULT_PORT)
    api = _choose(options, "etcd.api", APIS, "v3")
    if "etcd.leader" in options and api != "auto":
        raise DiscoveryError("etcd.leader is for etcd.api=auto: otherwise nodes and leader are in the same store")
    tls = {name: options[name] for name in TLS_OPTIONS if options.get(name)}
    user, password = options.get("etcd.user", ""), secret(options, "etcd.password")
    if bool(user) != bool(password):
        raise DiscoveryError("etcd.user and etcd.password, or etcd.password.file, go together")
    if user and not tls:
        raise DiscoveryError("etcd.user and its password are sent over TLS only: name the authority in kv.cacertfile")
    return EtcdOptions(
        endpoints=tuple(map(str, place.hosts)),
        prefix=place.prefix,
        nodes=place.nodes(options),
        leader=place.leader,
        state=place.state,
        api=api,
        leader_api=_leader_api(options) if api == "auto" else api,
        tls=tls,
        user=user,
        password=password,
    )


def beside_the_lock(options: Mapping[str, str]) -> dict[str, str]:
    """Return `options` so that the nodes they speak of are where the leader's lock is, and nowhere else."""
    if options.get("etcd.api") != "auto":
        return dict(options)
    others = {name: value for name, value in options.items() if name != "etcd.leader"}
    return {**others, "etcd.api": _leader_api(options)}


def _leader_api(options: Mapping[str, str]) -> str:
    return _choose(options, "etcd.leader", ("v2", "v3"), "v3")


def _choose(options: Mapping[str, str], name: str, choices: tuple[str, ...], default: str) -> str:
    value = options.get(name, default)
    if value not in choices:
        raise DiscoveryError(f"{name} is one of {', '.join(choices)}, not '{value}'")
    return value
