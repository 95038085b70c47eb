"""Where two JSON values differ in meaning: JSON Pointers with both values. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from replayer.difference.alignment import IdMap
from replayer.difference.ignored import IGNORED, pointer
from replayer.difference.values import (
    IdOf,
    id_space,
    inside,
    is_id,
    same_scalar,
    spelled,
    unique_ids,
)

__all__ = ["Change", "Changes", "alike"]

_Tokens = tuple[str | int, ...]

_MAX_DEPTH: Final = 200
"""Deeper values are compared as they are spelled."""


class Change(msgspec.Struct, frozen=True):
    """One place that differs. ``pointer`` is where it is in a, or in b if only b has it;
    ``pointer_b`` is where it is in b, if that is elsewhere. ``place`` is the pointer with ``*`` for
    each number of an element. ``a`` and ``b`` are the values as they came; None where a side has
    none."""

    pointer: str
    place: str
    a: msgspec.Raw | None
    b: msgspec.Raw | None
    pointer_b: str | None = None


class Changes:
    """Compares values. ``ids`` is where ids may be others."""

    def __init__(self, ids: IdMap | None = None) -> None:
        self._ids = ids
        self._fits: Callable[[IdOf, IdOf], bool] | None = ids.bind if ids is not None else None

    def between(self, a: Any, b: Any, of: str = "") -> Iterator[Change]:
        """Every place that differs, in the order of a, then what only b has. ``of`` says what the
        ids of the values are of. Values inside of one that only one side has are not named."""
        yield from self._between(a, b, (), (), "", of)

    def _between(
        self, a: Any, b: Any, at_a: _Tokens, at_b: _Tokens, name: str, of: str
    ) -> Iterator[Change]:
        deep = len(at_a) > _MAX_DEPTH
        if isinstance(a, dict) and isinstance(b, dict) and not deep:
            for key, value in a.items():
                if key not in b:
                    yield _change(value, None, (*at_a, key), None)
                    continue
                yield from self._between(
                    value, b[key], (*at_a, key), (*at_b, key), key, inside(key, of, value)
                )
            for key, value in b.items():
                if key not in a:
                    yield _change(None, value, None, (*at_b, key))
        elif isinstance(a, list) and isinstance(b, list) and not deep:
            for left, right in self._elements(a, b, of):
                if left is None:
                    assert right is not None
                    yield _change(None, b[right], None, (*at_b, right))
                elif right is None:
                    yield _change(a[left], None, (*at_a, left), None)
                else:
                    yield from self._between(
                        a[left], b[right], (*at_a, left), (*at_b, right), name, of
                    )
        elif type(a) is str and a == b:
            return
        elif not self._same(a, b, name, of):
            yield _change(a, b, at_a, at_b)

    def _same(self, a: Any, b: Any, name: str, of: str) -> bool:
        if IGNORED in (a, b):
            return True
        if isinstance(a, dict | list) or isinstance(b, dict | list):
            return type(a) is type(b) and spelled(a) == spelled(b)
        if self._fits is not None and is_id(a, name) and is_id(b, name):
            space = id_space(name, of)
            return self._fits((space, a), (space, b))
        return same_scalar(a, b)

    def _elements(
        self, a: list[Any], b: list[Any], of: str
    ) -> Iterator[tuple[int | None, int | None]]:
        """The elements that belong together: those of objects by their ids, others by place."""
        ids_a, ids_b = unique_ids(a), unique_ids(b)
        if ids_a is None or ids_b is None or not (ids_a and ids_b):
            for at in range(max(len(a), len(b))):
                yield at if at < len(a) else None, at if at < len(b) else None
            return
        places = {one: at for at, one in enumerate(ids_b)}
        found = [places.pop(self._as_b(one, of), None) for one in ids_a]
        left_over = [at for at, other in enumerate(found) if other is None]
        others = list(places.values())
        # One alone on each side is the same object with another id; among several, only where ids
        # may be others, and then by their order.
        if self._ids is not None or len(left_over) == len(others) == 1:
            for at, other in zip(left_over, others, strict=False):
                found[at] = other
            others = others[len(left_over) :]
        yield from enumerate(found)
        for other in others:
            yield None, other

    def _as_b(self, one: Any, of: str) -> Any:
        if self._ids is None or type(one) is not int:
            return one
        (seen,) = self._ids.seen_from_b("a", [(of, one)])
        return seen[1] if isinstance(seen, tuple) else None


def _change(a: Any, b: Any, at_a: _Tokens | None, at_b: _Tokens | None) -> Change:
    tokens = at_b if at_a is None else at_a
    assert tokens is not None
    here, there = pointer(tokens), None if at_b is None else pointer(at_b)
    return Change(
        pointer=here,
        place=pointer("*" if isinstance(token, int) else token for token in tokens),
        a=None if at_a is None else msgspec.Raw(spelled(a)),
        b=None if at_b is None else msgspec.Raw(spelled(b)),
        pointer_b=there if at_a is not None and there != here else None,
    )


def alike(a: Any, b: Any) -> bool:
    """Whether at least half of what two values hold is the same in both."""
    same, all_of_it = _likeness(a, b, 0)
    return same * 2 >= all_of_it


def _likeness(a: Any, b: Any, depth: int) -> tuple[int, int]:
    """How many leaves are the same, and how many there are in the larger of both."""
    pairs: list[tuple[Any, Any]]
    if isinstance(a, dict) and isinstance(b, dict) and depth < _MAX_DEPTH:
        pairs = [(a[key], b[key]) for key in a if key in b]
        alone = max(len(a), len(b)) - len(pairs)
    elif isinstance(a, list) and isinstance(b, list) and depth < _MAX_DEPTH:
        ids_a, ids_b = unique_ids(a), unique_ids(b)
        if ids_a and ids_b:
            others = dict(zip(ids_b, b, strict=True))
            pairs = [
                (each, others[one]) for one, each in zip(ids_a, a, strict=True) if one in others
            ]
        else:
            pairs = list(zip(a, b, strict=False))
        alone = max(len(a), len(b)) - len(pairs)
    else:
        scalars = not isinstance(a, dict | list) and not isinstance(b, dict | list)
        return int(scalars and same_scalar(a, b)), 1
    found = [_likeness(left, right, depth + 1) for left, right in pairs]
    return sum(same for same, _ in found), max(1, sum(count for _, count in found) + alone)
