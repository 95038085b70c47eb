"""Format version 1: one line of a recording to one value of :mod:`recorder.model`, and back. Pure.

Strategy: almost every line is of a known kind with known keys, so one prebuilt decoder tries it
first. What it refuses is split into its members by the JSON scanner of the standard library, which
takes what msgspec does not (``NaN``, lone surrogates) and tells where each value stands: unknown
keys are kept as the text that stood there, an unknown kind is kept as its line, and what is left
decides the error.

An error names file and line, what was expected and what was found; it never shows a value, which
may be a secret. Of a key that stands twice in a line the last one counts.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from typing import Any, Final, TypeVar, get_args

import msgspec

from recorder.errors import CorruptRecording, RecordingError, UnsupportedVersion
from recorder.model import (
    EXTRA_KEY,
    Body,
    Bytes,
    Checkpoint,
    FrameEntry,
    Header,
    KnownEntry,
    MessageEntry,
    Redaction,
    Resume,
    Series,
    UnknownEntry,
)
from recorder.wire.frames import Opcode

__all__ = [
    "VERSION",
    "decode_entry",
    "decode_header",
    "decode_quickly",
    "encode_entry",
    "encode_header",
    "member_spans",
    "with_seq",
]

VERSION: Final = 1

_T = TypeVar("_T")
_E = TypeVar("_E", bound="KnownEntry | UnknownEntry")


class _Common(msgspec.Struct):
    """What every line of any kind has."""

    kind: str
    seq: int
    offset_ns: int | None


class _Opening(msgspec.Struct):
    """What the first line of any version has."""

    kind: str = ""
    format: str = ""
    version: int = 0


def _key_names(struct: type[msgspec.Struct]) -> frozenset[str]:
    names = {field.encode_name for field in msgspec.structs.fields(struct)}
    return frozenset(names - {EXTRA_KEY} | {"kind"})


_ENTRY_DECODER: Final = msgspec.json.Decoder(KnownEntry)
_HEADER_DECODER: Final = msgspec.json.Decoder(Header)
_COMMON_DECODER: Final = msgspec.json.Decoder(_Common)
_OPENING_DECODER: Final = msgspec.json.Decoder(_Opening)
_ENCODER: Final = msgspec.json.Encoder()
_KEYS: Final = {struct.kind: _key_names(struct) for struct in get_args(KnownEntry)}
_COMMON_KEYS: Final[tuple[str, ...]] = ("kind", "seq", "offset_ns")
_HEADER_KEYS: Final = _key_names(Header)

# The scanner must not read numbers: only where they end is wanted, and int() refuses very long
# ones.
_scan: Final = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str).raw_decode
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_NESTED: Final[dict[str, type[msgspec.Struct]]] = {"redaction": Redaction, "series": Series}


def decode_entry(line: bytes, *, where: str) -> KnownEntry | UnknownEntry:
    """The entry that ``line`` holds, given without its line end.

    ``where`` is the file and line that errors begin with, such as ``REC:17``. Raises
    CorruptRecording, nothing else.
    """
    return decode_quickly(line) or _decode_slowly(line, where)


def decode_quickly(line: bytes) -> KnownEntry | None:
    """The entry of a sound line with known keys only; None for any other, which is then
    :func:`decode_entry`'s to judge. (It is for the loop of a reader: building ``where`` for every
    line costs as much as splitting them.)
    """
    try:
        entry: KnownEntry = _ENTRY_DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    # A member of the name EXTRA_KEY was taken for the field `extra`. An empty one leaves no trace
    # there, but for the first byte of its name.
    if entry.extra or (0xEF in line and EXTRA_KEY.encode() in line):
        return None
    check = _CHECKS.get(type(entry))
    return entry if check is None or check(entry, line) is None else None


def decode_header(line: bytes, *, where: str) -> Header:
    """The header that ``line``, the first of a file, holds.

    Raises UnsupportedVersion if a newer tool wrote it, CorruptRecording if it is no header of
    version 1, and RecordingError if it is none at all.
    """
    members = _members_or_raise(line, where)
    try:
        opening = _OPENING_DECODER.decode(
            _join(
                {name: members[name] for name in ("kind", "format", "version") if name in members}
            )
        )
    except msgspec.DecodeError:
        opening = _Opening()
    if (opening.kind, opening.format) != ("header", "track-recording"):
        raise RecordingError(
            f"{where}: expected the header of a recording, found something else: "
            f"is this the file you meant?"
        )
    if opening.version > VERSION:
        raise UnsupportedVersion(
            f"{where}: format version {opening.version} is newer than {VERSION}, the highest that "
            f"this tracktape reads; a newer tracktape reads it"
        )
    if opening.version != VERSION:
        raise CorruptRecording(
            f"{where}: expected format version {VERSION}, found another; it cannot be read"
        )
    known = {name: value for name, value in members.items() if name in _HEADER_KEYS}
    header = _decode(_HEADER_DECODER, _join(known), where)
    changes: dict[str, Any] = {"extra": _others(members, _HEADER_KEYS)}
    for name, struct in _NESTED.items():
        value = getattr(header, name)
        if value is not None:
            others = _others(_members_or_raise(members[name].encode(), where), _key_names(struct))
            changes[name] = msgspec.structs.replace(value, extra=others)
    return msgspec.structs.replace(header, **changes)


def encode_entry(entry: KnownEntry | UnknownEntry) -> bytes:
    """The line of ``entry``, without a line end. ValueError if a string holds a lone surrogate, or
    ``extra`` a known key.
    """
    if isinstance(entry, UnknownEntry):
        return entry.line
    if not entry.extra:
        line = _ENCODER.encode(entry)
        # Raw JSON may have been laid out over several lines: a line break outside a string is white
        # space.
        return line.replace(b"\n", b" ") if type(entry) is Checkpoint else line
    line = _ENCODER.encode(msgspec.structs.replace(entry, extra={}))
    return _with_members(line, entry.extra, _KEYS[entry.kind])


def encode_header(header: Header) -> bytes:
    """The line of ``header``, without a line end. ValueError as in :func:`encode_entry`."""
    members = {"kind": "header", **_shown(header)}
    for name, struct in _NESTED.items():
        value = getattr(header, name)
        if value is not None:
            line = _ENCODER.encode(_shown(value))
            members[name] = msgspec.Raw(_with_members(line, value.extra, _key_names(struct)))
    return _with_members(_ENCODER.encode(members), header.extra, _HEADER_KEYS)


def _shown(value: Header | msgspec.Struct) -> dict[str, Any]:
    """The members of a Struct that shows its defaults, without `extra`."""
    return {name: getattr(value, name) for name in value.__struct_fields__ if name != "extra"}


def with_seq(entry: _E, seq: int) -> _E:
    """``entry`` with another ``seq``; in an unknown kind's line only that number is changed."""
    if not isinstance(entry, UnknownEntry):
        return msgspec.structs.replace(entry, seq=seq)
    text = entry.line.decode("utf-8")
    spans = [(start, end) for name, start, end in member_spans(text) if name == "seq"]
    for start, end in reversed(spans):
        text = f"{text[:start]}{seq}{text[end:]}"
    return msgspec.structs.replace(entry, seq=seq, line=text.encode("utf-8"))


def _decode_slowly(line: bytes, where: str) -> KnownEntry | UnknownEntry:
    members = _members_or_raise(line, where)
    common = {name: members[name] for name in _COMMON_KEYS if name in members}
    found = _decode(_COMMON_DECODER, _join(common), where)
    if found.kind == "header":
        raise CorruptRecording(
            f"{where}: expected an entry, found a second header: were two recordings joined?"
        )
    keys = _KEYS.get(found.kind)
    if keys is None:
        return UnknownEntry(kind=found.kind, seq=found.seq, offset_ns=found.offset_ns, line=line)
    known = _join({name: value for name, value in members.items() if name in keys})
    entry: KnownEntry = _decode(_ENTRY_DECODER, known, where)
    check = _CHECKS.get(type(entry))
    problem = check and check(entry, known)
    if problem is not None:
        raise CorruptRecording(
            f"{where}: expected a sound `{entry.kind}`, found {problem}; {_ADVICE}"
        )
    return msgspec.structs.replace(entry, extra=_others(members, keys))


def member_spans(text: str) -> list[tuple[str, int, int]]:
    """Name, and start and end of the value, of each member of the JSON object that ``text`` is: in
    characters, in its order, a name that stands twice twice. Takes what the JSON scanner of the
    standard library does. Raises ValueError, or RecursionError.
    """
    members: list[tuple[str, int, int]] = []
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        raise json.JSONDecodeError("expected an object", text, at)
    at = _skip(text, at + 1)
    if text[at : at + 1] == "}":
        at += 1
    else:
        at -= 1
        while True:
            at = _skip(text, at + 1)
            if text[at : at + 1] != '"':
                raise json.JSONDecodeError("expected a name", text, at)
            name, at = _scan(text, at)
            at = _skip(text, at)
            if text[at : at + 1] != ":":
                raise json.JSONDecodeError("expected ':'", text, at)
            start = _skip(text, at + 1)
            at = _scan(text, start)[1]
            members.append((name, start, at))
            at = _skip(text, at)
            if text[at : at + 1] != ",":
                break
        if text[at : at + 1] != "}":
            raise json.JSONDecodeError("expected ',' or '}'", text, at)
        at += 1
    if _skip(text, at) != len(text):
        raise json.JSONDecodeError("expected the end of the line", text, at)
    return members


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _members_or_raise(line: bytes, where: str) -> dict[str, str]:
    """The members of a line, each value as the text that stood there. Raises CorruptRecording."""
    try:
        text = line.decode("utf-8")
        return {name: text[start:end] for name, start, end in member_spans(text)}
    except UnicodeDecodeError as exc:
        found = f"a byte that is no UTF-8, at {exc.start}"
    except json.JSONDecodeError as exc:
        found = f"none at character {exc.pos} of {len(exc.doc)} ({exc.msg})"
    except RecursionError:
        found = "one nested too deeply"
    raise CorruptRecording(f"{where}: expected a JSON object in one line, found {found}; {_ADVICE}")


def _join(members: dict[str, str]) -> bytes:
    return (
        "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in members.items()) + "}"
    ).encode()


def _others(members: dict[str, str], keys: frozenset[str]) -> dict[str, msgspec.Raw]:
    return {
        name: msgspec.Raw(value.encode()) for name, value in members.items() if name not in keys
    }


def _with_members(line: bytes, extra: dict[str, msgspec.Raw], keys: frozenset[str]) -> bytes:
    if not extra:
        return line
    if taken := keys & extra.keys():
        raise ValueError(f"{', '.join(sorted(taken))}: known keys cannot stand in `extra`")
    pieces = [line[:-1]]
    for name, value in extra.items():
        pieces += b",", _encode_name(name), b":", bytes(value)
    return b"".join(pieces).replace(b"\n", b" ") + b"}"


def _encode_name(name: str) -> bytes:
    try:
        return _ENCODER.encode(name)
    except UnicodeEncodeError:
        # A lone surrogate can only stand as an escape.
        return json.dumps(name).encode("ascii")


_ADVICE: Final = "`track-replayer edit cut --to TIME` keeps what stands before it"


def _decode(decoder: msgspec.json.Decoder[_T], line: bytes, where: str) -> _T:
    try:
        return decoder.decode(line)
    except msgspec.ValidationError as exc:
        # msgspec quotes a value where one of a list was expected.
        problem = re.sub(r' ([\'"]).*\1(?= - at|$)', "", str(exc), flags=re.DOTALL)
    except (msgspec.DecodeError, UnicodeDecodeError):
        problem = "a lone surrogate, NaN or Infinity stands in a known key"
    except RecursionError:
        problem = "a known key is nested too deeply"
    raise CorruptRecording(
        f"{where}: expected a line of format version {VERSION}, found another: {problem}; {_ADVICE}"
    )


# What the types of the fields do not say: each check returns what is wrong, or None.


def _check_payload(entry: Any, line: bytes) -> str | None:
    if entry.base64 is None:
        return None
    if entry.text is not None:
        return "both `text` and `base64`"
    try:
        base64.b64decode(entry.base64, validate=True)
    except ValueError:
        return "a `base64` that is none"
    return None


def _check_frame(entry: Any, line: bytes) -> str | None:
    try:
        if len(bytes.fromhex(entry.head)) < 2:
            return "a `head` of less than two bytes"
    except ValueError:
        return "a `head` that is no hex"
    if (
        entry.opcode == "text"
        and entry.text is not None
        and entry.base64 is entry.code is entry.reason is None
    ):
        # Nearly every frame.
        return None
    if entry.opcode not in _OPCODES:
        return "an `opcode` that is no name of one and no number from 0 to 15"
    if entry.code is None:
        return (
            _check_payload(entry, line) if entry.reason is None else "a `reason` without a `code`"
        )
    if entry.text is not None or entry.base64 is not None:
        return "a `code` beside a payload"
    return None if 0 <= entry.code <= 0xFFFF else "a `code` outside 0 to 65535"


def _check_checkpoint(entry: Any, line: bytes) -> str | None:
    # Its lists are kept raw, which skips the check of their UTF-8.
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as exc:
        return f"a byte that is no UTF-8, at {exc.start}"
    return None


_OPCODES: Final = {opcode.name.lower() for opcode in Opcode} | set(range(16))
_CHECKS: Final[dict[type, Callable[[Any, bytes], str | None]]] = {
    Body: _check_payload,
    Bytes: _check_payload,
    Checkpoint: _check_checkpoint,
    FrameEntry: _check_frame,
    MessageEntry: _check_payload,
    Resume: _check_payload,
}
