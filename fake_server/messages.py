"""Messages that the fake makes itself, each in one frame, as it stands on the wire."""

from __future__ import annotations

from recorder.track.rules import Rules
from recorder.wire.frames import Frame, Opcode

__all__ = ["ping_message", "text_frame", "timeout_message"]


def text_frame(payload: bytes) -> bytes:
    """A text message in one frame."""
    return Frame.make(Opcode.TEXT, payload).serialize()


def ping_message(uuid: str) -> bytes:
    """The frame of a PING (manual section 3.3)."""
    status = b'{"message":"%s","type":"PING","localeKey":null,"localeValues":null}' % uuid.encode()
    return text_frame(b'{"status":[%s]}' % status)


def timeout_message(rules: Rules) -> bytes:
    """The frame that shows the web session timeout (manual section 3.4)."""
    return text_frame(b'{"webSessionTimeout":[%d]}' % round(rules.session_timeout_s))
