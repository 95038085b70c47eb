"""How things stood at one moment."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.model import AnyEntry, Body, Request, Response
from replayer.commands.show import show_command
from replayer.reading import snapshot
from replayer.reading.conversation import DataMessage, converse
from replayer.reading.snapshot import Snapshot, state_at
from tests.profiles import examples
from tests.replayer import traffic
from tests.replayer.reading.test_following import small_frames, suffixes, write_parts
from tests.replayer.reading.test_selection import talks
from tests.replayer.recordings import frame, numbered, session, write

DEVICES = b"""{"devices":[
 {"id":5,"name":"cart","status":"online","lastUpdate":"2020-02-26T16:05:26.469+0000",
  "batteryLevel":100.0},
 {"id":6,"name":"lift","status":"unknown"},
 {"id":7,"name":null}
]}"""
BEACONS = b'{"beacons":[{"id":31,"name":"door"},{"id":32,"name":"gate"}]}'
POSITIONS = (
    b'{"positions":[{"id":1,"deviceId":5,"beaconId":31,"rssi":204}]}',
    b'{"positions":[{"id":2,"deviceId":6,"latitude":49.10,"longitude":10.0,"rssi":-64,'
    b'"attributes":{"batteryLevel":7}}]}',
    b'{"positions":[{"id":3,"deviceId":9,"deviceName":"stray","beaconId":32}]}',
)
AT_TWO_SECONDS = """\
device  5  cart: online, at door, rssi 204 (-52 dBm), battery 100.0, updated 2020-02-26T16:05:26.469+0000
device  6  lift: unknown, at 49.10, 10.0, rssi -64, battery 7
device  7  without a name: nothing told
device  9  stray: position only, at gate
beacon 31  door
beacon 32  gate
"""  # noqa: E501
TABLE = """\
       id name  status  updated                      place       rssi          battery
device 5  cart  online  2020-02-26T16:05:26.469+0000 door        204 (-52 dBm)   100.0
device 6  lift  unknown                              49.10, 10.0 -64                 7
"""


def entries() -> list[AnyEntry]:
    said = [DEVICES, BEACONS, *POSITIONS]
    made = [frame("server", text, at=at_ms) for at_ms, text in enumerate(said)]
    moved = b'{"positions":[{"id":4,"deviceId":5,"beaconId":32,"rssi":-7}]}'
    return numbered([*made, frame("server", moved, at=3000)])


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("snapshot") / "a.track.jsonl", entries())


def show(path: Path, *options: str) -> str:
    result = CliRunner().invoke(show_command, [str(path), *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


# The fold by hand


def by_hand(items: Iterable[AnyEntry], at_ns: int) -> dict[str, dict[Any, Any]]:
    """The latest device, beacon, and position of each device, as parsed JSON."""
    entries_then = [entry for entry in items if (entry.offset_ns or 0) <= at_ns]
    told: list[tuple[int, str, list[Any]]] = []
    for item in converse(entries_then):
        if isinstance(item, DataMessage) and item.sender == "server" and item.opcode == "text":
            for text in item.payload.split(b"~"):
                parsed = json.loads(text)
                if len(parsed) == 1:
                    told += [(item.seq, key, value) for key, value in parsed.items()]
    asked: dict[int, Request] = {}
    answered: set[int] = set()
    for entry in entries_then:
        match entry:
            case Request():
                asked[entry.connection] = entry
            case Response(status=200):
                answered.add(entry.exchange)
            case Body(sender="server", last=True) if (entry.text or "").startswith("["):
                request = asked[entry.connection]
                if request.target == "/api/devices" and request.exchange in answered:
                    told.append((entry.seq, "devices", json.loads(entry.text or "")))
                if request.target.startswith("/api/reports/route"):
                    told.append((entry.seq, "positions", json.loads(entry.text or "")))
    found: dict[str, dict[Any, Any]] = {"devices": {}, "beacons": {}, "positions": {}}
    for _, kind, objects in sorted(told, key=lambda one: one[0]):
        for each in objects if kind in found else []:
            if each.get("id") is not None:
                own = each["id"]
                if kind == "positions":
                    device = each.get("deviceId")
                    own = ("position", own) if device is None else device
                found[kind][own] = each
    return found


@settings(max_examples=examples(80))
@given(traffic.rude.map(numbered) | talks(), st.integers(0, 20), st.sampled_from([1, 3, 10_000]))
def test_a_state_is_what_a_fold_by_hand_makes(
    items: list[AnyEntry], at: int, kept_objects: int
) -> None:
    """Of what sockets said and what REST answered, up to that moment and no further; and whenever
    the history behind it is forgotten."""
    times = sorted({entry.offset_ns or 0 for entry in items}) or [0]
    at_ns = times[at % len(times)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshot, "_KEPT_OBJECTS", kept_objects)
        state = state_at(items, at_ns)
    for kind, expected in by_hand(items, at_ns).items():
        assert list(map(json.loads, state.objects(kind))) == list(expected.values())


def test_the_end_is_the_moment_behind_all() -> None:
    items = entries()
    for kind, expected in by_hand(items, 10**15).items():
        assert list(map(json.loads, state_at(items, None).objects(kind))) == list(expected.values())


@settings(max_examples=examples(30))
@given(traffic.rude, suffixes, st.lists(st.integers(0, 500), min_size=1, max_size=4))
def test_parts_show_the_same_as_one_recording(
    items: list[AnyEntry], suffix: str, places: list[int]
) -> None:
    """Although the parts before are not read."""
    with small_frames() as folder:
        parts = write_parts(folder, items, places, suffix)
        whole = write_parts(folder, items, [0], suffix)
        for at in ("0.5", "3", "end"):
            options = ("--at", at, "--format", "jsonl")
            shown = [show(names[0], *map(str, names[1:]), *options) for names in (parts, whole)]
            assert sorted(shown[0].splitlines()) == sorted(shown[1].splitlines())


# As a command


def test_how_things_stood(recording: Path) -> None:
    assert show(recording, "--at", "2") == AT_TWO_SECONDS
    assert "cart: online, at gate, rssi -7," in show(recording, "--at", "end")
    assert "cart: online, battery" in show(recording, "--at", "0")
    assert show(recording, "--at", "2026-11-22T17:00:02.2Z") == AT_TWO_SECONDS
    assert show(recording, "--at", "2026-11-22T17:00:00Z") == ""


def test_a_table_of_it(recording: Path) -> None:
    shown = show(recording, "--at", "2", "--device", "5", "--device", "lift", "--format", "table")
    assert [line.split() for line in shown.splitlines()] == [
        line.split() for line in TABLE.splitlines()
    ]


def test_objects_come_as_they_came(recording: Path) -> None:
    lines = show(recording, "--at", "2", "--format", "jsonl").splitlines()
    kinds = [json.loads(line)["kind"] for line in lines]
    assert kinds == ["devices"] * 3 + ["beacons"] * 2 + ["positions"] * 3
    assert '"batteryLevel":100.0' in lines[0]
    assert '"latitude":49.10,"longitude":10.0' in lines[6]
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--device", "cart"], ["device 5"]),
        (["--device", "5", "--device", "stray"], ["device 5", "device 9"]),
        (["--beacon", "door"], ["device  5", "beacon 31"]),
        (["--beacon", "32"], ["device  9", "beacon 32"]),
        (["--beacon", "32", "--device", "5"], ["beacon 32"]),
        (["--device", "nobody"], []),
    ],
)
def test_devices_and_beacons_are_selected(
    recording: Path, options: list[str], expected: list[str]
) -> None:
    lines = show(recording, "--at", "2", *options).splitlines()
    assert [line[: len(start)] for line, start in zip(lines, expected, strict=True)] == (expected)
    assert len(lines) == len(expected)


def test_names_that_would_drive_a_terminal_are_escaped(tmp_path: Path) -> None:
    path = write(tmp_path / "a", session())
    for form in ("line", "table", "jsonl"):
        assert "\x1b" not in show(path, "--at", "end", "--format", form)
    assert "\\x1b[31mred\\u202e" in show(path, "--at", "end")


@pytest.mark.parametrize("options", [["--text", "x"], ["--from", "1"], ["--kind", "devices"]])
def test_messages_are_not_selected_at_a_moment(recording: Path, options: list[str]) -> None:
    result = CliRunner().invoke(show_command, [str(recording), "--at", "1", *options])
    assert result.exit_code == 2
    assert "only --device and --beacon go with it" in " ".join(result.output.split())


@pytest.mark.parametrize("option", ["--all", "--all-legs"])
def test_entries_are_not_selected_at_a_moment(recording: Path, option: str) -> None:
    result = CliRunner().invoke(show_command, [str(recording), "--at", "1", option])
    assert result.exit_code == 2
    assert "not entries: leave out --all" in " ".join(result.output.split())


def test_a_device_that_only_positions_speak_of_is_told_apart(recording: Path) -> None:
    only = ("--at", "2", "--device", "9", "--format")
    assert "position only" in show(recording, *only, "table").splitlines()[1]


def test_that_there_is_nothing_to_show_is_said(recording: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(show_command, [str(recording), "--at", "2", "--device", "nobody"])
    assert result.stdout == ""
    assert "of 4 devices and 2 beacons known then none was asked for" in result.stderr
    empty = write(tmp_path / "a", [])
    result = CliRunner().invoke(show_command, [str(empty), "--at", "end"])
    assert "no device and no beacon was known then" in result.stderr


def test_what_is_torn_is_said(recording: Path, tmp_path: Path) -> None:
    torn = tmp_path / "torn"
    torn.write_bytes(recording.read_bytes()[:-50])
    result = CliRunner().invoke(show_command, [str(torn), "--at", "end"])
    assert f"{torn} is torn: " in result.stderr


def test_an_untimed_recording_has_only_an_end(tmp_path: Path) -> None:
    path = write(tmp_path / "a", [frame("server", BEACONS, at=None)], timing="none")
    assert show(path, "--at", "end") == "beacon 31  door\nbeacon 32  gate\n"
    result = CliRunner().invoke(show_command, [str(path), "--at", "1"])
    assert result.exit_code == 2
    assert "has no times: say --at end" in " ".join(result.output.split())


def test_a_beacon_known_by_its_id_alone_is_a_place() -> None:
    at = frame("server", b'{"positions":[{"id":1,"deviceId":5,"beaconId":31}]}')
    (row,) = Snapshot(state_at([at], None)).devices()
    assert (row.place, row.name) == ("31", "")
