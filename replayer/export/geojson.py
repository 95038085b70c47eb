"""Positions as GeoJSON (RFC 7946): a point each, and a line for the way of each device. Pure.

Strategy: points are written as they come; of lines only the corners are kept, in a file, until the
end. Numbers stand as they came, longitude first (RFC 7946 section 3.1.1). A line that crosses the
180th meridian is cut there (section 3.1.9).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import IO, Any

import msgspec

from replayer.export.places import Place
from replayer.export.spool import Spool
from replayer.measurements.joining import Device

__all__ = ["GeoJsonExport"]


class _Line:
    """The way of a device, whose corners stand in a spool under its ``number``."""

    def __init__(self, number: int, device: Device) -> None:
        self.number = number
        self.device = device
        self.corners = 0
        self.cuts = 0
        self.last: tuple[float, float] = (0.0, 0.0)
        """Longitude and latitude of the last corner."""


class GeoJsonExport:
    """Makes the file. ``spool`` is a file for the corners of lines; the caller closes it."""

    def __init__(self, spool: IO[bytes]) -> None:
        self.points = 0
        self.lines = 0
        self._corners = Spool(spool)
        self._times = Spool(spool)
        self._ways: dict[Any, _Line] = {}
        """By the id of the device."""

    def chunks(self, places: Iterable[Place]) -> Iterator[bytes]:
        """The bytes of the file. The properties of a point are the whole position, as it came;
        those of a line the device, and ``times`` with the time of each corner; a corner at which a
        line is cut has none.

        Raises what ``places`` raise, and OSError of the spool.
        """
        yield b'{"type":"FeatureCollection","features":['
        for place in places:
            corner = b"[%b,%b]" % (bytes(place.longitude), bytes(place.latitude))
            has_id = isinstance(place.position_id, str | int | float)
            yield (b",\n" if self.points else b"\n") + (
                b'{"type":"Feature",%b"geometry":{"type":"Point","coordinates":%b},"properties":%b}'
                % (
                    b'"id":%b,' % _json(place.position_id) if has_id else b"",
                    corner,
                    place.text,
                )
            )
            self.points += 1
            if place.device is not None:
                self._keep(place, place.device, corner)
        for line in self._ways.values():
            # A line has two corners or more (RFC 7946 section 3.1.4).
            if line.corners > 1:
                yield from self._whole(line)
        yield b"\n]}\n"

    def _keep(self, place: Place, device: Device, corner: bytes) -> None:
        line = self._ways.setdefault(device.id, _Line(len(self._ways), device))
        at = float(bytes(place.longitude)), float(bytes(place.latitude))
        if line.corners:
            if abs(at[0] - line.last[0]) > 180:
                self._cut(line, at)
            self._add(line, b",", b",")
        self._add(line, corner, _json(place.own_time))
        line.corners += 1
        line.last = at

    def _cut(self, line: _Line, to: tuple[float, float]) -> None:
        """End a part of the line on the 180th meridian, on the way to that corner, and go on from
        the other side of it."""
        (from_east, from_north), (to_east, to_north) = line.last, to
        before, after = 180 - abs(from_east), 180 - abs(to_east)
        share = before / (before + after) if before + after else 0.0
        north = from_north + share * (to_north - from_north)
        side = 180 if from_east > 0 else -180
        corners = b",[%d,%b]],[[%d,%b]" % (side, _json(north), -side, _json(north))
        self._add(line, corners, b",null],[null")
        line.cuts += 1

    def _add(self, line: _Line, corners: bytes, times: bytes) -> None:
        self._corners.add(line.number, corners)
        self._times.add(line.number, times)

    def _whole(self, line: _Line) -> Iterator[bytes]:
        self.lines += 1
        kind, begin, end = (
            (b"MultiLineString", b"[[", b"]]") if line.cuts else (b"LineString", b"[", b"]")
        )
        yield b',\n{"type":"Feature","geometry":{"type":"%b","coordinates":%b' % (kind, begin)
        yield from self._corners.take(line.number)
        yield b'%b},"properties":{"deviceId":%b,"name":%b,"uniqueId":%b,"times":%b' % (
            end,
            _json(line.device.id),
            _json(line.device.name),
            _json(line.device.unique_id),
            begin,
        )
        yield from self._times.take(line.number)
        yield end + b"}}"


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value)
