"""What edits do to one entry: other numbers in it, everything else as it was. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias, TypeVar

import msgspec

from recorder.model import AnyEntry, Checkpoint, UnknownEntry
from recorder.recording.v1 import member_spans

__all__ = ["Change", "renumbered_checkpoint", "retimed", "with_numbers"]

Change: TypeAlias = Callable[[int], int]
"""What becomes of a number."""

_E = TypeVar("_E", bound=AnyEntry)

_INTEGER: Final = re.compile(r"-?[0-9]{1,30}")


def with_numbers(json_object: bytes, changes: Mapping[str, Change]) -> bytes:
    """The JSON object with the integers under these keys changed, and all else byte for byte.

    What is no object, or holds something else there, stays as it is. Raises nothing.
    """
    try:
        text = json_object.decode("utf-8")
        spans = [one for one in member_spans(text) if one[0] in changes]
    except (ValueError, RecursionError):
        return json_object
    for name, start, end in reversed(spans):
        if _INTEGER.fullmatch(text, start, end):
            text = f"{text[:start]}{changes[name](int(text[start:end]))}{text[end:]}"
    return text.encode("utf-8")


def retimed(entry: _E, change: Change) -> _E:
    """The entry at another moment, with its first byte's, and a checkpoint's PINGs. What came first
    before the new start came at it. An entry without a time stays as it is.
    """
    if entry.offset_ns is None:
        return entry
    offset_ns = change(entry.offset_ns)
    if isinstance(entry, UnknownEntry):
        line = with_numbers(entry.line, {"offset_ns": change, "first_ns": _not_before(change)})
        return msgspec.structs.replace(entry, offset_ns=offset_ns, line=line)
    first_ns = entry.first_ns
    if first_ns is not None:
        first_ns = _not_before(change)(first_ns)
    changes: dict[str, Any] = {"offset_ns": offset_ns, "first_ns": first_ns}
    if isinstance(entry, Checkpoint):
        # A PING may have come before the start: how long it waits is told by that.
        changes["pings"] = _changed(entry.pings, {"offset_ns": change})
    return msgspec.structs.replace(entry, **changes)


def renumbered_checkpoint(checkpoint: Checkpoint, changes: Mapping[str, Change]) -> Checkpoint:
    """The checkpoint with the integers changed that stand under these keys in what it lists of
    connections, fragments and PINGs.
    """
    return msgspec.structs.replace(
        checkpoint,
        connections=_changed(checkpoint.connections, changes),
        fragments=_changed(checkpoint.fragments, changes),
        pings=_changed(checkpoint.pings, changes),
    )


def _changed(items: list[msgspec.Raw], changes: Mapping[str, Change]) -> list[msgspec.Raw]:
    return [msgspec.Raw(with_numbers(bytes(item), changes)) for item in items]


def _not_before(change: Change) -> Change:
    return lambda ns: max(0, change(ns))
