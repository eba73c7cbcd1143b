"""Sizes as Docker's users write them."""

import re

from swarmproxy.errors import ConfigError

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kmgtp]?)(?:i?b)?", re.IGNORECASE)


def parse_size(flag: str, text: str) -> int:
    """Return the bytes of `512m`, `1.5g` or a plain number. Raises ConfigError, which names `flag`."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ConfigError(f'{flag}: "{text}" is not a size such as 512m')
    return int(float(found[1]) * 1024 ** " kmgtp".index(found[2].lower() or " "))
