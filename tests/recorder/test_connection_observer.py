"""The observer of a whole connection: exchanges and frames come back, however the bytes arrived."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recorder.connection_observer import ConnectionObserver, PassedHead
from recorder.model import (
    MAX_BODY_PIECE_BYTES,
    Body,
    Bytes,
    Closed,
    FrameEntry,
    KnownEntry,
    Request,
    Response,
    Sender,
)
from recorder.wire.frames import Frame, Opcode
from tests.profiles import examples
from tests.strategies import frames

Chunk = tuple[Sender, bytes]


def observer(**options: Any) -> ConnectionObserver:
    return ConnectionObserver(3, itertools.count(1).__next__, **options)


def observed(chunks: Iterable[Chunk], **options: Any) -> list[KnownEntry]:
    """The entries of these chunks, which are read at 10, 20, … ns, and of an end of both."""
    watched = observer(**options)
    entries: list[KnownEntry] = []
    now_ns = 0
    for sender, data in chunks:
        now_ns += 10
        entries += watched.received(sender, data, now_ns)
    return entries + watched.closed("client", "eof", now_ns + 10)


def without_times(entries: list[KnownEntry]) -> list[Any]:
    """Entries as they compare: moments aside, and bytes joined that nothing stands between."""
    plain: list[Any] = []
    for entry in entries:
        if not isinstance(entry, Bytes):
            plain.append(msgspec.structs.replace(entry, offset_ns=None, first_ns=None))
        elif plain and isinstance(plain[-1], list) and plain[-1][:2] == [entry.sender, entry.why]:
            plain[-1][2] += entry.data
        else:
            plain.append([entry.sender, entry.why, entry.data])
    return plain


def joined(entries: list[KnownEntry], sender: Sender) -> bytes:
    """What the `bytes` entries of a sender hold."""
    return b"".join(
        entry.data for entry in entries if isinstance(entry, Bytes) and entry.sender == sender
    )


def bodies(entries: list[KnownEntry]) -> dict[tuple[int, Sender], bytes]:
    """Each body, by its exchange and sender; only the last piece is marked."""
    found: dict[tuple[int, Sender], list[Body]] = {}
    for entry in entries:
        if isinstance(entry, Body):
            found.setdefault((entry.exchange, entry.sender), []).append(entry)
    for pieces in found.values():
        assert [piece.last for piece in pieces] == [False] * (len(pieces) - 1) + [True]
        assert all(len(piece.data) == MAX_BODY_PIECE_BYTES for piece in pieces[:-1])
        assert len(pieces[-1].data) <= MAX_BODY_PIECE_BYTES
    return {key: b"".join(piece.data for piece in pieces) for key, pieces in found.items()}


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted(place % (len(data) + 1) for place in cuts)
    ends = zip([0, *places], [*places, None], strict=True)
    return [piece for start, stop in ends if (piece := data[start:stop])]


def chunked(body: bytes, cuts: list[int] = [], trailer: bytes = b"") -> bytes:  # noqa: B006
    return (
        b"".join(b"%X;a=b\r\n%s\r\n" % (len(piece), piece) for piece in cut(body, cuts))
        + b"0\r\n"
        + trailer
        + b"\r\n"
    )


# Whole connections


class Sent(NamedTuple):
    """One exchange: the bytes of both sides, and what they mean."""

    client: bytes
    server: bytes
    method: str
    status: int
    request_body: bytes
    response_body: bytes


_bodies = st.binary(max_size=30) | st.builds(
    lambda size, data: (data * (size // 4 + 1))[:size],
    st.sampled_from([65535, 65536, 65537, 131072, 140000]),
    st.binary(min_size=4, max_size=4),
)
_cuts = st.lists(st.integers(0, 2**20), max_size=5)


@st.composite
def framed_bodies(draw: st.DrawFn) -> tuple[bytes, bytes, bytes]:
    """Header fields, the body on the wire, and the body."""
    body = draw(_bodies)
    if draw(st.booleans()):
        return b"transfer-ENCODING: Chunked\r\n", chunked(body, draw(_cuts)), body
    return b"content-Length: %d\r\n" % len(body), body, body


@st.composite
def exchanges(draw: st.DrawFn) -> Sent:
    method = draw(st.sampled_from(["GET", "HEAD", "POST", "PUT"]))
    fields, wire, body = b"", b"", b""
    if method in ("POST", "PUT"):
        fields, wire, body = draw(framed_bodies())
    client = method.encode() + b" /api/x HTTP/1.1\r\nHOST: t\r\n" + fields + b"\r\n" + wire
    server = b"HTTP/1.1 100 Continue\r\n\r\n" * draw(st.integers(0, 2))
    status = draw(st.sampled_from([200, 204, 304, 404]))
    answer_fields, answer_wire, answer_body = draw(framed_bodies())
    server += b"HTTP/1.1 %d X\r\n" % status + answer_fields + b"\r\n"
    if method == "HEAD" or status in (204, 304):
        answer_body = b""
    else:
        server += answer_wire
    return Sent(client, server, method, status, body, answer_body)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[list[Sent], list[Chunk], bytes, bytes]:
    """Exchanges, then an upgrade and frames or nothing; as chunks in an order that can be."""
    sent = draw(st.lists(exchanges(), max_size=3))
    parts: list[tuple[bytes, bytes]] = [(one.client, one.server) for one in sent]
    from_client = from_server = b""
    if draw(st.booleans()):
        some = st.lists(frames, max_size=3).map(
            lambda made: b"".join(frame.serialize() for frame in made)
        )
        from_client, from_server = draw(some), draw(some)
        parts.append((UPGRADE + from_client, SWITCHING + from_server))
    if draw(st.booleans()):
        parts = [(b"".join(part[0] for part in parts), b"".join(part[1] for part in parts))]
    chunks: list[Chunk] = []
    for client, server in parts:
        chunks += [("client", piece) for piece in cut(client, draw(_cuts))]
        chunks += [("server", piece) for piece in cut(server, draw(_cuts))]
    return sent, chunks, from_client, from_server


UPGRADE = b"GET /api/socket HTTP/1.1\r\nUpgrade: websocket\r\nX-a: 1\r\n\r\n"
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"


@settings(max_examples=examples(200))
@given(conversations())
def test_a_connection_is_rebuilt(case: tuple[list[Sent], list[Chunk], bytes, bytes]) -> None:
    sent, chunks, *from_both = case
    entries = observed(chunks)

    requests = [entry for entry in entries if isinstance(entry, Request)]
    finals = [
        entry for entry in entries if isinstance(entry, Response) and entry.status not in (100, 101)
    ]
    assert [entry.method for entry in requests[: len(sent)]] == [one.method for one in sent]
    assert [entry.exchange for entry in requests] == list(range(1, len(requests) + 1))
    assert [(entry.exchange, entry.status) for entry in finals] == [
        (number, one.status) for number, one in enumerate(sent, 1)
    ]
    expected: dict[tuple[int, Sender], bytes] = {}
    for number, one in enumerate(sent, 1):
        expected |= {(number, "client"): one.request_body, (number, "server"): one.response_body}
    assert bodies(entries) == {key: body for key, body in expected.items() if body}
    for sender, frame_bytes in zip(("client", "server"), from_both, strict=True):
        found = [one for one in entries if isinstance(one, FrameEntry) and one.sender == sender]
        assert b"".join(entry.frame().serialize() for entry in found) == frame_bytes
    assert not any(isinstance(entry, Bytes) for entry in entries)
    offsets = [entry.offset_ns for entry in entries if entry.offset_ns is not None]
    assert offsets == sorted(offsets)
    assert all((entry.first_ns or 0) <= (entry.offset_ns or 0) for entry in entries)
    assert isinstance(entries[-1], Closed)


@settings(max_examples=examples(150))
@given(conversations(), st.data())
def test_any_chunking_gives_equal_entries(
    case: tuple[list[Sent], list[Chunk], bytes, bytes], data: st.DataObject
) -> None:
    _, chunks, *_ = case
    whole: list[Chunk] = [
        (sender, b"".join(piece for _, piece in group))
        for sender, group in itertools.groupby(chunks, key=lambda chunk: chunk[0])
    ]
    assert without_times(observed(chunks)) == without_times(observed(whole))


_heads = st.sampled_from(
    [
        b"",
        UPGRADE,
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n",
        b"\r\n\r\n",
    ]
)
_answers = st.sampled_from(
    [
        b"",
        SWITCHING,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 204 No\r\n\r\n",
    ]
)
_garbage = st.one_of(
    st.binary(max_size=40),
    st.lists(
        st.sampled_from(
            [b"5", b"\r\n", b"\n", b"0", b"hello", b";", b"\x81\x85", b"GET / HTTP/1.1"]
        )
    ).map(b"".join),
)


@settings(max_examples=examples(200))
@given(st.lists(st.tuples(_heads, _garbage), max_size=3), st.tuples(_answers, _garbage), st.data())
def test_any_bytes_give_entries_and_any_chunking_the_same(
    client: list[tuple[bytes, bytes]], server: tuple[bytes, bytes], data: st.DataObject
) -> None:
    whole: list[Chunk] = [
        ("client", b"".join(itertools.chain(*client))),
        ("server", b"".join(server)),
        ("client", b"more"),
    ]
    pieces = [(sender, piece) for sender, one in whole for piece in cut(one, data.draw(_cuts))]
    limits = {"max_client_frame_bytes": 20, "max_server_frame_bytes": 20}
    entries = observed(pieces, **limits)
    assert without_times(entries) == without_times(
        observed([one for one in whole if one[1]], **limits)
    )
    offsets = [entry.offset_ns for entry in entries if entry.offset_ns is not None]
    assert offsets == sorted(offsets)


@given(conversations(), st.lists(st.tuples(_heads, _garbage), max_size=2), st.data())
@settings(max_examples=examples(200))
def test_what_passes_is_what_came_and_heads_are_told(
    case: tuple[list[Sent], list[Chunk], bytes, bytes],
    behind: list[tuple[bytes, bytes]],
    data: st.DataObject,
) -> None:
    _, chunks, _, _ = case
    if behind:
        garbage = b"".join(b"".join(pair) for pair in behind)
        chunks = [*chunks, (data.draw(st.sampled_from(["client", "server"])), garbage)]
    watched = observer()
    passed: dict[Sender, bytes] = {"client": b"", "server": b""}
    heads = 0
    for sender, chunk in [*chunks, ("client", b""), ("server", b"")]:
        for piece in cut(chunk, data.draw(_cuts)) or [b""]:
            entries = watched.received(sender, piece, 0)
            heads += sum(isinstance(entry, (Request, Response)) for entry in entries)
            for of, pieces in watched.passed.items():
                for one in pieces:
                    if isinstance(one, PassedHead):
                        heads -= 1
                        one = one.data
                    passed[of] += one
    assert heads == 0
    held = joined(watched.closed("client", "eof", 0), "client")
    for sender in ("client", "server"):
        came = b"".join(chunk for of, chunk in chunks if of == sender)
        assert passed[sender] + (held if sender == "client" else b"") == came


@settings(max_examples=examples(300))
@given(st.binary(max_size=60), _cuts)
@example(b"\r\n\x00", [])
def test_garbage_in_place_of_heads_comes_back_as_bytes(garbage: bytes, cuts: list[int]) -> None:
    for sender in ("client", "server"):
        entries = observed([(sender, piece) for piece in cut(garbage, cuts)])
        assert joined(entries, sender) == garbage


@settings(max_examples=examples(300))
@given(_garbage, _cuts)
def test_of_a_broken_chunked_body_nothing_but_sizes_is_without_an_entry(
    garbage: bytes, cuts: list[int]
) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    wire = b"3;x\r\nabc\r\n" + garbage + b"!\r\n"
    entries = observed([("server", head), *(("server", piece) for piece in cut(wire, cuts))])
    body = b"".join(entry.data for entry in entries if isinstance(entry, Body))
    kept = body + joined(entries, "server")
    assert body.startswith(b"abc")
    # Each byte that is missing belongs to the line of a size, or ends a chunk.
    missing = len(wire) - len(kept)
    sizes = sum(len(line) + 1 for line in wire.split(b"\n")[:-1] if line[:1] in b"0123456789abcdef")
    assert 0 < missing <= sizes + 2 * wire.count(b"\n")


def test_memory_is_bounded_whatever_a_body_holds() -> None:
    watched = observer()
    watched.received("client", b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", 0)
    chunk = bytes(60_000)
    tracemalloc.start()
    for _ in range(300):
        watched.received("client", chunk, 1)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 2_000_000


# Examples


def test_a_refused_upgrade_leaves_http_behind_it() -> None:
    entries = observed(
        [
            ("client", UPGRADE + b"GET /next HTTP/1.1\r\n\r\n"),
            ("server", b"HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno"),
            ("server", b"HTTP/1.1 204 No\r\n\r\n"),
        ]
    )
    assert [(one.kind, getattr(one, "exchange", None)) for one in entries] == [
        ("request", 1),
        ("response", 1),
        ("request", 2),
        ("body", 1),
        ("response", 2),
        ("closed", None),
    ]


def test_what_comes_behind_an_upgrade_request_stands_behind_its_answer() -> None:
    frame = Frame.make(Opcode.TEXT, b"early", mask=b"abcd").serialize()
    entries = observed([("client", UPGRADE), ("client", frame), ("server", SWITCHING)])
    assert [one.kind for one in entries] == ["request", "response", "frame", "closed"]
    early = entries[2]
    assert isinstance(early, FrameEntry)
    assert (early.text, early.first_ns, early.offset_ns) == ("early", 20, 30)


def test_a_half_closed_client_still_gets_its_answer() -> None:
    frame = Frame.make(Opcode.TEXT, b"early", mask=b"abcd").serialize()
    watched = observer()
    entries = watched.received("client", UPGRADE + frame + b"\x81", 1)
    entries += watched.received("client", b"", 2)
    entries += watched.received("server", SWITCHING, 3)
    assert [one.kind for one in entries] == ["request", "response", "frame", "bytes"]
    assert joined(entries, "client") == b"\x81"


def test_frames_behind_an_upgrade_request_without_an_answer_are_kept() -> None:
    entries = observed([("client", UPGRADE + b"\x81\x80abcd")])
    assert [one.kind for one in entries] == ["request", "bytes", "closed"]
    assert joined(entries, "client") == b"\x81\x80abcd"


def test_a_client_that_sends_too_much_before_its_answer_is_kept_as_bytes() -> None:
    chunks: list[Chunk] = [("client", b"x" * 50_000)] * 3
    entries = observed([("client", UPGRADE), *chunks, ("server", SWITCHING + b"\x81\x00")])
    assert joined(entries, "client") == b"x" * 150_000
    assert [one.kind for one in entries[-2:]] == ["frame", "closed"]


def test_a_torn_body_has_no_last_piece() -> None:
    entries = observed([("server", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ntorn")])
    (body,) = [one for one in entries if isinstance(one, Body)]
    assert (body.data, body.last) == (b"torn", False)


def test_a_body_until_the_end_is_whole_at_the_end() -> None:
    watched = observer()
    watched.received("server", b"HTTP/1.1 200 OK\r\n\r\nto the ", 1)
    assert watched.received("server", b"end", 2) == []
    (body,) = watched.received("server", b"", 3)
    assert isinstance(body, Body)
    assert (body.data, body.last, body.first_ns, body.offset_ns) == (b"to the end", True, 1, 3)


def test_a_long_body_tells_when_each_piece_came() -> None:
    watched = observer()
    entries = watched.received("client", b"PUT / HTTP/1.1\r\nContent-Length: 70000\r\n\r\n", 1)
    for at_ns in range(2, 9):
        entries += watched.received("client", b"x" * 10_000, at_ns)
    assert [(one.offset_ns, one.first_ns) for one in entries if isinstance(one, Body)] == [
        (8, 2),
        (8, None),
    ]


def test_fields_behind_a_chunked_body_are_kept() -> None:
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    entries = observed([("client", head + chunked(b"body", trailer=b"Digest: 1\r\n"))])
    assert bodies(entries) == {(1, "client"): b"body"}
    assert joined(entries, "client") == b"Digest: 1\r\n"


def test_empty_lines_between_requests_are_kept_and_do_no_harm() -> None:
    request = b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\n1"
    entries = observed([("client", request + b"\r\n" + request)])
    assert [one.kind for one in entries] == [
        "request",
        "body",
        "bytes",
        "request",
        "body",
        "closed",
    ]
    assert joined(entries, "client") == b"\r\n"


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 1\r\nContent-Length: 2",
        b"Content-Length: +1",
        b"Content-Length: ",
        b"Content-Length: " + b"9" * 30,
        b"Transfer-Encoding: gzip",
    ],
)
def test_a_request_whose_end_nobody_can_tell_is_followed_by_bytes(fields: bytes) -> None:
    entries = observed([("client", b"POST / HTTP/1.1\r\n" + fields + b"\r\n\r\nrest")])
    assert [one.kind for one in entries] == ["request", "bytes", "closed"]
    assert joined(entries, "client") == b"rest"


def test_equal_lengths_are_one() -> None:
    head = b"POST / HTTP/1.1\r\nContent-Length: 4, 4\r\nContent-Length: 4\r\n\r\n"
    assert bodies(observed([("client", head + b"body")])) == {(1, "client"): b"body"}


def test_a_response_in_another_coding_goes_on_until_the_end() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 1\r\n\r\n"
    chunks: list[Chunk] = [("server", head + b"body"), ("server", b"")]
    assert bodies(observed(chunks)) == {(1, "server"): b"body"}


def test_a_response_that_nobody_asked_for_is_an_exchange_of_its_own() -> None:
    request = b"GET / HTTP/1.1\r\n\r\n"
    timeout = b"HTTP/1.1 408 Timeout\r\nContent-Length: 0\r\n\r\n"
    entries = observed([("client", request), ("server", timeout), ("server", timeout)])
    assert [one.exchange for one in entries if isinstance(one, Response)] == [1, 2]


def test_an_answer_to_garbage_is_read() -> None:
    entries = observed(
        [
            ("client", b"\x00\r\n\r\n"),
            ("server", b"HTTP/1.1 400 Bad\r\nContent-Length: 2\r\n\r\nno"),
            ("client", b"GET / HTTP/1.1\r\n\r\n"),
        ]
    )
    assert [one.kind for one in entries] == ["bytes", "response", "body", "bytes", "closed"]


def test_endless_requests_without_answers_become_bytes() -> None:
    request = b"GET / HTTP/1.1\r\n\r\n"
    entries = observed([("client", request * 1100)])
    assert sum(isinstance(one, Request) for one in entries) == 1024
    assert joined(entries, "client") == request * 76


def test_a_101_ends_http_even_where_nobody_asked_for_it() -> None:
    entries = observed(
        [
            ("client", b"GET / HTTP/1.1\r\n\r\n"),
            ("client", b"\x81\x80abcd\x81"),
            ("server", SWITCHING),
            ("client", b"\x80abcd"),
        ]
    )
    assert [one.kind for one in entries] == ["request", "response", "frame", "frame", "closed"]


def test_a_frame_above_its_senders_limit_is_bytes() -> None:
    entries = observed(
        [("client", UPGRADE), ("server", SWITCHING), ("client", b"\x81\xfe\x01\x00abcdrest")],
        max_client_frame_bytes=255,
    )
    assert joined(entries, "client") == b"\x81\xfe\x01\x00abcdrest"
    (refused,) = [one for one in entries if isinstance(one, Bytes)]
    assert refused.why == "a frame of 256 bytes is above the limit of 255"


def test_a_head_in_pieces_tells_when_its_first_byte_came() -> None:
    watched = observer()
    watched.received("client", b"GE", 5)
    (request,) = watched.received("client", b"T / HTTP/1.1\r\n\r\n", 7)
    assert (request.first_ns, request.offset_ns) == (5, 7)


def test_an_oversized_head_comes_back_as_bytes() -> None:
    head = b"GET / HTTP/1.1\r\nA: " + b"a" * 70_000
    entries = observed([("client", piece) for piece in cut(head, list(range(0, 70_000, 999)))])
    assert joined(entries, "client") == head


def test_without_timing_there_are_no_offsets() -> None:
    watched = observer()
    entries = watched.received("client", b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n1", None)
    entries += watched.received("client", b"2", None)
    entries += watched.closed("client", "reset", None, "gone")
    assert [(one.offset_ns, one.first_ns) for one in entries] == [(None, None)] * 3
    assert entries[-1] == Closed(
        connection=3, by="client", how="reset", detail="gone", offset_ns=None
    )
