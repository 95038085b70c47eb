"""Which statement of one recording belongs to which of the other. Pure, in constant memory.

Strategy: while the next two of a lane mean the same they are a pair, and nothing more is looked at.
Where they do not, a window is opened on both sides and aligned in steps, each in what the one
before left between its pairs: first what means the same, then what is about the same object, then
what is about the same device, last what is alike. A step is a longest common subsequence
(Hunt and Szymanski 1977), so that what was put in is one statement more and not all of them others.
What is behind the last statement that means the same waits for what comes next. A window begins
small and grows while it finds little: most differences are small, and the largest window costs.
Where a full window has nothing that means the same, half of it is given away by a guess, and
remembered by its digests: if it comes on the other side later, that one is behind, and goes on
alone until it has caught up.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Final, Literal

import msgspec

from replayer.difference.statements import Statement
from replayer.difference.values import IdOf

__all__ = ["WINDOW", "WINDOW_BYTES", "IdMap", "LaneAligner", "Pair", "common"]

WINDOW: Final = 4096
"""So many statements of a lane are held on each side at most: a longer run that only one side has
is not seen as one."""

WINDOW_BYTES: Final = 16 * 1024 * 1024
"""So much JSON of a lane on each side, but one statement always."""

_FIRST_WINDOW: Final = 16
_GROWTH: Final = 4
_NEAR: Final = 32
"""Of what is there many times the n-th is paired with the n-th of the other side or one as near."""

_REMEMBERED: Final = 32_768
"""So many statements of each side that were given away by a guess are known again."""

_AGAIN: Final = 4
"""Of a side that is behind a quarter of a window was said before, or more."""

_MAX_IDS: Final = 65_536
_ALIKE_TRIED: Final = 4

Side = Literal["a", "b"]


class Pair(msgspec.Struct, frozen=True):
    """What belongs together. None stands where one side has nothing; both mean the same only if
    ``same`` says so."""

    a: Statement | None
    b: Statement | None
    same: bool = False


class IdMap:
    """Which id of one side is which of the other, one to one; the latest 65 536 of them."""

    def __init__(self) -> None:
        self._of_a: OrderedDict[IdOf, int] = OrderedDict()
        self._of_b: dict[IdOf, int] = {}

    def fit(self, a: IdOf, b: IdOf) -> bool:
        """Whether they are, or can be, the same."""
        return a[0] == b[0] and self._of_a.get(a, b[1]) == b[1] and self._of_b.get(b, a[1]) == a[1]

    def bind(self, a: IdOf, b: IdOf) -> bool:
        """Make them the same. False if one of them is another's already."""
        if not self.fit(a, b):
            return False
        # Put in anew, so that what was not seen for longest comes first.
        self._of_a.pop(a, None)
        self._of_b.pop(b, None)
        self._of_a[a], self._of_b[b] = b[1], a[1]
        if len(self._of_a) > _MAX_IDS:
            oldest, its_b = self._of_a.popitem(last=False)
            self._of_b.pop((oldest[0], its_b), None)
        return True

    def bind_all(self, a: Sequence[IdOf], b: Sequence[IdOf]) -> bool:
        """Bind them one by one. False, and nothing is bound, if they do not fit."""
        pairs = list(zip(a, b, strict=False))
        if len(a) != len(b) or not all(self.fit(*pair) for pair in pairs):
            return False
        # Two of them may contradict each other.
        if len(dict(pairs)) != len(set(pairs)) or len(set(pairs)) != len({y for _, y in pairs}):
            return False
        for pair in pairs:
            self.bind(*pair)
        return True

    def seen_from_b(self, side: Side, ids: Sequence[IdOf | str]) -> tuple[Hashable, ...]:
        """The ids as the other side can compare them: as b has them, and those that nobody knows as
        what they are of."""
        return tuple(one if isinstance(one, str) else self._translated(side, one) for one in ids)

    def _translated(self, side: Side, one: IdOf) -> Hashable:
        if side == "a":
            return (one[0], self._of_a[one]) if one in self._of_a else one[0]
        return one if one in self._of_b else one[0]


class LaneAligner:
    """Pairs up the statements of one lane, as they come.

    ``alike`` says whether two statements that are about different objects may still be the same,
    changed. ``ids`` is where ids may be others; it is shared by all lanes of a comparison.
    """

    def __init__(
        self,
        alike: Callable[[Statement, Statement], bool],
        ids: IdMap | None = None,
        *,
        window: int = WINDOW,
    ) -> None:
        self._alike = alike
        self._ids = ids
        self._window = window
        self._wanted = min(_FIRST_WINDOW, window)
        self._a: deque[Statement] = deque()
        self._b: deque[Statement] = deque()
        self._bytes = {"a": 0, "b": 0}
        self._passed: dict[Side, OrderedDict[bytes, None]] = {
            "a": OrderedDict(),
            "b": OrderedDict(),
        }
        self._behind: Side | None = None
        self._given_up: tuple[Side, Statement] | None = None
        self.guessed_from: tuple[Side, Statement] | None = None
        """The first one for which a counterpart may stand where it was not looked for, since a
        window was full of what has none."""

    def held(self, side: Side) -> int:
        """How many statements of a side wait."""
        return len(self._a if side == "a" else self._b)

    def feed(self, side: Side, statement: Statement) -> Iterator[Pair]:
        """Take one more; give the pairs that are settled. To be iterated to its end."""
        (self._a if side == "a" else self._b).append(statement)
        self._bytes[side] += len(statement.data)
        if self._given_up is not None and self._given_up[0] != side:
            self.guessed_from = self.guessed_from or self._given_up
        while self._a and self._b:
            if self._same(self._a[0], self._b[0]):
                yield self._taken(1, 1, same=True)
            elif self._is_full():
                yield from self._settle(last=False)
            else:
                return
        if self._is_over(side):
            # The other side says nothing here, yet.
            first = (self._a if side == "a" else self._b)[0]
            self._given_up = self._given_up or (side, first)
            half = max(1, self.held(side) // 2)
            for _ in range(half):
                yield self._taken(*((1, 0) if side == "a" else (0, 1)))

    def finish(self) -> Iterator[Pair]:
        """The pairs that are left."""
        while self._a or self._b:
            yield from self._settle(last=True)

    def _is_full(self) -> bool:
        if self._behind is not None:
            return self._is_over(self._behind)
        return (
            min(len(self._a), len(self._b)) >= self._wanted
            or self._is_over("a")
            or self._is_over("b")
        )

    def _is_over(self, side: Side) -> bool:
        held = self.held(side)
        return held >= self._window or (held > 1 and self._bytes[side] >= WINDOW_BYTES)

    def _taken(self, of_a: int, of_b: int, *, same: bool = False) -> Pair:
        a = self._a.popleft() if of_a else None
        b = self._b.popleft() if of_b else None
        self._bytes["a"] -= len(a.data) if a is not None else 0
        self._bytes["b"] -= len(b.data) if b is not None else 0
        return Pair(a, b, same)

    def _same(self, a: Statement, b: Statement) -> bool:
        if self._ids is None:
            return a.quick == b.quick or a.digest == b.digest
        return a.digest == b.digest and self._ids.bind_all(a.ids, b.ids)

    def _settle(self, *, last: bool) -> Iterator[Pair]:
        a, b = list(self._a), list(self._b)
        same = self._common(a, b, self._said)
        if not last:
            found_little = len(same) * 2 < min(len(a), len(b)) and self._wanted < self._window
            if found_little and not self._is_over("a") and not self._is_over("b"):
                self._wanted = min(self._wanted * _GROWTH, self._window)
                return
            self._wanted = min(_FIRST_WINDOW, self._window)
        self._behind = None if last or same else self._who_is_behind(a, b)
        if self._behind is not None:
            for one in a if self._behind == "a" else b:
                self._remember(self._behind, one)
                yield self._taken(*((1, 0) if self._behind == "a" else (0, 1)))
            return
        pairs = self._between(same, a, b, self._identity)
        if not last and not same and len(pairs) * 2 < min(len(a), len(b)):
            self.guessed_from = self.guessed_from or ("a", a[0])
        pairs = self._between(pairs, a, b, self._about)
        pairs = self._resembling(pairs, a, b)
        stop_a, stop_b = len(a), len(b)
        if not last:
            # Behind the last certain pair nothing is certain yet; without any, half of it must do.
            if same:
                stop_a, stop_b = same[-1][0] + 1, same[-1][1] + 1
            else:
                stop_a, stop_b = _half_of(pairs, len(a), len(b))
                for one in a[:stop_a]:
                    self._remember("a", one)
                for one in b[:stop_b]:
                    self._remember("b", one)
        for at_a, at_b in [*pairs, (stop_a, stop_b)]:
            if at_a > stop_a or at_b > stop_b:
                at_a, at_b = stop_a, stop_b
            while len(a) - len(self._a) < at_a:
                yield self._taken(1, 0)
            while len(b) - len(self._b) < at_b:
                yield self._taken(0, 1)
            if at_a < stop_a and at_b < stop_b:
                is_same = self._same(a[at_a], b[at_b])
                yield self._taken(1, 1, same=is_same)

    def _remember(self, side: Side, one: Statement) -> None:
        passed = self._passed[side]
        passed[one.digest] = None
        if len(passed) > _REMEMBERED:
            passed.popitem(last=False)

    def _who_is_behind(self, a: list[Statement], b: list[Statement]) -> Side | None:
        """The side that says now what the other one has said before; None if none does."""
        again_a = sum(one.digest in self._passed["b"] for one in a)
        again_b = sum(one.digest in self._passed["a"] for one in b)
        if again_a > again_b and again_a * _AGAIN >= len(a):
            return "a"
        if again_b > again_a and again_b * _AGAIN >= len(b):
            return "b"
        return None

    def _seen(self, side: Side, ids: Sequence[IdOf | str]) -> tuple[Hashable, ...]:
        return tuple(ids) if self._ids is None else self._ids.seen_from_b(side, ids)

    def _said(self, side: Side, one: Statement) -> Hashable:
        return one.digest, self._seen(side, one.ids)

    def _identity(self, side: Side, one: Statement) -> Hashable:
        return self._seen(side, one.identity)

    def _about(self, side: Side, one: Statement) -> Hashable:
        return self._seen(side, one.about)

    def _common(
        self,
        a: Sequence[Statement],
        b: Sequence[Statement],
        meaning: Callable[[Side, Statement], Hashable],
    ) -> list[tuple[int, int]]:
        return common([meaning("a", one) for one in a], [meaning("b", one) for one in b])

    def _between(
        self,
        pairs: list[tuple[int, int]],
        a: list[Statement],
        b: list[Statement],
        meaning: Callable[[Side, Statement], Hashable],
    ) -> list[tuple[int, int]]:
        """The pairs, with what has the same meaning between them."""
        found = []
        for (from_a, to_a), (from_b, to_b) in _gaps(pairs, len(a), len(b)):
            if from_a < to_a and from_b < to_b:
                inner = self._common(a[from_a:to_a], b[from_b:to_b], meaning)
                found += [(from_a + at_a, from_b + at_b) for at_a, at_b in inner]
        return sorted(pairs + found)

    def _resembling(
        self, pairs: list[tuple[int, int]], a: list[Statement], b: list[Statement]
    ) -> list[tuple[int, int]]:
        """The pairs, with what is of one kind and alike between them."""
        found = []
        for (from_a, to_a), (from_b, to_b) in _gaps(pairs, len(a), len(b)):
            for at_a in range(from_a, to_a):
                for at_b in range(from_b, min(to_b, from_b + _ALIKE_TRIED)):
                    if a[at_a].kind == b[at_b].kind and self._alike(a[at_a], b[at_b]):
                        found.append((at_a, at_b))
                        from_b = at_b + 1
                        break
        return sorted(pairs + found)


def _gaps(
    pairs: list[tuple[int, int]], size_a: int, size_b: int
) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    from_a = from_b = 0
    for at_a, at_b in [*pairs, (size_a, size_b)]:
        yield (from_a, at_a), (from_b, at_b)
        from_a, from_b = at_a + 1, at_b + 1


def _half_of(pairs: list[tuple[int, int]], size_a: int, size_b: int) -> tuple[int, int]:
    """Where to cut two windows that have nothing in common that is certain."""
    for at_a, at_b in reversed(pairs):
        if at_a * 2 <= size_a and at_b * 2 <= size_b:
            return at_a + 1, at_b + 1
    return (size_a + 1) // 2, (size_b + 1) // 2


def common(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[tuple[int, int]]:
    """The places of a longest common subsequence, in order.

    Of what is there more than once only neighbours are looked at, by their number among their
    equals; where that matters the result may be shorter than the longest. So the time is that of
    sorting, whatever repeats.

    >>> common("abcd", "acxd")
    [(0, 0), (2, 1), (3, 3)]
    """
    places: dict[Hashable, list[int]] = defaultdict(list)
    for at_b, one in enumerate(b):
        places[one].append(at_b)
    seen: dict[Hashable, int] = defaultdict(int)
    ends: list[int] = []
    """The least place in b that a subsequence of each length ends at."""
    links: list[tuple[int, int, int]] = []
    """Each pair that was used, with the number of the one before it."""
    last_link: list[int] = []
    for at_a, one in enumerate(a):
        there = places.get(one)
        if there is None:
            continue
        rank = seen[one]
        seen[one] = rank + 1
        near = there if len(there) <= _NEAR else there[max(0, rank - _NEAR) : rank + _NEAR + 1]
        for at_b in reversed(near):
            length = bisect_left(ends, at_b)
            if length < len(ends) and ends[length] == at_b:
                continue
            links.append((at_a, at_b, last_link[length - 1] if length else -1))
            if length == len(ends):
                ends.append(at_b)
                last_link.append(len(links) - 1)
            else:
                ends[length] = at_b
                last_link[length] = len(links) - 1
    found = []
    at = last_link[-1] if last_link else -1
    while at >= 0:
        at_a, at_b, at = links[at]
        found.append((at_a, at_b))
    return found[::-1]
