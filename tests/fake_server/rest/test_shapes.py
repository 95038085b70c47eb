"""What a client's object becomes by POST and PUT."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fake_server.rest.shapes import SHAPES, created, read_object, updated, wrong_field
from tests.profiles import examples

kinds = st.sampled_from(sorted(SHAPES))
texts = st.sampled_from(
    [b"null", b"100.0", b"1E+2", b'"\\u00e4"', b"{ }", b"[1, 2]", b"true", b'"~"', b"0"]
)
names = st.sampled_from(["id", "name", "latitude", "own", "ä", 'q"', "attributes", "lastSeen"])


@st.composite
def raw_objects(draw: st.DrawFn) -> tuple[bytes, dict[str, bytes]]:
    """An object as a client may write it, and its members."""
    members = draw(st.dictionaries(names, texts, max_size=5))
    space = draw(st.sampled_from([b"", b" ", b"\n"]))
    pairs = [
        space + json.dumps(name).encode() + space + b":" + space + value + space
        for name, value in members.items()
    ]
    return b"{" + b",".join(pairs) + b"}", members


def members_of(text: bytes) -> dict[str, bytes]:
    return {name: bytes(value) for name, value in (read_object(text) or {}).items()}


@settings(max_examples=examples(100))
@given(kinds, raw_objects())
def test_a_post_keeps_every_text_that_was_sent_and_fills_up_the_shape(
    kind: str, sent: tuple[bytes, dict[str, bytes]]
) -> None:
    text, members = sent
    made = members_of(created(kind, read_object(text) or {}, 5))
    defaults = {name: field.default for name, field in SHAPES[kind].items()}
    assert made == defaults | members | {"id": b"5"}
    assert list(made)[: len(defaults)] == list(defaults)


@settings(max_examples=examples(100))
@given(kinds, raw_objects(), raw_objects(), st.booleans())
def test_a_put_keeps_every_text_that_was_sent_and_no_field_is_gone(
    kind: str,
    known: tuple[bytes, dict[str, bytes]],
    sent: tuple[bytes, dict[str, bytes]],
    keep_missing: bool,
) -> None:
    before, now = read_object(known[0]) or {}, read_object(sent[0]) or {}
    made = members_of(updated(kind, before, now, 5, keep_missing=keep_missing))
    assert made.keys() == known[1].keys() | sent[1].keys() | {"id"}
    assert list(made)[: len(before)] == list(before)
    for name, text in sent[1].items():
        assert made[name] == (b"5" if name == "id" else text)
    for name in known[1].keys() - sent[1].keys() - {"id"}:
        if keep_missing:
            assert made[name] == known[1][name]
        elif name not in SHAPES[kind]:
            assert json.loads(made[name]) in (None, 0, False, [], {})
        else:
            assert made[name] == SHAPES[kind][name].default


@settings(max_examples=examples(60))
@given(st.binary(max_size=30) | st.recursive(st.none() | st.text(), st.lists).map(json.dumps))
def test_what_is_no_object_is_none_and_nothing_raises(text: bytes | str) -> None:
    data = text if isinstance(text, bytes) else text.encode()
    members: Any = None
    try:
        members = json.loads(data)
    except ValueError:
        members = None
    found = read_object(data)
    if found is not None:
        assert isinstance(members, dict)
        for kind in SHAPES:
            wrong_field(kind, found)
