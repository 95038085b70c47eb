"""The work itself: rounds of the levels, tried by several processes at once, within limits."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterator
from typing import Literal, Protocol, TypeAlias

import msgspec
import trio

from replayer.minimise.levels import Level, levels
from replayer.minimise.plan import Plan, emptied, is_playable, whole
from replayer.minimise.trial import Outcome
from replayer.minimise.units import Units

__all__ = ["FIRST_TIMEOUT_S", "Minimiser", "Rule", "Stopped", "Store"]

FIRST_TIMEOUT_S = 600.0
"""How long the first trial may take, where nothing else is said; the others, by how long that
took."""

_TIMES_FIRST, _MORE_S = 3.0, 10.0

Stopped: TypeAlias = Literal[
    "minimal",
    "run limit",
    "time limit",
    "interrupted",
    "it does not fail",
    "it always fails",
    "flaky",
]
"""Why the work ended. ``it does not fail``: not with the whole recording. ``it always fails``: also
with the handshakes alone. ``flaky``: what is left did not fail when it was tried once more.
"""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """What counts as the failure that is looked for. A set ``timeout_s`` is how long a trial may
    take.
    """

    any_failure: bool = False
    timeout_s: float | None = None
    timeout_fails: bool = False
    says: bool = False
    """Whether a text has to stand in the output."""

    def is_failure(self, outcome: Outcome) -> bool:
        """Whether it is one at all."""
        if outcome.code is None:
            return self.timeout_fails
        return outcome.code != 0 and (outcome.says or not self.says)

    def is_same(self, outcome: Outcome, first: Outcome) -> bool:
        """Whether it is the failure that the whole recording gave."""
        return self.is_failure(outcome) and (self.any_failure or outcome.code == first.code)


class Store(Protocol):
    """Where outcomes are kept, by the keys of their plans."""

    def get(self, plan: str) -> Outcome | None:
        """What came of it, None if it was not tried."""

    def put(self, plan: str, outcome: Outcome) -> None:
        """This came of it."""


class Minimiser:
    """Looks for the least that fails.

    ``attempt`` tries a plan, in at most so many seconds; ``jobs`` of them run at once, and what
    comes out does not depend on how many. ``on_progress`` is called when something has changed.
    """

    def __init__(
        self,
        units: Units,
        payload_of: Callable[[int], bytes | None],
        attempt: Callable[[Plan, float], Awaitable[Outcome]],
        store: Store,
        rule: Rule,
        *,
        jobs: int = 1,
        max_runs: int | None = None,
        max_time_s: float | None = None,
        on_progress: Callable[[], None] = lambda: None,
    ) -> None:
        self.runs = 0
        """Trials that were begun."""
        self.from_store = 0
        """Trials that were not needed, as what comes of them was known before this work began."""
        self.level: Level | None = None
        self.best: Plan | None = None
        """The least so far that fails; None while nothing did."""
        self.first: Outcome | None = None
        """What came of the whole recording."""
        self.last_failure: Outcome | None = None
        """What came of :attr:`best` when it was tried last, in this work."""
        self._units = units
        self._payload_of = payload_of
        self._attempt = attempt
        self._store = store
        self._rule = rule
        self._jobs = jobs
        self._max_runs = max_runs
        self._max_time_s = max_time_s
        self._on_progress = on_progress
        self._scope = trio.CancelScope()
        self._stopped: Stopped | None = None
        self._own: set[str] = set()
        self._seen: set[str] = set()

    def stop(self, why: Stopped) -> None:
        """End the work now; :attr:`best` stays. Of two reasons the first counts."""
        if self._stopped is None:
            self._stopped = why
        self._scope.cancel()

    async def run(self) -> Stopped:
        """Do it; returns why it ended. Raises what ``attempt`` and the store raise."""
        if self._max_time_s is not None:
            self._scope.deadline = trio.current_time() + self._max_time_s
        done: Stopped | None = None
        with self._scope:
            done = await self._work()
        if done is not None:
            return done
        return self._stopped or "time limit"

    async def _work(self) -> Stopped:
        everything, nothing = whole(self._units), emptied(self._units)
        self.first = await self._outcome(everything)
        if not self._rule.is_failure(self.first):
            return "it does not fail"
        self._is_better(everything, self.first)
        if is_playable(self._units, nothing) and await self._fails(nothing):
            return "it always fails"
        going = levels(self._units, self._payload_of)
        try:
            round_ = next(going)
            while True:
                self.level = round_.level
                round_ = going.send(await self._first_failing(round_.plans))
        except StopIteration as done:
            self.best = done.value
        return await self._confirmed()

    async def _confirmed(self) -> Stopped:
        """Try what is left once more."""
        assert self.best is not None
        outcome = await self._try(self.best)
        assert self.first is not None
        if not self._rule.is_same(outcome, self.first):
            return "flaky"
        self.last_failure = outcome
        return "minimal"

    def _is_better(self, plan: Plan, outcome: Outcome) -> None:
        self.best = plan
        if plan.key in self._own:
            self.last_failure = outcome
        self._on_progress()

    async def _fails(self, plan: Plan) -> bool:
        assert self.first is not None
        return self._rule.is_same(await self._outcome(plan), self.first)

    async def _outcome(self, plan: Plan) -> Outcome:
        """What comes of a plan, from the store if it is there."""
        known = self._known(plan)
        if known is not None:
            return known
        outcome = await self._try(plan)
        self._store.put(plan.key, outcome)
        return outcome

    def _known(self, plan: Plan) -> Outcome | None:
        key = plan.key
        known = self._store.get(key)
        if known is not None and key not in self._own and key not in self._seen:
            self._seen.add(key)
            self.from_store += 1
        return known

    async def _try(self, plan: Plan) -> Outcome:
        if self._max_runs is not None and self.runs >= self._max_runs:
            self.stop("run limit")
            await trio.lowlevel.checkpoint()
        self.runs += 1
        self._on_progress()
        outcome = await self._attempt(plan, self._timeout_s())
        self._own.add(plan.key)
        return outcome

    def _timeout_s(self) -> float:
        if self._rule.timeout_s is not None:
            return self._rule.timeout_s
        if self.first is None:
            return FIRST_TIMEOUT_S
        return _TIMES_FIRST * self.first.took_s + _MORE_S

    async def _first_failing(self, plans: Iterator[Plan | None]) -> int | None:
        """The number of the first plan that fails, as if they were tried one after the other.

        Later ones are begun before it is known that they are needed; once one fails, those behind
        it are ended.
        """
        waiting = enumerate(plans)
        verdicts: dict[int, bool] = {}
        tried: dict[int, Plan] = {}
        ended, results = trio.open_memory_channel[tuple[int, bool]](math.inf)

        async def attempt(number: int, plan: Plan) -> None:
            ended.send_nowait((number, await self._fails(plan)))

        async with trio.open_nursery() as nursery:
            running = decided = 0
            is_exhausted = False
            while True:
                while running < self._jobs and not is_exhausted and True not in verdicts.values():
                    number, plan = next(waiting, (-1, None))
                    if number < 0:
                        is_exhausted = True
                    elif plan is None:
                        verdicts[number] = False
                    else:
                        tried[number] = plan
                        known = self._known(plan)
                        if known is None:
                            running += 1
                            nursery.start_soon(attempt, number, plan)
                        else:
                            assert self.first is not None
                            verdicts[number] = self._rule.is_same(known, self.first)
                    decided = _settled(verdicts, tried, decided)
                if verdicts.get(decided):
                    nursery.cancel_scope.cancel()
                    break
                if not running:
                    return None
                number, verdicts[number] = await results.receive()
                running -= 1
                decided = _settled(verdicts, tried, decided)
        best = tried[decided]
        outcome = self._store.get(best.key)
        assert outcome is not None
        self._is_better(best, outcome)
        return decided


def _settled(verdicts: dict[int, bool], tried: dict[int, Plan], decided: int) -> int:
    """The number of the first candidate that is not known to pass; those before are forgotten."""
    while verdicts.get(decided) is False:
        del verdicts[decided]
        tried.pop(decided, None)
        decided += 1
    return decided
