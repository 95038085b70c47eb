"""Two shapes side by side, place by place: what is another, and what cannot be told. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from replayer.contract.findings import (
    Change,
    Comparison,
    Remark,
    RemarkWhat,
    Severity,
    Side,
    Unchecked,
    What,
    Why,
)
from replayer.contract.formats import FREE_TEXT, is_strict
from replayer.contract.model import Field, Shape
from replayer.contract.weighing import CHANCE, ENOUGH, Share, Total, chance_of_none

__all__ = ["ShapeComparer"]


class ShapeComparer:
    """Compares the shapes of one kind of message, or of one answer."""

    def __init__(self, found: Comparison, where: str) -> None:
        self._found = found
        self._where = where

    def new(
        self,
        place: str,
        what: What,
        severity: Severity,
        share: Share,
        total: Total,
        before: Side,
        after: Side,
        sentence: str,
    ) -> bool:
        """Something that the contract never had: a change, or undecided. Whether it is a change."""
        is_enough = total.seen >= ENOUGH and share.of >= ENOUGH
        if is_enough and chance_of_none(share, total, smoothed=True) < CHANCE:
            self.changed(place, what, severity, before, after, f"{sentence}.")
            return True
        seen = f"{sentence}: in {share.count} of {share.of}"
        if share.subjects and share.subjects < share.of_subjects:
            seen += f", of {share.subjects} of {share.of_subjects} devices or objects"
        seen += f", never before in {total.seen}"
        if share.subjects and share.subjects < share.of_subjects:
            seen += f" of {total.subjects} devices or objects"
        self.not_told(place, "by-chance", f"{seen}; that may be chance.", deviates=True)
        return False

    def changed(
        self,
        place: str,
        what: What,
        severity: Severity,
        before: Side,
        after: Side,
        sentence: str,
    ) -> None:
        self._found.changes.append(
            Change(
                severity=severity,
                where=self._where,
                place=place,
                what=what,
                before=before,
                after=after,
                sentence=sentence,
            )
        )

    def not_told(self, place: str, why: Why, sentence: str, *, deviates: bool = False) -> None:
        self._found.unchecked.append(
            Unchecked(where=self._where, place=place, why=why, sentence=sentence, deviates=deviates)
        )

    def remark(self, place: str, what: RemarkWhat, sentence: str) -> None:
        self._found.remarks.append(
            Remark(where=self._where, place=place, what=what, sentence=sentence)
        )

    def shape(
        self,
        place: str,
        old: Shape,
        new: Shape,
        *,
        subjects: tuple[int, int] = (0, 0),
        quiet: bool = False,
    ) -> None:
        """Compare a place and all below it. ``subjects`` are how many had it before and after,
        ``quiet`` says that the place above was not compared either."""
        n, m = sum(old.types.values()), sum(new.types.values())
        if n < ENOUGH or m < ENOUGH:
            if not quiet:
                self._too_few(place, old, new, n, m)
            self._below(place, old, new, quiet=True)
            return
        self._found.checked.append((self._where, place))
        self._types(place, old, new, subjects)
        self._strings(place, old, new)
        self._numbers(place, old, new)
        self._below(place, old, new, quiet=False)

    def _too_few(self, place: str, old: Shape, new: Shape, n: int, m: int) -> None:
        if old.masked > n or new.masked > m:
            side = "the contract's" if old.masked > n else "the recording's"
            self.not_told(place, "masked", f"Redacted: {side} values are masked.")
        else:
            sentence = (
                f"Too little seen: {n} in the contract, {m} now; {ENOUGH} of each are needed."
            )
            self.not_told(place, "too-few", sentence)

    def _types(self, place: str, old: Shape, new: Shape, subjects: tuple[int, int]) -> None:
        """Compare types and nulls."""
        n, m = sum(old.types.values()), sum(new.types.values())
        before, after = _values(old), _values(new)
        old_null, new_null = old.types.get("null", 0), new.types.get("null", 0)
        total = Total(n, subjects[0])
        if new_null and not old_null and not (old.masked or new.masked):
            self._nulls(place, old, new, subjects)
        elif not after and before and not new.masked:
            share = Share(n - old_null, n, _most_subjects(old, before), subjects[0])
            if chance_of_none(share, Total(m, subjects[1]), smoothed=False) < CHANCE:
                self._always_null(place, old, new)
            else:
                self.not_told(
                    place,
                    "not-seen",
                    f"Only null was seen, {m} times; of {n} before, {old_null} were null.",
                )
        added = {name: count for name, count in after.items() if name not in before}
        if not added or (old.masked and not before):
            return
        share = Share(sum(added.values()), m, _most_subjects(new, added), subjects[1])
        shown = _listed(added)
        if before:
            sentence = f"The type is {shown}, where it was {_listed(before)}"
            what: What = "type-changed"
        else:
            sentence, what = f"The value is {shown}, where it was always null", "value-new"
        self.new(
            place,
            what,
            "breaking" if before else "additive",
            share,
            total,
            Side(
                count=sum(before.values()),
                of=n,
                shown=_listed(before) or "null",
                example=old.example,
            ),
            Side(count=share.count, of=m, shown=shown, example=new.example),
            sentence,
        )

    def _nulls(self, place: str, old: Shape, new: Shape, subjects: tuple[int, int]) -> None:
        """There are nulls where there never were."""
        n, m, nulls = sum(old.types.values()), sum(new.types.values()), new.types["null"]
        if nulls == m:
            self._always_null(place, old, new)
            return
        self.new(
            place,
            "null-new",
            "breaking",
            Share(nulls, m, new.subjects.get("null", 0), subjects[1]),
            Total(n, subjects[0]),
            Side(count=0, of=n, shown="null"),
            Side(count=nulls, of=m, shown="null"),
            "The value may be null, which it never was",
        )

    def _always_null(self, place: str, old: Shape, new: Shape) -> None:
        n, m = sum(old.types.values()), sum(new.types.values())
        self.changed(
            place,
            "always-null",
            "deprecated",
            Side(
                count=n - old.types.get("null", 0),
                of=n,
                shown=_listed(_values(old)),
                example=old.example,
            ),
            Side(count=m, of=m, shown="null"),
            "The value is always null now: the field says nothing any more.",
        )

    def _strings(self, place: str, old: Shape, new: Shape) -> None:
        n, m = old.types.get("string", 0), new.types.get("string", 0)
        if n < ENOUGH or m < ENOUGH:
            return
        if old.values is not None:
            self._enumeration(place, old, new)
            return
        added = {form: count for form, count in new.formats.items() if form not in old.formats}
        if not added or FREE_TEXT in old.formats:
            return
        known, shown = _forms(old.formats), _forms(added)
        share, total = Share(sum(added.values()), m), Total(n)
        before = Side(count=n, of=n, shown=known, example=old.example)
        after = Side(count=share.count, of=m, shown=shown, example=new.example)
        if any(map(is_strict, old.formats)):
            sentence = f"The form is {shown}, where it was {known}"
            self.new(place, "format-changed", "breaking", share, total, before, after, sentence)
        elif old.formats.keys() <= {"integer", "number"}:
            sentence = f"The form is also {shown}, where it was {known}"
            self.new(place, "format-added", "additive", share, total, before, after, sentence)
        else:
            self.remark(place, "format-new", f"The form is also {shown}, where it was {known}.")

    def _enumeration(self, place: str, old: Shape, new: Shape) -> None:
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
            self.new(
                place,
                what,
                "additive" if kept else "breaking",
                Share(count, m),
                Total(n),
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
                    sentence = (
                        f"{_quoted({text: seen})}, {seen} of {n} before, was not seen in {m}."
                    )
                    self.remark(place, "enum-value-unseen", sentence)

    def _numbers(self, place: str, old: Shape, new: Shape) -> None:
        for one, other in (("integer", "number"), ("number", "integer")):
            if old.types.get(one) and not old.types.get(other) and new.types.get(other):
                count, of = new.types[other], new.types[other] + new.types.get(one, 0)
                words = {"integer": "without a fraction", "number": "with a fraction"}
                self.remark(
                    place,
                    "number-spelling",
                    f"{count} of {of} numbers are spelled {words[other]}, where all were"
                    f" {words[one]}.",
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
                self.remark(
                    place,
                    "range",
                    f"The {name} is {_text(least)} to {_text(most)}, where it was"
                    f" {_text(low)} to {_text(high)}.",
                )

    def _below(self, place: str, old: Shape, new: Shape, *, quiet: bool) -> None:
        if old.types.get("object") and new.types.get("object"):
            self._fields(place, old, new, quiet=quiet)
        if old.items is not None and new.items is not None:
            subjects = _of_objects(old.items), _of_objects(new.items)
            self.shape(f"{place}/*", old.items, new.items, subjects=subjects, quiet=quiet)
        elif new.items is not None and not quiet:
            arrays = Share(new.types["array"], new.types["array"])
            self._first_elements(place, old, new, arrays)

    def _first_elements(self, place: str, old: Shape, new: Shape, arrays: Share) -> None:
        assert new.items is not None
        n = old.types.get("array", 0)
        if n:
            # How many arrays have elements is not counted; of one element each at the most so many.
            holding = min(new.items.seen, arrays.of)
            self.new(
                place,
                "value-new",
                "additive",
                Share(holding, arrays.of),
                Total(n),
                Side(count=n, of=n, shown="empty arrays"),
                Side(count=holding, of=arrays.of, shown="elements", example=new.items.example),
                "The array has elements, where it was always empty",
            )

    def _fields(self, place: str, old: Shape, new: Shape, *, quiet: bool) -> None:
        n, m = old.types["object"], new.types["object"]
        is_enough = n >= ENOUGH and m >= ENOUGH
        names_are_data = bool(old.others or new.others)
        if names_are_data and not quiet:
            sentence = (
                "The names of the fields are data, more than are kept: only those that were"
                " always there are compared."
            )
            self.not_told(place, "names-are-data", sentence)
        for name, field in old.fields.items():
            other = new.fields.get(name)
            below = f"{place}/{_token(name)}"
            required = field.present == n
            if names_are_data and not required:
                continue
            if is_enough:
                self._presence(below, field, other, old, new)
            if other is not None:
                subjects = (field.subjects, other.subjects)
                self.shape(below, field.shape, other.shape, subjects=subjects, quiet=quiet)
        if names_are_data or not is_enough:
            return
        for name, field in new.fields.items():
            if name not in old.fields:
                self.new(
                    f"{place}/{_token(name)}",
                    "field-added",
                    "additive",
                    Share(field.present, m, field.subjects, _of_objects(new)),
                    Total(n, _of_objects(old)),
                    Side(count=0, of=n),
                    Side(
                        count=field.present, of=m, shown=_shown(field), example=field.shape.example
                    ),
                    "The field is new",
                )

    def _presence(
        self, place: str, field: Field, other: Field | None, old: Shape, new: Shape
    ) -> None:
        n, m = old.types["object"], new.types["object"]
        present = other.present if other is not None else 0
        before = Side(count=field.present, of=n, shown=_shown(field), example=field.shape.example)
        after = Side(count=present, of=m)
        if field.present == n and other is None:
            sentence = "The field was in every object and is in none."
            self.changed(place, "field-removed", "breaking", before, after, sentence)
        elif field.present == n and other is not None and present < m:
            self.new(
                place,
                "field-missing",
                "breaking",
                Share(m - present, m, other.without, _of_objects(new)),
                Total(n, _of_objects(old)),
                before,
                after,
                "The field was in every object and is missing",
            )
        elif other is None:
            share = Share(field.present, n, field.subjects, _of_objects(old))
            if chance_of_none(share, Total(m, _of_objects(new)), smoothed=False) < CHANCE:
                sentence = f"The field was in {field.present} of {n} objects and is in none of {m}."
                self.changed(place, "field-removed", "deprecated", before, after, sentence)
            else:
                sentence = f"In none of {m} objects; it was in {field.present} of {n} only."
                self.not_told(place, "not-seen", sentence)


def _classes(shape: Shape) -> dict[str, int]:
    """The types counted, integers as the numbers that they are."""
    classes: dict[str, int] = {}
    for name, count in shape.types.items():
        name = "number" if name == "integer" else name
        classes[name] = classes.get(name, 0) + count
    return classes


def _values(shape: Shape) -> dict[str, int]:
    """The types but null."""
    return {name: count for name, count in _classes(shape).items() if name != "null"}


def _most_subjects(shape: Shape, classes: Mapping[str, int]) -> int:
    """With how many subjects values of these types were seen, at the least."""
    names = {*classes, "integer"} if "number" in classes else set(classes)
    return max((shape.subjects.get(name, 0) for name in names), default=0)


def _of_objects(shape: Shape) -> int:
    return shape.subjects.get("object", 0)


def _shown(field: Field) -> str:
    return _listed(_classes(field.shape)) or ("masked" if field.shape.masked else "")


def _listed(names: Mapping[str, int]) -> str:
    return " or ".join(names)


def _forms(forms: Mapping[str, int]) -> str:
    return " or ".join(form or "free text" for form in forms)


def _quoted(texts: Mapping[str, int]) -> str:
    return ", ".join(msgspec.json.encode(text).decode() for text in texts)


def _first(texts: Mapping[str, int]) -> str | None:
    return next(iter(texts), None)


def _token(name: str) -> str:
    """A name as a part of a JSON Pointer (RFC 6901 section 3)."""
    return name.replace("~", "~0").replace("/", "~1")


def _value(number: Any) -> int | float:
    """A number of :func:`~replayer.contract.model.json_value`."""
    value: int | float = msgspec.json.decode(_text(number))
    return value


def _text(number: Any) -> str:
    return msgspec.json.encode(number).decode()
