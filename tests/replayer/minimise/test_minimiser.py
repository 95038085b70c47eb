"""The whole work over recordings, with simulated commands: what is left, in what order and how
often it is tried.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from replayer.minimise.minimiser import Minimiser, Rule
from replayer.minimise.payloads import nodes_of, without
from replayer.minimise.plan import Plan, emptied, whole
from replayer.minimise.trial import CannotTry, Outcome
from replayer.minimise.working_copy import WorkingCopy
from tests.fake_server.support import said, upgrade
from tests.profiles import examples
from tests.replayer.minimise.support import positions, socket_of, texts_of, working_copy
from tests.replayer.recordings import session


class Simulated:
    """A command that is simulated: ``verdict`` is given what the server says in a plan's recording.

    Every trial takes another time, so that trials that run at once end in any order.
    """

    def __init__(
        self,
        copy: WorkingCopy,
        folder: Path,
        verdict: Callable[[list[Any]], int | None],
        **settings: Any,
    ) -> None:
        self.copy = copy
        self.folder = folder
        self.verdict = verdict
        self.tried: list[str] = []
        self.running = self.most_at_once = 0
        self.known: dict[str, Outcome] = {}
        self.settings = settings
        self.path = folder / "candidate.track.jsonl"

    async def attempt(self, plan: Plan, timeout_s: float) -> Outcome:
        texts = self.texts(plan)
        self.tried.append(plan.key)
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        took_s = random.Random(plan.key).uniform(0.1, 2)
        try:
            await trio.sleep(took_s)
        finally:
            self.running -= 1
        return Outcome(self.verdict(texts), True, took_s, f"{len(texts)} messages")

    def get(self, plan: str) -> Outcome | None:
        return self.known.get(plan)

    def put(self, plan: str, outcome: Outcome) -> None:
        assert plan not in self.known
        self.known[plan] = outcome

    def minimiser(self, **more: Any) -> Minimiser:
        rule = more.pop("rule", Rule())
        return Minimiser(
            self.copy.units,
            self.copy.payload_of,
            self.attempt,
            self,
            rule,
            **{**self.settings, **more},
        )

    def texts(self, plan: Plan) -> list[Any]:
        """What the server says in a plan, without the writing of files."""
        found = []
        for unit in plan.units:
            payload = self.copy.payload_of(unit)
            if payload is not None:
                text = without(payload, nodes_of(payload), plan.cuts.get(unit, ()))
                found.append(json.loads(text))
        return found

    def left(self, minimiser: Minimiser) -> list[Any]:
        assert minimiser.best is not None
        self.copy.write(minimiser.best, self.path, hasty=True, meta={})
        texts = texts_of(self.path)
        self.path.unlink()
        assert texts == self.texts(minimiser.best)
        return texts


def has_null_rssi(texts: list[Any]) -> int:
    return int(
        any("rssi" in p and p["rssi"] is None for t in texts for p in t.get("positions", []))
    )


async def test_of_300_messages_one_field_of_one_object_of_one_is_left(autojump_clock: Any) -> None:
    with working_copy(socket_of(positions(300, culprits=[137]))) as (copy, folder):
        simulated = Simulated(copy, folder, has_null_rssi)
        minimiser = simulated.minimiser()
        assert await minimiser.run() == "minimal"
        assert simulated.left(minimiser) == [{"positions": [{"rssi": None}]}]
        assert minimiser.runs <= 36
        assert len(simulated.tried) == len(set(simulated.tried)) + 1, (
            "only the last one is repeated"
        )


@settings(max_examples=examples(15))
@given(st.sets(st.integers(0, 39), min_size=1, max_size=3), st.integers(2, 5))
def test_what_is_left_does_not_depend_on_how_many_run_at_once(needed: set[int], jobs: int) -> None:
    def verdict(texts: list[Any]) -> int:
        ids = {p.get("id") for text in texts for p in text.get("positions", [])}
        return int(all(2 * one in ids for one in needed))

    async def run_both() -> None:
        with working_copy(socket_of(positions(40))) as (copy, folder):
            found = []
            for number in (1, jobs):
                simulated = Simulated(copy, folder, verdict)
                minimiser = simulated.minimiser(jobs=number)
                assert await minimiser.run() == "minimal"
                assert minimiser.best is not None
                found.append(minimiser.best)
                assert simulated.most_at_once <= number
                assert simulated.running == 0
            assert found[0].key == found[1].key
            assert simulated.left(minimiser) == [
                {"positions": [{"id": 2 * one}]} for one in sorted(needed)
            ]

    trio.run(run_both, clock=trio.testing.MockClock(autojump_threshold=0))


async def test_jobs_run_at_once(autojump_clock: Any) -> None:
    with working_copy(socket_of(positions(40, culprits=[30]))) as (copy, folder):
        simulated = Simulated(copy, folder, has_null_rssi)
        await simulated.minimiser(jobs=2).run()
        assert simulated.most_at_once == 2


async def test_a_failure_of_another_code_is_another_failure(autojump_clock: Any) -> None:
    """Without the messages before 7 it fails with 3, with them with 1."""

    def verdict(texts: list[Any]) -> int:
        ids = [p.get("id") for text in texts for p in text.get("positions", [])]
        return 0 if 14 not in ids else 1 if 0 in ids else 3

    with working_copy(socket_of(positions(10))) as (copy, folder):
        same = Simulated(copy, folder, verdict)
        minimiser = same.minimiser()
        await minimiser.run()
        assert same.left(minimiser) == [{"positions": [{"id": 0}]}, {"positions": [{"id": 14}]}]
        any_ = Simulated(copy, folder, verdict)
        minimiser = any_.minimiser(rule=Rule(any_failure=True))
        await minimiser.run()
        assert any_.left(minimiser) == [{"positions": [{"id": 14}]}]


@pytest.mark.parametrize(
    ("rule", "outcome", "is_failure"),
    [
        (Rule(), Outcome(0, True, 1), False),
        (Rule(), Outcome(1, False, 1), True),
        (Rule(), Outcome(139, False, 1), True),
        (Rule(), Outcome(None, False, 1), False),
        (Rule(timeout_fails=True), Outcome(None, False, 1), True),
        (Rule(says=True), Outcome(1, False, 1), False),
        (Rule(says=True), Outcome(1, True, 1), True),
        (Rule(says=True), Outcome(0, True, 1), False),
    ],
)
def test_what_a_failure_is(rule: Rule, outcome: Outcome, is_failure: bool) -> None:
    assert rule.is_failure(outcome) is is_failure


async def test_a_command_that_does_not_fail_is_run_once(autojump_clock: Any) -> None:
    with working_copy(socket_of(positions(10))) as (copy, folder):
        minimiser = Simulated(copy, folder, lambda texts: 0).minimiser()
        assert await minimiser.run() == "it does not fail"
        assert (minimiser.runs, minimiser.best) == (1, None)


async def test_a_command_that_always_fails_is_run_twice(autojump_clock: Any) -> None:
    with working_copy(socket_of(positions(10))) as (copy, folder):
        minimiser = Simulated(copy, folder, lambda texts: 1).minimiser()
        assert await minimiser.run() == "it always fails"
        assert minimiser.runs == 2


async def test_a_result_that_passes_when_it_is_tried_again_is_flaky(autojump_clock: Any) -> None:
    with working_copy(socket_of(positions(10, culprits=[3]))) as (copy, folder):
        simulated = Simulated(copy, folder, has_null_rssi)
        again: set[int] = set()

        def verdict(texts: list[Any]) -> int:
            if simulated.tried[-1] in simulated.tried[:-1]:
                again.add(len(texts))
                return 0
            return has_null_rssi(texts)

        simulated.verdict = verdict
        minimiser = simulated.minimiser()
        assert await minimiser.run() == "flaky"
        assert again == {1}
        assert simulated.left(minimiser) == [{"positions": [{"rssi": None}]}]


@pytest.mark.parametrize("limit", [{"max_runs": 5}, {"max_time_s": 6.0}])
async def test_at_a_limit_the_least_so_far_is_kept(
    limit: dict[str, Any], autojump_clock: Any
) -> None:
    with working_copy(socket_of(positions(100, culprits=[80]))) as (copy, folder):
        simulated = Simulated(copy, folder, has_null_rssi)
        minimiser = simulated.minimiser(**limit)
        assert await minimiser.run() == ("run limit" if "max_runs" in limit else "time limit")
        assert "max_runs" not in limit or minimiser.runs == 5
        left = simulated.left(minimiser)
        assert 1 < len(left) < 100
        assert has_null_rssi(left)
        assert simulated.running == 0


async def test_what_was_known_before_is_not_run_again(autojump_clock: Any) -> None:
    with working_copy(socket_of(positions(100, culprits=[80]))) as (copy, folder):
        first = Simulated(copy, folder, has_null_rssi)
        await first.minimiser(max_runs=7).run()
        second = Simulated(copy, folder, has_null_rssi)
        second.known = first.known
        minimiser = second.minimiser()
        assert await minimiser.run() == "minimal"
        assert minimiser.from_store == 7
        assert set(first.tried).isdisjoint(second.tried)
        assert second.left(minimiser) == [{"positions": [{"rssi": None}]}]


async def test_a_trial_may_take_three_times_as_long_as_the_first(autojump_clock: Any) -> None:
    given_s: list[float] = []
    with working_copy(socket_of(positions(4, culprits=[3]))) as (copy, folder):
        simulated = Simulated(copy, folder, has_null_rssi)

        async def attempt(plan: Plan, timeout_s: float) -> Outcome:
            given_s.append(timeout_s)
            outcome = await Simulated.attempt(simulated, plan, timeout_s)
            return Outcome(outcome.code, True, 7.0)

        simulated.attempt = attempt  # type: ignore[method-assign]
        await simulated.minimiser().run()
        assert set(given_s) == {600.0, 31.0}
        given_s.clear()
        simulated.known.clear()
        await simulated.minimiser(rule=Rule(timeout_s=2.5)).run()
        assert set(given_s) == {2.5}


async def test_what_keeps_trials_from_running_ends_the_work(autojump_clock: Any) -> None:
    with working_copy(socket_of(positions(10, culprits=[3]))) as (copy, folder):
        simulated = Simulated(copy, folder, has_null_rssi)

        def verdict(texts: list[Any]) -> int:
            if len(simulated.tried) == 4:
                raise CannotTry("no")
            return has_null_rssi(texts)

        simulated.verdict = verdict
        with pytest.raises(BaseExceptionGroup) as caught:
            await simulated.minimiser(jobs=2).run()
        assert caught.group_contains(CannotTry)


async def test_connections_that_are_not_needed_go_with_all_they_have(autojump_clock: Any) -> None:
    entries = []
    for connection in (2, 3, 4):
        entries += upgrade(connection, connection)
        for message in positions(4, culprits=[2] if connection == 3 else []):
            entries.append(said(message, connection, connection=connection))
    with working_copy(entries) as (copy, folder):
        simulated = Simulated(copy, folder, has_null_rssi)
        minimiser = simulated.minimiser()
        assert await minimiser.run() == "minimal"
        assert minimiser.best is not None
        assert minimiser.best.sockets == {1}
        assert simulated.left(minimiser) == [{"positions": [{"rssi": None}]}]


@settings(max_examples=examples(30))
@given(st.integers(0, 1000), st.sampled_from([0.2, 0.6]))
def test_whatever_it_depends_on_no_entry_object_or_field_can_be_left_out(
    seed: int, share: float
) -> None:
    async def run() -> None:
        with working_copy(socket_of(positions(5))) as (copy, folder):
            everything, nothing = whole(copy.units).key, emptied(copy.units).key

            async def attempt(plan: Plan, timeout_s: float) -> Outcome:
                chance = random.Random(f"{seed} {plan.key}").random() < share
                fails = plan.key == everything or (chance and plan.key != nothing)
                return Outcome(int(fails), True, 0.0)

            simulated = Simulated(copy, folder, has_null_rssi)
            simulated.attempt = attempt  # type: ignore[method-assign]
            minimiser = simulated.minimiser()
            assert await minimiser.run() == "minimal"
            best = minimiser.best
            assert best is not None
            assert (await attempt(best, math.inf)).code == 1
            for unit in best.units:
                units = [one for one in best.units if one != unit]
                cuts = {one: cut for one, cut in best.cuts.items() if one != unit}
                assert (await attempt(Plan(best.sockets, units, cuts), math.inf)).code == 0

    trio.run(run)


async def test_a_field_goes_and_the_numbers_beside_it_stay_as_written(autojump_clock: Any) -> None:
    message = b'{"positions":[{"id":1,"speed":100.0,"x":{"y":1e2,"z":[1,2]}}]}~{"events":[]}'

    with working_copy(socket_of([message])) as (copy, folder):
        simulated = Simulated(copy, folder, lambda texts: 0)

        async def attempt(plan: Plan, timeout_s: float) -> Outcome:
            copy.write(plan, simulated.path, hasty=True, meta={})
            data = simulated.path.read_bytes()
            simulated.path.unlink()
            return Outcome(int(b"100.0" in data and b"1e2" in data), True, 0.1)

        simulated.attempt = attempt  # type: ignore[method-assign]
        minimiser = simulated.minimiser()
        assert await minimiser.run() == "minimal"
        assert minimiser.best is not None
        copy.write(minimiser.best, simulated.path, hasty=True, meta={})
        assert (
            rb"{\"positions\":[{\"speed\":100.0,\"x\":{\"y\":1e2}}]}" in simulated.path.read_bytes()
        )


async def test_a_whole_session_is_tried_without_trouble(autojump_clock: Any) -> None:
    """Proxied REST, a note, control frames, torn bytes: whatever is there, something is left."""
    with working_copy(session()) as (copy, folder):
        simulated = Simulated(copy, folder, lambda texts: 0)

        async def attempt(plan: Plan, timeout_s: float) -> Outcome:
            copy.write(plan, simulated.path, hasty=True, meta={})
            data = simulated.path.read_bytes()
            simulated.path.unlink()
            return Outcome(int(b"quickstart-guide-beacon-2" in data), True, 0.1)

        simulated.attempt = attempt  # type: ignore[method-assign]
        minimiser = simulated.minimiser()
        assert await minimiser.run() == "minimal"
        (left,) = simulated.left(minimiser)
        assert left == {"positions": [{"beaconName": "quickstart-guide-beacon-2"}]}
