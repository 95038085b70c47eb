"""Every device, beacon, position and event that a recording tells of, raw, one by one, with its
moment. Pure.

They come in the server's messages (manual section 3) and in the answers of REST (manual section 4).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Literal

import msgspec

from recorder.backend import API_PATH
from recorder.model import AnyEntry, Checkpoint
from recorder.track.kinds import objects_of
from replayer.reading.calls import Call, Calls
from replayer.reading.conversation import DataMessage, converse, parts_of
from replayer.state import OBJECT_KINDS

__all__ = ["Said", "objects_said"]

_KINDS: Final = frozenset({*OBJECT_KINDS, "events"})
_PATHS: Final = {
    "devices": "devices",
    "beacons": "beacons",
    "positions": "positions",
    "reports/route": "positions",
    "reports/events": "events",
}
"""Which objects a path below the API's answers with (manual section 4)."""


class Said(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One object. ``kind`` is ``devices``, ``beacons``, ``positions`` or ``events``, ``text`` its
    JSON as it came.

    ``via`` says how it came: a ``checkpoint`` has what a recorder held of earlier parts of a
    series, and then ``connection`` is None.
    """

    kind: str
    text: bytes
    seq: int
    offset_ns: int | None
    connection: int | None
    via: Literal["socket", "rest", "checkpoint"]


def objects_said(entries: Iterable[AnyEntry]) -> Iterator[Said]:
    """Every object of the four kinds, in the order of the recording. What cannot be read as one is
    left out: ``show`` shows it.

    Give it the client legs of what a proxy recorded. Raises what
    :func:`~replayer.reading.conversation.converse` does.
    """
    fold = Calls()
    over: list[Call] = []

    def watched() -> Iterator[AnyEntry]:
        for entry in entries:
            over.extend(fold.feed(entry))
            yield entry

    for item in converse(watched()):
        while over:
            yield from _of_call(over.pop(0))
        match item:
            case DataMessage():
                for kind, texts in _told(item):
                    yield from _each(kind, texts, item, "socket")
            case Checkpoint():
                for kind in OBJECT_KINDS:
                    yield from _each(kind, getattr(item, kind), item, "checkpoint")
    for call in [*over, *fold.finish()]:
        yield from _of_call(call)


class _Told(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A message of one kind, as nearly all are: objects under one key."""

    positions: list[msgspec.Raw] | msgspec.UnsetType = msgspec.UNSET
    devices: list[msgspec.Raw] | msgspec.UnsetType = msgspec.UNSET
    beacons: list[msgspec.Raw] | msgspec.UnsetType = msgspec.UNSET
    events: list[msgspec.Raw] | msgspec.UnsetType = msgspec.UNSET


_decode_told: Final = msgspec.json.Decoder(_Told).decode


def _told(message: DataMessage) -> list[tuple[str, list[msgspec.Raw]]]:
    """The objects in a message, by kind, in order."""
    if message.sender != "server" or message.opcode != "text":
        return []
    try:
        told = _decode_told(message.payload)
        if not message.payload.isascii():
            # What a decoder skips it does not check.
            message.payload.decode("utf-8")
    except (ValueError, RecursionError):
        pass
    else:
        found = [
            (kind, texts)
            for kind, texts in (
                ("positions", told.positions),
                ("devices", told.devices),
                ("beacons", told.beacons),
                ("events", told.events),
            )
            if texts is not msgspec.UNSET
        ]
        if len(found) == 1:
            return found
    return [(part.kind, objects_of(part)) for part in parts_of(message) if part.kind in _KINDS]


def _each(
    kind: str,
    texts: Iterable[msgspec.Raw],
    where: DataMessage | Checkpoint | Call,
    via: Literal["socket", "rest", "checkpoint"],
) -> Iterator[Said]:
    for text in texts:
        yield Said(
            kind=kind,
            text=bytes(text),
            seq=where.seq,
            offset_ns=where.offset_ns,
            connection=None if isinstance(where, Checkpoint) else where.connection,
            via=via,
        )


def _of_call(call: Call) -> Iterator[Said]:
    path = call.request.target.partition("?")[0].rstrip("/")
    kind = next((kind for end, kind in _PATHS.items() if path.endswith(f"{API_PATH}/{end}")), None)
    answered = call.response is not None and call.response.status == 200
    if kind is None or call.request.method != "GET" or not answered or not call.response_body:
        return
    try:
        texts = msgspec.json.decode(call.response_body, type=list[msgspec.Raw])
        call.response_body.decode("utf-8")
    except (ValueError, RecursionError):
        return
    yield from _each(kind, texts, call, "rest")
