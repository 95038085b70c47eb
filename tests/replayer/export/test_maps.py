"""GeoJSON and GPX: places, ways and times."""

from __future__ import annotations

import io
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import gpxpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replayer.export.geojson import GeoJsonExport
from replayer.export.gpx import GpxExport
from replayer.export.places import Places
from tests.profiles import examples
from tests.replayer.measurements.told import position, run_here, told
from tests.replayer.recordings import frame, header, numbered, write

MINUTE_NS = 60 * 10**9
DEGREES = st.none() | st.integers(-200, 200) | st.floats(-181, 181) | st.sampled_from([1e-9, 180])
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


@st.composite
def positions(draw: st.DrawFn) -> list[dict[str, Any]]:
    devices = draw(st.lists(st.integers(1, 3), max_size=9))
    return [
        position(
            number,
            deviceId=device_id,
            deviceName=draw(st.sampled_from([None, f"device {device_id}"])),
            beaconName=draw(NAMES),
            latitude=draw(DEGREES),
            longitude=draw(DEGREES),
            altitude=draw(st.none() | st.floats(-100, 9000)),
            valid=draw(st.sampled_from([True, True, True, False, None])),
            fixTime=draw(st.none() | st.datetimes().map(lambda at: at.isoformat() + "Z")),
        )
        for number, device_id in enumerate(devices)
    ]


def on_a_map(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        one
        for one in found
        if one["latitude"] is not None
        and one["longitude"] is not None
        and abs(one["latitude"]) <= 90
        and abs(one["longitude"]) <= 180
        and (one["latitude"], one["longitude"]) != (0, 0)
        and one["valid"] is not False
    ]


def geojson(*found: dict[str, Any]) -> tuple[dict[str, Any], Places, GeoJsonExport]:
    places, export = Places(), GeoJsonExport(io.BytesIO())
    entries = numbered([told("positions", *found)])
    return json.loads(b"".join(export.chunks(places.of(entries)))), places, export


def gpx(*found: dict[str, Any], **options: Any) -> Any:
    fields = {"gap_ns": 10 * MINUTE_NS} | options
    export = GpxExport(header(), io.BytesIO(), **fields)
    entries = numbered([told("positions", *found, at=5000)])
    return gpxpy.parse(b"".join(export.chunks(Places().of(entries))).decode(), version="1.1")


def without_cuts(parts: list[list[Any]]) -> list[Any]:
    last = len(parts) - 1
    return [
        one
        for number, part in enumerate(parts)
        for one in part[number > 0 : len(part) - (number < last)]
    ]


@settings(max_examples=examples(120))
@given(positions())
def test_geojson_has_every_place_and_the_way_of_every_device(found: list[dict[str, Any]]) -> None:
    document, places, export = geojson(*found)
    expected = on_a_map(found)
    assert list(document) == ["type", "features"]
    points = [one for one in document["features"] if one["geometry"]["type"] == "Point"]
    # A position waits for the name of its device, so that another one's may overtake it.
    points.sort(key=lambda one: one["id"])
    lines = [one for one in document["features"] if one["geometry"]["type"] != "Point"]
    assert [one["geometry"]["coordinates"] for one in points] == [
        [one["longitude"], one["latitude"]] for one in expected
    ]
    assert [one["properties"] for one in points] == expected
    assert [one["id"] for one in points] == [one["id"] for one in expected]
    for line in lines:
        own = [one for one in expected if one["deviceId"] == line["properties"]["deviceId"]]
        assert len(own) > 1
        corners, times = line["geometry"]["coordinates"], line["properties"]["times"]
        if line["geometry"]["type"] == "MultiLineString":
            # Where it is cut, at the 180th meridian, a corner on either side was put in.
            assert all(
                abs(part[-1][0]) == abs(after[0][0]) == 180 for part, after in pairwise(corners)
            )
            corners, times = without_cuts(corners), without_cuts(times)
        assert corners == [[one["longitude"], one["latitude"]] for one in own]
        assert times == [one["fixTime"] for one in own]
    assert (export.points, export.lines) == (len(points), len(lines))
    assert places.left_out.total() == len(found) - len(expected)


@settings(max_examples=examples(120))
@given(positions())
def test_gpx_has_every_place_in_the_track_of_its_device(found: list[dict[str, Any]]) -> None:
    document = gpx(*found)
    expected = on_a_map(found)
    assert len(document.tracks) == len({one["deviceId"] for one in expected})
    for track in document.tracks:
        device_id = int(track.name.removeprefix("device "))
        own = [one for one in expected if one["deviceId"] == device_id]
        points = [point for segment in track.segments for point in segment.points]
        assert all(segment.points for segment in track.segments)
        assert [(one.latitude, one.elevation) for one in points] == [
            (pytest.approx(one["latitude"]), one["altitude"]) for one in own
        ]
        for point, one in zip(points, own, strict=True):
            east = -180 if one["longitude"] == 180 else one["longitude"]
            assert point.longitude == pytest.approx(east)
            assert point.time is not None
            if one["fixTime"]:
                whole = point.time.replace(tzinfo=None).isoformat(timespec="milliseconds")
                assert one["fixTime"][:19] == whole[:19]


def at(number: int, **fields: Any) -> dict[str, Any]:
    return position(number, **{"deviceId": 1, "latitude": 1, "longitude": number, **fields})


def test_a_way_across_the_180th_meridian_is_cut_there() -> None:
    fiji = [(178, 0), (-178, 2), (-170, 2), (180, 3), (-179, 3)]
    found = [
        at(n, longitude=east, latitude=north, fixTime=str(n))
        for n, (east, north) in enumerate(fiji, 1)
    ]
    document, _, export = geojson(*found)
    line = document["features"][-1]
    assert line["geometry"] == {
        "type": "MultiLineString",
        "coordinates": [
            [[178, 0], [180, 1]],
            [[-180, 1], [-178, 2], [-170, 2], [-180, 3]],
            [[180, 3], [180, 3], [180, 3]],
            [[-180, 3], [-179, 3]],
        ],
    }
    assert line["properties"]["times"] == [
        ["1", None],
        [None, "2", "3", None],
        [None, "4", None],
        [None, "5"],
    ]
    assert (export.points, export.lines) == (5, 1)


def test_a_number_too_small_for_anybody_costs_no_memory() -> None:
    text = b'{"positions":[{"id":1,"latitude":1e-999999999,"longitude":2,"altitude":1e-99999999}]}'
    places = list(Places().of(numbered([frame("server", text)])))
    export = GpxExport(header(), io.BytesIO(), gap_ns=MINUTE_NS)
    assert b'<trkpt lat="0" lon="2"><ele>0</ele>' in b"".join(export.chunks(places))


def test_a_gap_begins_a_segment_and_so_does_a_step_back() -> None:
    minutes = ["10:00", "10:09", "10:20", "10:29", "10:05"]
    found = [at(n, fixTime=f"2025-02-21T{clock}:00Z") for n, clock in enumerate(minutes)]
    (track,) = gpx(*found).tracks
    assert [len(segment.points) for segment in track.segments] == [2, 2, 1]
    (track,) = gpx(*found, gap_ns=60 * MINUTE_NS).tracks
    assert [len(segment.points) for segment in track.segments] == [4, 1]


def test_without_a_time_of_its_own_a_point_has_that_of_its_telling() -> None:
    (track,) = gpx(at(1), at(2, deviceTime="2025-02-21T10:02:20.168+00:00")).tracks
    times = [point.time.isoformat() for segment in track.segments for point in segment.points]
    assert times == ["2026-11-22T17:00:05.123000+00:00", "2025-02-21T10:02:20.168000+00:00"]


def test_names_are_escaped_and_what_xml_has_no_place_for_is_shown() -> None:
    (track,) = gpx(at(1, deviceName='<&>"\x1b\ufffe', beaconName="]]>\x00")).tracks
    assert track.name == '<&>"\\u001b\\ufffe'
    assert track.segments[0].points[0].name == "]]>\\u0000"


def test_coordinates_are_spelled_as_they_came_and_without_exponents_in_gpx(tmp_path: Path) -> None:
    text = (
        b'{"positions":[{"id":1,"deviceId":1,"latitude":4.990e1,"longitude":10.8787551149725910}]}'
    )
    path = write(tmp_path / "a.track.jsonl", [frame("server", text)])
    arguments = ["-o", "-", "--to"]
    assert "[10.8787551149725910,4.990e1]" in run_here("export", path, *arguments, "geojson").stdout
    assert (
        '<trkpt lat="49.90" lon="10.8787551149725910">'
        in run_here("export", path, *arguments, "gpx").stdout
    )


@pytest.mark.parametrize("form", ["geojson", "gpx"])
def test_what_is_left_out_is_told(form: str, tmp_path: Path) -> None:
    found = [
        at(1),
        at(2, latitude=None),
        at(3, latitude=0, longitude=0),
        at(4, valid=False),
        at(5, deviceId=2),
        at(1),
    ]
    entries = [told("positions", *found), frame("server", b"{}", redacted=True)]
    path = write(tmp_path / "a.track.jsonl", entries)
    result = run_here("export", path, "--to", form, "--device", "1", "-o", tmp_path / "out")
    assert result.stderr.splitlines() == [
        "1 point, 0 lines" if form == "geojson" else "1 point, 1 track",
        "left out: 1 positions at 0,0, which is where a place is unknown",
        "left out: 1 positions that are not valid",
        "left out: 1 positions told again with the same text",
        "left out: 1 positions without coordinates",
        "1 entries were redacted: this is not the original",
    ]


def test_a_position_that_is_no_utf8_would_make_no_geojson() -> None:
    text = b'{"positions":[{"id":1,"latitude":1,"longitude":2,"address":"\xff"}]}'
    places = Places()
    assert list(places.of(numbered([frame("server", text)]))) == []
