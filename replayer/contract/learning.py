"""Recordings in, a contract out: what each kind of message and each REST call looked like. Pure.

The server's text messages are learnt by kind, REST calls by method and path, with the client's part
(query, form, JSON body) and the answers by status. A client's text on the socket is a pong and no
JSON: nothing is learnt of it. A message of the server with a part that is no JSON is broken: what
is whole in it may be a fragment of something else, so that nothing of it is learnt.

Memory: one batch of messages, one REST answer, and what :mod:`replayer.contract.places` keeps.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from recorder.model import (
    AnyEntry,
    FrameEntry,
    Header,
    MessageEntry,
)
from recorder.redaction.rules import MARK
from recorder.track.kinds import read_message
from recorder.wire.handshake import header_value
from replayer.contract import model
from replayer.contract.places import Place
from replayer.contract.spelling import Batch
from replayer.reading.calls import Call as RestCall
from replayer.reading.calls import Calls
from replayer.reading.conversation import DataMessage, converse
from replayer.reading.legs import client_legs

__all__ = ["MAX_CALLS", "MAX_KINDS", "Learner", "path_of"]

MAX_KINDS: Final = 100
MAX_CALLS: Final = 500
_BATCH_MESSAGES: Final = 512
_BATCH_CHARACTERS: Final = 1024 * 1024
_SLICE: Final = 512
"""So many elements of a REST answer are learnt at once."""
_MAX_PARAMETERS: Final = 200

_ID_SEGMENT: Final = re.compile(r"[0-9]+|[0-9a-fA-F-]{16,}")
_decode: Final = msgspec.json.Decoder().decode


class Learner:
    """Learns recordings, one after the other; :meth:`contract` says what it knows so far.

    Nothing is learnt of what is counted here: ``unreadable`` are the server's messages that are not
    wholly JSON texts (binary ones are not) and its JSON texts that are no object or hold a number
    out of range; ``beyond`` those of more kinds than :data:`MAX_KINDS`.
    """

    def __init__(self) -> None:
        self.unreadable = 0
        self.beyond = 0
        self._learnt_from: list[model.LearntFrom] = []
        self._messages: dict[str, _Message] = {}
        self._calls: dict[str, _Call] = {}
        self._batch: dict[str, list[Any]] = {}
        self._texts: list[str] = []
        self._characters = 0
        self._seen_messages = 0
        self._seen_calls = 0

    def learn(self, header: Header, entries: Iterable[AnyEntry]) -> None:
        """Learn one recording, or the parts of a series as one, whole. Raises what ``entries``
        raise; what was read before that is learnt."""
        self._seen_messages = self._seen_calls = 0
        try:
            for item in converse(self._unusual(client_legs(entries))):
                if isinstance(item, DataMessage) and item.sender == "server":
                    self._data(item)
        finally:
            self._learn_batch()
            self._learnt_from.append(
                model.LearntFrom(
                    id=header.id,
                    started_at=header.started_at,
                    messages=self._seen_messages,
                    calls=self._seen_calls,
                )
            )

    def contract(self, tool: str, *, all_values: bool = False) -> model.Contract:
        """What is known. With ``all_values`` also strings that make no enumeration are listed,
        where they are few: for comparing with a contract, not for keeping."""
        return model.Contract(
            tool=tool,
            learnt_from=list(self._learnt_from),
            unreadable=self.unreadable,
            messages={
                kind: model.Message(
                    seen=message.seen, shape=message.place.shape(all_values=all_values)
                )
                for kind, message in sorted(self._messages.items())
            },
            calls={
                name: call.learnt(all_values=all_values)
                for name, call in sorted(self._calls.items())
            },
        )

    def _unusual(self, entries: Iterable[AnyEntry]) -> Iterator[AnyEntry]:
        """The entries that need more than a look: a whole text message from the server in one
        frame, which is nearly all there is, is learnt here and now."""
        calls = Calls()
        for entry in entries:
            if isinstance(entry, FrameEntry):
                if entry.sender == "client":
                    continue
                if entry.opcode == "text" and entry.fin and entry.text is not None:
                    self._text(entry.text)
                    continue
            elif isinstance(entry, MessageEntry):
                if entry.sender == "client":
                    continue
                if entry.opcode == "text" and entry.text is not None:
                    self._text(entry.text)
                    continue
            else:
                for call in calls.feed(entry):
                    self._call(call)
            yield entry
        for call in calls.finish():
            self._call(call)

    def _text(self, text: str) -> None:
        try:
            value = _decode(text)
        except (ValueError, RecursionError):
            value = None
        if type(value) is dict:
            self._take(value, text)
        else:
            self._payload(text.encode("utf-8"))

    def _data(self, message: DataMessage) -> None:
        if message.opcode == "text":
            self._payload(message.payload)
        else:
            self.unreadable += 1

    def _payload(self, payload: bytes) -> None:
        parts = read_message(payload)
        if not parts or any(part.kind == "unparsed" for part in parts):
            self.unreadable += 1
            return
        for part in parts:
            try:
                text = part.data.decode("utf-8")
                value = _decode(text)
            except (ValueError, RecursionError):
                value = None
            if type(value) is dict:
                self._take(value, text)
            else:
                self.unreadable += 1

    def _take(self, value: dict[str, Any], text: str) -> None:
        kind = next(iter(value)) if len(value) == 1 else "+".join(sorted(value))
        self._seen_messages += 1
        batch = self._batch.get(kind)
        if batch is None:
            batch = self._batch[kind] = []
        batch.append(value)
        self._texts.append(text)
        self._characters += len(text)
        if len(self._texts) >= _BATCH_MESSAGES or self._characters >= _BATCH_CHARACTERS:
            self._learn_batch()

    def _learn_batch(self) -> None:
        batch = Batch(self._texts)
        for kind, values in self._batch.items():
            message = self._messages.get(kind)
            if message is None:
                if len(self._messages) >= MAX_KINDS:
                    self.beyond += len(values)
                    continue
                message = self._messages[kind] = _Message()
            message.seen += len(values)
            message.place.learn(values, None, batch)
        self._batch, self._texts, self._characters = {}, [], 0

    def _call(self, call: RestCall) -> None:
        path = path_of(call.request.target)
        if path is None:
            return
        name = f"{call.request.method} {path}"
        known = self._calls.get(name)
        if known is None:
            if len(self._calls) >= MAX_CALLS:
                return
            known = self._calls[name] = _Call()
        self._seen_calls += 1
        known.learn(call)


def path_of(target: str) -> str | None:
    """The path of a request's target from ``/api`` on, with ``{id}`` where an id stood; None where
    it is no call of the API.

    >>> path_of("/track/api/devices/794513675?all=true")
    '/api/devices/{id}'
    """
    path = target.partition("?")[0].rstrip("/")
    segments = path.split("/")
    if "api" not in segments[1:]:
        return None
    return "/".join(
        "{id}" if _ID_SEGMENT.fullmatch(segment) or MARK.search(segment) else segment
        for segment in ["", *segments[segments.index("api") :]]
    )


class _Message:
    def __init__(self) -> None:
        self.seen = 0
        self.place = Place()


class _Call:
    def __init__(self) -> None:
        self.seen = 0
        self.query = Place()
        self.form = Place()
        self.request: Place | None = None
        self.answers: dict[str, _Answer] = {}

    def learn(self, call: RestCall) -> None:
        self.seen += 1
        _learn_parameters(self.query, call.request.target.partition("?")[2])
        kind = _content_type(call.request.headers)
        if kind == "application/x-www-form-urlencoded":
            _learn_parameters(self.form, (call.request_body or b"").decode("utf-8", "replace"))
        elif call.request_body:
            self.request = _learn_body(self.request, call.request_body)
        if call.response is not None:
            status = str(call.response.status)
            self.answers.setdefault(status, _Answer()).learn(call)

    def learnt(self, *, all_values: bool) -> model.Call:
        return model.Call(
            seen=self.seen,
            query=self.query.fields(),
            request=None if self.request is None else self.request.shape(),
            form=self.form.fields(),
            answers={
                status: answer.learnt(all_values=all_values)
                for status, answer in sorted(self.answers.items())
            },
        )


class _Answer:
    def __init__(self) -> None:
        self.seen = 0
        self.content_types: Counter[str] = Counter()
        self.place: Place | None = None

    def learn(self, call: RestCall) -> None:
        self.seen += 1
        assert call.response is not None
        kind = _content_type(call.response.headers)
        if kind:
            self.content_types[kind] += 1
        if call.response_body:
            self.place = _learn_body(self.place, call.response_body)

    def learnt(self, *, all_values: bool) -> model.Answer:
        return model.Answer(
            seen=self.seen,
            content_types=dict(sorted(self.content_types.items())),
            shape=None if self.place is None else self.place.shape(all_values=all_values),
        )


def _content_type(headers: list[tuple[str, str]]) -> str:
    return (header_value(headers, "Content-Type") or "").partition(";")[0].strip().lower()


def _learn_parameters(place: Place, text: str) -> None:
    """Learn a query or a form; of a name that is repeated the last value."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_PARAMETERS)
    except ValueError:
        return
    place.learn([dict(pairs)], None, Batch(()))


def _learn_body(place: Place | None, body: bytes) -> Place | None:
    """Learn a body if it is JSON; return its place, a new one where there was none."""
    try:
        text = body.decode("utf-8")
        if len(text) <= _BATCH_CHARACTERS:
            value = _decode(text)
            place = place or Place()
            place.learn([value], None, Batch((text,)))
            return place
        elements = msgspec.json.decode(body, type=list[msgspec.Raw])
    except (ValueError, RecursionError):
        return place
    # All of it at once would take ten times its size.
    place = place or Place()
    for batch in (elements[at : at + _SLICE] for at in range(0, len(elements), _SLICE)):
        texts = [bytes(each).decode("utf-8") for each in batch]
        place.learn_elements(list(map(_decode, texts)), Batch(texts))
    place.learn_array(len(elements))
    return place
