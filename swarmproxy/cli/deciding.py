"""`--policy` and `--authz-plugin`: who decides what clients may do."""

from swarmproxy.errors import ConfigError
from swarmproxy.settings import AuthzPlugin


def read_plugins(texts: tuple[str, ...], *, policy: str) -> tuple[AuthzPlugin, ...]:
    """Return the plugins that are to be asked, in their order. Raises ConfigError."""
    if policy and texts:
        raise ConfigError("--policy and --authz-plugin exclude each other: one of them decides")
    plugins = tuple(AuthzPlugin.parse(text) for text in texts)
    if len({plugin.name for plugin in plugins}) < len(plugins):
        raise ConfigError("--authz-plugin: two plugins have the same name")
    return plugins
