"""From the flags of `manage` to its settings: every check, in the order and words of classic Swarm.

Source: classic Swarm 1.2, cli/manage.go, for all that is not marked as ours.
"""

import grp
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from discovery import DiscoveryError as BackendError
from discovery import check_lock, open_backend, split_url
from swarmproxy.cli.cluster_options import read_cluster_options
from swarmproxy.cli.deciding import read_plugins, read_policy_flag, read_policy_learn
from swarmproxy.cli.limits import read_limits
from swarmproxy.cli.options import (
    Globals,
    TlsFlags,
    discovery_argument,
    read_advertise,
    read_discovery_options,
    read_duration,
    read_tls,
)
from swarmproxy.durations import parse_duration
from swarmproxy.engine.settings import EngineSettings
from swarmproxy.errors import ConfigError, DiscoveryError
from swarmproxy.settings import (
    DEFAULT_HOSTS,
    FILTERS,
    STRATEGIES,
    Listen,
    Replication,
    Settings,
    Strategy,
    Tls,
)

log = logging.getLogger("swarmproxy")

DEFAULT_SOCKET = Path("/var/run/docker.sock")
"""The engine that is served when no discovery is named: the one on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManageFlags(TlsFlags):
    """What stood on the command line after `manage`, or in the environment: not checked yet."""

    args: tuple[str, ...]
    strategy: str
    filters: tuple[str, ...]
    host: tuple[str, ...]
    socket_group: str
    replication: bool
    replication_ttl: str
    advertise: str
    state_file: str
    policy: str
    policy_learn: str
    authz_plugin: tuple[str, ...]
    engine_tls: bool | None
    engine_tlsverify: bool | None
    engine_tlscacert: str
    engine_tlscert: str
    engine_tlskey: str
    engine_refresh_min_interval: str
    engine_refresh_max_interval: str
    engine_failure_retry: int
    engine_refresh_retry: int
    heartbeat: str
    drain_timeout: str
    metrics_addr: str
    metrics_tls: bool
    audit: str
    audit_reads: bool
    page_addr: str
    page_tls: bool
    cors: bool
    cluster_driver: str
    discovery_opt: tuple[str, ...]
    cluster_opt: tuple[str, ...]
    limit: tuple[str, ...]
    refresh_on_node_filter: bool
    container_name_refresh_filter: str


def read_settings(
    flags: ManageFlags, before: Globals, *, program: str, default_socket: Path = DEFAULT_SOCKET
) -> Settings:
    """Return the settings that `flags` ask for. Raises ConfigError or DiscoveryError."""
    tls = read_tls(flags)
    engine_tls = _engine_tls(flags, tls)
    engine = _engine(flags)
    url = _discovery(flags.args, program, default_socket)
    heartbeat_s = read_duration(flags.heartbeat, "--heartbeat")
    if heartbeat_s < 1:
        raise ConfigError("--heartbeat should be at least one second")
    discovery_options = _with_engine_tls(read_discovery_options(flags.discovery_opt), url, engine_tls)
    try:
        open_backend(url, heartbeat_s=heartbeat_s, options=discovery_options)
    except BackendError as error:
        raise DiscoveryError(str(error)) from error
    strategy = _strategy(flags.strategy)
    if not set(flags.filters) <= set(FILTERS):
        raise ConfigError("filter not supported")
    if flags.cluster_driver != "swarm":
        raise ConfigError(f'unsupported cluster "{flags.cluster_driver}"')
    options = read_cluster_options(flags.cluster_opt, url)
    return Settings(
        discovery=url,
        discovery_options=discovery_options,
        heartbeat_s=heartbeat_s,
        tls=tls,
        engine_tls=engine_tls,
        engine=engine,
        strategy=strategy,
        filters=flags.filters or FILTERS,
        **options,
        replication=_replication(flags, url),
        state_file=_state_file(flags),
        hosts=tuple(Listen.parse(host) for host in flags.host if host) or DEFAULT_HOSTS,
        socket_group=_group(flags.socket_group),
        policy=read_policy_flag(flags.policy),
        policy_learn=read_policy_learn(flags.policy_learn, flags.policy),
        authz_plugins=read_plugins(flags.authz_plugin, policy=flags.policy or flags.policy_learn),
        limits=read_limits(flags.limit),
        drain_timeout_s=_drain_timeout(flags.drain_timeout),
        metrics_addr=_beside(flags.metrics_addr, "metrics", tls, is_secure=flags.metrics_tls),
        metrics_tls=flags.metrics_tls,
        audit=_path(flags.audit),
        audit_reads=flags.audit_reads,
        page_addr=_beside(flags.page_addr, "page", tls, is_secure=flags.page_tls),
        page_tls=flags.page_tls,
        refresh_on_node_filter=flags.refresh_on_node_filter,
        container_name_refresh_filter=flags.container_name_refresh_filter,
        cors=flags.cors,
        debug=before.debug,
        experimental=before.experimental,
        log_level=before.log_level,
        log_format=before.log_format,
    )


def _engine_tls(flags: ManageFlags, listener: Tls | None) -> Tls | None:
    """Return the TLS towards engines. What no flag says is as for the listener, which is all classic had."""
    wanted = listener is not None if flags.engine_tls is None else flags.engine_tls
    files = flags.engine_tlscert or flags.engine_tlskey or flags.engine_tlscacert
    if not wanted and not flags.engine_tlsverify:
        if files:
            raise ConfigError(
                "--engine-tlscert, --engine-tlskey and --engine-tlscacert require the use of either "
                "--engine-tls or --engine-tlsverify"
            )
        return None
    if bool(flags.engine_tlscert) != bool(flags.engine_tlskey):
        raise ConfigError("--engine-tlscert and --engine-tlskey must be provided together")
    base = listener or Tls()
    verify = base.verify if flags.engine_tlsverify is None else flags.engine_tlsverify
    ca = _path(flags.engine_tlscacert) or base.ca
    if verify and ca is None:
        raise ConfigError("--engine-tlscacert must be provided when using --engine-tlsverify")
    cert, key = _path(flags.engine_tlscert) or base.cert, _path(flags.engine_tlskey) or base.key
    return Tls(cert=cert, key=key, ca=ca, verify=verify)


def _engine(flags: ManageFlags) -> EngineSettings:
    shortest_s = _positive_or_zero(flags.engine_refresh_min_interval)
    longest_s = _positive_or_zero(flags.engine_refresh_max_interval)
    if shortest_s <= 0:
        raise ConfigError("min refresh interval should be a positive number")
    if longest_s < shortest_s:
        raise ConfigError("max refresh interval cannot be less than min refresh interval")
    if flags.engine_refresh_retry != 3:
        raise ConfigError("--engine-refresh-retry is deprecated. Use --engine-failure-retry")
    if flags.engine_failure_retry <= 0:
        raise ConfigError("invalid failure retry count")
    return EngineSettings(refresh_min_s=shortest_s, refresh_max_s=longest_s, failure_retry=flags.engine_failure_retry)


def _discovery(args: tuple[str, ...], program: str, default_socket: Path) -> str:
    url = discovery_argument(args)
    if url:
        return url
    if not args and default_socket.is_socket():
        url = f"nodes://unix://{default_socket}"
        log.info("no discovery given, the engine of this machine is served", extra={"discovery": url})
        return url
    raise ConfigError(f"discovery required to manage a cluster. See '{program} manage --help'.")


def _with_engine_tls(options: Mapping[str, str], url: str, tls: Tls | None) -> Mapping[str, str]:
    """Return `options`; the managers of a swarm are engines, so they are asked with the same files unless told else."""
    given = any(name.startswith("swarm.") and name.endswith("file") for name in options)
    if split_url(url)[0] != "swarm" or given or tls is None or tls.ca is None:
        return options
    files = {"swarm.cacertfile": tls.ca, "swarm.certfile": tls.cert, "swarm.keyfile": tls.key}
    return {**options, **{name: str(path) for name, path in files.items() if path is not None}}


def _strategy(text: str) -> Strategy:
    for name in STRATEGIES:
        if text == name or (text, name) == ("binpacking", "binpack"):
            return name
    raise ConfigError("strategy not supported")


def _replication(flags: ManageFlags, url: str) -> Replication | None:
    if not flags.replication:
        return None
    if not flags.advertise:
        raise ConfigError("--advertise address must be provided when using --leader-election")
    advertise = read_advertise(flags.advertise)
    ttl_s = read_duration(flags.replication_ttl, "--replication-ttl")
    if ttl_s <= 0:
        raise ConfigError("--replication-ttl should be a positive number")
    try:
        check_lock(url)
    except BackendError as error:
        raise ConfigError(str(error)) from error
    return Replication(advertise=str(advertise), ttl_s=ttl_s)


def _state_file(flags: ManageFlags) -> Path | None:
    if flags.state_file and flags.replication:
        raise ConfigError("--state-file is of one manager: with --replication, the store keeps the state")
    path = _path(flags.state_file)
    if path is not None and not path.parent.is_dir():
        raise ConfigError(f"--state-file: there is no directory {path.parent}")
    return path


def _group(name: str) -> str:
    if name:
        try:
            grp.getgrnam(name)
        except KeyError as error:
            raise ConfigError(f'--socket-group: there is no group "{name}"') from error
    return name


def _drain_timeout(text: str) -> float:
    seconds = read_duration(text, "--drain-timeout")
    if seconds < 0:
        raise ConfigError("--drain-timeout should not be a negative number")
    return seconds


def _beside(text: str, name: str, listener: Tls | None, *, is_secure: bool) -> Listen | None:
    """Return where something is served beside Docker's API, as --NAME-addr and --NAME-tls say; classic had none."""
    if is_secure and (listener is None or not text):
        raise ConfigError(f"--{name}-tls needs --{name}-addr, and --tls or --tlsverify")
    return Listen.parse(text) if text else None


def _positive_or_zero(text: str) -> float:
    """Return the seconds of `text`, 0 if it is no duration: classic complains of both in the same words."""
    try:
        return max(0.0, parse_duration(text))
    except ConfigError:
        return 0.0


def _path(text: str) -> Path | None:
    return Path(text) if text else None
