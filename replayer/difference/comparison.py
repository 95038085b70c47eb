"""Two recordings compared by meaning: what differs, grouped by place. Pure, in constant memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Literal

import msgspec

from recorder.model import AnyEntry
from replayer.difference.alignment import IdMap, LaneAligner, Pair, Side
from replayer.difference.changes import Change, Changes, alike
from replayer.difference.statements import (
    PINGS,
    Lane,
    Settings,
    Statement,
    statements,
)

__all__ = [
    "LISTED_STATEMENTS",
    "MAX_GROUPS",
    "Comparison",
    "Differing",
    "OneSided",
    "Where",
    "compare",
]

MAX_GROUPS: Final = 1000
"""So many places are told apart; what differs elsewhere is only counted."""

LISTED_STATEMENTS: Final = 10
"""Of the statements of one kind that only one side has so many are named."""

_MAX_LANES: Final = 4096
"""So many endpoints are told apart; those beyond share a lane, in which order counts."""


class Where(msgspec.Struct, frozen=True, kw_only=True):
    """A statement in its recording. ``about`` names the ids of what it is about."""

    seq: int
    offset_ns: int | None
    connection: int
    about: str


class Differing(msgspec.Struct, frozen=True, kw_only=True):
    """A place that differs. ``kind`` is that of the statements, ``change`` the first of ``count``
    at this place, found in ``a`` and ``b``."""

    kind: str
    what: Literal["changed", "removed", "added"]
    count: int
    change: Change
    a: Where
    b: Where


class OneSided(msgspec.Struct, frozen=True, kw_only=True):
    """Statements of one kind that only ``side`` has: how many, and where the first ones stand."""

    kind: str
    side: Side
    count: int
    first: list[Where]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The answer. ``undecided`` is where a side has nothing to compare. ``same`` counts pairs that
    mean the same, ``changed`` those that do not; ``more_changes`` are at places beyond
    :data:`MAX_GROUPS`. PINGs are counted beside: how many there are is a matter of time.
    ``guessed_from`` is a statement of ``guessed_side`` from which on more than a window has no
    counterpart, so that what belongs together there is a guess; None if all of it is certain."""

    verdict: Literal["same", "different", "undecided"]
    statements_a: int
    statements_b: int
    pings_a: int
    pings_b: int
    same: int
    changed: int
    changes: list[Differing]
    more_changes: int
    one_sided: list[OneSided]
    more_one_sided: int
    guessed_from: Where | None = None
    guessed_side: Side | None = None


def compare(
    a: Iterable[AnyEntry],
    b: Iterable[AnyEntry],
    settings: Settings = Settings(),  # noqa: B008
) -> Comparison:
    """Compare what was said in two recordings; both are read to their end.

    Give it the client legs of what a proxy recorded. Memory: a window of each lane on both sides
    (:mod:`~replayer.difference.alignment`). Raises what
    :func:`~replayer.difference.statements.statements` does.
    """
    fold = _Fold(settings)
    sources: dict[Side, Iterator[Statement]] = {
        "a": statements(a, settings),
        "b": statements(b, settings),
    }
    while sources:
        # Whose statements wait for the other's is read later.
        side = min(sources, key=fold.waiting)
        statement = next(sources[side], None)
        if statement is None:
            del sources[side]
        else:
            fold.feed(side, statement)
    return fold.result()


class _Fold:
    def __init__(self, settings: Settings) -> None:
        self._ids = IdMap() if settings.renumber else None
        self._changes = Changes(self._ids)
        self._lanes: dict[Lane, LaneAligner] = {}
        self._counts: dict[Side, int] = {"a": 0, "b": 0}
        self._pings: dict[Side, int] = {"a": 0, "b": 0}
        self._waiting: dict[Side, int] = {"a": 0, "b": 0}
        self._same = self._changed = 0
        self._groups: dict[tuple[str, str, str], Differing] = {}
        self._one_sided: dict[tuple[str, Side], OneSided] = {}
        self._more_changes = self._more_one_sided = 0

    def waiting(self, side: Side) -> int:
        """How many statements of a side wait for the other's."""
        return self._waiting[side]

    def feed(self, side: Side, statement: Statement) -> None:
        """Take the next statement of a side."""
        (self._pings if statement.lane == PINGS else self._counts)[side] += 1
        self._waiting[side] += 1
        for pair in self._lane(statement.lane).feed(side, statement):
            self._take(pair)

    def result(self) -> Comparison:
        """The answer, when both sides have ended."""
        for lane in self._lanes.values():
            for pair in lane.finish():
                self._take(pair)
        differs = bool(self._groups or self._one_sided)
        verdict: Literal["same", "different", "undecided"] = "different" if differs else "same"
        if not (self._counts["a"] and self._counts["b"]):
            verdict = "undecided"
        guesses = [lane.guessed_from for lane in self._lanes.values()]
        guess = next((one for one in guesses if one is not None), None)
        return Comparison(
            verdict=verdict,
            statements_a=self._counts["a"],
            statements_b=self._counts["b"],
            pings_a=self._pings["a"],
            pings_b=self._pings["b"],
            same=self._same,
            changed=self._changed,
            changes=list(self._groups.values()),
            more_changes=self._more_changes,
            one_sided=list(self._one_sided.values()),
            more_one_sided=self._more_one_sided,
            guessed_side=None if guess is None else guess[0],
            guessed_from=None if guess is None else _where(guess[1]),
        )

    def _lane(self, lane: Lane) -> LaneAligner:
        if lane not in self._lanes:
            if len(self._lanes) >= _MAX_LANES:
                lane = ("call", "")
            if lane not in self._lanes:
                self._lanes[lane] = LaneAligner(self._alike, self._ids)
        return self._lanes[lane]

    def _alike(self, a: Statement, b: Statement) -> bool:
        return alike(a.value, b.value)

    def _take(self, pair: Pair) -> None:
        self._waiting["a"] -= pair.a is not None
        self._waiting["b"] -= pair.b is not None
        if pair.a is None or pair.b is None:
            alone = pair.a or pair.b
            assert alone is not None
            if alone.lane != PINGS:
                self._alone("b" if pair.a is None else "a", alone)
            return
        is_same = pair.same
        if not is_same:
            is_same = True
            for change in self._changes.between(pair.a.value, pair.b.value, pair.a.of):
                is_same = False
                self._differing(change, pair.a, pair.b)
        if pair.a.lane != PINGS:
            self._same += is_same
            self._changed += not is_same

    def _alone(self, side: Side, statement: Statement) -> None:
        key = (statement.kind, side)
        group = self._one_sided.get(key)
        if group is None:
            if len(self._one_sided) >= MAX_GROUPS:
                self._more_one_sided += 1
                return
            group = OneSided(kind=statement.kind, side=side, count=0, first=[])
        if group.count < LISTED_STATEMENTS:
            group.first.append(_where(statement))
        self._one_sided[key] = msgspec.structs.replace(group, count=group.count + 1)

    def _differing(self, change: Change, a: Statement, b: Statement) -> None:
        what: Literal["changed", "removed", "added"] = (
            "removed" if change.b is None else "added" if change.a is None else "changed"
        )
        key = (a.kind, what, change.place)
        group = self._groups.get(key)
        if group is not None:
            self._groups[key] = msgspec.structs.replace(group, count=group.count + 1)
        elif len(self._groups) >= MAX_GROUPS:
            self._more_changes += 1
        else:
            self._groups[key] = Differing(
                kind=a.kind, what=what, count=1, change=change, a=_where(a), b=_where(b)
            )


def _where(statement: Statement) -> Where:
    about = [one for one in statement.identity[1:] if not isinstance(one, str)]
    words = [f"{space} {number}" for space, number in about[:3]]
    words += [f"and {len(about) - 3} more"] if len(about) > 3 else []
    words += [one for one in statement.identity[1:] if isinstance(one, str)]
    return Where(
        seq=statement.seq,
        offset_ns=statement.offset_ns,
        connection=statement.connection,
        about=", ".join(words),
    )
