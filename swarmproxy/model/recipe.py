"""How to make a container anew on another node: what is kept of its inspect, and the create body made from that.

An inspect is not a create body. It names other containers by IDs that will be no more, spells links its own way,
mixes what a user asked of a network with what the engine assigned, and fills in a host name where none was given.
Source: moby, daemon/inspect.go, daemon/create.go, daemon/container_operations.go and runconfig/hostconfig_unix.go.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from swarmproxy.errors import SwarmError
from swarmproxy.model.labels import without_unreadable
from swarmproxy.model.members import NOT_JSON

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SHORT_ID_LENGTH = 12
CONTAINER_MODE = "container:"  # of a network, ipc or pid mode: shared with the container named behind it
_BRIDGE = "bridge"
_BRIDGE_MODES = ("", "default", _BRIDGE)
_ALONE = ("host", "none")  # network modes that allow no other network
# A MAC address is not among them: here an engine shows its own choice, too. What a user asked for on the network that
# the container was created on is in Config, on engines up to 28.
_ASKED_OF_A_NETWORK = ("IPAMConfig", "Links", "Aliases", "DriverOpts", "GwPriority")
_ANONYMOUS_NAME_LENGTH = 64
DEFAULT_STOP_GRACE_S = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A network that a container is on, and what its user asked of it: members of Docker's EndpointSettings."""

    network: str
    settings: Mapping[str, Any]

    def without_address(self) -> Attachment:
        """Return the same with an address of the engine's choice."""
        rest = {key: value for key, value in self.settings.items() if key != "IPAMConfig"}
        return Attachment(network=self.network, settings=rest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What a container is made from. `attachments` come after the create: it can give one network only."""

    body: bytes  # of `POST /containers/create`, with whole cores as CpuShares
    attachments: tuple[Attachment, ...] = ()
    networks: tuple[str, ...] = ()  # that a node has to have: those which some user made
    left_behind: tuple[str, ...] = ()  # data that stays on the old node, in words
    stop_grace_s: float = DEFAULT_STOP_GRACE_S  # what it has to end by itself when it is stopped
    is_restarted: bool = False  # its engine starts it again when the engine itself starts

    @property
    def has_fixed_address(self) -> bool:
        """Whether the container shall have an address of its user's choice on any network."""
        return b'"IPAMConfig"' in self.body or any("IPAMConfig" in each.settings for each in self.attachments)

    def without_addresses(self) -> Recipe:
        """Return the same with addresses of the engine's choice."""
        body = _members_decoder.decode(self.body)
        for settings in body["NetworkingConfig"]["EndpointsConfig"].values():
            settings.pop("IPAMConfig", None)
        rest = tuple(each.without_address() for each in self.attachments)
        return replace(self, body=msgspec.json.encode(body), attachments=rest)


class _Endpoint(msgspec.Struct, gc=False):
    NetworkID: str | None = None
    IPAMConfig: dict[str, Any] | None = None
    Links: list[str] | None = None
    Aliases: list[str] | None = None
    DriverOpts: dict[str, str] | None = None
    GwPriority: int | None = None


class _Mount(msgspec.Struct, gc=False, omit_defaults=True):
    Type: str | None = None
    Name: str | None = None
    Source: str | None = None
    Destination: str | None = None


class _NetworkSettings(msgspec.Struct, gc=False):
    Networks: dict[str, _Endpoint | None] | None = None


class _Inspect(msgspec.Struct, gc=False):
    """What `distil` keeps: its encoding is the kept form."""

    Config: msgspec.Raw = msgspec.Raw(b"{}")
    HostConfig: msgspec.Raw = msgspec.Raw(b"{}")
    NetworkSettings: _NetworkSettings | None = None
    Mounts: list[_Mount] | None = None


_inspect_decoder = msgspec.json.Decoder(_Inspect)
_members_decoder = msgspec.json.Decoder(dict[str, Any])


def distil(inspect: bytes) -> bytes:
    """Return what `recreate` needs of an engine's inspect: a third of it, and nothing that changes by itself.

    Raises SwarmError if it cannot be read.
    """
    try:
        return msgspec.json.encode(_inspect_decoder.decode(inspect))
    except NOT_JSON as error:
        raise SwarmError(f"the engine describes a container in a way that cannot be read: {error}") from error


def recreate(
    kept: bytes,
    *,
    container_id: str,
    cores: int,
    node_name: str = "",
    lasting_name: Callable[[str], str] = lambda name: name,
) -> Recipe:
    """Return how to make the container with `container_id`, of which `distil` gave `kept`, on another node.

    `cores` are what its CPU shares stand for; `node_name` is that of the node it was on. `lasting_name` gives a name
    of another container, which may be an ID, that holds when that one has moved as well. Raises SwarmError.
    """
    try:
        inspect = _inspect_decoder.decode(kept)
        config = _members_decoder.decode(inspect.Config)
        host = _members_decoder.decode(inspect.HostConfig)
    except NOT_JSON as error:
        raise SwarmError(f"what was kept of container {container_id} cannot be read: {error}") from error
    networks = {
        name: _attachment(name, endpoint or _Endpoint(), container_id)
        for name, endpoint in ((inspect.NetworkSettings or _NetworkSettings()).Networks or {}).items()
    }
    ids = {
        name: (endpoint and endpoint.NetworkID) or ""
        for name, endpoint in ((inspect.NetworkSettings or _NetworkSettings()).Networks or {}).items()
    }
    host["CpuShares"] = cores
    config["Labels"] = without_unreadable(config.get("Labels") or {})  # a create with them would be refused
    _rename_others(host, lasting_name)
    primary = _set_network_mode(host, networks, ids)
    _take_out_defaults(config, host, container_id=container_id, node_name=node_name)
    endpoints = {primary: dict(networks[primary].settings)} if primary and primary != _BRIDGE else {}
    later = () if host["NetworkMode"] in _ALONE else tuple(networks[name] for name in networks if name != primary)
    if host["NetworkMode"].startswith(CONTAINER_MODE):
        later = ()
    body = {**config, "HostConfig": host, "NetworkingConfig": {"EndpointsConfig": endpoints}}
    left_behind = tuple(text for mount in inspect.Mounts or () if (text := _describe(mount)))
    grace_s = config.get("StopTimeout")
    return Recipe(
        body=msgspec.json.encode(body),
        attachments=later,
        networks=(*endpoints, *(each.network for each in later if each.network != _BRIDGE)),
        left_behind=left_behind,
        stop_grace_s=float(DEFAULT_STOP_GRACE_S if grace_s is None else grace_s),
        is_restarted=(host.get("RestartPolicy") or {}).get("Name") in ("always", "unless-stopped"),
    )


def _attachment(network: str, endpoint: _Endpoint, container_id: str) -> Attachment:
    """Return what the user asked of the network: the short ID is an alias that engines up to 24 add by themselves."""
    asked = {name: getattr(endpoint, name) for name in _ASKED_OF_A_NETWORK}
    asked["Aliases"] = [each for each in endpoint.Aliases or () if each != container_id[:SHORT_ID_LENGTH]]
    return Attachment(network=network, settings={name: value for name, value in asked.items() if value})


def _rename_others(host: dict[str, Any], lasting_name: Callable[[str], str]) -> None:
    """Name other containers so that the names hold on another node."""
    for member in ("NetworkMode", "IpcMode", "PidMode"):
        mode = host.get(member) or ""
        if mode.startswith(CONTAINER_MODE):
            host[member] = CONTAINER_MODE + lasting_name(mode.removeprefix(CONTAINER_MODE))
    host["VolumesFrom"] = [
        lasting_name(name) + colon + rest
        for name, colon, rest in (each.partition(":") for each in host.get("VolumesFrom") or ())
    ]
    # an engine says `/db:/web/database` of what was asked for as `db:database`
    host["Links"] = [
        f"{lasting_name(name.removeprefix('/'))}:{alias.rpartition('/')[2]}"
        for name, _, alias in (each.partition(":") for each in host.get("Links") or ())
    ]


def _set_network_mode(host: dict[str, Any], networks: Mapping[str, object], ids: Mapping[str, str]) -> str:
    """Make the network mode one that holds on another node; return the name of that network, empty if it is none.

    A mode that is an ID becomes a name: on another node the network of that name has another ID. A container that was
    taken off the network which it was created on begins on the first of those that it is on.
    """
    mode = host.get("NetworkMode") or ""
    if mode in _ALONE or mode.startswith(CONTAINER_MODE):
        return ""
    if mode in _BRIDGE_MODES and (_BRIDGE in networks or not networks):
        host["NetworkMode"] = _BRIDGE if networks else mode or "default"
        return _BRIDGE if networks else ""
    by_id = [name for name, id_ in ids.items() if len(mode) >= SHORT_ID_LENGTH and id_.startswith(mode)]
    primary = mode if mode in networks else next(iter(by_id), next(iter(networks), ""))
    host["NetworkMode"] = primary or mode
    return primary


def _take_out_defaults(config: dict[str, Any], host: Mapping[str, Any], *, container_id: str, node_name: str) -> None:
    """Take out what the engine filled in and another would refuse, or would fill in otherwise."""
    shares_network = host["NetworkMode"].startswith(CONTAINER_MODE)
    of_host = host["NetworkMode"] == "host" and config.get("Hostname") == node_name
    if (
        config.get("Hostname") == container_id[:SHORT_ID_LENGTH]
        or shares_network
        or of_host
        or host.get("UTSMode") == "host"
    ):
        config.pop("Hostname", None)
        config.pop("Domainname", None)
    if shares_network:  # ports are the other container's; those of the image come back by themselves
        config.pop("ExposedPorts", None)
        config.pop("MacAddress", None)


def _describe(mount: _Mount) -> str:
    """Return what stays behind of a mount, in words; empty if it holds no data."""
    match mount.Type:
        case "volume":
            kind = "anonymous volume" if len(mount.Name or "") == _ANONYMOUS_NAME_LENGTH else "volume"
            return f"{kind} {mount.Name} at {mount.Destination}"
        case "bind":
            return f"bind {mount.Source} at {mount.Destination}"
    return ""
