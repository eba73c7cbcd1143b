"""The `filters` query parameter, which most lists of the Docker API take.

Source: moby, api/types/filters/parse.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from swarmproxy.errors import BadRequest
from swarmproxy.model.members import NOT_JSON
from swarmproxy.model.pattern import Budget, Pattern
from swarmproxy.model.pattern_syntax import PatternError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

Filters = dict[str, tuple[str, ...]]

_decoder = msgspec.json.Decoder(dict[str, list[str] | dict[str, bool] | None])
_FALSE = frozenset({"", "0", "no", "false", "none"})


def parse_filters(text: str) -> Filters:
    """Return the values of each filter key, in the client's order, each once.

    Both JSON forms mean the same: `{"label": ["a", "b"]}` and `{"label": {"a": true, "b": true}}`. As in
    Docker, the boolean is not looked at, and a key without values filters nothing. Raises BadRequest.
    """
    if not text:
        return {}
    try:
        decoded = _decoder.decode(text)
    except NOT_JSON as error:
        raise BadRequest(f"invalid filter: {error}") from error
    return {key: tuple(dict.fromkeys(values)) for key, values in decoded.items() if values}


def check_keys(filters: Filters, known: Collection[str]) -> None:
    """Raise BadRequest in the daemon's words if `filters` has a key that is not known."""
    for key in filters:
        if key not in known:
            raise BadRequest(f"invalid filter '{key}'")


def parse_flag(text: str) -> bool:
    """Return a boolean query parameter as Docker reads it: all but 0, no, false, none and nothing is true."""
    return text.strip().lower() not in _FALSE


def one_boolean(filters: Filters, key: str) -> bool | None:
    """Return the value of a filter that is true or false, None if it is not there. Raises BadRequest."""
    values = set(filters.get(key, ()))
    if not values:
        return None
    if not values <= {"0", "1", "true", "false"} or len({value in ("1", "true") for value in values}) > 1:
        raise BadRequest(f"invalid filter '{key}=[{' '.join(sorted(values))}]'")
    return values <= {"1", "true"}


def labels_match(labels: Mapping[str, str], wanted: Iterable[tuple[str, str | None]]) -> bool:
    """Return whether `labels` has every wanted key, with the wanted value where there is one."""
    for key, value in wanted:
        held = labels.get(key)
        if held is None or (value is not None and held != value):
            return False
    return True


def parse_labels(values: Iterable[str]) -> tuple[tuple[str, str | None], ...]:
    """Return `key` and `key=value` as pairs for `labels_match`."""
    pairs = (value.partition("=") for value in values)
    return tuple((key, value if equals else None) for key, equals, value in pairs)


def any_pattern(values: Iterable[str]) -> Callable[[str], bool]:
    """Return a test whether a text equals any of `values` or holds a match of one as a regular expression.

    A value that is no regular expression matches only the text equal to it, as in Docker. Raises BadRequest
    if they are too large, and so does the test if they are too costly.
    """
    exact = frozenset(values)
    budget = Budget()
    patterns = []
    for value in sorted(exact):
        try:
            patterns.append(Pattern(value, budget))
        except PatternError:
            continue
    alone = [pattern for pattern in patterns if not _can_join(pattern)]
    joined = [pattern for pattern in patterns if _can_join(pattern)]
    if len(joined) > 1:  # one automaton looks for all of them at once
        joined = [Pattern("|".join(f"(?:{pattern.text})" for pattern in joined), budget)]
    return lambda text: text in exact or any(pattern.search(text) for pattern in alone + joined)


def _can_join(pattern: Pattern) -> bool:
    r"""Return whether the text means the same inside a larger pattern: an open \Q would quote what follows."""
    return not pattern.is_simple and r"\Q" not in pattern.text
