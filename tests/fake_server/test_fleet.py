"""The synthetic fleet: the manual's objects as printed, and lively ones that never stop."""

from __future__ import annotations

import gc
import itertools
import json
import math
import sys
from collections import Counter, deque
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_server.fleet import Fleet
from recorder.track.kinds import objects_of, read_message
from recorder.wire.frames import Frame, FrameParser, Opcode
from replayer.playing.timeline import Cue
from replayer.state import OBJECT_KINDS, State
from tests.profiles import examples

MANUAL = Path(__file__).parents[2] / "fixtures" / "manual"
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
FIRST_LIVELY_ID = 900_000_000

# Section 4.4 prints the device of 3.6 with other values for these; section 4.7 prints its beacon
# after the update, and the fleet holds it before.
CHOSEN = {
    "4.4-devices-794513675": {"activeGeofences": None, "leafGroupName": None},
    "4.7-beacons-794524643": {"latitude": ("number", "0"), "longitude": ("number", "0")},
}


def fleet(seed: int = 1, interval_s: float = 1.0) -> Fleet:
    return Fleet(seed=seed, now=lambda: START, interval_s=interval_s)


def take(source: Fleet, count: int) -> list[Cue]:
    return list(itertools.islice(source.cues(0), count))


def spelled(text: str | bytes) -> Any:
    """JSON with every number as it is spelled, told apart from a string of the same letters."""

    def number(letters: str) -> tuple[str, str]:
        return "number", letters

    return json.loads(text, parse_int=number, parse_float=number)


def read(cue: Cue) -> tuple[str, dict[str, Any]]:
    """The kind of a cue's message and its one object."""
    assert cue.message is not None
    ((kind, (changed,)),) = json.loads(cue.message).items()
    return kind, changed


def opening_objects(source: Fleet, kind: str) -> dict[int, dict[str, Any]]:
    return {one["id"]: one for one in map(json.loads, source.opening.objects(kind))}


def state_of(cues: list[Cue]) -> State:
    state = State()
    for cue in cues:
        assert cue.message is not None
        state.apply(cue.message)
    return state


def date(text: str) -> datetime:
    assert len(text) == len("2025-02-21T10:05:04.906+00:00")
    assert text.endswith("+00:00")
    return datetime.fromisoformat(text)


@pytest.mark.parametrize("example", sorted(MANUAL.glob("*.json")), ids=lambda path: path.stem)
def test_each_example_of_the_manual_is_there_key_for_key_as_printed(example: Path) -> None:
    printed = spelled(example.read_text("utf-8"))
    kind = example.stem.split("-")[1]
    if isinstance(printed, dict) and kind in printed:
        printed = printed[kind]
    (wanted,) = printed if isinstance(printed, list) else [printed]
    wanted |= CHOSEN.get(example.stem, {})

    found = {one["id"]: one for one in map(spelled, fleet().opening.objects(kind))}[wanted["id"]]

    assert list(found.items()) == list(wanted.items())


def test_every_example_of_the_manual_is_in_the_fixtures() -> None:
    assert len(list(MANUAL.glob("*.json"))) == 12


def test_only_one_device_has_the_name_that_the_manual_searches_for() -> None:
    devices = opening_objects(fleet(), "devices").values()
    assert [one["id"] for one in devices if "quickstart-guide-device-1" in one["name"]] == [
        794513675
    ]


@pytest.mark.parametrize(("minor", "beacon_id"), [(1, 794513676), (2, 794524643)])
def test_only_one_beacon_has_the_numbers_that_the_manual_searches_for(
    minor: int, beacon_id: int
) -> None:
    beacons = opening_objects(fleet(), "beacons").values()
    found = [one["id"] for one in beacons if (one["major"], one["minor"]) == (4242, minor)]
    assert found == [beacon_id]


@pytest.mark.parametrize("count", [3, 500])
def test_every_id_that_an_object_refers_to_is_there(count: int) -> None:
    cues = take(fleet(), count)
    if read_is_device(cues[-1]):
        cues.pop()
    state = state_of(cues)
    devices, beacons, positions = (
        {one["id"]: one for one in map(json.loads, state.objects(kind))} for kind in OBJECT_KINDS
    )

    for device in devices.values():
        if device["positionId"] is not None:
            assert positions[device["positionId"]]["deviceId"] == device["id"]
    for position in positions.values():
        assert devices[position["deviceId"]]["positionId"] == position["id"]
        if position["beaconId"] is not None:
            beacon = beacons[position["beaconId"]]
            if beacon["id"] >= FIRST_LIVELY_ID:
                assert position["beaconName"] == beacon["name"]
                assert position["beaconMajor"] == beacon["major"]
                assert position["beaconMinor"] == beacon["minor"]
                assert position["beaconUuid"] == beacon["uuid"]
        if device_is_lively(position["deviceId"]):
            assert position["deviceName"] == devices[position["deviceId"]]["name"]
    for beacon in beacons.values():
        assert beacon["deviceId"] is None or beacon["deviceId"] in devices
    assert any(position["beaconId"] in beacons for position in positions.values())


def read_is_device(cue: Cue) -> bool:
    return cue.at_ns > 0 and read(cue)[0] == "devices"


def device_is_lively(device_id: int) -> bool:
    return device_id >= FIRST_LIVELY_ID


def test_ids_are_unique_over_all_kinds() -> None:
    state = fleet().opening
    ids = [json.loads(one)["id"] for kind in OBJECT_KINDS for one in state.objects(kind)]
    assert len(ids) == len(set(ids))
    unique_ids = [one["uniqueId"] for one in opening_objects(fleet(), "devices").values()]
    assert len(unique_ids) == len(set(unique_ids))


def test_names_have_umlauts_and_one_has_the_delimiter_of_terminal_dumps() -> None:
    names = [one["name"] for one in opening_objects(fleet(), "devices").values()]
    assert sum("~" in name for name in names) == 1
    assert sum(any(letter in name for letter in "äöüß") for name in names) >= 5


def test_one_lively_tag_gives_its_rssi_as_the_unsigned_byte_of_the_manuals_prose() -> None:
    positions = opening_objects(fleet(), "positions").values()
    assert [one["rssi"] for one in positions if (one.get("rssi") or 0) > 0] == [204]


@settings(max_examples=examples(100))
@given(seed=st.integers(), interval_s=st.floats(0.001, 3600))
def test_equal_arguments_give_equal_bytes(seed: int, interval_s: float) -> None:
    assert take(fleet(seed, interval_s), 30) == take(fleet(seed, interval_s), 30)


def test_cues_can_be_asked_for_again_and_by_any_number() -> None:
    source = fleet()
    first = take(source, 2000)
    assert take(source, 2000) == first
    assert list(itertools.islice(source.cues(7), 2000)) == first
    assert list(itertools.islice(source.all_cues(), 2000)) == first


def test_streams_that_are_played_side_by_side_do_not_disturb_each_other() -> None:
    source = fleet()
    pairs = list(itertools.islice(zip(source.cues(0), source.cues(1), strict=True), 200))
    assert [left for left, _ in pairs] == [right for _, right in pairs] == take(source, 200)


def test_another_seed_gives_another_walk_from_the_same_opening() -> None:
    assert take(fleet(1), 3) == take(fleet(2), 3)
    assert take(fleet(1), 30)[3:] != take(fleet(2), 30)[3:]


@settings(max_examples=examples(30))
@given(seed=st.integers(), interval_s=st.floats(0.001, 3600))
def test_every_cue_is_one_frame_with_one_compact_message_of_one_known_kind(
    seed: int, interval_s: float
) -> None:
    for cue in take(fleet(seed, interval_s), 60):
        assert (cue.kind, cue.text) == ("data", True)
        (frame,) = FrameParser().feed(cue.data)
        assert isinstance(frame, Frame)
        assert frame.check("server") == []
        assert (frame.opcode, frame.fin) == (Opcode.TEXT, True)
        assert frame.payload == cue.message
        (part,) = read_message(frame.payload)
        assert part.kind in {"devices", "beacons", "positions", "events"}
        assert len(objects_of(part)) == 1 or cue.at_ns == 0
        text = frame.payload.decode("utf-8")
        compact = json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False)
        assert len(text) == len(compact)


def test_each_of_the_first_500_cues_is_a_frame_with_one_message_of_a_known_kind() -> None:
    kinds = Counter()
    for cue in take(fleet(), 500):
        (frame,) = FrameParser().feed(cue.data)
        assert frame.payload == cue.message
        (part,) = read_message(frame.payload)
        kinds[part.kind] += 1
    assert kinds.keys() == {"devices", "beacons", "positions", "events"}
    assert kinds["devices"] + kinds["positions"] > 400


def test_the_first_push_is_devices_beacons_and_positions_due_at_once() -> None:
    *push, change = take(fleet(), 4)
    assert [cue.at_ns for cue in push] == [0, 0, 0]
    kinds = [part.kind for cue in push for part in read_message(cue.message or b"")]
    assert kinds == ["devices", "beacons", "positions"]
    assert change.at_ns > 0


def test_the_first_push_folds_to_the_opening() -> None:
    source = fleet()
    pushed = state_of(take(source, 3))
    for kind in OBJECT_KINDS:
        assert pushed.objects(kind) == source.opening.objects(kind)


def test_playing_leaves_the_opening_as_it_was() -> None:
    source = fleet()
    before = source.opening.messages()
    take(source, 1000)
    assert source.opening.messages() == before


def test_a_change_is_a_device_then_its_one_new_position() -> None:
    state = fleet().opening
    known = {json.loads(one)["id"] for one in state.objects("positions")}
    changes = [read(cue) for cue in take(fleet(), 1000)[3:]]
    for (kind, device), (next_kind, position) in itertools.pairwise(changes):
        if kind == "devices":
            assert next_kind == "positions"
            assert device["positionId"] == position["id"]
            assert device["id"] == position["deviceId"]
            assert device["lastUpdate"] == position["serverTime"] == position["deviceTime"]
            assert device["batteryLevel"] == position["attributes"]["batteryLevel"]
            assert position["id"] not in known
            known.add(position["id"])


def test_an_event_tells_that_a_tag_came_to_the_beacon_of_its_new_position() -> None:
    beacon_of: dict[int, int] = {
        one["deviceId"]: one["beaconId"] for one in opening_objects(fleet(), "positions").values()
    }
    events = 0
    came = False
    for cue in take(fleet(), 1000)[3:]:
        kind, changed = read(cue)
        if kind == "positions":
            assert not came, "an event is missing"
            came = beacon_of[changed["deviceId"]] != changed["beaconId"]
            beacon_of[changed["deviceId"]] = changed["beaconId"]
            position = changed
        elif kind == "events":
            events += 1
            assert came
            came = False
            assert changed["positionId"] == position["id"]
            for key in ("deviceId", "beaconId", "beaconName", "beaconMajor", "beaconMinor"):
                assert changed[key] == position[key]
    assert events > 10


@settings(max_examples=examples(30))
@given(seed=st.integers(), interval_s=st.floats(0.001, 3600))
def test_dates_are_the_start_and_the_offset_and_never_decrease(
    seed: int, interval_s: float
) -> None:
    last_ns = 0
    for cue in take(fleet(seed, interval_s), 60)[3:]:
        kind, changed = read(cue)
        assert cue.at_ns >= last_ns
        last_ns = cue.at_ns
        keys = {
            "devices": ["lastUpdate"],
            "beacons": ["lastSeen"],
            "positions": ["deviceTime", "fixTime", "serverTime"],
            "events": ["deviceTime", "serverTime"],
        }[kind]
        for key in keys:
            offset = date(changed[key]) - START
            assert abs(offset - timedelta(microseconds=cue.at_ns / 1000)) <= timedelta(
                milliseconds=1
            )


def test_changes_come_about_every_interval() -> None:
    moments_ns = sorted({cue.at_ns for cue in take(fleet(interval_s=0.5), 1000)[3:]})
    gaps_s = [(after - before) / 1e9 for before, after in itertools.pairwise(moments_ns)]
    assert min(gaps_s) >= 0.3 - 1e-6
    assert max(gaps_s) <= 0.7 + 1e-6
    assert len(set(gaps_s)) > 100


def test_dates_of_lively_objects_begin_with_now_in_whatever_zone_now_is_told() -> None:
    source = Fleet(now=lambda: START.astimezone(timezone(timedelta(hours=1))))
    assert take(source, 100) == take(fleet(), 100)
    for device in opening_objects(source, "devices").values():
        if device_is_lively(device["id"]):
            assert device["lastUpdate"] == "2026-03-01T12:00:00.000+00:00"


def test_a_socket_that_opens_later_gets_the_same_push_and_later_changes() -> None:
    moments = iter([START, START, START + timedelta(hours=1)])
    source = Fleet(now=lambda: next(moments))
    first, second = take(source, 30), take(source, 30)
    assert second[:3] == first[:3]
    for (_, earlier), (_, later) in zip(map(read, first[3:]), map(read, second[3:]), strict=True):
        key = next(key for key in ("lastUpdate", "lastSeen", "serverTime") if key in earlier)
        assert date(later[key]) - date(earlier[key]) == timedelta(hours=1)


def test_objects_of_the_manual_never_change() -> None:
    changed_ids = {read(cue)[1]["id"] for cue in take(fleet(), 3000)[3:]}
    assert min(changed_ids) >= FIRST_LIVELY_ID


def test_every_lively_device_moves() -> None:
    devices = {one for one in opening_objects(fleet(), "devices") if device_is_lively(one)}
    assert 6 <= len(devices) <= 10
    places: dict[int, set[tuple[float, float]]] = {one: set() for one in devices}
    for kind, changed in map(read, take(fleet(), 2000)[3:]):
        if kind == "positions":
            places[changed["deviceId"]].add((changed["latitude"], changed["longitude"]))
    assert all(len(seen) > 2 for seen in places.values())


@settings(max_examples=examples(20))
@given(seed=st.integers(), interval_s=st.floats(0.2, 600))
def test_nobody_is_faster_than_a_person_on_foot_or_leaves_the_grounds(
    seed: int, interval_s: float
) -> None:
    source = fleet(seed, interval_s)
    last = opening_objects(source, "positions")
    last = {one["deviceId"]: (START, one) for one in last.values()}
    for kind, changed in map(read, take(source, 300)[3:]):
        if kind != "positions":
            continue
        when = date(changed["fixTime"])
        since, before = last[changed["deviceId"]]
        last[changed["deviceId"]] = when, changed
        passed_s = (when - since).total_seconds()
        # A centimetre and a millisecond are lost to rounding.
        assert distance_m(before, changed) <= 1.6 * (passed_s + 0.001) + 0.02
        assert abs(changed["latitude"] - 49.9012) < 0.01
        assert abs(changed["longitude"] - 10.8634) < 0.01
        if changed["beaconId"] is None:
            assert changed["attributes"]["distance"] == pytest.approx(
                distance_m(before, changed), abs=0.05
            )
            assert changed["speed"] * 1852 / 3600 + 0.005 >= 0.9
            assert changed["speed"] * 1852 / 3600 - 0.005 <= 1.6
            assert 0 <= changed["course"] <= 360


def distance_m(one: dict[str, Any], other: dict[str, Any]) -> float:
    north = (other["latitude"] - one["latitude"]) * 111_320
    east = other["longitude"] - one["longitude"]
    return math.hypot(north, east * 111_320 * math.cos(math.radians(one["latitude"])))


@settings(max_examples=examples(10))
@given(seed=st.integers())
def test_levels_stay_what_they_can_be(seed: int) -> None:
    unsigned = 0
    for kind, changed in map(read, take(fleet(seed), 1000)[3:]):
        if kind in {"devices", "beacons"}:
            assert 5 <= changed["batteryLevel"] <= 100
        elif kind == "positions" and changed["rssi"] is not None:
            assert changed["scanRssi"] == changed["attributes"]["scanRssi"]
            assert -95 <= changed["scanRssi"] <= -35
            assert -95 <= (changed["rssi"] - 256 if changed["rssi"] > 0 else changed["rssi"]) <= -35
            unsigned += changed["rssi"] > 0
    assert unsigned > 0


def test_an_empty_battery_is_charged() -> None:
    device_id = next(filter(device_is_lively, opening_objects(fleet(), "devices")))
    begin = b'{"devices":[{"id":%d,' % device_id
    messages = (cue.message or b"" for cue in itertools.islice(fleet().cues(0), 3, 50_000))
    levels = [json.loads(one)["devices"][0]["batteryLevel"] for one in messages if begin in one]
    assert {after - before for before, after in itertools.pairwise(levels)} == {0, -1, 95}


def test_a_long_run_keeps_nothing() -> None:
    cues = fleet().cues(0)
    deque(itertools.islice(cues, 1000), maxlen=0)
    gc.collect()
    before = sys.getallocatedblocks()
    deque(itertools.islice(cues, 20_000), maxlen=0)
    gc.collect()
    assert sys.getallocatedblocks() - before < 1000


def test_it_is_a_timed_source_of_one_socket_without_recorded_answers_or_timeout() -> None:
    source = fleet()
    assert (source.sockets, source.timed) == (1, True)
    assert source.answer("GET", "/api/devices") is None
    assert not source.shows_timeout(0)


@pytest.mark.parametrize("interval_s", [0, -1, math.nan, math.inf])
def test_an_interval_that_is_none_is_refused(interval_s: float) -> None:
    with pytest.raises(ValueError, match="interval_s is above 0"):
        Fleet(interval_s=interval_s)
