"""`track-replayer show --at`: how all devices and beacons stood."""

from __future__ import annotations

import sys
from typing import Final

import click
import msgspec

from recorder.console import say
from replayer.commands.formats import table_text
from replayer.commands.terminal import output_columns, say_problems
from replayer.reading.legs import client_legs
from replayer.reading.moment import AskedMoment
from replayer.reading.selection import Selection
from replayer.reading.series import SeriesReader
from replayer.reading.snapshot import DeviceRow, Snapshot, state_at
from replayer.reading.words import counted, fit, json_text, printable

__all__ = ["show_at"]

_COLUMNS: Final = (
    ("", {"width": 6}),
    ("id", {"overflow": "fold"}),
    ("name", {"overflow": "fold"}),
    ("status", {"overflow": "fold"}),
    ("updated", {"overflow": "fold"}),
    ("place", {"overflow": "fold"}),
    ("rssi", {"overflow": "fold"}),
    ("battery", {"justify": "right"}),
)


def show_at(recordings: tuple[str, ...], at: AskedMoment, selection: Selection, form: str) -> None:
    """Print the state at that moment in one of the formats of ``show``. Raises click.UsageError if
    the recording has no times, or messages are selected too, and what reading raises.
    """
    wanted = Selection(devices=selection.devices, beacons=selection.beacons)
    if selection != wanted:
        raise click.UsageError(
            "--at shows devices and beacons, not messages: only --device and --beacon go with it"
        )
    with SeriesReader(recordings) as reader:
        at_ns = None
        if not at.is_end:
            try:
                at_ns = at.offset_in(reader.header)
            except ValueError as exc:
                raise click.UsageError(f"{printable(reader.name)}: {exc}: say --at end") from exc
            # A further part begins with the state so far.
            reader.seek(at_ns, only_parts=True)
        state = state_at(client_legs(reader), at_ns)
        say_problems(reader)
    snapshot = Snapshot(state, selection.devices, selection.beacons)
    if not snapshot.devices() and not snapshot.beacons():
        everything = Snapshot(state)
        devices, beacons = len(everything.devices()), len(everything.beacons())
        known = f"{counted(devices, 'devices')} and {counted(beacons, 'beacons')} known then"
        say(
            f"nothing to show: of {known} none was asked for"
            if devices or beacons
            else "nothing to show: no device and no beacon was known then"
        )
    sys.stdout.write(_FORMATS[form](snapshot, output_columns()))
    sys.stdout.flush()


def _as_lines(snapshot: Snapshot, columns: int) -> str:
    devices = snapshot.devices()
    beacons = snapshot.beacons()
    ids = [row.device_id for row in devices] + [row.beacon_id for row in beacons]
    width = max(map(len, ids), default=0)
    lines = [
        *(f"device {row.device_id:>{width}}  {_words(row)}" for row in devices),
        *(f"beacon {row.beacon_id:>{width}}  {row.name}" for row in beacons),
    ]
    return "".join(f"{fit(printable(line), columns)}\n" for line in lines)


def _words(row: DeviceRow) -> str:
    told = (
        "position only" if row.is_from_position else row.status,
        row.place and f"at {row.place}",
        row.rssi and f"rssi {row.rssi}",
        row.battery and f"battery {row.battery}",
        row.updated and f"updated {row.updated}",
    )
    return f"{row.name or 'without a name'}: {', '.join(filter(None, told)) or 'nothing told'}"


def _as_table(snapshot: Snapshot, columns: int) -> str:
    rows: list[tuple[str, ...]] = [
        (
            *("device", row.device_id, row.name),
            "position only" if row.is_from_position else row.status,
            *(row.updated, row.place, row.rssi, row.battery),
        )
        for row in snapshot.devices()
    ]
    rows += [("beacon", row.beacon_id, row.name, *[""] * 5) for row in snapshot.beacons()]
    return table_text(_COLUMNS, [tuple(map(printable, row)) for row in rows], columns)


def _as_json(snapshot: Snapshot, columns: int) -> str:
    return "".join(
        f"{json_text({'kind': kind, 'object': _in_one_line(text)})}\n"
        for kind, text in snapshot.objects()
    )


def _in_one_line(text: bytes) -> msgspec.Raw:
    # Outside its strings a line break is white space, and inside them it is written as an escape.
    return msgspec.Raw(text.translate(_SPACES))


_SPACES: Final = bytes.maketrans(b"\n\r\t", b"   ")

_FORMATS: Final = {"line": _as_lines, "table": _as_table, "jsonl": _as_json}
