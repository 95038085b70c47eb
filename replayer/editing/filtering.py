"""``edit filter``: the messages that are meant, with all that they need. Pure.

Messages are judged, and PINGs with their pongs as one. What makes a recording valid stays: how
connections began and ended, the upgrades, close frames, checkpoints, the clock, unknown entries.
HTTP, notes and control frames go only where they are dropped by their kind, or where a whole
connection goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from recorder.model import (
    AnyEntry,
    Body,
    Checkpoint,
    Closed,
    End,
    FrameEntry,
    MessageEntry,
    Note,
    Open,
    Request,
    Response,
    Resume,
)
from recorder.track.heartbeat import REMEMBERED_PINGS
from recorder.track.kinds import parse_pong, ping_uuids
from recorder.wire.handshake import header_value
from replayer.editing.fragments import Fragments, Group, Side, is_data
from replayer.editing.held import Held, Slot
from replayer.reading.checkpoints import read_checkpoint, without_connections
from replayer.reading.conversation import BrokenMessage, DataMessage, Exchange, Item, converse
from replayer.reading.selection import Selection, Selector

__all__ = ["filtered"]

_PAIR: Final = frozenset({"PING", "pong"})


def filtered(
    entries: Iterable[AnyEntry], selection: Selection, *, keep: bool = True
) -> Iterator[AnyEntry]:
    """The entries of the messages that ``selection`` takes, or unless ``keep``, of those that it
    does not take.

    A fragmented message goes or stays whole; while it comes, it and what comes between are held, to
    :data:`~replayer.editing.held.MAX_HELD_BYTES`: a longer one stays, and so does one that was
    begun before the recording. A PING and its pong go together: they are taken if the selection
    names one of them, whoever it says the sender is. Of ``connections`` all of the others goes, and
    their legs to the upstream; where they are all that is dropped, they go whole. The ``end`` comes
    without counts of redaction. Raises CorruptRecording on a frame that cannot be one, and what
    ``entries`` raise.
    """
    return _Filter(entries, selection, keep=keep).run()


class _Filter:
    def __init__(self, entries: Iterable[AnyEntry], selection: Selection, *, keep: bool) -> None:
        self._entries = entries
        self._keep = keep
        self._dropped_kinds = frozenset() if keep else selection.kinds
        self._selector = Selector(selection)
        # Whoever names one of a pair means both.
        kinds = selection.kinds | (_PAIR if selection.kinds & _PAIR else frozenset())
        self._of_pairs = Selector(
            msgspec.structs.replace(selection, kinds=kinds, senders=frozenset())
        )
        whole = keep or selection == Selection(connections=selection.connections)
        self._connections = selection.connections if whole else frozenset()
        self._client_of: dict[int, int] = {}
        self._held = Held()
        self._fragments = Fragments()
        self._slot = Slot(_FLUSH)
        self._ended: list[Group] = []
        self._message_stays: bool | None = None
        self._broken_stays: dict[Side, bool] = {}
        self._pings: dict[int, dict[str, bool]] = {}
        self._exchanges_gone: set[tuple[int, int]] = set()

    def run(self) -> Iterator[AnyEntry]:
        for item in converse(self._watched()):
            if item is not _FLUSH:
                self._judge(item)
            yield from self._held.ready()
        self._message_stays = None
        self._ended = self._fragments.finish()
        self._settle()
        yield from self._held.ready()

    def _watched(self) -> Iterator[AnyEntry]:
        """The entries on their way to be judged. When the next is asked for, all is said of one."""
        for entry in self._entries:
            if isinstance(entry, Open | Checkpoint):
                entry = self._paired(entry)
            if self._goes_whole(getattr(entry, "connection", None)):
                continue
            self._slot = self._held.add(entry)
            self._message_stays = None
            self._ended = self._fragments.take(self._slot)
            self._place(entry)
            yield entry
            self._settle()
            if self._held.is_full:
                self._force()
                # So that what is decided is let go, though no message is complete.
                yield _FLUSH

    # Whole connections

    def _paired(self, entry: Open | Checkpoint) -> Open | Checkpoint:
        """Learn which connections are legs of others; a checkpoint without those that go."""
        if isinstance(entry, Open):
            self._client_of.pop(entry.connection, None)
            if entry.paired_with is not None:
                self._client_of[entry.connection] = entry.paired_with
            return entry
        standing = read_checkpoint(entry)
        self._client_of = {
            number: one.paired_with
            for number, one in standing.connections.items()
            if one.paired_with is not None
        }
        numbers = {*standing.connections, *(number for number, _ in standing.fragments)}
        numbers |= {ping.connection for ping in standing.pings}
        gone = {number for number in numbers if self._goes_whole(number)}
        return without_connections(entry, gone) if gone else entry

    def _goes_whole(self, connection: int | None) -> bool:
        if not self._connections or connection is None:
            return False
        client = self._client_of.get(connection, connection)
        is_named = connection in self._connections or client in self._connections
        return is_named != self._keep

    # One entry

    def _place(self, entry: AnyEntry) -> None:
        """Decide what needs no judging."""
        slot = self._slot
        match entry:
            case FrameEntry() if is_data(entry):
                group = self._fragments.of(slot)
                if group is not None and group.stays is not None:
                    slot.stay()
            case FrameEntry() if entry.opcode != "close":
                self._decide(slot, not self._is_dropped("control", entry))
            case MessageEntry():
                pass
            case Note():
                self._decide(slot, not self._is_dropped("note", entry))
            case Request():
                self._request(entry)
            case Response() | Body():
                is_gone = (entry.connection, entry.exchange) in self._exchanges_gone
                self._decide(slot, not is_gone)
            case End():
                slot.becomes = [msgspec.structs.replace(entry, redaction={})]
            case _:
                self._forget(entry)
                slot.stay()

    def _request(self, entry: Request) -> None:
        key = entry.connection, entry.exchange
        self._exchanges_gone.discard(key)
        asked = Exchange(
            seq=entry.seq,
            offset_ns=entry.offset_ns,
            connection=entry.connection,
            request=entry,
            response=None,
        )
        upgrade = header_value(entry.headers, "Upgrade") or ""
        if upgrade.lower() != "websocket" and self._is_dropped("http", asked):
            self._exchanges_gone.add(key)
        self._decide(self._slot, key not in self._exchanges_gone)

    def _is_dropped(self, kind: str, item: Item) -> bool:
        return kind in self._dropped_kinds and self._selector.takes(item)

    def _forget(self, entry: AnyEntry) -> None:
        """What is remembered of a connection goes with it; a checkpoint tells of its PINGs."""
        if isinstance(entry, Closed):
            number = entry.connection
            self._pings.pop(number, None)
            if self._exchanges_gone:
                self._exchanges_gone = {key for key in self._exchanges_gone if key[0] != number}
        elif isinstance(entry, Resume | Checkpoint):
            self._pings.clear()
        if isinstance(entry, Checkpoint):
            for ping in read_checkpoint(entry).pings:
                self._remember(ping.connection, ping.uuid, stays=True)

    @staticmethod
    def _decide(slot: Slot, stays: bool) -> None:
        slot.stay() if stays else slot.go()

    # Messages

    def _judge(self, item: Item) -> None:
        if isinstance(item, DataMessage):
            stays = next((group.stays for group in self._ended if group.is_whole), None)
            if stays is None:
                stays = self._stays(item)
            self._remember_pings(item, stays=stays)
            self._message_stays = stays
            if isinstance(self._slot.entry, MessageEntry):
                self._decide(self._slot, stays)
        elif isinstance(item, BrokenMessage):
            side = item.connection, item.sender
            self._broken_stays[side] = self._selector.takes(item) == self._keep

    def _stays(self, message: DataMessage) -> bool:
        if message.sender == "client":
            pong = parse_pong(message.payload) if message.opcode == "text" else None
            if pong is not None and pong.uuid is not None:
                known = self._pings.get(message.connection, {}).get(pong.uuid)
                if known is not None:
                    return known
            if pong is not None:
                return self._of_pairs.takes(message) == self._keep
        elif ping_uuids(message.payload) and message.kinds == ("PING",):
            return self._of_pairs.takes(message) == self._keep
        return self._selector.takes(message) == self._keep

    def _remember_pings(self, message: DataMessage, *, stays: bool) -> None:
        if message.sender == "server" and message.opcode == "text":
            for uuid in ping_uuids(message.payload):
                self._remember(message.connection, uuid, stays=stays)

    def _remember(self, connection: int, uuid: str, *, stays: bool) -> None:
        # As many again as a heartbeat does: of those that are past a pong may come again.
        pings = self._pings.setdefault(connection, {})
        pings.pop(uuid, None)
        pings[uuid] = stays
        if len(pings) > 2 * REMEMBERED_PINGS:
            del pings[next(iter(pings))]

    def _settle(self) -> None:
        """All was said of the latest entry: decide the messages that it ended."""
        for group in self._ended:
            stays = group.stays
            if stays is None and group.is_whole:
                stays = self._message_stays
            if stays is None:
                stays = self._broken_stays.get(group.side, True)
            for slot in group.slots:
                self._decide(slot, stays)
        self._ended = []

    def _force(self) -> None:
        """The message that all others wait for stays, whatever else will come of it."""
        oldest = self._held.oldest
        group = self._fragments.of(oldest)
        if oldest.becomes is None and group is not None:
            group.stays = True
            for slot in group.slots:
                slot.stay()
            group.slots.clear()


_FLUSH: Final = Note(offset_ns=None, text="")
