"""The splitter against JSON of every shape, against garbage, and against a naive reference."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recorder.wire import json_texts
from recorder.wire.json_texts import JsonText, JsonTextSplitter, UnparsedSpan, join, split
from tests.profiles import examples

FIXTURES = Path(__file__).parents[2] / "fixtures"

# Tools


def delimiters_trimmed(data: bytes) -> tuple[bytes, int]:
    """`data` without the delimiters at its ends, and how many bytes stood before."""
    start, end = 0, len(data)
    while True:
        if data[start : start + 1] in (b" ", b"\t", b"\n", b"\r", b"~"):
            start += 1
        elif data[start : start + 3] == b"\xef\xbb\xbf":
            start += 3
        else:
            break
    while end > start:
        if data[end - 1 : end] in (b" ", b"\t", b"\n", b"\r", b"~"):
            end -= 1
        elif data[start:end].endswith(b"\xef\xbb\xbf"):
            end -= 3
        else:
            break
    return data[start:end], start


def refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not in RFC 8259")


def text_size(data: bytes) -> int | None:
    """The size of the JSON text that `data` begins with, by the standard library, or None."""
    decoder = json.JSONDecoder(parse_int=len, parse_float=len, parse_constant=refuse)
    try:
        # As ISO 8859-1 every byte is one character, so that the end is a number of bytes.
        _, size = decoder.raw_decode(data.decode("latin-1"))
        data[:size].decode("utf-8")
    except ValueError:
        return None
    return size


def reference_split(payload: bytes) -> list[JsonText | UnparsedSpan]:
    """The specification, word for word and quadratic: does a text begin at this `{` or `[`?"""
    events: list[JsonText | UnparsedSpan] = []
    behind_text = 0

    def add_span(end: int) -> None:
        data, leading = delimiters_trimmed(payload[behind_text:end])
        if data:
            events.append(UnparsedSpan(data, behind_text + leading))

    at = 0
    while at < len(payload):
        size = text_size(payload[at:]) if payload[at] in b"{[" else None
        if size is None:
            at += 1
            continue
        add_span(at)
        events.append(JsonText(payload[at : at + size], at))
        at = behind_text = at + size
    add_span(len(payload))
    return events


def split_in_chunks(
    payload: bytes, cuts: list[int], **options: int
) -> list[JsonText | UnparsedSpan]:
    splitter = JsonTextSplitter(**options)
    places = [0, *sorted(cut % (len(payload) + 1) for cut in cuts), len(payload)]
    events: list[JsonText | UnparsedSpan] = []
    for start, end in pairwise(places):
        events += splitter.feed(payload[start:end])
    return events + splitter.close()


def texts_of(events: list[JsonText | UnparsedSpan]) -> list[bytes]:
    return [event.data for event in events if isinstance(event, JsonText)]


def assert_nothing_is_dropped(payload: bytes, events: list[JsonText | UnparsedSpan]) -> None:
    at = 0
    for event in events:
        assert delimiters_trimmed(payload[at : event.offset])[0] == b""
        at = event.offset + len(event.data)
        assert event.data
        assert payload[event.offset : at] == event.data
    assert delimiters_trimmed(payload[at:])[0] == b""


@contextmanager
def slow_path_only() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_texts, "_MESSAGES_ARE_KNOWN", False)
        patch.setattr(json_texts, "_split_at_once", lambda payload: None)
        yield


@contextmanager
def bytes_read() -> Iterator[Callable[[], int]]:
    """Counts the bytes that a splitter reads, as often as it does, and one for each start tried."""
    count = 0
    run = json_texts.Attempt.run
    find = json_texts._find_end_by_msgspec

    def counting_run(attempt: Any, data: bytes, base: int, stop: int) -> int | None:
        nonlocal count
        before = attempt._at
        end = run(attempt, data, base, stop)
        count += 1 + (attempt._at if end is None else base + end) - before
        return end

    def counting_find(data: memoryview) -> tuple[int | None, int]:
        nonlocal count
        size, read = find(data)
        count += 1 + read
        return size, read

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_texts.Attempt, "run", counting_run)
        patch.setattr(json_texts, "_find_end_by_msgspec", counting_find)
        yield lambda: count


# Strategies

strings = st.text(
    st.sampled_from('~{}[]",:\\ \n\x00aä€😀') | st.characters(codec="utf-8"), max_size=8
)
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(
    scalars | strings,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(strings, inner, max_size=3),
    max_leaves=4,
)
delimiters = st.lists(
    st.sampled_from([b"~", b" ", b"\t", b"\n", b"\r", b"\xef\xbb\xbf"]), max_size=4
).map(b"".join)


@st.composite
def json_texts_of_any_form(draw: st.DrawFn) -> bytes:
    value = draw(st.lists(values, max_size=3) | st.dictionaries(strings, values, max_size=3))
    text = json.dumps(
        value,
        indent=draw(st.sampled_from([None, 0, 2, "\t"])),
        ensure_ascii=draw(st.booleans()),
        separators=draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\r\n", " :\t")])),
    )
    return text.encode()


# What valid, torn and meaningless input is made of, so that chance puts texts inside broken texts.
PIECES = [
    *(bytes([byte]) for byte in b'{}[]",:~\\ \n-0129.eE+tfnu'),
    *(b"true", b"fals", b"null", b"NaN", b"-1.5e+3", b"01", b"\\u", b"\\ud800", b'\\"', b"\\q"),
    *(b"\xef\xbb\xbf", b"\xef", b"\xbb\xbf", b"\xc3\xa4", b"\xc3", b"\xa4", b"\xff", b"\x01"),
    *(b"\xf0\x9f\x98\x80", b"\xf0\x9f", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80"),
    *(b"[]", b"{}", b'{"a":1}', b'{"a":"~', b'{"b":[{"c":"}"}', b'["\\u00e4","~"]', b'{"a":"'),
]
soup = st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join)
mixtures = st.lists(
    st.one_of(st.sampled_from(PIECES), json_texts_of_any_form(), st.just(b"~")), max_size=8
).map(b"".join)
anything = st.one_of(soup, mixtures, st.binary(max_size=60))
cut_lists = st.lists(st.integers(0, 400), max_size=8)

# Properties


@given(st.lists(json_texts_of_any_form(), max_size=4))
@settings(max_examples=examples(1000))
@example([b'{"a":"~{"}', b'["~"]', b'{"\\"~":"\\\\"}'])
@example([b'["\\ud800"]', b"{}"])
def test_splitting_what_was_joined_gives_the_texts_back(texts: list[bytes]) -> None:
    assert [event.data for event in split(join(texts))] == texts


@given(st.lists(json_texts_of_any_form(), min_size=1, max_size=4), st.lists(delimiters, min_size=5))
@settings(max_examples=examples(500))
def test_any_delimiters_or_none_may_stand_around_texts(
    texts: list[bytes], around: list[bytes]
) -> None:
    payload = around[-1] + b"".join(
        text + delimiter for text, delimiter in zip(texts, around, strict=False)
    )

    events = split(payload)

    assert texts_of(events) == texts
    assert len(events) == len(texts)
    assert_nothing_is_dropped(payload, events)


@given(anything)
@settings(max_examples=examples(2000))
@example(b'["' * 6)
@example(b'{"a":"x~{"b":[1]}')
@example(b'{"a":[{"b":1},"~[2]"')
@example(b'["\xff",{"a":1}]')
@example(b'[1~2]~{~"a":1}')
@example(b'["~"],[1]~[{},2]~3')
@example(b"{}],[{}")
@example(b"\xef\xbb\xbf{}\xef\xbb[]\xbf")
@example(b'["\\ud800"]~[1]')
@example(b'[1.]["\\u12"][01][-][1e]["\x7f"]["\n"]')
def test_on_every_path_every_input_gives_what_the_specification_says(payload: bytes) -> None:
    expected = reference_split(payload)

    events = split(payload)

    assert events == expected
    assert_nothing_is_dropped(payload, events)
    assert split_in_chunks(payload, []) == expected
    with slow_path_only():
        assert split(payload) == expected


@given(anything, cut_lists)
@settings(max_examples=examples(2000))
@example('["ä😀\\u00e4"]'.encode(), list(range(20)))
@example(b'[-0.5e+7,true,null,false]["\\uq"]{}', list(range(40)))
@example(b'["\\ud800", "', [3, 9])
def test_any_chunking_gives_equal_events(payload: bytes, cuts: list[int]) -> None:
    expected = split(payload)
    assert split_in_chunks(payload, cuts) == expected
    assert split_in_chunks(payload, list(range(len(payload)))) == expected


@given(json_texts_of_any_form(), st.integers(1, 100), st.lists(values, max_size=3))
@settings(max_examples=examples(500))
@example(b'{"a":"b"}', 6, ["~{}", []])
def test_texts_after_a_torn_text_are_found(torn: bytes, kept: int, positions: list[Any]) -> None:
    # With a key of letters: `["` torn before `~[",1,"]` and the like gives another valid text.
    texts = [json.dumps({"positions": value}).encode() for value in positions]

    found = texts_of(split(torn[: min(kept, len(torn) - 1)] + b"~" + join(texts)))

    assert found[len(found) - len(texts) :] == texts


@given(anything, cut_lists, st.integers(1, 40))
@settings(max_examples=examples(1000))
@example(b"[" * 40 + b"]" * 40, [7], 10)
@example(b"x" + b" " * 30 + b"y", [], 5)
def test_with_a_limit_events_hold_no_more_and_no_chunking_shows(
    payload: bytes, cuts: list[int], limit: int
) -> None:
    events = split_in_chunks(payload, cuts, max_text_bytes=limit)

    assert events == split_in_chunks(payload, [], max_text_bytes=limit)
    assert all(len(event.data) <= limit for event in events)
    assert all(text_size(text) == len(text) for text in texts_of(events))
    assert_nothing_is_dropped(payload, events)
    with slow_path_only():
        assert split_in_chunks(payload, cuts, max_text_bytes=limit) == events


@given(st.lists(anything, max_size=12), st.integers(1, 40))
@settings(max_examples=examples(300))
def test_no_more_than_two_texts_and_a_chunk_are_held(chunks: list[bytes], limit: int) -> None:
    splitter = JsonTextSplitter(max_text_bytes=limit)
    for chunk in chunks:
        splitter.feed(chunk)
        assert len(splitter._held) <= 2 * limit


# Linear time, counted in bytes read

HARD_INPUTS = [
    b"[",
    b"{",
    b'["',
    b'{"a":[',
    b'"~{',
    b'{"a":"~{',
    b'["\xff",',
    b'{"":"[',
    b'["~",{"a":"{"},',
    b'["\\ud800",',
    b"[[],",
    b'["]',
    b'[""[',
    b'{"~":"~","a',
    b'["\\"',
    b'[{"a":["~{[',
]


@pytest.mark.parametrize("piece", HARD_INPUTS)
@pytest.mark.parametrize("count", [100, 4000])
def test_no_byte_is_read_more_than_a_few_times(piece: bytes, count: int) -> None:
    payload = piece * count
    with bytes_read() as read:
        split_in_chunks(payload, [])
        assert read() <= 6 * len(payload) + 20
    with bytes_read() as read:
        split_in_chunks(payload, list(range(0, len(payload), 97)))
        assert read() <= 6 * len(payload) + 20


@given(st.lists(st.sampled_from(PIECES), max_size=8).map(b"".join), anything)
@settings(max_examples=examples(500))
def test_no_byte_of_a_repeated_piece_is_read_more_than_a_few_times(
    piece: bytes, tail: bytes
) -> None:
    payload = piece * 50 + tail
    with bytes_read() as read, slow_path_only():
        split(payload)
        # Two attempts that fail, one that succeeds, and one for each start that was tried.
        assert read() <= 4 * len(payload)
    with bytes_read() as read:
        split_in_chunks(payload, [])
        assert read() <= 6 * len(payload) + 20


def test_a_million_brackets_are_one_span() -> None:
    payload = b"[" * 10**6
    assert split(payload) == [UnparsedSpan(payload, 0)]


def test_a_text_may_be_nested_deeper_than_any_recursion() -> None:
    text = b'{"a":[' * 50_000 + b"]}" * 50_000
    assert split(text + b"~{}") == [JsonText(text, 0), JsonText(b"{}", len(text) + 1)]


# What is a text and what is not


@pytest.mark.parametrize(
    "text",
    [
        b"{}",
        b"[ ]",
        b'{"a" : [ 1 , { } ] }',
        b'[-0,0,10,1.5,1E5,1e-5,-0.0e+0,1e0,"",true,false,null]',
        b'["\\"\\\\\\/\\b\\f\\n\\r\\t\\u00Ff"]',
        b'["\\ud800","\\udc00\\ud800"]',
        b'["\x7f"]',
        b'{"a":1,"a":2}',
        '["\u0080\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff"]'.encode(),
    ],
)
def test_the_grammar_takes(text: bytes) -> None:
    assert split(text) == [JsonText(text, 0)]
    assert split_in_chunks(text, list(range(len(text)))) == [JsonText(text, 0)]


@pytest.mark.parametrize(
    "data",
    [
        *(b"{1:2}", b"{a:1}", b'{"a"}', b'{"a":}', b'{"a":1,}', b"{,}", b'{"a" 1}', b'{"a"::1}'),
        *(b"[1,]", b"[,]", b"[1 2]", b"[}", b"{]", b'{"a":1]', b"[1}", b"[1~2]", b'{~"a":1}'),
        *(b"[01]", b"[-]", b"[-01]", b"[1.]", b"[.5]", b"[+1]", b"[1e]", b"[1e+]", b"[1.5.5]"),
        *(b"[NaN]", b"[Infinity]", b"[True]", b"[tru]", b"[truee]", b"[nul]", b"[falsE]"),
        *(b'["\n"]', b'["\x00"]', b'["\\q"]', b'["\\u12"]', b'["\\u12g4"]', b"['a']", b'["\\"]'),
        *(b'["\xff"]', b'["\xc3"]', b'["\xc0\x80"]', b'["\xed\xa0\x80"]', b'["\xf4\x90\x80\x80"]'),
        *(b'["\xe0\x80\x80"]', b'["\xf0\x80\x80\x80"]', b'["\xa4"]', b"[\xef\xbb\xbf]", b"[\x0c]"),
        *(b'"a"', b"1", b"true", b"HTTP/1.1 101", b"]", b"}"),
    ],
)
def test_the_grammar_refuses(data: bytes) -> None:
    assert split(data) == [UnparsedSpan(data, 0)]
    with slow_path_only():
        assert split(data) == [UnparsedSpan(data, 0)]


@pytest.mark.parametrize("payload", [b"", b"~", b" ~\r\n\t~~", b"\xef\xbb\xbf", b"~\xef\xbb\xbf~"])
def test_delimiters_alone_give_nothing(payload: bytes) -> None:
    assert split(payload) == []
    assert split_in_chunks(payload, [1, 2]) == []


def test_texts_complete_before_a_tear_are_found() -> None:
    assert split(b'{"a":[{"b":1},[2],{"c":') == [
        UnparsedSpan(b'{"a":[', 0),
        JsonText(b'{"b":1}', 6),
        UnparsedSpan(b",", 13),
        JsonText(b"[2]", 14),
        UnparsedSpan(b',{"c":', 17),
    ]


def test_texts_inside_what_is_no_utf8_are_found() -> None:
    assert split(b'{"a":"\xff","b":{"c":1}}') == [
        UnparsedSpan(b'{"a":"\xff","b":', 0),
        JsonText(b'{"c":1}', 13),
        UnparsedSpan(b"}", 20),
    ]


def test_a_span_keeps_the_delimiters_inside_it() -> None:
    assert split(b" ~x ~ y\n~ {}") == [UnparsedSpan(b"x ~ y", 2), JsonText(b"{}", 10)]


# Streams


def test_a_text_is_given_out_with_the_chunk_that_completes_it() -> None:
    splitter = JsonTextSplitter()
    assert splitter.feed(b'~{"a":"\xc3') == []
    assert splitter.feed(b'\xa4"') == []
    assert splitter.feed(b"}") == [JsonText('{"a":"ä"}'.encode(), 1)]
    assert splitter.close() == []


def test_a_torn_text_holds_back_the_next_only_until_it_is_known_to_be_torn() -> None:
    splitter = JsonTextSplitter()
    assert splitter.feed(b'{"a":"') == []
    assert splitter.feed(b"\n{}") == [UnparsedSpan(b'{"a":"', 0), JsonText(b"{}", 7)]


def test_what_a_stream_ends_in_is_given_out_on_close_once() -> None:
    splitter = JsonTextSplitter()
    assert splitter.feed(b'{"a":"~{}') == []
    assert splitter.close() == [UnparsedSpan(b'{"a":"', 0), JsonText(b"{}", 7)]
    assert splitter.close() == []


def test_a_text_of_just_the_limit_is_taken_and_a_longer_one_is_not() -> None:
    assert split_in_chunks(b'["abc"]', [], max_text_bytes=7) == [JsonText(b'["abc"]', 0)]
    assert split_in_chunks(b'["abc"]~[]', [], max_text_bytes=6) == [
        UnparsedSpan(b'["abc"', 0),
        UnparsedSpan(b"]", 6),
        JsonText(b"[]", 8),
    ]


def test_garbage_is_given_out_before_the_stream_ends() -> None:
    splitter = JsonTextSplitter(max_text_bytes=4)
    assert splitter.feed(b"abcdef") == [UnparsedSpan(b"abcd", 0)]
    assert splitter.close() == [UnparsedSpan(b"ef", 4)]


def test_what_is_known_to_fail_is_forgotten_behind_it() -> None:
    splitter = JsonTextSplitter()
    splitter.feed(b"[" * 100 + b"x")
    assert splitter._failed == []


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1, not 0"):
        JsonTextSplitter(max_text_bytes=0)


# Fixtures


def test_the_manuals_log_holds_three_texts_behind_the_http_head() -> None:
    log = (FIXTURES / "manual-excerpt.txt").read_bytes()

    head, *texts = split(log)

    assert isinstance(head, UnparsedSpan)
    assert head.data.startswith(b"HTTP/1.1 101 Switching Protocols")
    assert len(texts) == 3
    keys = [list(json.loads(text)) for text in texts_of(texts)]
    assert [key[0] for key in keys] == ["positions", "devices", "positions"], keys
    assert_nothing_is_dropped(log, [head, *texts])


def test_the_payloads_of_a_capture_hold_texts_and_delimiters_only() -> None:
    messages = json.loads((FIXTURES / "curl-capture.expected.json").read_bytes())
    payloads = [message["data"].encode() for message in messages if message["kind"] == "text"]

    found = [split(payload) for payload in payloads]

    # The eighth is three texts joined; the ninth begins and ends with `~` and is pretty-printed.
    assert [len(events) for events in found] == [1, 1, 1, 1, 1, 1, 1, 3, 2, 1, 1, 1, 1]
    for payload, events in zip(payloads, found, strict=True):
        assert all(json.loads(text) for text in texts_of(events) if text != b"{}")
        assert len(texts_of(events)) == len(events)
        assert_nothing_is_dropped(payload, events)
    assert join(texts_of(found[7])) == payloads[7]
    assert [event.offset for event in found[8]] == [2, 787]


# The fast paths


def test_with_the_msgspec_at_hand_a_stream_goes_by_the_fast_path() -> None:
    assert json_texts._MESSAGES_ARE_KNOWN
    with bytes_read() as read:
        JsonTextSplitter().feed(b'{"a":"~"} ~ {"b":1}\n')
        # The first text with the ` ~` that shows its end, then the second; the slow path nothing.
        assert read() == (1 + 11) + (1 + 7)


def test_a_payload_that_is_in_order_is_split_at_once() -> None:
    payload = b'~\n{"a":"~"} ~ [1]~{}\n~'
    with bytes_read() as read:
        assert texts_of(split(payload)) == [b'{"a":"~"}', b"[1]", b"{}"]
        assert read() == 0
