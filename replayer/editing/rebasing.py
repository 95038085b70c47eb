"""``edit rebase``: a recording at another time, with the dates in it. Pure.

Dates are moved in their own spelling (:mod:`replayer.playing.dates`), so that nothing changes its
size and frames keep their heads. Only what was compressed is compressed anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias, TypeVar

import msgspec

from recorder.model import (
    MAX_BODY_PIECE_BYTES,
    AnyEntry,
    Body,
    Checkpoint,
    Clock,
    Closed,
    FrameEntry,
    Headers,
    MessageEntry,
    Payload,
    Request,
    Response,
    Resume,
    Sender,
    encode_bytes,
)
from recorder.redaction.codings import coded, codings_of, decoded
from recorder.sink import wall_clock_ns, wall_clock_text
from recorder.wire.handshake import header_value
from replayer.editing.fragments import Fragments, Group
from replayer.editing.held import Held, Slot
from replayer.playing.rebase import dates_in, rebase_payload, rebase_query
from replayer.state import OBJECT_KINDS

__all__ = ["Rebasing", "last_moment_ns"]

_BodyKey: TypeAlias = tuple[int, int, Sender]
_P = TypeVar("_P", bound=Payload)


class Rebasing:
    """Moves a recording by ``by_ns``: the known dates in messages, bodies and checkpoints, the
    ``from`` and ``to`` of queries, and what the wall clock showed. A header is the caller's.

    Fragments of a message and pieces of a body are held until they are whole, to
    :data:`~replayer.editing.held.MAX_HELD_BYTES`; :attr:`left` counts the longer ones, those that
    never became whole and those in an unknown coding: they stay as they are.
    """

    def __init__(self, by_ns: int) -> None:
        self._by_ns = by_ns
        self.left = 0

    def entries(self, entries: Iterable[AnyEntry]) -> Iterator[AnyEntry]:
        """The entries, moved. Raises what ``entries`` raise."""
        whole = _Wholes(lambda payload: rebase_payload(payload, self._by_ns))
        for entry in entries:
            whole.take(self._moved(entry))
            yield from whole.ready()
            self.left = whole.left
        whole.finish()
        yield from whole.ready()
        self.left = whole.left

    def _moved(self, entry: AnyEntry) -> AnyEntry:
        """What can be moved of one entry alone."""
        match entry:
            case Request():
                target = rebase_query(entry.target, self._by_ns)
                return msgspec.structs.replace(entry, target=target)
            case Clock() | Resume():
                return msgspec.structs.replace(entry, wall=self._wall(entry.wall))
            case Checkpoint():
                return msgspec.structs.replace(
                    entry, connections=[self._asked(one) for one in entry.connections]
                )
        return entry

    def _wall(self, wall: str) -> str:
        try:
            return wall_clock_text(wall_clock_ns(wall) + self._by_ns)
        except (ValueError, OverflowError, OSError):
            return wall

    def _asked(self, connection: msgspec.Raw) -> msgspec.Raw:
        """A connection in a checkpoint, with the query of its request moved."""
        try:
            members = msgspec.json.decode(connection, type=dict[str, msgspec.Raw])
            request = msgspec.json.decode(members["request"], type=dict[str, msgspec.Raw])
            target = msgspec.json.decode(request["target"], type=str)
        except (KeyError, ValueError, RecursionError):
            return connection
        moved = rebase_query(target, self._by_ns)
        if moved == target:
            return connection
        request["target"] = msgspec.Raw(msgspec.json.encode(moved))
        members["request"] = msgspec.Raw(msgspec.json.encode(request))
        return msgspec.Raw(msgspec.json.encode(members))


def last_moment_ns(entries: Iterable[AnyEntry], started_ns: int) -> int:
    """The last of the dates that :class:`Rebasing` moves in payloads, nanoseconds since 1970; if
    there is none, when the recording that started at ``started_ns`` ended.
    """
    latest_ns: int | None = None

    def seen(payload: bytes) -> bytes:
        nonlocal latest_ns
        for moment in dates_in(payload):
            if latest_ns is None or moment.utc_ns > latest_ns:
                latest_ns = moment.utc_ns
        return payload

    whole = _Wholes(seen)
    ended_ns = 0
    for entry in entries:
        ended_ns = entry.offset_ns or 0
        whole.take(entry)
        for _ in whole.ready():
            pass
    return started_ns + ended_ns if latest_ns is None else latest_ns


class _Coming:
    """The body of one message of HTTP while it comes; its head too if it is compressed."""

    def __init__(self, codings: list[str], head: Slot | None) -> None:
        self.codings = codings
        self.head = head
        self.pieces: list[Slot] = []
        self.stays = False


class _Wholes:
    """Changes whole payloads, wherever they stand and in however many pieces they come."""

    def __init__(self, change: Callable[[bytes], bytes]) -> None:
        self._change = change
        self._held = Held()
        self._fragments = Fragments()
        self._bodies: dict[_BodyKey, _Coming] = {}
        self.left = 0

    def ready(self) -> Iterator[AnyEntry]:
        """What is changed, or stays, up to the first that waits."""
        return self._held.ready()

    def take(self, entry: AnyEntry) -> None:
        """Take the next entry."""
        slot = self._held.add(entry)
        for group in self._fragments.take(slot):
            self._message(group)
        match entry:
            case FrameEntry():
                begun = self._fragments.of(slot)
                if slot.becomes is None and (begun is None or begun.stays):
                    slot.stay()
            case MessageEntry():
                slot.becomes = [_refilled(entry, self._change(entry.data))]
            case Body():
                self._body(slot, entry)
            case Request() | Response():
                self._head(slot, entry)
            case Checkpoint():
                slot.becomes = [self._checkpoint(entry)]
            case Closed():
                self._leave([key for key in self._bodies if key[0] == entry.connection])
                slot.stay()
            case Resume():
                self._leave(list(self._bodies))
                slot.stay()
            case _:
                slot.stay()
        if self._held.is_full:
            self._force()

    def finish(self) -> None:
        """Nothing more comes: what waits stays as it is."""
        for group in self._fragments.finish():
            self._message(group)
        self._leave(list(self._bodies))

    # Messages

    def _message(self, group: Group) -> None:
        if not group.is_whole or group.stays:
            self.left += 1
            for slot in group.slots:
                slot.stay()
            return
        self._refill(group.slots)

    def _refill(self, slots: list[Slot]) -> None:
        """Change what these slots hold together; of each piece the size stays."""
        pieces = [_data(slot) for slot in slots]
        data = b"".join(pieces)
        changed = self._change(data)
        if changed is data:
            for slot in slots:
                slot.stay()
            return
        at = 0
        for slot, piece in zip(slots, pieces, strict=True):
            new = changed[at : at + len(piece)]
            at += len(piece)
            assert isinstance(slot.entry, Payload)
            slot.becomes = [slot.entry if new == piece else _refilled(slot.entry, new)]

    def _checkpoint(self, entry: Checkpoint) -> Checkpoint:
        return msgspec.structs.replace(
            entry,
            **{
                kind: [msgspec.Raw(self._change(bytes(text))) for text in getattr(entry, kind)]
                for kind in OBJECT_KINDS
            },
        )

    # Bodies

    def _head(self, slot: Slot, head: Request | Response) -> None:
        key = _body_key(head)
        if isinstance(head, Request):
            # They have no body, as the answer to HEAD has none.
            bodiless = [one for one, coming in self._bodies.items() if not coming.pieces]
            self._leave([one for one in bodiless if one[0] == head.connection])
        codings = codings_of(header_value(head.headers, "Content-Encoding") or "")
        if not codings:
            slot.stay()
        elif key not in self._bodies:
            self._bodies[key] = _Coming(codings, slot)
        else:
            slot.stay()

    def _body(self, slot: Slot, entry: Body) -> None:
        key = entry.connection, entry.exchange, entry.sender
        held = self._bodies.setdefault(key, _Coming([], None))
        if held.stays:
            slot.stay()
        else:
            held.pieces.append(slot)
        if not entry.last:
            return
        del self._bodies[key]
        if held.stays:
            self.left += 1
        elif held.head is None:
            self._refill(held.pieces)
        else:
            self._compressed(held, held.head)

    def _compressed(self, held: _Coming, head: Slot) -> None:
        head.stay()
        data = b"".join(map(_data, held.pieces))
        undone = decoded(data, held.codings)
        changed = None if undone is None else self._change(undone[0])
        if undone is None or changed is None or changed is undone[0]:
            self.left += undone is None
            for slot in held.pieces:
                slot.stay()
            return
        again = coded(changed, undone[1])
        assert isinstance(head.entry, Request | Response)
        head.becomes = [_resized(head.entry, len(data), len(again))]
        at = 0
        for slot in held.pieces:
            assert isinstance(slot.entry, Body)
            end = len(again) if slot.entry.last else at + len(slot.entry.data)
            slot.becomes = list(_pieces(slot.entry, again[at:end]))
            at = end

    def _leave(self, keys: list[_BodyKey]) -> None:
        """These bodies are never whole, or too long."""
        for key in keys:
            held = self._bodies.pop(key)
            self.left += bool(held.pieces)
            for slot in [*([held.head] if held.head else []), *held.pieces]:
                slot.stay()

    def _force(self) -> None:
        """What all others wait for stays as it is."""
        oldest = self._held.oldest
        group = self._fragments.of(oldest)
        if oldest.becomes is not None:
            return
        if group is not None:
            group.stays = True
            for slot in group.slots:
                slot.stay()
            group.slots.clear()
            return
        entry = oldest.entry
        assert isinstance(entry, Body | Request | Response)
        coming = self._bodies[_body_key(entry)]
        coming.stays = True
        for slot in [*([coming.head] if coming.head else []), *coming.pieces]:
            slot.stay()
        coming.pieces.clear()


def _body_key(entry: Body | Request | Response) -> _BodyKey:
    if isinstance(entry, Body):
        return entry.connection, entry.exchange, entry.sender
    sender: Sender = "client" if isinstance(entry, Request) else "server"
    return entry.connection, entry.exchange, sender


def _data(slot: Slot) -> bytes:
    assert isinstance(slot.entry, Payload)
    return slot.entry.data


def _refilled(entry: _P, data: bytes) -> _P:
    """The entry with another payload of the same size, so that a frame keeps its head."""
    return msgspec.structs.replace(entry, **{"text": None, "base64": None, **encode_bytes(data)})


def _pieces(entry: Body, data: bytes) -> Iterator[Body]:
    """The data as entries like this one, of at most 64 KiB; the last is the last if that is."""
    starts = range(0, max(len(data), 1), MAX_BODY_PIECE_BYTES)
    for start in starts:
        piece = _refilled(entry, data[start : start + MAX_BODY_PIECE_BYTES])
        is_last = entry.last and start == starts[-1]
        yield msgspec.structs.replace(piece, last=is_last)


def _resized(head: Request | Response, old_bytes: int, new_bytes: int) -> Request | Response:
    """The head with the body's size in it, if the old one was right."""
    headers: Headers = [
        (
            name,
            str(new_bytes)
            if name.lower() == "content-length" and value == str(old_bytes)
            else value,
        )
        for name, value in head.headers
    ]
    return msgspec.structs.replace(head, headers=headers)
