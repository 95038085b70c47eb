"""What a ``checkpoint`` says, read: what was open, begun and unanswered when a recording went on in
a further file. Pure.

A checkpoint tells all of it: a connection that it does not name is not open. Its lists hold raw
JSON, and what cannot be read of them, because a newer version writes it otherwise, is passed over.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from recorder.model import Checkpoint, FrameEntry, Headers, Open, Payload, Request, Sender
from recorder.wire.frames import Frame
from replayer.state import OBJECT_KINDS, State

__all__ = [
    "CheckpointFragment",
    "CheckpointPing",
    "OpenConnection",
    "Standing",
    "read_checkpoint",
    "state_of",
    "without_connections",
]


class _Asked(msgspec.Struct, frozen=True):
    method: str
    target: str
    headers: Headers = []


class _Answered(msgspec.Struct, frozen=True):
    status: int
    reason: str = ""
    headers: Headers = []


class OpenConnection(msgspec.Struct, frozen=True, kw_only=True):
    """A connection that was open, with its upgrade if it is a socket, else with the exchange that
    waits for its response, if one does.
    """

    connection: int
    leg: Literal["client", "upstream"] = "upstream"
    url: str | None = None
    peer: str | None = None
    tls: str | None = None
    paired_with: int | None = None
    exchange: int | None = None
    request: _Asked | None = None
    response: _Answered | None = None

    @property
    def is_socket(self) -> bool:
        """Whether it was upgraded to a WebSocket."""
        return self.response is not None and self.response.status == 101

    def opened(self, checkpoint: Checkpoint) -> Open:
        """Its ``open`` as it would stand in place of the checkpoint."""
        return Open(
            seq=checkpoint.seq,
            offset_ns=checkpoint.offset_ns,
            connection=self.connection,
            leg=self.leg,
            url=self.url,
            peer=self.peer,
            tls=self.tls,
            paired_with=self.paired_with,
        )

    def asked(self, checkpoint: Checkpoint) -> Request | None:
        """The request of its exchange as an entry, None if there is none. Nobody knows when it was
        sent."""
        if self.request is None or self.exchange is None:
            return None
        return Request(
            seq=checkpoint.seq,
            offset_ns=None,
            connection=self.connection,
            exchange=self.exchange,
            method=self.request.method,
            target=self.request.target,
            headers=self.request.headers,
        )


class CheckpointFragment(msgspec.Struct, frozen=True, kw_only=True):
    """The part that had come of a message: ``frame`` holds it, without FIN."""

    connection: int
    sender: Sender
    frame: Frame

    def entry(self, checkpoint: Checkpoint) -> FrameEntry:
        """The frame as an entry in place of the checkpoint."""
        entry = FrameEntry.of(
            self.frame,
            connection=self.connection,
            sender=self.sender,
            offset_ns=checkpoint.offset_ns,
            redacted=checkpoint.redacted,
        )
        return msgspec.structs.replace(entry, seq=checkpoint.seq)


class CheckpointPing(msgspec.Struct, frozen=True, kw_only=True):
    """A PING that no pong had come for."""

    connection: int
    uuid: str
    offset_ns: int | None = None


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How things stood at a checkpoint."""

    connections: dict[int, OpenConnection]
    fragments: dict[tuple[int, Sender], CheckpointFragment]
    pings: list[CheckpointPing]


class _Begun(msgspec.Struct, frozen=True, kw_only=True):
    connection: int
    sender: Sender
    opcode: str | int
    text: str | None = None
    base64: str | None = None


class _Numbered(msgspec.Struct, frozen=True):
    connection: Any = None


_read_connection: Final = msgspec.json.Decoder(OpenConnection).decode
_read_begun: Final = msgspec.json.Decoder(_Begun).decode
_read_ping: Final = msgspec.json.Decoder(CheckpointPing).decode
_read_number: Final = msgspec.json.Decoder(_Numbered).decode


def read_checkpoint(checkpoint: Checkpoint) -> Standing:
    """What the checkpoint says of connections, fragments and PINGs. Raises nothing."""
    return Standing(
        connections={
            each.connection: each for each in _readable(_read_connection, checkpoint.connections)
        },
        fragments={
            (each.connection, each.sender): each
            for begun in _readable(_read_begun, checkpoint.fragments)
            if (each := _fragment(begun)) is not None
        },
        pings=_readable(_read_ping, checkpoint.pings),
    )


def state_of(checkpoint: Checkpoint) -> State:
    """The devices, beacons and positions of the checkpoint, each as it came."""
    state = State()
    for kind in OBJECT_KINDS:
        state.put(kind, map(bytes, getattr(checkpoint, kind)))
    return state


def without_connections(checkpoint: Checkpoint, connections: set[int]) -> Checkpoint:
    """The checkpoint without what it says of some connections; all else, known or not, as it is."""

    def rest(items: list[msgspec.Raw]) -> list[msgspec.Raw]:
        return [
            item
            for item in items
            if not any(
                each.connection in connections
                for each in _readable(_read_number, [item])
                if isinstance(each.connection, int)
            )
        ]

    return msgspec.structs.replace(
        checkpoint,
        connections=rest(checkpoint.connections),
        fragments=rest(checkpoint.fragments),
        pings=rest(checkpoint.pings),
    )


def _fragment(begun: _Begun) -> CheckpointFragment | None:
    try:
        data = Payload(offset_ns=None, text=begun.text, base64=begun.base64).data
        opcode = _opcode_number(begun.opcode)
        frame = Frame.make(opcode, data, fin=False)
    except ValueError:
        return None
    if frame.is_control:
        return None
    return CheckpointFragment(connection=begun.connection, sender=begun.sender, frame=frame)


def _opcode_number(opcode: str | int) -> int:
    return FrameEntry(
        offset_ns=None, connection=0, sender="server", fin=False, opcode=opcode, head="0000"
    ).opcode_number


def _readable(read: Any, items: list[msgspec.Raw]) -> list[Any]:
    """The items that can be read."""
    found = []
    for item in items:
        try:
            found.append(read(item))
        except (ValueError, RecursionError):
            continue
    return found
