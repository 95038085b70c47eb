"""Edits that were found in several ways, made one list."""

from __future__ import annotations

from collections.abc import Iterable

from recorder.redaction.edits import Edit

__all__ = ["in_order"]


def in_order(*found: Iterable[Edit]) -> list[Edit]:
    """All edits in order, none overlapping another.

    What is inside another edit is left out, so that nothing of a wider value stays; of one that
    reaches beyond, that part is left. Of two at the same place the one of the earlier list is kept.
    """
    edits = [edit for one in found for edit in one]
    if len(edits) < 2:
        return edits
    # Sorting is stable: the order of the lists decides what the key does not.
    edits.sort(key=lambda edit: (edit.start, -edit.end))
    chosen: list[Edit] = []
    position = 0
    for edit in edits:
        if edit.start >= position:
            chosen.append(edit)
            position = edit.end
        elif edit.end > position:
            chosen.append(edit._replace(start=position))
            position = edit.end
    return chosen
