"""`track-replayer export`: a recording in the form of other tools."""

from __future__ import annotations

import importlib.util
import tempfile
from collections import Counter
from pathlib import Path
from typing import IO, Literal, TypeAlias

import click
import msgspec

from recorder.console import say
from recorder.destination import destination
from recorder.model import Sender
from replayer.commands.selection_options import MomentType
from replayer.commands.terminal import say_problems
from replayer.errors import CannotExport
from replayer.export.csv_table import csv_lines
from replayer.export.geojson import GeoJsonExport
from replayer.export.gpx import GpxExport
from replayer.export.har import HarExport
from replayer.export.parquet import Types, write_parquet
from replayer.export.places import Places
from replayer.export.tables import TABLES, Columns, Table, TableRows
from replayer.export.wire import Socket, sockets, wire_bytes
from replayer.measurements.joining import Choice
from replayer.reading.legs import client_legs
from replayer.reading.moment import AskedMoment
from replayer.reading.series import SeriesReader
from replayer.reading.words import counted, printable

__all__ = ["export_command"]

_Form: TypeAlias = Literal["wire", "har", "csv", "parquet", "geojson", "gpx"]

_MINUTE_NS = 60_000_000_000


class _Options(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be exported, and whereto; what the form has no use for is None."""

    recordings: tuple[str, ...]
    output: str
    force: bool
    table: Table | None
    device: str | None
    from_: AskedMoment | None
    to: AskedMoment | None
    gap: AskedMoment | None

    def choice(self, reader: SeriesReader) -> Choice:
        """Which objects are wanted. Raises click.UsageError where there are no times."""
        try:
            from_ns, to_ns = (
                None if moment is None else moment.offset_in(reader.header)
                for moment in (self.from_, self.to)
            )
        except ValueError as exc:
            raise click.UsageError(
                f"{printable(reader.name)}: {exc}: leave out --from and --to"
            ) from exc
        return Choice(device=self.device, from_ns=from_ns, to_ns=to_ns)


_USED_BY: dict[str, tuple[str, ...]] = {
    "connection": ("wire",),
    "sender": ("wire",),
    "table": ("csv", "parquet"),
    "device": ("geojson", "gpx"),
    "from_": ("csv", "parquet", "geojson", "gpx"),
    "to": ("csv", "parquet", "geojson", "gpx"),
    "gap": ("gpx",),
}
"""Which forms an option is for."""


@click.command("export")
@click.argument("recordings", metavar="REC...", nargs=-1, required=True)
@click.option(
    "--to",
    "form",
    type=click.Choice(["wire", "har", "csv", "parquet", "geojson", "gpx"]),
    required=True,
    help="wire: the bytes of a socket; har: for DevTools; csv, parquet: a table; geojson, gpx:"
    " for maps.",
)
@click.option(
    "--connection", type=int, metavar="N", help="wire: which connection, if there are several."
)
@click.option("--sender", type=click.Choice(["client", "server"]), help="wire: whose bytes.")
@click.option("--table", type=click.Choice(TABLES), help="csv, parquet: rows of what.")
@click.option("--device", metavar="NAME_OR_ID", help="geojson, gpx: only this device.")
@click.option(
    "--from",
    "from_",
    type=MomentType(),
    metavar="TIME",
    help="Tables and maps: only from this time on: 90, 1m30s, or a wall clock.",
)
@click.option(
    "--until", "to", type=MomentType(), metavar="TIME", help="The same: only up to this time."
)
@click.option(
    "--gap",
    type=MomentType(),
    metavar="TIME",
    help="gpx: after so long a silence a segment begins.  [default: 10m]",
)
@click.option("-o", "--output", metavar="FILE", required=True, help="Where to; - is stdout.")
@click.option("--force", is_flag=True, help="Overwrite FILE.")
def export_command(
    recordings: tuple[str, ...],
    form: _Form,
    connection: int | None,
    sender: Sender | None,
    table: Table | None,
    device: str | None,
    from_: AskedMoment | None,
    to: AskedMoment | None,
    gap: AskedMoment | None,
    output: str,
    force: bool,
) -> None:
    """REC, or the parts of a series as one, in the form of other tools.

    wire: what follows the HTTP head of one connection, in one direction: every frame as it stood on
    the wire, client frames masked with the key that was recorded, and bytes that were no frame.

    har: every exchange with its body and every socket with its messages, as HAR 1.2 with the fields
    of Chrome. Control frames and fragmentation are left out.

    csv, parquet: a row for each object that was told, each message or each entry.

    geojson, gpx: the positions and ways of devices.
    """
    _check(form)
    options = _Options(
        recordings=recordings,
        output=output,
        force=force,
        table=table,
        device=device,
        from_=from_,
        to=to,
        gap=gap,
    )
    match form:
        case "har":
            _export_har(recordings, output, force=force)
        case "wire":
            if sender is None:
                raise click.UsageError("--to wire needs --sender: client or server")
            _export_wire(recordings, connection, sender, output, force=force)
        case "csv" | "parquet":
            if table is None:
                raise click.UsageError(f"--to {form} needs --table: {', '.join(TABLES)}")
            _export_table(options, table, form)
        case "geojson" | "gpx":
            _export_map(options, form)


def _check(form: _Form) -> None:
    """Raises click.UsageError where an option was given that the form has no use for."""
    context = click.get_current_context()
    for parameter in context.command.params:
        name = parameter.name or ""
        used_by = _USED_BY.get(name, (form,))
        if context.params[name] is not None and form not in used_by:
            raise click.UsageError(
                f"{parameter.opts[0]} is for --to {' and '.join(used_by)}, not for --to {form}"
            )


def _export_wire(
    recordings: tuple[str, ...],
    connection: int | None,
    sender: Sender,
    output: str,
    *,
    force: bool,
) -> None:
    with SeriesReader(recordings) as reader:
        if reader.header.fidelity != "wire":
            raise CannotExport(
                f"{reader.name} has the fidelity {reader.header.fidelity!r}: its frames were never "
                f"seen, so there are no bytes to rebuild; expected the fidelity 'wire', which a "
                f"capture of the socket has"
            )
        socket = _choose(sockets(client_legs(reader)), connection, reader.name)
    with SeriesReader(recordings) as reader, destination(output, force=force) as file:
        entries = redacted = size_bytes = 0
        for entry, data in wire_bytes(client_legs(reader), socket, sender):
            file.write(data)
            entries += 1
            redacted += entry.redacted
            size_bytes += len(data)
    say(f"connection {socket.connection}, {sender}: {entries} entries, {size_bytes} bytes")
    if redacted:
        say(f"{redacted} of {entries} entries were redacted: this is not the original")
    say_problems(reader)


def _export_har(recordings: tuple[str, ...], output: str, *, force: bool) -> None:
    with (
        SeriesReader(recordings) as reader,
        destination(output, force=force) as file,
        _spool(output) as spool,
    ):
        export = HarExport(reader.header, spool)
        for chunk in export.chunks(reader):
            file.write(chunk)
    say(f"{export.exchanges} exchanges, {export.messages} messages")
    if reader.header.timing == "none":
        say(f"{reader.name} has no timing: everything stands at {reader.header.started_at}")
    _say_left_out(export.left_out, export.redacted)
    say_problems(reader)


def _export_table(options: _Options, table: Table, form: Literal["csv", "parquet"]) -> None:
    if form == "parquet":
        if importlib.util.find_spec("pyarrow") is None:
            raise click.UsageError(
                "--to parquet needs pyarrow, which is not installed: pip install"
                " 'tracktape[parquet]'"
            )
        if options.output == "-":
            raise click.UsageError("--to parquet needs the name of a file: it is no stream")
    whole = form == "parquet"
    columns, types = Columns(), Types()
    with SeriesReader(options.recordings) as reader:
        choice = options.choice(reader)
        learning = TableRows(table, reader.header, choice=choice, whole=whole)
        columns.learn(dict.fromkeys(learning.own_columns, b"null"))
        count = 0
        for row in learning.rows(reader):
            count += 1
            columns.learn(row)
            if whole:
                types.learn(row)
    names = columns.names()
    with (
        SeriesReader(options.recordings) as reader,
        destination(options.output, force=options.force) as file,
    ):
        rows = TableRows(table, reader.header, choice=choice, whole=whole).rows(reader)
        if whole:
            write_parquet(names, types, rows, file)
        else:
            file.writelines(csv_lines(names, rows))
    say(f"{counted(count, 'rows')}, {counted(len(names), 'columns')}")
    _say_left_out(learning.left_out, learning.redacted)
    say_problems(reader)


def _export_map(options: _Options, form: Literal["geojson", "gpx"]) -> None:
    gap_ns = 10 * _MINUTE_NS
    if options.gap is not None:
        if options.gap.offset_ns is None:
            raise click.UsageError("--gap: expected a length of time, 90s or 10m")
        gap_ns = options.gap.offset_ns
    with (
        SeriesReader(options.recordings) as reader,
        destination(options.output, force=options.force) as file,
        _spool(options.output) as spool,
    ):
        places = Places(options.choice(reader))
        found = places.of(reader)
        if form == "geojson":
            geojson = GeoJsonExport(spool)
            file.writelines(geojson.chunks(found))
            said = f"{counted(geojson.points, 'points')}, {counted(geojson.lines, 'lines')}"
        else:
            gpx = GpxExport(reader.header, spool, gap_ns=gap_ns)
            file.writelines(gpx.chunks(found))
            said = f"{counted(gpx.points, 'points')}, {counted(gpx.tracks, 'tracks')}"
    say(said)
    if places.join.repeats:
        places.left_out["positions told again with the same text"] += places.join.repeats
    _say_left_out(places.left_out, places.redacted)
    say_problems(reader)


def _spool(output: str) -> IO[bytes]:
    # Beside the output, where there is room for it; else where the system wants such files.
    return tempfile.TemporaryFile(dir=None if output == "-" else Path(output).resolve().parent)


def _say_left_out(left_out: Counter[str], redacted: int) -> None:
    for name, count in sorted(left_out.items()):
        if count:
            say(f"left out: {count} {name}")
    if redacted:
        say(f"{redacted} entries were redacted: this is not the original")


def _choose(found: dict[int, Socket], connection: int | None, recording: str) -> Socket:
    if not found:
        raise CannotExport(f"{recording} holds no WebSocket connection; expected one with frames")
    listed = ", ".join(map(str, found))
    if connection is None:
        if len(found) > 1:
            raise click.UsageError(f"name a connection with --connection; there are {listed}")
        return next(iter(found.values()))
    if connection not in found:
        raise click.UsageError(
            f"connection {connection} has no frames; those that have are {listed}"
        )
    return found[connection]
