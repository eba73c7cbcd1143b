r"""Regular expressions from users that cannot stall the manager.

Docker's own are Go's (RE2): a search costs time in proportion to the text, whatever the pattern. Python's
`re` backtracks, so one filter such as `(a+)+$` could hold the event loop for minutes. Here a pattern becomes
a non-deterministic automaton whose sets of states are joined into a deterministic one as texts ask for them,
and the work of joining is bounded. What RE2 knows is accepted, but for `\b`, `\B`, `(?m)` and Unicode
classes; what RE2 refuses (look-around, back-references) is refused.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

from swarmproxy.errors import BadRequest
from swarmproxy.model.pattern_syntax import MAX_LENGTH, Node, Parser, needed_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

MAX_STATES = 4096
BUDGET = 300_000  # states visited while joining: about a tenth of a second

MAX_DOTTED = 64  # characters of a text with `.` in it, which is compared anew at each place

ODD = "\0"

_ANYTHING = ".*"
_SIMPLE = re.compile(r"(\^?)((?:[\w/ :,~@=%&;<>!#-]|\.\*|\.(?![*+?{]))*)(\$?)", re.ASCII)


class _Kind(Enum):
    CHAR = auto()
    SPLIT = auto()
    BEGIN = auto()
    END = auto()
    MATCH = auto()


class _State(NamedTuple):
    kind: _Kind
    outs: tuple[int, ...] = ()
    test: Callable[[str], bool] | None = None


class Budget:
    """How much work may yet be done on the patterns of one request."""

    def __init__(self, steps: int = BUDGET) -> None:
        self._left = steps

    def spend(self, steps: int) -> None:
        """Take `steps` away. Raises BadRequest when there are none left."""
        self._left -= steps
        if self._left < 0:
            raise BadRequest("the patterns are too costly to match")


class Pattern:
    """A compiled pattern. It learns while it searches: one object serves one request and is then dropped."""

    def __init__(self, text: str, budget: Budget | None = None) -> None:
        self.text = text
        self._budget = budget or Budget()
        self._first: _Joined | None = None  # once there is an automaton
        self._needs: str | None = None
        if len(text) > MAX_LENGTH:
            raise BadRequest(f"a pattern may be {MAX_LENGTH} characters long, not {len(text)}")
        simple = _SIMPLE.fullmatch(text)
        self._texts = _Texts(*simple.groups()) if simple and not _is_costly(simple[2]) else None
        if self._texts is None:
            self._build()

    @property
    def is_simple(self) -> bool:
        """Whether the pattern is made of plain texts, `.` and `.*`, anchored or not: found without an automaton."""
        return self._texts is not None

    @property
    def only(self) -> str | None:
        """The one text that matches, if there is only one."""
        return self._texts.only if self._texts is not None else None

    @property
    def needs(self) -> str:
        """A text that is part of every text that matches: the longest that is known."""
        if self._needs is None:
            self._needs = self._texts.longest if self._texts is not None else needed_text(self._parsed)
        return self._needs

    @property
    def marks(self) -> Sequence[str]:
        """Texts that are all part of `in_lines` of texts of which one matches, the longest first; none if not known."""
        if self._texts is not None:
            return self._texts.marks
        return (self.needs,) if self.needs else ()

    def finds(self, texts: Collection[str]) -> bool:
        """Return whether any of `texts` matches. Those that cannot are passed over together.

        Raises BadRequest as `search`.
        """
        if (only := self.only) is not None:
            return only in texts
        lines = in_lines(texts)
        if not lines or not all(mark in lines for mark in self.marks):
            return False
        return any(map(self.search, texts)) if lines.startswith(ODD) else self.finds_marked(lines)

    def finds_marked(self, lines: str) -> bool:
        """Return whether any of `lines`, which have all marks and are not ODD, matches. Raises as `search`."""
        if self._texts is not None and self._texts.are_marked:
            return True
        return any(map(self.search, _lines_with(self.needs, lines)))

    def search(self, text: str) -> bool:
        """Return whether any part of `text` matches. Raises BadRequest if the pattern is too costly."""
        if self._texts is not None and "\n" not in text:  # which `.` does not match
            return self._texts.are_in(text)
        joined = self._first or self._build()
        for char in text:
            if joined.matched:
                return True
            if not joined.states:  # the text has to begin in another way
                return False
            following = joined.by_char.get(char)
            if following is None:
                following = joined.by_char[char] = self._step(joined, char)
            joined = following
        return joined.matched or self._matches_at_end(joined)

    def _build(self) -> _Joined:
        self._states: list[_State] = [_State(_Kind.MATCH)]
        self._parsed = Parser(self.text).parse()
        self._entry = self._emit(self._parsed, 0)
        self._known: dict[tuple[frozenset[int], bool], _Joined] = {}
        self._first = self._join([self._entry], at_begin=True)
        return self._first

    def _step(self, joined: _Joined, char: str) -> _Joined:
        targets = [self._entry]  # a match may begin at every place
        for number in joined.states:
            state = self._states[number]
            if state.test is not None and state.test(char):
                targets.append(state.outs[0])
        self._budget.spend(len(joined.states))
        return self._join(targets, at_begin=False)

    def _join(self, entries: list[int], *, at_begin: bool) -> _Joined:
        reached = self._reach(entries, at_begin=at_begin, at_end=False)
        key = (reached, at_begin)
        joined = self._known.get(key)
        if joined is None:
            joined = self._known[key] = _Joined(reached, matched=0 in reached, at_begin=at_begin)
        return joined

    def _matches_at_end(self, joined: _Joined) -> bool:
        if joined.matched_at_end is None:
            reached = self._reach(list(joined.states), at_begin=joined.at_begin, at_end=True)
            joined.matched_at_end = 0 in reached
        return joined.matched_at_end

    def _reach(self, entries: list[int], *, at_begin: bool, at_end: bool) -> frozenset[int]:
        """Return what is reached from `entries` without reading: states that wait for a character or the end.

        A place before the text is passed only `at_begin`, one after it only `at_end`.
        """
        open_kinds = {_Kind.SPLIT} | ({_Kind.BEGIN} if at_begin else set()) | ({_Kind.END} if at_end else set())
        seen: set[int] = set()
        pending = entries
        while pending:
            number = pending.pop()
            if number in seen:
                continue
            seen.add(number)
            state = self._states[number]
            if state.kind in open_kinds:
                pending.extend(state.outs)
        self._budget.spend(len(seen))
        waiting = (_Kind.CHAR, _Kind.END, _Kind.MATCH)
        return frozenset(number for number in seen if self._states[number].kind in waiting)

    def _add(self, state: _State) -> int:
        if len(self._states) >= MAX_STATES:
            raise BadRequest(f"the pattern {self.text[:80]!r} is too large")
        self._states.append(state)
        return len(self._states) - 1

    def _emit(self, node: Node, following: int) -> int:
        """Return the first state of an automaton for `node` that goes on to `following`."""
        match node.kind:
            case "char":
                return self._add(_State(_Kind.CHAR, (following,), node.test))
            case "begin":
                return self._add(_State(_Kind.BEGIN, (following,)))
            case "end":
                return self._add(_State(_Kind.END, (following,)))
            case "alternatives":
                return self._add(_State(_Kind.SPLIT, tuple(self._emit(part, following) for part in node.parts)))
            case "repeat":
                return self._emit_repeat(node, following)
        for part in reversed(node.parts):
            following = self._emit(part, following)
        return following

    def _emit_repeat(self, node: Node, following: int) -> int:
        (part,) = node.parts
        if node.most is None:
            loop = self._add(_State(_Kind.SPLIT))
            self._states[loop] = _State(_Kind.SPLIT, (self._emit(part, loop), following))
            following = loop
        else:
            skip = following
            for _ in range(node.most - node.least):
                following = self._add(_State(_Kind.SPLIT, (self._emit(part, following), skip)))
        for _ in range(node.least):
            following = self._emit(part, following)
        return following


def in_lines(texts: Collection[str]) -> str:
    r"""Return `texts` with the end of a line before and after each; ODD goes before them if one is of several lines."""
    lines = "\n".join(("", *texts, "")) if texts else ""
    return lines if not lines or lines.count("\n") == len(texts) + 1 else ODD + lines


def _lines_with(text: str, lines: str) -> Iterator[str]:
    """Return those of `lines` that `text` is part of."""
    at = lines.find(text, 1)
    while at >= 0:
        end = lines.find("\n", at)
        if end < 0:  # only after an empty text
            return
        yield lines[lines.rfind("\n", 0, at) + 1 : end]
        at = lines.find(text, end + 1)


class _Texts:
    """Texts, one after the other with anything between them, the first at the begin or the last at the end.

    In a text a `.` stands for any one character. All of them are found from left to right, each as early as
    it can be: no text is looked at twice.
    """

    __slots__ = ("_begin", "_body", "_end", "_first", "_last", "_pieces", "are_marked", "longest", "marks", "only")

    def __init__(self, begin: str, body: str, end: str) -> None:
        if body.startswith(_ANYTHING):
            begin, body = "", body.removeprefix(_ANYTHING)
        if body.endswith(_ANYTHING):
            body, end = body.removesuffix(_ANYTHING), ""
        self._begin, self._body, self._end = begin, body, end
        texts = body.split(_ANYTHING)
        self.only = body if begin and end and "." not in body else None
        self.longest = max((part for text in texts for part in text.split(".")), key=len)
        pieces = [_Piece(text) for text in texts]
        self._first = pieces.pop(0) if begin else _NOTHING
        self._last = pieces.pop() if end and pieces else _NOTHING
        self._pieces = pieces
        # where a line that matches may be: the longest first, which is the rarest as a rule
        marked = f"{begin and chr(10)}{body}{end and chr(10)}".replace(_ANYTHING, ".").split(".")
        self.marks = sorted(filter(None, marked), key=len, reverse=True)
        self.are_marked = len(self.marks) == 1 and "." not in body

    def are_in(self, text: str) -> bool:
        if self.only is not None:
            return text == self.only
        at, end = self._first.length, len(text) - self._last.length
        if at > end or self._first.find(text, 0, at) < 0 or self._last.find(text, end, len(text)) < 0:
            return False
        if self._begin and self._end and not self._pieces and _ANYTHING not in self._body:
            return at == len(text)
        for each in self._pieces:
            at = each.find(text, at, end)
            if at < 0:
                return False
        return True


def _is_costly(body: str) -> bool:
    return any("." in text and len(text) > MAX_DOTTED for text in body.split(_ANYTHING))


class _Piece:
    """A text of one length, in which a `.` stands for any character."""

    __slots__ = ("_pattern", "_text", "length")

    def __init__(self, text: str) -> None:
        self.length = len(text)
        self._text = text
        self._pattern = re.compile(re.escape(text).replace(r"\.", ".")) if "." in text else None

    def find(self, text: str, at: int, end: int) -> int:
        """Return where the first match between `at` and `end` ends; fewer than 0 if there is none."""
        if self._pattern is None:
            found = text.find(self._text, at, end)
            return found if found < 0 else found + self.length
        match = self._pattern.search(text, at, end)
        return match.end() if match else -1


_NOTHING = _Piece("")


class _Joined:
    """A set of states of the automaton, and where each character seen so far leads."""

    __slots__ = ("at_begin", "by_char", "matched", "matched_at_end", "states")

    def __init__(self, states: frozenset[int], *, matched: bool, at_begin: bool) -> None:
        self.states = states
        self.matched = matched
        self.at_begin = at_begin
        self.matched_at_end: bool | None = None
        self.by_char: dict[str, _Joined] = {}
