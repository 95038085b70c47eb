"""`track-replayer edit annotate`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from recorder.errors import CannotRead
from recorder.model import Note
from recorder.redaction import Redactor
from replayer.commands.edit_common import offset_in, open_source, output_options, say_written
from replayer.commands.selection_options import MomentType
from replayer.editing.annotating import annotate
from replayer.editing.heading import edited_header
from replayer.editing.writing import Source, write_edited
from replayer.reading.moment import AskedMoment, read_moment
from replayer.reading.words import seconds

__all__ = ["annotate_command"]


@click.command("annotate")
@output_options
@click.option(
    "--at",
    "moments",
    multiple=True,
    type=MomentType(),
    metavar="TIME",
    help="When: 90, 1m30s, or a wall clock. One for each --note.",
)
@click.option("--note", "texts", multiple=True, metavar="TEXT", help="What to say then.")
@click.option(
    "--notes",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Lines of a time, a tab, and a text.",
)
def annotate_command(
    recordings: tuple[str, ...],
    output: str,
    force: bool,
    moments: tuple[AskedMoment, ...],
    texts: tuple[str, ...],
    file: Path | None,
) -> None:
    """REC with notes in it, each behind what stands at its moment."""
    if len(moments) != len(texts):
        raise click.UsageError(
            f"there are {len(moments)} --at and {len(texts)} --note: expected one for each"
        )
    asked = [*zip(moments, texts, strict=True), *(_read_notes(file) if file else [])]
    if not asked:
        raise click.UsageError("say what to note: --at and --note, or --notes")
    for _, text in asked:
        _refuse_bytes(text)
    with open_source(recordings, output) as source:
        notes = [(_offset_ns(source, moment), text) for moment, text in asked]
        if source.header.redaction.profile != "none":
            _refuse_secrets(text for _, text in notes)
        written = write_edited(
            output,
            edited_header([source.header], "annotate", {"notes": len(notes)}),
            annotate(source.entries(), notes),
            [source],
            force=force,
        )
    ended_ns, last_ns = source.ended_ns or 0, max(offset_ns for offset_ns, _ in notes)
    longer = (
        f"it is {seconds(last_ns - ended_ns)} s longer now: a note stands behind the end, which was"
        f" at {seconds(ended_ns)} s"
    )
    say_written(output, written, *([longer] if last_ns > ended_ns else []))


def _read_notes(file: Path) -> list[tuple[AskedMoment, str]]:
    """The notes in a file. Raises CannotRead, click.UsageError."""
    try:
        lines = file.read_bytes().decode("utf-8").splitlines()
    except OSError as exc:
        raise CannotRead(f"{file} cannot be opened: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise click.UsageError(f"{file}: byte {exc.start} is no UTF-8; expected text") from exc
    notes = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        moment, tab, text = line.partition("\t")
        if not tab or not text:
            raise click.UsageError(f"{file}:{number}: expected a time, a tab, and a text")
        try:
            notes.append((read_moment(moment.strip()), text))
        except ValueError as exc:
            raise click.UsageError(f"{file}:{number}: {exc}") from exc
    return notes


def _offset_ns(source: Source, moment: AskedMoment) -> int:
    offset_ns = offset_in(source.header, source.name, moment)
    if offset_ns < 0:
        raise click.UsageError(
            f"a note would stand {-offset_ns / 1e9:.3f} s before the recording begins"
        )
    return offset_ns


def _refuse_bytes(text: str) -> None:
    """What was typed in another encoding came as bytes that no line of a recording can hold."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as exc:
        raise click.UsageError(f"a note is no UTF-8 from character {exc.start} on") from exc


def _refuse_secrets(texts: Iterable[str]) -> None:
    """A note must not bring back what the recording says was taken out."""
    redactor = Redactor("secrets")
    for text in texts:
        for _ in redactor.feed(Note(offset_ns=0, text=text)):
            pass
    for rule in redactor.counts:
        raise click.UsageError(
            f"a note holds what was taken out of this recording ({rule}): say it without"
        )
