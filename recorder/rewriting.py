"""A recording made of others: written beside its final name, which it gets when it is whole.

What ``redact`` and ``edit`` share: what may not be replaced, the ``end``, and errors that name what
was asked for rather than the file beside it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from recorder.errors import DiskFailed, OutputExists
from recorder.model import AnyEntry, End, Header
from recorder.recording import Writer, encode_entry

__all__ = ["Rewriting", "final_path", "rewriting"]


class Rewriting:
    """Takes the entries of a new recording in their order; made by :func:`rewriting`.

    An ``end`` among them is held back: the last one says how the recording ended, and :meth:`close`
    writes the new one in its place. An earlier one is that of a recording that was gone on with,
    and stays, with what it says of the lines before it.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer: Final = writer
        self.end: End | None = None
        """The last ``end``, if nothing came behind it."""

    @property
    def entries(self) -> int:
        """How many entries it has so far, without an ``end`` that is held back."""
        return self._writer.entries

    @property
    def offset_ns(self) -> int | None:
        """That of the last entry; None where there is no timing."""
        return self._writer.offset_ns

    def write(self, entry: AnyEntry) -> None:
        """Append an entry. Raises DiskFailed, and ValueError as :meth:`Writer.write` does."""
        if self.end is not None:
            former = msgspec.structs.replace(
                self.end,
                seq=self._writer.seq + 1,
                entries=self._writer.entries + 1,
                sha256=self._writer.sha256,
            )
            self.end = None
            self._writer.write_line(encode_entry(former), former.offset_ns)
        if type(entry) is End:
            self.end = entry
        else:
            self._writer.write(entry)

    def close(self, redaction: dict[str, int], *, offset_ns: int | None = None) -> None:
        """Write the ``end``, with these counts of what was replaced, at ``offset_ns`` or where the
        last entry stands. Without this call the recording has none. Raises as :meth:`write`.
        """
        self._writer.close(redaction, offset_ns=offset_ns)


def final_path(
    destination: str | os.PathLike[str], sources: Iterable[str | os.PathLike[str]], *, force: bool
) -> Path:
    """Where a recording made of ``sources`` will stand. A link is followed: what it points to is
    replaced, not the link.

    Raises OutputExists if it exists and not ``force``, is one of the sources, by whatever name, or
    no regular file, or if there is no such folder.
    """
    final = Path(destination).resolve()
    if final.exists() and not final.is_file():
        raise OutputExists(f"{destination}: it is no regular file; give another name")
    for source in sources:
        if final.exists() and os.path.exists(source) and os.path.samefile(final, source):
            raise OutputExists(
                f"{destination}: it is {source} itself, which stays as it is; give another name"
            )
    if final.exists() and not force:
        raise OutputExists(f"{destination}: it exists already; give another name, or --force")
    if not final.parent.is_dir():
        raise OutputExists(f"{destination}: cannot be made: there is no such folder")
    return final


@contextmanager
def rewriting(
    destination: str | os.PathLike[str],
    final: Path,
    header: Header,
    *,
    seq: int = 0,
    offset_ns: int = 0,
) -> Iterator[Rewriting]:
    """What writes the recording at ``final``, which is :func:`final_path`'s answer for
    ``destination``; ``seq`` and ``offset_ns`` as for :meth:`Writer.create`.

    *Resource handling:* it is written beside its final name and renamed when the block ends without
    an exception, so that a failure leaves nothing and takes nothing away. A file that is replaced
    leaves its permissions.

    *Error handling:* OutputExists if it cannot be made, DiskFailed if it cannot be written; both
    name the destination.
    """
    # The name keeps its suffix, which says whether to compress.
    unfinished = final.with_name(f".unfinished-{uuid.uuid4()}-{final.name}")
    try:
        writer = Writer.create(unfinished, header, seq=seq, offset_ns=offset_ns)
    except OutputExists as error:
        raise OutputExists(f"{destination}: cannot be made: {_said(error)}") from error
    except DiskFailed as error:
        unfinished.unlink(missing_ok=True)
        raise _nothing_left(destination, error) from error
    try:
        yield Rewriting(writer)
        writer.abort()
        if final.exists():
            shutil.copymode(final, unfinished)
        os.replace(unfinished, final)
    except BaseException as error:
        with contextlib.suppress(DiskFailed):
            writer.abort()
        unfinished.unlink(missing_ok=True)
        if isinstance(error, (DiskFailed, OSError)):
            raise _nothing_left(destination, error) from error
        raise


def _nothing_left(destination: str | os.PathLike[str], error: DiskFailed | OSError) -> DiskFailed:
    return DiskFailed(f"{destination}: writing failed: {_said(error)}; nothing was left of it")


def _said(error: BaseException) -> object:
    """What the system said."""
    why = error if isinstance(error, OSError) else error.__cause__
    return why.strerror if isinstance(why, OSError) else why
