"""Fragments to messages, for one direction of a connection (RFC 6455 sections 5.4, 5.6 and 8.1).
Pure.

What a frame breaks by itself is :meth:`recorder.wire.frames.Frame.check`'s; here is what only a
sequence of frames can break.
"""

from __future__ import annotations

import codecs
from typing import Final

import msgspec

from recorder.wire.frames import CloseCode, Frame, Opcode

__all__ = ["MAX_MESSAGE_BYTES", "Message", "MessageAssembler", "Problem"]

MAX_MESSAGE_BYTES: Final = 64 * 1024 * 1024
"""The default limit of one message, over all its fragments."""


class Message(msgspec.Struct, frozen=True, gc=False):
    """One data message: ``opcode`` (TEXT or BINARY, or a reserved non-control opcode), the payload
    of all its fragments.
    """

    opcode: int
    payload: bytes
    fragments: int = 1

    @property
    def is_text(self) -> bool:
        """Whether it is text; the payload is UTF-8 then unless a :class:`Problem` came with it."""
        return self.opcode == Opcode.TEXT


class Problem(msgspec.Struct, frozen=True):
    """A sequence of frames that RFC 6455 forbids: one sentence, and the close code for it (section
    7.4.1).
    """

    why: str
    close_code: int


class MessageAssembler:
    """Joins the fragments of one direction; control frames pass between them and are not its
    business.

    It raises nothing and goes on after a :class:`Problem`, so that a recording with one broken
    message still shows the others; an endpoint closes with the problem's code.
    """

    __slots__ = (
        "_fragments",
        "_limit",
        "_opcode",
        "_parts",
        "_size",
        "_skipping",
        "_utf8",
    )

    def __init__(self, *, max_message_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._limit = max_message_bytes
        self._opcode: int | None = None
        self._parts: list[bytes] = []
        self._fragments = 0
        self._size = 0
        self._utf8: codecs.IncrementalDecoder | None = None
        self._skipping = False

    @property
    def unfinished(self) -> bool:
        """Whether a message was begun and its last fragment has not come."""
        return self._opcode is not None

    def feed(self, frame: Frame) -> list[Message | Problem]:
        """Take the next frame; return the message it completes, if any, and what was wrong, in
        order.
        """
        if frame.is_control:
            return []
        events: list[Message | Problem] = []
        if frame.opcode == Opcode.CONTINUATION:
            if self._skipping:
                # The rest of a message that was too big: that was said.
                self._skipping = not frame.fin
                return []
            if self._opcode is None:
                # 5.4: "a fragmented message consists of a single frame with the FIN bit clear and
                # an opcode other than 0".
                return [
                    Problem("a continuation frame continues no message", CloseCode.PROTOCOL_ERROR)
                ]
        else:
            self._skipping = False
            if self._opcode is not None:
                # 5.4: "The fragments of one message MUST NOT be interleaved between the fragments
                # of another message".
                events.append(
                    Problem("a message begins inside an unfinished one", CloseCode.PROTOCOL_ERROR)
                )
                self._drop()
            if frame.fin:
                if len(frame.payload) > self._limit:
                    return [*events, self._too_big(len(frame.payload))]
                return [*events, *_complete(frame.opcode, frame.payload, 1)]
            self._opcode = frame.opcode
            if frame.opcode == Opcode.TEXT:
                self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._fragments += 1
        if frame.payload:
            # Empty ones may come without end: they must not take memory.
            self._parts.append(frame.payload)
        self._size += len(frame.payload)
        if self._size > self._limit:
            problem = self._too_big(self._size)
            self._drop()
            self._skipping = not frame.fin
            return [*events, problem]
        if self._utf8 is not None:
            try:
                self._utf8.decode(frame.payload, frame.fin)
                held = self._utf8.getstate()[0]
                # CPython waits for a third byte, but ED A0 to ED BF begin only surrogates.
                bad = held[:1] == b"\xed" and held[1:2] >= b"\xa0"
            except UnicodeDecodeError:
                bad = True
            if bad:
                # 8.1: fail as soon as the bytes are seen, not at the end of the message.
                events.append(_bad_utf8())
                self._utf8 = None
        if frame.fin:
            assert self._opcode is not None
            events.append(Message(self._opcode, b"".join(self._parts), self._fragments))
            self._drop()
        return events

    def _too_big(self, size: int) -> Problem:
        return Problem(
            f"a message of {size} bytes is above the limit of {self._limit}", CloseCode.TOO_BIG
        )

    def _drop(self) -> None:
        self._opcode = None
        self._parts.clear()
        self._fragments = 0
        self._size = 0
        self._utf8 = None


def _complete(opcode: int, payload: bytes, fragments: int) -> list[Message | Problem]:
    message = Message(opcode, payload, fragments)
    if opcode == Opcode.TEXT and not payload.isascii():
        try:
            payload.decode("utf-8")
        except UnicodeDecodeError:
            return [_bad_utf8(), message]
    return [message]


def _bad_utf8() -> Problem:
    return Problem("a text message is not UTF-8", CloseCode.INVALID_DATA)
