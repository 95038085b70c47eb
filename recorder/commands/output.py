"""Where a live recording goes: the options, and the recording that is made of them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from functools import wraps
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from recorder.commands.redaction_options import RedactionOptions
from recorder.errors import RecorderError
from recorder.model import Header, Mode
from recorder.recording import Writer
from recorder.sink import Sink, wall_clock_text

__all__ = ["LiveRecording", "OutputOptions", "output_options"]

_F = TypeVar("_F", bound=Callable[..., Any])


class OutputOptions(msgspec.Struct, frozen=True):
    """Where to write."""

    path: Path
    force: bool

    def open(self, redaction: RedactionOptions, *, mode: Mode, upstream: str) -> LiveRecording:
        """Begin a recording. Raises OutputExists and DiskFailed; the caller closes it."""
        started_ns, started_wall_ns = time.monotonic_ns(), time.time_ns()
        redactor = redaction.redactor()
        header = Header(
            id=str(uuid.uuid4()),
            started_at=wall_clock_text(started_wall_ns),
            tool=f"tracktape {version('tracktape')}",
            mode=mode,
            upstream=upstream,
            fidelity="wire",
            timing="measured",
            redaction=redactor.header(),
        )
        writer = Writer.create(self.path, header, force=self.force)
        return LiveRecording(self, Sink(writer, redactor, started_ns=started_ns))


class LiveRecording:
    """A recording that is being made. ``sink`` takes its entries.

    *Resource handling:* :meth:`close` in any case; after a failure that is none of ours
    :meth:`abort`.
    """

    def __init__(self, output: OutputOptions, sink: Sink) -> None:
        self.output = output
        self.sink = sink

    def close(self, failure: RecorderError | None) -> None:
        """End the recording, ``failure`` being why it ended, if it was one.

        An empty recording is removed: it would only be in the way. Raises DiskFailed, unless there
        was a failure before.
        """
        try:
            self.sink.close()
        except RecorderError:
            self.sink.abort()
            if failure is None:
                raise
        if failure is not None and not self.sink.entries:
            self.output.path.unlink(missing_ok=True)

    def abort(self) -> None:
        """Close without an ``end``."""
        self.sink.abort()

    def summary(self) -> list[str]:
        """What was written, in lines for a person."""
        return [f"{self.output.path}: {self.sink.entries} entries"]


def output_options(command: _F) -> _F:
    """Add the options to a command, which gets them as ``output``."""

    @click.option(
        "-o",
        "--output",
        "path",
        type=click.Path(path_type=Path),
        required=True,
        metavar="REC",
        help="The recording; *.zst compresses.",
    )
    @click.option("--force", is_flag=True, help="Overwrite REC.")
    @wraps(command)
    def with_options(*arguments: Any, path: Path, force: bool, **others: Any) -> Any:
        if str(path) == "-":
            raise click.UsageError("a recording is written to a file, not to stdout: -o NAME")
        return command(*arguments, output=OutputOptions(path, force), **others)

    return with_options  # type: ignore[return-value]
