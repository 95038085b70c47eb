"""``edit annotate``: notes, each in its place. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from recorder.model import AnyEntry, Checkpoint, End, Note

__all__ = ["annotate"]


def annotate(entries: Iterable[AnyEntry], notes: Sequence[tuple[int, str]]) -> Iterator[AnyEntry]:
    """The entries, which have times, with a ``note`` at each of these offsets, behind what stands
    at the same moment. Notes that come after the last entry lengthen the recording.

    A checkpoint that the entries begin with stays first, for it says how they began.
    """
    left = sorted(notes, key=lambda note: note[0])
    latest_ns = 0
    is_first = True
    for entry in entries:
        offset_ns = entry.offset_ns or 0
        ended = type(entry) is End
        while left and (left[0][0] < offset_ns or ended) and not _opens(entry, is_first):
            at_ns, text = left.pop(0)
            latest_ns = max(latest_ns, at_ns)
            yield Note(offset_ns=latest_ns, text=text)
        if ended:
            entry = msgspec.structs.replace(entry, offset_ns=max(latest_ns, offset_ns))
        latest_ns = max(latest_ns, offset_ns)
        is_first = False
        yield entry
    for at_ns, text in left:
        latest_ns = max(latest_ns, at_ns)
        yield Note(offset_ns=latest_ns, text=text)


def _opens(entry: AnyEntry, is_first: bool) -> bool:
    return is_first and isinstance(entry, Checkpoint)
