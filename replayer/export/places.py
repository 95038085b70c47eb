"""The positions that stand on a map: joined with their devices, with a place. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from recorder.model import AnyEntry, UnknownEntry
from replayer.measurements.fields import ABSENT, Spelled, given, text_of
from replayer.measurements.joining import Choice, Device, Join, Joined
from replayer.measurements.track import place_of
from replayer.reading.legs import client_legs
from replayer.reading.said import objects_said

__all__ = ["Place", "Places"]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A position on a map. ``latitude`` and ``longitude`` are spelled as they came, ``own_time`` is
    its ``fixTime``, else its ``deviceTime``, as it came; ``text`` all of its JSON."""

    offset_ns: int | None
    position_id: Any
    device: Device | None
    latitude: Spelled
    longitude: Spelled
    altitude: Spelled | None
    own_time: str | None
    beacon_name: str | None
    text: bytes


class _Fields(msgspec.Struct, rename="camel"):
    latitude: msgspec.Raw = ABSENT
    longitude: msgspec.Raw = ABSENT
    altitude: msgspec.Raw = ABSENT
    valid: msgspec.Raw = ABSENT
    fix_time: msgspec.Raw = ABSENT
    device_time: msgspec.Raw = ABSENT


_read: Final = msgspec.json.Decoder(_Fields).decode


class Places:
    """The places that a recording tells of. ``left_out`` counts what has none, by name, and
    ``redacted`` the entries that hold marks in place of secrets."""

    def __init__(self, choice: Choice | None = None) -> None:
        self.join = Join()
        self.left_out: Counter[str] = Counter()
        self.redacted = 0
        self._choice = choice or Choice()

    def of(self, entries: Iterable[AnyEntry]) -> Iterator[Place]:
        """Each position that is valid and not at 0,0, once for each device that it is joined with.
        Raises what ``entries`` raise."""
        for one in self.join.through(objects_said(client_legs(self._watched(entries)))):
            if self._choice.takes(one) and (place := self._place(one)) is not None:
                yield place

    def _watched(self, entries: Iterable[AnyEntry]) -> Iterator[AnyEntry]:
        for entry in entries:
            self.redacted += not isinstance(entry, UnknownEntry) and entry.redacted
            yield entry

    def _place(self, one: Joined) -> Place | None:
        fields = _read(one.text)
        latitude, longitude = given(fields.latitude), given(fields.longitude)
        degrees = place_of(latitude, longitude)
        if latitude is None or longitude is None or degrees is None:
            self.left_out["positions without coordinates"] += 1
            return None
        try:
            one.text.decode("utf-8")
        except UnicodeDecodeError:
            self.left_out["positions that are no UTF-8"] += 1
            return None
        if degrees == (0, 0):
            self.left_out["positions at 0,0, which is where a place is unknown"] += 1
            return None
        if bytes(fields.valid).strip() == b"false":
            self.left_out["positions that are not valid"] += 1
            return None
        return Place(
            offset_ns=one.offset_ns,
            position_id=one.position_id,
            device=one.device,
            latitude=latitude,
            longitude=longitude,
            altitude=given(fields.altitude),
            own_time=text_of(given(fields.fix_time)) or text_of(given(fields.device_time)),
            beacon_name=one.beacon_name,
            text=one.text,
        )
