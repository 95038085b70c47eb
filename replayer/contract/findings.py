"""What a comparison of two contracts finds, as values."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

__all__ = [
    "Change",
    "Comparison",
    "Remark",
    "RemarkWhat",
    "Severity",
    "Side",
    "Unchecked",
    "What",
    "Why",
]

Severity = Literal["additive", "deprecated", "breaking"]

What = Literal[
    "field-added",
    "field-removed",
    "field-missing",
    "type-changed",
    "null-new",
    "always-null",
    "value-new",
    "format-changed",
    "format-added",
    "enum-value-new",
    "enum-replaced",
    "kind-new",
    "unreadable",
    "status-changed",
    "content-type-changed",
]
"""``field-removed`` is gone from all objects, ``field-missing`` from some though it was in each.
``value-new`` is a value where there was always null, or elements where arrays were always empty.
``unreadable`` are messages of the socket that no JSON object could be made of.
"""

RemarkWhat = Literal[
    "number-spelling",
    "enum-value-unseen",
    "format-new",
    "range",
    "unreadable",
    "left-out",
    "kind-known",
]
"""``unreadable`` are no more than there were, and ``left-out`` messages of too many kinds.
``kind-known`` is a kind that the contract does not have, and the manual does.
"""

Why = Literal["too-few", "masked", "not-seen", "unknown", "by-chance", "names-are-data"]
"""``not-seen`` is what the contract has and the candidate lacks, which may be chance; ``unknown`` a
call that the contract does not have, and ``by-chance`` what it never had and is too rare to tell.
"""


class Side(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What stood there before or after: in ``count`` of ``of``. ``shown`` says what, by names of
    types, forms, statuses or kinds; ``example`` is JSON as it came."""

    count: int
    of: int
    shown: str = ""
    example: Any = None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One change of the contract. ``where`` is a kind of message, or a call with its status,
    ``GET /api/devices 200``; ``place`` a JSON Pointer (RFC 6901) with ``*`` for every element."""

    severity: Severity
    where: str
    place: str
    what: What
    before: Side
    after: Side
    sentence: str


class Remark(msgspec.Struct, frozen=True, kw_only=True):
    """What is another, and no change of the contract."""

    where: str
    place: str
    what: RemarkWhat
    sentence: str


class Unchecked(msgspec.Struct, frozen=True, kw_only=True):
    """What could not be told. ``deviates`` where something was seen that the contract does not
    have, too rarely to be sure that it is new: neither the same nor a change."""

    where: str
    place: str
    why: Why
    sentence: str
    deviates: bool = False


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """All that was found. ``checked`` are the places that were compared, by ``where``."""

    changes: list[Change]
    remarks: list[Remark]
    unchecked: list[Unchecked]
    checked: list[tuple[str, str]]
