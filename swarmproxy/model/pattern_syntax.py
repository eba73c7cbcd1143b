"""The grammar of regular expressions from users: what `pattern.py` makes automata of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from swarmproxy.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_LENGTH = 4096  # of a pattern
MAX_DEPTH = 50
MAX_REPEAT = 1000  # as RE2


class PatternError(ValueError):
    """The text is not a regular expression that we know."""


class Node(NamedTuple):
    """One part of a pattern."""

    kind: str  # char, begin, end, sequence, alternatives or repeat
    parts: tuple[Node, ...] = ()
    test: Callable[[str], bool] | None = None
    least: int = 0
    most: int | None = None
    literal: str = ""  # the one character that a char takes, if it is one


_CLASSES = {"d": "0-9", "w": "0-9A-Za-z_", "s": "\t\n\f\r "}
_NAMED_CLASSES = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "digit": "0-9",
    "lower": "a-z",
    "upper": "A-Z",
    "punct": "!-/:-@[-`{-~",
    "space": "\t\n\v\f\r ",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_FLAGS = re.compile(r"\?([isU]*)(?:-([isU]+))?([:)])")
_GROUP_NAME = re.compile(r"\?P?<\w+>")
_COUNT = re.compile(r"\{(\d{1,4})(?:(,)(\d{1,4})?)?\}", re.ASCII)
_POSIX = re.compile(r"\[:(\^?)(\w+):\]")


class Parser:
    """Reads one pattern by recursive descent."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0
        self.ignore_case = False
        self.dot_all = False

    def parse(self) -> Node:
        """Return the whole pattern. Raises PatternError, and BadRequest if it nests too deep."""
        node = self._alternatives()
        if self.at < len(self.text):
            raise PatternError("unexpected )")
        return node

    def _take(self) -> str:
        if self.at >= len(self.text):
            raise PatternError("the pattern ends too early")
        self.at += 1
        return self.text[self.at - 1]

    def _accept(self, text: str) -> bool:
        if found := self.text.startswith(text, self.at):
            self.at += len(text)
        return found

    def _accept_match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        if found := pattern.match(self.text, self.at):
            self.at = found.end()
        return found

    def _alternatives(self) -> Node:
        options = [self._sequence()]
        while self._accept("|"):
            options.append(self._sequence())
        return options[0] if len(options) == 1 else Node("alternatives", tuple(options))

    def _sequence(self) -> Node:
        parts: list[Node] = []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            parts.append(self._repeat(self._atom()))
        return Node("sequence", tuple(parts))

    def _repeat(self, node: Node) -> Node:
        count = self._count()
        if count is None:
            return node
        self._accept("?")  # lazy or greedy is all one: only whether there is a match is asked
        if self._count() is not None:
            raise PatternError("nothing to repeat")
        least, most = count
        if max(least, most or 0) > MAX_REPEAT or (most is not None and most < least):
            raise PatternError("bad count of repetitions")
        return Node("repeat", (node,), least=least, most=most)

    def _count(self) -> tuple[int, int | None] | None:
        if self._accept("*"):
            return 0, None
        if self._accept("+"):
            return 1, None
        if self._accept("?"):
            return 0, 1
        if counted := self._accept_match(_COUNT):
            least = int(counted[1])
            return least, int(counted[3]) if counted[3] else None if counted[2] else least
        return None

    def _atom(self) -> Node:
        if self._accept_match(_COUNT):
            raise PatternError("nothing to repeat")
        char = self._take()
        match char:
            case "(":
                return self._group()
            case "[":
                return self._char(self._set())
            case ".":
                return Node("char", test=_anything if self.dot_all else _anything_but_newline)
            case "^":
                return Node("begin")
            case "$":
                return Node("end")
            case "*" | "+" | "?":
                raise PatternError("nothing to repeat")
            case "\\":
                return self._escaped_atom()
        return self._literal(char)

    def _group(self) -> Node:
        if self.depth >= MAX_DEPTH:
            raise BadRequest(f"a pattern may hold groups within groups {MAX_DEPTH} deep")
        outer = (self.ignore_case, self.dot_all)
        if flags := self._accept_match(_FLAGS):
            on, off, end = flags[1], flags[2] or "", flags[3]
            self.ignore_case = (self.ignore_case or "i" in on) and "i" not in off
            self.dot_all = (self.dot_all or "s" in on) and "s" not in off
            if end == ")":  # holds until the enclosing group ends, which puts its own flags back
                return Node("sequence")
        elif not self._accept_match(_GROUP_NAME) and self.text.startswith("?", self.at):
            raise PatternError("this kind of group is not supported")
        self.depth += 1
        node = self._alternatives()
        self.depth -= 1
        if not self._accept(")"):
            raise PatternError("missing )")
        self.ignore_case, self.dot_all = outer
        return node

    def _escaped_atom(self) -> Node:
        char = self._take()
        if char == "A":
            return Node("begin")
        if char == "z":
            return Node("end")
        if char == "Q":
            end = self.text.find("\\E", self.at)
            quoted = self.text[self.at : end if end >= 0 else len(self.text)]
            self.at = end + 2 if end >= 0 else len(self.text)
            return Node("sequence", tuple(map(self._literal, quoted)))
        if (known := _class_test(char)) is not None:
            return self._char(known)
        return self._literal(self._escaped_literal(char))

    def _escaped_literal(self, char: str) -> str:
        if char == "x":
            digits = self._accept_match(re.compile(r"[0-9A-Fa-f]{2}|\{[0-9A-Fa-f]{1,5}\}"))
            if digits is None:
                raise PatternError("bad escape \\x")
            return chr(int(digits[0].strip("{}"), 16))
        if char in _CONTROLS:
            return _CONTROLS[char]
        if char.isalnum():
            raise PatternError(f"the escape \\{char} is not supported")
        return char

    def _set(self) -> Callable[[str], bool]:
        negated = self._accept("^")
        ranges: list[tuple[str, str]] = []
        tests: list[Callable[[str], bool]] = []
        first = True
        while first or not self._accept("]"):
            first = False
            if posix := self._accept_match(_POSIX):
                if posix[2] not in _NAMED_CLASSES:
                    raise PatternError(f"no such class: {posix[2]}")
                named = _one_of(_ranges(_NAMED_CLASSES[posix[2]]))
                tests.append(_negated(named) if posix[1] else named)
                continue
            low = self._take()
            if low == "\\":
                escape = self._take()
                if (known := _class_test(escape)) is not None:
                    tests.append(known)
                    continue
                low = self._escaped_literal(escape)
            high = low
            if self.text.startswith("-", self.at) and not self.text.startswith("-]", self.at):
                self.at += 1
                high = self._take()
                high = self._escaped_literal(self._take()) if high == "\\" else high
                if high < low:
                    raise PatternError("bad range in a set")
            ranges.append((low, high))
        tests.append(_one_of(ranges))
        holds = _any_case(_any_of(tests)) if self.ignore_case else _any_of(tests)
        return _negated(holds) if negated else holds

    def _literal(self, char: str) -> Node:
        node = self._char(_one_of([(char, char)]))
        return node if self.ignore_case else node._replace(literal=char)

    def _char(self, test: Callable[[str], bool]) -> Node:
        return Node("char", test=_any_case(test) if self.ignore_case else test)


def needed_text(node: Node) -> str:
    """Return the longest text that is known to be part of every match."""
    longest = run = ""
    for part in _unfolded(node):
        run = run + part.literal if part.literal else ""
        longest = max(longest, run, key=len)
    return longest


def _unfolded(node: Node) -> Iterator[Node]:
    """Yield what follows one another: groups that are neither optional nor repeated are opened."""
    if node.kind != "sequence":
        yield node
        return
    for part in node.parts:
        yield from _unfolded(part)


def _ranges(text: str) -> list[tuple[str, str]]:
    return [(part[0], part[-1]) for part in re.findall(r".-.|.", text, re.DOTALL)]


def _class_test(letter: str) -> Callable[[str], bool] | None:
    if (members := _CLASSES.get(letter.lower())) is None:
        return None
    test = _one_of(_ranges(members))
    return _negated(test) if letter.isupper() else test


def _one_of(ranges: list[tuple[str, str]]) -> Callable[[str], bool]:
    return lambda char: any(low <= char <= high for low, high in ranges)


def _any_of(tests: list[Callable[[str], bool]]) -> Callable[[str], bool]:
    return lambda char: any(test(char) for test in tests)


def _negated(test: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda char: not test(char)


def _any_case(test: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda char: test(char) or test(char.lower()) or test(char.upper())


def _anything(_char: str) -> bool:
    return True


def _anything_but_newline(char: str) -> bool:
    return char != "\n"
