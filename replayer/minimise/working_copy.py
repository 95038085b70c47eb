"""A recording, laid out so that any part of it is quickly written as a recording of its own.

Strategy: all entries are written once to a plain temporary file, and the places of their lines are
kept; whatever is to be tried is copied from there line by line, with a new ``seq``. Of a proxied
recording the client legs are kept, since they are what is played; the parts of a series become one
recording.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from array import array
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import msgspec

from recorder.errors import DiskFailed
from recorder.model import (
    AnyEntry,
    End,
    FrameEntry,
    MessageEntry,
    Open,
    UnknownEntry,
)
from recorder.recording import OsFile, Writer, decode_entry, encode_entry, with_seq
from recorder.wire.frames import Frame
from replayer.minimise.payloads import nodes_of, without
from replayer.minimise.plan import Plan, kept_units
from replayer.minimise.units import Units
from replayer.reading.legs import client_legs
from replayer.reading.series import SeriesReader

__all__ = ["WorkingCopy", "Written"]

_UNTIMED: Final = -1


class Written(msgspec.Struct, frozen=True):
    """What a recording holds: entries, its ``end`` too, data messages, bytes of lines."""

    entries: int
    messages: int
    size_bytes: int


class _Hasty(OsFile):
    """A file that is read at once and then removed: the disk is not waited for."""

    def sync(self) -> None:
        return None


class WorkingCopy:
    """The entries of ``reader``, which is read to its end, in a file in ``folder``.

    ``sha256`` is that of what was read: two recordings with the same one are tried alike. Memory:
    27 bytes an entry. Raises what reading raises, and DiskFailed.

    *Resource handling.* The file is open until :meth:`close` or the end of the ``with`` block; who
    owns the folder removes it.
    """

    def __init__(self, reader: SeriesReader, folder: Path) -> None:
        self.header: Final = reader.header
        self.units: Final = Units()
        self._starts = array("Q", [0])
        self._offsets_ns = array("q")
        self._unit_of_line = array("I")
        self._unknown: dict[int, UnknownEntry] = {}
        """The lines whose ``seq`` may stand anywhere."""
        path = folder / "whole.track.jsonl"
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            self.sha256: Final = self._fill(reader, path)
        except BaseException:
            self.close()
            raise
        self._lines_of_unit = _grouped(self._unit_of_line, len(self.units.roles))

    def __enter__(self) -> WorkingCopy:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    @property
    def size(self) -> Written:
        """What the recording holds, its upstream legs not counted."""
        return Written(
            len(self._offsets_ns) + 1,
            sum(1 for message in self.units.messages if message),
            self._starts[-1],
        )

    def _fill(self, reader: SeriesReader, path: Path) -> str:
        digest = hashlib.sha256()
        position = 0
        try:
            with open(self._descriptor, "wb", closefd=False) as file:
                for entry in client_legs(reader):
                    if isinstance(entry, End):
                        continue
                    self._unit_of_line.append(self.units.take(entry))
                    line = self._line(entry)
                    digest.update(line)
                    position += file.write(line)
                    self._starts.append(position)
                    at_ns = entry.offset_ns
                    self._offsets_ns.append(_UNTIMED if at_ns is None else at_ns)
        except OSError as exc:
            raise DiskFailed(
                f"{path}: the recording could not be copied: {exc.strerror}; make room there, or"
                " name another folder in TMPDIR"
            ) from exc
        return digest.hexdigest()

    def _line(self, entry: AnyEntry) -> bytes:
        """The entry's line, with its end, without its ``seq``."""
        if isinstance(entry, UnknownEntry):
            self._unknown[len(self._offsets_ns)] = entry
        elif isinstance(entry, Open):
            # The leg that it was paired with is left out.
            entry = msgspec.structs.replace(entry, seq=0, paired_with=None)
        else:
            entry = msgspec.structs.replace(entry, seq=0)
        return encode_entry(entry) + b"\n"

    def messages_in(self, plan: Plan) -> int:
        """How many data messages a plan keeps, of both senders."""
        return sum(1 for unit in plan.units if self.units.messages[unit])

    def payload_of(self, unit: int) -> bytes | None:
        """The text of a unit that is one message of the server and nothing else; None for any
        other.
        """
        pieces: list[bytes] = []
        for line in self._lines(unit):
            entry = self._entry(line)
            is_of_message = isinstance(entry, FrameEntry | MessageEntry) and (
                entry.sender == "server"
                and entry.opcode in (("continuation",) if pieces else ("text",))
            )
            if not is_of_message:
                return None
            assert isinstance(entry, FrameEntry | MessageEntry)
            pieces.append(entry.data)
        payload = b"".join(pieces)
        try:
            payload.decode("utf-8")
        except UnicodeDecodeError:
            return None
        return payload or None

    def write(self, plan: Plan, path: Path, *, hasty: bool, meta: Mapping[str, object]) -> Written:
        """Write what ``plan`` keeps as a recording, compressed if the name says so; ``meta`` is
        what its header says beside what it said before. ``hasty``: it need not survive a crash.

        Raises OutputExists and DiskFailed as :class:`~recorder.recording.Writer` does.
        """
        shown = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in meta.items()}
        header = msgspec.structs.replace(
            self.header,
            id=str(uuid.uuid4()),
            tool=f"tracktape {version('tracktape')}",
            mode="edit",
            series=None,
            meta={**self.header.meta, **shown},
        )
        kept = kept_units(self.units, plan)
        units = self._unit_of_line
        timed = self.header.timing != "none"
        with Writer.create(
            path, header, durable=not hasty, file_of=_Hasty if hasty else OsFile
        ) as writer:
            for line, at_ns in enumerate(self._offsets_ns):
                unit = units[line]
                if not kept[unit]:
                    continue
                data = self._written(line, writer.seq + 1, plan.cuts.get(unit))
                if data is not None:
                    writer.write_line(data, at_ns if timed else None)
        return Written(
            writer.entries,
            self.messages_in(plan),
            writer.size_bytes,
        )

    def _written(self, line: int, seq: int, cut: frozenset[int] | None) -> bytes | None:
        """A line as it stands in a recording; None for one that is part of the next one now."""
        unknown = self._unknown.get(line)
        if unknown is not None:
            return encode_entry(with_seq(unknown, seq))
        if cut:
            unit = self._unit_of_line[line]
            lines = self._lines(unit)
            return encode_entry(self._cut(unit, cut, seq)) if line == lines[-1] else None
        kind, _, rest = self._read(line).partition(b",")
        return b'%b,"seq":%d,%b' % (kind, seq, rest)

    def _cut(self, unit: int, cut: frozenset[int], seq: int) -> FrameEntry | MessageEntry:
        """The message without some of its parts: one frame, where its last one was."""
        payload = self.payload_of(unit)
        assert payload is not None
        text = without(payload, nodes_of(payload), cut)
        lines = self._lines(unit)
        first, last = self._entry(lines[0]), self._entry(lines[-1])
        assert isinstance(last, FrameEntry | MessageEntry)
        changes: dict[str, Any] = {"seq": seq, "text": text.decode("utf-8"), "base64": None}
        if isinstance(first, FrameEntry):
            before = first.frame()
            made = Frame.make(before.opcode, text, rsv=before.rsv)
            changes |= {"fin": True, "opcode": first.opcode, "head": made.head.hex()}
        return msgspec.structs.replace(last, **changes)

    def _lines(self, unit: int) -> array[int]:
        starts, lines = self._lines_of_unit
        return lines[starts[unit] : starts[unit + 1]]

    def _entry(self, line: int) -> AnyEntry:
        if (unknown := self._unknown.get(line)) is not None:
            return unknown
        kind, _, rest = self._read(line).partition(b",")
        return decode_entry(b'%b,"seq":0,%b' % (kind, rest), where=f"entry {line + 1}")

    def _read(self, line: int) -> bytes:
        start = self._starts[line]
        return os.pread(self._descriptor, self._starts[line + 1] - start - 1, start)


def _grouped(unit_of_line: array[int], units: int) -> tuple[array[int], array[int]]:
    """Where the lines of each unit begin in the second array, and all lines, unit by unit."""
    starts = array("I", bytes(4 * (units + 1)))
    for unit in unit_of_line:
        starts[unit + 1] += 1
    for unit in range(units):
        starts[unit + 1] += starts[unit]
    lines = array("I", bytes(4 * len(unit_of_line)))
    nexts = starts[:]
    for line, unit in enumerate(unit_of_line):
        lines[nexts[unit]] = line
        nexts[unit] += 1
    return starts, lines
