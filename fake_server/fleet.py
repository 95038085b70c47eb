"""A small fleet that is made up as it goes, for a server that has no recording to play.

It holds two kinds of objects. Those that the manual prints stand here as printed, number and date
spellings included, and never change, so that the manual's own scripts find what it shows. Beside
them a few lively ones move by a seeded random walk: tags that are carried from room to room of a
house near Bamberg, where beacons hang, and two people with GPS on the paths around it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

import msgspec

from fake_server.manual_objects import (
    BEACON,
    MANUAL_BEACONS,
    MANUAL_DEVICES,
    MANUAL_POSITIONS,
    NAMED_BEACONS,
    NAMED_DEVICES,
    POSITION,
    JsonObject,
    make_device,
)
from recorder.wire.frames import Frame, Opcode
from replayer.playing.timeline import Cue
from replayer.state import State

__all__ = ["Fleet"]

# The lively objects. Their ids begin far from the manual's; new positions and events count on.
_FIRST_DEVICE_ID: Final = 910_000_001
_FIRST_BEACON_ID: Final = 920_000_001
_FIRST_POSITION_ID: Final = 930_000_001
_FIRST_EVENT_ID: Final = 940_000_001

_ROOMS: Final = (
    # One leads to the next, by the stairs from the third to the fourth. Name, floor, and how many
    # metres east of the corner of the house the beacon hangs.
    ("Empfang", "0", 0),
    ("Küche", "0", 6),
    ("Lager Süd", "0", 12),
    ("Büro Müller", "1", 12),
    ("Besprechung Löwe", "1", 6),
    ("Prüfstand", "1", 0),
)
_TAGS: Final = (
    # Name, first room, and whether its rssi is an unsigned byte, as in the prose of section 3.6.
    ("Gabelstapler Grün", 2, False),
    ("Bohrhammer 7", 2, False),
    ("Schlüsselbund ~ Hausmeister", 0, False),
    ("Prüfgerät Öl", 5, True),
    ("Gästeausweis Straßenfest", 0, False),
    ("Messkoffer Weiß", 3, False),
)
_WALKERS: Final = (
    # Name, and metres east and north of the corner of the house.
    ("Wachgang Außengelände", 40.0, 60.0),
    ("Postbotin Käthe", 220.0, 310.0),
)
_HOUSE_LATITUDE_DEG: Final = 49.9012
_HOUSE_LONGITUDE_DEG: Final = 10.8634
_METRES_A_DEGREE: Final = 111_320
_GROUNDS_M: Final = 400
_ROOM_TO_ROOM_S: Final = 4
_KNOTS_A_MPS: Final = 3600 / 1852


class _Tag(msgspec.Struct, frozen=True, kw_only=True):
    """A tag in a room, last seen ``seen_s`` after the start."""

    device: JsonObject
    room: int
    is_unsigned: bool
    rssi_dbm: int = -52
    scan_rssi_dbm: int = -42
    seen_s: float = 0

    def moved(self, device: JsonObject, at_s: float, rng: Random) -> _Tag:
        room = self.room
        if at_s - self.seen_s >= _ROOM_TO_ROOM_S and rng.random() < 0.3:
            room = rng.choice([near for near in (room - 1, room + 1) if 0 <= near < len(_ROOMS)])
        return msgspec.structs.replace(
            self,
            device=device,
            room=room,
            rssi_dbm=_drifted(self.rssi_dbm, rng),
            scan_rssi_dbm=_drifted(self.scan_rssi_dbm, rng),
            seen_s=at_s,
        )

    def position(self, moment: str, beacons: list[JsonObject]) -> JsonObject:
        beacon = beacons[self.room]
        return _position(self.device, moment, beacon) | {
            "attributes": {
                "floor": _ROOMS[self.room][1],
                "batteryLevel": self.device["batteryLevel"],
                "scanRssi": self.scan_rssi_dbm,
            },
            "latitude": beacon["latitude"],
            "longitude": beacon["longitude"],
            "scanRssi": self.scan_rssi_dbm,
            "rssi": self.rssi_dbm % 256 if self.is_unsigned else self.rssi_dbm,
        }


class _Walker(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody with GPS on the grounds, a square whose corner is the house's; last seen ``seen_s``
    after the start, ``step_m`` from the place before."""

    device: JsonObject
    east_m: float
    north_m: float
    course_deg: float = 0
    speed_mps: float = 0
    step_m: float = 0
    total_m: float = 0
    seen_s: float = 0

    def moved(self, device: JsonObject, at_s: float, rng: Random) -> _Walker:
        course = math.radians(self.course_deg + rng.gauss(0, 30))
        speed_mps = rng.uniform(0.9, 1.6)
        way_m = speed_mps * (at_s - self.seen_s)
        east_m = _turned_back(self.east_m + way_m * math.sin(course))
        north_m = _turned_back(self.north_m + way_m * math.cos(course))
        east_step_m, north_step_m = east_m - self.east_m, north_m - self.north_m
        step_m = math.hypot(east_step_m, north_step_m)
        return msgspec.structs.replace(
            self,
            device=device,
            east_m=east_m,
            north_m=north_m,
            course_deg=math.degrees(math.atan2(east_step_m, north_step_m)) % 360,
            speed_mps=speed_mps,
            step_m=step_m,
            total_m=self.total_m + step_m,
            seen_s=at_s,
        )

    def position(self, moment: str, beacons: list[JsonObject]) -> JsonObject:
        """With what section 3.2 has beside 3.6 for GPS. Speed is in knots, as in Traccar."""
        latitude, longitude = _place(self.east_m, self.north_m)
        return _position(self.device, moment, None) | {
            "attributes": {
                "batteryLevel": self.device["batteryLevel"],
                "distance": round(self.step_m, 2),
                "totalDistance": round(self.total_m, 2),
                "motion": self.speed_mps > 0,
            },
            "latitude": latitude,
            "longitude": longitude,
            "altitude": 262.0,
            "speed": round(self.speed_mps * _KNOTS_A_MPS, 2),
            "course": round(self.course_deg, 1),
            "accuracy": 4.0,
            "scanRssi": None,
            "rssi": None,
        }


def _place(east_m: float, north_m: float) -> tuple[float, float]:
    """Latitude and longitude, in degrees to the centimetre, of a place seen from the house."""
    east_deg = east_m / (_METRES_A_DEGREE * math.cos(math.radians(_HOUSE_LATITUDE_DEG)))
    north_deg = north_m / _METRES_A_DEGREE
    return round(_HOUSE_LATITUDE_DEG + north_deg, 7), round(_HOUSE_LONGITUDE_DEG + east_deg, 7)


def _turned_back(way_m: float) -> float:
    """The way along one side of the grounds for somebody who turns at each end of it."""
    there_and_back_m = way_m % (2 * _GROUNDS_M)
    return min(there_and_back_m, 2 * _GROUNDS_M - there_and_back_m)


def _drifted(dbm: int, rng: Random) -> int:
    return max(-95, min(-35, dbm + rng.randint(-4, 4)))


def _drained(percent: int, rng: Random) -> int:
    """The level of a battery a little later. It is full again after it was nearly empty."""
    if percent <= 5:
        return 100
    return percent - 1 if rng.random() < 0.05 else percent


def _position(device: JsonObject, moment: str, beacon: JsonObject | None) -> JsonObject:
    """The position that a device refers to, as far as it is the same for tags and walkers."""
    return POSITION | {
        "id": device["positionId"],
        "serverTime": moment,
        "deviceTime": moment,
        "fixTime": moment,
        "outdated": False,
        "deviceId": device["id"],
        "deviceName": device["name"],
        **_beacon_fields(beacon),
    }


def _beacon_fields(beacon: JsonObject | None) -> JsonObject:
    """What positions and events say about a beacon; null where there is none."""
    names = ("id", "name", "major", "minor", "uuid")
    return {f"beacon{name.capitalize()}": beacon and beacon[name] for name in names}


def _entering(event_id: int, tag: _Tag, moment: str, beacon: JsonObject) -> JsonObject:
    """The event that a tag came to a beacon, with the keys that clients of Track read."""
    return {
        "id": event_id,
        "name": None,
        "attributes": {},
        "type": "deviceEnterBeacon",
        "deviceId": tag.device["id"],
        "trackableId": None,
        "serverTime": moment,
        "deviceTime": moment,
        "positionId": tag.device["positionId"],
        "geofenceId": None,
        "message": None,
        "userId": None,
        **_beacon_fields(beacon),
    }


def _first_beacons(moment: str) -> list[JsonObject]:
    """The beacons of the rooms, in the order of the rooms."""
    beacons = []
    for number, (name, _, east_m) in enumerate(_ROOMS):
        latitude, longitude = _place(east_m, 0)
        beacons.append(
            BEACON
            | {
                "id": _FIRST_BEACON_ID + number,
                "name": name,
                "deviceId": None,
                "uuid": "3f0c5b1e6a9d4e27b8417c52d90ea6f3",
                "major": 96,
                "minor": number + 1,
                "latitude": latitude,
                "longitude": longitude,
                "lastSeen": moment,
            }
        )
    return beacons


def _first_movers(moment: str) -> list[_Tag | _Walker]:
    """The lively devices, each with its first position id."""
    devices = (
        make_device(
            _FIRST_DEVICE_ID + number,
            name,
            f"7204460013{number:02}",
            _FIRST_POSITION_ID + number,
            moment,
        )
        for number, (name, *_) in enumerate((*_TAGS, *_WALKERS))
    )
    tags = [
        _Tag(device=next(devices), room=room, is_unsigned=is_unsigned)
        for _, room, is_unsigned in _TAGS
    ]
    walkers = [
        _Walker(device=next(devices), east_m=east_m, north_m=north_m)
        for _, east_m, north_m in _WALKERS
    ]
    return [*tags, *walkers]


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _spelled(moment: datetime) -> str:
    """A moment in UTC as the manual's newer examples have it: ``2025-02-21T10:05:04.906+00:00``."""
    return moment.isoformat(timespec="milliseconds")


def _texts(printed: Iterable[bytes], made: Iterable[JsonObject]) -> Iterator[bytes]:
    """Each object as compact JSON. What is printed only loses the line breaks of this file."""
    yield from (text.replace(b"\n", b"") for text in printed)
    yield from map(msgspec.json.encode, made)


def _cue(at_ns: int, payload: bytes) -> Cue:
    return Cue(at_ns, "data", Frame.make(Opcode.TEXT, payload).serialize(), payload)


class Fleet:
    """A source for a fake server (:class:`replayer.playing.script.Source`), without a file or an
    end.

    ``seed`` decides every step of the lively objects, ``now`` (an aware moment) their dates: the
    opening is dated when the fleet is made, the changes of a socket from when its cues are asked
    for. About every ``interval_s`` seconds one device changes. Equal arguments give equal bytes.
    Raises ValueError unless ``interval_s`` is above 0 and finite.
    """

    sockets: Final = 1
    timed: Final = True
    ends: Final = False

    def __init__(
        self, *, seed: int = 1, now: Callable[[], datetime] = _utc_now, interval_s: float = 1.0
    ) -> None:
        if not 0 < interval_s < math.inf:
            raise ValueError(f"interval_s is above 0 and finite, not {interval_s}")
        self._seed = seed
        self._now = now
        self._interval_s = interval_s
        moment = _spelled(now().astimezone(UTC))
        self._beacons = _first_beacons(moment)
        self._movers = _first_movers(moment)
        devices = (*NAMED_DEVICES, *(mover.device for mover in self._movers))
        beacons = (*NAMED_BEACONS, *self._beacons)
        positions = [mover.position(moment, self._beacons) for mover in self._movers]
        self._opening = State()
        self._opening.put("devices", _texts(MANUAL_DEVICES, devices))
        self._opening.put("beacons", _texts(MANUAL_BEACONS, beacons))
        self._opening.put("positions", _texts(MANUAL_POSITIONS, positions))

    @property
    def opening(self) -> State:
        """What the first push of every socket tells. Not to be changed."""
        return self._opening

    def cues(self, number: int, *, later_ns: int = 0) -> Iterator[Cue]:
        """The first push, due at once, then changes without end; the same for any ``number``.

        A change is a message with the device, then one with its position; then, where a tag came
        to another beacon, one with the event, and now and then one with the beacon that it is at.
        """
        push = [_cue(0, payload) for payload in self._opening.messages()]
        return itertools.chain(push, self._changes(self._now().astimezone(UTC)))

    def shows_timeout(self, number: int) -> bool:
        """Never: the server shows its own."""
        return False

    def all_cues(self, *, later_ns: int = 0) -> Iterator[Cue]:
        """The cues of the one socket."""
        return self.cues(0)

    def answer(self, method: str, target: str) -> None:
        """Nothing was recorded: every REST answer is the state's."""

    def requests(self) -> tuple[()]:
        """None, then."""
        return ()

    def _changes(self, started: datetime) -> Iterator[Cue]:
        rng = Random(self._seed)
        movers = list(self._movers)
        beacons = list(self._beacons)
        event_ids = itertools.count(_FIRST_EVENT_ID)
        for change in itertools.count(1):
            at_s = (change + rng.uniform(-0.2, 0.2)) * self._interval_s
            moment = _spelled(started + timedelta(seconds=at_s))
            index = rng.randrange(len(movers))
            before = movers[index]
            device = before.device | {
                "status": "online",
                "lastUpdate": moment,
                "positionId": _FIRST_POSITION_ID + len(movers) + change - 1,
                "batteryLevel": _drained(before.device["batteryLevel"], rng),
            }
            mover = movers[index] = before.moved(device, at_s, rng)
            told = [("devices", device), ("positions", mover.position(moment, beacons))]
            if isinstance(mover, _Tag) and isinstance(before, _Tag):
                if mover.room != before.room:
                    event = _entering(next(event_ids), mover, moment, beacons[mover.room])
                    told.append(("events", event))
                if rng.random() < 0.1:
                    beacon = beacons[mover.room]
                    beacons[mover.room] = beacon | {
                        "lastSeen": moment,
                        "batteryLevel": _drained(beacon["batteryLevel"], rng),
                    }
                    told.append(("beacons", beacons[mover.room]))
            for kind, changed in told:
                yield _cue(int(at_s * 1e9), msgspec.json.encode({kind: [changed]}))
