"""An item of a conversation in words: what stands in one line of ``track-replayer show``. Pure.

Nothing of a payload reaches a line as it is: whatever a terminal would obey rather than show
(control characters, escape sequences, marks that turn the direction of writing) is escaped by
:func:`printable`. Bodies and header fields of HTTP are never shown, as they hold passwords and
cookies where a recording is not redacted.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, get_args

import msgspec
from rich.cells import cell_len, set_cell_size

from recorder.model import (
    Body,
    Bytes,
    Checkpoint,
    Clock,
    Closed,
    End,
    FrameEntry,
    Note,
    Open,
    Payload,
    Resume,
    Sender,
    UnknownEntry,
)
from recorder.track.kinds import Kind, Part, objects_of, parse_pong, ping_uuids
from recorder.wire.frames import Opcode
from replayer.checkpoints import read_checkpoint
from replayer.conversation import (
    BrokenMessage,
    DataMessage,
    Exchange,
    Item,
    frame_of,
    kinds_of,
    parts_of,
)

__all__ = [
    "BACKGROUND_KINDS",
    "KINDS",
    "Describer",
    "Line",
    "counted",
    "duration",
    "fit",
    "json_text",
    "printable",
    "seconds",
    "wrap",
]

BACKGROUND_KINDS: Final = ("open", "body", "clock", "end")
"""What a recording notes about itself rather than about the conversation."""

KINDS: Final[tuple[str, ...]] = (
    *get_args(Kind),
    *("PING", "pong", "text", "binary", "reserved", "broken"),
    *("control", "close", "http", "bytes", "note", "closed", "checkpoint", "resume"),
    *BACKGROUND_KINDS,
)
"""Every kind that a :class:`Line` can have."""

_LISTED: Final = 8
"""So many names stand in a line; the others are counted."""

_WORD_CHARACTERS: Final = 80
"""A name or text longer than this is cut."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One item in words.

    ``payload`` is what its bytes were, None where it has none or they are not to be shown, and
    ``size_bytes`` how many. ``mentions`` holds the names and ids of the devices and beacons that a
    message is about.
    """

    seq: int
    offset_ns: int | None
    connection: int | None = None
    sender: Sender | None = None
    opcode: str | int | None = None
    kinds: tuple[str, ...]
    size_bytes: int | None = None
    summary: str
    payload: bytes | None = None
    mentions: frozenset[str] = frozenset()


class _Object(msgspec.Struct, rename="camel"):
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


_decode_object: Final = msgspec.json.Decoder(_Object).decode
_NO_OBJECT: Final = _Object()


class Describer:
    """Puts the items of one conversation into words, in their order.

    It remembers the name of each device that a message told, since a position may give only its
    ``deviceId`` (manual section 3.6): that is all its memory.
    """

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def line(self, item: Item) -> Line:
        """The line of the next item. Raises CorruptRecording where a frame's fields cannot be
        one."""
        match item:
            case DataMessage():
                return self._message(item)
            case FrameEntry():
                return _control(item)
            case BrokenMessage():
                return _line(item, "broken", f"no message: {item.why}", sender=item.sender)
            case Exchange():
                return _exchange(item)
            case Bytes():
                return _line(item, "bytes", printable(item.why), sender=item.sender, holder=item)
            case Note():
                return _line(item, "note", printable(item.text))
            case UnknownEntry():
                return _line(item, "unknown", f"an entry of the unknown kind {_quoted(item.kind)}")
            case _:
                return _background(item)

    def _message(self, message: DataMessage) -> Line:
        parts = parts_of(message)
        kinds = kinds_of(message, parts)
        mentions: set[str] = set()
        if parts:
            summary = " ~ ".join(self._part(part, mentions) for part in parts[:_LISTED])
            summary += _more(len(parts))
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
            mentions=frozenset(mentions),
        )

    def _part(self, part: Part, mentions: set[str]) -> str:
        match part.kind:
            case "devices" | "beacons":
                return self._named(part, mentions)
            case "positions":
                return self._each(part, mentions, self._position)
            case "events":
                return self._each(part, mentions, self._event)
            case "status":
                uuids = ping_uuids(part.data)
                return ", ".join(map(_cut, uuids)) if uuids else _statuses(part)
            case "webSessionTimeout":
                values = ", ".join(
                    _cut(bytes(value).decode("utf-8", "replace")) for value in objects_of(part)
                )
                return f"{values} s" if values else _excerpt(part.data)
            case "empty":
                return "keep-alive"
            case "several-keys":
                return "keys " + _listed(list(map(_cut, part.keys)))
            case "unknown" if part.keys:
                return f"key {_cut(part.keys[0])}"
            case _:
                return _excerpt(part.data)

    def _named(self, part: Part, mentions: set[str]) -> str:
        shown = []
        for each in _objects(part):
            name = _word(each.name, or_else=_word(each.id))
            if part.kind == "devices" and each.name is not None:
                self._names[_word(each.id)] = name
            mentions.update((_word(each.id), name))
            shown.append(name)
        return f"{counted(len(shown), part.kind)}: {_listed(shown)}" if shown else f"no {part.kind}"

    def _each(
        self, part: Part, mentions: set[str], words: Callable[[_Object, set[str]], str]
    ) -> str:
        shown = [words(each, mentions) for each in _objects(part)]
        if len(shown) == 1:
            return shown[0]
        return (
            f"{counted(len(shown), part.kind)}: {_listed(shown, '; ')}"
            if shown
            else f"no {part.kind}"
        )

    def _device(self, each: _Object, mentions: set[str]) -> str:
        device_id = _word(each.device_id)
        name = _word(each.device_name, or_else=self._names.get(device_id, ""))
        mentions.update((device_id, name) if name else (device_id,))
        return name or f"device {device_id}"

    def _position(self, each: _Object, mentions: set[str]) -> str:
        where = ""
        if each.beacon_name is not None or each.beacon_id is not None:
            where = f" at {_word(each.beacon_name, or_else=_word(each.beacon_id))}"
        elif isinstance(each.latitude, int | float) and isinstance(each.longitude, int | float):
            where = f" at {each.latitude:.5f}, {each.longitude:.5f}"
        return f"{self._device(each, mentions)}{where}{_rssi(each.rssi)}"

    def _event(self, each: _Object, mentions: set[str]) -> str:
        return f"{_word(each.type)} of {self._device(each, mentions)}"


def _line(
    item: Any,
    kind: str,
    summary: str,
    *,
    sender: Sender | None = None,
    opcode: str | int | None = None,
    holder: Payload | None = None,
) -> Line:
    data = None if holder is None else holder.data
    return Line(
        seq=item.seq,
        offset_ns=item.offset_ns,
        connection=getattr(item, "connection", None),
        sender=sender,
        opcode=opcode,
        kinds=(kind,),
        size_bytes=None if data is None else len(data),
        summary=summary,
        payload=data,
    )


def _control(entry: FrameEntry) -> Line:
    frame = frame_of(entry)
    if frame.opcode == Opcode.CLOSE:
        kind = "close"
        code = frame.close_code
        words = "no code" if code is None else f"{code} {printable(frame.close_reason)}".rstrip()
    else:
        kind = "control"
        words = _excerpt(frame.payload) if frame.payload else "no payload"
    return _line(entry, kind, words, sender=entry.sender, opcode=entry.opcode, holder=entry)


def _exchange(exchange: Exchange) -> Line:
    request, response = exchange.request, exchange.response
    asked = "a request that was not recorded"
    if request is not None:
        asked = f"{_cut(request.method)} {_cut(request.target)}"
    answered = "no response"
    if response is not None:
        answered = f"{response.status} {_cut(response.reason)}".rstrip()
    took_ns = exchange.took_ns
    took = "" if took_ns is None else f", {took_ns / 1e6:.0f} ms"
    sender: Sender = "client" if response is None else "server"
    return _line(exchange, "http", f"{asked} -> {answered}{took}", sender=sender)


def _background(item: Open | Closed | Body | Clock | Checkpoint | Resume | End) -> Line:
    match item:
        case Open():
            where = item.url or item.peer or "somewhere"
            summary = f"{_cut(where)}{f', {printable(item.tls)}' if item.tls else ''}"
            if item.paired_with is not None and item.leg == "upstream":
                summary += f", for connection {item.paired_with}"
        case Closed():
            summary = f"by {item.by}, {item.how}"
            summary += f": {printable(item.detail)}" if item.detail else ""
        case Body():
            # Only its size: a body may hold a password.
            size = len(item.data)
            summary = f"of exchange {item.exchange}{'' if item.last else ', more follows'}"
            line = _line(item, "body", summary, sender=item.sender)
            return msgspec.structs.replace(line, size_bytes=size)
        case Clock():
            summary = printable(item.wall)
        case Checkpoint():
            summary = _checkpoint(item)
        case Resume():
            summary = (
                f"recording went on at {_cut(item.wall)},"
                f" {counted(item.cut_bytes, 'bytes')} of a torn line cut"
            )
        case End():
            summary = f"{item.entries} entries"
    return _line(item, item.kind, summary)


def _checkpoint(item: Checkpoint) -> str:
    """What goes on here, and what is known."""
    standing = read_checkpoint(item)
    sockets = [str(number) for number, each in standing.connections.items() if each.is_socket]
    others = len(standing.connections) - len(sockets)
    goes_on = []
    if sockets:
        goes_on.append(f"{'socket' if len(sockets) == 1 else 'sockets'} {_listed(sockets)}")
    if others:
        goes_on.append(f"{counted(others, 'connections')} of HTTP")
    if item.fragments:
        goes_on.append(counted(len(item.fragments), "begun messages"))
    if item.pings:
        goes_on.append(counted(len(item.pings), "unanswered PINGs"))
    state = (
        counted(len(getattr(item, kind)), kind) for kind in ("devices", "beacons", "positions")
    )
    return f"goes on: {', '.join(goes_on) or 'no connection'}; known: {', '.join(state)}"


def _own_words(message: DataMessage) -> str:
    pong = parse_pong(message.payload) if message.opcode == "text" else None
    if message.sender == "client" and pong is not None:
        return (
            _cut(pong.uuid) if pong.uuid is not None else f"malformed: {_excerpt(message.payload)}"
        )
    return _excerpt(message.payload) if message.payload else "no payload"


def _objects(part: Part) -> list[_Object]:
    return [_object(raw) for raw in objects_of(part, part.kind)]


def _object(raw: msgspec.Raw) -> _Object:
    try:
        return _decode_object(raw)
    # What is no object, or holds what a decoder refuses (bad UTF-8, endless nesting), has no words.
    except (ValueError, RecursionError):
        return _NO_OBJECT


def _statuses(part: Part) -> str:
    shown = [f"{_word(each.type)} {_word(each.message)}" for each in _objects(part)]
    return _listed(shown, "; ") if shown else _excerpt(part.data)


def _rssi(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    # 128 to 255 are taken for unsigned bytes: the manual's section 3.6 calls -64 also 204.
    reading = f" ({value - 256:g} dBm)" if 128 <= value <= 255 else ""
    return f", rssi {value:g}{reading}"


def _word(value: Any, *, or_else: str = "?") -> str:
    if isinstance(value, str) and value:
        return _cut(value)
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else or_else


def _listed(words: list[str], separator: str = ", ") -> str:
    return separator.join(words[:_LISTED]) + _more(len(words))


def _more(count: int) -> str:
    return f" and {count - _LISTED} more" if count > _LISTED else ""


def _cut(text: str) -> str:
    return printable(text if len(text) <= _WORD_CHARACTERS else text[: _WORD_CHARACTERS - 1] + "…")


def _quoted(text: str) -> str:
    return f"'{_cut(text)}'"


def _excerpt(data: bytes) -> str:
    # A character takes four bytes at most. One that the cut tears must not turn text into binary.
    start = data[: 4 * _WORD_CHARACTERS]
    try:
        return _quoted(start.decode("utf-8", "strict" if start == data else "ignore"))
    except UnicodeDecodeError:
        return data[:16].hex(" ") + ("…" if len(data) > 16 else "")


def printable(text: str) -> str:
    r"""The text with whatever is not printable escaped as Python would, ``\x1b`` or ``\u202e``:
    safe in one line."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii")
        for each in text
    )


def counted(count: int, plural: str) -> str:
    """``1 device``, ``2 devices``: the number with the word, whose last letter is its plural's."""
    return f"{count} {plural[:-1] if count == 1 else plural}"


def json_text(value: object) -> str:
    """The value as JSON in one line of printable characters; others stand as escapes, which say the
    same."""
    text = msgspec.json.encode(value).decode("utf-8")
    # JSON itself escapes only what is below a space; in its strings, anything may be escaped.
    return text if text.isprintable() else _PERHAPS_NOT_PRINTABLE.sub(_json_escape, text)


_PERHAPS_NOT_PRINTABLE: Final = re.compile("[^ -~]")


def _json_escape(found: re.Match[str]) -> str:
    character = found[0]
    if character.isprintable():
        return character
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def fit(text: str, columns: int) -> str:
    """The text in at most ``columns`` cells of a terminal (a wide character takes two), cut with
    ``…``."""
    return text if cell_len(text) <= columns else set_cell_size(text, columns - 1).rstrip() + "…"


_WORD: Final = re.compile(" *[^ ]+")
_WRAPPED_INDENT: Final = " " * 14


def wrap(text: str, columns: int) -> str:
    """The text in lines of at most ``columns`` cells, broken before words; those after the first
    are indented. A wider word stays whole, so that it can be copied where a terminal breaks it."""
    lines, line = [], ""
    for word in _WORD.findall(text.rstrip(" ")):
        if line and cell_len(line + word) > columns:
            lines.append(line)
            line, word = _WRAPPED_INDENT, word.lstrip(" ")
        line += word
    return "\n".join([*lines, line])


def seconds(offset_ns: int | None) -> str:
    """Seconds since the recording's start, three decimals; ``-`` where there is no timing."""
    return "-" if offset_ns is None else f"{offset_ns // 1_000_000 / 1000:.3f}"


def duration(length_ns: int) -> str:
    """A length of time as ``--from`` takes it: ``12.345s``, ``1m30.000s`` or ``2h03m04.500s``."""
    whole_ms = length_ns // 1_000_000
    minutes, rest_ms = divmod(whole_ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02}m{rest_ms / 1000:06.3f}s"
    return f"{minutes}m{rest_ms / 1000:06.3f}s" if minutes else f"{rest_ms / 1000:.3f}s"
