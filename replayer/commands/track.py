"""`track-replayer track`: the way of a device."""

from __future__ import annotations

from array import array

import click

from recorder.console import out, say
from replayer.commands.measuring import (
    Asked,
    Column,
    beacon_option,
    device_option,
    label,
    measuring_options,
    no_rows,
    print_rows,
    say_remarks,
    spelled,
)
from replayer.errors import NothingLearnt
from replayer.measurements.fields import Spelled, number_of
from replayer.measurements.track import Path, PathRow, place_of
from replayer.plots.drawings import paths
from replayer.reading.legs import client_legs
from replayer.reading.said import objects_said
from replayer.reading.words import counted, printable

__all__ = ["track_command"]

_DEGREE_CHARACTERS = len("49.8975955")


@click.command("track")
@measuring_options
@device_option
@beacon_option
def track_command(asked: Asked, device: str | None, beacon: str | None) -> None:
    """The positions of the recording REC, or of the parts of a series, in the order in which they
    were told, and the metres between them.

    Positions without a place, at 0,0 or invalid are shown with a mark, and are no part of the way.
    """
    with asked.reading() as reader:
        choice = asked.choice(reader, device=device, beacon=beacon)
        fold = Path(choice)
        places: dict[str, tuple[array[float], array[float]]] = {}
        count = marked = 0
        rows = fold.rows(objects_said(client_legs(reader)))
        for row in print_rows(rows, reader, asked, _columns(one_device=device is not None)):
            count += 1
            marked += bool(row.marks)
            if asked.plot is not None and not row.marks:
                _add(places, row)
        if not count:
            raise no_rows("position", reader, choice, fold.join)
        tell = out if asked.printed_as == "line" else say
        for device_id, length_m in fold.length_m.items():
            name = label(fold.join.devices[device_id].name, device_id)
            tell(f"{name}: {_metres(length_m)} in all")
        if marked:
            say(f"{counted(marked, 'positions')} with a mark: no part of the way")
        say_remarks(fold.join, fold.left_out.items())
        if asked.plot is not None:
            if not places:
                raise NothingLearnt(
                    f"{printable(reader.name)}: all {count} positions have a mark, so there is"
                    " no way to draw"
                )
            of = next(iter(places)) if len(places) == 1 else f"{len(places)} devices"
            asked.save(paths(places, f"the way of {of}"))


def _add(places: dict[str, tuple[array[float], array[float]]], row: PathRow) -> None:
    place = place_of(row.latitude, row.longitude)
    if place is not None:
        name = label(row.device_name, row.device_id)
        norths, easts = places.setdefault(name, (array("d"), array("d")))
        norths.append(place[0])
        easts.append(place[1])


def _columns(*, one_device: bool) -> list[Column]:
    place = [
        Column("latitude", -11, lambda row: _degrees(row.latitude)),
        Column("longitude", -12, lambda row: _degrees(row.longitude)),
    ]
    beacon = Column(
        "beacon", 14 if one_device else 12, lambda row: label(row.beacon_name, row.beacon_id)
    )
    step = Column(
        "metres", -7, lambda row: "" if row.distance_m is None else f"{row.distance_m:.1f}"
    )
    marks = Column("", 0, lambda row: ", ".join(row.marks))
    if one_device:
        more = [
            Column("acc", -4, lambda row: spelled(row.accuracy)),
            Column("speed", -5, lambda row: spelled(row.speed)),
        ]
        return [*place, beacon, *more, step, marks]
    name = Column("device", 18, lambda row: label(row.device_name, row.device_id))
    return [name, *place, beacon, step, marks]


def _degrees(value: Spelled | None) -> str:
    """As it came, or rounded to a centimetre where it is longer."""
    number = number_of(value)
    text = spelled(value)
    return text if number is None or len(text) <= _DEGREE_CHARACTERS else f"{number:.7f}"


def _metres(length_m: float) -> str:
    return f"{length_m / 1000:.3f} km" if length_m >= 10_000 else f"{length_m:.1f} m"
