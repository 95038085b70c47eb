"""``edit cut``: what stands between two moments. Pure.

What was open when the cut begins stands in a checkpoint, as in a further part of a series: so the
cut plays and conforms by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from recorder.checkpoint import SoFar
from recorder.model import AnyEntry, Checkpoint, End
from replayer.editing.moving import retimed

__all__ = ["cut"]


def cut(
    entries: Iterable[AnyEntry],
    *,
    from_ns: int = 0,
    to_ns: int | None = None,
    keep_start: bool = False,
) -> Iterator[AnyEntry]:
    """The entries at ``from_ns`` or later and before ``to_ns``, so that cuts that meet share none.

    Their times count from ``from_ns`` then, unless ``keep_start``. If anything stands before it, a
    checkpoint says what that amounts to: :class:`~recorder.checkpoint.SoFar`, whose memory this
    takes. The ``end`` comes with the moment of the cut's end, and without counts: nobody can tell
    which of what was redacted is left. ``entries`` have times, and are read no further than needed.
    """
    moved_ns = 0 if keep_start else from_ns
    before: SoFar | None = None
    ended_ns = from_ns
    begun = False
    for entry in entries:
        offset_ns = entry.offset_ns or 0
        if to_ns is not None and offset_ns >= to_ns:
            ended_ns = to_ns
            break
        if type(entry) is End:
            ended_ns = max(from_ns, offset_ns)
            break
        if offset_ns < from_ns:
            before = before or SoFar()
            before.feed(entry)
            continue
        if not begun and before is not None and not isinstance(entry, Checkpoint):
            yield _earlier(before.checkpoint(from_ns), moved_ns)
        begun = True
        before = None
        ended_ns = offset_ns
        yield _earlier(entry, moved_ns)
    if before is not None:
        yield _earlier(before.checkpoint(from_ns), moved_ns)
    yield End(offset_ns=ended_ns - moved_ns, entries=0, redaction={}, sha256="")


def _earlier(entry: AnyEntry, by_ns: int) -> AnyEntry:
    return retimed(entry, lambda ns: ns - by_ns) if by_ns else entry
