"""`track-replayer show`: one line for each message of a recording, or how things stood."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import click
import msgspec

from recorder.console import say
from recorder.model import Body, Clock, End, Open
from replayer.commands.formats import FORMATS
from replayer.commands.selection_options import MomentType, in_recording, selection_options
from replayer.commands.terminal import Output, make_output_safe, output_columns, say_problems
from replayer.reading.conversation import Item, converse
from replayer.reading.legs import client_legs
from replayer.reading.lines import BACKGROUND_KINDS, Line
from replayer.reading.moment import AskedMoment
from replayer.reading.selection import Selection, Selector
from replayer.reading.series import SeriesReader
from replayer.reading.words import counted, printable

__all__ = ["POLL_S", "show_command"]

POLL_S: Final = 0.1
"""How long `--follow` waits before it looks for more."""

_LISTED: Final = 12
"""So many names are told where the one that was asked for is not there."""

_BACKGROUND: Final = (Open, Body, Clock, End)
"""The entries of the kinds that stand in :data:`BACKGROUND_KINDS`."""


class _At(MomentType):
    """A moment, or the recording's end."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> AskedMoment:
        return AskedMoment() if value == "end" else super().convert(value, param, ctx)


@click.command("show")
@click.argument("recordings", metavar="REC...", nargs=-1, required=True)
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    default="line",
    show_default=True,
    help="One line a message, and notes whole; a table, which wraps; or one JSON object a line.",
)
@selection_options
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
@click.option(
    "--follow",
    is_flag=True,
    help="Wait for more while it is being recorded, until its end or Ctrl-C.",
)
@click.option(
    "--at",
    type=_At(),
    metavar="TIME",
    help="Instead of messages: how all devices and beacons stood then, or at the `end`.",
)
def show_command(
    recordings: tuple[str, ...],
    form: str,
    selection: Selection,
    everything: bool,
    all_legs: bool,
    follow: bool,
    at: AskedMoment | None,
) -> None:
    """One line for each message of the recording REC, or of the parts of a series.

    Seconds since its start, connection, -> from the client or <- from the server, opcode, kind,
    bytes, and what it says. Several files are the parts of one series and are read as one.

    Of a filter that is given several times one is enough; of different filters all must hold.
    """
    make_output_safe()
    if at is not None:
        if follow:
            raise click.UsageError("--at shows one moment: leave out --follow")
        if everything or all_legs:
            raise click.UsageError(
                "--at shows devices and beacons, not entries: leave out --all and --all-legs"
            )
        # What it needs takes longer to import than all else.
        from replayer.commands.show_at import show_at

        show_at(recordings, at, selection, form)
        return
    selection = msgspec.structs.replace(selection, everything=everything)
    output = Output(FORMATS[form](output_columns()))

    def wait() -> None:
        output.flush()
        time.sleep(POLL_S)

    with _opened(recordings, wait if follow else None) as reader:
        selection = in_recording(selection, reader.header, reader.name)
        if not follow and _may_enter(selection, reader, all_legs=all_legs):
            reader.seek(selection.from_ns or 0)
        try:
            _show(converse(reader if all_legs else client_legs(reader)), selection, output)
        except KeyboardInterrupt:
            # That is how following ends.
            if not follow:
                raise
        finally:
            # What was readable is shown, also where reading on failed.
            output.flush()
        say_problems(reader)


def _opened(recordings: tuple[str, ...], wait: Callable[[], None] | None) -> SeriesReader:
    if wait is None:
        return SeriesReader(recordings)
    from replayer.reading.following import FollowedSeries

    return FollowedSeries(recordings, wait)


def _may_enter(selection: Selection, reader: SeriesReader, *, all_legs: bool) -> bool:
    """Whether reading may begin at the first moment that is asked for, without what was told before
    it: a name, or which legs of a proxied recording are to be left out.
    """
    return (
        bool(selection.from_ns)
        and not selection.names
        and (all_legs or reader.header.mode != "proxy")
    )


def _show(items: Iterable[Item], selection: Selection, output: Output[Line]) -> None:
    selector = Selector(selection)
    passed = 0
    for item in items:
        if selection.is_over(item):
            break
        line = selector.line(item)
        if line is None:
            passed += not isinstance(item, _BACKGROUND)
            output.tick()
        else:
            output.add(line)
    if not output.count:
        say(f"nothing to show: {_why_nothing(passed, is_filtered=not selection.is_all)}")
        for what, names in selector.told_instead():
            more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
            say(f"{what} told there: {printable(', '.join(names[:_LISTED]))}{more}")


def _why_nothing(passed: int, *, is_filtered: bool) -> str:
    if passed:
        return f"of {counted(passed, 'lines')} the filters took none"
    where = "what was asked for" if is_filtered else "the recording"
    return f"{where} holds no message and no HTTP exchange (--all shows what else there is)"
