"""Walking through JSON that arrives in pieces."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.importers.json_stream import MAX_DEPTH, JsonStream, TornJson
from tests.profiles import examples

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=15,
)
OBJECTS = st.dictionaries(st.text(max_size=5), JSON, max_size=4)


def in_pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def walked(stream: JsonStream, depth: int) -> Any:
    """The next value: gone into down to a depth, taken whole below it."""
    first = stream.peek()
    if depth and first == ord("{"):
        return {name: walked(stream, depth - 1) for name in stream.members()}
    if depth and first == ord("["):
        return [walked(stream, depth - 1) for _ in stream.items()]
    return json.loads(stream.value())


@settings(max_examples=examples(60))
@given(
    OBJECTS | st.lists(JSON),
    st.integers(0, 3),
    st.integers(1, 9),
    st.sampled_from([None, 1]),
    st.booleans(),
)
def test_any_document_in_any_pieces_is_what_it_is_at_once(
    document: Any, depth: int, size: int, indent: int | None, is_ascii: bool
) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=is_ascii)
    data = text.encode("utf-8", "surrogatepass")
    stream = JsonStream(in_pieces(data, size))
    assert walked(stream, depth) == document
    assert stream.peek() is None
    assert stream.position == len(data)


@settings(max_examples=examples(60))
@given(OBJECTS, st.integers(1, 9), st.data())
def test_what_is_passed_over_moves_nothing(document: Any, size: int, data: st.DataObject) -> None:
    stream = JsonStream(in_pieces(json.dumps(document).encode(), size))
    taken = data.draw(st.sets(st.sampled_from(sorted(document)))) if document else set()
    found = {}
    for name in stream.members():
        if name in taken:
            found[name] = json.loads(stream.value())
        else:
            stream.skip()
    assert found == {name: document[name] for name in taken}


@settings(max_examples=examples(60))
@given(OBJECTS, st.integers(0, 3), st.integers(1, 9), st.data())
def test_a_document_that_is_cut_anywhere_is_torn_there(
    document: Any, depth: int, size: int, data: st.DataObject
) -> None:
    whole = json.dumps(document).encode()
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(TornJson) as caught:
        walked(JsonStream(in_pieces(whole[:cut], size)), max(depth, 1))
    assert caught.value.ended
    assert f"it ends at byte {cut}" in str(caught.value)


def test_a_long_string_is_read_in_linear_time() -> None:
    # With a start again at each chunk this would take minutes.
    data = b'["' + b"x\\n" * 2_000_000 + b'"]'
    stream = JsonStream(in_pieces(data, 4096))
    assert [len(stream.value()) for _ in stream.items()] == [6_000_002]


@pytest.mark.parametrize("value", [b'"' + b"x" * 99 + b'"', b"[" + b"1," * 60 + b"1]", b"1" * 101])
def test_a_value_that_is_too_long_is_not_held_but_can_be_passed_over(value: bytes) -> None:
    data = b'{"a":' + value + b',"b":7}'
    stream = JsonStream(in_pieces(data, 10), max_value_bytes=100)
    with pytest.raises(TornJson, match="the value at byte 5 is longer than 100 bytes"):
        [stream.value() for _ in stream.members()]
    stream = JsonStream(in_pieces(data[:-1] + b"}", 10), max_value_bytes=200)
    for name in stream.members():
        assert stream.value() if name == "b" else stream.skip() is None


def test_what_is_nested_too_deep_is_torn_and_takes_no_stack() -> None:
    deep = b"[" * 100_000
    with pytest.raises(TornJson, match=f"byte {MAX_DEPTH + 1}: nested deeper than {MAX_DEPTH}"):
        JsonStream([deep]).value()
    with pytest.raises(TornJson):
        JsonStream([deep]).skip()


def test_a_message_shows_nothing_of_the_document() -> None:
    with pytest.raises(TornJson) as caught:
        dict.fromkeys(JsonStream([b'{"a" "secret"}']).members())
    assert str(caught.value) == "byte 5: expected :, found something else"


def test_names_and_strings_that_are_no_unicode_end_nothing() -> None:
    stream = JsonStream([b'{"\\ud800":"\\udc80","\xff":"\xff"}'])
    assert [(name, stream.value()) for name in stream.members()] == [
        ("?", b'"\\udc80"'),
        ("�", b'"\xff"'),
    ]
