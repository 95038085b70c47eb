"""The options that say where a live recording goes, the same for every command that makes one."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from recorder.commands.values import Duration, Size
from recorder.live_recording import LiveRecording, OutputOptions

__all__ = ["LiveRecording", "OutputOptions", "output_options"]

_F = TypeVar("_F", bound=Callable[..., Any])

_SMALLEST_PART_BYTES: Final = 10_000
_SHORTEST_KEPT_S: Final = 10.0


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
    @click.option("--resume", is_flag=True, help="Go on in REC, after a crash or a stop.")
    @click.option(
        "--rotate-size",
        "rotate_size_bytes",
        type=Size(),
        help="Record in parts of this size: 100M.",
    )
    @click.option(
        "--rotate-every",
        "rotate_every_s",
        type=Duration(),
        help="Record in parts of this length: 1h.",
    )
    @click.option(
        "--max-disk",
        "max_disk_bytes",
        type=Size(),
        help="Record in parts, and remove the oldest above this size: 2G.",
    )
    @click.option(
        "--keep-last",
        "keep_last_s",
        type=Duration(),
        help="Keep only the last minutes, to be saved on demand and at the end: 10m.",
    )
    @wraps(command)
    def with_options(
        *arguments: Any,
        path: Path,
        force: bool,
        resume: bool,
        rotate_size_bytes: int | None,
        rotate_every_s: float | None,
        max_disk_bytes: int | None,
        keep_last_s: float | None,
        **others: Any,
    ) -> Any:
        output = OutputOptions(
            path, force, resume, rotate_size_bytes, rotate_every_s, max_disk_bytes, keep_last_s
        )
        problem = _problem(output)
        if problem is not None:
            raise click.UsageError(problem)
        return command(*arguments, output=output, **others)

    return with_options  # type: ignore[return-value]


def _problem(output: OutputOptions) -> str | None:
    """What is wrong with the options together."""
    if str(output.path) == "-":
        return "a recording is written to a file, not to stdout: -o NAME"
    if output.force and output.resume:
        return "--force overwrites REC and --resume goes on in it: give one of them"
    in_parts = output.rotate_size_bytes is not None or output.rotate_every_s is not None
    if output.keep_last_s is not None:
        if in_parts or output.resume or output.force:
            return (
                "--keep-last writes no REC, only what is saved: give it without --rotate-size,"
                " --rotate-every, --resume and --force"
            )
        if output.keep_last_s < _SHORTEST_KEPT_S:
            return f"--keep-last keeps {_SHORTEST_KEPT_S:.0f} s at least"
    if output.rotate_every_s is not None and output.rotate_every_s < 1:
        return "--rotate-every makes parts of 1 s at least"
    if (output.rotate_size_bytes or _SMALLEST_PART_BYTES) < _SMALLEST_PART_BYTES:
        return f"--rotate-size makes parts of {_SMALLEST_PART_BYTES} bytes at least"
    smallest_bytes = 3 * (output.rotate_size_bytes or 10 * _SMALLEST_PART_BYTES)
    if output.max_disk_bytes is not None and output.max_disk_bytes < smallest_bytes:
        return (
            f"--max-disk {output.max_disk_bytes} is too small: three parts must fit in, which"
            f" takes {smallest_bytes} bytes"
        )
    return None
