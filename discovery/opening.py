"""From a discovery URL to its backend."""

import re
from collections.abc import Mapping
from pathlib import Path

from discovery.backend import Backend
from discovery.election import Election
from discovery.errors import DiscoveryError
from discovery.etcd_options import beside_the_lock
from discovery.file import FileBackend
from discovery.keeping import Keeper
from discovery.machine import MachineBackend
from discovery.nodes import NodesBackend
from discovery.options import MANAGERS
from discovery.state_file import FileKeeper

_STORES = ("consul", "etcd", "zk")  # whose service can also hold a lock
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_NO_OPTIONS: Mapping[str, str] = {}


def split_url(url: str) -> tuple[str, str]:
    """Return scheme and rest of a discovery URL; without a scheme it is a list for `nodes`.

    `unix:///path` and `ssh://host` are addresses, not schemes, wherever they stand in a list.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme in ("unix", "ssh") or not _SCHEME.fullmatch(scheme):
        return "nodes", url
    return scheme, rest


def open_backend(
    url: str,
    *,
    heartbeat_s: float,
    ttl_s: float = 0,
    options: Mapping[str, str] = _NO_OPTIONS,
) -> Backend:
    """Return the backend of `url`, which has not opened anything yet.

    `heartbeat_s`: how often a source is asked that cannot tell of its changes, and the pause after an error.
    `ttl_s`: how long a registered entry lives unless it is renewed; 0 if the backend is only read from.
    `options`: those of --discovery-opt, which only the stores know.
    Raises DiscoveryError if the scheme is not known, or the rest is not what its kind understands.
    """
    scheme, rest = split_url(url)
    if scheme == "nodes":
        return NodesBackend(rest)
    if scheme == "file":
        return FileBackend(rest, heartbeat_s=heartbeat_s)
    if scheme == "machine":
        return MachineBackend(rest)
    # A store's module is imported only when it is used: each brings a library along.
    if scheme == "etcd":
        from discovery.etcd import EtcdBackend

        return EtcdBackend(rest, heartbeat_s=heartbeat_s, ttl_s=ttl_s, options=options)
    if scheme == "consul":
        from discovery.consul import ConsulBackend

        return ConsulBackend(rest, heartbeat_s=heartbeat_s, ttl_s=ttl_s, options=options)
    if scheme == "zk":
        from discovery.zookeeper import ZookeeperBackend

        return ZookeeperBackend(rest, heartbeat_s=heartbeat_s, ttl_s=ttl_s, options=options)
    if scheme == "token":
        from discovery.token import TokenBackend

        return TokenBackend(rest, heartbeat_s=heartbeat_s, ttl_s=ttl_s, options=options)
    if scheme == "swarm":
        from discovery.swarm import SwarmBackend

        return SwarmBackend(rest, heartbeat_s=heartbeat_s, options=options)
    raise DiscoveryError("discovery service not supported")


def check_lock(url: str) -> None:
    """Raise DiscoveryError if that kind of discovery has no lock, so that of several managers one leads."""
    if split_url(url)[0] not in _STORES:
        raise DiscoveryError("Leader election is only supported with consul, etcd and zookeeper discovery.")


def open_election(url: str, *, ttl_s: float, options: Mapping[str, str] = _NO_OPTIONS) -> Election:
    """Return the election of the cluster at `url`, whose lock lives `ttl_s` unless it is renewed.

    Raises DiscoveryError if that kind of discovery has no lock.
    """
    check_lock(url)
    scheme, rest = split_url(url)
    if scheme == "etcd":
        from discovery.etcd import EtcdElection

        return EtcdElection(rest, ttl_s=ttl_s, options=options)
    if scheme == "consul":
        from discovery.consul_election import ConsulElection

        return ConsulElection(rest, ttl_s=ttl_s, options=options)
    from discovery.zookeeper_election import ZookeeperElection

    return ZookeeperElection(rest, ttl_s=ttl_s, options=options)


def open_roster(url: str, *, ttl_s: float, options: Mapping[str, str] = _NO_OPTIONS) -> Backend:
    """Return where the managers of the cluster at `url` announce themselves, in the store of their lock.

    Raises DiscoveryError if that kind of discovery has no lock.
    """
    check_lock(url)
    there = beside_the_lock(options) if split_url(url)[0] == "etcd" else options
    return open_backend(url, heartbeat_s=ttl_s, ttl_s=ttl_s, options={**there, "kv.path": MANAGERS})


def open_keeper(url: str, *, options: Mapping[str, str] = _NO_OPTIONS, state_file: Path | None = None) -> Keeper | None:
    """Return what keeps the managers' document of the cluster at `url`: a `state_file` if there is one, else the store.

    None if there is neither. Raises DiscoveryError.
    """
    if state_file is not None:
        return FileKeeper(state_file)
    scheme, rest = split_url(url)
    if scheme == "etcd":
        from discovery.etcd_keeping import etcd_keeper

        return etcd_keeper(rest, options=options)
    if scheme == "consul":
        from discovery.consul_keeping import ConsulKeeper

        return ConsulKeeper(rest, options=options)
    if scheme == "zk":
        from discovery.zookeeper_keeping import ZookeeperKeeper

        return ZookeeperKeeper(rest, options=options)
    return None
