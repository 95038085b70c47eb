"""Two shapes side by side: the forms of strings, enumerations, numbers and extents. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from replayer.contract.findings import Side, What
from replayer.contract.formats import FREE_TEXT, is_strict
from replayer.contract.model import Shape
from replayer.contract.telling import Teller
from replayer.contract.weighing import CHANCE, ENOUGH, Share, Subjects, Total, chance_of_none

__all__ = ["compare_numbers", "compare_strings"]


def compare_strings(tell: Teller, place: str, old: Shape, new: Shape, subjects: Subjects) -> None:
    """Compare the forms of strings, or their values where those are an enumeration."""
    n, m = old.types.get("string", 0), new.types.get("string", 0)
    if n < ENOUGH or m < ENOUGH:
        return
    if old.values is not None:
        _enumeration(tell, place, old, new, subjects)
        return
    added = {form: count for form, count in new.formats.items() if form not in old.formats}
    if not added or FREE_TEXT in old.formats:
        return
    known, shown = _forms(old.formats), _forms(added)
    share, total = _of_strings(sum(added.values()), old, new, subjects)
    before = Side(count=n, of=n, shown=known, example=old.example)
    after = Side(count=share.count, of=m, shown=shown, example=new.example)
    if any(map(is_strict, old.formats)):
        sentence = f"The form is {shown}, where it was {known}"
        tell.new(place, "format-changed", "breaking", share, total, before, after, sentence)
    elif old.formats.keys() <= {"integer", "number"}:
        sentence = f"The form is also {shown}, where it was {known}"
        tell.new(place, "format-added", "additive", share, total, before, after, sentence)
    else:
        tell.remark(place, "format-new", f"The form is also {shown}, where it was {known}.")


def _enumeration(tell: Teller, place: str, old: Shape, new: Shape, subjects: Subjects) -> None:
    assert old.values is not None
    n, m = old.types["string"], new.types["string"]
    values = new.values if new.values is not None else {}
    added = {text: count for text, count in values.items() if text not in old.values}
    kept = len(added) < len(values)
    count = sum(added.values()) if new.values is not None else m
    shown = _quoted(added) if added else "many different texts"
    known = _quoted(old.values)
    if count:
        what: What = "enum-value-new" if kept else "enum-replaced"
        sentence = (
            f"The value may also be {shown}; a client that knows only {known} may break"
            if kept
            else f"The values are {shown}, and none of {known}"
        )
        tell.new(
            place,
            what,
            "additive" if kept else "breaking",
            *_of_strings(count, old, new, subjects),
            Side(count=n, of=n, shown=known, example=old.example),
            Side(count=count, of=m, shown=shown, example=_first(added)),
            sentence,
        )
    if not kept:
        return
    for text, seen in old.values.items():
        if text not in values:
            share = Share(seen, n)
            if chance_of_none(share, Total(m), smoothed=False) < CHANCE:
                sentence = f"{_quoted({text: seen})}, {seen} of {n} before, was not seen in {m}."
                tell.remark(place, "enum-value-unseen", sentence)


def compare_numbers(tell: Teller, place: str, old: Shape, new: Shape) -> None:
    """Remark on numbers that are spelled otherwise, and on what is outside of its range."""
    for one, other in (("integer", "number"), ("number", "integer")):
        if old.types.get(one) and not old.types.get(other) and new.types.get(other):
            count, of = new.types[other], new.types[other] + new.types.get(one, 0)
            words = {"integer": "without a fraction", "number": "with a fraction"}
            tell.remark(
                place,
                "number-spelling",
                f"{count} of {of} numbers are spelled {words[other]}, where all were {words[one]}.",
            )
    spans = (
        ("number", old.minimum, old.maximum, new.minimum, new.maximum),
        ("length", old.shortest, old.longest, new.shortest, new.longest),
        ("number of elements", old.fewest, old.most, new.fewest, new.most),
    )
    for name, low, high, least, most in spans:
        if low is None or high is None or least is None or most is None:
            continue
        if _value(least) < _value(low) or _value(most) > _value(high):
            tell.remark(
                place,
                "range",
                f"The {name} is {_text(least)} to {_text(most)}, where it was"
                f" {_text(low)} to {_text(high)}.",
            )


def _of_strings(count: int, old: Shape, new: Shape, subjects: Subjects) -> tuple[Share, Total]:
    """So many of the strings, which may be of any of their subjects, and what was before."""
    n, m = old.subjects.get("string", 0), new.subjects.get("string", 0)
    share = Share(count, new.types["string"], m, m)
    return share, Total(old.types["string"], n, subjects.same)


def _forms(forms: Mapping[str, int]) -> str:
    return " or ".join(form or "free text" for form in forms)


def _quoted(texts: Mapping[str, int]) -> str:
    return ", ".join(msgspec.json.encode(text).decode() for text in texts)


def _first(texts: Mapping[str, int]) -> str | None:
    return next(iter(texts), None)


def _value(number: Any) -> int | float:
    """A number of :func:`~replayer.contract.model.json_value`."""
    value: int | float = msgspec.json.decode(_text(number))
    return value


def _text(number: Any) -> str:
    return msgspec.json.encode(number).decode()
