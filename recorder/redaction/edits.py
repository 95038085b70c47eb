"""What a profile replaces beyond secrets: edits of a text as it reads, and who makes them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

__all__ = ["Edit", "Transform"]


class Edit(NamedTuple):
    """``text[start:end]`` of the text that was asked about becomes ``text``; ``rule`` is what it is
    counted under.
    """

    start: int
    end: int
    text: str
    rule: str


class Transform(Protocol):
    """Finds what is to be replaced once the secrets are masked."""

    def edits(self, text: str) -> Sequence[Edit]:
        """The replacements of ``text``, in order, not overlapping.

        The masker asks for the edits of a text and of its views, which read with JSON escapes or
        percent escapes undone (of a form and a URL, ``+`` too). ``text`` may be JSON, a part of it,
        a form, a URL, a field of a head or a line of a log. Of two edits that meet, the one that
        starts first counts, then the longer one, then that of the view with more escapes undone.
        An edit of a value in quotes leaves the quotes out. What is put in is escaped as its view
        was; into the text itself it goes as it is.

        Equal texts must give equal edits, and what was put in must not be edited again. What stands
        wholly inside a mark stays.
        """
