"""The messages that the model of the fake reads, and the states, writes and accounts that it keeps.

JSON is read by its own small reader, so that every object keeps its text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from recorder.wire.frames import Frame, Opcode

KINDS: Final = ("devices", "beacons", "positions")

# JSON


class Obj(NamedTuple):
    """An object of a message: what names it, and its text as it came."""

    id: Any
    device: Any
    names: frozenset[Any]
    text: bytes


class Text(NamedTuple):
    """A JSON text of a message with one key, or `{}`."""

    kind: str
    objects: tuple[Obj, ...]
    data: bytes


_value_at = json.JSONDecoder().raw_decode


def obj(text: str) -> Obj:
    fields = json.loads(text)
    if not isinstance(fields, dict):
        return Obj(None, None, frozenset(), text.encode())
    names = frozenset(fields.get(one) for one in ("id", "name", "uniqueId"))
    return Obj(fields.get("id"), fields.get("deviceId"), names - {None}, text.encode())


def _spans(text: str, at: int) -> Iterator[str]:
    """The values of a list or an object that begins at `at`, and of an object the keys too."""
    at += 1
    while text[at] not in "]}":
        if text[at] in " ,:\n":
            at += 1
            continue
        _, end = _value_at(text, at)
        yield text[at:end]
        at = end


def members(data: bytes) -> dict[str, str]:
    """The fields of an object, each value's text as it came."""
    spans = [*_spans(data.decode(), 0)]
    return {json.loads(key): value for key, value in zip(spans[::2], spans[1::2], strict=True)}


def elements(data: bytes) -> list[Obj]:
    """The objects of a list."""
    return [obj(one) for one in _spans(data.decode(), 0)]


def read(payload: bytes) -> list[Text]:
    """The JSON texts of a message, joined by `~`."""
    text, at, found = payload.decode(), 0, []
    while at < len(text):
        if text[at] in "~ \n":
            at += 1
            continue
        value, end = _value_at(text, at)
        data = text[at:end].encode()
        key = next(iter(value), "")
        objects = elements(members(data)[key].encode()) if key in (*KINDS, "events") else []
        found.append(Text(key, tuple(objects), data))
        at = end
    return found


def text_frame(payload: bytes) -> bytes:
    return Frame.make(Opcode.TEXT, payload).serialize()


# State


class Known:
    """The fold of messages. A position without a device stands for itself."""

    def __init__(self, other: Known | None = None) -> None:
        self.lists: dict[str, dict[Any, Obj]] = {
            kind: dict(other.lists[kind]) if other else {} for kind in KINDS
        }
        self.positions: dict[Any, Obj] = dict(other.positions) if other else {}

    def put(self, kind: str, one: Obj, *, only_new: bool = False) -> None:
        if kind not in KINDS or one.id is None:
            return
        key = one.id
        if kind == "positions":
            key = ("itself", one.id) if one.device is None else one.device
            if not (only_new and one.id in self.positions):
                self.positions[one.id] = one
        if not (only_new and key in self.lists[kind]):
            self.lists[kind][key] = one

    def fold(self, payload: bytes, *, only_new: bool = False) -> None:
        for text in read(payload):
            for one in text.objects:
                self.put(text.kind, one, only_new=only_new)

    def texts(self, kind: str) -> list[bytes]:
        return [one.text for one in self.lists[kind].values()]

    def get(self, kind: str, object_id: Any) -> Obj | None:
        known = self.positions if kind == "positions" else self.lists[kind]
        return known.get(object_id)

    def told(self) -> list[bytes]:
        """One message a kind."""
        return [message(kind, self.texts(kind)) for kind in KINDS if self.lists[kind]]


def message(kind: str, texts: Iterable[bytes]) -> bytes:
    return b'{"%s":[%s]}' % (kind.encode(), b",".join(texts))


class Writes:
    """What clients wrote: it wins over any state, and what was deleted stays so."""

    def __init__(self) -> None:
        self.now: dict[tuple[str, Any], Obj | None] = {}
        self.created: list[Any] = []
        """The positions that clients created, in order."""

    def get(self, kind: str, object_id: Any, of_state: Obj | None) -> Obj | None:
        found = self.now.get((kind, object_id), of_state)
        if found is not None and kind == "positions":
            # With a device go its positions.
            return None if self.now.get(("devices", found.device), found) is None else found
        return found

    def over(self, kind: str, state: Known) -> list[Obj]:
        """Each keeps its place, new ones follow; the latest position of a device is the one that
        was created last, if any was.
        """
        places: dict[Any, Any] = {key: one.id for key, one in state.lists[kind].items()}
        for written_kind, object_id in self.now:
            if written_kind == kind != "positions":
                places.setdefault(object_id, object_id)
        for object_id in self.created if kind == "positions" else ():
            one = self.now[kind, object_id]
            if one is not None:
                places[("itself", one.id) if one.device is None else one.device] = object_id
        found = (self.get(kind, one, state.get(kind, one)) for one in places.values())
        return [one for one in found if one is not None]


# Who sees what


class Account:
    """`named` are the devices that it names, None for all; `beacons` likewise."""

    def __init__(
        self, named: frozenset[Any] | None = None, beacons: frozenset[Any] | None = None
    ) -> None:
        self.named = named
        self.beacons = beacons
        self.learned: set[Any] = set()
        self.created: set[tuple[str, Any]] = set()

    @property
    def everything(self) -> bool:
        return self.named is None and self.beacons is None

    def learn(self, devices: Iterable[Obj]) -> None:
        self.learned |= {one.id for one in devices if self.named and one.names & self.named}

    def sees_device(self, device: Any) -> bool:
        if self.named is None:
            return True
        return device is not None and (
            device in self.named | self.learned or ("devices", device) in self.created
        )

    def sees(self, kind: str, one: Obj) -> bool:
        if (kind, one.id) in self.created:
            return True
        if kind == "devices":
            return self.sees_device(one.id) or bool(self.named and one.names & self.named)
        if kind == "beacons":
            if self.beacons is not None:
                return bool(one.names & self.beacons)
            return one.device is None or self.sees_device(one.device)
        return kind not in ("positions", "events") or self.sees_device(one.device)

    def seen(self, payload: bytes) -> bytes | None:
        """What remains of a message; the very bytes where nothing is hidden."""
        kept, whole = [], True
        for text in read(payload):
            objects = [one for one in text.objects if self.sees(text.kind, one)]
            if len(objects) == len(text.objects):
                kept.append(text.data)
                continue
            whole = False
            if objects:
                kept.append(message(text.kind, (one.text for one in objects)))
        return payload if whole else b"~".join(kept) or None
