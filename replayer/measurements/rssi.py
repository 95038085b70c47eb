"""How strongly each beacon was heard: the rssi of positions over time. A pure fold.

``rssi`` is the beacon's (manual section 3.6); ``scanRssi`` stands beside it, in ``attributes``, or
in both. The manual's prose gives as 204 what its JSON has as -64, so a value from 128 to 255 is
also read as an unsigned byte, 204 - 256 = -52 dBm (assumption).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from replayer.measurements.fields import ABSENT, Spelled, given, number_of, text_of
from replayer.measurements.joining import Choice, Join, Joined, JoinedBy
from replayer.reading.said import Said

__all__ = ["Rssi", "RssiRow", "dbm"]

_LOWEST_UNSIGNED: Final = 128
_BYTE: Final = 256


class RssiRow(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement. What the backend spelled is kept as it came, None where it is null or
    missing; ``rssi_dbm`` and ``scan_rssi_dbm`` are readings, see :func:`dbm`.

    ``scan_rssi`` stands beside ``rssi``, ``attributes_scan_rssi`` in ``attributes``; the reading is
    that of the first, else of the second.
    """

    seq: int
    offset_ns: int | None
    fix_time: str | None
    device_time: str | None
    device_id: Any
    device_name: str | None
    joined_by: JoinedBy
    position_id: Any
    beacon_id: Any
    beacon_name: str | None
    rssi: Spelled | None
    rssi_dbm: float | None
    scan_rssi: Spelled | None
    attributes_scan_rssi: Spelled | None
    scan_rssi_dbm: float | None


class _Attributes(msgspec.Struct, rename="camel"):
    scan_rssi: msgspec.Raw = ABSENT


class _Fields(msgspec.Struct, rename="camel"):
    rssi: msgspec.Raw = ABSENT
    scan_rssi: msgspec.Raw = ABSENT
    attributes: msgspec.Raw = ABSENT
    fix_time: msgspec.Raw = ABSENT
    device_time: msgspec.Raw = ABSENT


_read: Final = msgspec.json.Decoder(_Fields).decode
_read_attributes: Final = msgspec.json.Decoder(_Attributes).decode


def dbm(value: Spelled | None) -> float | None:
    """The reading of a raw value in dBm: 128 to 255 as an unsigned byte, any other number as it
    is; None for what is no number.

    >>> dbm(msgspec.Raw(b"204"))
    -52.0
    """
    number = number_of(value)
    if number is not None and _LOWEST_UNSIGNED <= number < _BYTE:
        return number - _BYTE
    return number


class Rssi:
    """The rows of the objects that a recording tells of. ``left_out`` counts what is none, by
    name."""

    def __init__(self, choice: Choice | None = None) -> None:
        self.join = Join()
        self.left_out: Counter[str] = Counter()
        self._choice = choice or Choice()

    def rows(self, said: Iterable[Said]) -> Iterator[RssiRow]:
        """One row a position that has an rssi or a scanRssi, once for each device that it is joined
        with. Raises what ``said`` raises."""
        for one in self.join.through(said):
            if self._choice.takes(one):
                row = _row(one)
                if row is None:
                    self.left_out["positions without an rssi"] += 1
                else:
                    yield row


def _row(one: Joined) -> RssiRow | None:
    fields = _read(one.text)
    rssi, scan, inner = given(fields.rssi), given(fields.scan_rssi), _inner(fields.attributes)
    if rssi is None and scan is None and inner is None:
        return None
    return RssiRow(
        seq=one.seq,
        offset_ns=one.offset_ns,
        fix_time=text_of(given(fields.fix_time)),
        device_time=text_of(given(fields.device_time)),
        device_id=None if one.device is None else one.device.id,
        device_name=None if one.device is None else one.device.name,
        joined_by=one.joined_by,
        position_id=one.position_id,
        beacon_id=one.beacon_id,
        beacon_name=one.beacon_name,
        rssi=rssi,
        rssi_dbm=dbm(rssi),
        scan_rssi=scan,
        attributes_scan_rssi=inner,
        scan_rssi_dbm=dbm(inner if scan is None else scan),
    )


def _inner(attributes: msgspec.Raw) -> Spelled | None:
    try:
        return given(_read_attributes(attributes).scan_rssi)
    except (ValueError, RecursionError):
        return None
