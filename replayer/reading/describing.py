"""The items of a conversation in words, in their order: what stands in one line each of
``track-replayer show``. Pure.

Nothing of a payload reaches a line as it is, but through :func:`~replayer.reading.words.printable`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from recorder.model import Checkpoint
from recorder.track.kinds import Part, objects_of, parse_pong, ping_uuids
from replayer.reading.conversation import DataMessage, Item, kinds_of, parts_of
from replayer.reading.lines import Line, line_of
from replayer.reading.phrases import cut, decimal, excerpt, listed, plain_text, rssi_words, word
from replayer.reading.words import counted

__all__ = ["Describer"]


class _Object(msgspec.Struct, rename="camel", gc=False):
    """The fields of a device, beacon, position, event or status that its words are made of; of any
    type."""

    id: Any = None
    name: Any = None
    device_id: Any = None
    device_name: Any = None
    beacon_id: Any = None
    beacon_name: Any = None
    latitude: Any = None
    longitude: Any = None
    rssi: Any = None
    type: Any = None
    message: Any = None


class _Told(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A message of one kind, as nearly all are: objects under one key."""

    devices: list[_Object] | msgspec.UnsetType = msgspec.UNSET
    positions: list[_Object] | msgspec.UnsetType = msgspec.UNSET
    beacons: list[_Object] | msgspec.UnsetType = msgspec.UNSET
    events: list[_Object] | msgspec.UnsetType = msgspec.UNSET


_decode_told: Final = msgspec.json.Decoder(_Told).decode
_decode_object: Final = msgspec.json.Decoder(_Object).decode
_NO_OBJECT: Final = _Object()


class _Mentions:
    """Ids and names of the devices and beacons that a message is about, as they are told."""

    def __init__(self) -> None:
        self.devices: list[str] = []
        self.beacons: list[str] = []


class Describer:
    """Puts the items of one conversation into words, in their order.

    It remembers the name of each device and beacon that a message or a checkpoint told, since a
    position may give only its ``deviceId`` (manual section 3.6): that is all its memory.
    """

    def __init__(self) -> None:
        self._device_names: dict[str, str] = {}
        self._beacon_names: dict[str, str] = {}

    @property
    def device_names(self) -> Mapping[str, str]:
        """The devices that were told so far: their latest names, by id."""
        return self._device_names

    @property
    def beacon_names(self) -> Mapping[str, str]:
        """The same of beacons."""
        return self._beacon_names

    def line(self, item: Item) -> Line:
        """The line of the next item. Raises CorruptRecording where a frame's fields cannot be
        one."""
        if isinstance(item, DataMessage):
            return self._message(item)
        self.learn(item)
        return line_of(item)

    def learn(self, item: Item) -> None:
        """Remember the names that the next item tells, without a line of it."""
        match item:
            case DataMessage():
                # No other message tells names to be remembered, but for a key that is escaped.
                if (
                    b'"devices"' in item.payload
                    or b'"beacons"' in item.payload
                    or b"\\u00" in item.payload
                ):
                    self._message(item)
            case Checkpoint():
                for raw in item.devices:
                    _remember(self._device_names, _object(raw))
                for raw in item.beacons:
                    _remember(self._beacon_names, _object(raw))

    def _message(self, message: DataMessage) -> Line:
        mentions = _Mentions()
        one = _one_kind(message)
        if one is not None:
            kind, objects = one
            kinds: tuple[str, ...] = (kind,)
            summary = self._objects(kind, objects, mentions)
        else:
            parts = parts_of(message)
            kinds = kinds_of(message, parts)
            if parts:
                # All of them, for names are told in those too that are only counted.
                words = [self._part(part, mentions) for part in parts]
                summary = listed(words, " ~ ")
            else:
                summary = _own_words(message)
        if message.fragments > 1:
            summary += f" ({message.fragments} fragments)"
        return Line(
            seq=message.seq,
            offset_ns=message.offset_ns,
            connection=message.connection,
            sender=message.sender,
            opcode=message.opcode,
            kinds=kinds,
            size_bytes=len(message.payload),
            summary=summary,
            payload=message.payload,
            fragments=message.fragments,
            devices=tuple(mentions.devices),
            beacons=tuple(mentions.beacons),
        )

    def _part(self, part: Part, mentions: _Mentions) -> str:
        match part.kind:
            case "devices" | "beacons" | "positions" | "events":
                return self._objects(part.kind, _objects(part), mentions)
            case "status":
                uuids = ping_uuids(part.data)
                return ", ".join(map(cut, uuids)) if uuids else _statuses(part)
            case "webSessionTimeout":
                values = ", ".join(
                    cut(bytes(value).decode("utf-8", "replace")) for value in objects_of(part)
                )
                return f"{values} s" if values else excerpt(part.data)
            case "empty":
                return "keep-alive"
            case "several-keys":
                return "keys " + listed(list(map(cut, part.keys)))
            case "unknown" if part.keys:
                return f"key {cut(part.keys[0])}"
            case _:
                return excerpt(part.data)

    def _objects(self, kind: str, objects: list[_Object], mentions: _Mentions) -> str:
        if kind == "devices":
            names = [_named(each, self._device_names, mentions.devices) for each in objects]
        elif kind == "beacons":
            names = [_named(each, self._beacon_names, mentions.beacons) for each in objects]
        else:
            words = self._position if kind == "positions" else self._event
            shown = [words(each, mentions) for each in objects]
            if len(shown) == 1:
                return shown[0]
            return f"{counted(len(shown), kind)}: {listed(shown, '; ')}" if shown else f"no {kind}"
        return f"{counted(len(names), kind)}: {listed(names)}" if names else f"no {kind}"

    def _device(self, each: _Object, mentions: _Mentions) -> str:
        name = _mention(each.device_id, each.device_name, self._device_names, mentions.devices)
        return name or f"device {word(each.device_id)}"

    def _position(self, each: _Object, mentions: _Mentions) -> str:
        where = ""
        latitude, longitude = each.latitude, each.longitude
        if each.beacon_name is not None or each.beacon_id is not None:
            name = _mention(each.beacon_id, each.beacon_name, self._beacon_names, mentions.beacons)
            where = f" at {name or word(each.beacon_id)}"
        elif isinstance(latitude, int | float) and isinstance(longitude, int | float):
            where = f" at {decimal(latitude, '.5f')}, {decimal(longitude, '.5f')}"
        rssi = f", rssi {words}" if (words := rssi_words(each.rssi)) else ""
        return f"{self._device(each, mentions)}{where}{rssi}"

    def _event(self, each: _Object, mentions: _Mentions) -> str:
        if each.beacon_name is not None or each.beacon_id is not None:
            _mention(each.beacon_id, each.beacon_name, self._beacon_names, mentions.beacons)
        return f"{word(each.type)} of {self._device(each, mentions)}"


def _one_kind(message: DataMessage) -> tuple[str, list[_Object]] | None:
    """The kind and the objects of a server's text that is one JSON text with objects under one key;
    None of any other, which :func:`~replayer.reading.conversation.parts_of` reads."""
    if message.sender != "server" or message.opcode != "text":
        return None
    payload = message.payload
    try:
        told = _decode_told(payload)
        if not payload.isascii():
            # What a decoder skips it does not check.
            payload.decode("utf-8")
    except (ValueError, RecursionError):
        return None
    found: list[tuple[str, list[_Object]]] = []
    if told.positions is not msgspec.UNSET:
        found.append(("positions", told.positions))
    if told.devices is not msgspec.UNSET:
        found.append(("devices", told.devices))
    if told.events is not msgspec.UNSET:
        found.append(("events", told.events))
    if told.beacons is not msgspec.UNSET:
        found.append(("beacons", told.beacons))
    return found[0] if len(found) == 1 else None


def _named(each: _Object, known: dict[str, str], mentions: list[str]) -> str:
    """What a device or beacon is called where it is told itself."""
    _remember(known, each)
    name = word(each.name, or_else=word(each.id))
    mentions += (plain_text(each.id), plain_text(each.name), name)
    return name


def _remember(known: dict[str, str], each: _Object) -> None:
    if each.id is not None and each.name is not None:
        known[plain_text(each.id)] = plain_text(each.name)


def _mention(own_id: Any, own_name: Any, known: dict[str, str], mentions: list[str]) -> str:
    """The name of a device or beacon that another object speaks of; empty if nobody told it."""
    plain_id = plain_text(own_id)
    name = plain_text(own_name) or known.get(plain_id, "")
    mentions.append(plain_id)
    if not name:
        return ""
    shown = cut(name)
    mentions.append(name)
    if shown != name:
        mentions.append(shown)
    return shown


def _own_words(message: DataMessage) -> str:
    pong = parse_pong(message.payload) if message.opcode == "text" else None
    if message.sender == "client" and pong is not None:
        return cut(pong.uuid) if pong.uuid is not None else f"malformed: {excerpt(message.payload)}"
    return excerpt(message.payload) if message.payload else "no payload"


def _objects(part: Part) -> list[_Object]:
    return [_object(raw) for raw in objects_of(part, part.kind)]


def _object(raw: msgspec.Raw) -> _Object:
    try:
        return _decode_object(raw)
    # What is no object, or holds what a decoder refuses (bad UTF-8, endless nesting), has no words.
    except (ValueError, RecursionError):
        return _NO_OBJECT


def _statuses(part: Part) -> str:
    shown = [f"{word(each.type)} {word(each.message)}" for each in _objects(part)]
    return listed(shown, "; ") if shown else excerpt(part.data)
