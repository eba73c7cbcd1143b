"""Patterns as an operator writes them in a policy: `*` is any text, `?` one character, all else stands for itself."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    simple = re.sub(r"\*+", "*", pattern)
    return re.compile("".join({"*": ".*", "?": "."}.get(char) or re.escape(char) for char in simple), re.DOTALL)


def fits(pattern: str, text: str) -> bool:
    """Return whether `pattern` covers the whole of `text`."""
    return pattern in ("*", text) or _compiled(pattern).fullmatch(text) is not None


def fits_any(patterns: Iterable[str], text: str) -> bool:
    """Return whether one of `patterns` covers the whole of `text`."""
    return any(fits(pattern, text) for pattern in patterns)
