"""What a recording amounts to so far, so that a further part of it plays alone: a pure fold over
its entries, as they were written.

Strategy: recording must not wait for what is needed once a part. Of a message only its text is
remembered; what it says of objects and PINGs is read when a checkpoint is asked for, or when 1 MiB
waits. Objects are then read from the newest message back, and only those that no newer one
replaces are taken out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, Literal, TypeAlias

import msgspec

from recorder.latest import OBJECT_KINDS, owner_of, read_objects, text_bytes
from recorder.model import (
    Body,
    Checkpoint,
    Closed,
    FrameEntry,
    Headers,
    KnownEntry,
    MessageEntry,
    Open,
    Request,
    Response,
    Resume,
    Sender,
    UnknownEntry,
    encode_bytes,
)
from recorder.numbers import HIGHEST_KEY, Numbers
from recorder.track.heartbeat import REMEMBERED_PINGS
from recorder.track.kinds import parse_pong, ping_uuids

__all__ = ["MAX_BYTES", "SoFar"]

MAX_BYTES: Final = 48 * 1024 * 1024
"""So many bytes of devices, of beacons, of positions and of unfinished messages are remembered. Of
objects the longest unchanged are forgotten, of messages the last begun. A line of a recording can
hold that, even if JSON spells every byte of the messages in six.
"""

_WAITING_BYTES: Final = 1024 * 1024
_WAITING_EACH_BYTES: Final = 100
"""What waits takes so much besides its text, an end of a connection too."""


class _RequestHead(msgspec.Struct, frozen=True):
    method: str
    target: str
    headers: Headers


class _ResponseHead(msgspec.Struct, frozen=True):
    status: int
    reason: str
    headers: Headers


class _Connection(msgspec.Struct, omit_defaults=True):
    """An open connection, and the exchange that was last begun on it: of a socket, its upgrade."""

    connection: int
    leg: Literal["client", "upstream"]
    url: str | None = None
    peer: str | None = None
    tls: str | None = None
    paired_with: int | None = None
    exchange: int | None = None
    request: _RequestHead | None = None
    response: _ResponseHead | None = None


class _Ping(msgspec.Struct, frozen=True):
    connection: int
    uuid: str
    offset_ns: int | None


class _Fragments(msgspec.Struct, omit_defaults=True):
    connection: int
    sender: Sender
    opcode: str | int
    text: str | None = None
    base64: str | None = None


_Waiting: TypeAlias = tuple[int | None, Sender, int | None, str | bytes | None]

_encode: Final = msgspec.json.encode


class _Unfinished:
    """A message whose last fragment has not come. ``pieces`` is None if there was no room."""

    __slots__ = ("opcode", "pieces", "size_bytes")

    def __init__(self, opcode: str | int) -> None:
        self.opcode = opcode
        self.pieces: list[bytes] | None = []
        self.size_bytes = 0

    def add(self, data: bytes, *, room_bytes: int) -> None:
        """Add a fragment, if it is not above the room that is left."""
        if self.pieces is None:
            return
        if len(data) > room_bytes:
            self.pieces = None
            self.size_bytes = 0
        elif data:
            self.pieces.append(data)
            self.size_bytes += len(data)


class SoFar:
    """Open connections, unfinished messages, unanswered PINGs, the latest objects, and the highest
    numbers used. :meth:`feed` takes every entry in order, :meth:`checkpoint` sums them up.

    Objects come from text messages of the server (manual section 3) that hold nothing but one kind;
    a device's position is the one that came last. A ``resume`` ends all connections. Memory: the
    open connections, four times :data:`MAX_BYTES`, and 1 MiB of messages and ends. Nothing here
    raises, whatever was recorded.
    """

    def __init__(self, numbers: Numbers | None = None) -> None:
        self.numbers: Final = Numbers() if numbers is None else numbers
        self._connections: dict[int, _Connection] = {}
        self._unfinished: dict[tuple[int, Sender], _Unfinished] = {}
        self._bodies: set[tuple[int, int, Sender]] = set()
        self._pings: dict[int, dict[str, int | None]] = {}
        self._objects: dict[str, dict[Any, bytes]] = {kind: {} for kind in OBJECT_KINDS}
        self._object_bytes = dict.fromkeys(OBJECT_KINDS, 0)
        # Messages and ends of connections (of all, where the number is None) still to be read.
        self._waiting: list[_Waiting] = []
        self._waiting_bytes = 0

    @property
    def unfinished(self) -> bool:
        """Whether a message or a body is under way: a bad place to cut."""
        return bool(self._unfinished or self._bodies)

    def feed(self, entry: KnownEntry | UnknownEntry) -> None:
        """Take the next entry."""
        if type(entry) is FrameEntry:
            if entry.redacted:
                self.numbers.feed(entry)
            if entry.opcode == "text" and entry.fin and not self._unfinished:
                if entry.text is not None:
                    self._wait(entry.connection, entry.sender, entry.offset_ns, entry.text)
                return
            self._frame(entry)
            return
        self.numbers.feed(entry)
        match entry:
            case MessageEntry(opcode="text", text=str(text)):
                self._wait(entry.connection, entry.sender, entry.offset_ns, text)
            case Open():
                self._connections[entry.connection] = _Connection(
                    connection=entry.connection,
                    leg=entry.leg,
                    url=entry.url,
                    peer=entry.peer,
                    tls=entry.tls,
                    paired_with=entry.paired_with,
                )
            case Request():
                found = self._connections.get(entry.connection)
                if found is not None:
                    found.exchange = entry.exchange
                    found.request = _RequestHead(entry.method, entry.target, entry.headers)
                    found.response = None
            case Response():
                found = self._connections.get(entry.connection)
                # 1xx is no answer yet, but for 101 (RFC 9110 section 15.2).
                final = entry.status >= 200 or entry.status == 101
                if found is not None and final and found.exchange == entry.exchange:
                    found.response = _ResponseHead(entry.status, entry.reason, entry.headers)
            case Body():
                key = entry.connection, entry.exchange, entry.sender
                (self._bodies.discard if entry.last else self._bodies.add)(key)
            case Closed():
                self._leave(entry.connection)
            case Resume():
                self._leave(None)
            case Checkpoint():
                self._load(entry)
            case _:
                pass

    def checkpoint(self, offset_ns: int | None) -> Checkpoint:
        """The entry that opens a further part, at this offset."""
        self._settle()
        pings = [
            _Ping(connection, uuid, at_ns)
            for connection, open_pings in self._pings.items()
            for uuid, at_ns in open_pings.items()
        ]
        pings.sort(key=lambda ping: ping.offset_ns or 0)
        return Checkpoint(
            offset_ns=offset_ns,
            connections=[_raw(one) for one in self._connections.values()],
            fragments=[
                _raw(_Fragments(connection, sender, one.opcode, **encode_bytes(b"".join(pieces))))
                for (connection, sender), one in self._unfinished.items()
                if (pieces := one.pieces) is not None
            ],
            pings=[_raw(ping) for ping in pings],
            devices=self._latest("devices"),
            beacons=self._latest("beacons"),
            positions=self._latest("positions"),
            extra={HIGHEST_KEY: _raw(self.numbers)},
        )

    def _latest(self, kind: str) -> list[msgspec.Raw]:
        return [msgspec.Raw(text) for text in self._objects[kind].values()]

    def _frame(self, entry: FrameEntry) -> None:
        opcode = entry.opcode
        if opcode in ("close", "ping", "pong") or (isinstance(opcode, int) and opcode >= 8):
            return
        key = entry.connection, entry.sender
        if opcode != "continuation":
            # RFC 6455 5.4 forbids a message inside another: the first will not go on.
            self._unfinished.pop(key, None)
            if entry.fin:
                if opcode == "text" and entry.text is not None:
                    self._wait(*key, entry.offset_ns, entry.text)
                return
            self._unfinished[key] = _Unfinished(opcode)
        begun = self._unfinished.get(key)
        if begun is None:
            return
        begun.add(_data(entry), room_bytes=self._room_bytes())
        if entry.fin:
            del self._unfinished[key]
            if begun.opcode == "text" and begun.pieces is not None:
                self._wait(*key, entry.offset_ns, b"".join(begun.pieces))

    def _room_bytes(self) -> int:
        return MAX_BYTES - sum(one.size_bytes for one in self._unfinished.values())

    def _leave(self, connection: int | None) -> None:
        """A connection ended, or all of them."""
        if connection is None:
            self._connections.clear()
            self._unfinished.clear()
            self._bodies.clear()
        else:
            self._connections.pop(connection, None)
            self._unfinished.pop((connection, "client"), None)
            self._unfinished.pop((connection, "server"), None)
            if self._bodies:
                self._bodies = {key for key in self._bodies if key[0] != connection}
        self._queue((connection, "server", None, None), 0)

    # Messages

    def _wait(self, connection: int, sender: Sender, at_ns: int | None, text: str | bytes) -> None:
        self._queue((connection, sender, at_ns, text), len(text))

    def _queue(self, waiting: _Waiting, text_bytes: int) -> None:
        self._waiting.append(waiting)
        self._waiting_bytes += text_bytes + _WAITING_EACH_BYTES
        if self._waiting_bytes > _WAITING_BYTES:
            self._settle()

    def _settle(self) -> None:
        """Read the messages that wait."""
        newest: dict[str, dict[Any, bytes]] = {kind: {} for kind in OBJECT_KINDS}
        unusual: list[_Waiting] = []
        for waiting in reversed(self._waiting):
            _, sender, _, text = waiting
            if sender == "client" or text is None or not read_objects(text, newest):
                unusual.append(waiting)
        for connection, sender, at_ns, text in reversed(unusual):
            if text is not None and connection is not None:
                self._read_pings(connection, sender, at_ns, text)
            elif connection is not None:
                self._pings.pop(connection, None)
            else:
                self._pings.clear()
        for kind, found in newest.items():
            self._remember(kind, reversed(found.items()))
        self._waiting.clear()
        self._waiting_bytes = 0

    def _remember(self, kind: str, objects: Iterable[tuple[Any, bytes]]) -> None:
        known = self._objects[kind]
        size_bytes = self._object_bytes[kind]
        for owner, text in objects:
            size_bytes += len(text) - len(known.pop(owner, b""))
            known[owner] = text
        while size_bytes > MAX_BYTES:
            size_bytes -= len(known.pop(next(iter(known))))
        self._object_bytes[kind] = size_bytes

    def _read_pings(
        self, connection: int, sender: Sender, at_ns: int | None, text: str | bytes
    ) -> None:
        if sender == "client":
            pong = parse_pong(text_bytes(text))
            if pong is not None and pong.uuid is not None:
                self._pings.get(connection, {}).pop(pong.uuid, None)
            return
        if isinstance(text, str) and "PING" not in text and "\\u00" not in text:
            return
        for uuid in ping_uuids(text_bytes(text)):
            pings = self._pings.setdefault(connection, {})
            pings.pop(uuid, None)
            pings[uuid] = at_ns
            if len(pings) > REMEMBERED_PINGS:
                del pings[next(iter(pings))]

    # A checkpoint, read back

    def _load(self, entry: Checkpoint) -> None:
        self._leave(None)
        self._settle()
        for one in _decoded(entry.connections, _Connection):
            self._connections[one.connection] = one
        for fragments in _decoded(entry.fragments, _Fragments):
            begun = _Unfinished(fragments.opcode)
            begun.add(_data(fragments), room_bytes=self._room_bytes())
            self._unfinished[fragments.connection, fragments.sender] = begun
        for ping in _decoded(entry.pings, _Ping):
            self._pings.setdefault(ping.connection, {})[ping.uuid] = ping.offset_ns
        for kind in OBJECT_KINDS:
            self._objects[kind].clear()
            self._object_bytes[kind] = 0
            texts = map(bytes, getattr(entry, kind))
            owned = ((owner_of(kind, text), text) for text in texts)
            self._remember(kind, [(owner, text) for owner, text in owned if owner is not None])


def _decoded(found: list[msgspec.Raw], shape: Callable[..., Any]) -> list[Any]:
    """The values of a checkpoint's list that have this shape."""
    values = []
    for raw in found:
        try:
            values.append(msgspec.json.decode(raw, type=shape))
        except (ValueError, RecursionError):
            continue
    return values


def _data(entry: FrameEntry | _Fragments) -> bytes:
    if isinstance(entry, FrameEntry):
        try:
            return entry.data
        except ValueError:
            return b""
    return MessageEntry(
        connection=0,
        sender="server",
        opcode="",
        offset_ns=None,
        text=entry.text,
        base64=entry.base64,
    ).data


def _raw(value: msgspec.Struct) -> msgspec.Raw:
    return msgspec.Raw(_encode(value))
