"""What the faults of order and of frames share."""

from __future__ import annotations

import msgspec

from fake_server.faults.base import Send, frame_of
from recorder.wire.frames import Frame, Opcode

__all__ = ["forbidden", "is_message"]


def is_message(send: Send) -> bool:
    """Whether it is a message in one frame. What is in fragments (RFC 6455 section 5.4) would be no
    message any more if one of them were lost, came twice or late.
    """
    frame = frame_of(send)
    return frame is not None and frame.fin and frame.opcode != Opcode.CONTINUATION


def forbidden(send: Send, head: bytes, frame: Frame) -> Send:
    """``frame`` with another head, one that RFC 6455 forbids. Since a client has to fail the
    connection there, no pong is owed for it.
    """
    data = Frame(head[0] & 0x0F, frame.payload, head).serialize()
    return msgspec.structs.replace(send, data=data, ping=None)
