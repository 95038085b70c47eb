"""`track-recorder import`: a capture by another tool becomes a recording."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO, Literal

import click

from recorder.commands.redaction_options import RedactionOptions, redaction_options
from recorder.commands.values import Size
from recorder.console import out
from recorder.errors import CannotRead
from recorder.importers import MAX_EXPANDED_BYTES, Summary, import_file

__all__ = ["import_command"]

_FORMATS = {
    "curl": "curl (WebSocket frames)",
    "text": "text (JSON texts)",
    "har": "har (exchanges and messages)",
}


@click.command("import")
@click.argument("file", metavar="FILE")
@click.option(
    "--from",
    "form",
    type=click.Choice(["auto", "curl", "text", "har"]),
    default="auto",
    show_default=True,
    help="What FILE is: output of curl -i --no-buffer --output -, text from a terminal, or a HAR.",
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
    "--max-bytes",
    type=Size(),
    default=MAX_EXPANDED_BYTES,
    show_default=True,
    help="The most that a compressed FILE may hold: 10M.",
)
@redaction_options
def import_command(
    file: str,
    form: Literal["auto", "curl", "text", "har"],
    destination: Path,
    force: bool,
    max_bytes: int,
    redaction: RedactionOptions,
) -> None:
    """Make a recording of FILE, a capture by another tool; - reads stdin.

    FILE may be compressed (gzip, zlib, zstd). What cannot be read is kept as bytes; what a
    recording has no place for is counted.
    """
    if str(destination) == "-":
        raise click.UsageError("a recording is written to a file, not to stdout: -o NAME")
    name = "stdin" if file == "-" else file
    with _opened(file) as source:
        summary = import_file(
            source,
            destination,
            name=name,
            form=form,
            redactor=redaction.redactor(taken={}),
            force=force,
            max_bytes=max_bytes,
        )
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
    unread = _bytes(summary.unread_bytes + summary.before_bytes * (summary.format == "har"))
    if summary.unread_bytes:
        unread += f" ({summary.unread_why})"
    redacted = ", ".join(f"{rule} {count}" for rule, count in sorted(summary.redactions.items()))
    lines = [f"format    {_FORMATS[summary.format]}", f"messages  {summary.messages}"]
    if summary.format == "har":
        lines.append(f"exchanges {summary.exchanges}")
        lines += [f"left out  {name}: {count}" for name, count in sorted(summary.left_out.items())]
    else:
        start = "first message" if summary.format == "text" else "HTTP head or first frame"
        lines.append(f"frames    {summary.frames}")
        lines.append(f"skipped   {_bytes(summary.before_bytes)} before the {start}")
    lines.append(f"unread    {unread}")
    if summary.torn is not None:
        lines.append(f"torn      {summary.torn}; what came before was imported")
    return [*lines, f"redacted  {redacted or 'nothing'}"]


def _bytes(count: int) -> str:
    return f"{count} byte{'' if count == 1 else 's'}"
