"""`track-replayer track`: the way of a device."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeAlias

import click

from recorder.console import out, say
from replayer.commands.measuring import (
    WIDEST_NAME,
    Asked,
    Column,
    beacon_option,
    device_option,
    label,
    measuring_options,
    no_rows,
    print_rows,
    say_namesakes,
    say_remarks,
    spelled,
)
from replayer.errors import NothingLearnt
from replayer.measurements.fields import Spelled, number_of
from replayer.measurements.joining import Join
from replayer.measurements.track import Path, PathRow, place_of
from replayer.plots.canvas import short
from replayer.plots.drawings import paths
from replayer.plots.points import Line
from replayer.reading.legs import client_legs
from replayer.reading.said import objects_said
from replayer.reading.words import counted, printable

__all__ = ["track_command"]

_Places: TypeAlias = "tuple[str, array[float], array[float]]"
"""The name of a device, and the latitudes and longitudes where it was."""

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
        places: dict[Any, _Places] = {}
        beacons: set[Any] = set()
        count = marked = 0
        rows = fold.rows(objects_said(client_legs(reader)))
        for row in print_rows(rows, reader, asked, _columns(one_device=device is not None)):
            count += 1
            if row.beacon_id is not None:
                beacons.add(row.beacon_id)
            marked += bool(row.marks)
            if asked.plot is not None and not row.marks:
                _add(places, row)
        say_remarks(fold.join, fold.left_out.items(), choice)
        if beacon is not None:
            say_namesakes("beacon", beacon, beacons)
        if not count:
            raise no_rows("position", reader, choice, fold.join)
        _tell_lengths(fold, out if asked.printed_as == "line" else say)
        if marked:
            say(f"{counted(marked, 'positions')} with a mark: no part of the way")
        if asked.plot is not None:
            if not places:
                raise NothingLearnt(
                    f"{printable(reader.name)}: all {count} positions have a mark, so there is"
                    " no way to draw"
                )
            lines = [
                Line(str(one), name, "", norths, easts)
                for one, (name, norths, easts) in places.items()
            ]
            of = short(lines[0].name) if len(lines) == 1 else f"{len(lines)} devices"
            asked.save(paths(lines, f"the way of {of}"))


def _tell_lengths(fold: Path, tell: Callable[[str], None]) -> None:
    names = {one: _name(fold.join, one) for one in fold.length_m}
    often = Counter(names.values())
    for device_id, length_m in fold.length_m.items():
        name = names[device_id]
        of = name if often[name] == 1 else f"{name} ({printable(str(device_id))})"
        tell(f"{of}: {_metres(length_m)} in all")


def _name(join: Join, device_id: Any) -> str:
    # Of a device that positions alone speak of nothing but its id may be known.
    told = join.devices.get(device_id)
    return label(None if told is None else told.name, device_id)


def _add(places: dict[Any, _Places], row: PathRow) -> None:
    place = place_of(row.latitude, row.longitude)
    if place is not None:
        _, norths, easts = places.get(row.device_id, ("", array("d"), array("d")))
        norths.append(place[0])
        easts.append(place[1])
        places[row.device_id] = label(row.device_name, row.device_id), norths, easts


def _columns(*, one_device: bool) -> list[Column]:
    place = [
        Column("latitude", -11, lambda row: _degrees(row.latitude)),
        Column("longitude", -12, lambda row: _degrees(row.longitude)),
    ]
    beacon = Column(
        "beacon",
        14 if one_device else 12,
        lambda row: label(row.beacon_name, row.beacon_id),
        widest=WIDEST_NAME,
    )
    step = Column(
        "metres", -7, lambda row: "-" if row.distance_m is None else f"{row.distance_m:.1f}"
    )
    marks = Column("mark", 0, lambda row: ", ".join(row.marks))
    if one_device:
        more = [
            Column("acc", -4, lambda row: spelled(row.accuracy)),
            Column("speed", -5, lambda row: spelled(row.speed)),
        ]
        return [*place, beacon, *more, step, marks]
    name = Column(
        "device", 18, lambda row: label(row.device_name, row.device_id), widest=WIDEST_NAME
    )
    return [name, *place, beacon, step, marks]


def _degrees(value: Spelled | None) -> str:
    """As it came, or rounded to a centimetre where it is longer."""
    number = number_of(value)
    text = spelled(value)
    return text if number is None or len(text) <= _DEGREE_CHARACTERS else f"{number:.7f}"


def _metres(length_m: float) -> str:
    return f"{length_m / 1000:.3f} km" if length_m >= 10_000 else f"{length_m:.1f} m"
