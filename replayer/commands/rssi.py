"""`track-replayer rssi`: how strongly a device heard each beacon, over time."""

from __future__ import annotations

from typing import Any

import click

from replayer.commands.measuring import (
    WIDEST_NAME,
    Asked,
    Column,
    beacon_option,
    check_drawable,
    device_option,
    label,
    measuring_options,
    no_rows,
    print_rows,
    say_namesakes,
    say_remarks,
    spelled,
)
from replayer.measurements.rssi import Rssi, RssiRow
from replayer.plots.canvas import short
from replayer.plots.drawings import rssi
from replayer.plots.points import Points
from replayer.reading.legs import client_legs
from replayer.reading.said import objects_said
from replayer.reading.series import SeriesReader
from replayer.reading.words import printable

__all__ = ["rssi_command"]


@click.command("rssi")
@measuring_options
@device_option
@beacon_option
def rssi_command(asked: Asked, device: str | None, beacon: str | None) -> None:
    """The rssi that the recording REC tells of, or the parts of a series.

    Each position is joined with its device as section 3.6 of the manual does it, positions.id with
    the device's positionId, or by its deviceId. An rssi from 128 to 255 is also read as an unsigned
    byte: 204 is -52 dBm.
    """
    with asked.reading() as reader:
        choice = asked.choice(reader, device=device, beacon=beacon)
        fold = Rssi(choice)
        points = Points()
        devices: dict[Any, str] = {}
        beacons: set[Any] = set()
        count = 0
        columns = _columns(one_device=device is not None)
        rows = fold.rows(objects_said(client_legs(reader)))
        for row in print_rows(rows, reader, asked, columns):
            count += 1
            if row.beacon_id is not None:
                beacons.add(row.beacon_id)
            if asked.plot is not None:
                devices[row.device_id] = label(row.device_name, row.device_id)
                _add(points, row)
        say_remarks(fold.join, fold.left_out.items(), choice)
        if beacon is not None:
            say_namesakes("beacon", beacon, beacons)
        if not count:
            raise no_rows("rssi", reader, choice, fold.join)
        if asked.plot is not None:
            check_drawable(points, "rssi", reader)
            _save(asked, reader, points, list(devices.values()))


def _add(points: Points, row: RssiRow) -> None:
    value, suffix = row.rssi_dbm, ""
    if value is None:
        value, suffix = row.scan_rssi_dbm, " (scanRssi)"
    if value is not None:
        is_nowhere = row.beacon_id is None and row.beacon_name is None
        points.add(
            str(row.beacon_name if row.beacon_id is None else row.beacon_id),
            "no beacon" if is_nowhere else label(row.beacon_name, row.beacon_id),
            value,
            suffix=suffix,
            offset_ns=row.offset_ns,
            own_time=row.fix_time or row.device_time,
        )


def _save(asked: Asked, reader: SeriesReader, points: Points, names: list[str]) -> None:
    of = short(names[0]) if len(names) == 1 else f"{len(names)} devices"
    clock = points.clock(reader.header, wall=asked.wall)
    asked.save(rssi(points, clock, f"rssi of {of}, by beacon", joined=len(names) == 1))


def _columns(*, one_device: bool) -> list[Column]:
    measured = [
        Column("rssi", -5, lambda row: spelled(row.rssi)),
        Column("dBm", -4, lambda row: _dbm(row.rssi_dbm)),
        Column("scan", -6, _scan),
    ]
    beacon = Column(
        "beacon",
        15 if one_device else 18,
        lambda row: label(row.beacon_name, row.beacon_id),
        widest=WIDEST_NAME,
    )
    joined = Column("joined by", 0, lambda row: row.joined_by)
    if one_device:
        # The column of the device would say the same in each row.
        own = Column("fixTime", 29, _own_time, widest=29)
        return [own, beacon, *measured, Column("by", 0, lambda row: _SHORT[row.joined_by])]
    name = Column(
        "device", 18, lambda row: label(row.device_name, row.device_id), widest=WIDEST_NAME
    )
    return [name, beacon, *measured, joined]


_SHORT = {"positionId": "posId", "deviceId": "devId", "both": "both", "nothing": "-"}


def _own_time(row: RssiRow) -> str:
    return printable(row.fix_time or row.device_time or "-")


def _dbm(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def _scan(row: RssiRow) -> str:
    """``scanRssi``: both where they differ."""
    outside, inside = row.scan_rssi, row.attributes_scan_rssi
    if outside is None or inside is None or outside == inside:
        return spelled(inside if outside is None else outside)
    return f"{spelled(outside)}/{spelled(inside)}"
