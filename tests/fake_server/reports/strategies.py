"""Histories of few devices, places and moments, so that they meet."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from fake_server.reports import History, ReportParameters

DAY = "2025-02-21T"
FIRST_NS = 1_740_096_000_000_000_000
"""Midnight of that day."""

DEVICE_IDS = (1, 2, 7)


def moment(at_s: int) -> str:
    """A date of that day."""
    return f"{DAY}{at_s // 3600:02}:{at_s // 60 % 60:02}:{at_s % 60:02}.000+00:00"


def position(number: int, at_s: int, place: Any = None, **more: Any) -> bytes:
    """A position of device 1; at a beacon if ``place`` is a number, else at a latitude."""
    where = (
        {"beaconId": place, "latitude": 0, "longitude": 0}
        if isinstance(place, int)
        else {"beaconId": None, "latitude": float(ord(place or "a")), "longitude": 0}
    )
    common = {"id": number, "deviceId": 1, "fixTime": moment(at_s), "serverTime": moment(at_s)}
    return json.dumps(common | where | more).encode()


def history(*positions: bytes, events: tuple[bytes, ...] = ()) -> History:
    """Two devices and a third in a group, and what they did."""
    devices = (
        b'{"id":1,"name":"one"}',
        b'{"id":2,"name":"two","groupId":5}',
        b'{"id":7,"name":"seven","groupId":5}',
    )
    return History(devices, positions, events)


def asked(**more: Any) -> ReportParameters:
    """Parameters for all devices and that whole day."""
    fields: dict[str, Any] = {
        "from_ns": FIRST_NS,
        "to_ns": FIRST_NS + 86_400 * 10**9,
        "device_ids": (0,),
    }
    return ReportParameters(**(fields | more))


def places(text: str, *, step_s: int = 10, **more: Any) -> list[bytes]:
    """Positions at places named by letters, one every ``step_s``: ids count from 0."""
    return [position(number, number * step_s, one, **more) for number, one in enumerate(text)]


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Up to a dozen positions of up to three devices, in any order, some without a time."""
    positions = []
    for number in range(draw(st.integers(0, 12))):
        at_s = draw(st.integers(0, 300))
        positions.append(
            position(
                number,
                at_s,
                draw(st.sampled_from(["a", "b", 3, 4])),
                deviceId=draw(st.sampled_from([*DEVICE_IDS, None, 9])),
                fixTime=draw(st.sampled_from([moment(at_s), None, "?"])),
                serverTime=moment(draw(st.integers(0, 300))),
                speed=draw(st.sampled_from([0, 1.5, 20, None])),
            )
        )
    return history(*positions)


parameters = st.builds(
    ReportParameters,
    from_ns=st.integers(0, 200).map(lambda at_s: FIRST_NS + at_s * 10**9),
    to_ns=st.integers(100, 300).map(lambda at_s: FIRST_NS + at_s * 10**9),
    device_ids=st.lists(st.sampled_from([0, *DEVICE_IDS]), max_size=3).map(tuple),
    group_ids=st.sampled_from([(), (5,), (6,)]),
    filter_same_location=st.booleans(),
    filter_flapping=st.booleans(),
    filter_non_beacon=st.booleans(),
    duration_min_s=st.sampled_from([0, 20, 60]),
    gap_time_s=st.sampled_from([0, 15, 90]),
    use_server_time=st.booleans(),
)
"""Any parameters, of devices that there are."""
