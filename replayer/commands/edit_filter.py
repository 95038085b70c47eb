"""`track-replayer edit filter`."""

from __future__ import annotations

from typing import Any

import click

from replayer.commands.edit_common import open_source, output_options, say_written
from replayer.commands.selection_options import in_recording, selection_options
from replayer.editing.filtering import filtered
from replayer.editing.heading import edited_header
from replayer.editing.writing import write_edited
from replayer.reading.selection import Selection

__all__ = ["filter_command"]


@click.command("filter")
@output_options
@click.option(
    "--keep/--drop",
    default=True,
    show_default=True,
    help="What is meant stays, or goes.",
)
@selection_options
def filter_command(
    recordings: tuple[str, ...], output: str, force: bool, keep: bool, selection: Selection
) -> None:
    """The messages of REC that are meant, by the options of `show`, and what they need.

    Messages stay or go whole, a PING with its pong. What makes a recording valid stays: the
    beginnings and ends of connections, upgrades, checkpoints. HTTP, notes and control frames go
    only with --drop --kind http, note or control; with --connection alone, connections go whole.
    """
    if selection.is_all:
        raise click.UsageError("say what is meant: --kind, --device, --connection or the like")
    with open_source(recordings, output) as source:
        chosen = in_recording(selection, source.header, source.name)
        details = {"keep": keep, "by": _said(chosen)}
        written = write_edited(
            output,
            edited_header([source.header], "filter", details),
            filtered(source.entries(), chosen, keep=keep),
            [source],
            force=force,
        )
    say_written(output, written)


def _said(selection: Selection) -> dict[str, Any]:
    """What was meant, for the header: values that are nobody's, else how many."""
    said: dict[str, Any] = {}
    for name in selection.__struct_fields__:
        value = getattr(selection, name)
        if isinstance(value, frozenset | tuple) and value:
            is_plain = name in ("kinds", "connections", "senders", "opcodes")
            said[name] = sorted(value, key=str) if is_plain else len(value)
    for name in ("from_ns", "to_ns"):
        if (moment_ns := getattr(selection, name)) is not None:
            said[name] = moment_ns
    return said
