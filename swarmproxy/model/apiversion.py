"""Versions of the Docker API: which one is spoken with a client, and which with each engine."""

import re
from collections.abc import Collection
from functools import lru_cache

from swarmproxy.errors import BadRequest

Version = tuple[int, int]

# Of clients: docker-compose 1 asks for it with files that have no `version`. Engines have oldest versions of their own,
# up to 1.44, which is why the path is clamped for each of them. Source: docker/compose 1.29, compose/const.py.
OLDEST: Version = (1, 21)
NEWEST: Version = (1, 55)  # the newest released one whose routes we know
DEFAULT: Version = (1, 51)  # while no engine is there to ask

# CLI 29.0 to 29.2 refuse to talk below 1.44, whatever the engines have. Source: docker/cli tags v29.0 to v29.2.
_STUBBORN = re.compile(r"Docker-Client/29\.[0-2]\b")
_STUBBORN_LEAST: Version = (1, 44)
_VERSIONED = re.compile(r"/v(\d{1,3})\.(\d{1,3})/", re.ASCII)


def parse(version: str) -> Version:
    """Return `1.41` as (1, 41). Raises BadRequest."""
    major, dot, minor = version.partition(".")
    if not (dot and major.isdecimal() and minor.isdecimal()):
        raise BadRequest(f"invalid API version {version!r}")
    return int(major), int(minor)


def text(version: Version) -> str:
    """Return (1, 41) as `1.41`."""
    return f"{version[0]}.{version[1]}"


def split_path(path: str) -> tuple[Version | None, str]:
    """Return the version that `path` asks for (None for none) and the rest of it, which begins with a slash.

    Raises BadRequest in the daemon's words when the version is one that nobody here speaks.
    """
    if not path.startswith("/v") or (found := _VERSIONED.match(path)) is None:
        return None, path
    version = int(found[1]), int(found[2])
    if version < OLDEST:
        raise BadRequest(
            f"client version {text(version)} is too old. Minimum supported API version is {text(OLDEST)}, "
            "please upgrade your client to a newer version"
        )
    if version > NEWEST:
        raise BadRequest(f"client version {text(version)} is too new. Maximum supported API version is {text(NEWEST)}")
    return version, path[found.end() - 1 :]


@lru_cache(maxsize=4096)
def advertised(engines: Collection[str], user_agent: str = "") -> Version:
    """Return the version that a client is told: the newest that all of `engines` (the newest of each) have.

    A request in another version is still served, see `spoken`: this only decides what clients that negotiate use.
    """
    version = min(map(parse, engines), default=DEFAULT)
    version = max(OLDEST, min(version, NEWEST))
    if _STUBBORN.search(user_agent):
        return max(version, _STUBBORN_LEAST)
    return version


@lru_cache(maxsize=4096)
def nearest(asked: Version, least: str, most: str) -> Version:
    """Return the version for an engine that speaks `least` to `most`, as near to the asked one as it goes."""
    return max(parse(least), min(asked, parse(most)))


@lru_cache(maxsize=4096)
def spoken(asked: Version, least: str, most: str) -> str:
    """Return the `nearest` version as the path has it."""
    return text(nearest(asked, least, most))
