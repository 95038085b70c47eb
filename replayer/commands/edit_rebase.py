"""`track-replayer edit rebase`."""

from __future__ import annotations

import time

import click

from replayer.commands.edit_common import open_source, output_options, say_written
from replayer.editing.heading import edited_header, moved_start, started_ns
from replayer.editing.rebasing import Rebasing, last_moment_ns
from replayer.editing.writing import Source, write_edited
from replayer.playing.dates import read_date

__all__ = ["rebase_command"]

_SECOND_NS = 1_000_000_000


@click.command("rebase")
@output_options
@click.option(
    "--to",
    metavar="now|DATE",
    required=True,
    help="When the last date is to be: now, or the like of 2026-11-22T17:00:30Z.",
)
def rebase_command(recordings: tuple[str, ...], output: str, force: bool, to: str) -> None:
    """REC at another time: its last date is at the moment given, all others and its start by as
    much earlier, in whole seconds.

    Without a date in it, its end is at that moment. What `serve --rebase now` does while it plays,
    done once. REC is read twice.
    """
    to_ns = time.time_ns() if to == "now" else _moment_ns(to)
    with open_source(recordings, output) as source:
        header, name = source.header, source.name
        with Source(recordings) as first:
            last_ns = last_moment_ns(first.entries(), started_ns(header, name))
        by_ns = (to_ns - last_ns) // _SECOND_NS * _SECOND_NS
        rebasing = Rebasing(by_ns)
        written = write_edited(
            output,
            edited_header(
                [header], "rebase", {"by_ns": by_ns}, started_at=moved_start(header, by_ns, name)
            ),
            rebasing.entries(source.entries()),
            [source],
            force=force,
        )
    more = [f"everything is {abs(by_ns) // _SECOND_NS} s {'later' if by_ns >= 0 else 'earlier'}"]
    if rebasing.left:
        more.append(
            f"{rebasing.left} messages or bodies stay as they are: too long, cut off, or in an"
            " unknown coding"
        )
    say_written(output, written, *more)


def _moment_ns(text: str) -> int:
    moment = read_date(text)
    if moment is None:
        raise click.BadParameter(
            f"{text!r} is no date; expected now, or the like of 2026-11-22T17:00:30Z",
            param_hint="--to",
        )
    return moment.utc_ns
