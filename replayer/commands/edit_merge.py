"""`track-replayer edit merge`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import click

from recorder.recording import Reader
from recorder.sink import wall_clock_text
from replayer.commands.edit_common import output_options, refuse_stdout, say_written
from replayer.editing.heading import edited_header
from replayer.editing.merging import Merging
from replayer.editing.strands import Piece, strands_of, survey
from replayer.editing.writing import Source, write_edited
from replayer.reading.words import printable

__all__ = ["merge_command"]


@click.command("merge")
@output_options
def merge_command(recordings: tuple[str, ...], output: str, force: bool) -> None:
    """Several recordings in one, by what their wall clocks showed.

    The parts of a series count as one recording. Connections and exchanges are numbered anew where
    recordings share numbers. Each REC is read twice.
    """
    refuse_stdout(output)
    with ExitStack() as opened:
        sources: list[Source] = []
        pieces: list[Piece] = []
        for paths in _recordings(recordings):
            source = opened.enter_context(Source(paths))
            with Source(paths) as first:
                name = printable(Path(first.name).name if len(paths) == 1 else first.name)
                pieces.append(survey(name, first.header, first.entries(), source.entries))
            sources.append(source)
        merging = Merging(strands_of(pieces))
        headers = [source.header for source in sources]
        header = edited_header(headers, "merge", {}, started_at=wall_clock_text(merging.start_ns))
        written = write_edited(output, header, merging.entries(), sources, force=force)
    more = list(merging.problems)
    profiles = {one.redaction.profile for one in headers}
    if len(profiles) > 1:
        more.append(
            f"they were redacted by different profiles ({', '.join(sorted(profiles))}): the merged"
            f" one claims no more than {header.redaction.profile}"
        )
    say_written(output, written, *more)


def _recordings(paths: tuple[str, ...]) -> list[list[str]]:
    """The files of each recording: the parts of a series belong together."""
    found: dict[str, list[str]] = {}
    for number, path in enumerate(paths):
        with Reader(path) as reader:
            series = reader.header.series
        key = f"part of {series.id}" if series is not None else f"file {number}"
        found.setdefault(key, []).append(path)
    return list(found.values())
