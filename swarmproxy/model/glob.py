"""Shell patterns as Go's `path.Match` reads them, which Docker uses for references.

Unlike `fnmatch`, `*` and `?` stop at a slash, and unlike a translation to `re`, no pattern takes exponential
time.
Source: Go, package path, func Match.
"""

from __future__ import annotations

from typing import NamedTuple

from swarmproxy.errors import BadRequest

MAX_LENGTH = 1024


class _Token(NamedTuple):
    """One character's place: `star` stands for any number of them."""

    star: bool = False
    negated: bool = False
    ranges: tuple[tuple[str, str], ...] = ()

    def takes(self, char: str) -> bool:
        """Return whether `char` may stand here."""
        if not self.ranges:
            return char != "/"
        return any(low <= char <= high for low, high in self.ranges) is not self.negated


class Glob:
    """A pattern that matches whole texts. Raises BadRequest if it is malformed."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_LENGTH:
            raise BadRequest(f"a pattern may be {MAX_LENGTH} characters long, not {len(text)}")
        self._text = text
        self._at = 0
        self._tokens: list[_Token] = []
        while self._at < len(text):
            self._tokens.append(self._token())

    def matches(self, text: str) -> bool:
        """Return whether the whole of `text` is covered."""
        tokens = self._tokens
        at = place = 0
        star, resume = -1, 0  # the last star, and where in `text` its own part ends so far
        while at < len(text):
            if place < len(tokens) and tokens[place].star:
                star, resume = place, at
                place += 1
            elif place < len(tokens) and tokens[place].takes(text[at]):
                at += 1
                place += 1
            elif star >= 0 and text[resume] != "/":
                resume += 1
                at, place = resume, star + 1
            else:
                return False
        return all(token.star for token in tokens[place:])

    def _token(self) -> _Token:
        char = self._take()
        if char == "*":
            return _Token(star=True)
        if char == "?":
            return _Token()
        if char == "[":
            return self._char_class()
        if char == "\\":
            char = self._take()
        return _Token(ranges=((char, char),))

    def _char_class(self) -> _Token:
        negated = self._text[self._at : self._at + 1] == "^"
        self._at += negated
        ranges: list[tuple[str, str]] = []
        while not ranges or self._text[self._at : self._at + 1] != "]":
            low = high = self._class_char()
            if self._text[self._at : self._at + 1] == "-":
                self._at += 1
                high = self._class_char()
            ranges.append((low, high))
        self._at += 1
        return _Token(negated=negated, ranges=tuple(ranges))

    def _class_char(self) -> str:
        char = self._take()
        if char in "-]":
            raise self._malformed()
        return self._take() if char == "\\" else char

    def _take(self) -> str:
        if self._at >= len(self._text):
            raise self._malformed()
        self._at += 1
        return self._text[self._at - 1]

    def _malformed(self) -> BadRequest:
        return BadRequest(f"syntax error in pattern {self._text[:80]!r}")
