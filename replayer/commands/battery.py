"""`track-replayer battery`: the batteries of devices and beacons over time."""

from __future__ import annotations

import click

from replayer.commands.measuring import (
    WIDEST_NAME,
    Asked,
    Column,
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
from replayer.measurements.battery import Battery
from replayer.plots.drawings import batteries
from replayer.plots.points import Points
from replayer.reading.legs import client_legs
from replayer.reading.said import objects_said
from replayer.reading.words import printable

__all__ = ["battery_command"]

_COLUMNS = [
    Column("of", 9, lambda row: row.kind),
    Column("name", 24, lambda row: label(row.name, row.id), widest=WIDEST_NAME),
    Column("level", -5, lambda row: spelled(row.level)),
    Column("own time", 0, lambda row: printable(row.own_time or "-")),
]
_SUFFIXES = {"devices": "", "positions": " (positions)", "beacons": " (beacon)"}
"""A device and its positions may tell different levels."""


@click.command("battery")
@measuring_options
@device_option
@click.option("--beacon", metavar="NAME_OR_ID", help="Only this beacon.")
def battery_command(asked: Asked, device: str | None, beacon: str | None) -> None:
    """The battery levels that the recording REC tells of, or the parts of a series: of devices, of
    beacons, and those in the attributes of positions, as they came.
    """
    if device is not None and beacon is not None:
        raise click.UsageError("--device and --beacon: a battery is of one of them, so name one")
    with asked.reading() as reader:
        choice = asked.choice(reader, device=device, beacon=beacon)
        fold = Battery(choice)
        points = Points()
        count = 0
        rows = fold.rows(objects_said(client_legs(reader)))
        for row in print_rows(rows, reader, asked, _COLUMNS):
            count += 1
            if asked.plot is not None and row.percent is not None:
                points.add(
                    str(row.id),
                    label(row.name, row.id),
                    row.percent,
                    suffix=_SUFFIXES[row.kind],
                    offset_ns=row.offset_ns,
                    own_time=row.own_time,
                )
        say_remarks(fold.join, fold.left_out.items(), choice)
        if beacon is not None:
            called = (one for one, name in fold.beacons.items() if beacon in (str(one), name))
            say_namesakes("beacon", beacon, called)
        if not count:
            raise no_rows("battery level", reader, choice, fold.join)
        if asked.plot is not None:
            check_drawable(points, "battery level", reader)
            clock = points.clock(reader.header, wall=asked.wall)
            asked.save(batteries(points, clock, "battery levels"))
