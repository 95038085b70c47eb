"""The search alone, against oracles: what it finds, in how many runs."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from replayer.minimise.search import Search, minimal, one_minimal
from tests.profiles import examples


class Tried:
    """A search, answered by an oracle; each set is asked about once."""

    def __init__(self, search: Search, fails: Callable[[frozenset[int]], bool]) -> None:
        self.verdicts: dict[frozenset[int], bool] = {}
        self.failed: list[list[int]] = []
        try:
            candidates = next(search)
            while True:
                first = None
                for number, candidate in enumerate(candidates):
                    kept = frozenset(candidate)
                    assert sorted(kept) == candidate, "in order, each once"
                    if kept not in self.verdicts:
                        self.verdicts[kept] = fails(kept)
                    if self.verdicts[kept]:
                        self.failed.append(candidate)
                        first = number
                        break
                candidates = search.send(first)
        except StopIteration as done:
            self.left: list[int] = done.value

    @property
    def runs(self) -> int:
        return len(self.verdicts)


@st.composite
def culprits(draw: st.DrawFn) -> tuple[int, frozenset[int]]:
    items = draw(st.integers(1, 5000))
    return items, frozenset(draw(st.sets(st.integers(0, items - 1), min_size=1, max_size=4)))


@settings(max_examples=examples(150))
@given(culprits())
def test_what_is_needed_together_is_found_and_nothing_else(
    some: tuple[int, frozenset[int]],
) -> None:
    items, needed = some
    tried = Tried(minimal(list(range(items))), needed.issubset)
    assert tried.left == sorted(needed)
    assert tried.runs <= len(needed) * (2 * math.ceil(math.log2(items + 1)) + 2) + 2


def test_one_culprit_in_200_000_is_found_in_36_runs_at_most() -> None:
    chosen = random.Random(1).sample(range(200_000), 8)
    for needed in ([0], [199_999], *([one] for one in chosen)):
        tried = Tried(minimal(list(range(200_000))), frozenset(needed).issubset)
        assert tried.left == needed
        assert tried.runs <= 37


def test_runs_for_one_culprit_become_shorter_by_half() -> None:
    tried = Tried(minimal(list(range(1 << 14))), frozenset([5000]).issubset)
    played = sum(len(kept) for kept in tried.verdicts)
    assert played < 2 * (1 << 14)


@settings(max_examples=examples(100))
@given(st.integers(1, 60), st.data())
def test_a_state_that_many_build_is_left_with_as_many_as_it_takes(
    items: int, data: st.DataObject
) -> None:
    builders = frozenset(data.draw(st.sets(st.integers(0, items - 1), min_size=1)))
    enough = data.draw(st.integers(1, len(builders)))
    tried = Tried(minimal(list(range(items))), lambda kept: len(kept & builders) >= enough)
    assert len(tried.left) == enough
    assert builders.issuperset(tried.left)
    assert tried.runs <= 4 * items + 4


@settings(max_examples=examples(200))
@given(st.integers(0, 24), st.integers(0, 1000), st.sampled_from([0.1, 0.5, 0.9]))
def test_whatever_it_depends_on_no_single_one_can_be_left_out(
    items: int, seed: int, share: float
) -> None:
    everything = frozenset(range(items))

    def fails(kept: frozenset[int]) -> bool:
        return kept == everything or random.Random(f"{seed} {sorted(kept)}").random() < share

    for search in (minimal, one_minimal):
        tried = Tried(search(list(range(items))), fails)
        assert fails(frozenset(tried.left))
        if tried.left:
            assert not any(fails(frozenset(tried.left) - {one}) for one in tried.left)


@settings(max_examples=examples(100))
@given(culprits())
def test_what_fails_is_part_of_what_failed_before_and_the_last_one_is_left(
    some: tuple[int, frozenset[int]],
) -> None:
    items, needed = some
    tried = Tried(minimal(list(range(items))), needed.issubset)
    before = list(range(items))
    for failed in tried.failed:
        assert set(failed) <= set(before)
        before = failed
    assert tried.left == before


def test_where_nothing_is_needed_one_run_tells() -> None:
    tried = Tried(minimal([1, 2, 3]), lambda kept: True)
    assert (tried.left, tried.runs) == ([], 1)


def test_one_thing_that_hides_the_failure_does_not_keep_it_from_being_found() -> None:
    """Fails with 7, but with 3 only where 4 is there, too."""

    def fails(kept: frozenset[int]) -> bool:
        return 7 in kept and (3 not in kept or 4 in kept)

    assert Tried(minimal(list(range(10))), fails).left == [7]
