"""Read the recordings that an edit takes, and write what it gives."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Final

import msgspec

from recorder.model import AnyEntry, End, Header, Note
from recorder.rewriting import final_path, rewriting
from replayer.reading.series import SeriesReader
from replayer.reading.words import printable

__all__ = ["Source", "Written", "write_edited"]


class Written(msgspec.Struct, frozen=True):
    """What came of an edit: how many entries were read, are written, and how many of these are new,
    none counting an ``end``. ``problems`` say what the sources lack, as far as they were read.
    """

    entries_in: int
    entries_out: int
    added: int
    problems: list[str]

    @property
    def left_out(self) -> int:
        """How many of those that were read are not written."""
        return max(0, self.entries_in - self.entries_out + self.added)


class Source:
    """A recording that is edited, or the parts of a series as one: a context manager.

    ``header`` is that of the first part. Raises what :class:`~replayer.reading.series.SeriesReader`
    does.
    """

    def __init__(self, paths: Sequence[str | os.PathLike[str]]) -> None:
        self.paths: Final = [os.fspath(path) for path in paths]
        self._reader = SeriesReader(self.paths)
        self.name: Final = self._reader.name
        self.header: Final[Header] = self._reader.header
        self.entries_in = 0
        """How many entries were read."""
        self.ended_ns: int | None = None
        """When what was read ended."""
        self.problems: list[str] = []
        """What it lacks; all of it once :meth:`entries` came to their end."""

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._reader.close()

    def entries(self) -> Iterator[AnyEntry]:
        """Its entries, once. Of the ``end``s of its parts, and of a recording that was gone on
        with, only the last comes, with the counts of all.

        If it is not complete, a note says so at its end, since what is made of it has an ``end``.
        """
        redaction: Counter[str] = Counter()
        end: End | None = None
        latest_ns = None if self.header.timing == "none" else 0
        for entry in self._reader:
            if type(entry) is End:
                redaction.update(entry.redaction)
                end = entry
                self.ended_ns = entry.offset_ns
                continue
            end = None
            self.ended_ns = latest_ns = entry.offset_ns
            self.entries_in += 1
            yield entry
        why = self._reader.why_incomplete
        if why is not None:
            self.problems.append(f"{self.name} is incomplete: {why}")
            yield Note(
                offset_ns=latest_ns,
                text=f"the recording that this was made of is incomplete: {printable(why)}",
            )
        if end is not None:
            yield msgspec.structs.replace(end, redaction=dict(redaction))


def write_edited(
    output: str | os.PathLike[str],
    header: Header,
    entries: Iterable[AnyEntry],
    sources: Sequence[Source],
    *,
    force: bool = False,
) -> Written:
    """Write a recording of what an edit makes of the sources, compressed if the name ends in
    ``.zst``; the ``end`` among its entries says when it ended and what was redacted.

    *Resource handling:* as :func:`recorder.rewriting.rewriting`; ``force`` lets it replace a file,
    but no source. *Error handling:* OutputExists, DiskFailed, and what ``entries`` raise.
    """
    read = [path for source in sources for path in source.paths]
    final = final_path(output, read, force=force)
    with rewriting(output, final, header) as made:
        added = 0
        for entry in entries:
            # What was read has the number that it had.
            added += entry.seq == 0
            made.write(entry)
        entries_out = made.entries
        end = made.end
        if end is None:
            made.close({})
        else:
            made.close(end.redaction, offset_ns=end.offset_ns)
    return Written(
        entries_in=sum(source.entries_in for source in sources),
        entries_out=entries_out,
        added=added - (end is not None and end.seq == 0),
        problems=[problem for source in sources for problem in source.problems],
    )
