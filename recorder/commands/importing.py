"""`track-recorder import`: a capture by another tool becomes a recording."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO, Literal

import click

from recorder.console import out
from recorder.errors import CannotRead
from recorder.importers import Summary, import_file

__all__ = ["import_command"]

_FORMATS = {"curl": "curl (WebSocket frames)", "text": "text (JSON texts)"}


@click.command("import")
@click.argument("file", metavar="FILE")
@click.option(
    "--from",
    "form",
    type=click.Choice(["auto", "curl", "text"]),
    default="auto",
    show_default=True,
    help="What FILE is: output of curl -i --no-buffer --output -, or text from a terminal.",
)
@click.option(
    "-o",
    "--output",
    "destination",
    metavar="REC",
    required=True,
    type=click.Path(path_type=Path),
    help="The recording to make: *.track.jsonl, or *.track.jsonl.zst to compress it.",
)
@click.option("--force", is_flag=True, help="Replace REC if it exists.")
@click.option(
    "--redact",
    type=click.Choice(["secrets", "none"]),
    default="secrets",
    show_default=True,
    help="What to take out before anything is written.",
)
def import_command(
    file: str,
    form: Literal["auto", "curl", "text"],
    destination: Path,
    force: bool,
    redact: Literal["secrets", "none"],
) -> None:
    """Make a recording of FILE, a capture by another tool; - reads stdin.

    Nothing is dropped: what cannot be read is kept as bytes.
    """
    if str(destination) == "-":
        raise click.UsageError("a recording is written to a file, not to stdout: -o NAME")
    name = "stdin" if file == "-" else file
    with _opened(file) as source:
        summary = import_file(source, destination, name=name, form=form, redact=redact, force=force)
    for line in _lines(summary):
        out(line)


def _opened(file: str) -> AbstractContextManager[BinaryIO]:
    if file == "-":
        return nullcontext(sys.stdin.buffer)
    try:
        return open(file, "rb")
    except OSError as error:
        raise CannotRead(f"{file}: cannot be opened: {error.strerror}") from error


def _lines(summary: Summary) -> list[str]:
    start = "first message" if summary.format == "text" else "HTTP head or first frame"
    unread = f"{summary.unread_bytes} bytes"
    if summary.unread_bytes:
        unread += f" ({summary.unread_why})"
    redacted = ", ".join(f"{rule} {count}" for rule, count in sorted(summary.redactions.items()))
    return [
        f"format    {_FORMATS[summary.format]}",
        f"messages  {summary.messages}",
        f"frames    {summary.frames}",
        f"skipped   {summary.before_bytes} bytes before the {start}",
        f"unread    {unread}",
        f"redacted  {redacted or 'nothing'}",
    ]
