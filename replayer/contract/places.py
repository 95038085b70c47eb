"""What stood in one place of the JSON, learnt from many values at once. Pure.

Strategy: values are learnt by columns. Objects of a batch are grouped by their keys, in order; the
values under one key are then one column, whose types, counts and extremes cost a call of C each,
not a step of Python a value. A batch of one is right as well, and only slower.

Everything is bounded: :data:`MAX_FIELDS` fields of one place, :data:`MAX_VALUES` strings that may
be an enumeration, :data:`MAX_SUBJECTS` subjects, :data:`MAX_DEPTH` levels.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, repeat
from typing import Any, Final, TypeAlias

from recorder.redaction.rules import (
    BASIC,
    BEARER,
    EMAIL,
    JWT,
    MARK,
    USERINFO,
    rule_of_key,
    shape_under_key,
)
from replayer.contract.formats import EMPTY, FREE_TEXT, NULL_WORD, form_of
from replayer.contract.model import JSON_TYPES, SUBJECT_NAMES, Field, Shape, json_value
from replayer.contract.spelling import Batch, Extreme

__all__ = [
    "ENUMERATION_SEEN",
    "MAX_DEPTH",
    "MAX_ENUMERATION",
    "MAX_FIELDS",
    "MAX_SUBJECTS",
    "MAX_VALUES",
    "Place",
]

MAX_FIELDS: Final = 200
MAX_DEPTH: Final = 40
MAX_SUBJECTS: Final = 1000
MAX_VALUES: Final = 64
MAX_ENUMERATION: Final = 12
"""An enumeration has at most so many values."""
ENUMERATION_SEEN: Final = 20
"""A string is an enumeration only where so many were seen."""
_MAX_VALUE_CHARACTERS: Final = 40
_MAX_EXAMPLE_CHARACTERS: Final = 120
_MAX_NAME_CHARACTERS: Final = 100

_OWN_WORDS: Final = (
    *("name", "address", "phone", "contact", "model", "id", "uuid", "key", "version"),
    *("description", "title", "message", "text", "email", "note", "notes", "comment"),
)
"""A field whose name ends so holds words of its object's own, never an enumeration."""

_SECRETS: Final = (EMAIL, JWT, BASIC, BEARER, USERINFO)
_MANY: Final = object()

_Owners: TypeAlias = list[Any] | None
"""Of each value the subject that it is of, None where there is none."""


class _Member:
    """A field: its place, in how many objects it was, and whose those were and the others."""

    def __init__(self, place: Place, without: Iterable[Any]) -> None:
        self.place = place
        self.present = 0
        self.subjects: set[Any] = set()
        self.without = set(without)


class Place:
    """All that is known of one place so far.

    ``name`` is that of the field that the place is in, of an array's elements the array's: it tells
    what is secret, and what is no enumeration.
    """

    def __init__(self, name: str = "", *, depth: int = 0, secret: bool = False) -> None:
        self._name = name
        self._depth = depth
        self._is_secret = (
            secret or rule_of_key(name) is not None or shape_under_key(name) is not None
        )
        self._types: Counter[str] = Counter()
        self._subjects: dict[str, set[Any]] = {}
        self._knows_subjects = True
        self._masked = 0
        self._forms: Counter[str] = Counter()
        self._values: dict[str, int] = {}
        self._value_of: dict[str, Any] = {}
        self._may_enumerate = not self._is_secret and not name.lower().endswith(_OWN_WORDS)
        self._least = Extreme(name, lambda known, value: known < value)
        self._greatest = Extreme(name, lambda known, value: known > value)
        self._lengths: tuple[int, int] | None = None
        self._sizes: tuple[int, int] | None = None
        self._members: dict[str, _Member] = {}
        self._others = 0
        self._items: Place | None = None
        self._example: str | None = None
        self._truth: str | None = None

    def learn(self, values: Sequence[Any], owners: _Owners, batch: Batch) -> None:
        """Learn JSON values as msgspec decodes them; ``owners`` are parallel to them."""
        kinds = set(map(type, values))
        if len(kinds) == 1:
            self._learn_alike(kinds.pop(), values, owners, batch)
            return
        for kind in kinds:
            chosen = [value for value in values if type(value) is kind]
            whose = owners and [
                owner for owner, value in zip(owners, values, strict=True) if type(value) is kind
            ]
            self._learn_alike(kind, chosen, whose, batch)

    def learn_elements(self, values: Sequence[Any], batch: Batch) -> None:
        """Learn some elements of an array that is too long to be held."""
        self._elements().learn(values, None, batch)

    def learn_array(self, size: int) -> None:
        """Learn that there was an array of so many elements, which were learnt."""
        self._count("array", 1, None)
        self._learn_sizes([size])

    def _learn_alike(
        self, kind: type, values: Sequence[Any], owners: _Owners, batch: Batch
    ) -> None:
        if kind is str:
            self._strings(values, owners)
        elif kind is dict:
            self._objects(values, owners, batch)
        elif kind is list:
            self._count("array", len(values), owners)
            self._arrays(values, owners, batch)
        elif kind is int or kind is float:
            self._count("integer" if kind is int else "number", len(values), owners)
            if not self._is_secret:
                self._least.take(min(values), batch)
                self._greatest.take(max(values), batch)
        else:
            self._count("null" if kind is type(None) else "boolean", len(values), owners)
            if kind is bool and self._truth != "true":
                self._truth = "true" if any(values) else "false"

    def _count(self, name: str, count: int, owners: _Owners) -> None:
        self._types[name] += count
        if not self._knows_subjects:
            return
        subjects = self._subjects.setdefault(name, set())
        if owners is not None:
            subjects.update(owners)
        if owners is None or None in subjects or len(subjects) > MAX_SUBJECTS:
            self._forget_subjects()

    def _forget_subjects(self) -> None:
        self._knows_subjects = False
        self._subjects.clear()
        for member in self._members.values():
            member.subjects.clear()
            member.without.clear()

    def _strings(self, values: Sequence[str], owners: _Owners) -> None:
        counts = Counter(values)
        masked = {text for text in counts if "[redacted" in text and MARK.search(text)}
        if masked:
            kept = [text not in masked for text in values]
            owners = owners and [owner for owner, keep in zip(owners, kept, strict=True) if keep]
            values = [text for text, keep in zip(values, kept, strict=True) if keep]
            self._masked += kept.count(False)
            for text in masked:
                del counts[text]
            if not values:
                return
        self._count("string", len(values), owners)
        forms = self._forms
        for text, count in counts.items():
            forms[form_of(text)] += count
        if self._is_secret:
            return
        lengths = [*map(len, counts), *(self._lengths or ())]
        self._lengths = min(lengths), max(lengths)
        if self._may_enumerate:
            self._enumerate(counts, values, owners)
        best = max(counts)
        if not _is_example(best):
            best = max(filter(_is_example, counts), default="")
        if _is_example(best) and (self._example is None or best > self._example):
            self._example = best

    def _enumerate(self, counts: Counter[str], values: Sequence[str], owners: _Owners) -> None:
        known = self._values
        for text, count in counts.items():
            known[text] = known.get(text, 0) + count
            if len(known) > MAX_VALUES or len(text) > _MAX_VALUE_CHARACTERS or _is_secret(text):
                self._may_enumerate = False
                known.clear()
                self._value_of.clear()
                return
        if owners is not None:
            value_of = self._value_of
            for text, owner in set(zip(values, owners, strict=True)):
                if value_of.setdefault(text, owner) != owner:
                    value_of[text] = _MANY

    def _arrays(self, arrays: Sequence[list[Any]], owners: _Owners, batch: Batch) -> None:
        sizes = list(map(len, arrays))
        self._learn_sizes(sizes)
        items = list(chain.from_iterable(arrays))
        if not items or self._depth >= MAX_DEPTH:
            return
        if owners is not None:
            owners = list(chain.from_iterable(map(repeat, owners, sizes)))
        self._elements().learn(items, owners, batch)

    def _learn_sizes(self, sizes: list[int]) -> None:
        sizes = [*sizes, *(self._sizes or ())]
        self._sizes = min(sizes), max(sizes)

    def _elements(self) -> Place:
        if self._items is None:
            self._items = Place(self._name, depth=self._depth + 1, secret=self._is_secret)
        return self._items

    def _objects(self, objects: Sequence[dict[str, Any]], owners: _Owners, batch: Batch) -> None:
        groups: dict[tuple[str, ...], list[int]] = {}
        for at, each in enumerate(objects):
            keys = tuple(each)
            if keys in groups:
                groups[keys].append(at)
            else:
                groups[keys] = [at]
        for keys, places in groups.items():
            rows = [objects[at].values() for at in places]
            columns = dict(zip(keys, zip(*rows, strict=True), strict=True))
            above = owners and [owners[at] for at in places]
            whose = _owners_of(columns, above, len(rows))
            subjects = set() if whose is None or not self._knows_subjects else set(whose)
            for name, column in columns.items():
                member = self._members.get(name) or self._new_member(name)
                if member is None:
                    self._others += len(column)
                    continue
                member.present += len(column)
                if name in SUBJECT_NAMES:
                    # Where it is another, so is the subject: it cannot be weighed by itself.
                    member.place.learn(column, None, batch)
                    continue
                member.subjects |= subjects
                member.place.learn(column, whose, batch)
            if len(columns) < len(self._members):
                for name, member in self._members.items():
                    if name not in columns and name not in SUBJECT_NAMES:
                        member.without |= subjects
            self._count("object", len(rows), whose)

    def _new_member(self, name: str) -> _Member | None:
        """The field of that name; None where it is not to be learnt: then its name is data."""
        if (
            len(self._members) >= MAX_FIELDS
            or self._depth >= MAX_DEPTH
            or len(name) > _MAX_NAME_CHARACTERS
            or _is_secret(name)
            or MARK.search(name)
        ):
            return None
        place = Place(name, depth=self._depth + 1, secret=self._is_secret)
        before = () if name in SUBJECT_NAMES else self._subjects.get("object", ())
        member = self._members[name] = _Member(place, before)
        return member

    def shape(self, *, all_values: bool = False) -> Shape:
        """What was learnt. ``values`` are those of an enumeration, or with ``all_values`` whichever
        strings were seen, where they are few."""
        values = self._values if all_values or self._is_enumeration() else {}
        return Shape(
            seen=self._types.total() + self._masked,
            types={name: self._types[name] for name in JSON_TYPES if name in self._types},
            subjects={
                name: len(self._subjects[name]) for name in JSON_TYPES if name in self._subjects
            },
            masked=self._masked,
            formats=dict(sorted(self._forms.items())),
            values=dict(sorted(values.items())) or None,
            minimum=_value(self._least.text),
            maximum=_value(self._greatest.text),
            shortest=self._lengths and self._lengths[0],
            longest=self._lengths and self._lengths[1],
            fewest=self._sizes and self._sizes[0],
            most=self._sizes and self._sizes[1],
            fields=self.fields(all_values=all_values),
            others=self._others,
            items=None if self._items is None else self._items.shape(all_values=all_values),
            example=self._shown_example(),
        )

    def fields(self, *, all_values: bool = False) -> dict[str, Field]:
        """The fields of the objects that were learnt."""
        return {
            name: Field(
                present=member.present,
                subjects=len(member.subjects),
                without=len(member.without),
                shape=member.place.shape(all_values=all_values),
            )
            for name, member in self._members.items()
        }

    def _is_enumeration(self) -> bool:
        """Whether the strings are few that repeat over different objects.

        At most :data:`MAX_ENUMERATION` of them, each short, plain words (no dates, numbers, ids),
        seen :data:`ENUMERATION_SEEN` times in all, each of them of two subjects, and four times as
        many subjects as values; where there are no subjects, values are counted in their place.
        """
        values = self._values
        if not 0 < len(values) <= MAX_ENUMERATION or self._masked:
            return False
        if FREE_TEXT not in self._forms or self._forms.keys() - {FREE_TEXT, EMPTY, NULL_WORD}:
            return False
        if self._types["string"] < ENUMERATION_SEEN:
            return False
        if self._knows_subjects:
            repeats = all(self._value_of.get(text) is _MANY for text in values)
            of = len(self._subjects["string"])
        else:
            repeats, of = min(values.values()) >= 2, self._types["string"]
        return repeats and of >= 4 * len(values)

    def _shown_example(self) -> Any:
        if self._is_secret or self._example is not None:
            return self._example
        return _value(self._greatest.text or self._truth)


def _owners_of(columns: Mapping[str, Sequence[Any]], above: _Owners, count: int) -> _Owners:
    """Of each object its subject, else that of the object around it."""
    for name in SUBJECT_NAMES:
        column = columns.get(name)
        if column is None:
            continue
        kinds = set(map(type, column))
        if kinds <= {int, str}:
            return list(column)
        if not kinds.isdisjoint({int, str}):
            around = above or [None] * count
            return [
                value if type(value) in (int, str) else owner
                for value, owner in zip(column, around, strict=True)
            ]
    return above


def _value(text: str | None) -> Any:
    return None if text is None else json_value(text)


def _is_example(text: str) -> bool:
    return len(text) <= _MAX_EXAMPLE_CHARACTERS and not _is_secret(text)


_PERHAPS_SECRET: Final = re.compile(r"@|eyJ|[Bb][Aa][Ss][Ii][Cc]|[Bb][Ee][Aa][Rr]")


def _is_secret(text: str) -> bool:
    """Whether the text holds what a redactor would take out by its shape."""
    if _PERHAPS_SECRET.search(text) is None:
        return False
    return any(pattern.search(text) for pattern in _SECRETS)
