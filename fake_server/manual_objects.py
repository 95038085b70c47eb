"""The devices, beacons and positions that the manual prints, as it prints them.

Number and date spellings are the manual's own, so that its scripts find in a fleet what it shows.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import msgspec

__all__ = [
    "BEACON",
    "DEVICE",
    "MANUAL_BEACONS",
    "MANUAL_DEVICES",
    "MANUAL_POSITIONS",
    "NAMED_BEACONS",
    "NAMED_DEVICES",
    "POSITION",
    "JsonObject",
    "make_device",
]

JsonObject: TypeAlias = dict[str, Any]
"""A JSON object; encoding it keeps the order of its keys."""

# What the manual prints, by section. Where it contradicts itself:
# - The device of 3.6 has other values in 4.4: activeGeofences [] for null, and leafGroupName
#   "api-quickstart-guide-group" for null. What a fleet says goes over a socket, so 3.6 holds.
# - The beacon of 4.7 is as before the update: at 0, 0, as 4.5 prints its neighbour; its
#   batteryLevel is the server's 100, not the client's 100.0.
MANUAL_DEVICES: Final = (
    # 3.2
    b"""
{"id":44969282,"name":"LynKey","attributes":{"uuid":"9a06de64642b4441b377b63c2d5cd828",
"Weather":"Cloudy"},"uniqueId":"13614234773123","status":"online",
"lastUpdate":"2020-02-26T16:05:26.469+0000","geofences":[],"activeGeofences":[],"notifications":[],
"positionId":75864142,"phone":"","model":"","contact":"","category":null,"disabled":false,
"allgeofencesenabled":false}
""",
    # 3.6
    b"""
{"id":794513675,"name":"quickstart-guide-device-1",
"attributes":{"uuid":"d87b32bdcc0e437a81b3383833bc5ff8","major":"4242","minor":"1"},
"uniqueId":"661168222238","status":"unknown","lastUpdate":"2025-02-21T10:05:04.906+00:00",
"geofences":[],"activeGeofences":null,"notifications":[],"positionId":794513912,"phone":"",
"model":"","contact":"","category":"null","disabled":false,"allgeofencesenabled":false,
"lastSuccessfulAsnJob":null,"lastOneTimeJob":null,"lastIncompleteAsnJob":null,
"firstDataTime":"2025-02-21T10:05:04.882+00:00","lastAttempt":null,"lastAsnFail":null,
"lastAsnCookie":null,"asnConfigs":[],
"firmwareVersion":"4.6.1712.0-38546f5-sBISD-hMZ-gGUCH-lFEW-wEB-bOD-oES","batteryLevel":100,
"leafGroupName":null}
""",
)
MANUAL_BEACONS: Final = (
    # 4.5
    b"""
{"id":794513676,"name":"quickstart-guide-beacon-1","attributes":{},"deviceId":794513675,
"uuid":"d87b32bdcc0e437a81b3383833bc5ff8","major":4242,"roleGroupId":794314697,"minor":1,
"latitude":0,"longitude":0,"lastSeen":null,"batteryLevel":null,"relative":false}
""",
    # 4.7
    b"""
{"id":794524643,"name":"quickstart-guide-beacon-2","attributes":{},"deviceId":794524642,
"uuid":"d87b32bdcc0e437a81b3383833bc5ff8","major":4242,"roleGroupId":794314697,"minor":2,
"latitude":0,"longitude":0,"lastSeen":"2025-02-21T12:04:24.093+00:00","batteryLevel":100,
"relative":false}
""",
)
MANUAL_POSITIONS: Final = (
    # 3.2
    b"""
{"id":67532839,"name":null,"attributes":{"floor":"2","batteryLevel":100.0,
"appid":"com.safectory.trackclient","distance":0.0,"totalDistance":0.0,"motion":false},
"protocol":"osmand","serverTime":"2020-01-14T10:18:44.514+0000",
"deviceTime":"2020-01-14T10:18:44.000+0000","fixTime":"2020-01-14T10:18:44.000+0000",
"outdated":false,"valid":true,"latitude":49.897595543798104,"longitude":10.878755114972591,
"altitude":0.0,"speed":0.0,"course":0.0,"address":null,"accuracy":0.0,"networkId":0,
"deviceId":60031591,"beaconId":3921,"beaconName":"Operation Management","beaconMajor":55,
"beaconMinor":123,"beaconUuid":"9a06de64642b4441b377b63c2d5cd123"}
""",
    # 3.2
    b"""
{"id":75864142,"name":null,"attributes":{"floor":"2","batteryLevel":100.0,"activationLevel":0.0,
"scanRssi":-55.0,"appid":"com.safectory.blegateway.push.12345_bz12345","distance":0.0,
"totalDistance":0.0,"motion":false},"protocol":"osmand",
"serverTime":"2020-02-26T16:05:26.464+0000","deviceTime":"2020-02-26T16:05:26.176+0000",
"fixTime":"2020-02-26T16:05:26.176+0000","outdated":false,"valid":true,
"latitude":49.897595543798104,"longitude":10.878755114972591,"altitude":0.0,"speed":0.0,
"course":0.0,"address":null,"accuracy":0.0,"networkId":0,"deviceId":44969282,"beaconId":3921,
"beaconName":"Operation Management","beaconMajor":55,"beaconMinor":7,
"beaconUuid":"9a06de64642b4441b377b63c2d5cd123"}
""",
    # 3.6, 4.2, 4.3.2
    b"""
{"id":794513912,"name":null,"attributes":{"batteryLevel":100,"scanRssi":-42},"protocol":"osmand",
"serverTime":"2025-02-21T10:05:04.882+00:00","deviceTime":"2025-02-21T10:05:04.882+00:00",
"fixTime":"2025-02-21T10:02:20.172+00:00","outdated":true,"valid":true,"latitude":0,"longitude":0,
"eventId":null,"deviceId":794513675,"scanRssi":-42,"rssi":-64,"beaconId":794513671,
"beaconName":"quickstart-guide-beacon-2","beaconMajor":4242,"beaconMinor":2,
"beaconUuid":"d87b32bdcc0e437a81b3383833bc5ff8","sourceDeviceId":null,
"deviceName":"quickstart-guide-device-1"}
""",
    # 4.3.1
    b"""
{"id":794513672,"name":null,
"attributes":{"appid":"beacon_change-by-api-quickstart-guide-user-api-quickstart-guide-group"},
"protocol":null,"serverTime":null,"deviceTime":"2025-02-21T10:02:20.168+00:00",
"fixTime":"2025-02-21T10:02:20.168+00:00","outdated":false,"valid":true,"latitude":0,"longitude":0,
"eventId":null,"deviceId":794513670,"scanRssi":null,"rssi":null,"beaconId":794513671,
"beaconName":"quickstart-guide-beacon-2","beaconMajor":4242,"beaconMinor":2,
"beaconUuid":"d87b32bdcc0e437a81b3383833bc5ff8","sourceDeviceId":null,
"deviceName":"quickstart-guide-device-1"}
""",
    # 4.6
    b"""
{"id":794524664,"name":null,"attributes":{"batteryLevel":100,"scanRssi":-42},"protocol":"osmand",
"serverTime":"2025-02-21T12:04:24.093+00:00","deviceTime":"2025-02-21T12:04:24.093+00:00",
"fixTime":"2025-02-21T12:04:19.946+00:00","outdated":true,"valid":true,"latitude":0,"longitude":0,
"eventId":null,"deviceId":794524647,"scanRssi":-42,"rssi":-64,"beaconId":794524643,
"beaconName":"quickstart-guide-beacon-2","beaconMajor":4242,"beaconMinor":2,
"beaconUuid":"d87b32bdcc0e437a81b3383833bc5ff8","sourceDeviceId":null,
"deviceName":"quickstart-guide-device-1"}
""",
)

# What else there is has the keys of these; numbers lose nothing, as none of them has a fraction.
DEVICE: Final[JsonObject] = msgspec.json.decode(MANUAL_DEVICES[1])
BEACON: Final[JsonObject] = msgspec.json.decode(MANUAL_BEACONS[1])
POSITION: Final[JsonObject] = msgspec.json.decode(MANUAL_POSITIONS[2])


def make_device(
    device_id: int, name: str, unique_id: str, position_id: int | None, moment: str
) -> JsonObject:
    """A device with the keys of the manual's, its dates all ``moment``."""
    return DEVICE | {
        "id": device_id,
        "name": name,
        "attributes": {},
        "uniqueId": unique_id,
        "lastUpdate": moment,
        "positionId": position_id,
        "firstDataTime": moment,
    }


# What the manual names by id and never prints. Its scripts select by name and by minor, and must
# find one object:
# - Positions call the devices 794513670 and 794524647 quickstart-guide-device-1 as well; here only
#   794513675 has that name, as in section 4.4.
# - Positions call the beacon 794513671 quickstart-guide-beacon-2 and give it 4242/2, which are
#   794524643's in section 4.7. It exists, to be joined by id, with a name and a minor of its own.
# - Beacon 3921 has the minors 123 and 7 in section 3.2; the later date's holds.
_FIRST_RUN: Final = "2025-02-21T10:02:20.168+00:00"
_SECOND_RUN: Final = "2025-02-21T12:04:24.093+00:00"
NAMED_DEVICES: Final = (
    make_device(60031591, "Track Client", "60031591", 67532839, "2020-01-14T10:18:44.514+0000"),
    make_device(794513670, "quickstart-guide-device-2", "661168222233", 794513672, _FIRST_RUN),
    make_device(794524642, "quickstart-guide-device-3", "661168222240", None, _SECOND_RUN),
    make_device(794524647, "quickstart-guide-device-4", "661168222245", 794524664, _SECOND_RUN),
)
NAMED_BEACONS: Final = (
    BEACON
    | {
        "id": 3921,
        "name": "Operation Management",
        "deviceId": None,
        "uuid": "9a06de64642b4441b377b63c2d5cd123",
        "major": 55,
        "minor": 7,
        "latitude": 49.897595543798104,
        "longitude": 10.878755114972591,
        "lastSeen": "2020-02-26T16:05:26.176+0000",
    },
    BEACON
    | {
        "id": 794513671,
        "name": "quickstart-guide-beacon-3",
        "deviceId": 794513670,
        "minor": 3,
        "lastSeen": _FIRST_RUN,
    },
)
