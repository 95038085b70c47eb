"""Traffic, and the HAR that each tool would make of it, written after the tools' sources.

Chrome: `front_end/models/har/Log.ts`; Playwright: `server/har/harTracer.ts`; mitmproxy:
`addons/savehar.py`; Firefox: `netmonitor/src/har/har-builder.js`, which keeps no messages.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, NamedTuple

from hypothesis import strategies as st

STYLES = ("chrome", "chrome-sorted", "playwright", "mitmproxy", "firefox")
STARTED_MS = 1_795_371_580_000


class Said(NamedTuple):
    """A message, `at_us` microseconds behind its socket's start."""

    sender: str
    payload: str | bytes
    at_us: int


class Call(NamedTuple):
    """An exchange, or a socket if it has messages."""

    at_ms: int
    method: str
    path: str
    request_headers: list[tuple[str, str]]
    request_body: str
    status: int
    response_headers: list[tuple[str, str]]
    response_body: bytes | None
    wait_ms: int
    said: list[Said] | None


NAMES = st.from_regex(r"[Xx]-[a-z]{1,6}", fullmatch=True)
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF), max_size=8).map(str.strip)
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=3)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@st.composite
def saids(draw: st.DrawFn) -> list[Said]:
    gaps = draw(st.lists(st.integers(0, 3_000_000), max_size=5))
    at_us = 0
    found = []
    for gap in gaps:
        at_us += gap
        payload = draw(TEXTS | st.binary(max_size=20))
        found.append(Said(draw(st.sampled_from(["client", "server"])), payload, at_us))
    return found


@st.composite
def calls(draw: st.DrawFn) -> Call:
    is_socket = draw(st.booleans())
    method = "GET" if is_socket else draw(st.sampled_from(["GET", "POST", "PUT", "DELETE"]))
    has_body = method in ("POST", "PUT")
    body = draw(st.none() | TEXTS.map(str.encode) | st.binary(max_size=30))
    return Call(
        at_ms=draw(st.integers(0, 4000)),
        method=method,
        path="/api/" + draw(st.from_regex(r"[a-z]{1,5}(\?[a-z]=[a-z0-9%]{0,4})?", fullmatch=True)),
        request_headers=draw(HEADERS),
        request_body=draw(TEXTS) if has_body else "",
        status=101 if is_socket else draw(st.sampled_from([200, 201, 400, 404, 500])),
        response_headers=draw(HEADERS),
        response_body=None if is_socket else body,
        wait_ms=draw(st.integers(0, 2000)),
        said=draw(saids()) if is_socket else None,
    )


TRAFFIC = st.lists(calls(), min_size=1, max_size=5)


def har_of(traffic: list[Call], style: str) -> bytes:
    """The HAR that a tool would write; in the order in which it would list the calls."""
    ordered = sorted(traffic, key=lambda call: call.at_ms)
    if style == "mitmproxy":
        # By their ends: a socket stands behind what happened while it was open.
        ordered.sort(key=lambda call: call.said is not None)
    log = {
        "version": "1.2",
        "creator": {"name": style, "version": "1"},
        "pages": [],
        "entries": [_entry(call, style) for call in ordered],
    }
    layout: dict[str, Any] = {"chrome": {"indent": 2}, "mitmproxy": {"indent": 4}}.get(style, {})
    text = json.dumps(
        {"log": log},
        ensure_ascii=style == "mitmproxy",
        sort_keys=style == "chrome-sorted",
        **layout,
    )
    return text.encode("utf-8")


def _entry(call: Call, style: str) -> dict[str, Any]:
    scheme = "ws" if call.said is not None and style != "mitmproxy" else "http"
    url = f"{scheme}://track.example:8082{call.path}"
    request: dict[str, Any] = {
        "method": call.method,
        "url": url,
        "httpVersion": "http/1.1" if style.startswith("chrome") else "HTTP/1.1",
        "headers": _pairs(call.request_headers),
        "queryString": [],
        "cookies": [],
        "headersSize": -1,
        "bodySize": len(call.request_body.encode()),
    }
    if call.request_body:
        request["postData"] = {"mimeType": "text/plain", "text": call.request_body, "params": []}
    entry: dict[str, Any] = {
        "startedDateTime": _date(call.at_ms, style),
        "time": call.wait_ms,
        "request": request,
        "response": _response(call, style),
        "cache": {},
        "timings": {"send": 0, "wait": call.wait_ms, "receive": 0},
    }
    if call.said is None:
        return entry
    if style == "playwright":
        entry["timings"] = {"send": -1, "wait": -1, "receive": -1}
    if style != "firefox":
        entry["_resourceType"] = "websocket"
        entry["_webSocketMessages"] = [_message(call, said, style) for said in call.said]
    return entry


def _response(call: Call, style: str) -> dict[str, Any]:
    content: dict[str, Any] = {"size": len(call.response_body or b""), "mimeType": "text/plain"}
    if call.response_body is not None:
        try:
            content["text"] = call.response_body.decode("utf-8")
        except UnicodeDecodeError:
            content |= {"text": _base64(call.response_body), "encoding": "base64"}
    return {
        "status": call.status,
        "statusText": "Said",
        "httpVersion": "HTTP/1.1",
        "headers": _pairs(call.response_headers),
        "cookies": [],
        "content": content,
        "redirectURL": "",
        "headersSize": -1,
        "bodySize": -1,
        "_error": None,
    }


def _message(call: Call, said: Said, style: str) -> dict[str, Any]:
    us = (STARTED_MS + call.at_ms) * 1000 + said.at_us
    exact = Decimal(us) / (1000 if style == "playwright" else 1_000_000)
    is_text = isinstance(said.payload, str)
    return {
        "type": "send" if said.sender == "client" else "receive",
        # A double, as JavaScript has it: its microseconds are right to a quarter.
        "time": float(exact),
        "opcode": 1 if is_text else 2,
        "data": said.payload if isinstance(said.payload, str) else _base64(said.payload),
    }


def _date(at_ms: int, style: str) -> str:
    moment = datetime.fromtimestamp(STARTED_MS / 1000, UTC) + timedelta(milliseconds=at_ms)
    if style == "firefox":
        return moment.astimezone(timezone(timedelta(hours=1))).isoformat(timespec="milliseconds")
    if style == "mitmproxy":
        return moment.isoformat(timespec="microseconds")
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"


def _pairs(pairs: list[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in pairs]


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def big_har(*, messages: int, message_bytes: int, calls: int, body_bytes: int) -> Iterator[bytes]:
    """A HAR of a socket and of the calls beside it, made while it is read."""
    socket = Call(0, "GET", "/api/socket", [], "", 101, [], None, 1, [])
    start, _, end = json.dumps(_entry(socket, "playwright")).partition('"_webSocketMessages": [')
    yield b'{"log":{"version":"1.2","creator":{},"entries":[' + start.encode()
    yield b'"_webSocketMessages": ['
    for number in range(messages):
        said = Said("server", json.dumps({"n": number, "x": "y" * message_bytes}), number * 1000)
        yield b"," * (number > 0) + json.dumps(_message(socket, said, "playwright")).encode()
    yield end.encode()
    for number in range(calls):
        call = Call(number, "GET", "/api/devices", [], "", 200, [], b"@", 1, None)
        start, _, end = json.dumps(_entry(call, "playwright")).partition("@")
        yield b"," + start.encode()
        for at in range(0, body_bytes, 100_000):
            yield b"z" * min(100_000, body_bytes - at)
        yield end.encode()
    yield b"]}}"
