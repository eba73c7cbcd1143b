"""Resources that only operators know of: an engine has so many of a kind, a container asks for some of them.

An engine declares them as Docker's own schedulers have it, `--node-generic-resource fpga=2`, or with a label,
`--label resource.fpga=2`, which an operator may give later, too. A container asks by `-e resource:fpga=1` or by the
label `com.docker.swarm.resources=["fpga=1"]`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from swarmproxy.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LABEL_PREFIX = "resource."
_WISH = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:==?([0-9]{1,9}))?", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)


def read_wishes(texts: Iterable[str]) -> dict[str, int]:
    """Return how many of each kind `texts` ask for: `fpga=2`, also written `fpga==2`, and `fpga` for one.

    Raises BadRequest.
    """
    wishes: dict[str, int] = {}
    for text in texts:
        found = _WISH.fullmatch(text)
        if found is None:
            raise BadRequest(f"invalid resource: '{text}' is not kind=number")
        kind, count = found[1], int(found[2] or 1)
        if count:
            wishes[kind] = wishes.get(kind, 0) + count
    return wishes


def declared_in(labels: Mapping[str, str]) -> dict[str, int]:
    """Return what an engine's labels declare; what is no number counts as not declared."""
    return {
        key.removeprefix(LABEL_PREFIX): int(value)
        for key, value in labels.items()
        if key.startswith(LABEL_PREFIX) and _NUMBER.fullmatch(value)
    }


def gpus_among(resources: Mapping[str, int]) -> int:
    """Return how many of `resources` are GPUs: `--gpus` and a wish for such a kind mean the same devices."""
    return sum(count for kind, count in resources.items() if "gpu" in kind.lower())
