"""What a recording holds: the header and every kind of entry, as frozen values.

These are the objects of format version 1 (``docs/recording-format.md``) one to one: a Struct a
kind, a field a key. Reading and writing them as lines of a file is :mod:`recorder.recording`'s
work.

Unknown things survive: a key that a kind does not know is kept in ``extra`` as raw JSON, a whole
unknown kind is an :class:`UnknownEntry`, and both are written back unchanged.
"""

from __future__ import annotations

import base64 as base64_codec
from typing import ClassVar, Final, Literal, TypeAlias, TypedDict

import msgspec

from recorder.wire.frames import Frame, Opcode, Sender

__all__ = [
    "EXTRA_KEY",
    "MAX_BODY_PIECE_BYTES",
    "AnyEntry",
    "Body",
    "Bytes",
    "Checkpoint",
    "Clock",
    "Closed",
    "End",
    "Entry",
    "Fidelity",
    "FrameEntry",
    "Header",
    "Headers",
    "KnownEntry",
    "MessageEntry",
    "Mode",
    "Note",
    "Open",
    "Payload",
    "Redaction",
    "Request",
    "Response",
    "Resume",
    "Sender",
    "Series",
    "Timing",
    "UnknownEntry",
    "encode_bytes",
]

Mode = Literal["capture", "proxy", "import", "fake", "edit"]
Fidelity = Literal["wire", "messages", "text"]
Timing = Literal["measured", "none"]
Headers: TypeAlias = list[tuple[str, str]]
"""Header fields in order, names in their case; bytes above 0x7F stand as ISO 8859-1 (RFC 9110 5.5).
"""

MAX_BODY_PIECE_BYTES: Final = 64 * 1024
"""The most that one ``body`` entry holds."""

EXTRA_KEY: Final = "\uffffextra"
"""The name that ``extra`` would have in JSON. It never stands there: its members are written beside
the other keys.
"""


class Redaction(msgspec.Struct, frozen=True, kw_only=True):
    """What was taken out before writing: the profile, and the id of its pseudonyms' key."""

    profile: str
    key_id: str | None = None
    extra: dict[str, msgspec.Raw] = msgspec.field(name=EXTRA_KEY, default_factory=dict)


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """This file is one part of a series."""

    id: str
    part: int
    previous_sha256: str | None = None
    extra: dict[str, msgspec.Raw] = msgspec.field(name=EXTRA_KEY, default_factory=dict)


class Header(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag="header",
    tag_field="kind",
):
    """The first line. ``started_at`` is UTC wall clock, ISO 8601, nine digits of a second and
    ``Z``.
    """

    format: Literal["track-recording"] = "track-recording"
    version: int = 1
    id: str
    started_at: str
    tool: str
    mode: Mode
    upstream: str | None = None
    fidelity: Fidelity
    timing: Timing
    redaction: Redaction
    series: Series | None = None
    meta: dict[str, msgspec.Raw] = {}
    extra: dict[str, msgspec.Raw] = msgspec.field(name=EXTRA_KEY, default_factory=dict)


class Entry(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    tag_field="kind",
):
    """What every entry has.

    ``seq`` is given by the writer; 0 means not written yet. ``offset_ns`` counts monotonic
    nanoseconds since the header's ``started_at``, at the moment the last byte of the entry was
    read; None where the recording has no timing. ``first_ns`` is that of the first byte where it
    came in an earlier read. ``redacted`` says that a value was replaced.
    """

    kind: ClassVar[str] = ""

    seq: int = 0
    offset_ns: int | None
    first_ns: int | None = None
    redacted: bool = False
    extra: dict[str, msgspec.Raw] = msgspec.field(name=EXTRA_KEY, default_factory=dict)


class Payload(Entry, frozen=True, kw_only=True):
    """An entry that holds bytes: as ``text`` where they are valid UTF-8, else as ``base64``, never
    both.
    """

    text: str | None = None
    base64: str | None = None

    @property
    def data(self) -> bytes:
        """The bytes. Raises ValueError if ``base64`` is none."""
        if self.text is not None:
            return self.text.encode("utf-8")
        return (
            base64_codec.b64decode(self.base64, validate=True) if self.base64 is not None else b""
        )


class EncodedBytes(TypedDict, total=False):
    """The keys of a :class:`Payload` that hold its bytes; one of them."""

    text: str
    base64: str


def encode_bytes(data: bytes) -> EncodedBytes:
    """The keyword arguments ``text`` or ``base64`` of a :class:`Payload` that holds ``data``."""
    try:
        return {"text": data.decode("utf-8")}
    except UnicodeDecodeError:
        return {"base64": base64_codec.b64encode(data).decode("ascii")}


class Open(Entry, frozen=True, kw_only=True, tag="open"):
    """A TCP connection was opened. ``leg`` is the side of the recorder that it is on."""

    kind: ClassVar[str] = "open"

    connection: int
    leg: Literal["client", "upstream"]
    paired_with: int | None = None
    url: str | None = None
    peer: str | None = None
    tls: str | None = None


class Request(Entry, frozen=True, kw_only=True, tag="request"):
    """The head of an HTTP request, the upgrade's too."""

    kind: ClassVar[str] = "request"

    connection: int
    exchange: int
    method: str
    target: str
    http_version: str = "1.1"
    headers: Headers


class Response(Entry, frozen=True, kw_only=True, tag="response"):
    """The head of an HTTP response, the 101 or the refusal of an upgrade too."""

    kind: ClassVar[str] = "response"

    connection: int
    exchange: int
    status: int
    reason: str = ""
    http_version: str = "1.1"
    headers: Headers


class Body(Payload, frozen=True, kw_only=True, tag="body"):
    """At most 64 KiB of a request's or response's body: transfer encoding undone, content encoding
    kept.
    """

    kind: ClassVar[str] = "body"

    connection: int
    exchange: int
    sender: Sender
    last: bool


class FrameEntry(Payload, frozen=True, kw_only=True, tag="frame"):
    """One WebSocket frame. ``head`` is the hex of its header bytes; the payload is unmasked.

    A well-formed close has ``code`` and ``reason`` in place of ``text``. ``opcode`` is one of
    ``continuation``, ``text``, ``binary``, ``close``, ``ping``, ``pong``, or the number of a
    reserved opcode.
    """

    kind: ClassVar[str] = "frame"

    connection: int
    sender: Sender
    fin: bool
    opcode: str | int
    head: str
    code: int | None = None
    reason: str | None = None

    @classmethod
    def of(
        cls,
        frame: Frame,
        *,
        connection: int,
        sender: Sender,
        offset_ns: int | None,
        first_ns: int | None = None,
        redacted: bool = False,
    ) -> FrameEntry:
        """The entry of a frame as it stood on the wire."""
        text: str | None = None
        base64: str | None = None
        code: int | None = None
        opcode = frame.opcode
        try:
            if opcode == Opcode.CLOSE and len(frame.payload) >= 2:
                reason: str | None = frame.payload[2:].decode("utf-8")
                code = frame.close_code
            else:
                reason = None
                text = frame.payload.decode("utf-8")
        except UnicodeDecodeError:
            reason = None
            base64 = base64_codec.b64encode(frame.payload).decode("ascii")
        return cls(
            connection=connection,
            sender=sender,
            offset_ns=offset_ns,
            first_ns=first_ns,
            redacted=redacted,
            fin=frame.head[0] >= 0x80,
            opcode=_NAME_OF_OPCODE.get(opcode, opcode),
            head=frame.head.hex(),
            text=text,
            base64=base64,
            code=code,
            reason=reason,
        )

    @property
    def data(self) -> bytes:
        """The payload, unmasked; of a close, its code and reason as bytes."""
        if self.code is not None:
            return self.code.to_bytes(2, "big") + (self.reason or "").encode("utf-8")
        return super().data

    @property
    def opcode_number(self) -> int:
        """The opcode as the wire has it. Raises ValueError if the name is none of the six."""
        if isinstance(self.opcode, int):
            return self.opcode
        try:
            return _OPCODE_OF_NAME[self.opcode]
        except KeyError:
            raise ValueError(
                f"{self.opcode!r} is no opcode; expected one of {', '.join(_OPCODE_OF_NAME)}"
            ) from None

    def frame(self) -> Frame:
        """The frame as it stood on the wire: ``entry.frame().serialize()`` is its bytes. ValueError
        on a bad entry.
        """
        head = bytes.fromhex(self.head)
        if len(head) < 2:
            raise ValueError(f"a frame's head has at least 2 bytes, not {len(head)}")
        return Frame(self.opcode_number, self.data, head)


_NAME_OF_OPCODE: Final[dict[int, str]] = {int(opcode): opcode.name.lower() for opcode in Opcode}
_OPCODE_OF_NAME: Final[dict[str, int]] = {name: number for number, name in _NAME_OF_OPCODE.items()}


class MessageEntry(Payload, frozen=True, kw_only=True, tag="message"):
    """One message, in place of its frames where those were never seen."""

    kind: ClassVar[str] = "message"

    connection: int
    sender: Sender
    opcode: str


class Bytes(Payload, frozen=True, kw_only=True, tag="bytes"):
    """Bytes that no frame could be made of, and ``why``."""

    kind: ClassVar[str] = "bytes"

    connection: int
    sender: Sender
    why: str


class Closed(Entry, frozen=True, kw_only=True, tag="closed"):
    """A TCP connection ended."""

    kind: ClassVar[str] = "closed"

    connection: int
    by: Literal["client", "server", "recorder"]
    how: Literal["eof", "reset", "timeout", "stopped"]
    detail: str = ""


class Clock(Entry, frozen=True, kw_only=True, tag="clock"):
    """What the wall clock showed (``started_at``'s spelling)."""

    kind: ClassVar[str] = "clock"

    wall: str


class Checkpoint(Entry, frozen=True, kw_only=True, tag="checkpoint"):
    """What a further part of a series needs so that it plays alone. Each list holds JSON objects,
    kept raw.
    """

    kind: ClassVar[str] = "checkpoint"

    connections: list[msgspec.Raw] = []
    fragments: list[msgspec.Raw] = []
    pings: list[msgspec.Raw] = []
    devices: list[msgspec.Raw] = []
    beacons: list[msgspec.Raw] = []
    positions: list[msgspec.Raw] = []


class Resume(Payload, frozen=True, kw_only=True, tag="resume"):
    """Recording goes on in this file. The payload is the torn tail that was cut, ``cut_bytes`` its
    size in the file.
    """

    kind: ClassVar[str] = "resume"

    cut_bytes: int = 0
    wall: str


class Note(Entry, frozen=True, kw_only=True, tag="note"):
    """Free text of whoever captured it."""

    kind: ClassVar[str] = "note"

    text: str


class End(Entry, frozen=True, kw_only=True, tag="end"):
    """The recording was ended in order. ``entries`` counts this one too; ``sha256`` is of all bytes
    before this line.
    """

    kind: ClassVar[str] = "end"

    entries: int
    redaction: dict[str, int]
    sha256: str


class UnknownEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of a kind that this version does not know: its line, kept as it is, without the line
    end.
    """

    kind: str
    seq: int
    offset_ns: int | None
    line: bytes


KnownEntry: TypeAlias = (
    Open
    | Request
    | Response
    | Body
    | FrameEntry
    | MessageEntry
    | Bytes
    | Closed
    | Clock
    | Checkpoint
    | Resume
    | Note
    | End
)
"""An entry of a kind that this version knows."""

AnyEntry: TypeAlias = KnownEntry | UnknownEntry
"""Whatever a recording may hold behind its header."""
