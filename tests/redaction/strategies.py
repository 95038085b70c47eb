"""Traffic with secrets planted in every place and spelling that can hold one."""

from __future__ import annotations

import base64
import gzip
import itertools
import json
import zlib
from typing import Any
from urllib.parse import quote, quote_plus

from hypothesis import strategies as st

from recorder.model import (
    Body,
    Bytes,
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

KEYS = {
    "password": ["password", "Password", "userPassword", "new-password", "passwd", "pwd", "secret"],
    "token": ["token", "API_KEY", "api-key", "access_token", "X-Auth-Token"],
    "cookie": ["JSESSIONID", "sessionId", "session_id", "Cookie"],
    "email": ["email", "Email", "e-mail"],
}


def spellings(secret: str) -> list[str]:
    """Every spelling that must not be left of a secret."""
    as_json = [json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]]
    blob = base64.b64encode(f"user:{secret}".encode()).decode()
    found = [secret, *as_json, quote(secret), quote(secret, safe=""), quote_plus(secret), blob]
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


@st.composite
def planted(draw: Any) -> tuple[str, list[Any]]:
    """A secret, and entries of which at least one holds it."""
    rule = draw(st.sampled_from(sorted(KEYS)))
    key = draw(st.sampled_from(KEYS[rule]))
    secret = draw({"password": passwords, "email": emails}.get(rule, tokens))
    cuts = draw(st.lists(st.integers(0, 10**6), max_size=4))
    mask = draw(st.sampled_from([None, b"\x01\x02\x03\x04"]))
    form = f"a=1&{quote_plus(key)}={draw(st.sampled_from([quote, quote_plus]))(secret)}&b=%20x"
    form_head = request(
        1, "/", (_any_case(draw, "content-type"), "application/x-www-form-urlencoded")
    )
    text = draw(json_texts(key, secret))
    blob = base64.b64encode(f"user:{secret}".encode()).decode()
    basic = _any_case(draw, "authorization")
    gzipped, deflated = gzip.compress(text.encode()), zlib.compress(text.encode())
    coding = draw(
        st.sampled_from(
            [("gzip", gzipped), ("deflate", deflated), ("br", b"\x8b\xff" + text.encode())]
        )
    )
    places: list[list[Any]] = [
        fragments(text.encode(), cuts, 10, mask),
        [MessageEntry(connection=1, sender="client", opcode="text", offset_ns=1, text=text)],
        [
            Bytes(
                connection=1,
                sender="client",
                why="torn",
                offset_ns=1,
                **encode_bytes(b"\xff\x81" + text.encode()),
            )
        ],
        [form_head, *body_pieces(form.encode(), cuts, 10)],
        [
            request(1, "/", ("Content-Type", "application/json")),
            *body_pieces(text.encode(), cuts, 10),
        ],
        [
            response(1, (_any_case(draw, "content-encoding"), coding[0])),
            *body_pieces(coding[1], cuts, 10, "server"),
        ],
        [request(1, f"/api/x?y=1&{quote(key)}={quote(secret, safe='')}&z=2")],
        [request(1, "/", (basic, f"Basic {blob}"))],
        [
            Bytes(
                connection=1,
                sender="client",
                why="x",
                offset_ns=1,
                text=f"GET / HTTP/1.1\r\n{basic}: Basic {blob}\r\n\r\n",
            )
        ],
        [
            UnknownEntry(
                kind="later",
                seq=1,
                offset_ns=1,
                line=json.dumps({"kind": "later", "x": {key: secret}}).encode(),
            )
        ],
    ]
    if rule != "password":
        bare = [
            Closed(
                connection=1, by="client", how="eof", detail=f"lost {key}={secret}", offset_ns=1
            ),
            Note(text=f"{key}: {secret}", offset_ns=1),
            Open(
                connection=1,
                leg="client",
                url=f"http://h/api;{key}={secret}?{key}={secret}",
                offset_ns=1,
            ),
            FrameEntry.of(
                close_frame(1001, f"{key}={secret}"), connection=1, sender="server", offset_ns=1
            ),
            request(1, "/", (_any_case(draw, "cookie"), f"a={secret}; b={secret}")),
            response(1, (_any_case(draw, "set-cookie"), f"JSESSIONID={secret}; Path=/api")),
            response(1, ("X-Some-Key", secret), ("x-xsrf-token", secret)),
        ]
        places += [[entry] for entry in bare]
    return secret, draw(st.sampled_from(places))
