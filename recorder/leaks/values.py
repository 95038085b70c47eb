"""Known secrets, looked for by their value: from the environment, a user file, a file of values.

A value is looked for as it is, in base64 at each of the three places that it may begin at, in hex
and, inside bytes, masked as a client's frame is. What else it may be wrapped in
:mod:`recorder.leaks.layers` undoes.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, NamedTuple

from recorder.errors import CannotRead
from recorder.leaks.formats import Hit

__all__ = [
    "MIN_VALUE_CHARS",
    "KnownValue",
    "LeftOut",
    "Patterns",
    "Values",
    "read_lines",
    "values_of_environment",
]

MIN_VALUE_CHARS: Final = 6
"""A shorter value stands in too much by chance."""

_MIN_MASKED_BYTES: Final = 10
_MIN_BASE64_CHARS: Final = 6
_MIN_LINE_CHARS: Final = 16

_TELLING: Final = re.compile(
    r"PASSWORD|PASSWD|SECRET|TOKEN|KEY|CREDENTIAL|AUTH|COOKIE|SESSION|EMAIL|\ATRACK_"
)
_DESKTOP: Final = re.compile(
    r"XDG_SESSION|DESKTOP_SESSION|GDMSESSION|SESSION_MANAGER|TERM_SESSION|KEYBOARD|KEYMAP|AUTHOR\b"
    r"|AUTHOR_NAME|_SOCK\b|XAUTHORITY"
)
_HARMLESS_WORD: Final = re.compile(
    r"(?:true|false|yes|no|on|off|none|null|default|enabled|disabled|required|optional|always|never"
    r"|localhost)",
    re.IGNORECASE,
)
_NUMBER: Final = re.compile(r"[-+]?[0-9][0-9.,:]*")
_PATH: Final = re.compile(r"(?:/|~/|\.{1,2}/|[A-Za-z]:\\)[^\r\n]*")
_URL: Final = re.compile(
    r"[a-z][a-z0-9+.-]*://(?P<authority>[^\s/?#]*)(?P<rest>\S*)", re.IGNORECASE
)


class LeftOut(NamedTuple):
    """A value that is not looked for: where it came from, and why not."""

    name: str
    why: str


class KnownValue(NamedTuple):
    """A secret, and where it came from: a variable, or a file and line."""

    name: str
    value: str

    def __repr__(self) -> str:
        return f"KnownValue(name={self.name!r}, value=…)"


class _Needle(NamedTuple):
    text: str
    known: KnownValue
    undone: tuple[str, ...]


class Values:
    """What to look for. ``names`` says of how many sources; values never show."""

    def __init__(self, known: Iterable[KnownValue] = ()) -> None:
        self.names: list[str] = []
        self.left_out: list[LeftOut] = []
        self._needles: dict[str, _Needle] = {}
        self._masked: list[tuple[bytes, KnownValue]] = []
        for one in known:
            self._add(one)

    def _add(self, known: KnownValue) -> None:
        if len(known.value) < MIN_VALUE_CHARS:
            self.left_out.append(LeftOut(known.name, f"shorter than {MIN_VALUE_CHARS} characters"))
            return
        self.names.append(known.name)
        for needle in _needles(known):
            self._needles.setdefault(needle.text, needle)
        data = known.value.encode("utf-8", "surrogateescape")
        if len(data) >= _MIN_MASKED_BYTES:
            self._masked.append((_unkeyed(data), known))

    def hits(self, text: str) -> Iterator[tuple[Hit, tuple[str, ...]]]:
        """Which of the values stand in ``text``, and what they are wrapped in there."""
        for needle in self._needles.values():
            if needle.text in text:
                yield _hit(needle.known), needle.undone

    def masked_hits(self, data: bytes) -> Iterator[tuple[Hit, tuple[str, ...]]]:
        """Which of the values stand in ``data`` masked with any key of four bytes (RFC 6455 5.3).

        Of bytes that are four apart the key is the same, so what they differ in does not depend on
        it.
        """
        if self._masked and len(data) > 4:
            differences = _unkeyed(data)
            for needle, known in self._masked:
                if needle in differences:
                    yield _hit(known), ("masked",)


def _hit(known: KnownValue) -> Hit:
    return Hit("value", known.value, f"the value of {known.name}")


def _unkeyed(data: bytes) -> bytes:
    size = len(data) - 4
    difference = int.from_bytes(data[:-4], "big") ^ int.from_bytes(data[4:], "big")
    return difference.to_bytes(size, "big")


def _needles(known: KnownValue) -> Iterator[_Needle]:
    value = known.value
    yield _Needle(value, known, ())
    # In a form a space is `+`.
    yield _Needle(value.replace(" ", "+"), known, ())
    spellings = [value.encode("utf-8", "surrogateescape")]
    if not value.isascii():
        # Bytes that are no UTF-8 are read one a character.
        yield _Needle(spellings[0].decode("iso-8859-1"), known, ())
        if all(char < "\u0100" for char in value):
            spellings.append(value.encode("iso-8859-1"))
    for data in spellings:
        for text in _base64_spellings(data):
            yield _Needle(text, known, ("base64",))
        for text in (data.hex(), data.hex().upper()):
            yield _Needle(text, known, ("hex",))
    lines = [line.strip() for line in value.splitlines()]
    if len(lines) > 1:
        # A key in several lines may stand in them otherwise than in the environment.
        for line in lines:
            if len(line) >= _MIN_LINE_CHARS and not line.startswith("-----"):
                yield _Needle(line, known, ())


def _base64_spellings(data: bytes) -> Iterator[str]:
    """What is the same in base64 of anything that holds ``data``, for each place in a group of
    three that it may begin at, in both alphabets of RFC 4648.
    """
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + data).decode("ascii").rstrip("=")
        # A character that holds bits of what stands before or behind is left out.
        start = -(-before * 8 // 6)
        end = (before + len(data)) * 8 // 6
        core = encoded[start:end]
        if len(core) >= _MIN_BASE64_CHARS:
            yield core
            yield core.replace("+", "-").replace("/", "_")


def values_of_environment(
    environment: Mapping[str, str],
) -> tuple[list[KnownValue], list[LeftOut]]:
    """The values of variables whose names tell of a credential, or begin with ``TRACK_``; and those
    that are left out because they would stand in any recording, or are none.
    """
    known, left_out = [], []
    for name, value in sorted(environment.items()):
        if not _TELLING.search(name.upper()) or not value:
            continue
        why = _why_harmless(name.upper(), value)
        if why is None:
            known.append(KnownValue(name, value))
        else:
            left_out.append(LeftOut(name, why))
    return known, left_out


def _why_harmless(name: str, value: str) -> str | None:
    if _DESKTOP.search(name):
        return "its name tells of a desktop or an author, not of a credential"
    if _HARMLESS_WORD.fullmatch(value):
        return "a common word"
    if _NUMBER.fullmatch(value) and "PASS" not in name:
        return "a number"
    if _PATH.fullmatch(value):
        return "a path"
    if (url := _URL.fullmatch(value)) is not None:
        # An address without credentials stands in every recording.
        if "@" not in url["authority"] and "?" not in url["rest"]:
            return "a URL without credentials"
        return None
    return None


def read_lines(path: Path, *, what: str) -> list[tuple[int, str]]:
    """The lines of a file of values, with their numbers; empty ones and those that begin with ``#``
    left out. Raises CannotRead, which names ``what`` the file is.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise CannotRead(f"{path}: cannot read the {what}: {reason}") from error
    lines = [(number, line.rstrip("\r")) for number, line in enumerate(text.split("\n"), 1)]
    return [(number, line) for number, line in lines if line.strip() and not line.startswith("#")]


class Patterns:
    """Values that are known to be harmless: as they stand, or with ``*`` for anything."""

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        patterns = list(patterns)
        self._exact = frozenset(one for one in patterns if "*" not in one)
        self._wild = [_escaped(one) for one in patterns if "*" in one]

    def allow(self, value: str) -> bool:
        """Whether ``value`` is one of them."""
        return value in self._exact or any(fnmatchcase(value, one) for one in self._wild)


def _escaped(pattern: str) -> str:
    # Of what fnmatch knows only `*` is meant.
    return re.sub(r"[?\[]", lambda found: f"[{found[0]}]", pattern)
