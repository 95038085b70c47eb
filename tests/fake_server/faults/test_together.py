"""What holds for all faults: whatever they are handed, combined in any way, on any schedule."""

from __future__ import annotations

import math
import re
import typing
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_server.faults import (
    FAULTS,
    FaultBoard,
    Schedule,
    fault_type,
    injection_from,
    parse_injection,
)
from fake_server.faults.base import Finish, MessageFault, MomentFault, Send, Stall, Step
from recorder.wire.frames import Frame, Opcode
from tests.fake_server.faults.support import injections, line_of, ping, sent, steps_of, texts
from tests.fake_server.support import BEACONS, DEVICES, MOVED, POSITION, TIMEOUT
from tests.profiles import examples

ON_SOCKETS = [name for name in FAULTS if issubclass(fault_type(name), MessageFault | MomentFault)]

VALUES: dict[Any, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    int: st.integers(0, 8) | st.integers(0, 70_000),
    float: st.floats(0, 4),
    str: st.sampled_from(["id", "name", "attributes.floor", "positions", "~", "", "ä"]),
}


def values_of(hint: Any) -> st.SearchStrategy[Any]:
    return VALUES[hint] if hint in VALUES else st.sampled_from(typing.get_args(hint))


def is_valid(values: dict[str, Any]) -> bool:
    try:
        injection_from(values)
    except ValueError:
        return False
    return True


def of_fault(name: str) -> st.SearchStrategy[dict[str, Any]]:
    """The fault with any of its fields set, and a schedule now and then."""
    kind = fault_type(name)
    hints = typing.get_type_hints(kind)
    own = {field: values_of(hints[field]) for field in kind.__struct_fields__}
    needed = {field: own.pop(field) for field in kind.__struct_fields__ if field == "key"}
    schedule = {
        "after": st.integers(0, 3),
        "count": st.integers(0, 3),
        "probability": st.floats(0, 1),
        "kinds": st.lists(st.sampled_from(["PING", "positions", "control", "fragment", "close"])),
    }
    always = {"fault": st.just(name), **needed}
    return st.fixed_dictionaries(always, optional={**own, **schedule}).filter(is_valid)


some_faults = st.lists(st.sampled_from(ON_SOCKETS).flatmap(of_fault), max_size=5)

payloads = st.sampled_from([DEVICES, BEACONS, POSITION, MOVED, TIMEOUT, b"{}", b""]) | st.binary(
    max_size=300
)
frames = st.builds(
    Frame.make,
    st.integers(0, 15),
    payloads,
    fin=st.booleans(),
    rsv=st.integers(0, 7),
    mask=st.none() | st.binary(min_size=4, max_size=4),
).map(lambda frame: Send(data=frame.serialize()))
some_sends = st.lists(
    payloads.map(lambda payload: texts(payload)[0])
    | frames
    | st.builds(ping, st.uuids().map(str), live=st.booleans())
    | st.builds(Send, data=st.binary(max_size=20), whole=st.booleans()),
    max_size=8,
)


def run(faults: list[dict[str, Any]], sends: list[Send], seed: int = 0) -> list[Step]:
    """All that becomes of the messages, a second between any two; then the faults are taken
    away.
    """
    line = line_of(*faults, seed=seed)
    steps: list[Step] = []
    for at_s, send in enumerate(sends):
        steps += [*line.feed(send, at_s), *line.tick(at_s + 0.5)]
    return [*steps, *line.set({})]


@given(some_faults, some_sends)
@settings(max_examples=examples(120))
def test_any_combination_takes_anything(faults: list[dict[str, Any]], sends: list[Send]) -> None:
    for step in run(faults, sends):
        assert isinstance(step, Step)
        assert 0 <= step.delay_s < math.inf


@pytest.mark.parametrize("name", ON_SOCKETS)
@given(st.data())
@settings(max_examples=examples(15))
def test_each_takes_anything(name: str, data: st.DataObject) -> None:
    run([data.draw(of_fault(name))], data.draw(some_sends))


@given(some_faults, some_sends, st.integers())
@settings(max_examples=examples(100))
def test_the_same_seed_gives_the_same_steps(
    faults: list[dict[str, Any]], sends: list[Send], seed: int
) -> None:
    assert run(faults, sends, seed) == run(faults, sends, seed)


@pytest.mark.parametrize("never", [{"probability": 0.0}, {"after": 1000}, {"at_s": 1e6}])
@given(faults=some_faults, sends=some_sends)
@settings(max_examples=examples(60))
def test_what_never_strikes_touches_nothing(
    never: dict[str, Any], faults: list[dict[str, Any]], sends: list[Send]
) -> None:
    faults = [fault | never for fault in faults]
    assert run(faults, sends) == sends


@given(some_faults, some_sends)
@settings(max_examples=examples(100))
def test_a_live_ping_is_expected_only_of_steps_that_send_its_end(
    faults: list[dict[str, Any]], sends: list[Send]
) -> None:
    live = {send.ping for send in sends if send.ping is not None}
    for step in run(faults, sends):
        if isinstance(step, Send) and step.ping is not None:
            assert step.ping in live
            assert step.data


# Schedules

schedules = st.fixed_dictionaries(
    {},
    optional={
        "after": st.integers(0, 6),
        "count": st.integers(0, 4),
        "at_s": st.integers(0, 8),
        "until_s": st.integers(9, 15),
    },
)


@given(schedules, st.lists(st.integers(0, 3), max_size=12))
@settings(max_examples=examples(200))
def test_every_condition_must_hold(schedule: dict[str, Any], pauses_s: list[int]) -> None:
    line = line_of({"fault": "delay", "delay_s": 1.0, **schedule})
    at_s = struck = 0
    for number, pause_s in enumerate(pauses_s):
        at_s += pause_s
        (step,) = line.feed(texts(POSITION)[0], at_s)
        expected = (
            number >= schedule.get("after", 0)
            and schedule.get("at_s", 0) <= at_s < schedule.get("until_s", math.inf)
            and not (schedule.get("count", 0) and struck == schedule["count"])
        )
        assert step.delay_s == float(expected)
        struck += expected


@given(st.sets(st.integers(1, 5)), st.integers(1, 5))
@settings(max_examples=examples(30))
def test_sockets_are_those_named_or_all(numbers: set[int], socket: int) -> None:
    line = line_of({"fault": "loss", "sockets": sorted(numbers)}, socket=socket)
    is_struck = not numbers or socket in numbers
    assert steps_of(line, texts(POSITION)) == ([] if is_struck else texts(POSITION))
    assert bool(line) == is_struck


def test_kinds_are_those_named_and_only_they_are_counted() -> None:
    line = line_of("loss:kinds=positions+webSessionTimeout,after=1")
    sends = texts(DEVICES, POSITION, DEVICES, MOVED, BEACONS, TIMEOUT)
    assert steps_of(line, sends) == texts(DEVICES, POSITION, DEVICES, BEACONS)


def test_probability_is_of_each_message() -> None:
    steps = steps_of(line_of("loss:probability=0.25"), texts(*[POSITION] * 1000))
    assert 700 < len(steps) < 800
    other = steps_of(line_of("delay:probability=0.25", seed=1), texts(*[POSITION] * 100))
    again = steps_of(line_of("delay:probability=0.25", seed=2), texts(*[POSITION] * 100))
    assert other != again


def test_sockets_have_chances_of_their_own() -> None:
    one, two = (
        steps_of(line_of("delay:probability=0.5", socket=socket), texts(*[POSITION] * 100))
        for socket in (1, 2)
    )
    assert one != two


def test_a_moment_comes_once_or_as_often_as_told() -> None:
    sends = texts(*[POSITION] * 5)
    once, thrice, always = (
        [isinstance(step, Stall) for step in steps_of(line_of(f"stall{told}"), sends)]
        for told in ("", ":count=3", ":count=0")
    )
    assert (sum(once), sum(thrice), sum(always)) == (1, 3, 5)


@pytest.mark.parametrize("other", ["chunking:size_bytes=5", "fragmentation:pieces=9", "duplicate"])
def test_a_moment_counts_messages_whatever_they_became(other: str) -> None:
    steps = steps_of(line_of("close:after=2", other), texts(DEVICES, POSITION, MOVED))
    end = next(index for index, step in enumerate(steps) if isinstance(step, Finish))
    untouched = sent(steps_of(line_of(other), texts(DEVICES, POSITION)))
    assert sent(steps[:end]) == untouched


def test_a_moment_counts_what_goes_out() -> None:
    steps = steps_of(line_of("loss:count=2", "stall:after=1"), texts(*[POSITION] * 4))
    assert [type(step) for step in steps] == [Send, Stall, Send]


def test_a_moment_of_the_clock_needs_no_message_and_comes_once() -> None:
    line = line_of("stall:at_s=5")
    assert line.due_s == 5
    assert line.tick(4.9) == []
    assert steps_of(line, texts(POSITION), at_s=4.9) == texts(POSITION)
    assert line.tick(5) == [Stall()]
    assert line.due_s == math.inf
    assert line.tick(6) == []


def test_a_moment_that_is_named_by_messages_too_waits_for_one() -> None:
    line = line_of("stall:at_s=5,after=1")
    assert line.due_s == math.inf
    assert line.tick(9) == []
    (send,) = texts(POSITION)
    assert steps_of(line, [send, send], at_s=9) == [send, Stall(), send]


def test_control_frames_are_struck_only_where_they_are_named() -> None:
    control = Send(data=Frame.make(Opcode.PING).serialize())
    assert steps_of(line_of("loss"), [control]) == [control]
    assert steps_of(line_of("delay:delay_s=1,kinds=control"), [control])[0].delay_s == 1


def test_a_fault_that_is_taken_away_leaves_the_others_as_far_as_they_came() -> None:
    line = line_of("loss:count=1", "duplicate:after=2")
    assert steps_of(line, texts(POSITION, DEVICES)) == texts(DEVICES)
    (_, second) = injections(["loss:count=1", "duplicate:after=2"])
    assert line.set({2: second}) == []
    assert steps_of(line, texts(MOVED, BEACONS)) == texts(MOVED, BEACONS, BEACONS)


def test_a_board_gives_numbers_and_tells_of_changes() -> None:
    board = FaultBoard(injections(["loss"]))
    changes: list[int] = []
    board.on_change = lambda: changes.append(len(board.injections))
    assert board.add(injections(["stall"])[0]) == 2
    assert board.remove(1)
    assert not board.remove(1)
    assert list(board.injections) == [2]
    board.clear()
    assert board.add(injections(["fin"])[0]) == 3
    assert changes == [2, 1, 0, 1]


def test_the_first_fault_of_a_handshake_that_strikes_answers_it() -> None:
    board = FaultBoard(injections(["refusal:status=500,count=1", "refusal:status=403", "silence"]))
    assert [getattr(board.handshake(0.0, 1), "status", None) for _ in range(3)] == [500, 403, 403]


@pytest.mark.parametrize(
    "values",
    [
        {"after": -1},
        {"count": -1},
        {"at_s": -1.0},
        {"at_s": math.nan},
        {"at_s": 5.0, "until_s": 5.0},
        {"probability": 1.5},
        {"probability": math.nan},
        {"sockets": [0]},
    ],
)
def test_an_impossible_schedule_is_named(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"loss: {list(values)[-1]} = .*expected"):
        injection_from({"fault": "loss", **values})


def test_an_unknown_fault_or_field_is_named() -> None:
    with pytest.raises(ValueError, match="no fault 'lag'; there are broken-json, "):
        injection_from({"fault": "lag"})
    with pytest.raises(ValueError, match="delay has no field 'delay_ms'; did you mean 'delay_s'"):
        injection_from({"fault": "delay", "delay_ms": 1})
    with pytest.raises(ValueError, match="expected 'fault', the name of one"):
        injection_from({})
    with pytest.raises(ValueError, match="delay: 'delay_s' is no field=value"):
        injections(["delay:delay_s"])


@pytest.mark.parametrize("name", FAULTS)
@given(st.data())
@settings(max_examples=examples(20))
def test_an_injection_survives_its_way_as_an_object(name: str, data: st.DataObject) -> None:
    injection = injection_from(data.draw(of_fault(name)))
    assert injection_from(injection.to_builtins()) == injection


def test_the_default_schedule_is_left_out_of_the_object() -> None:
    (injection,) = injections(["close:code=4000,after=2"])
    assert injection.to_builtins() == {"fault": "close", "code": 4000, "reason": "", "after": 2}
    assert injection.schedule == Schedule(after=2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cloze", "there is no fault 'cloze'; did you mean 'close'?"),
        ("nonsense", "there is no fault 'nonsense'; there are broken-json, "),
        ("close:code=abc", "close: code = 'abc': expected int, got str"),
        ("field-null", "field-null: expected the field `key`"),
        ("close:code=1,code=2", "close: code is given twice"),
        ("stall:sockets=1,3", "stall: '3' is no field=value; a list has + between"),
    ],
)
def test_what_is_wrong_with_a_fault_is_told_in_words_of_its_own(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        parse_injection(text)


def test_a_strike_that_changes_nothing_is_not_counted() -> None:
    board = FaultBoard([parse_injection("field-null:key=nosuch"), parse_injection("duplicate")])
    line = board.line_for(1)
    line.set(board.injections)
    line.feed(Send(data=b"\x81\x02{}"), 0.0)
    assert (board.struck(1), board.struck(2)) == (0, 1)
