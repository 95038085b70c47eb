"""Bytes that cannot be read: archives, and what is no text (encrypted, packed, of a format that is
not known). Images and fonts are known, too, to be passed over.
"""

from __future__ import annotations

import re
from typing import Final

from recorder.leaks.inflating import NotLookedInto

__all__ = ["MIN_OPAQUE_BYTES", "OPAQUE", "archive_in", "harmless_kind", "opaque_in"]

MIN_OPAQUE_BYTES: Final = 64
"""Fewer bytes that are no text are counters, lengths and ids, and no finding."""

OPAQUE: Final = NotLookedInto("bytes that are no text, and of no kind that is known")

_BLOCK_BYTES: Final = 1024

# PKWARE APPNOTE 4.3.7; bzip2 (a block, or the end of an empty file); xz 2.1.1.1; 7zFormat.txt;
# RAR technote; lz4 frame format.
_ARCHIVE: Final = re.compile(
    "(?P<zip>PK\x03\x04)|(?P<bzip2>BZh[1-9](?:1AY&SY|\x17rE8P\x90))|(?P<xz>\xfd7zXZ\0)"
    "|(?P<sevenzip>7z\xbc\xaf\x27\x1c)|(?P<rar>Rar!\x1a\x07)|(?P<lz4>\x04\x22\x4d\x18)"
)
# PNG 5.2; JPEG B.1.1.3, then a marker of a segment; GIF 17; RIFF; WOFF 1 and 2, section 3 and 4.
# ICO has no magic but zeros: its first directory entry must be right as well.
_HARMLESS: Final = re.compile(
    "(?P<image>\x89PNG\r\n\x1a\n|\xff\xd8\xff[\xc0-\xfe]|GIF8[79]a|RIFF.{4}WEBP"
    "|\0\0\1\0[\x01-\x40]\0..[^\xff]\0[\0\1]\0[\x01\x04\x08\x10\x18\x20]\0)"
    "|(?P<font>wOF[F2](?:\0\1\0\0|OTTO|true))",
    re.DOTALL,
)
# Words of ASCII, as `strings` finds them, and characters of UTF-8 (RFC 3629 4).
_LEGIBLE: Final = re.compile(
    rb"[\t\n\r\x20-\x7e]{4,}+|[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}"
    rb"|[\xf0-\xf4][\x80-\xbf]{3}|\0++"
)
_NO_CONTROLS: Final = bytes(code for code in range(256) if code >= 32 and code != 127) + b"\t\n\r"


def archive_in(text: str, *, anywhere: bool) -> NotLookedInto | None:
    """The archive that begins ``text``, bytes that stand one a character, or that stands
    ``anywhere`` in it.
    """
    found = _ARCHIVE.search(text) if anywhere else _ARCHIVE.match(text)
    if found is None:
        return None
    kind = "7z" if found.lastgroup == "sevenzip" else found.lastgroup
    return NotLookedInto(f"an archive or compressed file: {kind}")


def harmless_kind(text: str) -> str | None:
    """``image`` or ``font`` if ``text``, bytes that stand one a character, begins as one."""
    found = _HARMLESS.match(text)
    return None if found is None else found.lastgroup


def opaque_in(data: bytes) -> NotLookedInto | None:
    """Whether a KiB of ``data`` is mostly no text. Zeros do not count, nor do bytes of any other
    charset of a byte a character, which has no control characters.
    """
    for start in range(0, len(data), _BLOCK_BYTES):
        block = data[start : start + _BLOCK_BYTES]
        rest = _LEGIBLE.sub(b"", block)
        if (
            len(rest) >= MIN_OPAQUE_BYTES
            and 2 * len(rest) > len(block) - block.count(0)
            and rest.translate(None, _NO_CONTROLS)
        ):
            return OPAQUE
    return None
