"""`track-replayer edit cut`."""

from __future__ import annotations

import click

from replayer.commands.edit_common import offset_in, open_source, output_options, say_written
from replayer.commands.selection_options import MomentType
from replayer.editing.cutting import cut
from replayer.editing.heading import edited_header, moved_start
from replayer.editing.writing import write_edited
from replayer.reading.moment import AskedMoment

__all__ = ["cut_command"]


@click.command("cut")
@output_options
@click.option(
    "--from",
    "from_",
    type=MomentType(),
    metavar="TIME",
    help="From this time on: 90, 1m30s, or a wall clock, 2026-11-22T17:00:30Z.",
)
@click.option("--to", type=MomentType(), metavar="TIME", help="Up to this time, which is left out.")
@click.option(
    "--keep-start",
    is_flag=True,
    help="Go on counting times from where REC starts, not from where the cut does.",
)
def cut_command(
    recordings: tuple[str, ...],
    output: str,
    force: bool,
    from_: AskedMoment | None,
    to: AskedMoment | None,
    keep_start: bool,
) -> None:
    """What stands between two moments of REC.

    A cut that begins in the middle begins with a checkpoint of all that was open: it plays, and
    conforms, by itself. Cuts that meet share nothing, and `merge` joins them again.
    """
    if from_ is None and to is None:
        raise click.UsageError("name where to cut: --from, --to, or both")
    with open_source(recordings, output) as source:
        header, name = source.header, source.name
        from_ns = max(0, offset_in(header, name, from_)) if from_ is not None else 0
        to_ns = offset_in(header, name, to) if to is not None else None
        if to_ns is not None and to_ns <= from_ns:
            raise click.UsageError("nothing stands between these: --to has to be after --from")
        details = {"from_ns": from_ns, "to_ns": to_ns, "keep_start": keep_start}
        started_at = moved_start(header, 0 if keep_start else from_ns, name)
        entries = cut(source.entries(), from_ns=from_ns, to_ns=to_ns, keep_start=keep_start)
        written = write_edited(
            output,
            edited_header([header], "cut", details, started_at=started_at),
            entries,
            [source],
            force=force,
        )
    is_empty = written.entries_out == written.added
    say_written(output, written, *([f"nothing of {name} stands there"] if is_empty else []))
