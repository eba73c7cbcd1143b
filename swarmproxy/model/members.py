"""The members of a client's JSON object: read without regard to case, as Go does, and replaced one by one."""

from __future__ import annotations

from typing import Any

import msgspec

# What decoding raises for bytes that are no JSON of the shape asked for: text that is not UTF-8 and nesting without an
# end have errors of their own.
NOT_JSON = (msgspec.MsgspecError, UnicodeError, RecursionError)

members_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


def folded(members: object, shape: type[msgspec.Struct]) -> Any:
    """Return the object `members` with the names that `shape` knows spelt as there; the last one wins.

    What is not an object is returned as it is, for the conversion to refuse.
    """
    if not isinstance(members, dict):
        return members
    spelling = {name.lower(): name for name in shape.__struct_fields__}
    return {spelling[name.lower()]: value for name, value in members.items() if name.lower() in spelling}


def put(members: dict[str, msgspec.Raw], name: str, value: object) -> None:
    """Replace the member in place, however it is spelt; further spellings of it go."""
    spellings = [key for key in members if key.lower() == name.lower()] or [name]
    members[spellings[0]] = msgspec.Raw(msgspec.json.encode(value))
    for further in spellings[1:]:
        del members[further]


def _find(members: dict[str, msgspec.Raw], name: str) -> msgspec.Raw | None:
    spellings = [key for key in members if key.lower() == name.lower()]
    return members[spellings[-1]] if spellings else None


def decode_member(members: dict[str, msgspec.Raw], name: str) -> object:
    """Return the value of a member that is a list or an object; an empty list if it is missing or null."""
    raw = _find(members, name)
    return (msgspec.json.decode(raw) or []) if raw is not None else []


def members_of(members: dict[str, msgspec.Raw], name: str) -> dict[str, msgspec.Raw]:
    """Return the members of a member that is an object; none if it is missing or null."""
    raw = _find(members, name)
    return members_decoder.decode(raw) if raw is not None and bytes(raw).strip() != b"null" else {}
