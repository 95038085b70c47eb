"""Names of fields, and the rule of what stands under them (manual sections 3, 4; lineage for users,
groups, geofences and drivers).

Numeric ``id``, ``deviceId``, ``positionId`` and the like are numbers of rows in a database. They
say nothing without that database, and everything joins by them: they stay. So do ``major`` and
``minor`` of a beacon, which mean nothing without its UUID.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

__all__ = ["ORDINARY_WORDS", "PLACE_RULES", "Field", "field_of"]

PLACE_RULES: Final = frozenset({"latitude", "longitude", "course"})
"""The rules of what is replaced together with what else its object holds."""


class Field(NamedTuple):
    """What stands under a name. ``rule`` is ``name``, ``contact``, ``phone``, ``id``, ``mac``,
    ``text`` (masked), ``area``, ``latitude``, ``longitude`` or ``course``; ``group`` says which
    latitude and longitude belong together: ``start`` of ``startLat`` and ``start_lon``.
    """

    rule: str
    group: str = ""


_RULES: Final = {
    **dict.fromkeys(("contact",), "contact"),
    **dict.fromkeys(
        ("phone", "phonenumber", "mobile", "tel", "telephone", "msisdn", "fax"), "phone"
    ),
    **dict.fromkeys(
        ("uniqueid", "imei", "imsi", "iccid", "meid", "vin", "serial", "serialnumber", "serialno"),
        "id",
    ),
    **dict.fromkeys(("mac", "macaddress", "bssid", "bdaddr", "btaddress"), "mac"),
    **dict.fromkeys(("login", "alias", "nickname", "ssid", "licenseplate", "plate"), "name"),
    **dict.fromkeys(("address", "description", "street", "streetaddress"), "text"),
    "area": "area",
    **dict.fromkeys(("course", "heading", "bearing"), "course"),
}
_SUFFIXES: Final = (
    ("uniqueid", "id"),
    ("macaddress", "mac"),
    ("phonenumber", "phone"),
    ("imei", "id"),
)
# Names of what people did not name.
_TECHNICAL: Final = frozenset({"filename", "hostname", "classname", "eventname", "typename"})
_PLACE: Final = re.compile(
    r"(?:(?P<group>.*?)[_. -]?)?(?:(?P<lat>lat(?:itude)?)|lon(?:g(?:itude)?)?|lng)", re.IGNORECASE
)


@lru_cache(maxsize=8192)
def field_of(key: str) -> Field | None:
    """What stands under ``key``, None if it may stay. Case, ``-`` and ``_`` do not count."""
    plain = re.sub(r"[^A-Za-z0-9]", "", key).lower()
    rule = _RULES.get(plain)
    if rule is None:
        rule = next((rule for suffix, rule in _SUFFIXES if plain.endswith(suffix)), None)
    if rule is None and plain.endswith("name") and plain not in _TECHNICAL:
        rule = "name"
    if rule is not None:
        return Field(rule)
    place = _PLACE.fullmatch(key)
    if place is None:
        return None
    group = place["group"] or ""
    word = key[len(group) :]
    # `startLat` and `start_lat`, but neither `flat` nor `salon`.
    if group and not (word[0] in "_. -" or (word[0].isupper() and not group[-1].isupper())):
        return None
    return Field("latitude" if place["lat"] else "longitude", group.lower())


_ORDINARY: Final = """
    accuracy activegeofences address admin administrator alarm altitude android anonymous api
    application area attributes backend battery batterylevel beacon beaconid beaconname beacons
    beaconuuid bearer body browser calendars category charge chrome client close closed command
    connection contact content cookie count course data date default demo description desktop
    device deviceid devicename devices devicetime disabled distance drivers email empty engine
    enter error event events exit false fixtime floor form from geofence geofences get gmt
    group groupid groups gzip head host html http https ignition images inactive index info
    input ios json keep-alive lastupdate latitude length list local localhost login longitude
    maintenance major manager message messages minor mobile model motion moving name none
    notifications null offline online open origin osmand outdated output password path phone ping
    playback pong position positionid positions post protocol proxy public put readonly
    reason recording report reports request response root route rssi safari scanrssi script
    serial server servertime service session socket speed start state status stop stopped string
    summary support system team test text time timeout token track tracker tracking true type
    undefined uniqueid unknown update upgrade user username users uuid valid value version
    webhook websessiontimeout websocket when
"""
ORDINARY_WORDS: Final = frozenset(_ORDINARY.split())
"""A device may be called so; looking for these words in all texts would ruin the texts."""
