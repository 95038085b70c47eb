"""What takes part in a comparison by meaning: entries in, statements out. Pure.

A statement is one JSON text of a message, since a backend may as well send two messages as one with
two texts; or a whole message that holds none; or a REST call with its answer. Control frames,
fragmentation and times are not what anybody said.

Statements are told apart by lane, and only those of one lane have an order among them. The socket
that opens while no other is open has the first, one that opens beside it the second: so sockets
that follow each other are one conversation, and those of several clients do not mix. Each REST
endpoint has a lane, for which of two requests is answered first is chance. PINGs have one, as when
they come is a matter of time.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal
from urllib.parse import parse_qsl

import msgspec

from recorder.model import AnyEntry, Closed, Open, Resume, encode_bytes
from recorder.track.kinds import Part, parse_pong
from recorder.wire.handshake import header_value
from replayer.difference.ignored import Ignored
from replayer.difference.values import (
    IdOf,
    digest,
    digest_of,
    id_space,
    is_id,
    normal,
    read_json,
    spelled,
    with_date_forms,
)
from replayer.reading.calls import Call, Calls
from replayer.reading.conversation import DataMessage, converse, kinds_of, parts_of

__all__ = ["PINGS", "Identity", "Lane", "Settings", "Statement", "statements"]

Lane = tuple[Literal["socket", "client", "call", "pings"], str]
"""Where a statement was made: whose, and the number of the socket or the endpoint."""

PINGS: Final[Lane] = ("pings", "")

Identity = tuple[str | IdOf, ...]
"""What a statement is about: its kind, and the ids of its objects."""

_MAX_IDS: Final = 64
"""So many objects of a message count for what it is about."""

_NUMBER_SEGMENT: Final = re.compile(r"[0-9]{1,18}")
_SESSION_PARAMETER: Final = re.compile(";jsessionid=[^/?]*", re.IGNORECASE)
_MAX_TEXT_BYTES: Final = 64 * 1024
"""A longer body that is no JSON stands for its hash."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What takes part, and how. ``ignored`` is left out of each JSON text; ``renumber`` lets ids be
    others, one to one; ``client`` adds what the client sent on sockets."""

    ignored: Ignored = Ignored()
    renumber: bool = False
    client: bool = False


class Statement:
    """One of them; not to be changed.

    ``kind`` names it for people: ``positions``, ``GET /api/devices/{id}``. ``data`` is its JSON; of
    what is none, a JSON string. ``of`` says what an ``id`` in it is of that stands in no object
    with a name. ``quick`` is equal only where two mean the same, but not always then; empty where
    it cannot tell. What costs more is found out when it is asked for.
    """

    __slots__ = (
        *("lane", "seq", "offset_ns", "connection", "kind", "of", "data", "quick"),
        *("_settings", "_meaning", "_topic"),
    )

    def __init__(
        self,
        where: DataMessage | Call,
        lane: Lane,
        kind: str,
        data: bytes,
        settings: Settings,
        *,
        of: str = "",
        topic: tuple[Identity, Identity] | None = None,
    ) -> None:
        self.lane: Final = lane
        self.seq: Final = where.seq
        self.offset_ns: Final = where.offset_ns
        self.connection: Final = where.connection
        self.kind: Final = kind
        self.of: Final = of
        self.data: Final = data
        # Equal ids are not enough where they may be others: each has to be written down.
        self.quick: Final = b"" if settings.renumber else digest_of(with_date_forms(data))
        self._settings = settings
        self._meaning: tuple[bytes, tuple[IdOf, ...]] | None = None
        self._topic = topic

    @property
    def value(self) -> Any:
        """Its value, without what is ignored. JSON that cannot be compared as such is a string."""
        try:
            return self._settings.ignored.left_of(read_json(self.data))
        except (ValueError, RecursionError):
            return self.data.decode("utf-8", "backslashreplace")

    @property
    def digest(self) -> bytes:
        """Equal where two mean the same, but for their :attr:`ids`."""
        return self._understood()[0]

    @property
    def ids(self) -> tuple[IdOf, ...]:
        """Its ids in order where they may be others on the other side; else none."""
        return self._understood()[1]

    @property
    def identity(self) -> Identity:
        """What it is about: its kind and the ids of its objects."""
        return self._about()[0]

    @property
    def about(self) -> Identity:
        """The same without what a further one would have of its own: the positions of a device,
        instead of this very one."""
        return self._about()[1]

    def _understood(self) -> tuple[bytes, tuple[IdOf, ...]]:
        if self._meaning is None:
            ids: list[IdOf] | None = [] if self._settings.renumber else None
            try:
                found = digest(normal(self.value, "", self.of, ids))
            # A lone surrogate, or objects in objects without end.
            except (ValueError, RecursionError):
                found = digest_of(self.data)
            self._meaning = found, tuple(ids or ())
        return self._meaning

    def _about(self) -> tuple[Identity, Identity]:
        if self._topic is None:
            self._topic = _ids_in(self.value, self.kind)
        return self._topic


_PLAINLY: Final = Settings()


def statements(entries: Iterable[AnyEntry], settings: Settings) -> Iterator[Statement]:
    """The statements of a recording, in its order; a REST call stands where its answer ends.

    Give it the client legs of what a proxy recorded. Memory: what
    :func:`~replayer.reading.conversation.converse` and :class:`~replayer.reading.calls.Calls` hold.
    Raises what they do.
    """
    fold, slots = Calls(), _Slots()
    over: list[Call] = []

    def watched() -> Iterator[AnyEntry]:
        for entry in entries:
            over.extend(fold.feed(entry))
            yield entry

    for item in converse(watched()):
        while over:
            yield _of_call(over.pop(0), settings)
        slots.see(item)
        if isinstance(item, DataMessage) and (item.sender == "server" or settings.client):
            yield from _of_message(item, str(slots.of(item.connection)), settings)
    for call in [*over, *fold.finish()]:
        yield _of_call(call, settings)


class _Slots:
    """Numbers for the sockets that are open at the same time, from 1; a number that is free again
    is given anew."""

    def __init__(self) -> None:
        self._slots: dict[int, int] = {}

    def see(self, item: object) -> None:
        match item:
            case Open() | Closed():
                self._slots.pop(item.connection, None)
            case Resume():
                self._slots.clear()

    def of(self, connection: int) -> int:
        if connection not in self._slots:
            taken = set(self._slots.values())
            self._slots[connection] = next(
                number for number in range(1, len(taken) + 2) if number not in taken
            )
        return self._slots[connection]


def _of_message(message: DataMessage, slot: str, settings: Settings) -> Iterator[Statement]:
    lane: Lane = ("socket" if message.sender == "server" else "client", slot)
    parts = parts_of(message)
    if not parts:
        pong = parse_pong(message.payload) if message.sender == "client" else None
        if pong is None or pong.uuid is None:
            (kind,) = kinds_of(message, [])
            yield _opaque(message, lane, kind, message.payload)
    for part in parts:
        if part.kind == "unparsed":
            yield _opaque(message, lane, part.kind, part.data)
        else:
            yield _of_part(message, lane, part, settings)


def _opaque(message: DataMessage, lane: Lane, kind: str, payload: bytes) -> Statement:
    (text,) = encode_bytes(payload).values()
    return Statement(message, lane, kind, msgspec.json.encode(text), _PLAINLY)


def _of_part(message: DataMessage, lane: Lane, part: Part, settings: Settings) -> Statement:
    if part.kind == "status" and _is_ping(value := _read(part.data)):
        for each in value["status"]:
            each["message"] = "uuid"
        return Statement(message, PINGS, "PING", spelled(value), settings)
    return Statement(message, lane, "+".join(part.keys) or part.kind, part.data, settings)


def _is_ping(value: Any) -> bool:
    """Whether a ``status`` holds PINGs and nothing else (manual section 3.3)."""
    statuses = value.get("status") if isinstance(value, dict) else None
    return (
        isinstance(statuses, list)
        and bool(statuses)
        and all(
            isinstance(each, dict)
            and each.get("type") == "PING"
            and isinstance(each.get("message"), str)
            for each in statuses
        )
    )


def _ids_in(value: Any, kind: str) -> tuple[Identity, Identity]:
    """What a message is about, with and without the ids that only this one has."""
    ids: list[IdOf] = []
    about: list[IdOf] = []
    for key, items in value.items() if isinstance(value, dict) else ():
        for each in items[:_MAX_IDS] if isinstance(items, list) else ():
            if not isinstance(each, dict):
                continue
            own, device = each.get("id"), each.get("deviceId")
            if is_id(own, "id"):
                ids.append((key.removesuffix("s"), own))
            if is_id(device, "deviceId"):
                about.append(("device", device))
            elif is_id(own, "id"):
                about.append((key.removesuffix("s"), own))
    return (kind, *ids), (kind, *about)


def _of_call(call: Call, settings: Settings) -> Statement:
    path, _, query = call.request.target.partition("?")
    segments = _SESSION_PARAMETER.sub("", path).split("/")
    ids: dict[str, int] = {}
    of = ""
    for at, segment in enumerate(segments):
        if _NUMBER_SEGMENT.fullmatch(segment):
            ids[f"{of}Id"] = int(segment)
            segments[at] = "{id}"
        elif segment:
            of = segment.removesuffix("s")
    kind = f"{call.request.method} {'/'.join(segments)}"
    asked = _fields(query.encode("utf-8"))
    document: dict[str, Any] = {"path": ids, "query": asked}
    if call.request_body:
        is_form = _content_type(call.request.headers) == "application/x-www-form-urlencoded"
        document["request"] = (
            _fields(call.request_body) if is_form else _raw_or_text(call.request_body)
        )
    if call.response is not None:
        body = call.response_body
        document["status"] = call.response.status
        document["type"] = _content_type(call.response.headers)
        document["response"] = None if body is None else _raw_or_text(body)
    data = msgspec.json.encode(document)
    about: Identity = (kind, *((id_space(name, of), number) for name, number in ids.items()))
    asked_for = normal(asked, "", of, None)
    identity: Identity = (*about, *(f"{name}={value}" for name, value in asked_for.items()))
    return Statement(call, ("call", kind), kind, data, settings, of=of, topic=(identity, about))


def _content_type(headers: Iterable[tuple[str, str]]) -> str | None:
    value = header_value(list(headers), "Content-Type")
    return None if value is None else value.partition(";")[0].strip().lower()


def _fields(encoded: bytes) -> dict[str, Any]:
    """The fields of a query or a form, sorted; numbers as such, and several of a name as a list."""
    found: dict[str, list[Any]] = {}
    for name, value in parse_qsl(encoded.decode("utf-8", "replace"), keep_blank_values=True):
        is_number = _NUMBER_SEGMENT.fullmatch(value) and not (value[0] == "0" and len(value) > 1)
        found.setdefault(name, []).append(int(value) if is_number else value)
    return {name: each[0] if len(each) == 1 else each for name, each in sorted(found.items())}


def _raw_or_text(body: bytes) -> Any:
    """A body as the JSON that it is, or as text, or as the hash of what is neither."""
    try:
        read_json(body)
        return msgspec.Raw(body)
    except (ValueError, RecursionError):
        pass
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    if text and len(body) <= _MAX_TEXT_BYTES:
        return text
    return f"{len(body)} bytes, sha256 {hashlib.sha256(body).hexdigest()}"


def _read(data: bytes) -> Any:
    try:
        return read_json(data)
    except (ValueError, RecursionError):
        return None
