"""Masking whole entries: which texts each kind holds, and how a changed payload goes back into its
frames or pieces.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias, TypeVar

import msgspec

from recorder.model import (
    MAX_BODY_PIECE_BYTES,
    Body,
    Bytes,
    Checkpoint,
    Closed,
    Entry,
    FrameEntry,
    Header,
    KnownEntry,
    Note,
    Open,
    Payload,
    Request,
    Response,
    Resume,
    UnknownEntry,
    encode_bytes,
)
from recorder.redaction.codings import coded, codings_of, decoded, seen_coding
from recorder.redaction.edits import Transform
from recorder.redaction.kinds import Spans, field_spans, form_spans, url_spans
from recorder.redaction.masker import Masker
from recorder.redaction.rules import INCOMPLETE, OPAQUE, WHOLE_MARK, mark
from recorder.redaction.streamed import Stream, is_opaque, stream_of
from recorder.redaction.windows import Amount
from recorder.wire.frames import Frame

__all__ = ["AnyEntry", "EntryMasker"]

AnyEntry: TypeAlias = KnownEntry | UnknownEntry
_E = TypeVar("_E", bound=Entry)
_P = TypeVar("_P", bound=FrameEntry | Body)

_MAX_CONTROL_BYTES: Final = 125
"""RFC 6455 section 5.5."""

# The plain texts of each kind, and how each is read, beside payload, heads and unknown keys.
_TEXTS: Final[dict[type, dict[str, tuple[Spans, ...]]]] = {
    Open: {"url": (url_spans,), "peer": ()},
    Request: {"target": (url_spans,)},
    Response: {"reason": ()},
    Bytes: {"why": ()},
    Closed: {"detail": ()},
    Note: {"text": ()},
}
_SWITCHING_PROTOCOLS: Final = 101
_MAX_BEFORE_BYTES: Final = 4096
"""So much of a torn stream is read again in front of its next piece."""
_RAW_LISTS: Final = ("connections", "fragments", "pings", "devices", "beacons", "positions")


class EntryMasker:
    """Masks entries one by one, or the entries of one message or body together. Feed them in the
    order of the recording.
    """

    def __init__(
        self,
        taken: Mapping[str, int],
        transform: Transform | None = None,
        of_bytes: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self.masker = Masker(taken, transform, of_bytes)
        # Of each body to come, by connection, exchange and sender: its content codings and how its
        # text is read.
        self._bodies: dict[tuple[int, int, str], tuple[list[str], tuple[Spans, ...]]] = {}
        # Of each direction whose bytes are no frames: the end of those before, as it came.
        self._before: dict[tuple[int, str], bytes] = {}
        self._sockets: set[int] = set()

    def header(self, header: Header) -> Header:
        """``header`` with the secrets in its ``upstream`` and ``meta`` masked."""
        meta = self.masker.mask_bytes(msgspec.json.encode(header.meta))
        changes: dict[str, Any] = {"meta": msgspec.json.decode(meta, type=dict[str, msgspec.Raw])}
        if header.upstream is not None:
            changes["upstream"] = self.masker.mask(header.upstream, url_spans)
        return msgspec.structs.replace(header, **changes, **self._extra(header.extra))

    def alone(self, entry: AnyEntry) -> AnyEntry:
        """An entry that is whole by itself, masked; the same object if it holds no secret."""
        if isinstance(entry, UnknownEntry):
            line = self.masker.mask_bytes(entry.line)
            return entry if line is entry.line else msgspec.structs.replace(entry, line=line)
        if isinstance(entry, FrameEntry):
            return self._frame(entry)
        if isinstance(entry, Body):
            return self._body([entry])[0][0]
        changes: dict[str, Any] = {}
        for field, kinds in _TEXTS.get(type(entry), {}).items():
            value = getattr(entry, field)
            if value is not None and (masked := self.masker.mask(value, *kinds)) is not value:
                changes[field] = masked
        if isinstance(entry, (Request, Response)):
            headers = [(name, self._field(name, value)) for name, value in entry.headers]
            if headers != list(map(tuple, entry.headers)):
                changes["headers"] = headers
            self._expect_body(entry)
            if isinstance(entry, Response) and entry.status == _SWITCHING_PROTOCOLS:
                self._sockets.add(entry.connection)
        elif isinstance(entry, Bytes):
            changes |= self._torn(entry)
        elif isinstance(entry, Payload):
            changes |= self._payload(entry)
        elif isinstance(entry, Checkpoint):
            changes |= self._raw_lists(entry)
        elif isinstance(entry, Closed):
            for key in [key for key in self._bodies if key[0] == entry.connection]:
                del self._bodies[key]
            self._sockets.discard(entry.connection)
            for sender in ("client", "server"):
                self._before.pop((entry.connection, sender), None)
        return self._changed(entry, changes)

    def joined(self, entries: list[Any]) -> list[list[Any]]:
        """All frames of one message, or all pieces of one body, masked together: for each what
        stands in its place.

        A new payload is cut where the old one was. A body that has grown beyond what its last piece
        may hold goes on in further pieces.
        """
        return self._body(entries) if isinstance(entries[0], Body) else self._fragments(entries)

    def is_opaque(self, entry: Body) -> bool:
        """Whether nothing can be told of the body that begins with ``entry``."""
        return is_opaque(self._reading(entry)[0], entry.data)

    def stream(self, entries: list[Any]) -> Stream | None:
        """How the body that begins with ``entries`` is masked as it comes; None if it must be
        whole for that.
        """
        codings, kinds = self._reading(entries[0])
        return stream_of(self.masker, codings, kinds, [entry.data for entry in entries])

    def streamed(self, stream: Stream, entries: list[Any], amount: Amount) -> list[list[Body]]:
        """For each of the oldest ``entries``, which ``stream`` holds, what stands in its place."""
        out = []
        for entry, new in zip(entries, stream.take(amount), strict=False):
            self._forget_body(entry)
            is_same = new == entry.data
            out.append([self._changed(entry, {})] if is_same else [*self._within_limit(entry, new)])
        return out

    def _reading(self, entry: Body) -> tuple[list[str], tuple[Spans, ...]]:
        """The content codings of a body, and how its text is read."""
        return self._bodies.get((entry.connection, entry.exchange, entry.sender), ([], ()))

    def whole(self, entry: _P, rule: str) -> _P:
        """``entry`` with its whole payload masked."""
        if isinstance(entry, Body):
            self._forget_body(entry)
        data = entry.data
        if not data or WHOLE_MARK.fullmatch(data.decode("iso-8859-1")):
            return self._changed(entry, {})
        self.masker.count(rule)
        return self._refilled(entry, mark(rule).encode())

    # Frames

    def _frame(self, entry: FrameEntry) -> FrameEntry:
        if _is_compressed(entry):
            return self._hidden([entry])[0]
        if entry.reason:
            reason = self.masker.mask(entry.reason)
            if reason is not entry.reason:
                code = entry.data[:2]
                return self._refilled(entry, code + reason.encode("utf-8"))
        elif entry.text is not None:
            if (text := self.masker.mask(entry.text)) is not entry.text:
                return self._refilled(entry, text.encode("utf-8"))
        elif entry.base64 is not None:
            data = entry.data
            if self.masker.hides_bytes and entry.opcode == "close":
                # What stands in place of the reason must not be read as the code.
                return self._refilled(entry, data[:2] + self.masker.opaque([data[2:]])[0])
            if (masked := self._undone(data)) is not data:
                return self._refilled(entry, masked)
        return self._changed(entry, {}) if entry.extra else entry

    def _hidden(self, entries: list[_P]) -> list[_P]:
        pieces = [entry.data for entry in entries]
        return [
            self._refilled(entry, new) if new != old else self._changed(entry, {})
            for entry, old, new in zip(entries, pieces, self.masker.opaque(pieces), strict=True)
        ]

    def _fragments(self, entries: list[FrameEntry]) -> list[list[FrameEntry]]:
        if _is_compressed(entries[0]):
            return [[entry] for entry in self._hidden(entries)]
        pieces = [entry.data for entry in entries]
        data = b"".join(pieces)
        masked = self._undone(data)
        return [
            [self._refilled(entry, new)] if new != old else [self._changed(entry, {})]
            for entry, old, new in zip(entries, pieces, _cut(masked, pieces), strict=True)
        ]

    def _refilled(self, entry: _P, data: bytes) -> _P:
        """``entry`` with another payload; a frame's head is rebuilt: flags and masking key kept,
        the length minimal.
        """
        changes: dict[str, Any] = {"text": None, "base64": None, **encode_bytes(data)}
        if isinstance(entry, FrameEntry):
            old = entry.frame()
            if old.is_control and len(data) > _MAX_CONTROL_BYTES:
                # A mark may be longer than its value; the frame must stay one that may be sent.
                data = data[:2] if entry.code is not None else b""
                data += mark(OPAQUE).encode()
            head = Frame.make(
                old.opcode, data, fin=old.head[0] >= 0x80, rsv=old.rsv, mask=old.masking_key
            ).head
            new = FrameEntry.of(
                Frame(old.opcode, data, head),
                connection=entry.connection,
                sender=entry.sender,
                offset_ns=None,
            )
            changes = {
                "head": new.head,
                "text": new.text,
                "base64": new.base64,
                "code": new.code,
                "reason": new.reason,
            }
        return self._changed(entry, changes)

    # Bodies

    def _expect_body(self, head: Request | Response) -> None:
        sender = "client" if isinstance(head, Request) else "server"
        codings: list[str] = []
        kinds: tuple[Spans, ...] = ()
        for name, value in head.headers:
            if name.lower() == "content-encoding":
                codings += codings_of(value)
            elif name.lower() == "content-type" and "x-www-form-urlencoded" in value.lower():
                kinds = (form_spans,)
        if codings or kinds:
            self._bodies[head.connection, head.exchange, sender] = codings, kinds

    def _forget_body(self, entry: Body) -> None:
        if entry.last:
            self._bodies.pop((entry.connection, entry.exchange, entry.sender), None)

    def _body(self, entries: list[Body]) -> list[list[Body]]:
        last = entries[-1]
        codings, kinds = self._reading(last)
        self._forget_body(last)
        pieces = [entry.data for entry in entries]
        data = b"".join(pieces)
        undone = decoded(data, codings)
        if undone is None:
            return [[entry] for entry in self._hidden(entries)]
        text, windows = undone
        masked = self._undone(text, *kinds)
        if masked is text:
            return [[self._changed(entry, {})] for entry in entries]
        new_pieces = _cut(coded(masked, windows), pieces)
        out = [
            [self._refilled(entry, new)] if new != old else [self._changed(entry, {})]
            for entry, old, new in zip(entries, pieces, new_pieces, strict=True)
        ]
        out[-1] = list(self._within_limit(last, new_pieces[-1]))
        return out

    def _within_limit(self, last: Body, data: bytes) -> Iterator[Body]:
        while len(data) > MAX_BODY_PIECE_BYTES:
            piece = self._refilled(last, data[:MAX_BODY_PIECE_BYTES])
            yield msgspec.structs.replace(piece, last=False)
            data = data[MAX_BODY_PIECE_BYTES:]
        yield self._refilled(last, data)

    # Heads, raw JSON, and what all have

    def _field(self, name: str, value: str) -> str:
        kind = field_spans(name)
        if kind is not None:
            return self.masker.mask(value, kind)
        # A Referer, a Location and the like.
        is_url = "://" in value or value.startswith("/")
        return self.masker.mask(value, *((url_spans,) if is_url else ()))

    def _payload(self, entry: Payload) -> dict[str, Any]:
        data = entry.data
        if self.masker.hides_bytes and isinstance(entry, Resume):
            [masked] = self.masker.opaque([data])
        else:
            masked = self._undone(data)
        return {} if masked is data else {"text": None, "base64": None, **encode_bytes(masked)}

    def _torn(self, entry: Bytes) -> dict[str, Any]:
        data = entry.data
        key = entry.connection, entry.sender
        before = self._before.get(key, b"")
        self._before[key] = (before + data)[-_MAX_BEFORE_BYTES:]
        is_masked = entry.sender == "client" and entry.connection in self._sockets
        if self.masker.hides_bytes or is_masked or seen_coding(data):
            # Of what a client sends, anyone can undo the masking who has the key beside it (RFC
            # 6455 5.3).
            [masked] = self.masker.opaque([data])
        else:
            masked = self.masker.mask_piece(before, data)
        return {} if masked is data else {"text": None, "base64": None, **encode_bytes(masked)}

    def _undone(self, data: bytes, *kinds: Spans) -> bytes:
        """``data`` with its secrets masked, those of compressed data too; the same object if there
        are none.
        """
        codings = seen_coding(data)
        if not codings:
            return self.masker.mask_bytes(data, *kinds)
        undone = decoded(data, codings)
        if undone is None:
            return self.masker.opaque([data])[0]
        text, windows = undone
        masked = self.masker.mask_bytes(text, *kinds)
        return data if masked is text else coded(masked, windows)

    def _raw_lists(self, entry: Checkpoint) -> dict[str, Any]:
        changes = {}
        for name in _RAW_LISTS:
            old = [bytes(raw) for raw in getattr(entry, name)]
            mask = self._fragment if name == "fragments" else self.masker.mask_bytes
            new = [mask(raw) for raw in old]
            if new != old:
                changes[name] = [msgspec.Raw(raw) for raw in new]
        return changes

    def _fragment(self, raw: bytes) -> bytes:
        """A fragment of a message that was not complete: its payload is masked whole, as the rest
        of the message will be.
        """
        try:
            fields = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
        except (ValueError, RecursionError):
            return self.masker.mask_bytes(raw)
        text = bytes(fields.get("text", b""))
        if ("base64" not in fields and not text) or text == msgspec.json.encode(mark(INCOMPLETE)):
            return self.masker.mask_bytes(raw)
        self.masker.count(INCOMPLETE)
        rest = {name: value for name, value in fields.items() if name not in ("text", "base64")}
        return self.masker.mask_bytes(msgspec.json.encode(rest | {"text": mark(INCOMPLETE)}))

    def _extra(self, extra: dict[str, msgspec.Raw]) -> dict[str, Any]:
        changed = {}
        for name, raw in extra.items():
            # The value is masked together with its name, for the name may tell that it is secret.
            prefix = msgspec.json.encode(name) + b":"
            masked = self.masker.mask_bytes(prefix + bytes(raw))
            if not masked.startswith(prefix):
                # The name itself would change. It stays.
                masked = prefix + self.masker.mask_bytes(bytes(raw))
            if masked[len(prefix) :] != bytes(raw):
                changed[name] = msgspec.Raw(masked[len(prefix) :])
        return {"extra": extra | changed} if changed else {}

    def _changed(self, entry: _E, changes: dict[str, Any]) -> _E:
        if entry.extra:
            changes |= self._extra(entry.extra)
        return msgspec.structs.replace(entry, redacted=True, **changes) if changes else entry


def _is_compressed(entry: FrameEntry) -> bool:
    """Whether RSV1 is set on a data frame: its message is compressed (RFC 7692 6), and texts cannot
    be seen in it.
    """
    return entry.head[:1] in "4567cdefCDEF" and entry.opcode in ("text", "binary")


def _cut(data: bytes, pieces: list[bytes]) -> list[bytes]:
    """``data`` in as many pieces, cut at the same sizes; the last takes what is more or less."""
    cut = []
    at = 0
    for piece in pieces[:-1]:
        cut.append(data[at : at + len(piece)])
        at += len(piece)
    return [*cut, data[at:]]
