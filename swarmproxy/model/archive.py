"""Archives of `docker save` from several engines as one, while they come in: nothing but names and tables is held.

Layers and configurations are named by their content, so what two engines send under one name is the same, and goes on
once. The tables (`manifest.json`, `repositories`, `index.json`) are kept back, and stand merged at the end.
Source: moby, image/tarexport; POSIX.1-2017, pax interchange format.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

import msgspec

from swarmproxy.errors import ProtocolViolation
from swarmproxy.model.members import NOT_JSON

BLOCK = 512
_END = bytes(2 * BLOCK)
_MANIFEST, _REPOSITORIES, _INDEX, _LAYOUT = "manifest.json", "repositories", "index.json", "oci-layout"
_TABLES = frozenset((_MANIFEST, _REPOSITORIES, _INDEX, _LAYOUT))
_MAX_KEPT_BYTES = 16 * 1024 * 1024  # of one table
_MAX_NAME_BYTES = 64 * 1024
_PAX, _LONG_NAME, _LONG_LINK, _REGULAR = b"x", b"L", b"K", b"0"


class _Fate(Enum):
    """What becomes of the bytes of a member."""

    PASSES = "passes"
    KEPT = "kept"  # a table, or what belongs to the next member's head
    DROPPED = "dropped"  # it came before


class Merger:
    """Feed it one archive after the other, with `next_archive` between them; `finish` gives the end."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._tables: dict[str, list[Any]] = {name: [] for name in _TABLES}
        self._archives = 1
        self._data = bytearray()  # not understood yet: less than a block, as a rule
        self._left = 0  # bytes of the present member still to come, its padding included
        self._size = 0
        self._fate = _Fate.DROPPED
        self._kind, self._name = b"", ""
        self._kept = bytearray()
        self._ahead = bytearray()  # heads that say more of the member to come
        self._ahead_name = ""
        self._ahead_size = -1  # of a member over 8 GiB; below 0: its own head tells
        self._ended = False  # the archive has said that it is over

    def feed(self, data: bytes) -> list[bytes]:
        """Return what of `data`, and of what came before, goes on. Raises ProtocolViolation if it is no archive."""
        passed: list[bytes] = []
        if not self._data and self._left >= len(data) and self._fate is _Fate.PASSES:
            self._left -= len(data)
            return [data]
        self._data += data
        while not self._ended:
            if self._left:
                if not self._data:
                    return passed
                part = bytes(self._data[: self._left])
                del self._data[: self._left]
                self._take(part, passed)
                if self._left:
                    return passed
            elif len(self._data) < BLOCK:
                return passed
            else:
                head = bytes(self._data[:BLOCK])
                del self._data[:BLOCK]
                self._begin(head, passed)
        self._data.clear()
        return passed

    def next_archive(self) -> None:
        """Take what follows as another archive. Raises ProtocolViolation if the last one was cut."""
        self._check_end()
        self._archives += 1
        self._ended = False

    def finish(self) -> bytes:
        """Return the tables, and the end of the archive. Raises ProtocolViolation if the last archive was cut."""
        self._check_end()
        tables = self._tables
        members: list[tuple[str, Any]] = []
        if manifests := tables[_MANIFEST]:
            members.append((_MANIFEST, _without_repeats(manifests)))
        if repositories := tables[_REPOSITORIES]:
            merged: dict[str, dict[str, str]] = {}
            for table in repositories:
                for repository, tags in table.items():
                    merged.setdefault(repository, {}).update(tags)
            members.append((_REPOSITORIES, merged))
        if len(tables[_INDEX]) == self._archives:  # else there is an engine that only writes the older tables
            first = tables[_INDEX][0]
            entries = _without_repeats([table.get("manifests") or [] for table in tables[_INDEX]])
            members.append((_INDEX, {**first, "manifests": entries}))
            members += [(_LAYOUT, layout) for layout in tables[_LAYOUT][:1]]
        return b"".join(_member(name, msgspec.json.encode(value)) for name, value in members) + _END

    def _check_end(self) -> None:
        if not self._ended:
            raise ProtocolViolation("an archive ends before its time")

    def _begin(self, head: bytes, passed: list[bytes]) -> None:
        """Read the head of a member, or the end of the archive."""
        if not any(head):
            self._ended = True
            return
        self._kind = head[156:157]
        self._size = self._ahead_size if self._ahead_size >= 0 else _number(head[124:136])
        self._ahead_size = -1
        self._left = -(-self._size // BLOCK) * BLOCK
        self._kept.clear()
        if self._kind in (_PAX, _LONG_NAME, _LONG_LINK):
            if self._size > _MAX_NAME_BYTES:
                raise ProtocolViolation("an archive has a name that is too long")
            self._fate = _Fate.KEPT
            self._ahead += head
        else:
            self._name = (self._ahead_name or _name_in(head)).removeprefix("./")
            if self._name in _TABLES:
                if self._size > _MAX_KEPT_BYTES:
                    raise ProtocolViolation(f"{self._name} of an archive is too long")
                self._fate = _Fate.KEPT
            elif self._name in self._seen:
                self._fate = _Fate.DROPPED
            else:
                self._fate = _Fate.PASSES
                self._seen.add(self._name)
                passed.append(bytes(self._ahead) + head)
            self._ahead.clear()
            self._ahead_name = ""
        if not self._left:
            self._end_member()

    def _take(self, part: bytes, passed: list[bytes]) -> None:
        self._left -= len(part)
        if self._fate is _Fate.PASSES:
            passed.append(part)
        elif self._fate is _Fate.KEPT:
            self._kept += part
        if not self._left:
            self._end_member()

    def _end_member(self) -> None:
        if self._fate is not _Fate.KEPT:
            return
        content = bytes(self._kept[: self._size])
        if self._kind == _PAX:
            self._ahead += self._kept
            records = _records_in(content)
            self._ahead_name = records.get(b"path", b"").decode("utf-8", "surrogateescape") or self._ahead_name
            self._ahead_size = int(records.get(b"size", b"-1"))
        elif self._kind in (_LONG_NAME, _LONG_LINK):
            self._ahead += self._kept
            if self._kind == _LONG_NAME:
                self._ahead_name = content.rstrip(b"\0").decode("utf-8", "surrogateescape")
        else:
            shape = list[dict[str, Any]] if self._name == _MANIFEST else dict[str, Any]
            try:
                self._tables[self._name].append(msgspec.json.decode(content, type=shape))
            except NOT_JSON as error:
                raise ProtocolViolation(f"{self._name} of an archive cannot be read: {error}") from error


def _number(field: bytes) -> int:
    if field[0] & 0x80:
        return int.from_bytes(field, "big") & (1 << 95) - 1
    try:
        return int(field.strip(b" \0") or b"0", 8)
    except ValueError as error:
        raise ProtocolViolation("an archive has a head that cannot be read") from error


def _name_in(head: bytes) -> str:
    name = head[:100].partition(b"\0")[0]
    if head[257:263] == b"ustar\0" and (prefix := head[345:500].partition(b"\0")[0]):
        name = prefix + b"/" + name
    return name.decode("utf-8", "surrogateescape")


def _records_in(text: bytes) -> dict[bytes, bytes]:
    """Return pax records: each is its own length, a space, `name=value` and a line feed."""
    found: dict[bytes, bytes] = {}
    while text:
        length, space, _ = text.partition(b" ")
        if not space or not length.isdigit() or not 0 < int(length) <= len(text):
            raise ProtocolViolation("an archive has a head that cannot be read")
        name, _, value = text[len(length) + 1 : int(length) - 1].partition(b"=")
        if name == b"size" and not value.isdigit():
            raise ProtocolViolation("an archive has a head that cannot be read")
        found[name] = value
        text = text[int(length) :]
    return found


def _without_repeats(tables: list[list[Any]]) -> list[Any]:
    entries: list[Any] = []
    for table in tables:
        entries += (entry for entry in table if entry not in entries)
    return entries


def _member(name: str, content: bytes) -> bytes:
    """Return a file of an archive."""
    head = bytearray(BLOCK)
    for at, text in ((0, name), (100, "0000644"), (108, "0000000"), (116, "0000000"), (136, "00000000000")):
        head[at : at + len(text)] = text.encode()
    head[124:135] = b"%011o" % len(content)
    head[148:156] = b" " * 8
    head[156:157] = _REGULAR
    head[257:265] = b"ustar\x0000"
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + content + bytes(-len(content) % BLOCK)
