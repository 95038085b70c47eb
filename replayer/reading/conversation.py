"""What was said: entries in, messages out. Pure.

:func:`converse` joins what a recording keeps apart: fragments become messages, request and response
heads become exchanges. Everything else passes as the entry that it is, in its place, so that
nothing of a recording is lost on the way to a reader.

Memory: one unfinished message and the unanswered requests of each open connection.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

import msgspec

from recorder.errors import CorruptRecording
from recorder.model import (
    Body,
    Bytes,
    Checkpoint,
    Clock,
    Closed,
    End,
    FrameEntry,
    KnownEntry,
    MessageEntry,
    Note,
    Open,
    Request,
    Response,
    Resume,
    Sender,
    UnknownEntry,
)
from recorder.track.kinds import Part, objects_of, parse_pong, ping_uuids, read_message
from recorder.wire.frames import Frame, Opcode
from recorder.wire.messages import MAX_MESSAGE_BYTES, Message, MessageAssembler
from replayer.reading.checkpoints import read_checkpoint

__all__ = [
    "WHOLE_TEXT",
    "BrokenMessage",
    "DataMessage",
    "Exchange",
    "Item",
    "converse",
    "frame_of",
    "kinds_of",
    "parts_of",
]


class DataMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One data message (RFC 6455 section 5.6), whole.

    ``seq`` and ``offset_ns`` are those of the entry that completed it. ``opcode`` is ``text`` or
    ``binary``, or the number of a reserved one; ``fragments`` counts its frames, 1 where frames
    were never seen. ``redacted`` says that a value in it was replaced.
    """

    seq: int
    offset_ns: int | None
    connection: int
    sender: Sender
    opcode: str | int
    payload: bytes
    fragments: int
    redacted: bool = False

    @property
    def kinds(self) -> tuple[str, ...]:
        """What it means, a word for each JSON text in it; see :func:`kinds_of`. Parses the payload
        at each use."""
        return kinds_of(self, parts_of(self))


class BrokenMessage(msgspec.Struct, frozen=True, kw_only=True):
    """Frames that make no message (RFC 6455 section 5.4), and ``why``. It stands where that was
    found out, and has that moment. ``cut_off`` says that the recording ended before the message
    did: nobody broke it."""

    seq: int
    offset_ns: int | None
    connection: int
    sender: Sender
    why: str
    cut_off: bool = False


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """A request's head and that of its response, whichever were seen; it stands where the response
    does.

    A request without a response stands where its connection ends, or the recording, and has that
    moment. ``took_ns`` is the time between the two.
    """

    seq: int
    offset_ns: int | None
    connection: int
    request: Request | None
    response: Response | None

    @property
    def took_ns(self) -> int | None:
        """Nanoseconds from the request's head to the response's; None where a head or the timing is
        missing."""
        if self.request is None or self.response is None:
            return None
        if self.request.offset_ns is None or self.response.offset_ns is None:
            return None
        return self.response.offset_ns - self.request.offset_ns


Item: TypeAlias = (
    DataMessage
    | BrokenMessage
    | Exchange
    | FrameEntry
    | Bytes
    | Note
    | Open
    | Closed
    | Body
    | Clock
    | Checkpoint
    | Resume
    | End
    | UnknownEntry
)
"""What :func:`converse` gives. A :class:`~recorder.model.FrameEntry` among them is a control
frame."""

_SURELY_NOT_TOO_BIG: Final = MAX_MESSAGE_BYTES // 4
"""A text of so many characters is within the limit, as UTF-8 spells one in at most four bytes."""

WHOLE_TEXT: Final = "81"
"""How the head of an unfragmented text begins, in hex: FIN and opcode 1 (RFC 6455 section 5.2)."""
_LEAST_HEAD: Final = 4

_OPCODE_NAMES: Final[dict[int, str]] = {int(opcode): opcode.name.lower() for opcode in Opcode}


class _Half:
    """The unfinished message of one sender on one connection."""

    def __init__(self) -> None:
        self.assembler = MessageAssembler()
        self.redacted = False
        self.last: FrameEntry | None = None


def converse(entries: Iterable[KnownEntry | UnknownEntry]) -> Iterator[Item]:
    """The conversation in a recording, in the order of its entries.

    Frames that RFC 6455 forbids in their place give a :class:`BrokenMessage`, and reading goes on.
    A message that its connection or a resumed recorder leaves unfinished is broken too; one that
    the recording ends in is cut off. One that was begun before a checkpoint is whole with what the
    checkpoint has of it, and a response finds its request there.

    Raises CorruptRecording on a frame whose fields cannot be one, and what ``entries`` raises.
    """
    halves: dict[tuple[int, Sender], _Half] = {}
    waiting: dict[tuple[int, int], Request] = {}
    last_ns = before_ns = None
    for entry in entries:
        if entry.offset_ns is not None:
            before_ns, last_ns = last_ns, entry.offset_ns
        match entry:
            case FrameEntry():
                if (
                    entry.head[:2] == WHOLE_TEXT
                    and len(entry.head) >= _LEAST_HEAD
                    and entry.opcode == "text"
                    and entry.text is not None
                    and len(entry.text) <= _SURELY_NOT_TOO_BIG
                    and (
                        (begun := halves.get((entry.connection, entry.sender))) is None
                        or not begun.assembler.unfinished
                    )
                ):
                    # Nearly every message is one frame of text that UTF-8 can spell: it needs no
                    # joining. One after a message that was too big ends skipping that one.
                    if begun is not None:
                        del halves[entry.connection, entry.sender]
                    yield DataMessage(
                        seq=entry.seq,
                        offset_ns=entry.offset_ns,
                        connection=entry.connection,
                        sender=entry.sender,
                        opcode="text",
                        payload=entry.text.encode("utf-8"),
                        fragments=1,
                        redacted=entry.redacted,
                    )
                    continue
                frame = frame_of(entry)
                if frame.is_control:
                    yield entry
                else:
                    half = halves.setdefault((entry.connection, entry.sender), _Half())
                    yield from _feed(half, frame, entry)
            case MessageEntry():
                yield DataMessage(
                    seq=entry.seq,
                    offset_ns=entry.offset_ns,
                    connection=entry.connection,
                    sender=entry.sender,
                    opcode=entry.opcode,
                    payload=entry.data,
                    fragments=1,
                    redacted=entry.redacted,
                )
            case Request():
                waiting[entry.connection, entry.exchange] = entry
            case Response():
                request = waiting.get((entry.connection, entry.exchange))
                # 1xx is followed by the final response of the same request (RFC 9110 section 15.2);
                # 101 is final.
                if entry.status >= 200 or entry.status == 101:
                    waiting.pop((entry.connection, entry.exchange), None)
                yield Exchange(
                    seq=entry.seq,
                    offset_ns=entry.offset_ns,
                    connection=entry.connection,
                    request=request,
                    response=entry,
                )
            case Closed():
                yield from _leave(
                    [key for key in halves if key[0] == entry.connection],
                    [key for key in waiting if key[0] == entry.connection],
                    halves,
                    waiting,
                    entry.offset_ns,
                )
                yield entry
            case Resume():
                # Whoever recorded before is gone, and its connections with it.
                yield from _leave(list(halves), list(waiting), halves, waiting, before_ns)
                yield entry
            case Checkpoint():
                yield from _take_up(entry, halves, waiting, before_ns)
                yield entry
            case _:
                yield entry
    for left in _leave(list(halves), list(waiting), halves, waiting, last_ns):
        if isinstance(left, BrokenMessage):
            left = msgspec.structs.replace(left, why="the recording ends in it", cut_off=True)
        yield left


def frame_of(entry: FrameEntry) -> Frame:
    """The frame as it stood on the wire. Raises CorruptRecording if the entry's fields cannot be
    one."""
    try:
        return entry.frame()
    except ValueError as exc:
        raise CorruptRecording(f"entry {entry.seq} is no frame: {exc}") from exc


def _feed(half: _Half, frame: Frame, entry: FrameEntry) -> Iterator[DataMessage | BrokenMessage]:
    if not half.assembler.unfinished or frame.opcode != Opcode.CONTINUATION:
        half.redacted = False
    half.redacted |= entry.redacted
    half.last = entry
    for event in half.assembler.feed(frame):
        if isinstance(event, Message):
            yield DataMessage(
                seq=entry.seq,
                offset_ns=entry.offset_ns,
                connection=entry.connection,
                sender=entry.sender,
                opcode=_OPCODE_NAMES.get(event.opcode, event.opcode),
                payload=event.payload,
                fragments=event.fragments,
                redacted=half.redacted,
            )
        else:
            yield _broken(entry, event.why, entry.offset_ns)


def _broken(entry: FrameEntry, why: str, at_ns: int | None) -> BrokenMessage:
    return BrokenMessage(
        seq=entry.seq,
        offset_ns=at_ns,
        connection=entry.connection,
        sender=entry.sender,
        why=why,
    )


def _take_up(
    checkpoint: Checkpoint,
    halves: dict[tuple[int, Sender], _Half],
    waiting: dict[tuple[int, int], Request],
    before_ns: int | None,
) -> Iterator[BrokenMessage | Exchange]:
    """Go on from where the checkpoint stands, which need not be where reading stands: then what
    came between is missing.
    """
    standing = read_checkpoint(checkpoint)
    yield from _leave(
        [key for key in halves if key not in standing.fragments],
        [key for key in waiting if key[0] not in standing.connections],
        halves,
        waiting,
        before_ns,
    )
    for key, fragment in standing.fragments.items():
        halves[key] = half = _Half()
        for _ in _feed(half, fragment.frame, fragment.entry(checkpoint)):
            # What is wrong with it so far was said in the part before.
            pass
    for connection in standing.connections.values():
        request = connection.asked(checkpoint)
        if request is not None and connection.response is None:
            waiting[request.connection, request.exchange] = request


def _leave(
    half_keys: list[tuple[int, Sender]],
    exchange_keys: list[tuple[int, int]],
    halves: dict[tuple[int, Sender], _Half],
    waiting: dict[tuple[int, int], Request],
    at_ns: int | None,
) -> Iterator[BrokenMessage | Exchange]:
    """Forget these; say what they leave unfinished at that moment."""
    for half_key in half_keys:
        half = halves.pop(half_key)
        if half.assembler.unfinished and half.last is not None:
            yield _broken(half.last, "a message was begun and not finished", at_ns)
    for exchange_key in exchange_keys:
        request = waiting.pop(exchange_key)
        yield Exchange(
            seq=request.seq,
            offset_ns=at_ns,
            connection=request.connection,
            request=request,
            response=None,
        )


def parts_of(message: DataMessage) -> list[Part]:
    """The JSON texts of a server's text message; empty for any other, since Track gives those no
    meaning."""
    if message.sender == "server" and message.opcode == "text":
        return read_message(message.payload)
    return []


def kinds_of(message: DataMessage, parts: list[Part]) -> tuple[str, ...]:
    """What a message means, a word for each of its ``parts`` (:func:`parts_of`), without
    repetitions.

    The words are those of :data:`recorder.track.kinds.Kind`, with ``PING`` for a ``status`` that
    holds nothing else (manual section 3.3), ``pong`` for a client's text that is or was meant as
    one, and ``text``, ``binary`` or ``reserved`` where there is nothing more to say.
    """
    if parts:
        return tuple(dict.fromkeys("PING" if _is_ping(part) else part.kind for part in parts))
    if (
        message.sender == "client"
        and message.opcode == "text"
        and parse_pong(message.payload) is not None
    ):
        return ("pong",)
    return (message.opcode if isinstance(message.opcode, str) else "reserved",)


def _is_ping(part: Part) -> bool:
    return part.kind == "status" and 0 < len(ping_uuids(part.data)) == len(objects_of(part))
