"""The policy as a file on disk."""

from pathlib import Path

from swarmproxy.errors import ConfigError
from swarmproxy.policy.document import Policy, parse


def read_policy(path: Path) -> Policy:
    """Return the policy in a file. Raises ConfigError, which names the file and all that is wrong in it."""
    try:
        return parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"the policy {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"the policy {path} is no UTF-8: {error}") from error
    except ConfigError as error:
        raise ConfigError("\n".join(f"{path}: {line}" for line in str(error).splitlines())) from error
