"""A recording moved in time: every known date of its messages, of its REST answers and of the
queries that ask for them, each in its own spelling. Pure.

A date moves only where it is the value of a known field in a JSON text; all other bytes stay. As
spelling and length stay too, every frame keeps its head, and a fragmented message is cut where it
was cut before.
"""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlencode

import msgspec

from recorder.redaction.codings import codings_of, decoded
from recorder.wire.frames import Frame, FrameParser, Opcode
from recorder.wire.handshake import header_value
from recorder.wire.json_texts import JsonText, split
from replayer.playing.answers import ExchangeKey, exchange_key
from replayer.playing.dates import Moment, read_date, shifted
from replayer.playing.script import RecordedAnswer, Source
from replayer.playing.timeline import Cue
from replayer.state import State

__all__ = [
    "DATE_FIELDS",
    "Rebased",
    "dates_in",
    "last_date_ns",
    "rebase_payload",
    "rebase_query",
    "rebased_to_now",
]

DATE_FIELDS: Final = frozenset(
    {
        # Positions: manual sections 3.2 and 4.2.
        "serverTime",
        "deviceTime",
        "fixTime",
        # Devices and beacons: manual sections 4.4 and 4.5.
        "lastUpdate",
        "lastSeen",
        "firstDataTime",
        "lastAttempt",
        "lastAsnFail",
        "lastSuccessfulAsnJob",
        "lastOneTimeJob",
        "lastIncompleteAsnJob",
        # Events, trips and stops, statistics: lineage (Traccar's models).
        "eventTime",
        "startTime",
        "endTime",
        "captureTime",
    }
)
"""The fields whose dates say when something was seen. A user's ``expirationTime`` is none of them:
it rules who may log in.
"""

# In valid JSON a quote that no backslash precedes begins or ends a string. Behind one that ends it
# no letter can stand, so this one begins it; the next one ends it, and what a colon follows is a
# key. Hence one search finds the fields, and `"fixTime":` inside of a string, where its quotes are
# escaped, is never one.
_DATED_FIELD: Final = re.compile(
    rb'("(?<!\\")(?:%s)"[ \t\n\r]*+:[ \t\n\r]*+")([0-9]{4}-[0-9T:.Z+-]*+)(?=")'
    % "|".join(sorted(DATE_FIELDS)).encode()
)

_RANGE_NAMES: Final = ("from", "to")
_QUERY_UNIT: Final = re.compile(r"%[0-9a-fA-F]{2}|.", re.DOTALL)


def rebase_payload(payload: bytes, by_ns: int) -> bytes:
    """The payload with the dates in its JSON texts moved; every other byte, and the size, stay.

    A date counts at any depth where it is the string value of one of :data:`DATE_FIELDS`, both
    spelled without escapes. The very object is returned if it holds none. Raises nothing; linear.
    """
    texts = _dated_texts(payload)
    if not texts:
        return payload

    def moved(found: re.Match[bytes]) -> bytes:
        return found[1] + shifted(found[2].decode("ascii"), by_ns).encode("ascii")

    pieces = []
    at = 0
    for text in texts:
        pieces += [payload[at : text.offset], _DATED_FIELD.sub(moved, text.data)]
        at = text.offset + len(text.data)
    return b"".join([*pieces, payload[at:]])


def dates_in(payload: bytes) -> Iterator[Moment]:
    """The dates that :func:`rebase_payload` moves, in their order. Raises nothing; linear."""
    for text in _dated_texts(payload):
        for found in _DATED_FIELD.finditer(text.data):
            moment = read_date(found[2].decode("ascii"))
            if moment is not None:
                yield moment


def rebase_query(target: str, by_ns: int) -> str:
    """A request target with the dates of its query's ``from`` and ``to`` moved; each character
    stays encoded, or not, as it was, and all else stays.
    """
    path, mark, query = target.partition("?")
    parameters = []
    for parameter in query.split("&"):
        name, equals, value = parameter.partition("=")
        if name in _RANGE_NAMES:
            value = _moved_value(value, by_ns)
        parameters.append(name + equals + value)
    return path + mark + "&".join(parameters)


def last_date_ns(source: Source) -> int | None:
    """The last date of a source's messages and opening state, nanoseconds since 1970 in UTC; None
    if there is none. Never ends if the source never does.
    """
    told = (cue.message for cue in source.all_cues() if cue.message is not None)
    return max(
        (
            moment.utc_ns
            for payloads in (source.opening.messages(), told)
            for payload in payloads
            for moment in dates_in(payload)
        ),
        default=None,
    )


class Rebased:
    """A :class:`~replayer.playing.script.Source` that plays another one ``by_ns`` later: its dates,
    not its pace.

    Cues are moved as they are taken, and kept: of many sockets that play the same one only the
    first pays. So memory grows to that of a second source. Later rounds of a loop are not kept.
    """

    def __init__(self, source: Source, by_ns: int) -> None:
        self._source = source
        self._by_ns = by_ns
        self._opening: State | None = None
        self._first_rounds: dict[int, _Kept] = {}

    @property
    def sockets(self) -> int:
        """As many as the source has."""
        return self._source.sockets

    @property
    def timed(self) -> bool:
        """As the source says."""
        return self._source.timed

    @property
    def ends(self) -> bool:
        """As the source says."""
        return self._source.ends

    @property
    def opening(self) -> State:
        """The source's with its dates moved. Not to be changed."""
        if self._opening is None:
            self._opening = self._source.opening.mapped(
                lambda text: rebase_payload(text, self._by_ns)
            )
        return self._opening

    def cues(self, number: int, *, later_ns: int = 0) -> Iterable[Cue]:
        """The source's, due when those are. ``later_ns`` is how much later than the first this
        round of a loop begins: its dates are later by that too.
        """
        if later_ns:
            return _moved_cues(self._source.cues(number), self._by_ns + later_ns)
        if number not in self._first_rounds:
            moved = _moved_cues(self._source.cues(number), self._by_ns)
            self._first_rounds[number] = _Kept(moved)
        return self._first_rounds[number]

    def all_cues(self, *, later_ns: int = 0) -> Iterator[Cue]:
        """The source's, like :meth:`cues`."""
        return _moved_cues(self._source.all_cues(), self._by_ns + later_ns)

    def shows_timeout(self, number: int) -> bool:
        """As the source says."""
        return self._source.shows_timeout(number)

    def answer(self, method: str, target: str) -> RecordedAnswer | None:
        """What the source answers to the query moved back, with the dates in it moved forward.

        A body that holds dates is given without its content coding. One whose coding cannot be
        undone stays as it is.
        """
        answer = self._source.answer(method, rebase_query(target, -self._by_ns))
        if answer is None:
            return None
        codings = codings_of(header_value(answer.headers, "Content-Encoding") or "")
        undone = decoded(answer.body, codings)
        if undone is None:
            return answer
        body = rebase_payload(undone[0], self._by_ns)
        if body is undone[0]:
            return answer
        return RecordedAnswer(answer.status, _headers_of(answer, len(body)), body)

    def requests(self) -> Iterator[ExchangeKey]:
        """The source's, with the dates of their periods moved."""
        for method, path, query in self._source.requests():
            yield exchange_key(method, rebase_query(f"{path}?{urlencode(query)}", self._by_ns))


def rebased_to_now(source: Source, now: datetime) -> Source:
    """The source with its last date moved to ``now``, which has a zone, and all others by as much.

    A source without a date is returned as it is. Never ends if the source never does; raises
    TypeError if ``now`` has no zone.
    """
    now_ns = (now - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
    last_ns = last_date_ns(source)
    return source if last_ns is None else Rebased(source, now_ns - last_ns)


class _Kept:
    """Cues that are taken from an iterator once, however often and far they are iterated."""

    def __init__(self, cues: Iterator[Cue]) -> None:
        self._cues = cues
        self._taken: list[Cue] = []

    def __iter__(self) -> Iterator[Cue]:
        for index in itertools.count():
            if index == len(self._taken):
                cue = next(self._cues, None)
                if cue is None:
                    return
                self._taken.append(cue)
            yield self._taken[index]


def _dated_texts(payload: bytes) -> list[JsonText]:
    """The JSON texts of a payload; none if no known field with a date can be in them."""
    # Most messages that are not objects' hold none, and this search is faster than splitting.
    if _DATED_FIELD.search(payload) is None:
        return []
    return [span for span in split(payload) if isinstance(span, JsonText)]


def _moved_value(value: str, by_ns: int) -> str:
    """A date in a query, moved: each of its characters is encoded if it was."""
    units = _QUERY_UNIT.findall(value)
    read = "".join(_character(unit) for unit in units)
    return "".join(
        unit if old == new else f"%{ord(new):02X}" if len(unit) > 1 else new
        for unit, old, new in zip(units, read, shifted(read, by_ns), strict=True)
    )


def _character(unit: str) -> str:
    if len(unit) > 1:
        return chr(int(unit[1:], 16))
    # In a query a bare plus is a space, and with a space it is no date (lineage).
    return " " if unit == "+" else unit


def _moved_cues(cues: Iterable[Cue], by_ns: int) -> Iterator[Cue]:
    """The cues with the dates of their messages moved.

    What comes between the fragments of a message waits for its end: a date may stand across them.
    """
    held: list[Cue] = []
    for cue in cues:
        held.append(cue)
        if cue.message is not None:
            yield from _moved_message(held, cue.message, by_ns)
            held = []
        elif len(held) == 1 and cue.kind in ("control", "close", "torn"):
            held = []
            yield cue
    yield from held


def _moved_message(cues: list[Cue], message: bytes, by_ns: int) -> list[Cue]:
    """The cues up to the one that completes ``message``, with its dates moved."""
    moved = rebase_payload(message, by_ns)
    if moved is message:
        return cues
    made = [msgspec.structs.replace(cues[-1], message=moved)]
    made += cues[-2::-1]
    # From its end, as frames that belong to no message may stand before its beginning.
    end = len(moved)
    for index, cue in enumerate(made):
        if cue.kind in ("control", "close", "torn"):
            continue
        data, left = _with_payload(cue.data, moved, end)
        made[index] = msgspec.structs.replace(cue, data=data)
        if left is None:
            break
        end = left
    return made[::-1]


def _with_payload(data: bytes, message: bytes, end: int) -> tuple[bytes, int | None]:
    """The frames in ``data``, the last of them now with the bytes of ``message`` before ``end``.

    Also where the bytes begin that are left for the frames before; None if there are none.
    """
    frames = []
    left: int | None = end
    for frame in reversed(FrameParser(max_frame_bytes=sys.maxsize).feed(data)):
        assert isinstance(frame, Frame)
        if left is not None:
            start = left - len(frame.payload)
            frames.append(msgspec.structs.replace(frame, payload=message[start:left]).serialize())
            left = start if frame.opcode == Opcode.CONTINUATION else None
        else:
            frames.append(frame.serialize())
    return b"".join(reversed(frames)), left


def _headers_of(answer: RecordedAnswer, size_bytes: int) -> list[tuple[str, str]]:
    """The answer's headers for a body of that size without a content coding."""
    return [
        (name, str(size_bytes) if name.lower() == "content-length" else value)
        for name, value in answer.headers
        if name.lower() != "content-encoding"
    ]
