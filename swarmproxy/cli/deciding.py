"""`--policy`, `--policy-learn` and `--authz-plugin`: who decides what clients may do."""

from pathlib import Path

from swarmproxy.errors import ConfigError
from swarmproxy.policy_file import read_policy
from swarmproxy.settings import AuthzPlugin


def read_policy_flag(text: str) -> Path | None:
    """Return the file of `--policy`, which is right now. Raises ConfigError with all that is wrong in it."""
    if text:
        read_policy(Path(text))
    return Path(text) if text else None


def read_policy_learn(text: str, policy: str) -> Path | None:
    """Return the file of `--policy-learn`. Raises ConfigError."""
    if text and policy:
        raise ConfigError("--policy-learn refuses nothing, so it cannot be used with --policy")
    if text and not Path(text).parent.is_dir():
        raise ConfigError(f"--policy-learn: there is no directory {Path(text).parent}")
    return Path(text) if text else None


def read_plugins(texts: tuple[str, ...], *, policy: str) -> tuple[AuthzPlugin, ...]:
    """Return the plugins that are to be asked, in their order. Raises ConfigError."""
    if policy and texts:
        raise ConfigError("--policy and --authz-plugin exclude each other: one of them decides")
    plugins = tuple(AuthzPlugin.parse(text) for text in texts)
    if len({plugin.name for plugin in plugins}) < len(plugins):
        raise ConfigError("--authz-plugin: two plugins have the same name")
    return plugins
