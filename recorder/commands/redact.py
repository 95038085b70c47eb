"""`track-recorder redact`."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from recorder.commands.redaction_options import RedactionOptions, redaction_options
from recorder.console import out, say
from recorder.redact import RedactSummary, redact_recording

__all__ = ["redact_command"]


@click.command("redact")
@click.argument("source", metavar="REC", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    "destination",
    metavar="REC2",
    required=True,
    type=click.Path(path_type=Path),
    help="The recording to make; *.zst compresses.",
)
@click.option("--force", is_flag=True, help="Replace REC2 if it exists; never REC.")
@redaction_options
@click.option("--json", "as_json", is_flag=True, help="Say it as one JSON object.")
def redact_command(
    source: Path, destination: Path, force: bool, redaction: RedactionOptions, as_json: bool
) -> None:
    """Make a recording of REC with secrets, or more than that, taken out.

    REC stays as it is. What is left is byte for byte what it was, but frame heads, which fit their
    new payloads.
    """
    if str(destination) == "-":
        raise click.UsageError("a recording is written to a file, not to stdout: -o NAME")
    if redaction.profile == "none":
        raise click.UsageError("--redact none takes out nothing: copy the file instead")
    summary = redact_recording(source, destination, redaction, force=force)
    if as_json:
        said = {"output": str(destination), **msgspec.to_builtins(summary)}
        out(msgspec.json.encode(said).decode())
        return
    for line in _lines(summary, destination):
        out(line)
    if summary.incomplete is not None:
        say(f"{destination} has no `end`, as {source} is incomplete: {summary.incomplete}")


def _lines(summary: RedactSummary, destination: Path) -> list[str]:
    counted = sorted(summary.redactions.items())
    key = f", key {summary.key_id}" if summary.key_id else ""
    return [
        f"{destination}: {summary.entries} entries, profile {summary.profile}{key}",
        f"redacted  {', '.join(f'{rule} {count}' for rule, count in counted) or 'nothing'}",
    ]
