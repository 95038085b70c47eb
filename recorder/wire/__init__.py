"""Any WebSocket, without I/O: frames, messages, the handshake, the JSON texts of payloads."""

from recorder.wire.frames import (
    MAX_FRAME_BYTES,
    CloseCode,
    Frame,
    FrameParser,
    Opcode,
    Sender,
    Unparsed,
    close_frame,
    random_masking_key,
)
from recorder.wire.handshake import accept_for, check_accept, check_key, new_key
from recorder.wire.messages import MAX_MESSAGE_BYTES, Message, MessageAssembler, Problem

__all__ = [
    "MAX_FRAME_BYTES",
    "MAX_MESSAGE_BYTES",
    "CloseCode",
    "Frame",
    "FrameParser",
    "Message",
    "MessageAssembler",
    "Opcode",
    "Problem",
    "Sender",
    "Unparsed",
    "accept_for",
    "check_accept",
    "check_key",
    "close_frame",
    "new_key",
    "random_masking_key",
]
