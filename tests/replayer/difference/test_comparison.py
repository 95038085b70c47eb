"""Two recordings compared by meaning: what differs is named, and nothing else."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from recorder.model import AnyEntry, Closed, Entry, FrameEntry
from recorder.wire.frames import Opcode
from replayer.difference.alignment import WINDOW, common
from replayer.difference.comparison import LISTED_STATEMENTS, MAX_GROUPS, compare
from replayer.difference.ignored import pointer
from replayer.difference.statements import Settings
from replayer.playing.rebase import rebase_payload
from tests.profiles import examples
from tests.replayer.difference.conversations import (
    DATE,
    call,
    compared,
    leaves,
    lines_of,
    messages,
    mirrored,
    put,
    said,
    value_at,
)
from tests.replayer.recordings import UUID_1, UUID_2, frame, message, numbered, ping, session
from tests.replayer.traffic import rude

SOME = st.integers(0, 10**9)


@settings(max_examples=examples(60))
@given(messages(least=1), st.booleans())
def test_what_is_said_again_means_the_same(said_once: list[Any], renumber: bool) -> None:
    found = compared(said_once, copy.deepcopy(said_once), renumber=renumber)
    assert (found.verdict, found.same, lines_of(found)) == ("same", len(said_once), set())


@settings(max_examples=examples(40))
@given(rude)
def test_any_recording_means_the_same_as_itself(entries: list[AnyEntry]) -> None:
    found = compare(entries, entries, Settings(client=True))
    assert found.verdict in ("same", "undecided")
    assert not lines_of(found)


@settings(max_examples=examples(100))
@given(messages(least=1), SOME, SOME, st.sampled_from(["other", None, 1e400, [1], {}]))
def test_one_changed_value_is_named_with_both_values(
    before: list[Any], at: int, which: int, value: Any
) -> None:
    at %= len(before)
    places = [place for place in leaves(before[at]) if place[-1] not in ("id", "deviceId")]
    place = places[which % len(places)]
    was = value_at(before[at], place)
    assume(value != was)
    after = [*before[:at], put(before[at], place, value), *before[at + 1 :]]
    found = compared(before, after)
    spelled = [json.dumps(one).encode().replace(b"Infinity", b"1e400") for one in (was, value)]
    after_text = [json.dumps(one).encode().replace(b"Infinity", b"1e400") for one in after]
    found = compared(before, after_text)
    assert lines_of(found) == {("changed", pointer(place), *spelled, 1)}
    assert (found.verdict, found.changed, found.same) == ("different", 1, len(before) - 1)
    assert (found.changes[0].a.seq, found.changes[0].b.seq) == (at + 1, at + 1)
    assert lines_of(compared(after_text, before)) == mirrored(lines_of(found))


@settings(max_examples=examples(60))
@given(messages(least=1), SOME, st.sampled_from(["name", "attributes", "a/b~c", "lastUpdate"]))
def test_a_field_that_only_one_side_has_is_named(before: list[Any], at: int, name: str) -> None:
    at %= len(before)
    kind = next(iter(before[at]))
    after = copy.deepcopy(before)
    if name in after[at][kind][0]:
        value = after[at][kind][0].pop(name)
        what, a, b = "removed", json.dumps(value, separators=(",", ":")).encode(), None
    else:
        after[at][kind][0][name] = True
        what, a, b = "added", None, b"true"
    found = compared(before, after)
    assert lines_of(found) == {(what, pointer((kind, 0, name)), a, b, 1)}
    assert lines_of(compared(after, before)) == mirrored(lines_of(found))


@settings(max_examples=examples(60))
@given(messages(least=1), messages(least=1, most=5), SOME)
def test_messages_that_were_put_in_are_the_only_difference(
    before: list[Any], put_in: list[Any], at: int
) -> None:
    at %= len(before) + 1
    for each in put_in:
        for one in next(iter(each.values())):
            one["id"] += 1000
    after = [*before[:at], *put_in, *before[at:]]
    found = compared(before, after)
    assert (found.same, found.changed) == (len(before), 0)
    assert sum(group.count for group in found.one_sided) == len(put_in)
    assert {group.side for group in found.one_sided} == {"b"}
    seqs = sorted(where.seq for group in found.one_sided for where in group.first)
    assert seqs == list(range(at + 1, at + 1 + len(put_in)))
    assert lines_of(compared(after, before)) == mirrored(lines_of(found))


@settings(max_examples=examples(40))
@given(messages(least=1), SOME)
def test_a_message_said_twice_is_one_message_more(before: list[Any], at: int) -> None:
    at %= len(before)
    found = compared(before, [*before[: at + 1], *before[at:]])
    assert (found.same, found.changed) == (len(before), 0)
    (group,) = found.one_sided
    assert (group.side, group.count, group.kind) == ("b", 1, next(iter(before[at])))
    assert group.first[0].seq in (at + 1, at + 2)


@settings(max_examples=examples(40))
@given(messages(least=1), st.integers(-(10**18), 10**18), st.booleans())
def test_other_dates_pings_and_sessions_say_the_same(
    before: list[Any], by_ns: int, more_pings: bool
) -> None:
    moved = [rebase_payload(json.dumps(each).encode(), by_ns) for each in before]
    more = [frame("server", ping(UUID_2))] * more_pings
    a = said(before, after=[frame("server", ping(UUID_1))])
    b = said(moved, after=more)
    for entries, session_id in ((a, "node0abcdefgh12.node0"), (b, "node01xyzxyzxyz.node0")):
        answer = json.dumps({"token": session_id}).encode()
        entries += call(f"/api/session;jsessionid={session_id}", answer)
    found = compare(a, b)
    assert (found.verdict, lines_of(found)) == ("same", set())


@settings(max_examples=examples(40))
@given(messages(least=1), st.integers(1, 10**6))
def test_ids_may_be_others_one_to_one_if_asked(before: list[Any], more: int) -> None:
    text = [json.dumps(each) for each in before]
    after = json.loads(f"[{','.join(text)}]", parse_int=lambda digits: int(digits))
    for each in after:
        for one in next(iter(each.values())):
            one["id"] += more
            if "deviceId" in one:
                one["deviceId"] += 7 * more
            if "geofenceIds" in one:
                one["geofenceIds"] = [number + more for number in one["geofenceIds"]]
    assert lines_of(compared(before, after, renumber=True)) == set()
    assert compared(before, after).verdict == "different"


def test_an_id_that_stands_for_two_others_is_a_difference() -> None:
    def seen(*devices: int) -> list[Any]:
        return [{"positions": [{"id": n, "deviceId": d}]} for n, d in enumerate(devices, 1)]

    found = compared(seen(5, 6, 5), seen(8, 9, 8), renumber=True)
    assert found.verdict == "same"
    found = compared(seen(5, 6, 5), seen(8, 9, 9), renumber=True)
    assert lines_of(found) == {("changed", "/positions/0/deviceId", b"5", b"9", 1)}


@pytest.mark.parametrize(
    ("a", "b", "is_same"),
    [
        ("100", "100.0", True),
        ("100", "1E2", True),
        ("1e400", "10e399", True),
        ("1e400", "1e401", False),
        ("0", "-0.0", True),
        ("0.1", "0.10000000000000000000000001", False),
        ("0.1", "1e-1", True),
        ("12345678901234567890", "12345678901234567890.0", True),
        ("9007199254740993", "9007199254740992", False),
        ("9007199254740993.0", "9007199254740992.0", False),
        ("1", "true", False),
        ("0", "false", False),
        ("null", '"null"', False),
        ("[]", "null", False),
        ("[]", "{}", False),
        ('"\\u0041"', '"A"', True),
        ('"\\ud800"', '"\\ud801"', False),
        ('"\\ud800"', '"\\uD800"', True),
        ("9" * 5000, "9" * 5000, True),
        ("9" * 5000, "9" * 4999 + "8", False),
        ("1e99999999999999999999", "1e99999999999999999998", False),
        (f'"{DATE}"', '"2020-01-01T00:00:00.000+0000"', True),
        (f'"{DATE}"', '"2026-11-22T10:05:04.906+00:00"', False),
        (f'"{DATE}"', '"2026-11-22T10:05:04.906Z"', False),
        (f'"{DATE}"', '"2026-11-22T10:05:04+0000"', False),
        (f'"{DATE}"', '"2026-13-22T10:05:04.906+0000"', False),
        ('"[redacted:cookie-1]"', '"[redacted:cookie-2]"', True),
        ('"[redacted]"', '"what stood there"', True),
        ('"[redacted]"', "7", False),
        ('{"a":1,"b":2}', '{"b":2,"a":1}', True),
        ('[{"id":1,"x":1},{"id":2,"x":2}]', '[{"id":2,"x":2},{"id":1,"x":1}]', True),
        ("[1,2]", "[2,1]", False),
        ("[" * 3000 + "1" + "]" * 3000, "[" * 3000 + "2" + "]" * 3000, False),
        ("[" * 400 + "1" + "]" * 400, "[" * 400 + "2" + "]" * 400, False),
    ],
)
def test_values_mean_the_same_or_not(a: str, b: str, is_same: bool) -> None:
    sides = [[b'{"future":[{"x":%s}]}' % each.encode()] for each in (a, b)]
    assert (compared(*sides).verdict == "same") is is_same
    assert (compared(*sides[::-1]).verdict == "same") is is_same
    assert compared(sides[0], sides[0]).verdict == "same"


def test_values_stand_in_the_answer_as_they_came() -> None:
    found = compared([b'{"devices":[{"id":1,"x":1.10,"y":[1e400]}]}'], [b'{"devices":[{"id":1}]}'])
    assert lines_of(found) == {
        ("removed", "/devices/0/x", b"1.10", None, 1),
        ("removed", "/devices/0/y", b"[1e400]", None, 1),
    }


def test_objects_of_an_array_are_found_by_their_id() -> None:
    a = [{"id": number, "name": f"n{number}"} for number in range(10)]
    b = [*copy.deepcopy(a[:4]), {"id": 99, "name": "new"}, *copy.deepcopy(a[4:])]
    b[7]["name"] = "other"
    found = compared([{"devices": a}], [{"devices": b}])
    assert lines_of(found) == {
        ("changed", "/devices/6/name", b'"n6"', b'"other"', 1),
        ("added", "/devices/4", None, b'{"id":99,"name":"new"}', 1),
    }
    changed = next(each.change for each in found.changes if each.what == "changed")
    assert changed.pointer_b == "/devices/7/name"


def test_the_same_place_in_many_messages_is_one_line() -> None:
    a = [{"positions": [{"id": n, "deviceId": 1, "level": 100}]} for n in range(300)]
    b = [{"positions": [{"id": n, "deviceId": 1, "level": 98}]} for n in range(300)]
    found = compared(a, b)
    assert lines_of(found) == {("changed", "/positions/0/level", b"100", b"98", 300)}
    assert (found.same, found.changed) == (0, 300)


def test_a_message_that_is_gone_is_found_although_all_others_changed() -> None:
    a = [{"positions": [{"id": n, "deviceId": n % 3, "level": 100}]} for n in range(2000)]
    b = [{"positions": [{"id": n, "deviceId": n % 3, "level": 98}]} for n in range(2000)]
    del b[777]
    found = compared(a, b)
    assert lines_of(found) == {
        ("changed", "/positions/0/level", b"100", b"98", 1999),
        ("a", "positions", 1),
    }
    assert found.one_sided[0].first[0].seq == 778
    assert found.one_sided[0].first[0].about == "position 777"


def test_a_run_that_only_one_side_has_is_found_up_to_the_window() -> None:
    tail = [{"devices": [{"id": n, "name": f"{n}"}]} for n in range(1, 500)]
    run = [{"positions": [{"id": n, "deviceId": n}]} for n in range(1, WINDOW - 100)]
    found = compared(tail, run + tail)
    assert lines_of(found) == {("b", "positions", len(run))}
    assert len(found.one_sided[0].first) == LISTED_STATEMENTS


def test_memory_is_a_window_whatever_comes() -> None:
    read = {"a": 0, "b": 0}

    def entries(side: str, count: int, kind: bytes) -> Iterator[FrameEntry]:
        for number in range(count):
            read[side] += 1
            # What waits is never more than a window of each side, and one that is being read.
            if count == other:
                assert abs(read["a"] - read["b"]) <= 2 * WINDOW
            yield frame("server", b'{"%s":[{"id":%d}]}' % (kind, number + 1))

    other = 2 * WINDOW
    found = compare(entries("a", other, b"devices"), entries("b", other, b"beacons"))
    assert lines_of(found) == {("a", "devices", other), ("b", "beacons", other)}


def test_places_without_end_are_counted() -> None:
    # Most of both is the same, so that it is one message, changed.
    a, b = (
        [{"future": {f"k{n}": value for n in range(MAX_GROUPS + 5)}, "x": [1] * 5000}]
        for value in (1, 2)
    )
    found = compared(a, b)
    assert (len(found.changes), found.more_changes) == (MAX_GROUPS, 5)


def test_one_side_that_says_nothing_leaves_it_undecided() -> None:
    assert compared([], []).verdict == "undecided"
    assert compared([{"devices": []}], []).verdict == "undecided"
    assert compared([ping(UUID_1)], [{"devices": []}]).verdict == "undecided"


def test_a_ping_of_another_form_is_a_difference_and_their_number_is_none() -> None:
    other = ping(UUID_2).replace(b'"localeKey":null,', b"")
    hello = frame("server", b"{}")
    a = numbered([hello, frame("server", ping(UUID_1)), frame("server", ping(UUID_1))])
    b = numbered([hello, frame("server", other)])
    found = compare(a, b)
    assert lines_of(found) == {("removed", "/status/0/localeKey", b"null", None, 1)}
    assert (found.pings_a, found.pings_b) == (2, 1)


def test_texts_in_one_message_or_in_two_say_the_same() -> None:
    one = [b'{"devices":[{"id":1}]}~{"positions":[{"id":2}]}']
    two = [b'{"devices":[{"id":1}]}', b'{"positions":[{"id":2}]}']
    assert compared(one, two).verdict == "same"


def test_what_is_no_json_is_compared_as_it_is() -> None:
    a = [frame("server", b"\x00\xff", opcode=Opcode.BINARY), frame("server", b"hello")]
    b = [frame("server", b"\x00\xfe", opcode=Opcode.BINARY), frame("server", b"hello")]
    assert compared(numbered(a), numbered(a)).verdict == "same"
    assert lines_of(compared(numbered(a), numbered(b))) == {
        ("changed", "", b'"AP8="', b'"AP4="', 1)
    }


def test_the_client_takes_part_if_asked_but_for_its_pongs() -> None:
    hello = frame("server", b"{}")
    a = numbered([hello, frame("client", f"pong {UUID_1}".encode()), frame("client", b"hi")])
    b = numbered([hello, frame("client", f"pong {UUID_2}".encode())])
    assert compared(a, b).verdict == "same"
    assert lines_of(compared(a, b, client=True)) == {("a", "text", 1)}
    assert compared(a, a, client=True).verdict == "same"


def test_sockets_beside_each_other_are_compared_one_by_one() -> None:
    def both(order: str) -> list[Entry]:
        counts = {"1": itertools.count(), "2": itertools.count()}
        return numbered(
            [frame("server", b"1", connection=1), frame("server", b"2", connection=2)]
            + [
                frame(
                    "server", b'{"x%s":%d}' % (one.encode(), next(counts[one])), connection=int(one)
                )
                for one in order
            ]
        )

    assert compare(both("121212"), both("222111")).verdict == "same"


def test_sockets_after_each_other_are_one_conversation() -> None:
    texts = [b'{"x":%d}' % number for number in range(6)]
    closed = Closed(offset_ns=0, connection=1, by="server", how="eof")
    a = numbered(frame("server", text) for text in texts)
    b = numbered(
        [frame("server", text) for text in texts[:3]]
        + [closed]
        + [frame("server", text, connection=7) for text in texts[3:]]
    )
    assert compare(a, b).verdict == "same"


def test_rest_calls_are_found_by_method_path_and_query() -> None:
    devices = call("/api/devices?all=true&x=1", b'[{"id":5,"name":"one"}]')
    positions = call("/api/positions?deviceId=5", b'[{"id":7,"deviceId":5}]', connection=8)
    other = call("/api/devices?x=1&all=true", b'[{"id":5,"name":"two"}]', status=203)
    assert compare(numbered(devices + positions), numbered(positions + devices)).verdict == "same"
    found = compare(numbered(devices + positions), numbered(positions + other))
    assert lines_of(found) == {
        ("changed", "/status", b"200", b"203", 1),
        ("changed", "/response/0/name", b'"one"', b'"two"', 1),
    }
    assert found.changes[0].kind == "GET /api/devices"


def test_ids_of_rest_are_those_of_the_socket() -> None:
    def seen(device: int, other: int) -> list[Entry]:
        first = [frame("server", b'{"devices":[{"id":%d}]}' % device)]
        put_it = call(
            f"/api/devices/{other}?deviceId={other}",
            b'{"id":%d}' % other,
            method="PUT",
            asked=b'{"id":%d,"x":1.0}' % other,
        )
        return numbered(first + put_it)

    assert compare(seen(5, 5), seen(8, 8), Settings(renumber=True)).verdict == "same"
    found = compare(seen(5, 5), seen(8, 9), Settings(renumber=True))
    kind = "PUT /api/devices/{id}"
    assert lines_of(found) == {("a", kind, 1), ("b", kind, 1)}


def test_dates_in_a_query_may_be_others() -> None:
    target = "/api/reports/route?deviceId=1&from=%s"
    a, b = (call(target % day) for day in ("2020-01-01T00:00:00Z", "2021-02-03T00:00:00Z"))
    assert compare(numbered(a), numbered(b)).verdict == "same"


def test_a_form_is_compared_by_its_fields() -> None:
    sides = [
        numbered(
            call(
                "/api/session",
                method="POST",
                asked=asked,
                asked_type="application/x-www-form-urlencoded",
            )
        )
        for asked in (b"email=%5Bredacted%5D&remember=1", b"remember=2&email=x%40y.z")
    ]
    assert lines_of(compare(*sides)) == {("changed", "/request/remember", b"1", b"2", 1)}


def test_what_is_ignored_takes_no_part() -> None:
    a = [{"positions": [{"id": 1, "deviceId": 1, "speed": 1, "tags": [1, 2]}]}]
    b = [{"positions": [{"id": 1, "deviceId": 1, "speed": 2, "tags": [1, 3], "new": 0}]}]
    both = ["/positions/*/speed", "$.positions[?@.id == 1].new"]
    assert lines_of(compared(a, b, *both)) == {("changed", "/positions/0/tags/1", b"2", b"3", 1)}
    assert compared(a, b, *both, "/positions/0/tags/1").verdict == "same"
    assert compared(a, b, "/positions/1").verdict == "different"


def test_frames_or_messages_make_no_difference() -> None:
    assert compare([message("server", b"{}", at=None)], [frame("server", b"{}")]).verdict == "same"


def test_a_session_means_the_same_as_itself() -> None:
    assert compare(numbered(session()), numbered(session()), Settings(client=True)).same == 12


@settings(max_examples=examples(200))
@given(st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.sampled_from("abc"), max_size=12))
@example(list("aab"), list("ab"))
def test_a_common_subsequence_is_the_longest(a: list[str], b: list[str]) -> None:
    found = common(a, b)
    assert all(a[at_a] == b[at_b] for at_a, at_b in found)
    assert all(
        x < y for one, two in itertools.pairwise(found) for x, y in zip(one, two, strict=True)
    )
    lengths = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for x, y in itertools.product(range(len(a)), range(len(b))):
        lengths[x + 1][y + 1] = (
            lengths[x][y] + 1 if a[x] == b[y] else max(lengths[x][y + 1], lengths[x + 1][y])
        )
    assert len(found) == lengths[-1][-1]
