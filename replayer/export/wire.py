"""The exact bytes of one direction of a WebSocket. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from recorder.errors import CorruptRecording
from recorder.model import Bytes, FrameEntry, KnownEntry, Request, Response, Sender, UnknownEntry
from recorder.wire.frames import FrameParser
from replayer.reading.conversation import frame_of

__all__ = ["Socket", "sockets", "wire_bytes"]


class Socket(msgspec.Struct, frozen=True):
    """A connection that has frames, or a handshake that was answered with 101.

    ``starts`` is the seq of each sender's last HTTP head, where one was seen; WebSocket bytes come
    after it.
    """

    connection: int
    starts: dict[Sender, int]


def sockets(entries: Iterable[KnownEntry | UnknownEntry]) -> dict[int, Socket]:
    """The WebSocket connections of a recording, by number. Reads all entries."""
    starts: dict[int, dict[Sender, int]] = {}
    found: set[int] = set()
    for entry in entries:
        match entry:
            case Request():
                starts.setdefault(entry.connection, {})["client"] = entry.seq
            case Response():
                starts.setdefault(entry.connection, {})["server"] = entry.seq
                if entry.status == 101:
                    found.add(entry.connection)
            case FrameEntry():
                found.add(entry.connection)
    return {
        connection: Socket(connection, starts.get(connection, {})) for connection in sorted(found)
    }


def wire_bytes(
    entries: Iterable[KnownEntry | UnknownEntry], socket: Socket, sender: Sender
) -> Iterator[tuple[FrameEntry | Bytes, bytes]]:
    """Each entry of one direction of a socket with the bytes that stood on the wire, in order.

    Text before the HTTP head, which an imported file may have, is left out: it came from elsewhere.
    Raises CorruptRecording where a frame's header does not fit its payload, for such a recording
    was changed by hand.
    """
    for entry in entries:
        if not isinstance(entry, FrameEntry | Bytes):
            continue
        if entry.connection != socket.connection or entry.sender != sender:
            continue
        if isinstance(entry, FrameEntry):
            yield entry, _frame_bytes(entry)
        elif entry.seq > socket.starts.get(sender, 0):
            yield entry, entry.data


def _frame_bytes(entry: FrameEntry) -> bytes:
    frame = frame_of(entry)
    data = frame.serialize()
    if FrameParser(max_frame_bytes=len(data)).feed(data) != [frame]:
        raise CorruptRecording(
            f"entry {entry.seq}: the frame's head ({entry.head}) does not fit its opcode and its "
            f"payload of {len(frame.payload)} bytes: the recording was changed; take the original"
        )
    return data
