"""What was done to an edited recording, as its header tells. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Final

import msgspec

from recorder.model import Header

__all__ = ["EDITED_KEY", "steps_of", "times_faster", "verbs_of"]

EDITED_KEY: Final = "edited"
"""The key of a header's ``meta`` under which every step stands: the ``verb``, the ``recordings`` it
was done to with their ``id`` and ``mode``, and what was asked for.
"""


class _Recording(msgspec.Struct):
    edited: Any = None


class _Step(msgspec.Struct):
    verb: str
    recordings: list[_Recording] = []
    factor: str = "1"


def steps_of(header: Header) -> list[msgspec.Raw]:
    """The steps so far, each as it is; of what is no list, itself."""
    found = header.meta.get(EDITED_KEY)
    if found is None:
        return []
    try:
        return msgspec.json.decode(found, type=list[msgspec.Raw])
    except (ValueError, RecursionError):
        return [found]


def verbs_of(header: Header) -> frozenset[str]:
    """Every verb that was used, on what was merged too. Of steps that cannot be read, none."""
    return frozenset(step.verb for step in _all(map(_read, steps_of(header))))


def times_faster(header: Header) -> Fraction:
    """How much faster than it was recorded all of it goes by now. Speeds of what was merged do not
    count."""
    faster = Fraction(1)
    for step in map(_read, steps_of(header)):
        try:
            factor = Fraction(step.factor if step is not None and step.verb == "speed" else 1)
        except (ValueError, ZeroDivisionError):
            continue
        faster *= factor if factor > 0 else 1
    return faster


def _all(steps: Iterator[_Step | None]) -> Iterator[_Step]:
    for step in steps:
        if step is None:
            continue
        yield step
        for recording in step.recordings:
            if isinstance(recording.edited, list):
                yield from _all(map(_read, recording.edited))


def _read(step: Any) -> _Step | None:
    try:
        if isinstance(step, msgspec.Raw):
            return msgspec.json.decode(step, type=_Step)
        return msgspec.convert(step, type=_Step)
    except (ValueError, RecursionError):
        return None
