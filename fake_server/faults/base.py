"""What a fault is: a frozen value that decides what becomes of a message, a handshake or a login.

A fault decides and does nothing: it is handed what would be sent and returns the steps that are
taken instead. The steps of one fault pass through the next, in the order of their stages, so that
any of them can be combined. Who takes the steps is :mod:`fake_server.faults.carrier`.
"""

from __future__ import annotations

import random
from abc import abstractmethod
from enum import IntEnum
from typing import Any, ClassVar, Literal, TypeAlias

import msgspec

from recorder.track.kinds import ping_uuids, read_message
from recorder.wire.frames import Frame, FrameParser, Opcode

__all__ = [
    "Cut",
    "Expire",
    "Fault",
    "Finish",
    "HandshakeFault",
    "LoginFault",
    "MessageFault",
    "MomentFault",
    "Place",
    "Refusal",
    "Send",
    "Silence",
    "Stage",
    "Stall",
    "Step",
    "WrongAccept",
    "frame_of",
    "kind_of",
    "text_of",
]


class Stage(IntEnum):
    """In which order the faults of one socket see a message."""

    CONTENT = 1
    """What the message says."""
    ORDER = 2
    """Whether, how often and in which order messages go out."""
    TIME = 3
    """When they go out, decided while they are whole and their kind can be told."""
    FRAMING = 4
    """What frames they become."""
    BYTES = 5
    """What chunks the bytes become."""


class Send(msgspec.Struct, frozen=True, kw_only=True):
    """``data`` goes to the transport in one piece, ``delay_s`` after the message was to be sent,
    and not before what stands in front of it.

    ``pause_s``: at least so long after what stands in front of it was taken.
    ``whole`` says that it is one frame as the server would send it: content and framing faults
    leave alone what is not. ``ping`` is the uuid of the live PING in it, for the server to expect
    the pong from when it goes out.
    """

    data: bytes
    delay_s: float = 0.0
    pause_s: float = 0.0
    whole: bool = True
    ping: str | None = None


class Stall(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing more is sent on this socket; TCP stays open."""

    delay_s: float = 0.0


class Finish(msgspec.Struct, frozen=True, kw_only=True):
    """``data``, a close frame, begins the closing handshake; nothing follows it."""

    data: bytes
    delay_s: float = 0.0


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """TCP ends without a close frame: by FIN behind what was sent, or by RST at once."""

    how: Literal["fin", "rst"]
    delay_s: float = 0.0


class Expire(msgspec.Struct, frozen=True, kw_only=True):
    """The session of this socket ends, as if its time were over."""

    delay_s: float = 0.0


Step: TypeAlias = Send | Stall | Finish | Cut | Expire


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """The handshake is answered with this in place of 101. ``headers`` are all but Content-Length,
    which is added.
    """

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


class WrongAccept(msgspec.Struct, frozen=True, kw_only=True):
    """The handshake is answered 101 with this ``Sec-WebSocket-Accept``; empty leaves it out."""

    accept: str


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """The handshake is not answered; after ``hang_up_s`` TCP ends, by FIN."""

    hang_up_s: float


class Place:
    """Where a fault strikes: what it may use and remember for one socket (or for all handshakes,
    or all logins).

    ``rng`` is seeded by the seed of the board, the fault and the socket, so that a run repeats
    itself. ``memory`` is the fault's own. ``last_message`` is, for faults
    of a moment, the frame of the last text that came by, PINGs aside.
    """

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.memory: dict[str, Any] = {}
        self.last_message: bytes | None = None


class Fault(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="fault"
):
    """The base of all. A fault is a Struct of one of the four kinds below, its tag the name by
    which it is asked for, its fields what can be set (with units in their names), its docstring
    what it does.
    """

    def __post_init__(self) -> None:
        """Raise ValueError, naming the field, if a value cannot be."""


class MessageFault(Fault, frozen=True, kw_only=True):
    """Changes messages on their way. Every frame passes, control and close frames too; those of
    ``kinds`` (empty: all data frames) are changed.
    """

    stage: ClassVar[Stage]
    kinds: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def change(self, send: Send, place: Place) -> list[Step]:
        """What is done in place of ``send``."""

    def let_pass(self, send: Send, place: Place) -> list[Step]:
        """What is done for a frame that it does not strike: one of other kinds, or whose turn it is
        not. A fault that holds something back learns from it when that may go.
        """
        return [send]

    def release(self, place: Place) -> list[Step]:
        """What was held back and goes out now, because the fault is taken away or the socket
        ends.
        """
        return []


class MomentFault(Fault, frozen=True, kw_only=True):
    """Happens to a socket at a moment: once, unless the schedule says more."""

    @abstractmethod
    def strike(self, place: Place) -> list[Step]:
        """What is done then."""


class HandshakeFault(Fault, frozen=True, kw_only=True):
    """Happens to a handshake that would have been answered 101."""

    @abstractmethod
    def answer(self, place: Place) -> Refusal | WrongAccept | Silence:
        """What becomes of it."""


class LoginFault(Fault, frozen=True, kw_only=True):
    """Happens to a login."""

    @abstractmethod
    def wait_s(self, place: Place) -> float:
        """So many seconds its answer is late."""


def frame_of(send: Send) -> Frame | None:
    """The one frame in it, or None where it is not whole."""
    if not send.whole:
        return None
    parser = FrameParser()
    events = parser.feed(send.data)
    if len(events) == 1 and isinstance(events[0], Frame) and not parser.pending:
        return events[0]
    return None


def text_of(send: Send) -> bytes | None:
    """The payload of the one unfragmented text message in it, or None."""
    frame = frame_of(send)
    if frame is not None and frame.opcode == Opcode.TEXT and frame.fin:
        return frame.payload
    return None


def kind_of(send: Send) -> str:
    """The kind of message: as :data:`recorder.track.kinds.Kind` has it, ``PING``, ``control``,
    ``close``, or ``fragment`` for what is no whole text.
    """
    if send.ping is not None:
        return "PING"
    opcode = send.data[0] & 0x0F if send.data else 0
    if opcode >= Opcode.CLOSE:
        return "close" if opcode == Opcode.CLOSE else "control"
    payload = text_of(send)
    if payload is None:
        return "fragment"
    if ping_uuids(payload):
        return "PING"
    parts = read_message(payload)
    return parts[0].kind if parts else "unknown"
