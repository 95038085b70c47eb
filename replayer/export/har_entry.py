"""One exchange as an entry of a HAR 1.2 (http://www.softwareishard.com/blog/har-12-spec/). Pure.

With Chrome's fields where HAR has none: ``_resourceType``, ``_connectionId``, ``_error``, and
``_webSocketMessages``, which :mod:`replayer.export.har` puts in. What an import kept of a HAR
beside the entries (``har_entry``, ``har``, ``content_encoding_undone``) goes back to its place.
"""

from __future__ import annotations

import base64
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import msgspec

from recorder.importers.har_values import charset_of
from recorder.model import Closed, Header, Headers, Open, Request, Response
from recorder.redaction.codings import codings_of, decoded
from recorder.sink import wall_clock_text
from recorder.wire.handshake import header_value

__all__ = ["Parts", "har_entry", "message", "milliseconds", "seconds"]

_UNKNOWN_ORIGIN: Final = "http://unknown.invalid"
"""Of a socket whose request was not recorded, as in the output of curl (RFC 2606 section 2)."""

_Json = dict[str, Any]


class Parts(msgspec.Struct, kw_only=True):
    """What is known of an exchange so far. Moments are ``offset_ns``, None without timing.

    ``request_end_ns`` and ``end_ns`` are those of the last byte of the request and of all;
    ``whole`` says that the response's body is complete.
    """

    opened: Open | None
    request: Request | None = None
    response: Response | None = None
    request_body: list[bytes] = []
    response_body: list[bytes] = []
    request_end_ns: int | None = None
    end_ns: int | None = None
    whole: bool = False
    closed: Closed | None = None

    @property
    def is_socket(self) -> bool:
        """Whether it opened a WebSocket."""
        return self.response is not None and self.response.status == 101


def har_entry(parts: Parts, header: Header, *, started_wall_ns: int) -> _Json:
    """The entry of an exchange without the messages of its socket.

    ``started_wall_ns`` is the header's ``started_at`` as nanoseconds since 1970.
    """
    request, response = parts.request, parts.response
    begun, sent, answered, end = _moments(parts)
    entry: _Json = _kept(request, "har_entry")
    entry.pop("pageref", None)
    if parts.is_socket or _asks_for_socket(request):
        entry["_resourceType"] = "websocket"
    opened = parts.opened
    if opened is not None:
        entry["_connectionId"] = str(opened.connection)
        if opened.leg == "upstream" and opened.peer:
            entry["serverIPAddress"] = _address(opened.peer)
    return entry | {
        "startedDateTime": wall_clock_text(started_wall_ns + begun),
        "time": milliseconds(end - begun),
        "request": _request(parts, header),
        "response": _no_response(parts) if response is None else _response(parts, response),
        "cache": {},
        "timings": {
            "blocked": -1,
            "dns": -1,
            "connect": -1,
            "send": milliseconds(sent - begun),
            "wait": milliseconds(answered - sent),
            "receive": milliseconds(end - answered),
            "ssl": -1,
        },
    }


def message(
    sender: str, opcode: str | int, payload: bytes, *, wall_ns: int, number: int
) -> tuple[_Json, bool]:
    """A message of ``_webSocketMessages`` as Chrome has it, and whether its text is UTF-8."""
    valid = True
    if opcode == "text":
        try:
            data = payload.decode("utf-8")
        except UnicodeDecodeError:
            data = payload.decode("utf-8", "replace")
            valid = False
    else:
        data = base64.b64encode(payload).decode("ascii")
    return {
        "type": "send" if sender == "client" else "receive",
        "time": seconds(wall_ns),
        "opcode": number,
        "data": data,
    }, valid


def seconds(ns: int) -> msgspec.Raw:
    """Nanoseconds as a number of seconds, no digit lost."""
    return msgspec.Raw(b"%d.%09d" % divmod(ns, 10**9))


def milliseconds(ns: int) -> msgspec.Raw:
    """Nanoseconds as a number of milliseconds, no digit lost."""
    return msgspec.Raw(b"%d.%06d" % divmod(ns, 10**6))


def _moments(parts: Parts) -> tuple[int, int, int, int]:
    """When the request began and ended, the response's head came, and all was over."""
    request, response = parts.request, parts.response
    first = request or response
    begun = sent = 0
    if first is not None and first.offset_ns is not None:
        begun = first.offset_ns if first.first_ns is None else first.first_ns
        sent = max(first.offset_ns, parts.request_end_ns or 0)
    answered = end = sent
    if response is not None and response.offset_ns is not None:
        # A server may answer before the request has ended.
        sent = min(sent, max(begun, response.offset_ns))
        answered = end = max(sent, response.offset_ns)
    return begun, sent, answered, max(end, parts.end_ns or 0)


def _request(parts: Parts, header: Header) -> _Json:
    request = parts.request
    url = _url(parts, header)
    headers = [] if request is None else request.headers
    body = b"".join(parts.request_body)
    made: _Json = _kept(request, "har") | {
        "method": "GET" if request is None else request.method,
        "url": url,
        "httpVersion": "HTTP/1.1" if request is None else f"HTTP/{request.http_version}",
        "cookies": [
            cookie
            for name, value in headers
            if name.lower() == "cookie"
            for cookie in map(_cookie, value.split(";"))
        ],
        "headers": _pairs(headers),
        "queryString": _pairs(parse_qsl(url.partition("?")[2], keep_blank_values=True)),
        "headersSize": -1,
        "bodySize": len(body),
    }
    if request is None:
        made["comment"] = "the request was not recorded"
    if body:
        media_type = header_value(headers, "content-type") or ""
        made["postData"] = {"mimeType": media_type, "params": []} | _text(
            body, media_type, encoding_key="_encoding"
        )
    return made


def _response(parts: Parts, response: Response) -> _Json:
    body = b"".join(parts.response_body)
    headers = list(response.headers)
    codings = codings_of(header_value(headers, "content-encoding") or "")
    undone = decoded(body, codings)
    media_type = header_value(headers, "content-type") or ""
    content: _Json = {"size": len(body), "mimeType": media_type or "x-unknown"}
    if undone is None:
        # Told, since a HAR's bodies have their coding undone.
        content |= {"text": base64.b64encode(body).decode(), "encoding": "base64", "_coded": True}
    else:
        content["size"] = len(undone[0])
        if undone[1]:
            content["compression"] = len(undone[0]) - len(body)
        if body:
            content |= _text(undone[0], media_type, encoding_key="encoding")
    was = response.extra.get("content_encoding_undone")
    if was is not None:
        headers.append(("content-encoding", msgspec.json.decode(was, type=str)))
    made: _Json = _kept(response, "har") | {
        "status": response.status,
        "statusText": response.reason,
        "httpVersion": f"HTTP/{response.http_version}",
        "cookies": [
            _cookie(value.partition(";")[0])
            for name, value in headers
            if name.lower() == "set-cookie"
        ],
        "headers": _pairs(headers),
        "content": content,
        "redirectURL": header_value(headers, "location") or "",
        "headersSize": -1,
        "bodySize": -1 if parts.is_socket else len(body),
    }
    ending = _ending(parts)
    if ending:
        made["_error"] = ending
    return made


def _no_response(parts: Parts) -> _Json:
    return {
        "status": 0,
        "statusText": "",
        "httpVersion": "",
        "cookies": [],
        "headers": [],
        "content": {"size": 0, "mimeType": "x-unknown"},
        "redirectURL": "",
        "headersSize": -1,
        "bodySize": -1,
        "_error": _ending(parts) or "no response was recorded",
    }


def _ending(parts: Parts) -> str:
    """Why the connection ended before its time, "" if it did not."""
    closed = parts.closed
    if closed is None or parts.whole or closed.how not in ("reset", "timeout"):
        return ""
    return closed.detail or closed.how


def _url(parts: Parts, header: Header) -> str:
    request, opened = parts.request, parts.opened
    if request is not None and "://" in request.target.partition("?")[0]:
        return request.target
    host = None if request is None else header_value(request.headers, "host")
    if opened is not None and opened.url is not None:
        origin = opened.url
    elif host is not None:
        origin = f"{'https' if opened is not None and opened.tls else 'http'}://{host}"
    else:
        origin = header.upstream or _UNKNOWN_ORIGIN
    try:
        scheme, authority, *_ = urlsplit(origin)
    except ValueError:
        scheme, authority = "http", "unknown.invalid"
    if parts.is_socket or _asks_for_socket(request):
        scheme = {"http": "ws", "https": "wss"}.get(scheme, scheme)
    return f"{scheme}://{authority}{'/' if request is None else request.target}"


def _asks_for_socket(request: Request | None) -> bool:
    return (
        request is not None
        and (header_value(request.headers, "upgrade") or "").lower() == "websocket"
    )


def _text(body: bytes, media_type: str, *, encoding_key: str) -> _Json:
    try:
        text = body.decode(charset_of(media_type))
    except UnicodeDecodeError:
        return {"text": base64.b64encode(body).decode("ascii"), encoding_key: "base64"}
    return {"text": text}


def _kept(entry: Request | Response | None, key: str) -> _Json:
    """The fields that an import kept of a HAR."""
    raw = None if entry is None else entry.extra.get(key)
    try:
        return msgspec.json.decode(raw, type=dict[str, msgspec.Raw]) if raw is not None else {}
    except msgspec.ValidationError:
        return {}


def _pairs(pairs: Headers) -> list[_Json]:
    return [{"name": name, "value": value} for name, value in pairs]


def _cookie(pair: str) -> _Json:
    name, _, value = pair.strip().partition("=")
    return {"name": name, "value": value}


def _address(peer: str) -> str:
    """An address without its port."""
    host, colon, port = peer.rpartition(":")
    if colon and port.isdigit() and (":" not in host or host.endswith("]")):
        return host.strip("[]")
    return peer
