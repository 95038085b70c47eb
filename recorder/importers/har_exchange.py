"""One entry of a HAR: its members in, in any order, the entries of a recording out. Pure."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

import msgspec

from recorder.importers.chunks import pieces
from recorder.importers.har_fields import (
    Message,
    RequestFields,
    ResponseFields,
    Timings,
    decode,
    header_fields,
    one_line,
)
from recorder.importers.har_values import (
    http_version,
    message_time_ns,
    milliseconds_ns,
    origin_of,
    start_ns,
    target_of,
    text_bytes,
    wire_text,
    without_coding,
)
from recorder.model import (
    MAX_BODY_PIECE_BYTES,
    Body,
    Bytes,
    Closed,
    KnownEntry,
    MessageEntry,
    Note,
    Open,
    Request,
    Response,
    Sender,
    encode_bytes,
)

__all__ = ["HarEntry"]

_NO_BODY: Final = "bodies that the HAR does not hold"
_CACHED_BODY: Final = "bodies from the browser's cache, of answers that had none"
_LONG_FIELD: Final = "fields that are no JSON or longer than 64 KiB"
_NO_TIME: Final = "times that cannot be read"

# The parts of an entry in the order in which they stand where they have the same time.
_OPEN, _REQUEST, _RESPONSE, _NOTE, _MESSAGE, _CLOSED = range(6)

_SENDERS: Final[dict[str | None, Sender]] = {"send": "client", "receive": "server"}
_OPCODES: Final = {1: "text", 2: "binary", None: "text"}
# Said by the entries of the recording, so not kept again.
_TOLD_OF_ENTRY: Final = {"startedDateTime", "time", "request", "response", "cache", "timings"}
_TOLD_OF_HEADS: Final = {"httpVersion", "headers", "cookies", "headersSize", "bodySize"}
_TOLD_OF_REQUEST: Final = _TOLD_OF_HEADS | {"method", "url", "queryString", "postData"}
_TOLD_OF_RESPONSE: Final = _TOLD_OF_HEADS | {"status", "statusText", "content", "redirectURL"}


class HarEntry:
    """What is known of an entry while its members are read.

    ``number`` is its place in the HAR, ``before_ns`` when the entry before it began, which stands
    for a time that it lacks. ``left_out`` counts, by name, what the recording cannot hold.
    ``connection`` and ``exchange`` are set by whoever knows the connections: before the first
    message, or else before :meth:`entries`.
    """

    def __init__(self, number: int, before_ns: int | None, left_out: Counter[str]) -> None:
        self.connection: int | None = None
        self.exchange = 1
        self.has_messages = False
        self.end_ns: int | None = None
        """When all was over; known after :meth:`entries`."""
        self._before_ns = before_ns
        self._number = number
        self._left_out = left_out
        self._places = 0
        self._started_ns: int | None = None
        self._first_message_ns: int | None = None
        self._message_ns: int | None = None
        self._time_ns: int | None = None
        self._timings = Timings()
        self._request: RequestFields | None = None
        self._response: ResponseFields | None = None
        self._request_extra: dict[str, msgspec.Raw] = {}
        self._response_extra: dict[str, msgspec.Raw] = {}
        self._extra: dict[str, msgspec.Raw] = {}
        self._unread: list[tuple[str, bytes]] = []

    # What comes in

    def take(self, name: str, data: bytes) -> None:
        """A member that is none of the messages. What cannot be read is kept as ``bytes``."""
        if data == b"null":
            return
        try:
            match name:
                case "startedDateTime":
                    self._started_ns = start_ns(decode(data, str))
                case "time":
                    self._time_ns = milliseconds_ns(decode(data, Decimal))
                case "timings":
                    self._timings = decode(data, Timings)
                case "request":
                    self._request = decode(data, RequestFields)
                    self._request_extra = self._others(data, _TOLD_OF_REQUEST)
                case "response":
                    self._response = decode(data, ResponseFields)
                    self._response_extra = self._others(data, _TOLD_OF_RESPONSE)
        except ValueError as error:
            self._unread.append((f"the {name} of an entry of a HAR: {error}", data))
        if name not in _TOLD_OF_ENTRY:
            self._keep(self._extra, name, data)

    def message(self, data: bytes) -> Iterator[KnownEntry]:
        """The entries of the next item of ``_webSocketMessages``."""
        try:
            fields = decode(data, Message)
        except ValueError as error:
            at_ns = self._message_at(None)
            yield from self._bytes(f"a message of a HAR: {error}", data, at_ns, _MESSAGE)
            return
        time_ns = message_time_ns(fields.time)
        self._left_out[_NO_TIME] += time_ns is None
        at_ns = self._message_at(time_ns)
        sender = _SENDERS.get(fields.type)
        opcode = _OPCODES.get(fields.opcode)
        text = fields.data or ""
        if fields.type == "error":
            yield self._note(f"the browser said of the socket: {wire_text(text)}", at_ns, _MESSAGE)
            return
        payload = text_bytes(text, None, None)
        if opcode == "binary":
            try:
                payload = base64.b64decode(text, validate=True)
            except ValueError:
                opcode = None
        if sender is None or opcode is None:
            why = "a message of a HAR: expected send or receive, opcode 1, or 2 with base64"
            yield from self._bytes(why, data, at_ns, _MESSAGE)
            return
        yield MessageEntry(
            **self._common(at_ns, _MESSAGE),
            sender=sender,
            opcode=opcode,
            **encode_bytes(payload),
        )

    def _message_at(self, time_ns: int | None) -> int | None:
        """When the next message was, whose ``time`` says ``time_ns``.

        The order of the messages is the HAR's: none is before the one before it.
        """
        at_ns = self.start_ns if time_ns is None else time_ns
        if self._message_ns is not None:
            at_ns = max(at_ns or 0, self._message_ns)
        if not self.has_messages:
            self.has_messages = True
            self._first_message_ns = at_ns
        self._message_ns = at_ns
        return at_ns

    # What goes out

    @property
    def start_ns(self) -> int | None:
        """When it began, or else the entry before it."""
        return self._before_ns if self._started_ns is None else self._started_ns

    @property
    def url(self) -> str:
        """The URL of the request, "" if it has none."""
        return "" if self._request is None else wire_text(self._request.url)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to make entries of."""
        return self._request is None and not self.has_messages and not self._unread

    @property
    def is_network(self) -> bool:
        """Whether it went over a network, which ``data:`` and ``blob:`` do not."""
        return self._request is None or bool(origin_of(self._request.url))

    @property
    def is_socket(self) -> bool:
        """Whether it is a WebSocket, which has its connection for itself."""
        return (
            self.has_messages
            or (self._response is not None and self._response.status == 101)
            or self.url[:2].lower() == "ws"
            or self._field("_resourceType") == "websocket"
        )

    @property
    def origin(self) -> str:
        """Scheme and authority of the URL, the scheme being that of HTTP; "" if it has none."""
        return origin_of(self.url)

    @property
    def connection_id(self) -> str | None:
        """What the HAR calls its connection, None if it does not.

        ``connection`` is the server's port in Chrome and Firefox, which tells nothing.
        """
        own = self._field("_connectionId")
        if own:
            return own
        named = self._field("connection")
        return named if named and not (named.isdigit() and len(named) <= 5) else None

    @property
    def failed(self) -> bool:
        """Whether the HAR says that there was no response, or a part of one."""
        response = self._response
        if response is None or self._request is None:
            return False
        return bool(response.failure) or (not self.has_messages and response.code == 0)

    def entries(
        self, *, opens: bool, closes: bool, busy_until_ns: int | None = None
    ) -> Iterator[KnownEntry]:
        """Everything but the messages. ``opens`` and ``closes`` say whether the connection begins
        and ends with it; ``busy_until_ns`` is when the last of its other exchanges ended.
        """
        if self._started_ns is None and self._request is not None:
            self._left_out[_NO_TIME] += 1
        begun_ns, sent_ns, answered_ns, self.end_ns = self._moments()
        end_ns = self.end_ns
        if opens:
            peer = self._field("serverIPAddress")
            yield Open(
                **self._common(begun_ns, _OPEN),
                leg="upstream",
                url=self.url or None,
                peer=wire_text(peer) if peer else None,
            )
        for why, data in self._unread:
            yield from self._bytes(why, data, begun_ns, _REQUEST)
        if self._request is not None:
            yield from self._request_entries(self._request, begun_ns, sent_ns)
        if self._response is not None:
            yield from self._response_entries(self._response, answered_ns, end_ns)
        if self.failed:
            yield from self._failure_entries(end_ns, busy_until_ns)
        elif closes:
            yield self.closed(end_ns)

    def closed(self, offset_ns: int | None) -> Closed:
        """The end of a connection of which the HAR says no more."""
        return Closed(
            **self._common(offset_ns, _CLOSED),
            by="recorder",
            how="stopped",
            detail="the HAR does not say how it ended",
        )

    def _moments(self) -> tuple[int | None, int | None, int | None, int | None]:
        """When the request began and ended, the response's head came, and all was over."""
        start = self.start_ns
        if self.has_messages and self._started_ns is None:
            start = self._first_message_ns
        if start is None or (self.has_messages and self._first_message_ns is None):
            return None, None, None, self._message_ns
        spent = self._timings
        before = sum(
            milliseconds_ns(each) or 0 for each in (spent.blocked, spent.dns, spent.connect)
        )
        begun = start + before
        sent = begun + (milliseconds_ns(spent.send) or 0)
        wait = milliseconds_ns(spent.wait)
        known = sent + (wait or 0) + (milliseconds_ns(spent.receive) or 0)
        end = max(known, start + (self._time_ns or 0))
        answered = sent + wait if wait is not None else sent if self.is_socket else end
        first, last = self._first_message_ns, self._message_ns
        if first is not None and last is not None:
            # A HAR has milliseconds of the one and microseconds of the other.
            begun, sent, answered = min(begun, first), min(sent, first), min(answered, first)
            end = max(end, last)
        return begun, sent, answered, end

    def _request_entries(
        self, fields: RequestFields, begun_ns: int | None, sent_ns: int | None
    ) -> Iterator[KnownEntry]:
        extra = {
            name: _object(members)
            for name, members in (("har_entry", self._extra), ("har", self._request_extra))
            if members
        }
        first_ns = begun_ns if begun_ns != sent_ns else None
        yield Request(
            **self._common(sent_ns, _REQUEST),
            first_ns=first_ns,
            exchange=self.exchange,
            method=wire_text(fields.method),
            target=target_of(fields.url),
            http_version=http_version(fields.http_version),
            headers=header_fields(fields.headers),
            extra=extra,
        )
        body = fields.post_data.body if fields.post_data is not None else None
        if body:
            yield from self._body(body, "client", sent_ns, _REQUEST)
        elif fields.body_size is not None and fields.body_size > 0:
            self._left_out[_NO_BODY] += 1

    def _response_entries(
        self, fields: ResponseFields, answered_ns: int | None, end_ns: int | None
    ) -> Iterator[KnownEntry]:
        status = fields.code
        if status == 0:
            return
        content = fields.content
        body = None if content is None else content.body
        is_bodyless = (
            status < 200
            or status in (204, 304)
            or (self._request is not None and self._request.method == "HEAD")
        )
        if is_bodyless and body:
            # RFC 9110 section 6.4.1.
            self._left_out[_CACHED_BODY] += 1
            body = None
        elif body is None and not is_bodyless and content is not None and (content.size or 0) > 0:
            self._left_out[_NO_BODY] += 1
        headers = header_fields(fields.headers)
        extra = {"har": _object(self._response_extra)} if self._response_extra else {}
        if body and content is not None and not content.is_coded:
            headers, undone = without_coding(headers, body)
            if undone:
                extra["content_encoding_undone"] = msgspec.Raw(msgspec.json.encode(undone))
        yield Response(
            **self._common(answered_ns, _RESPONSE),
            exchange=self.exchange,
            status=status,
            reason=wire_text(fields.status_text or ""),
            http_version=http_version(fields.http_version),
            headers=headers,
            extra=extra,
        )
        if body:
            yield from self._body(body, "server", end_ns, _RESPONSE)

    def _failure_entries(
        self, end_ns: int | None, busy_until_ns: int | None
    ) -> Iterator[KnownEntry]:
        request, response = self._request, self._response
        assert request is not None
        assert response is not None
        why = wire_text(response.failure) or "the HAR does not say why"
        answer = f"status {response.status}" if response.code else "no response"
        # The query, which may hold secrets that only their place tells, is in the request.
        target = target_of(request.url).partition("?")[0]
        yield self._note(f"{wire_text(request.method)} {target}: {answer}; {why}", end_ns, _NOTE)
        if busy_until_ns is not None and end_ns is not None:
            end_ns = max(end_ns, busy_until_ns)
        yield Closed(**self._common(end_ns, _CLOSED), by="client", how="reset", detail=why)

    def _body(
        self, data: bytes, sender: Sender, offset_ns: int | None, rank: int
    ) -> Iterator[KnownEntry]:
        for at in range(0, len(data), MAX_BODY_PIECE_BYTES):
            piece = data[at : at + MAX_BODY_PIECE_BYTES]
            yield Body(
                **self._common(offset_ns, rank),
                exchange=self.exchange,
                sender=sender,
                last=at + len(piece) == len(data),
                **encode_bytes(piece),
            )

    def _bytes(
        self, why: str, data: bytes, offset_ns: int | None, rank: int
    ) -> Iterator[KnownEntry]:
        """What cannot be read, as it stands in the HAR."""
        for piece in pieces([data]):
            yield Bytes(
                **self._common(offset_ns, rank), sender="server", why=why, **encode_bytes(piece)
            )

    def _note(self, text: str, offset_ns: int | None, rank: int) -> Note:
        common = self._common(offset_ns, rank)
        del common["connection"]
        return Note(**common, text=text)

    def _common(self, offset_ns: int | None, rank: int) -> dict[str, Any]:
        """What every entry has; ``seq`` is its place among those of the same time."""
        self._places += 1
        return {
            "connection": self.connection,
            "offset_ns": offset_ns,
            "seq": self._number << 44 | rank << 40 | self._places,
        }

    # Fields without a place of their own

    def _field(self, name: str) -> str | None:
        """A field of the entry, if it is a string or a number."""
        raw = self._extra.get(name)
        value = None if raw is None else msgspec.json.decode(raw)
        return str(value) if isinstance(value, (str, int)) else None

    def _others(self, data: bytes, told: set[str]) -> dict[str, msgspec.Raw]:
        kept: dict[str, msgspec.Raw] = {}
        try:
            members = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
        except ValueError:
            self._left_out[_LONG_FIELD] += 1
            return kept
        for name, raw in members.items():
            if name not in told:
                self._keep(kept, name, bytes(raw))
        return kept

    def _keep(self, kept: dict[str, msgspec.Raw], name: str, data: bytes) -> None:
        if data in (b"null", b"{}", b"[]", b'""'):
            return
        raw = one_line(data)
        if raw is None:
            self._left_out[_LONG_FIELD] += 1
        else:
            kept[name] = raw


def _object(members: dict[str, msgspec.Raw]) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(members))
