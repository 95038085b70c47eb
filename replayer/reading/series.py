"""The parts of a series as one recording, or any recording alone.

A rotated recording is several files, and each further one begins with a checkpoint of all that was
open, so that it can be read alone. Read as one, those checkpoints say nothing new and are left out:
what comes is what would stand in the recording without rotation. Where something is missing between
two parts, the checkpoint stays, for it says how things stand behind the gap.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from types import TracebackType
from typing import Final, Protocol, Self

from recorder.errors import CannotRead, RecordingError
from recorder.model import AnyEntry, Checkpoint, End, FrameEntry, Header, Note, Open, Resume
from recorder.recording import Reader, Torn
from recorder.recording.zstd_frames import is_zstd

__all__ = ["PartReader", "SeriesReader"]


class PartReader(Protocol):
    """What is needed of whoever reads one file; see :class:`~recorder.recording.Reader`."""

    @property
    def name(self) -> str: ...

    @property
    def header(self) -> Header: ...

    @property
    def torn(self) -> Torn | None: ...

    @property
    def why_incomplete(self) -> str | None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def __iter__(self) -> Iterator[AnyEntry]: ...

    def __next__(self) -> AnyEntry: ...


class SeriesReader:
    """The entries of the parts of one series at ``paths``, whatever their order there, or those of
    a single recording: a context manager, and an iterator for one pass.

    The headers are read at once, and the files one after the other. ``header`` is that of the first
    part. With ``verify`` each file's sha256 is taken while it is read; see
    :class:`~recorder.recording.Reader`. Raises RecordingError if several files are not parts of one
    series, or one stands there twice, and what :class:`~recorder.recording.Reader` raises.

    Missing parts, and parts that do not fit together, are no error: each is said in ``problems``
    when it is found. Where entries are missing a note says so in its place; its ``seq`` is 0, as it
    stands in no file.

    *Resource handling.* One file at a time is open, until :meth:`close` or the end of the ``with``
    block.
    """

    def __init__(self, paths: Sequence[str | os.PathLike[str]], *, verify: bool = False) -> None:
        if not paths:
            raise ValueError("there is nothing to read without a path")
        self._verify = False
        headers = {}
        for path in paths:
            with self._open(os.fspath(path)) as part:
                headers[part.name] = part.header
        if len(headers) > 1 or len(paths) > 1:
            _check_together(headers, [os.fspath(path) for path in paths])
            headers = dict(sorted(headers.items(), key=lambda one: _part_of(one[1])))
        self.names: Final = list(headers)
        """The files, in their order in the series."""
        self.name: Final = (
            self.names[0] if len(self.names) == 1 else f"{self.names[0]} to {self.names[-1]}"
        )
        self.header: Final = headers[self.names[0]]
        self.problems: list[str] = []
        """What does not fit together, as far as it was read."""
        self._readers: list[PartReader] = []
        self._verify = verify
        self._entries = self._read()

    def __enter__(self) -> SeriesReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. May be called twice."""
        self._entries.close()

    def __iter__(self) -> Iterator[AnyEntry]:
        return self._entries

    def __next__(self) -> AnyEntry:
        return next(self._entries)

    @property
    def torn(self) -> Torn | None:
        """What is torn at the end of the last part, once that is reached."""
        return self._readers[-1].torn if self._readers else None

    @property
    def remarks(self) -> list[str]:
        """What does not fit together, and what is torn at the end, as far as it was read: a
        sentence each, not yet made printable."""
        torn = [] if self.torn is None else [_torn(self.names[-1], self.torn)]
        return [*self.problems, *torn]

    @property
    def why_incomplete(self) -> str | None:
        """What keeps the recording, or any of its parts, from being complete; None if nothing does.
        To be asked after the last entry; reads all once more, as
        :attr:`~recorder.recording.Reader.why_incomplete` does.
        """
        if len(self.names) == 1:
            return self._readers[0].why_incomplete if self._readers else "it was not read"
        found = list(self.problems)
        found += [
            f"{reader.name}: {why}"
            for reader in self._readers
            if (why := reader.why_incomplete) is not None
        ]
        return "; ".join(found) or None

    def seek(self, offset_ns: int, *, only_parts: bool = False) -> None:
        """Go on at the first entry whose offset is ``offset_ns`` or later, or shortly before it.

        Parts that end before are passed over. A compressed one is entered by its index, unless
        ``only_parts`` are to be passed over: then what stood open and what was told before is not
        known, and frames of messages that were begun before are left out, as nobody could join
        them. A plain part is read from its start, behind the checkpoint that it begins with.

        Raises ValueError if the recording has no timing, and what iteration raises.
        """
        if self.header.timing == "none":
            raise ValueError(f"{self.name} has no timing to seek by")
        self._entries.close()
        self._readers.clear()
        self.problems.clear()
        first = 0
        for number in range(1, len(self.names)):
            with self._open(self.names[number]) as part:
                entry = next(iter(part), None)
            if entry is not None and (entry.offset_ns or 0) >= offset_ns:
                break
            if entry is not None:
                first = number
        by_index = not only_parts and _is_compressed(self.names[first])
        self._entries = self._read(first, offset_ns if by_index else None)

    def _open(self, name: str) -> PartReader:
        return Reader(name, verify=self._verify)

    def _read(self, number: int = 0, from_ns: int | None = None) -> Generator[AnyEntry, None, None]:
        """The entries from that part on, there from the index point before ``from_ns``."""
        last: AnyEntry | None = None
        before: PartReader | None = None
        # What follows a recording finds further parts while it reads.
        while number < len(self.names):
            with self._open(self.names[number]) as reader:
                self._readers.append(reader)
                entries: Iterator[AnyEntry] = iter(reader)
                if from_ns is not None:
                    assert isinstance(reader, Reader)
                    reader.seek(from_ns)
                    entries = _joinable(iter(reader))
                    from_ns = None
                first = next(entries, None)
                if first is not None:
                    if before is None:
                        yield first
                    elif (gap := self._gap(before, last, reader, first)) is not None:
                        # The moment from which on something is missing.
                        yield Note(offset_ns=(last or first).offset_ns, text=gap)
                        yield first
                    elif not isinstance(first, Checkpoint):
                        yield first
                    last = first
                for last in entries:
                    yield last
                before = reader
            number += 1

    def _gap(
        self, before: PartReader, last: AnyEntry | None, after: PartReader, first: AnyEntry
    ) -> str | None:
        """What is missing between two parts, in words; None if nothing is. Both are checked."""
        if before.torn is not None:
            self.problems.append(_torn(before.name, before.torn))
        missing = range(_part_of(before.header) + 1, _part_of(after.header))
        if missing:
            parts = f"part {missing[0]}" if len(missing) == 1 else _span(missing)
            gap = f"{parts} of the series {'is' if len(missing) == 1 else 'are'} missing"
            self.problems.append(f"{gap}, between {before.name} and {after.name}")
            return gap
        expected = after.header.series.previous_sha256 if after.header.series else None
        if isinstance(last, End) and expected is not None and last.sha256 != expected:
            self.problems.append(
                f"{after.name} goes on from a part whose sha256 is another than that of"
                f" {before.name}: one of them was changed after it was recorded"
            )
        if last is None:
            return None
        # A recorder that died between two parts left the first one without its `end`.
        if first.seq == last.seq + (1 if isinstance(last, End) else 2):
            return None
        self.problems.append(
            f"{before.name} ends with entry {last.seq}, and {after.name} begins with {first.seq}:"
            f" expected {last.seq + 1}"
        )
        if first.seq <= last.seq:
            return f"the series begins anew with entry {first.seq}"
        return f"entries {last.seq + 1} to {first.seq - 1} of the series are missing"


def _torn(name: str, torn: Torn) -> str:
    lost = "1 byte" if torn.bytes_lost == 1 else f"{torn.bytes_lost} bytes"
    return f"{name} is torn: {lost} at its end could not be read ({torn.why})"


def _joinable(entries: Iterator[AnyEntry]) -> Iterator[AnyEntry]:
    """The entries of a recording from its middle on, without the frames that go on with a message
    whose start stands before."""
    whole: set[tuple[int, str]] = set()
    opened: set[int] = set()
    for entry in entries:
        match entry:
            case FrameEntry(opcode="continuation") if (
                entry.connection not in opened and (entry.connection, entry.sender) not in whole
            ):
                if entry.fin:
                    whole.add((entry.connection, entry.sender))
                continue
            case FrameEntry(opcode="close" | "ping" | "pong"):
                # Between the frames of a message (RFC 6455 section 5.4): it says nothing of one.
                pass
            case FrameEntry():
                whole.add((entry.connection, entry.sender))
            case Open():
                opened.add(entry.connection)
            case Checkpoint() | Resume():
                # From here on it is known what is open.
                yield entry
                yield from entries
                return
        yield entry


def _is_compressed(name: str) -> bool:
    try:
        with open(name, "rb") as file:
            return is_zstd(file.read(4))
    except OSError as exc:
        raise CannotRead(f"{name} cannot be opened: {exc.strerror}") from exc


def _part_of(header: Header) -> int:
    return header.series.part if header.series is not None else 0


def _span(numbers: range) -> str:
    return f"parts {numbers[0]} to {numbers[-1]}"


def _check_together(headers: dict[str, Header], names: list[str]) -> None:
    """Whether these are parts of one series. Raises RecordingError."""
    first = headers[names[0]]
    by_part: dict[int, str] = {}
    for name in names:
        header = headers[name]
        if header.series is None:
            raise RecordingError(
                f"{name} is no part of a series: expected the parts of one, as a recorder writes"
                " them that rotates; read it alone"
            )
        assert first.series is not None
        if (header.series.id, header.started_at, header.timing) != (
            first.series.id,
            first.started_at,
            first.timing,
        ):
            raise RecordingError(
                f"{name} is part of another series than {names[0]}; read each series alone"
            )
        other = by_part.setdefault(header.series.part, name)
        if other != name or names.count(name) > 1:
            raise RecordingError(
                f"{name} and {other} are both part {header.series.part} of their series; name each"
                " part once"
            )
