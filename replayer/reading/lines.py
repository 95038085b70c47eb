"""A line of ``track-replayer show``, and those of all items that are no messages. Pure.

Bodies and header fields of HTTP are never shown, as they hold passwords and cookies where a
recording is not redacted.
"""

from __future__ import annotations

from typing import Any, Final, get_args

import msgspec

from recorder.model import (
    Body,
    Bytes,
    Checkpoint,
    Clock,
    Closed,
    End,
    FrameEntry,
    Note,
    Open,
    Payload,
    Resume,
    Sender,
    UnknownEntry,
)
from recorder.track.kinds import Kind
from recorder.wire.frames import Opcode
from replayer.reading.checkpoints import read_checkpoint
from replayer.reading.conversation import BrokenMessage, DataMessage, Exchange, Item, frame_of
from replayer.reading.phrases import cut, excerpt, listed, quoted
from replayer.reading.words import counted, printable

__all__ = ["BACKGROUND_KINDS", "KINDS", "Line", "line_of"]

BACKGROUND_KINDS: Final = ("open", "body", "clock", "end")
"""What a recording notes about itself rather than about the conversation."""

KINDS: Final[tuple[str, ...]] = (
    *get_args(Kind),
    *("PING", "pong", "text", "binary", "reserved", "broken"),
    *("control", "close", "http", "bytes", "note", "closed", "checkpoint", "resume"),
    *BACKGROUND_KINDS,
)
"""Every kind that a :class:`Line` can have."""


class Line(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One item in words.

    ``payload`` is what its bytes were, None where it has none or they are not to be shown, and
    ``size_bytes`` how many. ``fragments`` counts the frames of a message. ``devices`` and
    ``beacons`` hold the ids and names of those that a message is about, where a name was told, be
    it earlier.
    """

    seq: int
    offset_ns: int | None
    connection: int | None = None
    sender: Sender | None = None
    opcode: str | int | None = None
    kinds: tuple[str, ...]
    size_bytes: int | None = None
    summary: str
    payload: bytes | None = None
    fragments: int = 1
    devices: tuple[str, ...] = ()
    beacons: tuple[str, ...] = ()


def line_of(item: Item) -> Line:
    """The line of an item that is no message (ValueError if it is one). Raises CorruptRecording
    where a frame's fields cannot be one."""
    match item:
        case DataMessage():
            raise ValueError("a message is described together with those before it")
        case FrameEntry():
            return _control(item)
        case BrokenMessage():
            return _line(item, "broken", f"no message: {item.why}", sender=item.sender)
        case Exchange():
            return _exchange(item)
        case Bytes():
            return _line(item, "bytes", printable(item.why), sender=item.sender, holder=item)
        case Note():
            return _line(item, "note", printable(item.text))
        case UnknownEntry():
            return _line(item, "unknown", f"an entry of the unknown kind {quoted(item.kind)}")
        case _:
            return _background(item)


def _line(
    item: Any,
    kind: str,
    summary: str,
    *,
    sender: Sender | None = None,
    opcode: str | int | None = None,
    holder: Payload | None = None,
) -> Line:
    data = None if holder is None else holder.data
    return Line(
        seq=item.seq,
        offset_ns=item.offset_ns,
        connection=getattr(item, "connection", None),
        sender=sender,
        opcode=opcode,
        kinds=(kind,),
        size_bytes=None if data is None else len(data),
        summary=summary,
        payload=data,
    )


def _control(entry: FrameEntry) -> Line:
    frame = frame_of(entry)
    if frame.opcode == Opcode.CLOSE:
        kind = "close"
        code = frame.close_code
        words = "no code" if code is None else f"{code} {printable(frame.close_reason)}".rstrip()
    else:
        kind = "control"
        words = excerpt(frame.payload) if frame.payload else "no payload"
    return _line(entry, kind, words, sender=entry.sender, opcode=entry.opcode, holder=entry)


def _exchange(exchange: Exchange) -> Line:
    request, response = exchange.request, exchange.response
    asked = "a request that was not recorded"
    if request is not None:
        asked = f"{cut(request.method)} {cut(request.target)}"
    answered = "no response"
    if response is not None:
        answered = f"{response.status} {cut(response.reason)}".rstrip()
    took_ns = exchange.took_ns
    took = "" if took_ns is None else f", {took_ns / 1e6:.0f} ms"
    sender: Sender = "client" if response is None else "server"
    return _line(exchange, "http", f"{asked} -> {answered}{took}", sender=sender)


def _background(item: Open | Closed | Body | Clock | Checkpoint | Resume | End) -> Line:
    match item:
        case Open():
            where = item.url or item.peer or "somewhere"
            summary = f"{cut(where)}{f', {printable(item.tls)}' if item.tls else ''}"
            if item.paired_with is not None and item.leg == "upstream":
                summary += f", for connection {item.paired_with}"
        case Closed():
            summary = f"by {item.by}, {item.how}"
            summary += f": {printable(item.detail)}" if item.detail else ""
        case Body():
            # Only its size: a body may hold a password.
            size = len(item.data)
            summary = f"of exchange {item.exchange}{'' if item.last else ', more follows'}"
            line = _line(item, "body", summary, sender=item.sender)
            return msgspec.structs.replace(line, size_bytes=size)
        case Clock():
            summary = printable(item.wall)
        case Checkpoint():
            summary = _checkpoint(item)
        case Resume():
            summary = (
                f"recording went on at {cut(item.wall)},"
                f" {counted(item.cut_bytes, 'bytes')} of a torn line cut"
            )
        case End():
            summary = f"{item.entries} entries"
    return _line(item, item.kind, summary)


def _checkpoint(item: Checkpoint) -> str:
    """What goes on here, and what is known."""
    standing = read_checkpoint(item)
    sockets = [str(number) for number, each in standing.connections.items() if each.is_socket]
    others = len(standing.connections) - len(sockets)
    goes_on = []
    if sockets:
        goes_on.append(f"{'socket' if len(sockets) == 1 else 'sockets'} {listed(sockets)}")
    if others:
        goes_on.append(f"{counted(others, 'connections')} of HTTP")
    if item.fragments:
        goes_on.append(counted(len(item.fragments), "begun messages"))
    if item.pings:
        goes_on.append(counted(len(item.pings), "unanswered PINGs"))
    state = (
        counted(len(getattr(item, kind)), kind) for kind in ("devices", "beacons", "positions")
    )
    return f"goes on: {', '.join(goes_on) or 'no connection'}; known: {', '.join(state)}"
