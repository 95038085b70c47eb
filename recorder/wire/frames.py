"""RFC 6455 frames: parse, serialize, check. Bytes in, frames out, no I/O.

Strategy: :class:`FrameParser` keeps the bytes of at most one incomplete frame.
:meth:`FrameParser.feed` cuts whole frames out of what it has in one loop over local names, because
this loop is where a recorder spends its time. What a frame's header says is kept as the bytes that
came (``Frame.head``), so that a non-minimal length, a reserved bit or a masking key can be judged
later (:meth:`Frame.check`) and written again exactly (:meth:`Frame.serialize`). The parser itself
judges only what it must: a length above the limit, which is refused before anything is allocated
for it.
"""

from __future__ import annotations

import os
from enum import IntEnum
from typing import Final, Literal

import msgspec

from recorder.wire.masking import apply_mask

__all__ = [
    "MAX_FRAME_BYTES",
    "CloseCode",
    "Frame",
    "FrameParser",
    "Opcode",
    "Sender",
    "Unparsed",
    "close_frame",
    "random_masking_key",
]

Sender = Literal["client", "server"]

MAX_FRAME_BYTES: Final = 64 * 1024 * 1024
"""The default limit of one frame's payload. The largest message seen from Track is far below it."""


class Opcode(IntEnum):
    """RFC 6455 section 5.2. The other ten of the sixteen values are reserved and stay plain
    integers.
    """

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


class CloseCode(IntEnum):
    """The close codes that this project sends. RFC 6455 section 7.4.1."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    TOO_BIG = 1009
    INTERNAL_ERROR = 1011


# The size of a frame header, told by its second byte: mask bit and length form (5.2).
_HEAD_SIZES: Final = [
    2 + {126: 2, 127: 8}.get(second & 0x7F, 0) + (4 if second & 0x80 else 0)
    for second in range(256)
]

_OPCODE_NAMES: Final = {int(opcode): opcode.name.lower() for opcode in Opcode}


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One frame as it stood on the wire.

    ``head`` holds the header bytes as they came: flags and opcode, length in whatever form, masking
    key. ``payload`` is unmasked. ``opcode`` is the number, an :class:`Opcode` or a reserved value.
    """

    opcode: int
    payload: bytes
    head: bytes

    @classmethod
    def make(
        cls,
        opcode: int,
        payload: bytes = b"",
        *,
        fin: bool = True,
        rsv: int = 0,
        mask: bytes | None = None,
        length_bytes: Literal[0, 2, 8] | None = None,
    ) -> Frame:
        """Make a frame to be sent.

        ``mask`` is the masking key of four bytes that a client must use (RFC 6455 section 5.3), or
        None as a server must. ``rsv`` is 0 to 7. ``length_bytes`` forces an extended length form,
        minimal or not; None takes the minimal one. Raises ValueError if the length does not fit the
        form, or a value is out of range.
        """
        if not (0 <= opcode <= 15 and 0 <= rsv <= 7):
            raise ValueError(f"opcode {opcode} or rsv {rsv} out of range (0-15, 0-7)")
        if mask is not None and len(mask) != 4:
            raise ValueError(f"a masking key has 4 bytes, not {len(mask)}")
        size = len(payload)
        if length_bytes is None:
            length_bytes = 0 if size < 126 else 2 if size < 65536 else 8
        masked = 0 if mask is None else 0x80
        first = (0x80 if fin else 0) | rsv << 4 | opcode
        if length_bytes == 0:
            if size > 125:
                raise ValueError(f"{size} bytes do not fit a 7-bit length")
            head = bytes((first, masked | size))
        else:
            if length_bytes == 2 and size > 65535:
                raise ValueError(f"{size} bytes do not fit a 16-bit length")
            marker = 126 if length_bytes == 2 else 127
            head = bytes((first, masked | marker)) + size.to_bytes(length_bytes, "big")
        return cls(opcode, payload, head + mask if mask is not None else head)

    @property
    def fin(self) -> bool:
        """Whether this is the last fragment of its message."""
        return self.head[0] >= 0x80

    @property
    def rsv(self) -> int:
        """The three reserved bits, 0 to 7 (RSV1 is 4)."""
        return self.head[0] >> 4 & 7

    @property
    def masking_key(self) -> bytes | None:
        """The four bytes that the payload was masked with, or None."""
        return self.head[-4:] if self.head[1] & 0x80 else None

    @property
    def is_control(self) -> bool:
        """Whether the opcode is one of the eight of control frames (RFC 6455 section 5.5)."""
        return self.opcode >= 8

    @property
    def close_code(self) -> int | None:
        """The code of a close frame, None where there is none or the frame is no close."""
        if self.opcode == Opcode.CLOSE and len(self.payload) >= 2:
            return int.from_bytes(self.payload[:2], "big")
        return None

    @property
    def close_reason(self) -> str:
        """The reason of a close frame; bytes that are not UTF-8 are shown as replacement
        characters.
        """
        return self.payload[2:].decode("utf-8", "replace") if self.opcode == Opcode.CLOSE else ""

    def serialize(self) -> bytes:
        """The bytes of the frame as they stood on the wire, or as they shall stand there."""
        key = self.masking_key
        return self.head + (self.payload if key is None else apply_mask(self.payload, key))

    def check(self, sender: Sender) -> list[str]:
        """What RFC 6455 forbids in this frame, by itself, when ``sender`` sent it: one sentence a
        violation.

        What only the frames before it can tell (a continuation of nothing, UTF-8 over fragments) is
        for :class:`recorder.wire.messages.MessageAssembler`.
        """
        found = []
        # 5.2: "MUST be 0 unless an extension is negotiated that defines meanings for non-zero
        # values."
        if self.rsv:
            found.append(
                f"reserved bits {self.rsv:03b} are set; no extension was negotiated (RFC 6455 5.2)"
            )
        # 5.2: "If an unknown opcode is received, the receiving endpoint MUST _Fail the WebSocket
        # Connection_."
        if self.opcode not in _OPCODE_NAMES:
            found.append(f"opcode {self.opcode:#x} is reserved (RFC 6455 5.2)")
        # 5.1: "a client MUST mask all frames"; "A server MUST NOT mask any frames".
        masked = self.head[1] >= 0x80
        if masked != (sender == "client"):
            found.append(
                "a server's frame is masked (RFC 6455 5.1)"
                if masked
                else "a client's frame is not masked (RFC 6455 5.1)"
            )
        # 5.2: "the minimal number of bytes MUST be used to encode the length".
        size = len(self.payload)
        form = self.head[1] & 0x7F
        if (form == 126 and size < 126) or (form == 127 and size < 65536):
            found.append(
                f"a length of {size} stands in {2 if form == 126 else 8} bytes (RFC 6455 5.2)"
            )
        if self.is_control:
            # 5.5: "All control frames MUST have a payload length of 125 bytes or less and MUST NOT
            # be fragmented."
            if size > 125:
                found.append(f"a control frame has {size} bytes; 125 are allowed (RFC 6455 5.5)")
            if not self.fin:
                found.append("a control frame is fragmented (RFC 6455 5.5)")
        if self.opcode == Opcode.CLOSE:
            found += _check_close(self.payload)
        return found

    def __str__(self) -> str:
        name = _OPCODE_NAMES.get(self.opcode, f"opcode {self.opcode:#x}")
        if self.opcode == Opcode.CLOSE and self.close_code is not None:
            shown = f"{self.close_code} {self.close_reason!r}"
        else:
            shown = repr(self.payload if len(self.payload) <= 60 else self.payload[:57] + b"...")
        flags = ["" if self.fin else "not final", f"rsv {self.rsv:03b}" if self.rsv else ""]
        notes = ", ".join(flag for flag in flags if flag)
        return f"{name} {shown} [{len(self.payload)} bytes{', ' + notes if notes else ''}]"


def _check_close(payload: bytes) -> list[str]:
    # 5.5.1: "If there is a body, the first two bytes of the body MUST be a 2-byte unsigned
    # integer".
    if len(payload) == 1:
        return ["a close frame has a body of one byte (RFC 6455 5.5.1)"]
    found = []
    if payload:
        code = int.from_bytes(payload[:2], "big")
        # 7.4.1 and 7.4.2: 1004, 1005, 1006 and 1015 never stand in a frame; below 1000 and 1012 to
        # 2999 are not ours to use. IANA has registered 1012 to 1014 since.
        if not (code in (1000, 1001, 1002, 1003) or 1007 <= code <= 1014 or 3000 <= code <= 4999):
            found.append(f"close code {code} must not stand in a frame (RFC 6455 7.4)")
        try:
            payload[2:].decode("utf-8")
        except UnicodeDecodeError:
            found.append("the reason of a close frame is not UTF-8 (RFC 6455 5.5.1)")
    return found


def close_frame(code: int, reason: str = "", *, mask: bytes | None = None) -> Frame:
    """A close frame with code and reason. Raises ValueError if the reason has more than 123 bytes
    of UTF-8.
    """
    body = reason.encode("utf-8")
    if len(body) > 123:
        raise ValueError(f"a close reason has at most 123 bytes, not {len(body)} (RFC 6455 5.5)")
    return Frame.make(Opcode.CLOSE, code.to_bytes(2, "big") + body, mask=mask)


class Unparsed(msgspec.Struct, frozen=True, gc=False):
    """Bytes that no frame could be made of: what came at and after a refused header, or the torn
    tail.

    ``offset`` counts from the first byte that the parser was fed; ``why`` is one sentence.
    """

    data: bytes
    offset: int
    why: str


class FrameParser:
    """An incremental parser for the frames of one direction of a connection.

    It takes frames of both roles, masked or not, and raises nothing: any bytes give :class:`Frame`
    and :class:`Unparsed`. A frame longer than ``max_frame_bytes`` is refused as soon as its header
    is read; from that header on everything is :class:`Unparsed`, for nobody can say where the next
    frame starts. Memory is bounded by ``max_frame_bytes`` and one chunk.

    >>> parser = FrameParser()
    >>> [str(frame) for frame in parser.feed(bytes.fromhex("8103 7b7d 0a 88"))]
    ["text b'{}\\\\n' [3 bytes]"]
    >>> parser.close()
    [Unparsed(data=b'\\x88', offset=5, why='the stream ended inside a frame header')]
    """

    __slots__ = (
        "_buffer",
        "_limit",
        "_offset",
        "_refused",
        "_wanted",
    )

    def __init__(self, *, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._limit = max_frame_bytes
        # The bytes of an incomplete frame. A large payload arrives in many chunks: they become
        # bytes once, when `_wanted` of them are there. A list of chunks would cost an object each.
        self._buffer = bytearray()
        self._wanted = 0
        self._offset = 0
        self._refused: str | None = None

    @property
    def pending(self) -> int:
        """How many bytes of an incomplete frame are held."""
        return len(self._buffer)

    @property
    def refused(self) -> str | None:
        """Why this direction is not parsed any more, or None while it is."""
        return self._refused

    def feed(self, data: bytes) -> list[Frame | Unparsed]:
        """Take the next chunk, of any size; return what became complete with it, in order."""
        if self._refused is not None:
            return [*self._rest(data, self._refused)] if data else []
        if self._buffer:
            if len(self._buffer) + len(data) < self._wanted:
                self._buffer += data
                return []
            data = b"".join((self._buffer, data))
            self._buffer.clear()
        events: list[Frame | Unparsed] = []
        limit = self._limit
        position = 0
        end = len(data)
        wanted = 2
        while end - position >= 2:
            second = data[position + 1]
            if second < 126:
                body = position + 2
                size = second
            elif second == 126:
                # Most of a server's frames come here, which is why it has a branch of its own.
                body = position + 4
                if end < body:
                    wanted = 4
                    break
                size = data[position + 2] << 8 | data[position + 3]
            else:
                body = position + _HEAD_SIZES[second]
                if end < body:
                    wanted = body - position
                    break
                form = second & 0x7F
                if form == 126:
                    size = data[position + 2] << 8 | data[position + 3]
                elif form == 127:
                    size = int.from_bytes(data[position + 2 : position + 10], "big")
                else:
                    size = form
            if size > limit:
                self._offset += position
                self._refused = f"a frame of {size} bytes is above the limit of {limit}"
                return [*events, *self._rest(data[position:], self._refused)]
            stop = body + size
            if stop > end:
                wanted = stop - position
                break
            payload = data[body:stop]
            head = data[position:body]
            if second >= 0x80:
                payload = apply_mask(payload, head[-4:])
            events.append(Frame(data[position] & 0x0F, payload, head))
            position = stop
        self._offset += position
        self._wanted = wanted
        if position < end:
            self._buffer += data[position:]
        return events

    def close(self) -> list[Unparsed]:
        """Say that the stream ended; return its torn tail, or nothing. Raises nothing; feed nothing
        after it.
        """
        if not self._buffer:
            return []
        tail = bytes(self._buffer)
        self._buffer.clear()
        complete_head = len(tail) >= 2 and len(tail) >= _HEAD_SIZES[tail[1]]
        where = "a frame" if complete_head else "a frame header"
        self._refused = "the stream ended"
        return self._rest(tail, f"the stream ended inside {where}")

    def _rest(self, data: bytes, why: str) -> list[Unparsed]:
        event = Unparsed(data, self._offset, why)
        self._offset += len(data)
        return [event]


def random_masking_key() -> bytes:
    """Four bytes from the system's strong source, as RFC 6455 section 5.3 wants them."""
    return os.urandom(4)
