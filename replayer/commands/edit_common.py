"""What the verbs of `track-replayer edit` share: their options, and what they say in the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

from recorder.console import say
from recorder.model import Header
from replayer.editing.writing import Source, Written
from replayer.reading.moment import AskedMoment
from replayer.reading.words import printable

__all__ = ["offset_in", "open_source", "output_options", "refuse_stdout", "say_written"]

_R = TypeVar("_R")


def output_options(command: Callable[..., _R]) -> Callable[..., _R]:
    """Give a command the argument REC... and the options -o and --force."""
    for option in (
        click.option("--force", is_flag=True, help="Replace OUT if it exists; never a REC."),
        click.option(
            "-o",
            "--output",
            metavar="OUT",
            required=True,
            type=click.Path(),
            help="The recording to make; *.zst compresses.",
        ),
        click.argument("recordings", metavar="REC...", nargs=-1, required=True),
    ):
        command = option(command)
    return command


def open_source(recordings: tuple[str, ...], output: str) -> Source:
    """The recording that is edited. Raises click.UsageError if the output is stdout, and what
    :class:`~replayer.editing.writing.Source` raises.
    """
    refuse_stdout(output)
    return Source(recordings)


def refuse_stdout(output: str) -> None:
    """Raises click.UsageError if the output is stdout."""
    if output == "-":
        raise click.UsageError("a recording is written to a file, not to stdout: -o NAME")


def offset_in(header: Header, name: str, moment: AskedMoment) -> int:
    """Nanoseconds since the start of the recording; negative before it. Raises click.UsageError if
    it has no times.
    """
    try:
        return moment.offset_in(header)
    except ValueError as exc:
        raise click.UsageError(f"{printable(name)}: {exc}: it cannot be edited by time") from exc


def say_written(output: str, written: Written, *more: str) -> None:
    """Say what came of an edit: a line, and one for each thing to know."""
    entries = "entry" if written.entries_out == 1 else "entries"
    say(
        f"{printable(output)}: {written.entries_out} {entries} ({written.entries_in} read,"
        f" {written.left_out} left out, {written.added} added)"
    )
    for line in (*more, *written.problems):
        say(printable(line))
