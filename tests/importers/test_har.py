"""HAR files of each tool, and of none."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recorder.importers.har import HarReader
from recorder.model import (
    Body,
    Bytes,
    Closed,
    KnownEntry,
    MessageEntry,
    Note,
    Open,
    Request,
    Response,
)
from recorder.recording import decode_entry, encode_entry
from tests.importers.hars import STARTED_MS, STYLES, TRAFFIC, Call, har_of
from tests.profiles import examples

START = "2026-11-22T18:19:40.000Z"
START_NS = STARTED_MS * 1_000_000


def in_time(entries: Iterable[KnownEntry]) -> list[KnownEntry]:
    """In the order of time, and as lines of a file and back, so that what a line cannot hold
    would show.
    """
    ordered = sorted(entries, key=lambda each: (each.offset_ns or -1, each.seq))
    return [decode_entry(encode_entry(each), where="-") for each in ordered]


def read(data: bytes, *, chunk_bytes: int = 1 << 16) -> tuple[list[KnownEntry], HarReader]:
    chunks = (data[at : at + chunk_bytes] for at in range(0, len(data), chunk_bytes))
    reader = HarReader(chunks)
    return in_time(reader.entries()), reader


def har(*entries: dict[str, Any], **log: Any) -> bytes:
    return json.dumps({"log": {"version": "1.2", "entries": entries} | log}).encode()


def entry(**changes: Any) -> dict[str, Any]:
    """A minimal exchange; a change of None leaves a member out."""
    made = {
        "startedDateTime": START,
        "time": 30,
        "request": {"method": "GET", "url": "http://t.example/api/x?a=1", "headers": []},
        "response": {"status": 200, "statusText": "OK", "headers": [], "content": {}},
        "timings": {"send": 0, "wait": 20, "receive": 10},
    } | changes
    return {name: value for name, value in made.items() if value is not None}


def answered(**content: Any) -> dict[str, Any]:
    return {"status": 200, "statusText": "OK", "headers": [], "content": content}


def bodies(entries: Iterable[KnownEntry], sender: str) -> bytes:
    return b"".join(
        each.data for each in entries if isinstance(each, Body) and each.sender == sender
    )


def of_kind(entries: Iterable[KnownEntry], kind: type[Any]) -> list[Any]:
    return [each for each in entries if isinstance(each, kind)]


def rebuilt(entries: list[KnownEntry]) -> Iterator[tuple[Any, ...]]:
    """What was said on each connection: the heads, the bodies, the messages."""
    for number in sorted({each.connection for each in of_kind(entries, Request)}):
        of_it = [each for each in entries if getattr(each, "connection", None) == number]
        assert isinstance(of_it[0], Open)
        assert isinstance(of_it[-1], Closed)
        [request], [response] = of_kind(of_it, Request), of_kind(of_it, Response)
        messages = of_kind(of_it, MessageEntry)
        if messages:
            assert of_it.index(response) < of_it.index(messages[0])
        yield (
            request.method,
            request.target,
            request.headers,
            bodies(of_it, "client"),
            response.status,
            response.headers,
            bodies(of_it, "server"),
            [(each.sender, each.opcode, each.data) for each in messages],
            [each.offset_ns for each in messages],
            request.offset_ns,
        )


def expected_of(call: Call, style: str) -> tuple[Any, ...]:
    said = [] if style == "firefox" or call.said is None else call.said
    return (
        call.method,
        call.path,
        [list(pair) for pair in call.request_headers],
        call.request_body.encode(),
        call.status,
        [list(pair) for pair in call.response_headers],
        call.response_body or b"",
        [
            (each.sender, "text", each.payload.encode())
            if isinstance(each.payload, str)
            else (each.sender, "binary", each.payload)
            for each in said
        ],
        [START_NS + call.at_ms * 1_000_000 + each.at_us * 1000 for each in said],
        START_NS + call.at_ms * 1_000_000,
    )


@settings(max_examples=examples(50))
@given(TRAFFIC, st.sampled_from(STYLES), st.sampled_from([1, 13, 500, 1 << 16]))
def test_a_har_of_any_tool_gives_back_the_traffic_it_was_made_of(
    traffic: list[Call], style: str, chunk_bytes: int
) -> None:
    entries, reader = read(har_of(traffic, style), chunk_bytes=chunk_bytes)
    assert reader.torn is None
    found = [
        (
            *parts[:2],
            [list(pair) for pair in parts[2]],
            *parts[3:5],
            [list(pair) for pair in parts[5]],
            *parts[6:],
        )
        for parts in rebuilt(entries)
    ]
    key = repr
    expected = sorted((expected_of(call, style) for call in traffic), key=key)
    for got, wanted in zip(sorted(found, key=key), expected, strict=True):
        assert got[:8] == wanted[:8]
        # Times are doubles in such files.
        assert all(abs(a - b) <= 1000 for a, b in zip(got[8], wanted[8], strict=True))
        assert abs(got[9] - wanted[9]) <= 1000
    assert not of_kind(entries, Bytes)


@settings(max_examples=examples(40))
@given(TRAFFIC, st.sampled_from(STYLES), st.data())
def test_a_har_that_is_cut_anywhere_gives_what_came_before_and_says_so(
    traffic: list[Call], style: str, data: st.DataObject
) -> None:
    whole = har_of(traffic, style)
    cut = data.draw(st.integers(0, len(whole.rstrip()) - 1))
    entries, reader = read(whole[:cut])
    assert reader.torn is not None
    messages = [(e.connection, e.data) for e in of_kind(entries, MessageEntry)]
    every = [(e.connection, e.data) for e in of_kind(read(whole)[0], MessageEntry)]
    assert sorted(messages) == sorted(every)[: len(messages)] or set(messages) <= set(every)
    opened = {each.connection for each in of_kind(entries, Open)}
    closed = {each.connection for each in of_kind(entries, Closed)}
    assert opened == closed


@settings(max_examples=examples(150))
@given(st.binary(max_size=40), st.integers(0, 400), st.integers(0, 30))
def test_any_damage_gives_entries_or_a_word_and_never_raises(
    junk: bytes, at: int, length: int
) -> None:
    whole = har(
        entry(_webSocketMessages=[{"type": "send", "time": 1.79e9, "opcode": 1, "data": "x"}]),
        entry(response=answered(text="hello", size=5)),
    )
    read(whole[:at] + junk + whole[at + length :])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
MEMBERS = st.sampled_from(
    ["startedDateTime", "time", "request", "response", "timings", "_webSocketMessages", "_x"]
)
HOSTILE = st.sampled_from(
    [-1, 1e308, 10**400, "\ud800", [[]], {"headers": [{"name": None}]}, {"url": 1}]
)


@settings(max_examples=examples(150))
@given(st.dictionaries(MEMBERS, JSON | HOSTILE, max_size=7))
@example({"request": {"method": "\ud800", "url": "http://\ud800/\ud800", "headers": [{}]}})
@example({"_webSocketMessages": [{"type": "send", "opcode": 1e400, "data": "x", "time": "nan"}]})
@example({"_webSocketMessages": [{"type": "send", "opcode": "Infinity", "data": "x"}]})
def test_members_of_any_shape_never_raise(changes: dict[str, Any]) -> None:
    text = json.dumps({"log": {"entries": [entry(**changes), entry()]}})
    read(text.encode())


# What tools do differently


def test_a_request_is_placed_by_its_timings() -> None:
    timings = {"blocked": 1, "dns": 2, "connect": 4, "ssl": 3, "send": 8, "wait": 16, "receive": 32}
    entries, _ = read(har(entry(time=63, timings=timings, response=answered(text="x"))))
    opened, request, response, body, closed = entries
    assert opened.offset_ns == START_NS + 7_000_000
    assert request.first_ns == START_NS + 7_000_000
    assert request.offset_ns == START_NS + 15_000_000
    assert response.offset_ns == START_NS + 31_000_000
    assert body.offset_ns == closed.offset_ns == START_NS + 63_000_000


def test_calls_stand_between_the_messages_they_happened_between() -> None:
    socket = entry(
        _webSocketMessages=[
            {"type": "receive", "time": 1795371580.010, "opcode": 1, "data": "first"},
            {"type": "receive", "time": 1795371580.090, "opcode": 1, "data": "second"},
        ]
    )
    call = entry(startedDateTime="2026-11-22T18:19:40.030Z")
    entries, _ = read(har(socket, call))
    kinds = [each.data if isinstance(each, MessageEntry) else each.kind for each in entries]
    between = kinds[kinds.index(b"first") + 1 : kinds.index(b"second")]
    assert [kind for kind in between if kind == "request"] == ["request"]


def test_messages_keep_their_order_where_their_times_go_back() -> None:
    times = [1795371580.5, 1795371580.1, 0, -1, None, 1795371580.6]
    messages = [
        {"type": "receive", "time": time, "opcode": 1, "data": str(number)}
        for number, time in enumerate(times)
    ]
    entries, reader = read(har(entry(_webSocketMessages=messages)))
    found = of_kind(entries, MessageEntry)
    assert [each.text for each in found] == ["0", "1", "2", "3", "4", "5"]
    assert reader.left_out["times that cannot be read"] == 3


@pytest.mark.parametrize("status", [0, -1, None])
def test_an_aborted_call_has_no_response_but_a_reset_and_a_note(status: int | None) -> None:
    response = {"status": status, "headers": [], "content": {}, "_error": "net::ERR_ABORTED"}
    entries, _ = read(har(entry(response=response)))
    assert [each.kind for each in entries] == ["open", "request", "note", "closed"]
    [closed], [note] = of_kind(entries, Closed), of_kind(entries, Note)
    assert (closed.how, closed.detail) == ("reset", "net::ERR_ABORTED")
    # The query may hold a secret that only its place in a URL tells.
    assert note.text == "GET /api/x: no response; net::ERR_ABORTED"


def test_a_body_that_the_har_does_not_hold_is_counted() -> None:
    _, reader = read(har(entry(response=answered(size=5120, comment="not included"))))
    assert reader.left_out["bodies that the HAR does not hold"] == 1


@pytest.mark.parametrize(
    ("content", "body"),
    [
        ({"text": "é"}, "é".encode()),
        ({"text": "é", "mimeType": "text/html; charset=ISO-8859-1"}, b"\xe9"),
        ({"text": "€", "mimeType": "text/html; charset=iso-8859-1"}, "€".encode()),
        ({"text": "é", "mimeType": "text/html; charset=idna"}, "é".encode()),
        ({"text": "AAF+e/8=", "encoding": "base64"}, b"\x00\x01~{\xff"),
        ({"text": "no base64", "encoding": "base64"}, b"no base64"),
        ({"text": "\udcff\udc80 bytes"}, b"\xff\x80 bytes"),
    ],
)
def test_a_body_is_the_bytes_that_its_text_stands_for(content: Any, body: bytes) -> None:
    entries, _ = read(har(entry(response=answered(**content))))
    assert bodies(entries, "server") == body


def test_the_content_coding_that_a_har_has_undone_leaves_the_head() -> None:
    headers = [{"name": "content-encoding", "value": "gzip"}, {"name": "X", "value": "1"}]
    gzipped = base64.b64encode(b"\x1f\x8b\x08rest").decode()
    plain = answered(text="{}") | {"headers": headers}
    coded = answered(text=gzipped, encoding="base64") | {"headers": headers}
    entries, _ = read(har(entry(response=plain), entry(response=coded)))
    first, second = of_kind(entries, Response)
    assert first.headers == [("X", "1")]
    assert first.extra["content_encoding_undone"] == msgspec.Raw(b'"gzip"')
    assert [name for name, _ in second.headers] == ["content-encoding", "X"]


@pytest.mark.parametrize("status", [204, 304])
def test_a_body_from_the_cache_is_not_taken_for_one_that_was_sent(status: int) -> None:
    entries, reader = read(har(entry(response=answered(text="cached") | {"status": status})))
    assert not of_kind(entries, Body)
    assert sum(reader.left_out.values()) == 1


def test_pseudo_fields_of_http_2_become_what_they_say() -> None:
    request = {
        "method": "GET",
        "url": "https://t.example/api/x",
        "httpVersion": "h2",
        "headers": [
            {"name": ":method", "value": "GET"},
            {"name": ":authority", "value": "t.example"},
            {"name": ":path", "value": "/api/x"},
            {"name": "accept", "value": "*/*"},
        ],
    }
    entries, _ = read(har(entry(request=request)))
    [head] = of_kind(entries, Request)
    assert head.headers == [("Host", "t.example"), ("accept", "*/*")]
    assert head.http_version == "2"


def test_fields_that_chrome_joins_by_line_breaks_are_fields_again() -> None:
    headers = [{"name": "Set-Cookie", "value": "a=1\nb=2"}]
    entries, _ = read(har(entry(response=answered() | {"headers": headers})))
    assert of_kind(entries, Response)[0].headers == [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]


@pytest.mark.parametrize(
    ("post_data", "body"),
    [
        ({"mimeType": "text/plain", "text": "a b"}, b"a b"),
        (
            {
                "mimeType": "application/x-www-form-urlencoded",
                "params": [{"name": "e", "value": "a@b ö"}, {"name": "p"}],
            },
            b"e=a%40b+%F6&p=",
        ),
        ({"mimeType": "multipart/form-data", "params": [{"name": "e"}]}, b""),
        ({"mimeType": "x", "text": "AAE=", "_encoding": "base64"}, b"\x00\x01"),
    ],
)
def test_a_request_has_the_body_that_was_posted(post_data: Any, body: bytes) -> None:
    request = {"method": "POST", "url": "http://t/", "headers": [], "postData": post_data}
    entries, reader = read(har(entry(request=request | {"bodySize": 7})))
    assert bodies(entries, "client") == body
    assert reader.left_out["bodies that the HAR does not hold"] == (not body)


def test_calls_share_a_connection_by_its_id_and_not_by_the_servers_port() -> None:
    def numbers(**fields: str) -> list[tuple[int, int]]:
        entries, _ = read(har(entry(**fields), entry(**fields)))
        assert len(of_kind(entries, Closed)) == len(of_kind(entries, Open))
        return [(each.connection, each.exchange) for each in of_kind(entries, Request)]

    assert numbers(_connectionId="17", connection="443") == [(1, 1), (1, 2)]
    assert numbers(connection="a7f3") == [(1, 1), (1, 2)]
    assert numbers(connection="443") == [(1, 1), (2, 1)]
    assert numbers() == [(1, 1), (2, 1)]


def test_a_call_that_failed_ends_the_connection_it_shared() -> None:
    failed = {"status": 0, "headers": [], "content": {}}
    entries, _ = read(har(entry(_connectionId="1", response=failed), entry(_connectionId="1")))
    assert [each.connection for each in of_kind(entries, Request)] == [1, 2]


def test_an_error_that_chrome_saw_on_a_socket_is_a_note() -> None:
    messages = [{"type": "error", "time": 1795371580.1, "opcode": -1, "data": "Invalid frame"}]
    entries, _ = read(har(entry(_webSocketMessages=messages)))
    assert [each.text for each in of_kind(entries, Note)] == [
        "the browser said of the socket: Invalid frame"
    ]


@pytest.mark.parametrize(
    "message",
    [
        {"type": "send", "opcode": 2, "data": "no base64!"},
        {"type": "send", "opcode": 9, "data": "x"},
        {"type": "neither", "opcode": 1, "data": "x"},
        {"type": "send", "opcode": 1, "data": {}},
        7,
    ],
)
def test_a_message_that_cannot_be_read_is_kept_as_bytes(message: Any) -> None:
    entries, _ = read(har(entry(_webSocketMessages=[message])))
    [kept] = of_kind(entries, Bytes)
    assert json.loads(kept.data) == message


def test_an_exchange_that_cannot_be_read_is_kept_as_bytes() -> None:
    entries, _ = read(har(entry(request={"method": 7, "url": "x"}), entry()))
    [kept] = of_kind(entries, Bytes)
    assert kept.why == "the request of an entry of a HAR: Expected `str`, got `int` - at `$.method`"
    assert len(of_kind(entries, Request)) == 1


def test_fields_that_a_recording_has_no_place_for_are_kept_beside_it() -> None:
    whole = entry(_priority="High", _initiator={"n": 1.10}, _long="x" * 70_000)
    whole["response"] = answered() | {"_transferSize": 3}
    entries, reader = read(json.dumps({"log": {"entries": [whole]}}, indent=4).encode())
    [request], [response] = of_kind(entries, Request), of_kind(entries, Response)
    assert json.loads(bytes(request.extra["har_entry"])) == {
        "_priority": "High",
        "_initiator": {"n": 1.1},
    }
    assert json.loads(bytes(response.extra["har"])) == {"_transferSize": 3}
    assert sum(reader.left_out.values()) == 1


def test_what_went_over_no_network_is_counted() -> None:
    request = {"method": "GET", "url": "data:text/plain,hi", "headers": []}
    entries, reader = read(har(entry(request=request)))
    assert not entries
    assert reader.left_out["entries that went over no network (data:, blob:)"] == 1


def test_a_har_without_dates_has_no_times() -> None:
    entries, _ = read(har(entry(startedDateTime="yesterday")))
    assert {each.offset_ns for each in entries} == {None}


def test_a_har_may_begin_with_a_byte_order_mark() -> None:
    entries, reader = read(b"\xef\xbb\xbf" + har(entry()), chunk_bytes=1)
    assert len(of_kind(entries, Request)) == 1
    assert reader.torn is None


@pytest.mark.parametrize(
    ("data", "torn"),
    [
        (b"", "it ends at byte 0; expected {"),
        (b"[]", "byte 0: expected {, found something else"),
        (b'{"log":{"entries":[{}', "it ends at byte 21; expected ]"),
        (b'{"log":{"entries":[{}]}}x', "byte 24: something stands behind the HAR"),
        (b'{"log":{"entries":[' + b'{"a":[' * 300, "byte 625: nested deeper than 200"),
    ],
)
def test_what_is_torn_says_where(data: bytes, torn: str) -> None:
    assert read(data)[1].torn == torn


def test_a_torn_call_is_kept_without_a_word_of_why_it_ended() -> None:
    whole = har(entry())
    entries, reader = read(whole[: whole.index(b'"response"')])
    assert [each.kind for each in entries] == ["open", "request", "closed"]
    assert of_kind(entries, Closed)[0].how == "stopped"
    assert reader.torn == "it ends at byte 181; expected a member's name"
