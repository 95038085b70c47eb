"""Redact a recording that exists already: recording in, recording out, in constant memory."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import msgspec

from recorder.errors import RecordingError
from recorder.model import AnyEntry, Redaction
from recorder.recording import Reader, encode_entry
from recorder.redaction import Redactor, highest_numbers
from recorder.redaction.options import RedactionOptions
from recorder.redaction.share import Learnt
from recorder.rewriting import final_path, rewriting

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
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    options: RedactionOptions,
    *,
    force: bool = False,
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
    final = final_path(destination, [source], force=force)
    with Reader(source) as reader:
        before = reader.header.redaction
        todo = _what_is_left(before, options, source)
        redactor = _prepared(source, before, todo)
        return _written(reader, redactor, _named(before, redactor), destination, final)


def _what_is_left(
    before: Redaction, options: RedactionOptions, source: str | os.PathLike[str]
) -> RedactionOptions:
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


def _prepared(
    source: str | os.PathLike[str], before: Redaction, todo: RedactionOptions
) -> Redactor:
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
    reader: Reader,
    redactor: Redactor,
    redaction: Redaction,
    destination: str | os.PathLike[str],
    final: Path,
) -> RedactSummary:
    header = redactor.redact_header(reader.header)
    header = msgspec.structs.replace(
        header,
        redaction=msgspec.structs.replace(redaction, extra=reader.header.redaction.extra),
        # Nobody who has the redacted parts can tell the hash of an original one.
        series=header.series and msgspec.structs.replace(header.series, previous_sha256=None),
    )
    first = next(reader, None)
    entries = reader if first is None else chain([first], reader)
    seq, offset_ns = (0, 0) if first is None else (first.seq - 1, first.offset_ns or 0)
    with rewriting(destination, final, header, seq=seq, offset_ns=offset_ns) as made:
        for ready in _redacted(entries, redactor):
            made.write(ready)
        incomplete = reader.why_incomplete
        if incomplete is None and made.end is not None:
            counts = Counter(made.end.redaction) + Counter(redactor.counts)
            made.close(counts, offset_ns=made.end.offset_ns)
        count = made.entries
    return RedactSummary(redaction.profile, redaction.key_id, count, redactor.counts, incomplete)


def _redacted(entries: Iterator[AnyEntry], redactor: Redactor) -> Iterator[AnyEntry]:
    for entry in entries:
        yield from redactor.feed(entry)
    yield from redactor.close()
