"""`track-replayer edit speed`."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final

import click

from replayer.commands.edit_common import open_source, output_options, say_written
from replayer.editing.heading import edited_header
from replayer.editing.speeding import speed
from replayer.editing.writing import write_edited
from replayer.reading.words import printable

__all__ = ["speed_command"]

_LEAST: Final = Fraction(1, 1000)
_MOST: Final = 1_000_000


class _Factor(click.ParamType["Fraction"]):
    """How many times as fast: a decimal number or a fraction."""

    name = "factor"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Fraction:
        try:
            factor = Fraction(value) if len(value) <= 20 and "e" not in value.lower() else None
        except (ValueError, ZeroDivisionError):
            factor = None
        if factor is None or not _LEAST <= factor <= _MOST:
            self.fail(
                f"{value!r} is no speed; expected the like of 2, 0.5 or 1/3, from 1/1000 to"
                " 1000000",
                param,
                ctx,
            )
        return factor


@click.command("speed")
@click.argument("factor", type=_Factor())
@output_options
def speed_command(factor: Fraction, recordings: tuple[str, ...], output: str, force: bool) -> None:
    """REC at FACTOR times its speed: 2 is twice as fast, 0.5 half.

    Only playing time changes. PINGs come closer together too, or farther apart; `conform` judges
    the result by an interval that is shorter or longer by as much.
    """
    with open_source(recordings, output) as source:
        if source.header.timing == "none":
            raise click.UsageError(f"{printable(source.name)} has no times: it has no speed")
        details = {
            "factor": str(factor),
            "note": "playing time only: neither started_at, clocks nor dates were changed",
        }
        written = write_edited(
            output,
            edited_header([source.header], "speed", details),
            speed(source.entries(), factor),
            [source],
            force=force,
        )
    say_written(output, written)
