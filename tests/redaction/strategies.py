"""Traffic with secrets planted in every place and spelling that can hold one."""

from __future__ import annotations

import base64
import gzip
import itertools
import json
import zlib
from typing import Any
from urllib.parse import quote, quote_plus

import msgspec
import zstandard
from hypothesis import strategies as st

from recorder.model import (
    Body,
    Bytes,
    Checkpoint,
    Closed,
    FrameEntry,
    MessageEntry,
    Note,
    Open,
    Request,
    Response,
    UnknownEntry,
    encode_bytes,
)
from recorder.wire.frames import Frame, close_frame

PASSWORD_TAIL = "zQ7kq"
# What a user may choose as a password: never a piece of what the traffic around it holds anyway.
passwords = st.text(
    st.sampled_from("xyz019 &=%+\"'\\/;,:<>{}[]#?éß€𝄞"), min_size=6, max_size=20
).map(lambda middle: "Q7" + middle.strip() + PASSWORD_TAIL)
tokens = st.text(st.sampled_from("ABCxyz0189._-"), min_size=10, max_size=30).map("tk9".__add__)
emails = st.builds(
    "{}@{}.example".format,
    st.from_regex(r"[a-z0-9](?:[a-z0-9.+_-]{0,8}[a-z0-9])", fullmatch=True),
    st.from_regex(r"[a-z][a-z0-9-]{0,6}[a-z0-9]", fullmatch=True),
)

cut_lists = st.lists(st.integers(0, 10**6), max_size=4)

KEYS = {
    "password": [
        *("password", "Password", "userPassword", "new-password", "passwd", "pwd", "secret"),
        *("pass", "smtpPass", "password2", "otp", "passcode"),
    ],
    "token": ["token", "API_KEY", "api-key", "access_token", "X-Auth-Token", "jwt", "auth", "csrf"],
    "cookie": ["JSESSIONID", "sessionId", "session_id", "Cookie", "sid", "session", "PHPSESSID"],
    "email": ["email", "Email", "e-mail"],
}


def each_escaped(text: str) -> str:
    """JSON with every UTF-16 unit escaped."""
    units = text.encode("utf-16-be")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))


def each_percent(text: str) -> str:
    """Every byte as a percent escape."""
    return "".join(f"%{byte:02x}" for byte in text.encode())


SPELLED = [
    lambda text: json.dumps(text)[1:-1],
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    lambda text: quote(text, safe=""),
    lambda text: quote(quote(text, safe=""), safe=""),
    each_escaped,
    each_percent,
]


def spellings(secret: str) -> list[str]:
    """Every spelling that must not be left of a secret."""
    blob = base64.b64encode(f"user:{secret}".encode()).decode()
    found = [secret, quote(secret), quote_plus(secret), blob]
    found += [spelled(secret) for spelled in SPELLED]
    found += [json.dumps(one)[1:-1] for one in [*found]]
    return found


@st.composite
def json_texts(draw: Any, key: str, secret: str) -> str:
    """A JSON text that holds the secret under its key, somewhere."""
    value: Any = {"id": draw(st.integers(0, 10**9)), key: secret, "positionId": None}
    for _ in range(draw(st.integers(0, 2))):
        value = draw(st.sampled_from([{"devices": [value]}, [1, value, "x"], {"a~b": value}]))
    text = json.dumps(
        value, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 1]))
    )
    if draw(st.booleans()):
        # JSON inside a JSON string.
        text = json.dumps({"log": text}, ensure_ascii=draw(st.booleans()))
    if draw(st.booleans()):
        text = draw(st.sampled_from(['{"devices":[]}~', "{}\n~ ", "[1.10]"])) + text
    if draw(st.booleans()):
        text += '~{"positions":[{"id":1,"rssi":-64.0}]}'
    return text


def fragments(payload: bytes, cuts: list[int], offset_ns: int, mask: bytes | None) -> list[Any]:
    bounds = [0, *sorted(cut % (len(payload) + 1) for cut in cuts), len(payload)]
    pieces = [payload[a:b] for a, b in itertools.pairwise(bounds)]
    sender = "client" if mask else "server"
    return [
        FrameEntry.of(
            Frame.make(1 if i == 0 else 0, piece, fin=i == len(pieces) - 1, mask=mask),
            connection=2,
            sender=sender,
            offset_ns=offset_ns + i,
        )
        for i, piece in enumerate(pieces)
    ]


def body_pieces(data: bytes, cuts: list[int], offset_ns: int, sender: str = "client") -> list[Any]:
    bounds = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    pieces = [data[a:b] for a, b in itertools.pairwise(bounds)]
    return [
        Body(
            connection=1,
            exchange=1,
            sender=sender,
            last=i == len(pieces) - 1,
            offset_ns=offset_ns + i,
            **encode_bytes(piece),
        )
        for i, piece in enumerate(pieces)
    ]


def request(offset_ns: int, target: str = "/api/session", *headers: tuple[str, str]) -> Request:
    return Request(
        connection=1,
        exchange=1,
        method="POST",
        target=target,
        headers=[("Host", "track.test"), *headers],
        offset_ns=offset_ns,
    )


def response(offset_ns: int, *headers: tuple[str, str]) -> Response:
    return Response(
        connection=1, exchange=1, status=200, headers=list(headers), offset_ns=offset_ns
    )


def _any_case(draw: Any, name: str) -> str:
    return "".join(
        c.upper() if up else c.lower()
        for c, up in zip(
            name, draw(st.lists(st.booleans(), min_size=len(name), max_size=len(name))), strict=True
        )
    )


def _bytes(data: bytes, offset_ns: int = 1) -> Bytes:
    return Bytes(
        connection=1, sender="client", why="torn", offset_ns=offset_ns, **encode_bytes(data)
    )


def _torn(data: bytes, cuts: list[int]) -> list[Any]:
    bounds = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [_bytes(data[a:b], 10 + a) for a, b in itertools.pairwise(bounds)]


def _with_pings(entries: list[Any], sender: str) -> list[Any]:
    """The frames of a message with a control frame behind each but the last."""
    ping = FrameEntry.of(Frame.make(9, b"?"), connection=2, sender=sender, offset_ns=None)
    pinged = [
        [entry, msgspec.structs.replace(ping, offset_ns=entry.offset_ns)] for entry in entries
    ]
    return list(itertools.chain(*pinged))[:-1]


def _in_bodies(draw: Any, key: str, secret: str) -> list[list[Any]]:
    data, cuts = draw(json_texts(key, secret)).encode(), draw(cut_lists)
    form = f"a=1&{quote_plus(key)}={draw(st.sampled_from([quote, quote_plus]))(secret)}&b=%20x"
    form_type = (_any_case(draw, "content-type"), "application/x-www-form-urlencoded")
    part = f'--B\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{secret}\r\n--B--\r\n'
    half = len(data) // 2
    coding, coded = draw(
        st.sampled_from(
            [
                ("gzip", gzip.compress(data)),
                ("gzip", gzip.compress(data[:half]) + gzip.compress(data[half:])),
                ("deflate", zlib.compress(data)),
                ("zstd", zstandard.compress(data)),
                ("br", b"\x8b\xff" + data),
                ("gzip, zstd", zstandard.compress(gzip.compress(data))),
            ]
        )
    )
    encoding = (_any_case(draw, "content-encoding"), coding)
    shown = draw(st.sampled_from([gzip.compress, zlib.compress, zstandard.compress]))(data)
    return [
        [request(1, "/", form_type), *body_pieces(form.encode(), cuts, 10)],
        [request(1), *body_pieces(data, cuts, 10)],
        [request(1), *body_pieces(part.encode(), cuts, 10)],
        [response(1, encoding), *body_pieces(coded, cuts, 10, "server")],
        [response(1), *body_pieces(shown, cuts, 10, "server")],
        [FrameEntry.of(Frame.make(2, shown), connection=1, sender="server", offset_ns=1)],
    ]


def _in_heads(draw: Any, key: str, secret: str) -> list[list[Any]]:
    blob = base64.b64encode(f"user:{secret}".encode()).decode()
    url_safe = base64.urlsafe_b64encode(f"user:{secret}".encode()).decode().rstrip("=")
    scheme = draw(st.sampled_from([f"Basic {blob}", f"basic {url_safe}", f"BASIC  {blob}"]))
    name = _any_case(draw, "authorization")
    escaped = quote(secret, safe="")
    query = f"?y=1&{quote(key)}={escaped}&z=2"
    url = draw(
        st.sampled_from([f"https://h/x{query}", f"wss://user:{escaped}@h/x", f"/x{query}#a"])
    )
    asking = _any_case(draw, draw(st.sampled_from(["referer", "origin", "x-original-url"])))
    telling = _any_case(draw, draw(st.sampled_from(["location", "link", "refresh", "set-url"])))
    return [
        [request(1, f"/api/x{query}")],
        [request(1, "/", (name, scheme))],
        [_bytes(f"GET / HTTP/1.1\r\n{name}: {scheme}\r\n\r\n".encode())],
        [Note(text=json.dumps({"headers": [[name, scheme]]}), offset_ns=1)],
        [Note(text=json.dumps({"name": name, "value": scheme}), offset_ns=1)],
        [Note(text=f"curl 'http://h/{query}' -H '{name}: {scheme}'", offset_ns=1)],
        [request(1, "/", (asking, url))],
        [response(1, (telling, url))],
        [Open(connection=1, leg="client", url=f"http://h{query}", peer=f"u:{key}", offset_ns=1)],
        [
            Checkpoint(
                offset_ns=1,
                connections=[
                    msgspec.Raw(json.dumps({"url": url, "headers": [[key, secret]]}).encode())
                ],
            )
        ],
    ]


def _of_words(draw: Any, key: str, secret: str) -> list[list[Any]]:
    """Where a value is one word: all but passwords."""
    cookie = draw(
        st.sampled_from(
            [
                f"JSESSIONID={secret}; Path=/api",
                f'a="{secret}"; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Secure',
                f"a=1; Path=/, __Host-b={secret}; HttpOnly",
                f"a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT\nb={secret}",
                secret,
            ]
        )
    )
    set_cookie = _any_case(draw, draw(st.sampled_from(["set-cookie", "set-cookie2"])))
    field = draw(
        st.sampled_from(
            [
                *("X-Some-Key", "x-xsrf-token", "X-Auth-Token", "X-Session", "X-Auth", "api-key"),
                *("Authentication", "x-amz-signature", "X-Goog-Credential", "X-Track-Session-Id"),
            ]
        )
    )
    protocol = draw(st.sampled_from(["", "track.v1, access_token, ", "token, ", "Bearer, "]))
    items = f"{protocol}{secret}"
    bare = [
        Closed(connection=1, by="client", how="eof", detail=f"lost {key}={secret}", offset_ns=1),
        Note(text=f"now {key}={secret}", offset_ns=1),
        msgspec.structs.replace(response(1), reason=f"bad {key}={secret}"),
        Open(connection=1, leg="client", url=f"http://h/api;{key}={secret}", offset_ns=1),
        FrameEntry.of(
            close_frame(1001, f"{key}={secret}"), connection=1, sender="server", offset_ns=1
        ),
        request(1, "/", (_any_case(draw, "cookie"), f"a={secret}; b={secret}")),
        response(1, (set_cookie, cookie)),
        response(1, (_any_case(draw, field), secret)),
    ]
    if "@" not in secret:
        bare += [
            request(1, "/", (_any_case(draw, "authorization"), f"Bearer {secret}")),
            request(1, "/", (_any_case(draw, "sec-websocket-protocol"), items)),
        ]
    return [[entry] for entry in bare]


def _in_messages(draw: Any, key: str, secret: str) -> list[list[Any]]:
    text, cuts = draw(json_texts(key, secret)), draw(cut_lists)
    mask = draw(st.sampled_from([None, b"\x01\x02\x03\x04"]))
    spelled = draw(st.sampled_from([*SPELLED[:2], each_escaped]))
    message = f'[{{"{key}":"{spelled(secret)}"}}]'
    lists = [msgspec.Raw(message.encode())]
    secret_list = msgspec.Raw(json.dumps([secret]).encode())
    return [
        fragments(text.encode(), cuts, 10, mask),
        _with_pings(fragments(text.encode(), cuts, 10, mask), "client" if mask else "server"),
        fragments(message.encode(), cuts, 10, mask),
        [MessageEntry(connection=1, sender="client", opcode="text", offset_ns=1, text=text)],
        [_bytes(b"\xff\x81" + text.encode())],
        _torn(message.encode(), cuts),
        [UnknownEntry(kind="x", seq=1, offset_ns=1, line=b'{"kind":"x","x":%b}' % lists[0])],
        [Note(text="", offset_ns=1, extra={"x": lists[0]})],
        [Note(text="", offset_ns=1, extra={key: secret_list})],
        [Checkpoint(offset_ns=1, devices=lists, pings=lists)],
    ]


@st.composite
def planted(draw: Any) -> tuple[str, list[Any]]:
    """A secret, and entries of which at least one holds it."""
    rule = draw(st.sampled_from(sorted(KEYS)))
    key = draw(st.sampled_from(KEYS[rule]))
    secret = draw({"password": passwords, "email": emails}.get(rule, tokens))
    places = draw(st.sampled_from([_in_messages, _in_bodies, _in_heads, _of_words]))
    if places is _of_words and rule == "password":
        places = _in_messages
    return secret, draw(st.sampled_from(places(draw, key, secret)))
