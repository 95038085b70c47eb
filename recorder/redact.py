"""Redact a recording that exists already: recording in, recording out, in constant memory."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import msgspec

from recorder.errors import DiskFailed, OutputExists, RecordingError
from recorder.model import AnyEntry, End, Header, Redaction
from recorder.recording import Reader, Writer, encode_entry
from recorder.redaction import Redactor, highest_numbers
from recorder.redaction.options import RedactionOptions
from recorder.redaction.share import Learnt

__all__ = ["RedactSummary", "redact_recording"]


class RedactSummary(msgspec.Struct, frozen=True):
    """What was made. ``redactions`` counts what was replaced now, by rule; ``incomplete`` says why
    the result has no ``end``, None if it has one.
    """

    profile: str
    key_id: str | None
    entries: int
    redactions: dict[str, int]
    incomplete: str | None


def redact_recording(
    source: Path, destination: Path, options: RedactionOptions, *, force: bool = False
) -> RedactSummary:
    """Make a recording at ``destination`` that is ``source`` with values taken out.

    Everything else stays: the id, ``seq`` and offsets, unknown kinds and keys, the place in a
    series, but not the hash of the part before, which is that of the original. Where a body has
    grown beyond what an entry may hold, entries behind it are renumbered. A recording without a
    valid ``end`` gives one without: nothing is vouched for that was not before. With the profile
    ``share`` the source is read twice, so that a name is found in what stands before the object
    that it is learnt from.

    What was redacted by ``share`` is not moved again: with the same key only what is left is
    redacted, and the header goes on naming that profile.

    *Resource handling:* it is written beside its final name and renamed at the end, so that a
    failure leaves nothing and takes nothing away; ``force`` lets it replace an existing file.

    *Error handling:* OutputExists, also where the destination is the source, by whatever name, for
    what was taken out would be lost; CannotRead and RecordingError as of
    :class:`~recorder.recording.Reader`, the latter too if the source was redacted by ``share`` with
    another key; DiskFailed.
    """
    final = destination.resolve()
    if final.exists() and not final.is_file():
        raise OutputExists(f"{destination}: it is no regular file; give another name")
    if final.exists() and os.path.exists(source) and os.path.samefile(final, source):
        raise OutputExists(
            f"{destination}: it is {source} itself, which stays as it is; give another name"
        )
    if final.exists() and not force:
        raise OutputExists(f"{destination}: it exists already; give another name, or --force")
    if not final.parent.is_dir():
        raise OutputExists(f"{destination}: cannot be made: there is no such folder")
    with Reader(source) as reader:
        before = reader.header.redaction
        todo = _what_is_left(before, options, source)
        redactor = _prepared(source, before, todo)
        return _written(reader, redactor, _named(before, redactor), destination, final)


def _what_is_left(before: Redaction, options: RedactionOptions, source: Path) -> RedactionOptions:
    """What ``options`` still have to do."""
    if before.profile != "share" or options.profile != "share":
        return options
    key_id = None if options.key is None else options.key.id
    if key_id != before.key_id:
        raise RecordingError(
            f"{source}: it was redacted with --redact share and the key {before.key_id}, this key "
            f"is {key_id}: pseudonyms of pseudonyms would join with nothing; use that key, or "
            f"--redact secrets, or start from the original"
        )
    return msgspec.structs.replace(options, profile="secrets")


def _named(before: Redaction, redactor: Redactor) -> Redaction:
    """What the header says: the profile that takes out more, whichever came first."""
    return before if before.profile == "share" else redactor.header()


def _prepared(source: Path, before: Redaction, todo: RedactionOptions) -> Redactor:
    """A redactor that knows what only a first reading tells: names, and the numbers of marks."""
    is_share = todo.profile == "share"
    if not is_share and before.profile == "none":
        return todo.redactor()
    learnt = Learnt()
    taken: dict[str, int] = {}
    first = todo.redactor(learnt=learnt) if is_share else None
    with Reader(source) as reader:
        if first is not None:
            first.redact_header(reader.header)
        for entry in reader:
            if first is not None:
                first.feed(entry)
            if before.profile != "none":
                line = encode_entry(entry)
                if b"[redacted:" in line:
                    for rule, number in highest_numbers(line.decode()).items():
                        taken[rule] = max(taken.get(rule, 0), number)
    if first is not None:
        first.close()
    return todo.redactor(taken, learnt=learnt)


def _written(
    reader: Reader, redactor: Redactor, redaction: Redaction, destination: Path, final: Path
) -> RedactSummary:
    header = redactor.redact_header(reader.header)
    header = msgspec.structs.replace(
        header,
        redaction=msgspec.structs.replace(redaction, extra=reader.header.redaction.extra),
        # Nobody who has the redacted parts can tell the hash of an original one.
        series=header.series and msgspec.structs.replace(header.series, previous_sha256=None),
    )
    # The name keeps its suffix, which says whether to compress.
    unfinished = final.with_name(f".redacting-{uuid.uuid4()}-{final.name}")
    first = next(reader, None)
    entries = reader if first is None else chain([first], reader)
    writer = _created(unfinished, header, first, destination)
    incomplete: str | None = None
    end: End | None = None
    try:
        count = 0
        for ready in _redacted(entries, redactor):
            if type(ready) is End:
                end = ready
                continue
            if end is not None:
                _write_former_end(writer, end)
                end = None
                count += 1
            writer.write(ready)
            count += 1
        incomplete = reader.why_incomplete
        if incomplete is None and end is not None:
            counts = Counter(end.redaction) + Counter(redactor.counts)
            writer.close(counts, offset_ns=end.offset_ns)
            count += 1
        else:
            writer.abort()
        if final.exists():
            shutil.copymode(final, unfinished)
        os.replace(unfinished, final)
    except BaseException as error:
        with contextlib.suppress(DiskFailed):
            writer.abort()
        unfinished.unlink(missing_ok=True)
        if not isinstance(error, (DiskFailed, OSError)):
            raise
        why = error.__cause__ if isinstance(error, DiskFailed) else error
        said = why.strerror if isinstance(why, OSError) else why
        raise DiskFailed(
            f"{destination}: writing failed: {said}; nothing was left of it"
        ) from error
    return RedactSummary(redaction.profile, redaction.key_id, count, redactor.counts, incomplete)


def _created(unfinished: Path, header: Header, first: AnyEntry | None, destination: Path) -> Writer:
    seq = 0 if first is None else first.seq - 1
    offset_ns = 0 if first is None else first.offset_ns or 0
    try:
        return Writer.create(unfinished, header, seq=seq, offset_ns=offset_ns)
    except OutputExists as error:
        why = error.__cause__
        said = why.strerror if isinstance(why, OSError) else why
        raise OutputExists(f"{destination}: cannot be made: {said}") from error


def _write_former_end(writer: Writer, end: End) -> None:
    """Write the ``end`` of a recording that was gone on with: what follows keeps its numbers."""
    end = msgspec.structs.replace(
        end, seq=writer.seq + 1, entries=writer.entries + 1, sha256=writer.sha256
    )
    writer.write_line(encode_entry(end), end.offset_ns)


def _redacted(entries: Iterator[AnyEntry], redactor: Redactor) -> Iterator[AnyEntry]:
    for entry in entries:
        yield from redactor.feed(entry)
    yield from redactor.close()
