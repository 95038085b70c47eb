"""Where a command's answer goes: stdout, or a file that appears under its name when it is whole."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from recorder.errors import DiskFailed, OutputExists

__all__ = ["destination", "unfinished_path"]


@contextmanager
def destination(output: str, *, force: bool = False) -> Iterator[BinaryIO]:
    """A binary file for what will stand at ``output``; ``-`` is stdout.

    It is written beside its final name and renamed when the block ends without an exception; else
    nothing is left of it. The block owns it: it is closed at its end, stdout is flushed.

    Raises OutputExists if there is such a file and not ``force``, if something else than a file has
    the name, or if it cannot be made; DiskFailed if it cannot be written.
    """
    if output == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    final, partial = unfinished_path(output, force=force)
    try:
        file = partial.open("xb")
    except OSError as exc:
        raise OutputExists(f"{output} cannot be made: {exc.strerror}") from exc
    try:
        with file:
            yield file
        partial.replace(final)
    except OSError as exc:
        raise DiskFailed(
            f"{output} could not be written: {exc.strerror}; nothing was left of it"
        ) from exc
    finally:
        partial.unlink(missing_ok=True)


def unfinished_path(output: str | os.PathLike[str], *, force: bool = False) -> tuple[Path, Path]:
    """Where ``output`` is in the end, and the name beside it to write to until it is whole. The
    suffix stays, for it says whether to compress.

    A link is followed: what it points to is replaced, not the link. Raises OutputExists as
    :func:`destination` does, but for what only making the file can tell.
    """
    final = Path(output).resolve()
    if final.exists() and not final.is_file():
        raise OutputExists(f"{output} is no regular file; write to - and redirect it")
    if final.exists() and not force:
        raise OutputExists(
            f"{output} exists already; choose another name, or overwrite it with --force"
        )
    return final, final.with_name(f".part-{os.getpid()}-{final.name}")
