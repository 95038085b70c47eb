"""The commands that measure, and their pictures."""

from __future__ import annotations

import csv
import io
import json
import struct
from pathlib import Path
from xml.etree import ElementTree

import click
import pytest

from recorder.errors import OutputExists
from recorder.exits import Exit
from replayer.errors import NothingLearnt
from tests.replayer.measurements.told import device, position, run_here, told
from tests.replayer.recordings import UUID_1, frame, ping, run, session, write

COMMANDS = ["rssi", "battery", "track", "rate", "pings"]
NAME = "a$b_c$ <Käthe>"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    entries = [
        told("devices", device(1, name=NAME, positionId=10, batteryLevel=100), at=0),
        told("devices", device(2, name="_second", batteryLevel=50), at=0),
        told("beacons", {"id": 5, "name": "room_$1", "batteryLevel": 80}, at=0),
    ]
    for number in range(10, 30):
        place = {"latitude": 49.9 + number * 1e-5, "longitude": 10.86}
        heard = {"beaconId": 5, "beaconName": "room_$1", "fixTime": "2025-02-21T10:02:20.172+00:00"}
        where = place if number % 5 else {"latitude": 0, "longitude": 0}
        entries.append(
            told(
                "positions",
                position(
                    number,
                    deviceId=1 + number % 2,
                    **where,
                    **heard,
                    rssi=190 + number,
                    scanRssi=-42,
                ),
                at=number * 1000,
            )
        )
    entries += [
        frame("server", ping(UUID_1), at=30_000),
        frame("client", f"pong {UUID_1}".encode(), at=30_042),
        frame("server", ping("unheard"), at=60_000),
        told("events", {"id": 1}, at=99_000),
    ]
    return write(tmp_path_factory.mktemp("measured") / "a.track.jsonl", entries)


@pytest.fixture(scope="module")
def without_times(tmp_path_factory: pytest.TempPathFactory) -> Path:
    entries = [
        told(
            "positions",
            position(
                number,
                deviceId=1,
                deviceName="x",
                latitude=1,
                longitude=number,
                fixTime=f"2025-02-21T10:0{number}:00Z",
            ),
            at=None,
        )
        for number in range(3)
    ]
    entries.append(frame("server", ping(UUID_1), at=None))
    return write(tmp_path_factory.mktemp("untimed") / "a.track.jsonl", entries, timing="none")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_form_has_the_same_rows(
    recording: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("replayer.commands.measuring.output_columns", lambda: 80)
    found = [
        json.loads(line) for line in run_here(command, recording, "--json").stdout.splitlines()
    ]
    assert found
    text = run_here(command, recording, "--format", "csv").stdout
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(rows) == len(found)
    for row, one in zip(rows, found, strict=True):
        assert list(row) == list(one)
        for name, value in one.items():
            if isinstance(value, str):
                assert row[name] == value
    lines = run_here(command, recording).stdout.splitlines()
    assert lines[0].split()[0] == "time"
    gaps = [int(line.split()[-2]) - 1 for line in lines if line.endswith(" windows")]
    assert len(lines) + sum(gaps) > len(found)
    assert bool(gaps) == (command == "rate")
    assert all(len(line) <= 80 for line in lines)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_each_has_a_picture_that_can_be_read(
    recording: Path, command: str, suffix: str, tmp_path: Path
) -> None:
    output = tmp_path / f"a.{suffix}"
    result = run_here(command, recording, "--plot", output)
    assert result.exception is None
    assert f"wrote {output}" in result.stderr
    data = output.read_bytes()
    if suffix == "png":
        assert data[:8] == b"\x89PNG\r\n\x1a\n"
        assert struct.unpack(">II", data[16:24]) == (800, 500)
        from matplotlib.image import imread

        pixels = imread(output)
        assert pixels.shape[:2] == (500, 800)
        assert pixels.min() < pixels.max()
        return
    texts = [each.text for each in ElementTree.fromstring(data).iter() if each.tag.endswith("text")]
    expected = {
        "rssi": ["room_$1", "rssi in dBm", "rssi of 2 devices, by beacon"],
        "battery": [NAME, "_second", "room_$1 (beacon)", "battery level in %"],
        "track": [NAME, "_second", "start", "end", "metres east of the first position"],
        "rate": ["positions", "PING", "messages a second, mean of 5 s"],
        "pings": ["1 answered", "1 unanswered", "round trip in ms"],
    }[command]
    assert set(expected) <= set(texts)
    if command != "track":
        assert "seconds since the start of the recording" in texts


def test_a_picture_is_the_same_each_time_whatever_the_user_prefers(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import matplotlib

    made = []
    for number, size in enumerate((10.0, 30.0)):
        monkeypatch.setitem(matplotlib.rcParams, "font.size", size)
        output = tmp_path / f"{number}.svg"
        run_here("rssi", recording, "--device", 1, "--plot", output)
        made.append(output.read_bytes())
    assert made[0] == made[1]
    assert b"<dc:date>" not in made[0]
    assert matplotlib.rcParams["font.size"] == 30.0


def labels(output: Path) -> list[str | None]:
    root = ElementTree.fromstring(output.read_bytes())
    return [each.text for each in root.iter() if each.tag.endswith("text")]


def test_an_axis_of_hours_is_in_hours_and_the_wall_clock_is_in_utc(tmp_path: Path) -> None:
    at_ms = [0, 3_600_000, 18_000_000]
    entries = [told("positions", position(at, deviceId=1, deviceName="x"), at=at) for at in at_ms]
    long = write(tmp_path / "long.track.jsonl", entries)
    run_here("rssi", long, "--plot", tmp_path / "a.svg")
    assert "hours since the start of the recording" in labels(tmp_path / "a.svg")
    run_here("rssi", long, "--wall", "--plot", tmp_path / "b.svg")
    assert "wall clock of the recorder, UTC" in labels(tmp_path / "b.svg")
    assert "18:00" in labels(tmp_path / "b.svg")


def test_without_times_positions_stand_at_their_own(without_times: Path, tmp_path: Path) -> None:
    run_here("rssi", without_times, "--plot", tmp_path / "a.svg")
    assert "time that the objects tell, UTC" in labels(tmp_path / "a.svg")
    assert run_here("track", without_times).stdout.splitlines()[1].split()[0] == "-"
    assert isinstance(run_here("rate", without_times).exception, NothingLearnt)
    assert isinstance(
        run_here("pings", without_times, "--plot", tmp_path / "b.svg").exception, NothingLearnt
    )
    result = run_here("rssi", without_times, "--from", "1s")
    assert isinstance(result.exception, click.UsageError)
    assert "it has no times" in str(result.exception)


def test_without_times_and_dates_points_are_numbered(tmp_path: Path) -> None:
    entries = [told("positions", position(n, deviceId=1, deviceName="x"), at=None) for n in (1, 2)]
    path = write(tmp_path / "a.track.jsonl", entries, timing="none")
    run_here("rssi", path, "--plot", tmp_path / "a.svg")
    assert "number, as the recording has no times" in labels(tmp_path / "a.svg")


@pytest.mark.parametrize("command", ["rssi", "battery", "track"])
def test_a_device_that_is_not_there_is_an_error_that_names_those_that_are(
    recording: Path, command: str
) -> None:
    result = run_here(command, recording, "--device", "Käte")
    assert isinstance(result.exception, NothingLearnt)
    assert result.exception.exit_code == Exit.BAD_DATA
    assert f"of device Käte; its devices are {NAME}, _second" in str(result.exception)


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        (["--device", "1"], 10),
        (["--device", NAME], 10),
        (["--beacon", "room_$1"], 20),
        (["--beacon", "5", "--device", "2"], 10),
        (["--from", "15s"], 15),
        (["--from", "15s", "--to", "20s"], 6),
        (["--from", "2026-11-22T17:00:15.123456789Z"], 15),
    ],
)
def test_what_is_asked_for_is_what_is_shown(recording: Path, options: list[str], rows: int) -> None:
    for command in ("rssi", "track"):
        result = run_here(command, recording, *options, "--json")
        assert len(result.stdout.splitlines()) == rows


def test_numbers_in_json_are_spelled_as_they_came(tmp_path: Path) -> None:
    text = b'{"positions":[{"id":1,"rssi":-55.00,"deviceId":1,"deviceName":"x","latitude":1e1}]}'
    path = write(tmp_path / "a.track.jsonl", [frame("server", text)])
    assert '"rssi":-55.00,' in run_here("rssi", path, "--json").stdout
    assert '"latitude":1e1,' in run_here("track", path, "--json").stdout


def test_the_wall_clock_stands_beside_the_seconds(recording: Path) -> None:
    first = json.loads(run_here("rssi", recording, "--json", "--wall").stdout.splitlines()[0])
    assert (first["time"], first["wall"]) == (10.0, "2026-11-22T17:00:10.123456789Z")
    line = run_here("rssi", recording, "--wall").stdout.splitlines()[1]
    assert line.startswith("2026-11-22T17:00:10.123 ")


def test_the_summaries(recording: Path) -> None:
    assert "2 PINGs: 1 answered, 1 unanswered\n" in run_here("pings", recording).stdout
    assert "round trip 42.0 / 42.0 / 42.0 / 42.0 ms" in run_here("pings", recording).stdout
    result = run_here("track", recording, "--device", 1)
    assert f"{NAME}: 17.8 m in all" in result.stdout
    assert "2 positions with a mark: no part of the way" in result.stderr


def test_whose_clients_were_not_recorded_are_not_blamed_silently(tmp_path: Path) -> None:
    path = write(tmp_path / "a.track.jsonl", [frame("server", ping(UUID_1), at=0)])
    assert "no message from the client was recorded" in run_here("pings", path).stderr


def test_rules_from_a_file_judge_the_pings(recording: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text("ping_interval_s = 0.01\n")
    assert "1 late" in run_here("pings", recording, "--rules", rules).stdout


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (["rssi", "--plot", "a.jpg"], click.UsageError, "expected a name with .png or .svg"),
        (["rate", "--every", "0"], click.UsageError, "no length of time"),
        (["rate", "--every", "2026-11-22"], click.UsageError, "no length of time"),
        (["battery", "--device", "1", "--beacon", "5"], click.UsageError, "name one"),
        (["rate", "--from", "1h"], NothingLearnt, "holds no message in that time"),
        (["pings", "--from", "1h"], NothingLearnt, "holds no PING in that time"),
    ],
)
def test_what_cannot_be_is_refused(
    recording: Path, arguments: list[str], error: type[Exception], said: str
) -> None:
    result = run_here(arguments[0], recording, *arguments[1:])
    assert isinstance(result.exception, error)
    assert said in str(result.exception)


def test_a_picture_that_exists_is_not_overwritten(recording: Path, tmp_path: Path) -> None:
    output = tmp_path / "a.png"
    output.write_text("mine")
    assert isinstance(run_here("rate", recording, "--plot", output).exception, OutputExists)
    assert output.read_text() == "mine"
    assert run_here("rate", recording, "--plot", output, "--force").exception is None


def test_without_matplotlib_the_extra_is_named(
    recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = run_here("rssi", recording, "--plot", "a.png")
    assert "pip install 'tracktape[plot]'" in str(result.exception)


def test_names_are_whole_where_there_is_room_and_cut_where_there_is_none(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "a device with a name of thirty-nine let"
    heard = told("positions", position(1, deviceId=1, deviceName=name, latitude=1, longitude=1))
    path = write(tmp_path / "a.track.jsonl", [heard])
    columns = 200
    monkeypatch.setattr("replayer.commands.measuring.output_columns", lambda: columns)
    for command in ("rssi", "track"):
        assert name in run_here(command, path).stdout
    columns = 80
    for command in ("rssi", "track"):
        assert f"{name[:17]}…" in run_here(command, path).stdout
    # The wall clock takes its room from names, not from what stands behind.
    lines = run_here("pings", recording, "--wall").stdout.splitlines()
    assert [line.split()[-1] for line in lines[1:3]] == ["answered", "unanswered"]
    assert all(len(line) <= 80 for line in lines)


def test_the_way_of_a_device_that_has_only_an_id(tmp_path: Path) -> None:
    heard = [
        told("positions", position(number, deviceId=7, latitude=1, longitude=1 + number / 1e5))
        for number in range(2)
    ]
    result = run_here("track", write(tmp_path / "a.track.jsonl", heard))
    assert result.exception is None
    assert "7: 1.1 m in all\n" in result.stdout


def namesakes(path: Path) -> Path:
    """Two devices of one name, side by side."""
    return write(
        path,
        [
            told(
                "positions",
                position(
                    number,
                    deviceId=7 + number % 2,
                    deviceName="Käthe",
                    latitude=1 + number % 2,
                    longitude=1 + number / 1e5,
                    attributes={"batteryLevel": 90 - 50 * (number % 2)},
                ),
                at=number,
            )
            for number in range(4)
        ],
    )


def test_a_beacon_of_several_at_which_a_device_was_is_said(tmp_path: Path) -> None:
    at = [position(n, deviceId=1, beaconId=n, beaconName="gate") for n in (1, 2, 3)]
    path = write(tmp_path / "a.track.jsonl", [told("positions", *at)])
    for command in ("rssi", "track"):
        said = run_here(command, path, "--beacon", "gate").stderr
        assert "3 beacons are called gate, and all are here: choose one by its id, 1, 2, 3" in said
        assert "are called" not in run_here(command, path, "--beacon", "2").stderr
        assert "are called" not in run_here(command, path).stderr


@pytest.mark.parametrize(
    ("options", "ending"),
    [
        (["--from", "5m"], "a.track.jsonl holds no rssi in that time"),
        (["--from", "5m", "--device", "_second"], "of device _second in that time"),
        (["--from", "5m", "--device", "x"], f"x in that time; its devices are {NAME}, _second"),
        (["--device", "x"], f"holds no rssi of device x; its devices are {NAME}, _second"),
        (["--beacon", "x", "--to", "1"], "holds no rssi of beacon x in that time"),
    ],
)
def test_where_nothing_was_found_the_devices_are_told_if_a_name_may_be_wrong(
    recording: Path, options: list[str], ending: str
) -> None:
    result = run_here("rssi", recording, *options)
    assert isinstance(result.exception, NothingLearnt)
    assert str(result.exception).endswith(ending)


@pytest.mark.parametrize("command", COMMANDS)
def test_an_end_before_the_beginning_is_a_usage_error(recording: Path, command: str) -> None:
    result = run_here(command, recording, "--from", "2s", "--to", "1s")
    assert isinstance(result.exception, click.UsageError)
    assert "--to is before --from" in str(result.exception)


def test_counts_that_do_not_fit_stand_in_further_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [
        told(kind, {"id": 1}, at=number)
        for number, kind in enumerate(("positions", "devices", "beacons", "events"))
    ]
    entries += [frame("server", ping(UUID_1), at=5), frame("client", b"pong " * 3, at=6)]
    path = write(tmp_path / "a.track.jsonl", entries)
    monkeypatch.setattr("replayer.commands.measuring.output_columns", lambda: 80)
    lines = run_here("rate", path, "--every", "1s").stdout.splitlines()
    assert [line[44:] for line in lines[1:3]] == [
        "positions 1, devices 1, beacons 1,",
        "events 1, PING 1, pong 1",
    ]
    assert lines[2][:44].isspace()
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("command", ["rssi", "battery", "track"])
def test_a_name_that_several_devices_have_is_said(tmp_path: Path, command: str) -> None:
    path = namesakes(tmp_path / "a.track.jsonl")
    result = run_here(command, path, "--device", "Käthe", "--json")
    assert len(result.stdout.splitlines()) == 4
    assert "2 devices are called Käthe, and all are here: choose one by its id, 7, 8\n" in (
        result.stderr
    )
    assert "are called" not in run_here(command, path, "--device", "7").stderr


def test_devices_of_one_name_are_drawn_apart(tmp_path: Path) -> None:
    path = namesakes(tmp_path / "a.track.jsonl")
    for command, suffix in (("track", ""), ("battery", " (positions)")):
        run_here(command, path, "--plot", tmp_path / f"{command}.svg")
        texts = labels(tmp_path / f"{command}.svg")
        assert {f"Käthe (7){suffix}", f"Käthe (8){suffix}"} <= set(texts)
    lines = run_here("track", path).stdout.splitlines()
    assert lines[-2:] == ["Käthe (7): 2.2 m in all", "Käthe (8): 2.2 m in all"]


def test_a_beacon_of_several_that_share_a_name_is_said(tmp_path: Path) -> None:
    beacons = [{"id": number, "name": "gate", "batteryLevel": 5} for number in (1, 2)]
    path = write(tmp_path / "a.track.jsonl", [told("beacons", *beacons)])
    assert "2 beacons are called gate" in run_here("battery", path, "--beacon", "gate").stderr


@pytest.mark.parametrize(("command", "what"), [("rssi", "rssi"), ("battery", "battery level")])
def test_what_is_no_number_cannot_be_drawn(tmp_path: Path, command: str, what: str) -> None:
    for number, value in enumerate(('"x"', "1e300")):
        text = b'{"positions":[{"id":1,"deviceId":1,"rssi":%b,"attributes":{"batteryLevel":%b}}]}'
        text = text % (value.encode(), value.encode())
        path = write(tmp_path / f"{number}.track.jsonl", [frame("server", text)])
        result = run_here(command, path, "--plot", tmp_path / "a.svg")
        assert isinstance(result.exception, NothingLearnt)
        assert f"no {what} is a number that can be drawn" in str(result.exception)
    assert "left out of the picture: 1 value too large to be drawn" in result.stderr


def test_what_is_torn_is_said_also_where_nothing_was_found(tmp_path: Path) -> None:
    path = write(tmp_path / "a.track.jsonl", session())
    path.write_bytes(path.read_bytes()[:-20])
    result = run_here("battery", path)
    assert isinstance(result.exception, NothingLearnt)
    assert f"{path} is torn: " in result.stderr


def test_a_row_is_one_line_however_its_values_were_broken(tmp_path: Path) -> None:
    text = b'{"positions":[{"id":1,"deviceId":1,"rssi":[1,\n2],"latitude":[\n1]}]}'
    path = write(tmp_path / "a.track.jsonl", [frame("server", text)])
    for command in ("rssi", "track"):
        (line,) = run_here(command, path, "--json").stdout.splitlines()
        json.loads(line)


def test_a_table_for_programs_is_safe_at_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = told("positions", position(1, deviceId=1, deviceName="\x1b[31m", fixTime="\x1b[2J"))
    path = write(tmp_path / "b.track.jsonl", [evil])
    assert "\x1b[31m" in run_here("rssi", path, "--format", "csv").stdout
    monkeypatch.setattr(
        "click.testing._NamedTextIOWrapper.isatty", lambda self: True, raising=False
    )
    shown = run_here("rssi", path, "--format", "csv").stdout
    assert "\x1b" not in shown
    assert "\\x1b[31m" in shown


def test_names_from_a_recording_reach_no_terminal_as_they_are(tmp_path: Path) -> None:
    path = write(tmp_path / "a.track.jsonl", session())
    evil = told("positions", position(1, deviceId=1, deviceName="\x1b[31m", fixTime="\x1b[2J"))
    path = write(tmp_path / "b.track.jsonl", [evil])
    for arguments in (["rssi"], ["rssi", "--device", "1"], ["track"]):
        assert "\x1b" not in run_here(arguments[0], path, *arguments[1:]).stdout


def test_as_a_process_an_empty_series_ends_with_bad_data(tmp_path: Path) -> None:
    path = write(tmp_path / "a.track.jsonl", [])
    result = run("rssi", path)
    assert (result.returncode, result.stdout) == (Exit.BAD_DATA, b"")
    assert b"holds no rssi; it has no devices" in result.stderr
