"""`track-replayer show`: one line for each message of a recording."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from typing import Any, Final

import click
import msgspec

from recorder.console import out, say
from recorder.model import encode_bytes
from replayer.commands.terminal import make_output_safe, output_columns
from replayer.conversation import converse
from replayer.legs import client_legs
from replayer.series import SeriesReader
from replayer.words import (
    BACKGROUND_KINDS,
    KINDS,
    Describer,
    Line,
    fit,
    json_text,
    printable,
    seconds,
    wrap,
)

__all__ = ["Seconds", "Selection", "show_command", "text_line"]

_TABLE_BATCH: Final = 200
"""So many rows of a table are laid out at once; its columns are fixed, so that batches fit
together."""


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which lines are shown: those that every given part takes; an empty set and None take all.

    ``devices`` holds names and ids of devices or beacons. Times are inclusive, and take nothing
    that is untimed. The kinds of :data:`~replayer.words.BACKGROUND_KINDS` are shown if
    ``everything`` is, or if ``kinds`` names them.
    """

    kinds: frozenset[str] = frozenset()
    devices: frozenset[str] = frozenset()
    sender: str | None = None
    from_ns: int | None = None
    to_ns: int | None = None
    everything: bool = False

    def takes(self, line: Line) -> bool:
        """Whether the line is shown."""
        if self.kinds:
            if self.kinds.isdisjoint(line.kinds):
                return False
        elif line.kinds[0] in BACKGROUND_KINDS and not self.everything:
            return False
        if self.sender is not None and line.sender != self.sender:
            return False
        if self.devices and self.devices.isdisjoint(line.mentions):
            return False
        if self.from_ns is None and self.to_ns is None:
            return True
        at_ns = line.offset_ns
        if at_ns is None:
            return False
        return (self.from_ns or 0) <= at_ns and (self.to_ns is None or at_ns <= self.to_ns)


class Seconds(click.ParamType["int"]):
    """Seconds since the recording's start, ``90``, ``1.5s``, ``1m30s`` or ``2h``, as
    nanoseconds."""

    name = "time"
    _FORM = re.compile(r"(?=\d)(?:(\d{1,12})h)?(?:(\d{1,12})m)?(?:(\d{1,12}(?:\.\d{1,9})?)s?)?")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        form = self._FORM.fullmatch(value)
        if form is None:
            self.fail(f"{value!r} is no time; expected seconds or the like of 1m30s", param, ctx)
        hours, minutes, rest = form.groups(default="0")
        seconds_text, _, fraction = rest.partition(".")
        whole_s = int(hours) * 3600 + int(minutes) * 60 + int(seconds_text)
        return whole_s * 1_000_000_000 + int(fraction.ljust(9, "0"))


def text_line(line: Line, columns: int, *, piped: bool = False) -> str:
    """The line as ``--format line`` prints it, at most so many columns wide.

    A note is whole: in several lines at a terminal, in one that may be wider where it is piped.
    """
    kinds = "+".join(line.kinds)
    size = "-" if line.size_bytes is None else str(line.size_bytes)
    connection = "-" if line.connection is None else line.connection
    opcode = "-" if line.opcode is None else line.opcode
    start = f"{seconds(line.offset_ns):>9} {connection:>2} {_arrow(line)} {opcode:<6} {kinds}"
    text = f"{start} {size:>{max(1, 17 - len(kinds))}}  {line.summary}"
    if line.kinds != ("note",):
        return fit(text, columns)
    # What somebody had to say, or the reason of what went wrong, often stands at its end.
    return text if piped else wrap(text, columns)


def _arrow(line: Line) -> str:
    return {"client": "->", "server": "<-", None: "--"}[line.sender]


def _json_line(line: Line) -> str:
    shown: dict[str, object] = {
        "seq": line.seq,
        "time": None if line.offset_ns is None else line.offset_ns / 1e9,
        "connection": line.connection,
        "sender": line.sender,
        "opcode": line.opcode,
        "kinds": line.kinds,
        "size": line.size_bytes,
        "summary": line.summary,
    }
    if line.payload is not None:
        shown.update(encode_bytes(line.payload))
    return json_text(shown)


def _print_lines(lines: Iterable[Line], columns: int) -> None:
    piped = not sys.stdout.isatty()
    for line in lines:
        out(text_line(line, columns, piped=piped))


def _print_json(lines: Iterable[Line], columns: int) -> None:
    for line in lines:
        out(_json_line(line))


def _print_table(lines: Iterable[Line], columns: int) -> None:
    batch: list[Line] = []
    is_first = True
    try:
        for line in lines:
            batch.append(line)
            if len(batch) == _TABLE_BATCH:
                out(_table(batch, columns, show_header=is_first))
                batch.clear()
                is_first = False
    finally:
        # What was readable is shown, also where reading on failed.
        if batch:
            out(_table(batch, columns, show_header=is_first))


def _table(lines: list[Line], columns: int, *, show_header: bool) -> str:
    # Imported here, for they cost the other formats nothing that way.
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=show_header, padding=(0, 1, 0, 0), expand=True)
    table.add_column("time", justify="right", width=9)
    table.add_column("", justify="right", width=2)
    table.add_column("", width=2)
    table.add_column("opcode", width=6)
    table.add_column("kind", width=17, overflow="fold")
    table.add_column("size", justify="right", width=6)
    table.add_column("what", ratio=1, overflow="fold")
    for line in lines:
        cells = (
            seconds(line.offset_ns),
            "-" if line.connection is None else str(line.connection),
            _arrow(line),
            "-" if line.opcode is None else str(line.opcode),
            "+".join(line.kinds),
            "-" if line.size_bytes is None else str(line.size_bytes),
            line.summary,
        )
        # As Text, for a name may hold what rich takes for markup.
        table.add_row(*map(Text, cells))
    console = Console(file=sys.stdout, width=columns, highlight=False)
    # Not printed by rich, which takes a reader that had enough (`| head`) for a failure.
    with console.capture() as capture:
        console.print(table)
    return "\n".join(row.rstrip() for row in capture.get().splitlines())


_PRINTERS: Final[dict[str, Callable[[Iterable[Line], int], None]]] = {
    "line": _print_lines,
    "table": _print_table,
    "jsonl": _print_json,
}


@click.command("show")
@click.argument("recordings", metavar="REC...", nargs=-1, required=True)
@click.option(
    "--format",
    "form",
    type=click.Choice(list(_PRINTERS)),
    default="line",
    show_default=True,
    help="One line a message, and notes whole; a table, which wraps; or one JSON object a line.",
)
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    metavar="KIND",
    type=click.Choice(KINDS, case_sensitive=False),
    help="Only this kind, as printed. May be given several times.",
)
@click.option(
    "--device",
    "devices",
    multiple=True,
    metavar="NAME_OR_ID",
    help="Only messages about this device or beacon. May be given several times.",
)
@click.option("--sender", type=click.Choice(["client", "server"]), help="Only what it sent.")
@click.option("--from", "from_ns", type=Seconds(), help="Only from this time on: 90, or 1m30s.")
@click.option("--to", "to_ns", type=Seconds(), help="Only up to this time.")
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Also what the recording notes about itself: " + ", ".join(BACKGROUND_KINDS) + ".",
)
@click.option(
    "--all-legs",
    is_flag=True,
    help="Of what a proxy recorded also the heads that went to the upstream and came from it.",
)
def show_command(
    recordings: tuple[str, ...],
    form: str,
    kinds: tuple[str, ...],
    devices: tuple[str, ...],
    sender: str | None,
    from_ns: int | None,
    to_ns: int | None,
    everything: bool,
    all_legs: bool,
) -> None:
    """One line for each message of the recording REC, or of the parts of a series.

    Seconds since its start, connection, -> from the client or <- from the server, opcode, kind,
    bytes, and what it says. Several files are the parts of one series and are read as one.
    """
    selection = Selection(
        kinds=frozenset(kinds),
        devices=frozenset(devices),
        sender=sender,
        from_ns=from_ns,
        to_ns=to_ns,
        everything=everything,
    )
    make_output_safe()
    with SeriesReader(recordings) as reader:
        if reader.header.timing == "none" and (from_ns is not None or to_ns is not None):
            raise click.UsageError(
                f"{printable(reader.name)} has no times: leave out --from and --to"
            )
        describer = Describer()
        entries = reader if all_legs else client_legs(reader)
        lines = map(describer.line, converse(entries))
        _PRINTERS[form](filter(selection.takes, lines), output_columns())
        for problem in reader.problems:
            say(printable(problem))
        if reader.torn is not None:
            say(
                f"{printable(reader.names[-1])} is torn: {reader.torn.bytes_lost} bytes at its end "
                f"could not be read ({reader.torn.why})"
            )
