"""The parts of a payload, and the payload without them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replayer.minimise.payloads import (
    ELEMENT,
    Node,
    leaves_nothing,
    nodes_of,
    outermost,
    without,
)
from tests.profiles import examples

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=6)
    | st.sampled_from(['"~', "\\,"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=12,
)
TEXTS = st.lists(
    st.dictionaries(st.text(max_size=5), JSON, max_size=3) | st.lists(JSON), max_size=3
)


def written(texts: list[Any], spaced: bool) -> bytes:
    pieces = [json.dumps(text, indent=1 if spaced else None) for text in texts]
    return ("\n~ " if spaced else "~").join(pieces).encode()


def pruned(value: Any, numbers: list[int], cut: set[int]) -> Any:
    """The value without what has these numbers, which are taken in the order of the text."""
    if isinstance(value, dict):
        return {
            name: one
            for name, one, stays in [
                (name, *numbered(inner, numbers, cut)) for name, inner in value.items()
            ]
            if stays
        }
    if isinstance(value, list):
        return [one for one, stays in [numbered(inner, numbers, cut) for inner in value] if stays]
    return value


def numbered(value: Any, numbers: list[int], cut: set[int]) -> tuple[Any, bool]:
    number = numbers.pop(0)
    return pruned(value, numbers, cut), number not in cut


@settings(max_examples=examples(150))
@given(TEXTS, st.booleans(), st.data())
def test_what_is_cut_is_gone_and_all_else_stays(
    texts: list[Any], spaced: bool, data: st.DataObject
) -> None:
    payload = written(texts, spaced)
    nodes = nodes_of(payload)
    cut = data.draw(st.sets(st.integers(0, len(nodes) - 1))) if nodes else set()
    numbers = list(range(len(nodes)))
    kept = [one for one, stays in [numbered(text, numbers, cut) for text in texts] if stays]
    assert not numbers, "every part has a node"
    left = without(payload, nodes, cut)
    again = nodes_of(left)
    found = [json.loads(left[node.start : node.end]) for node in again if node.depth == 1]
    assert found == kept
    assert without(payload, nodes, outermost(nodes, cut)) == left


@given(TEXTS, st.booleans())
@settings(max_examples=examples(50))
def test_with_nothing_cut_it_is_the_same_byte_for_byte(texts: list[Any], spaced: bool) -> None:
    payload = written(texts, spaced)
    assert without(payload, nodes_of(payload), set()) == payload


@given(st.binary(max_size=40) | st.text('{}[],:"~ \\1', max_size=30).map(str.encode))
@settings(max_examples=examples(150))
def test_any_bytes_have_parts_that_can_be_cut(payload: bytes) -> None:
    nodes = nodes_of(payload)
    for number, node in enumerate(nodes):
        assert 0 <= node.start <= node.end <= len(payload)
        assert node.parent < number
        assert len(without(payload, nodes, {number})) < len(payload)


@pytest.mark.parametrize(
    ("cut", "left"),
    [
        ((), '{"positions":[{"id":1,"a":100.0},{"id":1e2}]}~{"x":[]}'),
        (('{"id":1,"a":100.0}',), '{"positions":[{"id":1e2}]}~{"x":[]}'),
        (('{"id":1e2}',), '{"positions":[{"id":1,"a":100.0}]}~{"x":[]}'),
        (('"a":100.0',), '{"positions":[{"id":1},{"id":1e2}]}~{"x":[]}'),
        (('"id":1',), '{"positions":[{"a":100.0},{"id":1e2}]}~{"x":[]}'),
        (('{"x":[]}',), '{"positions":[{"id":1,"a":100.0},{"id":1e2}]}'),
        (('{"id":1,"a":100.0}', '{"id":1e2}'), '{"positions":[]}~{"x":[]}'),
        (('{"positions":[{"id":1,"a":100.0},{"id":1e2}]}',), '{"x":[]}'),
    ],
)
def test_numbers_stay_as_they_are_written(cut: tuple[str, ...], left: str) -> None:
    payload = b'{"positions":[{"id":1,"a":100.0},{"id":1e2}]}~{"x":[]}'
    nodes = nodes_of(payload)
    texts = [payload[node.start : node.end].decode() for node in nodes]
    assert without(payload, nodes, {texts.index(one) for one in cut}).decode() == left


def test_depths_are_texts_kinds_objects_fields() -> None:
    payload = b'{"devices":[{"id":1}]}'
    found = [(node.depth, payload[node.start : node.end].decode()) for node in nodes_of(payload)]
    assert found == [
        (1, '{"devices":[{"id":1}]}'),
        (2, '"devices":[{"id":1}]'),
        (ELEMENT, '{"id":1}'),
        (4, '"id":1'),
    ]


def test_a_message_is_not_left_without_a_text_nor_a_text_without_a_kind() -> None:
    nodes = nodes_of(b'{"a":[1],"b":[2]}~{"c":[]}')
    a, b, c = (_number_at(nodes, start) for start in (1, 9, 19))
    first, second = (number for number, node in enumerate(nodes) if node.depth == 1)
    assert not leaves_nothing(nodes, {a})
    assert leaves_nothing(nodes, {a, b})
    assert leaves_nothing(nodes, {c})
    assert not leaves_nothing(nodes, {a, b, first})
    assert leaves_nothing(nodes, {first, second})
    assert not leaves_nothing(
        nodes, {number for number, node in enumerate(nodes) if node.depth > 2}
    )


def _number_at(nodes: list[Node], start: int) -> int:
    return next(n for n, node in enumerate(nodes) if node.depth == 2 and node.start == start)


def test_deep_nesting_is_no_trouble() -> None:
    payload = b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}"
    nodes = nodes_of(payload)
    assert len(nodes) == 5001
    assert without(payload, nodes, {2}) == b'{"a":[]}'
