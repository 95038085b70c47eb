"""Two shapes side by side, place by place: what is another, and what cannot be told. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from replayer.contract.findings import Severity, Side, What
from replayer.contract.model import SUBJECT_NAMES, Field, Shape
from replayer.contract.telling import Teller
from replayer.contract.values import compare_numbers, compare_strings
from replayer.contract.weighing import CHANCE, ENOUGH, Share, Subjects, Total, chance_of_none

__all__ = ["ShapeComparer", "are_same_subjects"]

_NONE: Final = Subjects()

_NEARLY_ALL: Final = 0.99
"""What clients were told in so great a share, they rely on: it breaks them where it is gone from
all."""


class ShapeComparer:
    """Compares the shapes of one kind of message, or of one answer."""

    def __init__(self, tell: Teller) -> None:
        self._tell = tell

    def shape(
        self,
        place: str,
        old: Shape,
        new: Shape,
        *,
        subjects: Subjects = _NONE,
        quiet: bool = False,
    ) -> None:
        """Compare a place and all below it. ``subjects`` are those that had it, ``quiet`` says that
        the place above was not compared either."""
        n, m = sum(old.types.values()), sum(new.types.values())
        if n < ENOUGH or m < ENOUGH:
            self._too_few(place, old, new, quiet=quiet)
            self._below(place, old, new, subjects, quiet=True)
            return
        self._tell.checked(place)
        self._types(place, old, new, subjects)
        compare_strings(self._tell, place, old, new, subjects)
        compare_numbers(self._tell, place, old, new)
        self._below(place, old, new, subjects, quiet=False)

    def _too_few(self, place: str, old: Shape, new: Shape, *, quiet: bool) -> None:
        """Too little to say more than whether the types fit what little there was."""
        n, m = sum(old.types.values()), sum(new.types.values())
        known, added = _values(old), _values(new)
        added = {name: count for name, count in added.items() if name not in known}
        if known and added:
            sentence = (
                f"The type is {_listed(added)}, where it was {_listed(known)}: in"
                f" {sum(added.values())} of {m} now, in none of {n} before; too little seen to call"
                " it a change."
            )
            self._tell.not_told(place, "too-few", sentence, deviates=True)
        elif quiet or _has_enough_below(old, new):
            return
        elif old.masked > n or new.masked > m:
            side = "the contract's" if old.masked > n else "the recording's"
            self._tell.not_told(place, "masked", f"Redacted: {side} values are masked.")
        else:
            sentence = (
                f"Too little seen: {n} in the contract, {m} now; {ENOUGH} of each are needed."
            )
            self._tell.not_told(place, "too-few", sentence)

    def _types(self, place: str, old: Shape, new: Shape, subjects: Subjects) -> None:
        """Compare types and nulls."""
        n, m = sum(old.types.values()), sum(new.types.values())
        before, after = _values(old), _values(new)
        old_null, new_null = old.types.get("null", 0), new.types.get("null", 0)
        total = Total(n, subjects.before, subjects.same)
        if new_null and not old_null and not (old.masked or new.masked):
            self._nulls(place, old, new, subjects)
        elif not after and before and not new.masked:
            share = Share(n - old_null, n, _most_subjects(old, before), subjects.before)
            if chance_of_none(share, _after(m, subjects), smoothed=False) < CHANCE:
                self._always_null(place, old, new)
            else:
                self._tell.not_told(
                    place,
                    "not-seen",
                    f"Only null was seen, {m} times; of {n} before, {old_null} were null.",
                )
        added = {name: count for name, count in after.items() if name not in before}
        if not added or (old.masked and not before):
            return
        share = Share(sum(added.values()), m, _most_subjects(new, added), subjects.after)
        shown = _listed(added)
        if before:
            sentence = f"The type is {shown}, where it was {_listed(before)}"
            what: What = "type-changed"
        else:
            sentence, what = f"The value is {shown}, where it was always null", "value-new"
        self._tell.new(
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

    def _nulls(self, place: str, old: Shape, new: Shape, subjects: Subjects) -> None:
        """There are nulls where there never were."""
        n, m, nulls = sum(old.types.values()), sum(new.types.values()), new.types["null"]
        share = Share(nulls, m, new.subjects.get("null", 0), subjects.after)
        total = Total(n, subjects.before, subjects.same)
        if nulls == m and chance_of_none(share, total, smoothed=True) < CHANCE:
            self._always_null(place, old, new)
            return
        self._tell.new(
            place,
            "null-new",
            "breaking",
            share,
            total,
            Side(count=0, of=n, shown="null"),
            Side(count=nulls, of=m, shown="null"),
            "The value may be null, which it never was",
        )

    def _always_null(self, place: str, old: Shape, new: Shape) -> None:
        n, m = sum(old.types.values()), sum(new.types.values())
        count = n - old.types.get("null", 0)
        self._tell.changed(
            place,
            "always-null",
            _loss(count, n),
            Side(
                count=count,
                of=n,
                shown=_listed(_values(old)),
                example=old.example,
            ),
            Side(count=m, of=m, shown="null"),
            "The value is always null now: the field says nothing any more.",
        )

    def _below(
        self, place: str, old: Shape, new: Shape, subjects: Subjects, *, quiet: bool
    ) -> None:
        if old.types.get("object") and new.types.get("object"):
            self._fields(place, old, new, subjects, quiet=quiet)
        if old.items is not None and new.items is not None:
            subjects = Subjects(_of_objects(old.items), _of_objects(new.items), subjects.same)
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
            self._tell.new(
                place,
                "value-new",
                "additive",
                Share(holding, arrays.of),
                Total(n),
                Side(count=n, of=n, shown="empty arrays"),
                Side(count=holding, of=arrays.of, shown="elements", example=new.items.example),
                "The array has elements, where it was always empty",
            )

    def _fields(
        self, place: str, old: Shape, new: Shape, subjects: Subjects, *, quiet: bool
    ) -> None:
        n, m = old.types["object"], new.types["object"]
        known = [name for name in SUBJECT_NAMES if name in old.fields and name in new.fields]
        same = are_same_subjects(old, new) if known else subjects.same
        is_enough = n >= ENOUGH and m >= ENOUGH
        names_are_data = bool(old.others or new.others)
        if names_are_data and not quiet:
            sentence = (
                "The names of the fields are data, more than are kept: only those that were"
                " always there are compared."
            )
            self._tell.not_told(place, "names-are-data", sentence)
        for name, field in old.fields.items():
            other = new.fields.get(name)
            below = f"{place}/{_token(name)}"
            required = field.present == n
            if names_are_data and not required:
                continue
            if is_enough:
                self._presence(below, field, other, old, new, same=same)
            if other is not None:
                subjects = Subjects(field.subjects, other.subjects, same)
                self.shape(below, field.shape, other.shape, subjects=subjects, quiet=quiet)
        if names_are_data or not is_enough:
            return
        for name, field in new.fields.items():
            if name not in old.fields:
                self._tell.new(
                    f"{place}/{_token(name)}",
                    "field-added",
                    "additive",
                    Share(field.present, m, field.subjects, _of_objects(new)),
                    Total(n, _of_objects(old), same),
                    Side(count=0, of=n),
                    Side(
                        count=field.present, of=m, shown=_shown(field), example=field.shape.example
                    ),
                    "The field is new",
                )

    def _presence(
        self,
        place: str,
        field: Field,
        other: Field | None,
        old: Shape,
        new: Shape,
        *,
        same: bool,
    ) -> None:
        n, m = old.types["object"], new.types["object"]
        present = other.present if other is not None else 0
        before = Side(count=field.present, of=n, shown=_shown(field), example=field.shape.example)
        after = Side(count=present, of=m)
        if field.present == n and present < m:
            missing = _of_objects(new) if other is None else other.without
            share = Share(m - present, m, missing, _of_objects(new))
            total = Total(n, _of_objects(old), same)
            what: What = "field-missing" if present else "field-removed"
            is_in = "is missing" if present else "is in none"
            sentence = f"The field was in every object and {is_in}"
            self._tell.new(place, what, "breaking", share, total, before, after, sentence)
        elif other is None:
            share = Share(field.present, n, field.subjects, _of_objects(old))
            total = Total(m, _of_objects(new), same)
            if chance_of_none(share, total, smoothed=False) < CHANCE:
                severity = _loss(field.present, n)
                sentence = f"The field was in {field.present} of {n} objects and is in none of {m}."
                self._tell.changed(place, "field-removed", severity, before, after, sentence)
            else:
                sentence = f"In none of {m} objects; it was in {field.present} of {n} only."
                self._tell.not_told(place, "not-seen", sentence)


def _loss(count: int, of: int) -> Severity:
    """How bad it is that what was in ``count`` of ``of`` is in none."""
    return "breaking" if count >= _NEARLY_ALL * of else "deprecated"


def _has_enough_below(old: Shape, new: Shape) -> bool:
    """Whether lists that stand here are compared by their elements: then little is left untold."""
    pairs = [(old, new)]
    pairs += [
        (field.shape, new.fields[name].shape)
        for name, field in old.fields.items()
        if name in new.fields
    ]
    return any(
        one.items and other.items and min(one.items.seen, other.items.seen) >= ENOUGH
        for one, other in pairs
    )


def _after(seen: int, subjects: Subjects) -> Total:
    return Total(seen, subjects.after, subjects.same)


def are_same_subjects(old: Shape, new: Shape | None) -> bool:
    """Whether objects are of the same subjects, by how many they are and by their ids' ends."""
    known = _of_objects(old)
    if new is None or not 0 < known == _of_objects(new):
        return False
    for name in SUBJECT_NAMES:
        if name in old.fields and name in new.fields:
            return _extent(old.fields[name].shape) == _extent(new.fields[name].shape)
    return False


def _extent(shape: Shape) -> tuple[Any, ...]:
    """What tells one set of ids from another: numbers by both ends, strings by the last of them."""
    return shape.minimum, shape.maximum, shape.example


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


def _token(name: str) -> str:
    """A name as a part of a JSON Pointer (RFC 6901 section 3)."""
    return name.replace("~", "~0").replace("/", "~1")
