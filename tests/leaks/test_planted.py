"""A secret is found wherever it was put, and however it is spelled there."""

from __future__ import annotations

import itertools
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
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
    Resume,
    UnknownEntry,
    encode_bytes,
)
from recorder.wire.frames import Frame, close_frame
from tests.leaks.support import BYTE_WRAPS, TEXT_WRAPS, detectors, header, known, look_at
from tests.profiles import examples

secrets = st.text(
    st.sampled_from("abkz019AQ &=%+\"'\\/;:,<>{}[]#?~éß€𝄞"), min_size=4, max_size=16
).map(lambda middle: "q7" + middle.strip() + "zQ7")
wraps = st.lists(st.sampled_from(sorted(TEXT_WRAPS)), max_size=2)
cut_lists = st.lists(st.integers(0, 10**6), max_size=4)


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    bounds = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(bounds)]


def in_fragments(data: bytes, cuts: list[int], opcode: int = 1) -> list[Any]:
    pieces = pieces_of(data, cuts)
    frames = [
        Frame.make(opcode if i == 0 else 0, piece, fin=i == len(pieces) - 1)
        for i, piece in enumerate(pieces)
    ]
    ping = FrameEntry.of(Frame.make(9, b"x"), connection=1, sender="server", offset_ns=1)
    entries = [FrameEntry.of(f, connection=1, sender="server", offset_ns=1) for f in frames]
    return [one for entry in entries for one in (entry, ping)]


def in_body(data: bytes, cuts: list[int], coding: str | None) -> list[Any]:
    pieces = pieces_of(data, cuts)
    headers = [("Content-Encoding", coding)] if coding else []
    head = Response(connection=1, exchange=1, status=200, headers=headers, offset_ns=1)
    bodies = [
        Body(
            connection=1,
            exchange=1,
            sender="server",
            last=i == len(pieces) - 1,
            offset_ns=1,
            **encode_bytes(piece),
        )
        for i, piece in enumerate(pieces)
    ]
    return [head, *bodies]


def in_bytes(data: bytes, cuts: list[int]) -> list[Any]:
    return [
        Bytes(connection=1, sender="client", why="torn", offset_ns=1, **encode_bytes(piece))
        for piece in pieces_of(data, cuts)
    ]


def checkpoint(**lists: list[Any]) -> Checkpoint:
    raw = {
        name: [msgspec.Raw(json.dumps(one).encode()) for one in each]
        for name, each in lists.items()
    }
    return Checkpoint(offset_ns=1, **raw)  # type: ignore[arg-type]


def text_places(text: str) -> dict[str, list[Any]]:
    """Every place of an entry that holds text alone."""
    request = Request(connection=1, exchange=1, method="GET", target="/x", headers=[], offset_ns=1)
    close = FrameEntry.of(close_frame(1000, ""), connection=1, sender="client", offset_ns=1)
    raw = msgspec.Raw(json.dumps({"y": [text]}).encode())
    extra = {"x-more": raw}
    note = Note(offset_ns=1, text="n")
    later = {"kind": "later", "seq": 1, "offset_ns": 1, "z": [text]}
    frame = {"connection": 1, "sender": "server", "opcode": "text", "text": text}
    return {
        "url": [Open(connection=1, leg="client", url=text, offset_ns=1)],
        "peer": [Open(connection=1, leg="client", peer=text, offset_ns=1)],
        "tls": [Open(connection=1, leg="client", tls=text, offset_ns=1)],
        "target": [msgspec.structs.replace(request, target=text)],
        "method": [msgspec.structs.replace(request, method=text)],
        "header": [msgspec.structs.replace(request, headers=[("X-Other", text)])],
        "header's name": [msgspec.structs.replace(request, headers=[(text, "x")])],
        "reason": [
            Response(connection=1, exchange=1, status=1, reason=text, headers=[], offset_ns=1)
        ],
        "detail": [Closed(connection=1, by="client", how="eof", detail=text, offset_ns=1)],
        "note": [Note(offset_ns=1, text=text)],
        "why": [Bytes(connection=1, sender="client", why=text, offset_ns=1)],
        "close": [msgspec.structs.replace(close, reason=text)],
        "message": [
            MessageEntry(connection=1, sender="client", opcode="text", offset_ns=1, text=text)
        ],
        "resume": [Resume(offset_ns=1, wall="", cut_bytes=1, text=text)],
        "extra": [msgspec.structs.replace(note, extra=extra)],
        "extra's name": [msgspec.structs.replace(note, extra={f"x{text}": msgspec.Raw(b"1")})],
        "unknown kind": [
            UnknownEntry(kind="later", seq=1, offset_ns=1, line=json.dumps(later).encode())
        ],
        "checkpoint": [checkpoint(connections=[{"request": {"headers": [["a", text]]}}])],
        "fragment": [checkpoint(fragments=[frame])],
        "device": [checkpoint(devices=[{"id": 1, "name": text}])],
    }


@settings(max_examples=examples(250), deadline=None)
@given(secrets, wraps, st.sampled_from(sorted(text_places(""))))
def test_a_known_value_is_found_in_every_text_in_every_spelling(
    secret: str, names: list[str], place: str
) -> None:
    text = secret
    for name in names:
        text = TEXT_WRAPS[name](text)
    findings = look_at(text_places(text)[place], known(secret))
    assert "value" in detectors(findings)


@settings(max_examples=examples(120), deadline=None)
@given(
    secrets,
    wraps,
    st.sampled_from(sorted(BYTE_WRAPS)),
    cut_lists,
    st.sampled_from(["body", "message", "bytes"]),
)
def test_a_known_value_is_found_in_bytes_that_are_compressed_and_cut(
    secret: str, names: list[str], coding: str, cuts: list[int], place: str
) -> None:
    text = secret
    for name in names:
        text = TEXT_WRAPS[name](text)
    said, wrap = BYTE_WRAPS[coding]
    if place == "body":
        entries = in_body(wrap(text.encode()), cuts, said)
    elif said is not None and said != "gzip":
        # Outside of a body nothing says what a raw stream is.
        entries = in_body(wrap(text.encode()), cuts, said)
    elif place == "message":
        entries = in_fragments(wrap(text.encode()), cuts, 2)
    else:
        entries = in_bytes(b"\xff\x00" + wrap(text.encode()), cuts)
    assert "value" in detectors(look_at(entries, known(secret)))


@pytest.mark.parametrize("where", ["upstream", "meta", "extra", "tool"])
def test_a_known_value_is_found_in_the_header(where: str) -> None:
    secret = "hunter2 hunter2"
    changes: dict[str, Any] = {where: secret}
    if where in ("meta", "extra"):
        changes[where] = {"x-a": msgspec.Raw(json.dumps([secret]).encode())}
    findings = look_at([], known(secret), head=header(**changes))
    assert [(one.kind, one.line, one.detector) for one in findings] == [("header", 1, "value")]


@settings(max_examples=examples(60), deadline=None)
@given(
    st.text(st.sampled_from("abc019Zé€"), min_size=10, max_size=20),
    st.binary(min_size=4, max_size=4),
    st.binary(max_size=9),
)
def test_a_known_value_is_found_masked_in_bytes_that_no_frame_was_made_of(
    secret: str, key: bytes, before: bytes
) -> None:
    masked = Frame.make(1, before + secret.encode() + b"end", mask=key).serialize()
    findings = look_at(in_bytes(b"\xff\xff" + masked, []), known(secret))
    assert "value" in detectors(findings)
