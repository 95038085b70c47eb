"""Looks through a recording, line by line, for what should not be in it. Pure: lines in, findings
out.

Strategy: every text of an entry is a place. It is read in every way that it may be read
(:mod:`recorder.leaks.layers`), and each reading is searched for known values, for what is secret by
its name, and for what is secret by its shape. What belongs together, though it stands in several
entries, is put together first (:mod:`recorder.leaks.joining`). A line that the model does not hold
to the byte, such as one with a key twice, a damaged one, or none of a recording at all, is looked
at as it stands, too.

Nothing here is shared with the redaction: it is the judge of it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import Any, Final, NamedTuple

import msgspec

from recorder.errors import CorruptRecording
from recorder.leaks.findings import NOT_LOOKED_INTO, Finding, excerpt
from recorder.leaks.formats import Hit, formats_in, personal_in
from recorder.leaks.inflating import NotLookedInto, inflated_message
from recorder.leaks.joining import WINDOW_BYTES, Joined, Window
from recorder.leaks.layers import Layer, layers_of, text_of
from recorder.leaks.names import named_in, under_name
from recorder.leaks.opaque import OPAQUE
from recorder.leaks.values import Patterns, Values
from recorder.model import (
    Body,
    Bytes,
    Checkpoint,
    Closed,
    FrameEntry,
    Header,
    Payload,
    Request,
    Response,
    UnknownEntry,
)
from recorder.recording import decode_entry, encode_entry, encode_header
from recorder.wire.frames import Opcode

__all__ = ["MAX_HELD_BYTES", "Judge"]

MAX_HELD_BYTES: Final = 64 * 1024 * 1024
"""The most that waits for messages and bodies to become whole; above it the oldest is looked at as
far as it came.
"""

_PLAIN_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,39}")
_RAW_LISTS: Final = ("connections", "fragments", "pings", "devices", "beacons", "positions")
_OPCODES: Final = frozenset(opcode.name.lower() for opcode in Opcode)
# Of closed lists of words, numbers, and what the recorder itself counted.
_NO_TEXTS: Final = frozenset(
    {"kind", "seq", "offset_ns", "first_ns", "connection", "exchange", "sender", "head", "extra"}
    | {"text", "base64", "headers", "redacted", "fin", "last", "sha256", *_RAW_LISTS}
)


class _Where(NamedTuple):
    """The entry that is looked at."""

    line: int
    last_line: int
    seq: int | None
    kind: str
    connection: int | None


def _narrowed(where: _Where, text: str, hit: Hit) -> _Where:
    """Of several lines the one that the value stands in, if it does so as it is."""
    if where.kind != "text" or (position := text.find(hit.value)) < 0:
        return where
    line = where.line + text.count("\n", 0, position)
    return where._replace(line=line, last_line=line)


class _Seen:
    """What was found already in one entry: each value is told once, by the first detector."""

    def __init__(self) -> None:
        self.values: set[str] = set()
        self.unread = False
        """Whether it was told that some of its bytes cannot be read."""
        self.harmless: str | None = None
        """Of what harmless kind its bytes are."""

    def add(self, value: str) -> bool:
        """Whether it is new."""
        before = len(self.values)
        self.values.add(value)
        return len(self.values) > before


class _Open(NamedTuple):
    """A text of several entries, as far as it came."""

    joined: Joined
    where: _Where
    seen: _Seen


_Key = tuple[str, int, int, str]


class Judge:
    """Finds what should not be in a recording of profile ``secrets`` or, with ``personal``, of
    profile ``share``.

    Feed it the lines in order; :meth:`close` looks at what is left open. ``values`` are secrets
    that are known, ``allowed`` what is harmless although it looks like a secret.
    """

    def __init__(
        self, values: Values, *, personal: bool = False, allowed: Patterns | None = None
    ) -> None:
        self.personal = personal
        self.damaged_lines = 0
        """How many lines of a recording were no entries."""
        self.passed_over: Counter[str] = Counter()
        """How many payloads were not looked into and are harmless: ``image``, ``font``."""
        self._values = values
        self._allowed = allowed or Patterns()
        self._open: dict[_Key, _Open] = {}
        self._content_encodings: dict[tuple[int, int, str], list[str]] = {}
        self._held_bytes = 0
        self._seen_in_text = _Seen()

    def header(self, header: Header, raw: bytes) -> Iterator[Finding]:
        """Look at the first line, ``header`` as it reads and ``raw`` as it stands."""
        where, seen = _Where(1, 1, None, "header", None), _Seen()
        for place in ("upstream", "tool", "mode", "started_at"):
            yield from self._text(getattr(header, place) or "", where, place, seen)
        for place, extra in (
            ("meta", header.meta),
            ("extra", header.extra),
            ("redaction", header.redaction.extra),
            ("series", header.series.extra if header.series else {}),
        ):
            yield from self._members(extra, where, place, seen)
        if encode_header(header) != raw:
            yield from self._raw(raw, where, seen)

    def line(self, number: int, raw: bytes) -> Iterator[Finding]:
        """Look at the line ``number`` of a recording, an entry or a damaged one."""
        try:
            entry = decode_entry(raw, where="")
        except CorruptRecording:
            self.damaged_lines += 1
            yield from self.other_line(number, raw)
            return
        connection = getattr(entry, "connection", None)
        where, seen = _Where(number, number, entry.seq, entry.kind, connection), _Seen()
        if isinstance(entry, UnknownEntry):
            yield from self._raw(raw, where, seen)
            return
        yield from self._entry(entry, where, seen)
        if encode_entry(entry) != raw:
            yield from self._raw(raw, where, seen)

    def other_line(self, number: int, raw: bytes) -> Iterator[Finding]:
        """Look at a line that is no entry, as text."""
        yield from self._raw(raw, _Where(number, number, None, "line", None), _Seen())

    def text(self, first_line: int, last_line: int, raw: bytes) -> Iterator[Finding]:
        """Look at lines of what is no recording. A value is told at the first line that it stands
        in.
        """
        where = _Where(first_line, last_line, None, "text", None)
        yield from self._data(raw, where, "line", self._seen_in_text)

    def not_looked_into(self, number: int, why: str) -> Finding:
        """What stands behind the line ``number`` and cannot be read."""
        return self._untold(_Where(number, number, None, "line", None), "line", why, ())

    def close(self) -> Iterator[Finding]:
        """Look at what never became whole. Nothing is held after it."""
        for key in list(self._open):
            yield from self._close(key)

    # Entries

    def _entry(self, entry: Any, where: _Where, seen: _Seen) -> Iterator[Finding]:
        for field in entry.__struct_fields__:
            value = None if field in _NO_TEXTS else getattr(entry, field)
            if isinstance(value, str) and value not in _OPCODES:
                yield from self._text(value, where, field, seen)
        yield from self._members(entry.extra, where, "extra", seen)
        match entry:
            case Request() | Response():
                yield from self._headers(entry, where, seen)
            case FrameEntry():
                yield from self._frame(entry, where, seen)
            case Body():
                key: _Key = ("body", entry.connection, entry.exchange, entry.sender)
                yield from self._joined(key, entry.data, where, seen, last=entry.last)
            case Bytes():
                yield from self._bytes(entry, where, seen)
            case Payload():
                yield from self._payload(entry, where, seen)
            case Checkpoint():
                yield from self._checkpoint(entry, where, seen)
            case Closed():
                for key in [key for key in self._open if key[1] == entry.connection]:
                    yield from self._close(key)
                for head in [one for one in self._content_encodings if one[0] == entry.connection]:
                    del self._content_encodings[head]
            case _ if isinstance(text := getattr(entry, "text", None), str):
                yield from self._text(text, where, "text", seen)

    def _headers(self, entry: Request | Response, where: _Where, seen: _Seen) -> Iterator[Finding]:
        encodings = []
        for name, value in entry.headers:
            if name.lower() == "content-encoding":
                encodings.append(value)
            place = f"headers.{self._shown(name)}"
            for hit in under_name(name, value):
                yield from self._told(hit, where, place, (), seen)
            yield from self._text(value, where, place, seen)
            yield from self._text(name, where, "headers", seen)
        sender = "client" if isinstance(entry, Request) else "server"
        if encodings:
            self._content_encodings[entry.connection, entry.exchange, sender] = encodings

    def _frame(self, entry: FrameEntry, where: _Where, seen: _Seen) -> Iterator[Finding]:
        key = ("message", entry.connection, 0, entry.sender)
        if entry.opcode_number >= 8:
            if entry.code is None:
                yield from self._payload(entry, where, seen)
            return
        if entry.opcode != "continuation" and key in self._open:
            yield from self._close(key)
        if entry.head[:1] in "4567cdefCDEF" and entry.text is None:
            yield from self._compressed(entry.data, where, seen)
        elif entry.fin and key not in self._open:
            yield from self._payload(entry, where, seen)
        else:
            yield from self._joined(key, entry.data, where, seen, last=entry.fin)

    def _compressed(self, payload: bytes, where: _Where, seen: _Seen) -> Iterator[Finding]:
        # Whether its message goes on in further frames does not matter: those are binary, too.
        undone = ("permessage-deflate",)
        found = inflated_message(payload)
        if isinstance(found, NotLookedInto):
            yield self._untold(where, "payload", found.why, ())
        else:
            yield from self._data(found, where, "payload", seen, undone)

    def _bytes(self, entry: Bytes, where: _Where, seen: _Seen) -> Iterator[Finding]:
        if entry.base64 is not None:
            for hit, undone in self._values.masked_hits(entry.data):
                yield from self._told(hit, where, "payload", undone, seen)
        key = ("bytes", entry.connection, 0, entry.sender)
        yield from self._joined(key, entry.data, where, seen, last=False)

    def _payload(self, entry: Payload, where: _Where, seen: _Seen) -> Iterator[Finding]:
        if entry.text is not None:
            yield from self._text(entry.text, where, "payload", seen)
        else:
            yield from self._data(entry.data, where, "payload", seen)

    def _checkpoint(self, entry: Checkpoint, where: _Where, seen: _Seen) -> Iterator[Finding]:
        for place in _RAW_LISTS:
            for raw in getattr(entry, place):
                yield from self._data(bytes(raw), where, place, seen)
        for raw in entry.fragments:
            # An unfinished message goes on in the frames that follow.
            try:
                piece = msgspec.json.decode(bytes(raw), type=_Fragment)
                data = FrameEntry(
                    offset_ns=None,
                    connection=piece.connection,
                    sender=piece.sender,  # type: ignore[arg-type]
                    fin=False,
                    opcode="text",
                    head="0100",
                    text=piece.text,
                    base64=piece.base64,
                ).data
            except (msgspec.DecodeError, ValueError):
                continue
            key = ("message", piece.connection, 0, piece.sender)
            yield from self._joined(key, data, where, seen, last=False)

    # Texts of several entries

    def _joined(
        self, key: _Key, data: bytes, where: _Where, seen: _Seen, *, last: bool
    ) -> Iterator[Finding]:
        found = self._open.get(key)
        if found is None:
            head = key[1], key[2], key[3]
            encodings = self._content_encodings.pop(head, []) if key[0] == "body" else []
            found = self._open[key] = _Open(Joined(encodings), where, seen)
        before = found.joined.held_bytes
        for event in found.joined.feed(data, where.line):
            yield from self._window(event, found)
        self._held_bytes += found.joined.held_bytes - before
        if last:
            yield from self._close(key)
        while self._held_bytes > MAX_HELD_BYTES:
            oldest = next(iter(self._open))
            where = self._open[oldest].where
            yield from self._close(oldest)
            yield self._untold(where, "payload", "a text in too many pieces at a time", ())

    def _close(self, key: _Key) -> Iterator[Finding]:
        found = self._open.pop(key)
        self._held_bytes -= found.joined.held_bytes
        for window in found.joined.close():
            yield from self._window(window, found)

    def _window(self, event: Window | NotLookedInto, found: _Open) -> Iterator[Finding]:
        if isinstance(event, NotLookedInto):
            found.seen.unread = True
            yield self._untold(found.where, "payload", event.why, ())
            return
        where = found.where._replace(line=event.first, last_line=event.last)
        if event.first != found.where.line:
            where = where._replace(seq=None)
        yield from self._layers(text_of(event.data, event.undone), where, "payload", found.seen)

    # Texts

    def _members(
        self, members: dict[str, msgspec.Raw], where: _Where, place: str, seen: _Seen
    ) -> Iterator[Finding]:
        for name, raw in members.items():
            data = b"{" + msgspec.json.encode(name) + b":" + bytes(raw) + b"}"
            yield from self._data(data, where, f"{place}.{self._shown(name)}", seen)

    def _raw(self, raw: bytes, where: _Where, seen: _Seen) -> Iterator[Finding]:
        yield from self._data(raw, where, "line", seen)

    def _data(
        self, data: bytes, where: _Where, place: str, seen: _Seen, undone: tuple[str, ...] = ()
    ) -> Iterator[Finding]:
        if len(data) <= WINDOW_BYTES:
            yield from self._layers(text_of(data, undone), where, place, seen)
            return
        joined = Joined([])
        for event in chain(joined.feed(data, where.line), joined.close()):
            if isinstance(event, NotLookedInto):
                yield self._untold(where, place, event.why, undone)
            else:
                layer = text_of(event.data, (*undone, *event.undone))
                yield from self._layers(layer, where, place, seen)

    def _text(self, text: str, where: _Where, place: str, seen: _Seen) -> Iterator[Finding]:
        if len(text) > WINDOW_BYTES:
            yield from self._data(text.encode("utf-8", "surrogatepass"), where, place, seen)
        elif text:
            yield from self._layers(Layer(text), where, place, seen)

    def _layers(
        self, outermost: Layer, where: _Where, place: str, seen: _Seen
    ) -> Iterator[Finding]:
        if outermost.binary and seen.harmless is not None:
            # A later window of an image.
            outermost = outermost._replace(harmless=seen.harmless)
        for layer in layers_of(outermost):
            if isinstance(layer, NotLookedInto):
                # The later windows of what was told are no text either.
                if not (layer == OPAQUE and seen.unread) and seen.add(layer.why):
                    seen.unread = True
                    yield self._untold(where, place, layer.why, outermost.undone)
                continue
            for hit, wraps in self._values.hits(layer.text):
                at = _narrowed(where, outermost.text, hit)
                yield from self._told(hit, at, place, (*layer.undone, *wraps), seen)
            if layer.harmless is not None:
                self.passed_over[layer.harmless] += seen.harmless is None
                seen.harmless = layer.harmless
                continue
            for hit in self._hits(layer.text):
                at = _narrowed(where, outermost.text, hit)
                yield from self._told(hit, at, place, layer.undone, seen)

    def _hits(self, text: str) -> Iterator[Hit]:
        yield from named_in(text, personal=self.personal)
        yield from formats_in(text)
        if self.personal:
            yield from personal_in(text)

    # Telling

    def _told(
        self, hit: Hit, where: _Where, place: str, undone: tuple[str, ...], seen: _Seen
    ) -> Iterator[Finding]:
        if not self._allowed.allow(hit.value) and seen.add(hit.value):
            yield Finding(
                **where._replace(kind=self._shown(where.kind))._asdict(),
                place=place,
                detector=hit.detector,
                what=hit.what,
                excerpt=excerpt(hit.value),
                undone=undone,
            )

    def _untold(self, where: _Where, place: str, why: str, undone: tuple[str, ...]) -> Finding:
        return Finding(
            **where._replace(kind=self._shown(where.kind))._asdict(),
            place=place,
            detector=NOT_LOOKED_INTO,
            what=why,
            excerpt="…",
            undone=undone,
        )

    def _shown(self, name: str) -> str:
        """A name as it may be shown: whoever sent it chose it, and it may be a secret itself."""
        if _PLAIN_NAME.fullmatch(name) is None:
            return "…"
        for layer in layers_of(Layer(name)):
            if isinstance(layer, NotLookedInto):
                return "…"
            if next(self._values.hits(layer.text), None) or next(self._hits(layer.text), None):
                return "…"
        return name


class _Fragment(msgspec.Struct):
    """An unfinished message in a checkpoint."""

    connection: int
    sender: str
    text: str | None = None
    base64: str | None = None
