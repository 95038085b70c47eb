"""The observer: from its entries both directions can be rebuilt, however the bytes arrived."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.model import (
    Body,
    Bytes,
    Closed,
    FrameEntry,
    KnownEntry,
    Request,
    Response,
    Sender,
)
from recorder.observer import SocketObserver
from recorder.wire.frames import Frame, Opcode
from tests.profiles import examples
from tests.strategies import close_frames, frames

REQUEST_HEADERS = [
    ("Host", "track.example"),
    ("upgrade", "WebSocket"),
    ("COOKIE", "a=b"),
    ("a", ""),
]
REQUEST = (
    b"GET /api/socket HTTP/1.1\r\nHost: track.example\r\nupgrade: WebSocket\r\n"
    b"COOKIE:a=b\r\na:\r\n\r\n"
)
RESPONSE_HEADERS = [("Upgrade", "websocket"), ("x-A", "1"), ("X-a", "2")]
RESPONSE = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nx-A: 1\r\nX-a: 2\r\n\r\n"
HEADS: dict[Sender, bytes] = {"client": REQUEST, "server": RESPONSE}


def observer(**options: Any) -> SocketObserver:
    return SocketObserver(connection=3, exchange=7, **options)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """`data` cut at these places, modulo its size; none is empty, for that would be its end."""
    places = sorted(cut % (len(data) + 1) for cut in cuts)
    cut = [data[start:stop] for start, stop in zip([0, *places], [*places, None], strict=True)]
    return [piece for piece in cut if piece]


def raw(entry: KnownEntry) -> bytes:
    """What stood on the wire for an entry that holds wire bytes."""
    if isinstance(entry, FrameEntry):
        return entry.frame().serialize()
    assert isinstance(entry, Bytes)
    return entry.data


def of_sender(entries: list[KnownEntry], sender: Sender) -> list[KnownEntry]:
    head = Request if sender == "client" else Response
    return [
        entry
        for entry in entries
        if isinstance(entry, head)
        or (isinstance(entry, FrameEntry | Bytes | Body) and entry.sender == sender)
    ]


def converse(
    watched: SocketObserver, chunks: list[tuple[Sender, bytes]], *, step_ns: int = 10
) -> tuple[list[KnownEntry], dict[Sender, list[int]]]:
    """Feed the chunks at 10, 20, … ns and close; return the entries and each byte's moment."""
    entries: list[KnownEntry] = []
    moments: dict[Sender, list[int]] = {"client": [], "server": []}
    now_ns = 0
    for sender, data in chunks:
        now_ns += step_ns
        entries += watched.received(sender, data, now_ns)
        moments[sender] += [now_ns] * len(data)
    return [*entries, *watched.closed("server", "eof", now_ns + step_ns)], moments


@st.composite
def interleaved(draw: st.DrawFn, streams: dict[Sender, bytes]) -> list[tuple[Sender, bytes]]:
    """Both streams cut anywhere, their chunks in any order that keeps each stream's own."""
    cuts = st.lists(st.integers(0, 2**20), max_size=6)
    waiting = {sender: pieces(data, draw(cuts)) for sender, data in streams.items()}
    turns = draw(st.permutations([sender for sender, chunks in waiting.items() for _ in chunks]))
    return [(sender, waiting[sender].pop(0)) for sender in turns]


sent_frames = st.lists(frames | close_frames, max_size=4).map(
    lambda sent: b"".join(frame.serialize() for frame in sent)
)
oversized = Frame.make(Opcode.BINARY, bytes(101)).serialize()
after_a_head = st.tuples(sent_frames, st.sampled_from([b"", b"\x81", b"\x81\x7e\0", oversized]))


# Everything comes back


@settings(max_examples=examples(1000))
@given(st.data(), after_a_head, after_a_head)
def test_both_directions_are_rebuilt_byte_for_byte(
    data: st.DataObject, client: tuple[bytes, bytes], server: tuple[bytes, bytes]
) -> None:
    sent: dict[Sender, bytes] = {"client": b"".join(client), "server": b"".join(server)}
    chunks = data.draw(interleaved({sender: HEADS[sender] + sent[sender] for sender in sent}))
    entries, moments = converse(observer(max_frame_bytes=100), chunks)

    for sender in sent:
        head, *rest = of_sender(entries, sender)
        if isinstance(head, Request):
            assert (head.method, head.target, head.http_version) == ("GET", "/api/socket", "1.1")
            assert head.headers == REQUEST_HEADERS
        else:
            assert isinstance(head, Response)
            assert (head.status, head.reason) == (101, "Switching Protocols")
            assert head.headers == RESPONSE_HEADERS
        assert head.exchange == 7
        assert b"".join(map(raw, rest)) == sent[sender]

        # When an entry's bytes were read, for all that a frame or a head could be made of.
        first_byte = 0
        for entry in (head, *rest):
            stop = first_byte + (len(HEADS[sender]) if entry is head else len(raw(entry)))
            if not isinstance(entry, Bytes):
                first_ns, last_ns = moments[sender][first_byte], moments[sender][stop - 1]
                assert entry.offset_ns == last_ns
                assert entry.first_ns == (None if first_ns == last_ns else first_ns)
            first_byte = stop
        assert first_byte == len(moments[sender])

    offsets = [entry.offset_ns for entry in entries]
    assert offsets == sorted(offsets)
    assert isinstance(entries[-1], Closed)
    assert {entry.connection for entry in entries} == {3}


@settings(max_examples=examples(500))
@given(
    st.data(),
    st.one_of(st.binary(max_size=40), st.binary(max_size=20).map(lambda data: data + b"\r\n\r\n.")),
)
def test_garbage_in_place_of_a_head_comes_back_as_bytes(
    data: st.DataObject, garbage: bytes
) -> None:
    entries, _ = converse(
        observer(), data.draw(interleaved({"client": garbage, "server": garbage}))
    )
    for sender in HEADS:
        found = of_sender(entries, sender)
        assert all(isinstance(entry, Bytes) for entry in found)
        assert b"".join(map(raw, found)) == garbage


@settings(max_examples=examples(300))
@given(st.data(), st.binary(max_size=60), st.binary(max_size=60))
def test_any_bytes_give_entries(data: st.DataObject, client: bytes, server: bytes) -> None:
    before = data.draw(st.sampled_from([b"", RESPONSE, b"HTTP/1.1 503 No\r\n"]))
    chunks = data.draw(interleaved({"client": client, "server": before + server}))
    entries, _ = converse(observer(max_frame_bytes=30), chunks)
    assert isinstance(entries[-1], Closed)
    offsets = [entry.offset_ns for entry in entries]
    assert offsets == sorted(offsets)


@settings(max_examples=examples(300))
@given(st.data(), sent_frames)
def test_the_frames_of_a_call_are_those_of_its_entries(data: st.DataObject, sent: bytes) -> None:
    watched = observer()
    watched.received("client", REQUEST, 0)
    for sender, chunk in data.draw(interleaved({"server": RESPONSE + sent})):
        entries = watched.received(sender, chunk, 0)
        expected = [("server", entry.frame()) for entry in entries if isinstance(entry, FrameEntry)]
        assert watched.frames_seen == expected


def test_an_oversized_head_comes_back_as_bytes() -> None:
    watched = observer()
    head = b"GET / HTTP/1.1\r\nA: " + b"a" * 70_000
    entries = [
        entry
        for at in range(0, len(head), 1000)
        for entry in watched.received("client", head[at : at + 1000], at)
    ]
    assert b"".join(map(raw, entries)) == head


# When


def test_without_timing_there_are_no_offsets() -> None:
    watched = observer()
    entries = [
        *watched.received("client", REQUEST[:9], None),
        *watched.received("client", REQUEST[9:] + b"\x81", None),
        *watched.received("server", RESPONSE + b"\x81\x02{}", None),
        *watched.closed("client", "reset", None),
    ]
    assert [entry.kind for entry in entries] == ["request", "response", "frame", "bytes", "closed"]
    assert [(entry.offset_ns, entry.first_ns) for entry in entries] == [(None, None)] * 5


@pytest.mark.parametrize("before", [b"", RESPONSE], ids=["head", "frame"])
def test_a_torn_tail_tells_when_its_first_byte_came(before: bytes) -> None:
    watched = observer()
    if before:
        watched.received("server", before, 10)
    watched.received("server", b"\x81", 20)
    watched.received("server", b"\x7e", 30)
    (torn, _) = watched.closed("client", "eof", 40)
    assert isinstance(torn, Bytes)
    assert (torn.data, torn.first_ns) == (b"\x81\x7e", 20)


def test_a_refused_frame_tells_when_its_first_byte_came() -> None:
    watched = observer(max_frame_bytes=5)
    watched.received("server", RESPONSE + b"\x81\x7e", 10)
    (refused,) = watched.received("server", b"\x01\x00rest", 20)
    assert isinstance(refused, Bytes)
    assert (refused.data, refused.offset_ns, refused.first_ns) == (b"\x81\x7e\x01\x00rest", 20, 10)


# How it ends


def test_a_torn_tail_stands_before_the_end_with_its_reason() -> None:
    watched = observer()
    watched.received("client", REQUEST, 1)
    watched.received("server", RESPONSE, 2)
    watched.received("client", b"\x81\x85abcd", 3)
    torn, closed = watched.closed("server", "reset", 4, "connection reset")
    assert isinstance(torn, Bytes)
    assert (torn.sender, torn.data) == ("client", b"\x81\x85abcd")
    assert torn.why == "the stream ended inside a frame"
    assert closed == Closed(
        connection=3, by="server", how="reset", detail="connection reset", offset_ns=4
    )


def test_each_half_ends_once() -> None:
    watched = observer()
    watched.received("client", REQUEST + b"\x81", 1)
    (torn,) = watched.received("client", b"", 2)
    assert isinstance(torn, Bytes)
    assert (torn.data, torn.offset_ns) == (b"\x81", 2)
    assert watched.received("client", b"", 3) == []
    assert [entry.kind for entry in watched.closed("client", "eof", 4)] == ["closed"]


def test_a_connection_without_a_byte_is_only_closed() -> None:
    assert [entry.kind for entry in observer().closed("recorder", "timeout", 1)] == ["closed"]


# A refused handshake


def refuse(response: bytes, cuts: list[int] | None = None) -> list[KnownEntry]:
    watched = observer()
    watched.received("client", REQUEST, 0)
    entries: list[KnownEntry] = []
    for number, piece in enumerate(pieces(response, cuts or [])):
        entries += watched.received("server", piece, number)
    return [*entries, *watched.received("server", b"", 1000)]


def body_of(entries: list[KnownEntry]) -> bytes:
    bodies = [entry for entry in entries if isinstance(entry, Body)]
    assert [body.last for body in bodies] == [False] * (len(bodies) - 1) + [True] * bool(bodies)
    assert all((body.exchange, body.sender) == (7, "server") for body in bodies)
    return b"".join(body.data for body in bodies)


PAGE = b"<h1>503 - Service Unavailable</h1>"
REFUSALS = {
    "content-length": b"Content-Length: 34\r\n\r\n" + PAGE,
    "chunked": b"Transfer-Encoding: chunked\r\n\r\n4\r\n<h1>\r\n1E;x=y\r\n"
    + PAGE[4:]
    + b"\r\n0\r\n\r\n",
    "until close": b"Connection: close\r\n\r\n" + PAGE,
    "bare LF": b"X: y\n\n" + PAGE,
    "torn before its length": b"Content-Length: 100\r\n\r\n" + PAGE,
}


@pytest.mark.parametrize("framed", REFUSALS.values(), ids=REFUSALS)
@given(cuts=st.lists(st.integers(0, 999), max_size=6))
@settings(max_examples=examples(100))
def test_a_refusal_gives_its_head_and_its_body(framed: bytes, cuts: list[int]) -> None:
    head, *rest = refuse(b"HTTP/1.1 503 Service Unavailable\r\n" + framed, cuts)
    assert isinstance(head, Response)
    assert (head.status, head.reason) == (503, "Service Unavailable")
    assert body_of(rest) == PAGE
    assert all(isinstance(entry, Body) for entry in rest)


def test_a_refusal_without_a_body_has_none() -> None:
    (head,) = refuse(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    assert isinstance(head, Response)


def test_content_encoding_is_kept() -> None:
    response = b"HTTP/1.1 503 No\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08"
    assert body_of(refuse(response)) == b"\x1f\x8b\x08"


def test_a_long_refusal_is_cut_into_pieces_of_64_kib() -> None:
    page = bytes(range(256)) * 600
    entries = refuse(b"HTTP/1.1 500 No\r\n\r\n" + page)
    assert body_of(entries) == page
    assert [len(entry.data) for entry in entries if isinstance(entry, Body)] == [
        65536,
        65536,
        22528,
    ]


def test_of_an_endless_refusal_a_mebibyte_is_kept_as_body_and_the_rest_as_bytes() -> None:
    head = b"HTTP/1.1 500 No\r\n\r\n"
    page = bytes(range(256)) * 5000
    entries = refuse(head + page, list(range(0, len(page), 65536)))
    beyond = b"".join(entry.data for entry in entries if isinstance(entry, Bytes))
    assert body_of(entries) + beyond == page
    assert len(head) + len(body_of(entries)) == 2**20


def everything(entries: list[KnownEntry]) -> bytes:
    return b"".join(entry.data for entry in entries if isinstance(entry, Body | Bytes))


def test_bytes_behind_the_body_of_a_refusal_are_kept() -> None:
    entries = refuse(b"HTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\nbodybehind")
    assert body_of(entries) == b"body"
    assert b"behind" in everything(entries)


def test_a_body_that_breaks_its_chunks_is_kept_as_it_stands() -> None:
    broken = b"4\r\nbody\r\nno size\r\nbehind"
    entries = refuse(b"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n" + broken)
    assert everything(entries) == broken


def test_the_body_behind_an_odd_head_with_bare_lf_is_kept() -> None:
    entries = refuse(b"HTTP/1.1 503 No\nodd name: x\n\nbody")
    assert everything(entries) == b"body"


def test_the_client_goes_on_after_a_refusal() -> None:
    watched = observer()
    watched.received("client", REQUEST, 0)
    watched.received("server", b"HTTP/1.1 503 No\r\n\r\n", 1)
    (frame,) = watched.received("client", Frame.make(Opcode.TEXT, b"pong").serialize(), 2)
    assert isinstance(frame, FrameEntry)
    assert watched.response is not None
    assert watched.response.status == 503
