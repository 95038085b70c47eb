"""What the commands share that measure: their options, and how rows are printed and drawn."""

from __future__ import annotations

import csv
import functools
import importlib.util
import io
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar

import click
import msgspec
from rich.cells import cell_len

from recorder.console import out, say
from recorder.destination import destination, unfinished_path
from recorder.sink import wall_clock_text
from replayer.commands.selection_options import MomentType, check_order
from replayer.commands.terminal import make_output_safe, output_columns, say_problems
from replayer.errors import NothingLearnt
from replayer.measurements.fields import text_of
from replayer.measurements.joining import Choice, Join
from replayer.playing.dates import read_date
from replayer.plots.canvas import draw, form_of
from replayer.plots.points import Points
from replayer.reading.moment import AskedMoment
from replayer.reading.series import SeriesReader
from replayer.reading.words import counted, fit, json_text, printable, seconds

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "WIDEST_NAME",
    "Asked",
    "Column",
    "beacon_option",
    "check_drawable",
    "device_option",
    "label",
    "measuring_options",
    "no_rows",
    "print_rows",
    "say_namesakes",
    "say_remarks",
    "spelled",
]

_Form: TypeAlias = Literal["line", "jsonl", "csv"]
_Row = TypeVar("_Row", bound=msgspec.Struct)
_R = TypeVar("_R")

_LISTED: Final = 12
_LEAST_COLUMNS: Final = 80
_LEAST_NAME: Final = 8
WIDEST_NAME: Final = 40
"""More cells a column of names never takes."""
_OFFSET_CHARACTERS: Final = 9
_WALL_CHARACTERS: Final = len("2026-11-22T17:00:00.123")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the options say that all of these commands have."""

    recordings: tuple[str, ...]
    from_: AskedMoment | None
    to: AskedMoment | None
    form: _Form | None
    wall: bool
    plot: str | None
    force: bool

    @property
    def printed_as(self) -> _Form | None:
        """The form of the rows; None where only a picture is wanted."""
        return self.form or (None if self.plot is not None else "line")

    @contextmanager
    def reading(self) -> Iterator[SeriesReader]:
        """The recording, open; what does not fit together in it is said at the end. Raises
        click.UsageError where a picture cannot be made, and OutputExists."""
        if self.plot is not None:
            if form_of(self.plot) is None:
                raise click.UsageError(f"--plot {self.plot}: expected a name with .png or .svg")
            if importlib.util.find_spec("matplotlib") is None:
                raise click.UsageError(
                    "--plot needs matplotlib, which is not installed: pip install 'tracktape[plot]'"
                )
            unfinished_path(self.plot, force=self.force)
        make_output_safe()
        with SeriesReader(self.recordings) as reader:
            try:
                yield reader
            except NothingLearnt:
                # It may stand in what could not be read.
                say_problems(reader)
                raise
            say_problems(reader)

    def choice(
        self, reader: SeriesReader, *, device: str | None = None, beacon: str | None = None
    ) -> Choice:
        """Which measurements are wanted. Raises click.UsageError where the recording has no times
        to choose by."""
        try:
            from_ns, to_ns = (
                None if moment is None else moment.offset_in(reader.header)
                for moment in (self.from_, self.to)
            )
        except ValueError as exc:
            raise click.UsageError(
                f"{printable(reader.name)}: {exc}: leave out --from and --to"
            ) from exc
        check_order(from_ns, to_ns)
        return Choice(device=device, beacon=beacon, from_ns=from_ns, to_ns=to_ns)

    def save(self, build: Callable[[Figure], None]) -> None:
        """Write the picture, and say so. Raises OutputExists and DiskFailed."""
        assert self.plot is not None
        form = form_of(self.plot)
        assert form is not None
        with destination(self.plot, force=self.force) as file:
            draw(build, file, form)
        say(f"wrote {printable(self.plot)}")


def measuring_options(command: Callable[..., _R]) -> Callable[..., _R]:
    """Give a command its recordings and the options of :class:`Asked`, and ``asked`` for them."""

    @functools.wraps(command)
    def with_asked(
        *args: Any,
        recordings: tuple[str, ...],
        from_: AskedMoment | None,
        to: AskedMoment | None,
        form: _Form | None,
        as_json: bool,
        wall: bool,
        plot: str | None,
        force: bool,
        **others: Any,
    ) -> _R:
        asked = Asked(
            recordings=recordings,
            from_=from_,
            to=to,
            form="jsonl" if as_json else form,
            wall=wall,
            plot=plot,
            force=force,
        )
        return command(*args, asked=asked, **others)

    for option in reversed(_OPTIONS):
        with_asked = option(with_asked)
    return with_asked


_OPTIONS: Final = (
    click.argument("recordings", metavar="REC...", nargs=-1, required=True),
    click.option(
        "--from",
        "from_",
        type=MomentType(),
        metavar="TIME",
        help="Only from this time on: 90, 1m30s, or a wall clock, 2026-11-22T17:00:30Z.",
    ),
    click.option("--to", type=MomentType(), metavar="TIME", help="Only up to this time."),
    click.option(
        "--format",
        "form",
        type=click.Choice(["line", "jsonl", "csv"]),
        help="How rows are printed.  [default: line, or not at all with --plot]",
    ),
    click.option("--json", "as_json", is_flag=True, help="The same as --format jsonl."),
    click.option("--wall", is_flag=True, help="Wall clock, UTC, in place of seconds."),
    click.option(
        "--plot",
        metavar="FILE",
        help="Draw it: FILE.png or FILE.svg. Needs the extra `plot`.",
    ),
    click.option("--force", is_flag=True, help="Overwrite FILE."),
)

device_option = click.option("--device", metavar="NAME_OR_ID", help="Only this device.")
beacon_option = click.option("--beacon", metavar="NAME_OR_ID", help="Only at this beacon.")


class Column(msgspec.Struct, frozen=True):
    """One column of aligned lines: its title, its width in cells, and a row's text in it. A
    negative width aligns to the right; 0 is the rest of the line. Those that have a ``widest``
    share what there is beyond 80 columns, or what is missing. A last one that ``folds`` goes on in
    further lines, broken behind its commas."""

    title: str
    width: int
    text: Callable[[Any], str]
    widest: int = 0
    folds: bool = False


def print_rows(
    rows: Iterable[_Row],
    reader: SeriesReader,
    asked: Asked,
    columns: Sequence[Column],
    *,
    time: str = "offset_ns",
) -> Iterator[_Row]:
    """The same rows, printed as they pass. ``time`` is the field that a line begins with."""
    show = _printer(reader, asked, columns, time)
    for row in rows:
        show(row)
        yield row


def _printer(
    reader: SeriesReader, asked: Asked, columns: Sequence[Column], time: str
) -> Callable[[msgspec.Struct], None]:
    line_columns = output_columns()
    columns = _grown(columns, line_columns, wall=asked.wall)
    started = read_date(reader.header.started_at) if asked.wall else None
    started_ns = None if started is None else started.utc_ns
    is_first = True

    def wall_of(row: msgspec.Struct) -> str | None:
        at_ns = getattr(row, time)
        if at_ns is None or started_ns is None:
            return None
        return wall_clock_text(started_ns + at_ns)

    def fields(row: msgspec.Struct) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        for name in row.__struct_fields__:
            value = getattr(row, name)
            if name == time:
                shown["time"] = None if value is None else value / 1e9
                if asked.wall:
                    shown["wall"] = wall_of(row)
            else:
                shown[name] = value
        return shown

    def as_json(row: msgspec.Struct) -> None:
        out(json_text(fields(row)))

    def as_csv(row: msgspec.Struct) -> None:
        nonlocal is_first
        shown = fields(row)
        lines = io.StringIO()
        writer = csv.writer(lines)
        if is_first:
            writer.writerow(shown)
            is_first = False
        writer.writerow([_cell(value) for value in shown.values()])
        # The line end of RFC 4180 is part of it; `out` adds one of its own. Without `color` click
        # takes escape sequences out of what goes into a file.
        click.echo(lines.getvalue(), nl=False, color=True)

    def as_line(row: msgspec.Struct) -> None:
        nonlocal is_first
        if is_first:
            is_first = False
            width = _WALL_CHARACTERS if asked.wall else _OFFSET_CHARACTERS
            out(
                _aligned(
                    [("time", -width), *((one.title, one.width) for one in columns)], line_columns
                )
            )
        if asked.wall:
            wall = wall_of(row)
            at = ("-" if wall is None else wall[:_WALL_CHARACTERS], _WALL_CHARACTERS)
        else:
            at = (seconds(getattr(row, time)), -_OFFSET_CHARACTERS)
        cells = [at, *((one.text(row), one.width) for one in columns)]
        more: list[str] = []
        indent = sum(abs(width) + 1 for _, width in cells[:-1])
        if columns[-1].folds:
            first, *more = _folded(cells[-1][0], line_columns - indent)
            cells[-1] = (first, 0)
        out(_aligned(cells, line_columns))
        for each in more:
            out(fit(" " * indent + each, line_columns))

    show: dict[_Form | None, Callable[[msgspec.Struct], None]] = {
        "line": as_line,
        "jsonl": as_json,
        "csv": as_csv,
        None: lambda row: None,
    }
    return show[asked.printed_as]


def _grown(columns: Sequence[Column], line_columns: int, *, wall: bool) -> Sequence[Column]:
    """The columns with as much of a name as there is room for."""
    taken = _LEAST_COLUMNS + (_WALL_CHARACTERS - _OFFSET_CHARACTERS if wall else 0)
    sharing = sum(one.widest > 0 for one in columns)
    more = (line_columns - taken) // sharing if sharing else 0
    return [
        msgspec.structs.replace(one, width=min(max(one.width + more, _LEAST_NAME), one.widest))
        if one.widest
        else one
        for one in columns
    ]


def _cell(value: Any) -> object:
    match value:
        case msgspec.Raw():
            return _cell(text_of(value))
        case tuple():
            return " ".join(map(str, value))
        case dict():
            return json_text(value)
        case str() if sys.stdout.isatty():
            # Programs get the text as it came, and a terminal nothing that it would obey.
            return printable(value)
        case _:
            return value


def _aligned(cells: Iterable[tuple[str, int]], columns: int) -> str:
    shown = []
    for text, width in cells:
        if width:
            text = fit(text, abs(width))
            taken = len(text) if text.isascii() else cell_len(text)
            spaces = " " * (abs(width) - taken)
            text = text + spaces if width > 0 else spaces + text
        shown.append(text)
    return fit(" ".join(shown).rstrip(), columns)


def _folded(text: str, columns: int) -> list[str]:
    lines: list[str] = []
    for part in text.split(", "):
        # With the comma that stands behind it where the line is broken.
        if lines and cell_len(f"{lines[-1]}, {part},") <= columns:
            lines[-1] += f", {part}"
        else:
            lines.append(part)
    return [*(f"{line}," for line in lines[:-1]), lines[-1]]


def spelled(value: msgspec.Raw | None) -> str:
    """A value as it came, safe in a line; ``-`` where there is none."""
    return "-" if value is None else printable(bytes(value).decode("utf-8", "replace"))


def label(name: str | None, object_id: Any) -> str:
    """A name, else an id, safe in a line; ``-`` without both."""
    if name is not None:
        return printable(name)
    return "-" if object_id is None else printable(str(object_id))


def no_rows(what: str, reader: SeriesReader, choice: Choice, join: Join) -> NothingLearnt:
    """The error of a command that found nothing: what there is instead."""
    asked = ", ".join(
        f"{word} {printable(value)}"
        for word, value in (("device", choice.device), ("beacon", choice.beacon))
        if value is not None
    )
    is_of_time = choice.from_ns is not None or choice.to_ns is not None
    nothing = (
        f"{printable(reader.name)} holds no {what}{' of ' if asked else ''}{asked}"
        f"{' in that time' if is_of_time else ''}"
    )
    if is_of_time and (choice.device is None or any(join.called(choice.device))):
        # It is the time that is wrong, not a name.
        return NothingLearnt(nothing)
    names = list(dict.fromkeys(label(one.name, one.id) for one in join.devices.values()))
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    there = f"its devices are {', '.join(names[:_LISTED])}{more}" if names else "it has no devices"
    return NothingLearnt(f"{nothing}; {there}")


def check_drawable(points: Points, what: str, reader: SeriesReader) -> None:
    """Say what no picture can show. Raises NothingLearnt if that is all."""
    if points.left_out:
        say(f"left out of the picture: {counted(points.left_out, 'values')} too large to be drawn")
    if not points.count:
        raise NothingLearnt(f"{printable(reader.name)}: no {what} is a number that can be drawn")


def say_remarks(join: Join, left_out: Iterable[tuple[str, int]], choice: Choice) -> None:
    """What was left out, and why; and whether several devices are called what was asked for."""
    if choice.device is not None:
        say_namesakes("device", choice.device, (one.id for one in join.called(choice.device)))
    for name, count in left_out:
        what, _, why = name.partition(" ")
        say(f"left out: {counted(count, what)} {why}")
    if join.repeats:
        say(f"left out: {counted(join.repeats, 'objects')} told again with the same text")
    if join.unread:
        say(f"left out: {counted(join.unread, 'objects')} that could not be read")


def say_namesakes(what: str, name: str, ids: Iterable[Any]) -> None:
    """Say so where several are called by the name that was asked for: all of them were taken."""
    found = list(map(str, ids))
    if len(found) > 1:
        more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
        say(
            f"{len(found)} {what}s are called {printable(name)}, and all are here: choose one by"
            f" its id, {printable(', '.join(found[:_LISTED]))}{more}"
        )
