"""`track-replayer rate`: messages a second, by kind."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import click

from recorder.console import out
from replayer.commands.measuring import Asked, Column, measuring_options, print_rows
from replayer.errors import NothingLearnt
from replayer.measurements.joining import Choice
from replayer.measurements.rate import RateRow, Rates
from replayer.plots.drawings import rates
from replayer.plots.points import axis_of
from replayer.reading.conversation import converse
from replayer.reading.legs import client_legs
from replayer.reading.moment import read_moment
from replayer.reading.series import SeriesReader
from replayer.reading.words import counted, duration, printable

__all__ = ["rate_command"]

_BAR_CELLS = 24
_GAP_ROWS = 3
"""So many empty windows one after the other are one line."""


class _Length(click.ParamType["int"]):
    """A length of time such as 1s, 10s or 1m, in nanoseconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            length_ns = read_moment(value).offset_ns
        except ValueError:
            length_ns = None
        if not length_ns:
            self.fail(
                f"{value!r} is no length of time; expected 1s, 10s, 1m or the like", param, ctx
            )
        return length_ns


@click.command("rate")
@measuring_options
@click.option(
    "--every",
    "every_ns",
    type=_Length(),
    metavar="TIME",
    help="The length of a window: 1s, 10s, 1m.  [default: what makes 16 to 80 rows]",
)
def rate_command(asked: Asked, every_ns: int | None) -> None:
    """How many messages a second the recording REC has, or the parts of a series, in windows of one
    length, by kind. The bar shows the rate beside that of the busiest window.
    """
    with asked.reading() as reader:
        clock = axis_of(reader.header, wall=asked.wall)
        if clock is None:
            raise NothingLearnt(
                f"{printable(reader.name)} has no times, so there is no rate; expected a recording"
                " whose timing is measured"
            )
        choice = asked.choice(reader)
        fold = Rates(every_ns)
        rows = list(
            fold.rows(
                item for item in converse(client_legs(reader)) if choice.takes_time(item.offset_ns)
            )
        )
        if not rows:
            raise _nothing(reader, choice)
        busiest = max(row.per_second for row in rows)
        shown = _without_gaps(rows) if asked.printed_as == "line" else rows
        for _ in print_rows(shown, reader, asked, _columns(busiest), time="from_ns"):
            pass
        if asked.printed_as == "line":
            total = sum(row.messages for row in rows)
            out(
                f"{counted(total, 'messages')} in {counted(len(rows), 'windows')} of"
                f" {duration(fold.every_ns)}, {busiest:.4g} a second in the busiest"
            )
        if asked.plot is not None:
            asked.save(rates(rows, clock, "messages a second, by kind"))


def _without_gaps(rows: Sequence[RateRow]) -> Iterator[RateRow]:
    """The same rows, with one line in place of many empty ones. The first and the last have
    messages."""
    for has_messages, group in itertools.groupby(rows, lambda row: row.messages > 0):
        some = list(group)
        if has_messages or len(some) < _GAP_ROWS:
            yield from some
        else:
            out(f"{'...':>9} {0:>8} {'':{_BAR_CELLS}} no message in {len(some)} windows")


def _nothing(reader: SeriesReader, choice: Choice) -> NothingLearnt:
    asked = "" if choice == Choice() else " in that time"
    return NothingLearnt(f"{printable(reader.name)} holds no message{asked}")


def _columns(busiest: float) -> Sequence[Column]:
    return [
        Column("msg/s", -8, lambda row: f"{row.per_second:.4g}"),
        Column("", _BAR_CELLS, lambda row: "#" * _cells(row, busiest)),
        Column("messages", 0, _kinds, folds=True),
    ]


def _cells(row: RateRow, busiest: float) -> int:
    if not row.messages:
        return 0
    return max(1, round(_BAR_CELLS * row.per_second / busiest))


def _kinds(row: RateRow) -> str:
    listed = sorted(row.counts.items(), key=lambda one: -one[1])
    return ", ".join(f"{printable(kind)} {count}" for kind, count in listed)
