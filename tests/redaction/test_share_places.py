"""Places are moved as a whole: distances, speeds and courses hold, and no place stays."""

from __future__ import annotations

import json
import math
import re

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from recorder.redaction.share import Motion, Share
from recorder.redaction.share.sphere import turned_course
from tests.profiles import examples
from tests.redaction.share_support import (
    KEY,
    OTHER_KEY,
    applied,
    bearing_degrees,
    distance_m,
)

latitudes = st.integers(-90_000_000, 90_000_000).map(lambda n: f"{n / 1e6:.6f}")
longitudes = st.integers(-180_000_000, 180_000_000).map(lambda n: f"{n / 1e6:.6f}")
places = st.tuples(latitudes, longitudes).filter(lambda p: float(p[0]) or float(p[1]))


def moved(place: tuple[str, str], share: Share | None = None) -> tuple[str, str]:
    text = f'{{"latitude":{place[0]},"longitude":{place[1]}}}'
    new = json.loads(applied(share or Share(KEY), text), parse_float=str, parse_int=str)
    return new["latitude"], new["longitude"]


@settings(max_examples=examples(200), deadline=None)
@given(places, places)
@example(("90.000000", "0.000000"), ("-90.000000", "12.000000"))
@example(("49.897595", "10.878755"), ("49.897596", "10.878755"))
def test_distances_hold_within_a_metre_or_a_thousandth(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    before = distance_m(one, other)
    # A metre where decimals are six: each place is rounded by at most 0.08 m.
    assert distance_m(moved(one), moved(other)) == pytest.approx(before, abs=0.35, rel=1e-9)


@settings(max_examples=examples(100), deadline=None)
@given(st.floats(-89, 89), st.floats(-180, 180), st.floats(0.001, 359.999))
def test_a_course_keeps_pointing_where_it_did(lat: float, lon: float, course: float) -> None:
    # A kilometre on, on the sphere.
    angle = 1000 / 6_371_000
    a, b, c = math.radians(lat), math.radians(lon), math.radians(course)
    lat2 = math.asin(math.sin(a) * math.cos(angle) + math.cos(a) * math.sin(angle) * math.cos(c))
    lon2 = b + math.atan2(
        math.sin(c) * math.sin(angle) * math.cos(a), math.cos(angle) - math.sin(a) * math.sin(lat2)
    )
    motion = Motion(KEY)
    start, end = motion.moved(lat, lon), motion.moved(math.degrees(lat2), math.degrees(lon2))
    assume(abs(start[0]) < 89.9)
    turned = float(turned_course(f"{course:.6f}", start[2]) or "nan")
    difference = (turned - bearing_degrees(start[:2], end[:2]) + 180) % 360 - 180
    assert abs(difference) < 0.01


def test_a_motion_is_a_rotation_and_goes_by_the_key() -> None:
    corners = [(0.0, 0.0), (0.0, 90.0), (90.0, 0.0)]
    for key in (KEY, OTHER_KEY):
        images = [Motion(key).moved(*corner)[:2] for corner in corners]
        for i, j in ((0, 1), (1, 2), (0, 2)):
            assert distance_m(images[i], images[j]) == pytest.approx(math.pi / 2 * 6_371_000)
    assert Motion(KEY).moved(49.9, 10.9) == Motion(KEY).moved(49.9, 10.9)
    assert distance_m(Motion(KEY).moved(49.9, 10.9)[:2], Motion(OTHER_KEY).moved(49.9, 10.9)[:2])


@settings(max_examples=examples(100), deadline=None)
@given(places, st.integers(0, 15))
def test_as_many_decimals_stay_as_there_were_but_at_least_six(
    place: tuple[str, str], decimals: int
) -> None:
    spelled = tuple(f"{float(x):.{decimals}f}" for x in place)
    assume(any(map(float, spelled)))
    for new in moved((spelled[0], spelled[1])):
        assert len(new.partition(".")[2]) == max(6, decimals)


@pytest.mark.parametrize("zero", ["0", "0.0", "-0.0"])
def test_zero_zero_is_no_place_and_stays(zero: str) -> None:
    text = f'{{"latitude":{zero},"longitude":{zero},"course":10.0}}'
    assert applied(Share(KEY), text) == text


@pytest.mark.parametrize(
    "text",
    [
        '{"latitude":49.897595,"longitude":10.878755}',
        '{"longitude":10.878755,"latitude":49.897595}',
        '{"lat":"49.897595","lng":"10.878755"}',
        '{"attributes":{"x":[{"y":1}]},"latitude":49.897595,"b":"}{","longitude":10.878755}',
        '{"startLat":49.897595,"endLat":49.897595,"startLon":10.878755,"endLon":10.878755}',
        '{"start_latitude":49.897595,"start_longitude":10.878755}',
        '{"area":"CIRCLE (49.897595 10.878755, 50.0)"}',
        '{"area":"POLYGON ((49.897595 10.878755, 49.897595 10.878755))"}',
        '{"area":"linestring(49.897595 10.878755,49.897595 10.878755)"}',
        "/api/x?lat=49.897595&lon=10.878755&zoom=1",
        "longitude=10.878755&latitude=49.897595",
        "area=CIRCLE+(49.897595+10.878755,+5)",
        "it stood at 49.897595, 10.878755 for an hour",
        "it stood at 49.897595 10.878755",
        "lat: 49.897595 lon: 10.878755",
        "https://maps.example/?q=49.897595,10.878755",
        "https://maps.example/@49.897595,10.878755,17z",
        '"latitude":49.897595,"longitude":10.878755}],"x',
    ],
)
def test_a_place_is_found_wherever_it_stands(text: str) -> None:
    share = Share(KEY)
    lat, lon = moved(("49.897595", "10.878755"), share)
    new = applied(share, text)
    assert new == text.replace("49.897595", lat).replace("10.878755", lon)
    # Asked once more, as for another view of the text, it stays where it is.
    assert applied(share, new) == new


def test_pairs_of_one_object_are_not_mixed_with_those_of_another() -> None:
    text = (
        '{"latitude":1.000000,"in":{"latitude":2.000000,"longitude":3.000000},"longitude":4.000000}'
    )
    new = json.loads(applied(Share(KEY), text), parse_float=str)
    assert (new["latitude"], new["longitude"]) == moved(("1.000000", "4.000000"))
    inner = new["in"]
    assert (inner["latitude"], inner["longitude"]) == moved(("2.000000", "3.000000"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"latitude":49.8}', '{"latitude":0.0}'),
        ('{"latitude":49}', '{"latitude":0}'),
        ('{"latitude":null,"longitude":10.87}', '{"latitude":null,"longitude":0.00}'),
        ('{"latitude":95.5,"longitude":10.5}', '{"latitude":0.0,"longitude":0.0}'),
        (
            '{"latitude":"49° 53\'","longitude":"x"}',
            '{"latitude":"[redacted]","longitude":"[redacted]"}',
        ),
        ('{"area":"a place of another kind"}', '{"area":"[redacted]"}'),
        ("?lat=49.8", "?lat=0.0"),
        ('{"latitude":1e999,"longitude":1}', '{"latitude":0,"longitude":0}'),
    ],
)
def test_half_a_place_is_never_left(text: str, expected: str) -> None:
    share = Share(KEY)
    assert applied(share, text) == expected
    assert applied(share, expected) == expected


def test_what_is_no_place_stays() -> None:
    text = (
        '{"flat":1.5,"latency":0.12345,"altitude":312.0,"speed":12.5,"accuracy":0.0,"rssi":-64,'
        '"totalDistance":123.45678,"accel":[0.12345,0.54321,9.81234],"version":"1.2.3"}'
    )
    assert applied(Share(KEY), text) == text


def test_program_text_about_places_stays() -> None:
    text = "var lat=t.lat,lng=t.lng;map.lon=x"
    assert applied(Share(KEY), text) == text


def test_a_course_of_zero_stays_for_it_would_point_to_the_moved_pole() -> None:
    text = '{"latitude":49.897595,"longitude":10.878755,"course":%s,"speed":0.0}'
    assert '"course":0.0' in applied(Share(KEY), text % "0.0")
    turned = re.search(r'"course":([\d.]+)', applied(Share(KEY), text % "90.00"))
    assert turned is not None
    assert turned[1] != "90.00"
    assert re.fullmatch(r"\d{1,3}\.\d\d", turned[1])
