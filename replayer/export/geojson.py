"""Positions as GeoJSON (RFC 7946): a point each, and a line for the way of each device. Pure.

Strategy: points are written as they come; of lines only the corners are kept, in a file, until the
end. Numbers stand as they came, longitude first (RFC 7946 section 3.1.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import IO, Any

import msgspec

from replayer.export.places import Place
from replayer.export.spool import Spool
from replayer.measurements.joining import Device

__all__ = ["GeoJsonExport"]


class GeoJsonExport:
    """Makes the file. ``spool`` is a file for the corners of lines; the caller closes it."""

    def __init__(self, spool: IO[bytes]) -> None:
        self.points = 0
        self.lines = 0
        self._corners = Spool(spool)
        self._times = Spool(spool)
        self._devices: dict[Any, tuple[int, Device, int]] = {}
        """By id: its number, its names, and how many corners its line has."""

    def chunks(self, places: Iterable[Place]) -> Iterator[bytes]:
        """The bytes of the file. The properties of a point are the whole position, as it came;
        those of a line the device, and ``times`` with the time of each corner.

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
                self._keep(place.device, corner, place.own_time)
        for number, device, corners in self._devices.values():
            # A line has two corners or more (RFC 7946 section 3.1.4).
            if corners > 1:
                yield from self._line(number, device)
        yield b"\n]}\n"

    def _keep(self, device: Device, corner: bytes, own_time: str | None) -> None:
        number, _, corners = self._devices.get(device.id, (len(self._devices), device, 0))
        self._devices[device.id] = (number, device, corners + 1)
        comma = b"," if corners else b""
        self._corners.add(number, comma + corner)
        self._times.add(number, comma + _json(own_time))

    def _line(self, number: int, device: Device) -> Iterator[bytes]:
        self.lines += 1
        yield b',\n{"type":"Feature","geometry":{"type":"LineString","coordinates":['
        yield from self._corners.take(number)
        yield b']},"properties":{"deviceId":%b,"name":%b,"uniqueId":%b,"times":[' % (
            _json(device.id),
            _json(device.name),
            _json(device.unique_id),
        )
        yield from self._times.take(number)
        yield b"]}}"


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value)
