"""Positions as GPX 1.1 (https://www.topografix.com/GPX/1/1/): a track for each device. Pure.

Strategy: tracks stand one behind the other, so each goes to a file until the end, as XML.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from importlib.metadata import version
from typing import IO, Any, Final
from xml.sax.saxutils import escape

from recorder.model import Header
from replayer.export.places import Place
from replayer.export.spool import Spool
from replayer.measurements.fields import number_of
from replayer.measurements.joining import Device
from replayer.playing.dates import read_date

__all__ = ["GpxExport"]

_EPOCH: Final = datetime(1970, 1, 1)
_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MAX_ZEROS: Final = 400
"""So many a number may begin with, hardly more than the least one that a float tells from 0."""
_GAP: Final = b"</trkseg>\n<trkseg>\n"


class _Track:
    def __init__(self, number: int, device: Device | None) -> None:
        self.number = number
        self.device = device
        self.last_ns: int | None = None


class GpxExport:
    """Makes the file. A longer time than ``gap_ns`` between two points begins a new segment, and so
    does a step back in time. ``spool`` is a file for tracks; the caller closes it.

    A point's time is the position's own, where that is a date, else when it was told.
    """

    def __init__(self, header: Header, spool: IO[bytes], *, gap_ns: int) -> None:
        self.points = 0
        self._gap_ns = gap_ns
        started = read_date(header.started_at)
        self._started_ns = None if started is None else started.utc_ns
        self._spool = Spool(spool)
        self._tracks: dict[Any, _Track] = {}

    @property
    def tracks(self) -> int:
        """How many there are."""
        return len(self._tracks)

    def chunks(self, places: Iterable[Place]) -> Iterator[bytes]:
        """The bytes of the file. Raises what ``places`` raise, and OSError of the spool."""
        for place in places:
            self._keep(place)
        yield (
            '<?xml version="1.0" encoding="UTF-8"?>\n<gpx version="1.1"'
            f' creator="tracktape {version("tracktape")}"'
            ' xmlns="http://www.topografix.com/GPX/1/1">\n'
        ).encode()
        for track in self._tracks.values():
            device = track.device
            name = "no device" if device is None else device.name or str(device.id)
            yield f"<trk>\n<name>{_text(name)}</name>\n<trkseg>\n".encode()
            yield from self._spool.take(track.number)
            yield b"</trkseg>\n</trk>\n"
        yield b"</gpx>\n"

    def _keep(self, place: Place) -> None:
        key = None if place.device is None else place.device.id
        track = self._tracks.setdefault(key, _Track(len(self._tracks), place.device))
        track.device = place.device
        at_ns = self._moment(place)
        if at_ns is not None:
            if track.last_ns is not None and not 0 <= at_ns - track.last_ns <= self._gap_ns:
                self._spool.add(track.number, _GAP)
            track.last_ns = at_ns
        self._spool.add(track.number, _point(place, at_ns))
        self.points += 1

    def _moment(self, place: Place) -> int | None:
        own = None if place.own_time is None else read_date(place.own_time)
        if own is not None:
            return own.utc_ns
        if place.offset_ns is None or self._started_ns is None:
            return None
        return self._started_ns + place.offset_ns


def _point(place: Place, at_ns: int | None) -> bytes:
    east = _decimal(bytes(place.longitude).decode())
    # A longitude of 180 is that of -180, and only the latter is one in GPX.
    east = "-180" if Decimal(east) == 180 else east
    parts = [f'<trkpt lat="{_decimal(bytes(place.latitude).decode())}" lon="{east}">']
    if place.altitude is not None and number_of(place.altitude) is not None:
        parts.append(f"<ele>{_decimal(bytes(place.altitude).decode())}</ele>")
    if at_ns is not None:
        parts.append(f"<time>{_time(at_ns)}</time>")
    if place.beacon_name is not None:
        parts.append(f"<name>{_text(place.beacon_name)}</name>")
    return "".join([*parts, "</trkpt>\n"]).encode()


def _time(at_ns: int) -> str:
    # Not every reader takes more digits than three, and those are what the backend tells.
    seconds, rest_ns = divmod(at_ns, 1_000_000_000)
    whole = (_EPOCH + timedelta(seconds=seconds)).isoformat()
    return f"{whole}.{rest_ns // 1_000_000:03}Z"


def _decimal(text: str) -> str:
    """A JSON number that a float holds as XML has decimals: without an exponent."""
    if "e" not in text.lower():
        return text
    exact = Decimal(text)
    # Else a few bytes could ask for a gigabyte of zeros; nothing so small is a place or a height.
    return f"{exact:f}" if exact.adjusted() > -_MAX_ZEROS else "0"


def _text(text: str) -> str:
    """Escaped, and what XML 1.0 section 2.2 has no place for as an escape of ours."""
    return escape(_NO_XML.sub(lambda found: f"\\u{ord(found[0]):04x}", text))
