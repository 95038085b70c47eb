"""Where the frames of a server begin in bytes that have no HTTP head before them. Pure.

A frame has no magic number, so this goes by what RFC 6455 allows a server to send: no masking, no
reserved bit or opcode, lengths in their shortest form, control frames of at most 125 bytes and
unfragmented, text in UTF-8. One such frame may be chance; what must follow it is told by
:func:`begins_frame`. No printable ASCII character begins a frame, so text is not taken for one.
"""

from __future__ import annotations

import re
from typing import Final

from recorder.wire.frames import MAX_FRAME_BYTES, Frame, Opcode
from recorder.wire.json_texts import JsonText, split

__all__ = ["begins_frame", "find_frames"]

# The first two bytes of a frame that a server may send (RFC 6455 sections 5.1, 5.2 and 5.5).
_FIRST_BYTE: Final = re.compile(rb"[\x00-\x02\x80-\x82\x88-\x8a]")
_FIRST_BYTES: Final = re.compile(rb"[\x00-\x02\x80-\x82](?=[\x00-\x7f])|[\x88-\x8a](?=[\x00-\x7d])")
# Where a search may begin: not with an empty data frame, for two zero bytes look like one.
_CANDIDATE: Final = re.compile(rb"[\x00-\x02\x80-\x82](?=[\x01-\x7f])|[\x88-\x8a](?=[\x00-\x7d])")

_LOOKS_PER_BYTE: Final = 16
"""Payloads of candidates overlap. This bounds how often a byte is looked at, on any input."""


def begins_frame(window: bytes, at: int, *, is_whole: bool, certain: bool = False) -> bool:
    """Whether a server's frames begin at ``at``; ``is_whole`` if the file ends with ``window``.

    The first frame must be whole, and further it must end with the window, or hold JSON texts, or
    be followed by a second whole frame. At offset 0 a torn second frame will do, and a first one
    that is longer than the window. Where frames are ``certain`` to begin, as behind the head of a
    101, one frame will do, torn or not.
    """
    ends = _ends(window, at)
    return bool(ends) and _holds(window, at, ends, is_whole=is_whole, certain=certain)


def find_frames(window: bytes, *, is_whole: bool) -> int | None:
    """The first offset at which frames begin, or None. Its time is linear in the window's size."""
    if _is_text(window):
        return None
    budget = _LOOKS_PER_BYTE * len(window)
    for candidate in _CANDIDATE.finditer(window):
        at = candidate.start()
        ends = _ends(window, at)
        if not ends or ends[0] > len(window):
            continue
        budget -= max(end for end in ends if end <= len(window)) - at
        if budget < 0:
            return None
        if _holds(window, at, ends, is_whole=is_whole, certain=False):
            return at
    return None


def _holds(window: bytes, at: int, ends: list[int], *, is_whole: bool, certain: bool) -> bool:
    size = len(window)
    end = ends[0]
    if end > size:
        return certain or (at == 0 and not is_whole)
    if not _is_sound(window, at, end):
        return False
    if certain or end == size or _is_json(window, at, end):
        return True
    if len(ends) == 1:
        return False
    return at == 0 if ends[1] > size else _is_sound(window, end, ends[1])


def _ends(window: bytes, at: int) -> list[int]:
    """By their headers alone, the ends of the frame at ``at`` and of the next, if they are any."""
    ends: list[int] = []
    while len(ends) < 2 and at < len(window):
        end = _end(window, at)
        if end is None:
            break
        ends.append(end)
        at = end
    return ends


def _end(window: bytes, at: int) -> int | None:
    """Where a frame ends, beyond the window if torn; None if no server sends such a header."""
    torn = len(window) + 1
    if at + 1 == len(window):
        return torn if _FIRST_BYTE.match(window, at) else None
    if not _FIRST_BYTES.match(window, at):
        return None
    form = window[at + 1]
    if form < 126:
        return at + 2 + form
    body = at + (4 if form == 126 else 10)
    if body > len(window):
        return torn
    size = int.from_bytes(window[at + 2 : body], "big")
    return body + size if (126 if form == 126 else 65536) <= size <= MAX_FRAME_BYTES else None


def _payload(window: bytes, at: int, end: int) -> tuple[bytes, bytes]:
    body = at + {126: 4, 127: 10}.get(window[at + 1], 2)
    return window[at:body], window[body:end]


def _is_sound(window: bytes, at: int, end: int) -> bool:
    """Whether a whole frame's payload is what its header says."""
    head, payload = _payload(window, at, end)
    frame = Frame(head[0] & 0x0F, payload, head)
    if frame.opcode == Opcode.TEXT and frame.fin:
        return _is_text(payload, torn=False)
    return not frame.check("server")


def _is_json(window: bytes, at: int, end: int) -> bool:
    head, payload = _payload(window, at, end)
    if head[0] != 0x80 | Opcode.TEXT:
        return False
    parts = split(payload)
    return bool(parts) and all(isinstance(part, JsonText) for part in parts)


def _is_text(data: bytes, *, torn: bool = True) -> bool:
    """Whether all is UTF-8; ``torn`` if the last character may be cut."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return torn and error.reason == "unexpected end of data"
    return True
